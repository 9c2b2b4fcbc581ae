"""How good models are, as far as published results say. Pure.

Results of different benchmarks, or of different reporters, have no common scale, so they are not averaged.
Within one benchmark of one reporter, each model is compared with each other one; what counts is the share of
its comparisons that a model wins, over all benchmarks together. A model with few results says little about
itself, which is why the number of comparisons is kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from fairlead.core.ids import ModelId

__all__ = ["Record", "Score", "records_of"]


class Score(msgspec.Struct, frozen=True, gc=False):
    """One published result. benchmark: with its reporter; higher is better."""

    model: ModelId
    benchmark: str
    score: float


class Record(msgspec.Struct, frozen=True, gc=False):
    """How a model did against others. won: of how many comparisons; a tie is half a win."""

    won: float
    comparisons: int


def records_of(scores: Iterable[Score]) -> dict[ModelId, Record]:
    """The record of each model that has a result. Of several results in one benchmark, the best counts."""
    best: defaultdict[str, dict[ModelId, float]] = defaultdict(dict)
    for one in scores:
        results = best[one.benchmark]
        results[one.model] = max(one.score, results.get(one.model, one.score))
    won: defaultdict[ModelId, float] = defaultdict(float)
    comparisons: defaultdict[ModelId, int] = defaultdict(int)
    for results in best.values():
        ascending = sorted(results.values())
        for model, score in results.items():
            below = bisect_left(ascending, score)
            ties = bisect_right(ascending, score) - below - 1  # not with itself
            won[model] += below + ties / 2
            comparisons[model] += len(results) - 1
    return {model: Record(won[model], count) for model, count in comparisons.items() if count}
