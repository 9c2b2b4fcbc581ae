"""Published benchmark results of models, as the package has them. Facts of others: each names its source.

Routers compare models by them (`core/catalog_quality.py`); pages show them one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

import msgspec

from fairlead.core.catalog_indices import Index, indices_of, tells
from fairlead.core.catalog_quality import Score, records_of
from fairlead.core.ids import ModelId

__all__ = ["NO_BENCHMARKS", "BenchmarkResult", "Benchmarks", "benchmarks_of", "load_benchmarks"]


class BenchmarkResult(msgspec.Struct, frozen=True, gc=False):
    """One published result.

    score: in `unit`, higher is better. variant: how it was reached, as a reasoning effort. date: "YYYY-MM-DD".
    """

    model: str
    benchmark: str
    score: float
    unit: str
    source_url: str
    reported_by: str | None = None
    variant: str | None = None
    date: str | None = None

    @property
    def vouched_by(self) -> str:
        """Whose results it is comparable with: its reporter's, or what else its source says, if that names
        none."""
        return self.reported_by or self.source_url


class _File(msgspec.Struct):
    benchmarks: list[BenchmarkResult]


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """results: by model, in the order of the names of benchmarks.
    best: of one benchmark and who vouches for it, each model's best score, highest first.
    indices: of each model whose results that count for it can be compared with another's, from 0 to 100."""

    results: Mapping[str, tuple[BenchmarkResult, ...]] = field(default_factory=dict)
    best: Mapping[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)
    indices: Mapping[Index, Mapping[ModelId, float]] = field(default_factory=dict)

    def of(self, model: str) -> tuple[BenchmarkResult, ...]:
        return self.results.get(model, ())

    def place(self, result: BenchmarkResult) -> tuple[int, int]:
        """Which it would be, from 1, among the best of all models of which the same one says so; and how
        many these are. Different reporters are never ranked together."""
        best = self.best.get((result.benchmark, result.vouched_by), ())
        return 1 + sum(score > result.score for score in best), len(best)


NO_BENCHMARKS: Final = Benchmarks()


def benchmarks_of(rows: Sequence[BenchmarkResult]) -> Benchmarks:
    results: defaultdict[str, list[BenchmarkResult]] = defaultdict(list)
    best: defaultdict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for row in rows:
        results[row.model].append(row)
        of_models = best[row.benchmark, row.vouched_by]
        of_models[row.model] = max(row.score, of_models.get(row.model, row.score))
    return Benchmarks(
        {
            model: tuple(sorted(found, key=lambda one: (one.benchmark.lower(), -one.score)))
            for model, found in results.items()
        },
        {key: tuple(sorted(scores.values(), reverse=True)) for key, scores in best.items()},
        {index: _index(rows, index) for index in Index},
    )


def _index(rows: Sequence[BenchmarkResult], index: Index) -> Mapping[ModelId, float]:
    return indices_of(
        records_of(
            Score(ModelId(row.model), f"{row.benchmark}, {row.vouched_by}", row.score)
            for row in rows
            if tells(row.benchmark, index)
        )
    )


def load_benchmarks() -> Benchmarks:
    """Those of the package. Blocks for some milliseconds. Raises msgspec.DecodeError for a damaged
    file."""
    data = (files("fairlead") / "data" / "benchmarks.json").read_bytes()
    return benchmarks_of(msgspec.json.decode(data, type=_File).benchmarks)
