"""Answers without words: what they mean to whoever counts and pays, and how their counts are written.

Nothing is produced that has tokens, so whatever a provider counts is the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from fairlead.core.chat import Finished, FinishReason, PlainEvent, Started, UsageReported
from fairlead.core.usage import Usage
from fairlead.wire.openai_usage import TOKENS_MAX

__all__ = ["read_prompt_usage", "wordless_events"]


def wordless_events(
    *, usage: Usage | None, answer_id: str | None, model: str | None, cost_usd: float | None
) -> tuple[PlainEvent, ...]:
    """The events of a whole answer. Its end is one of them, for an answer that never ended is free."""
    events: list[PlainEvent] = [Started(id=answer_id, model=model)]
    if usage is not None:
        events.append(UsageReported(usage, cost_usd=cost_usd))
    events.append(Finished(FinishReason.STOP))
    return tuple(events)


_Count = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)]


class _Details(msgspec.Struct, frozen=True, gc=False):
    image_tokens: _Count = 0
    audio_tokens: _Count = 0
    video_tokens: _Count = 0


class _Counts(msgspec.Struct, frozen=True, gc=False):
    prompt_tokens: _Count | None = None
    input_tokens: _Count | None = None
    total_tokens: _Count | None = None
    search_units: _Count | None = None


def read_prompt_usage(reported: Mapping[str, object]) -> Usage | None:
    """Counts of an answer that has no tokens of its own; None if there is none.

    Some report a total alone, and some a completion too, of 0 tokens: neither is anything but the prompt.
    search_units: what some rerankers charge for instead of tokens.
    """
    try:
        counts = msgspec.convert(reported, _Counts, strict=False)
    except msgspec.ValidationError:
        return None
    told = (counts.prompt_tokens, counts.input_tokens, counts.total_tokens)
    prompt = max((count for count in told if count is not None), default=None)
    if prompt is None and counts.search_units is None:
        return None
    prompt = prompt or 0
    details = _details(reported)
    image = min(prompt, details.image_tokens)
    audio = min(prompt - image, details.audio_tokens)
    video = min(prompt - image - audio, details.video_tokens)
    return Usage(
        prompt=prompt - image - audio - video,
        prompt_image=image,
        prompt_audio=audio,
        prompt_video=video,
        requests=1 if counts.search_units is None else counts.search_units,
    )


def _details(reported: Mapping[str, object]) -> _Details:
    try:
        return msgspec.convert(reported.get("prompt_tokens_details") or {}, _Details)
    except msgspec.ValidationError:
        return _Details()
