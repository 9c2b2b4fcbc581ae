"""Converse's token counts as disjoint buckets.

`inputTokens` is what the cache had no part in: reads and writes are counted beside it, and `totalTokens` is
the sum of all four. Should a model's total show that it counts them inside, they are taken out.
Thoughts are part of `outputTokens`, and Converse does not say how many they are.
"""

from __future__ import annotations

from typing import Final

from fairlead.core.usage import Usage
from fairlead.wire.bedrock_converse import TokenUsage

__all__ = ["read_usage"]

TOKENS_MAX: Final = 1_000_000_000  # a count above this is not a count


def read_usage(counts: TokenUsage) -> Usage:
    prompt = _count(counts.input_tokens)
    completion = _count(counts.output_tokens)
    read = _count(counts.cache_read_input_tokens)
    written = _count(counts.cache_write_input_tokens)
    if counts.total_tokens == prompt + completion and read + written <= prompt:
        prompt -= read + written
    written_1h = sum(
        _count(detail.input_tokens) for detail in counts.cache_details or () if detail.ttl == "1h"
    )
    written_1h = min(written_1h, written)
    return Usage(
        prompt=prompt,
        cache_read=read,
        cache_write=written - written_1h,
        cache_write_1h=written_1h,
        completion=completion,
    )


def _count(value: int | None) -> int:
    return value if value is not None and 0 <= value <= TOKENS_MAX else 0
