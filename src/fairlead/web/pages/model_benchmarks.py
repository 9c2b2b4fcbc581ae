"""What others measured of a model: one row for each benchmark and reporter, the best result first; and the
indices that follow from all of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fairlead.control.catalog.benchmarks import BenchmarkResult, Benchmarks
from fairlead.core.ids import ModelId
from fairlead.web.pages import shown

__all__ = ["BenchmarkRow", "Results", "results_of"]

_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class BenchmarkRow:
    """fraction: of the whole, where the score is a share. others: results in other settings, in words.

    place, count: among the best of all models of which the same one says so.
    """

    benchmark: str
    score: str
    fraction: float | None
    setting: str
    others: str
    place: int
    count: int
    reporter: str
    source_url: str
    date: str


@dataclass(frozen=True, slots=True)
class Results:
    """indices: those that the model has: what it is called, how high it is, and its place among all models."""

    rows: tuple[BenchmarkRow, ...]
    indices: tuple[tuple[str, str, str], ...]


def results_of(benchmarks: Benchmarks, model: ModelId) -> Results:
    return Results(_rows(benchmarks, model), _indices(benchmarks, model))


def _indices(benchmarks: Benchmarks, model: ModelId) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (
            f"{index.capitalize()} index",
            f"{figures[model]:.0f}",
            f"{1 + sum(one > figures[model] for one in figures.values())} of {len(figures)}",
        )
        for index, figures in benchmarks.indices.items()
        if model in figures
    )


def _rows(benchmarks: Benchmarks, model: str) -> tuple[BenchmarkRow, ...]:
    grouped: dict[tuple[str, str], list[BenchmarkResult]] = {}
    for one in benchmarks.of(model):
        grouped.setdefault((one.benchmark, one.vouched_by), []).append(one)
    return tuple(_row(results, *benchmarks.place(results[0])) for results in grouped.values())


def _row(results: list[BenchmarkResult], place: int, count: int) -> BenchmarkRow:
    """results: of one benchmark and reporter, best first."""
    best = results[0]
    is_share = best.unit == "%" and 0 <= best.score <= _PERCENT
    return BenchmarkRow(
        benchmark=best.benchmark,
        score=_score(best),
        fraction=best.score / _PERCENT if is_share else None,
        setting=_setting(best) or "\N{EN DASH}",
        others=", ".join(f"{_setting(one) or 'plain'} {_score(one)}" for one in results[1:]),
        place=place,
        count=count,
        reporter=best.reported_by or "Source",
        source_url=best.source_url,
        date=shown.day(best.date),
    )


def _score(one: BenchmarkResult) -> str:
    return f"{one.score:g}{one.unit}"


def _setting(one: BenchmarkResult) -> str:
    """Efforts of reasoning are written in two ways."""
    return (one.variant or "").removeprefix("reasoning effort ")
