"""Three figures of a model, from 0 to 100, by which lists of models are sorted and cut. Pure.

An index is the share of comparisons with other models that a model wins in published results, as
`catalog_quality.py` counts them, drawn towards the middle where these are few: twenty comparisons in one
benchmark tell less than two hundred in ten. It depends on who was measured beside it: who was compared with
strong models alone wins less often than it would among all.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from fairlead.core.catalog_quality import Record
from fairlead.core.ids import ModelId

__all__ = ["Index", "indices_of", "tells"]

_MIDDLE_WEIGHT: Final = 10  # comparisons, half of them won, that each model has besides its own
_CODING: Final = ("aider", "swe-", "humaneval", "livecodebench", "scicode")
_AGENTIC: Final = ("swe-", "terminal-bench", "τ")  # many steps with tools, one after the other


class Index(StrEnum):
    """What is judged: everything, programming, or work in many steps with tools."""

    INTELLIGENCE = "intelligence"
    CODING = "coding"
    AGENTIC = "agentic"


_PREFIXES: Final[Mapping[Index, tuple[str, ...]]] = {
    Index.INTELLIGENCE: ("",),
    Index.CODING: _CODING,
    Index.AGENTIC: _AGENTIC,
}


def tells(benchmark: str, index: Index) -> bool:
    """Whether a benchmark of this name counts for it."""
    return benchmark.lower().startswith(_PREFIXES[index])


def indices_of(records: Mapping[ModelId, Record]) -> dict[ModelId, float]:
    """records: over all benchmarks that count for the index. A model without one has none."""
    return {
        model: 100 * (one.won + _MIDDLE_WEIGHT / 2) / (one.comparisons + _MIDDLE_WEIGHT)
        for model, one in records.items()
    }
