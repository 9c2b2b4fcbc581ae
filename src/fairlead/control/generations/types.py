"""Values about finished calls; the record itself is core.generation.Generation."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.core.money import NanoUSD

__all__ = ["KeyTotals"]


@dataclass(frozen=True, slots=True)
class KeyTotals:
    """What one key has used over a span of time. Tokens include cached and reasoning ones."""

    generations: int
    cost: NanoUSD
    prompt_tokens: int
    completion_tokens: int
