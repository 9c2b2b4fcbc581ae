"""`GET /benchmarks`: published results of models, as the catalogue has them.

The API knows three sources. Of two of them the catalogue has nothing, and the answer says so. What it calls
`openrouter` are results of benchmarks that it names; here they are others' figures, and each says whose. All
results of the catalogue are there for `source=catalogue`, in a shape of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.control.catalog.benchmarks import BenchmarkResult, Benchmarks
from fairlead.control.datasets.types import VERSION
from fairlead.core.catalog import Snapshot
from fairlead.core.catalog_indices import Index, tells
from fairlead.core.ids import ModelId
from fairlead.core.money import price_text
from fairlead.web.operations import Asked

__all__ = ["SOURCES", "BenchmarksAsked", "benchmark_items", "benchmark_meta", "benchmarks_asked"]

Json = dict[str, object]

CATALOGUE: Final = "catalogue"
OPENROUTER: Final = "openrouter"
SOURCES: Final = ("artificial-analysis", "design-arena", OPENROUTER, CATALOGUE)
SEARCH: Final = "search"
TASK_TYPES: Final = (
    *(one.value for one in (Index.CODING, Index.INTELLIGENCE, Index.AGENTIC)),
    SEARCH,
)
CLASSIC: Final = ("gpqa_diamond", "tau_bench_verified_airline")
BENCHMARK_TYPES: Final = (
    *CLASSIC, "search_browsecomp", "search_hle", "search_dsqa", "search_widesearch",
)  # fmt: skip
ARENAS: Final = ("models", "builders", "agents")
SURFACES: Final = ("server-tool", "plugin")
RESULTS_MAX: Final = 10_000
WORDS_CHARACTERS_MAX: Final = 100
# By their documented names: what the catalogue calls it, and of how many questions it consists.
_PUBLISHED: Final[Mapping[str, tuple[str, int]]] = {"GPQA Diamond": ("gpqa_diamond", 198)}
_PERCENT: Final = "%"


@dataclass(frozen=True, slots=True)
class BenchmarksAsked:
    """None: whichever. most: results, at most."""

    source: str | None
    task_type: str | None
    benchmark_type: str | None
    most: int

    @property
    def is_of_search(self) -> bool:
        return self.task_type == SEARCH or (self.benchmark_type or "").startswith(f"{SEARCH}_")


def benchmarks_asked(asked: Asked) -> BenchmarksAsked:
    """Whatever the API documents is checked, also where it can choose from nothing. Raises RequestInvalid."""
    asked.choice("arena", ARENAS)
    asked.choice("search_surface", SURFACES)
    asked.flag("include_run_config")
    for name in ("category", "search_engine"):
        asked.words(name, characters_max=WORDS_CHARACTERS_MAX)
    return BenchmarksAsked(
        source=asked.choice("source", SOURCES),
        task_type=asked.choice("task_type", TASK_TYPES),
        benchmark_type=asked.choice("benchmark_type", BENCHMARK_TYPES),
        most=asked.number("max_results", default=RESULTS_MAX, least=1, most=RESULTS_MAX),
    )


def benchmark_items(
    wanted: BenchmarksAsked, benchmarks: Benchmarks, snapshot: Snapshot
) -> list[Json]:
    """By model and benchmark. Pure."""
    if wanted.is_of_search:
        return []
    results = [
        result
        for model in sorted(benchmarks.results)
        if model not in snapshot.hidden
        for result in benchmarks.results[model]
        if wanted.task_type is None or tells(result.benchmark, Index(wanted.task_type))
    ]
    if wanted.source == CATALOGUE:
        items = [_as_found(result, snapshot) for result in results]
    elif wanted.source in (OPENROUTER, None):
        items = list(_documented(results, wanted, snapshot))
    else:
        items = []
    return items[: wanted.most]


def benchmark_meta(wanted: BenchmarksAsked, items: Sequence[Json], snapshot: Snapshot) -> Json:
    """Whom to name, where all is of one; and why there is nothing, where that is so."""
    told = {(item["reported_by"], item["source_url"]) for item in items}
    reporter, address = next(iter(told)) if len(told) == 1 else (None, None)
    found: Json = {
        "as_of": _moment(snapshot.as_of),
        "version": VERSION,
        "source": wanted.source,
        "source_url": address,
        "citation": None if address is None else f"Source: {reporter or 'published'} ({address}).",
        "model_count": len({item["model_permaslug"] for item in items}),
        "task_type": wanted.task_type,
    }
    if not items:
        found["note"] = (
            "The catalogue has no such results. What it has is told for `source=catalogue`."
        )
    return found


def _documented(
    results: Sequence[BenchmarkResult], wanted: BenchmarksAsked, snapshot: Snapshot
) -> Iterator[Json]:
    """Of each model and benchmark the best result."""
    best: dict[tuple[str, str], BenchmarkResult] = {}
    for result in results:
        if result.benchmark not in _PUBLISHED or result.unit != _PERCENT:
            continue
        kind, _ = _PUBLISHED[result.benchmark]
        if wanted.benchmark_type not in (None, kind):
            continue
        before = best.get((result.model, kind))
        if before is None or result.score > before.score:
            best[result.model, kind] = result
    for (model, kind), result in best.items():
        yield {
            "source": OPENROUTER,
            "model_permaslug": model,
            "display_name": _name(model, snapshot),
            "benchmark_type": kind,
            "accuracy": round(result.score / 100, 6),
            "accuracy_stddev": None,
            "avg_cost_per_task": None,
            "total_tasks": _PUBLISHED[result.benchmark][1],
            "last_run_timestamp": _moment(result.date or snapshot.as_of),
            "variant": result.variant,
            "reported_by": result.reported_by,
            "source_url": result.source_url,
        }


def _as_found(result: BenchmarkResult, snapshot: Snapshot) -> Json:
    return {
        "source": CATALOGUE,
        "model_permaslug": result.model,
        "display_name": _name(result.model, snapshot),
        "benchmark": result.benchmark,
        "score": result.score,
        "unit": result.unit,
        "variant": result.variant,
        "date": result.date,
        "reported_by": result.reported_by,
        "source_url": result.source_url,
        "pricing": _pricing(result.model, snapshot),
    }


def _name(model: str, snapshot: Snapshot) -> str:
    known = snapshot.models.get(ModelId(model))
    return model if known is None else known.name


def _pricing(model: str, snapshot: Snapshot) -> Json | None:
    known = snapshot.models.get(ModelId(model))
    if known is None or not known.usual_endpoints:
        return None
    prices = known.usual_endpoints[0].prices
    return {"prompt": price_text(prices.prompt), "completion": price_text(prices.completion)}


def _moment(day: str) -> str:
    """A day of the catalogue, as a moment."""
    return f"{day[:10]}T00:00:00.000Z"
