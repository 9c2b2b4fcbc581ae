"""Cohere's counts as disjoint buckets.

Cohere counts twice. `tokens` is all that the model read and wrote, with about 500 tokens of Cohere's own
words in front; `billed_units` is what costs. Callers pay for what costs, so that is what is counted here;
`tokens` stands in where a host of Cohere's models bills otherwise and tells nothing else.

`cached_tokens` is a part of `tokens`. A cache holds the front of a prompt, so Cohere's own words are cached
before the caller's: only what is beyond them was the caller's.
"""

from __future__ import annotations

from typing import Final

from fairlead.core.usage import Usage
from fairlead.wire import cohere_chat as wire

__all__ = ["read_usage"]

TOKENS_MAX: Final = 1_000_000_000  # a count above this is not a count

_NONE: Final = wire.Counts()


def read_usage(reported: wire.Usage) -> Usage | None:
    """None if it holds no count at all."""
    tokens = reported.tokens or _NONE
    billed = reported.billed_units or _NONE
    images = _count(tokens.image_tokens)
    read = _count(tokens.input_tokens) + images
    written = _count(tokens.output_tokens)
    prompt, completion = read, written
    if billed.input_tokens is not None or billed.output_tokens is not None:
        prompt, completion = _count(billed.input_tokens), _count(billed.output_tokens)
    elif tokens.input_tokens is None and tokens.output_tokens is None:
        return None
    images = min(images, prompt)
    not_the_callers = max(0, read - prompt)
    cached = min(max(0, _count(reported.cached_tokens) - not_the_callers), prompt - images)
    reasoning = min(_count(tokens.reasoning_tokens), completion)
    return Usage(
        prompt=prompt - images - cached,
        prompt_image=images,
        cache_read=cached,
        completion=completion - reasoning,
        reasoning=reasoning,
    )


def _count(value: float | None) -> int:
    return int(value) if value is not None and 0 <= value <= TOKENS_MAX else 0
