"""What a run has found: medians, ratios, and a verdict against each target. Pure: values in, text out."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from admission import admission_figures
from measures import LOADS, Results, Sample, StreamTry, paced_streams
from planning import plan_figures
from settling import settle_figures

__all__ = [
    "TARGETS",
    "Figures",
    "Goal",
    "detail_tables",
    "disturbance",
    "figures_of",
    "goal_table",
    "streams_held",
]

Figures = dict[str, float]

OTHERS_PCT_MAX = 15.0  # what the difference between warm-up and window alone can make is less


@dataclass(frozen=True, slots=True)
class Goal:
    """One row: a figure, and what it must and should be. Without limits it is only shown."""

    figure: str
    says: str
    unit: str
    must: float | None
    good: float | None
    more_is_better: bool = False

    def verdict(self, value: float | None) -> str:
        if value is None:
            return "not measured"
        if self.must is None or self.good is None:
            return "no target"
        if self._reaches(value, self.good):
            return "good"
        return "met" if self._reaches(value, self.must) else "MISSED"

    def _reaches(self, value: float, limit: float) -> bool:
        return value >= limit if self.more_is_better else value <= limit


TARGETS: tuple[Goal, ...] = (
    Goal("call_us", "processor time of a 2 KB call, 64 connections", "us", 150, 90),
    Goal("call_ratio", "the same, against nginx", "x", 11, 7),
    Goal("chunk_us", "processor time of a stream chunk, 400 paced streams", "us", 20, 12),
    Goal(
        "translated_ratio",
        "stream chunks translated in the time of one forwarded, Anthropic to OpenAI",
        "x",
        1 / 3,
        0.8,
        more_is_better=True,
    ),
    Goal(
        "to_messages_ratio",
        "the same, OpenAI to Anthropic",
        "x",
        1 / 3,
        0.8,
        more_is_better=True,
    ),
    Goal("rate_ratio", "calls a second, against nginx", "x", 0.08, 0.15, more_is_better=True),
    Goal("added_p50_ms", "latency added to nginx's at p50, 500 calls a second", "ms", 0.3, 0.1),
    Goal("added_p99_ms", "latency added to nginx's at p99, 500 calls a second", "ms", None, None),
    Goal("big_ms", "processor time of a call with an 80 KB body", "ms", 1.3, 0.8),
    Goal(
        "streams",
        "concurrent streams (64 chunks, 20 ms apart), no frame lost or over 100 ms late",
        "",
        1000,
        2000,
        more_is_better=True,
    ),
    Goal("plan_usual_us", "planning a call, 5 endpoints and no wishes", "us", None, None),
    Goal("plan_us", "planning a call, 30 endpoints and every wish", "us", 60, 40),
    Goal("admission_us", "ceiling, hold and settlement of a call, two budgets", "us", 25, 15),
    Goal("admission_trips", "trips to the database for 20,000 such calls", "", 20, 10),
    Goal(
        "settle_sqlite",
        "calls settled a second into SQLite, charged and counted",
        "",
        3000,
        6000,
        more_is_better=True,
    ),
    Goal(
        "settle_postgresql",
        "calls settled a second into PostgreSQL, charged and counted",
        "",
        5000,
        10_000,
        more_is_better=True,
    ),
    Goal("page_p95_ms", "server time of the slowest page at p95, a million calls", "ms", 100, 50),
    Goal("page_p50_ms", "the same of the median page at p50", "ms", None, None),
    Goal("idle_mb", "memory (PSS), idle", "MB", 80, 50),
    Goal("loaded_mb", "memory (PSS), after all the load", "MB", 110, 70),
)


def figures_of(results: Results) -> Figures:
    """The figures of `TARGETS`; what could not be measured is absent."""
    found: Figures = {}

    def median(target: str, load: str, value: Callable[[Sample], float]) -> float | None:
        values = [value(s) for s in results.samples if (s.label, s.load) == (target, load)]
        return statistics.median(values) if values else None

    def put(name: str, value: float | None) -> None:
        if value is not None:
            found[name] = value

    call_us = median("fairlead", "calls", _per_call)
    put("call_us", call_us)
    chunk_us = median("fairlead", "chunks", _per_chunk)
    put("chunk_us", chunk_us)
    put("translated_ratio", _ratio(chunk_us, median("fairlead", "translated", _per_chunk)))
    put("to_messages_ratio", _ratio(chunk_us, median("fairlead", "to-messages", _per_chunk)))
    big_us = median("fairlead", "big", _per_call)
    put("big_ms", None if big_us is None else big_us / 1e3)
    put("call_ratio", _ratio(call_us, median("nginx", "calls", _per_call)))
    put("rate_ratio", _ratio(median("fairlead", "calls", _rate), median("nginx", "calls", _rate)))
    put("added_p50_ms", _added(results, lambda sample: sample.lat_p50))
    put("added_p99_ms", _added(results, lambda sample: sample.lat_p99))
    if results.stream_tries:
        put("streams", streams_held(results.stream_tries, "fairlead"))
    if results.plans:
        found |= plan_figures(results.plans)
    found |= admission_figures(results.admission)
    found |= settle_figures(results.settling)
    if judged := [one for one in results.pages if not one.is_download]:
        put("page_p95_ms", max(one.p95_ms for one in judged))
        put("page_p50_ms", statistics.median(one.p50_ms for one in judged))
    if memory := results.memory_mb.get("fairlead"):
        put("idle_mb", memory[0])
        put("loaded_mb", memory[1])
    return found


def streams_held(tries: Iterable[StreamTry], target: str) -> int:
    """The highest level at which most tries held, and all levels below it did too; 0 for none."""
    by_level: dict[int, list[bool]] = {}
    for attempt in tries:
        if attempt.sample.label == target:
            by_level.setdefault(attempt.count, []).append(attempt.holds)
    highest = 0
    for count in sorted(by_level):
        if 2 * sum(by_level[count]) <= len(by_level[count]):
            break
        highest = count
    return highest


def goal_table(figures: Figures) -> str:
    """The targets, what was measured, and whether that is enough."""
    rows = []
    for goal in TARGETS:
        value = figures.get(goal.figure)
        sign = ">=" if goal.more_is_better else "<="
        limits = [
            "-" if x is None else f"{sign} {round(x, 2):g} {goal.unit}".rstrip()
            for x in (goal.must, goal.good)
        ]
        ours = "-" if value is None else f"{_number(value)} {goal.unit}".rstrip()
        rows.append([goal.says, *limits, ours, goal.verdict(value)])
    return _table(["what", "must", "good", "ours", "verdict"], rows)


def disturbance(results: Results) -> str | None:
    """A warning if something else used much of the target's core: then no figure is worth quoting."""
    busy = [sample.others_pct for sample in results.samples]
    if not busy or statistics.median(busy) <= OTHERS_PCT_MAX:
        return None
    return (
        f"Something else used {statistics.median(busy):.0f} % of the target's core during this run: processor "
        "times are too high, latencies and rates mean nothing, and the ratios to nginx say only a little. "
        "Run it again on a quiet machine."
    )


def detail_tables(results: Results) -> str:
    """Every load, target by target: medians over the rounds, and how far the first column spread."""
    parts = []
    for load in LOADS.values():
        columns = _STREAM_COLUMNS if load.frames else _CALL_COLUMNS
        rows = []
        for target in _names(results.samples):
            samples = [s for s in results.samples if (s.label, s.load) == (target, load.name)]
            if not samples:
                continue
            values = [statistics.median(value(s) for s in samples) for _, value in columns]
            first = [columns[0][1](s) for s in samples]
            spread = f"{_number(min(first))}..{_number(max(first))}"
            rows.append([target, *map(_number, values), spread])
        if rows:
            head = ["target", *(name for name, _ in columns), "spread of the first"]
            parts.append(f"{load.says}:\n\n{_table(head, rows)}")
    if results.stream_tries:
        says = paced_streams(0).says.removeprefix("0 ")
        parts.append(f"Concurrent {says}:\n\n{_stream_table(results.stream_tries)}")
    if results.plans:
        rows = [
            [one.name, _number(one.median_us), _number(one.loops), str(one.count)]
            for one in results.plans
        ]
        head = ["plan for", "us (median)", "fixed loops", "plans"]
        parts.append(f"Planning, in one process and without servers:\n\n{_table(head, rows)}")
    if results.admission:
        rows = [
            [one.name, _number(one.median_us), str(one.trips), str(one.count)]
            for one in results.admission
        ]
        head = ["a call of", "us (median)", "trips", "calls"]
        parts.append(f"Admission, in one process and without servers:\n\n{_table(head, rows)}")
    if results.settling:
        rows = [
            [one.database, one.scope, _number(one.calls_per_s), _number(one.our_us)]
            for one in results.settling
        ]
        head = ["database", "each call is", "calls a second", "our us a call"]
        parts.append(f"Settling what waits in a journal:\n\n{_table(head, rows)}")
    if results.pages:
        rows = [
            [one.name, *map(_number, (one.p50_ms, one.p95_ms, one.max_ms, one.again_p50_ms))]
            for one in sorted(results.pages, key=lambda one: (one.is_download, -one.p95_ms))
        ]
        head = ["page", "p50 ms", "p95 ms", "max ms", "p50 ms asked again"]
        parts.append(f"Pages, in one process and without servers:\n\n{_table(head, rows)}")
    if results.memory_mb:
        rows = [
            [name, _number(idle), _number(after)]
            for name, (idle, after) in results.memory_mb.items()
        ]
        parts.append(f"Memory (PSS):\n\n{_table(['target', 'idle MB', 'after load MB'], rows)}")
    return "\n\n".join(parts)


def _stream_table(tries: Sequence[StreamTry]) -> str:
    rows = []
    for count in sorted({attempt.count for attempt in tries}):
        for target in _names(attempt.sample for attempt in tries):
            here = [a for a in tries if a.count == count and a.sample.label == target]
            if not here:
                continue
            samples = [attempt.sample for attempt in here]
            rows.append([
                str(count),
                target,
                f"{sum(attempt.holds for attempt in here)} of {len(here)}",
                str(sum(sample.frames_lost for sample in samples)),
                str(sum(sample.frames_late for sample in samples)),
                _number(statistics.median(sample.late_max_us for sample in samples) / 1e3),
                _number(100 * statistics.median(attempt.offered_share for attempt in here)),
                _number(statistics.median(sample.cpu_us_per_chunk for sample in samples)),
                _number(statistics.median(sample.load_core_pct for sample in samples)),
            ])  # fmt: skip
    head = [
        "streams",
        "target",
        "held",
        "lost",
        "late",
        "latest ms",
        "offered %",
        "us/chunk",
        "load core %",
    ]
    return _table(head, rows)


def _per_call(sample: Sample) -> float:
    return sample.cpu_us_per_call


def _per_chunk(sample: Sample) -> float:
    return sample.cpu_us_per_chunk


def _rate(sample: Sample) -> float:
    return sample.rps


_CALL_COLUMNS: tuple[tuple[str, Callable[[Sample], float]], ...] = (
    ("us/call", _per_call),
    ("of it kernel %", lambda sample: sample.system_pct),
    ("calls/s", _rate),
    ("p50 ms", lambda sample: sample.lat_p50 / 1e3),
    ("p90 ms", lambda sample: sample.lat_p90 / 1e3),
    ("p99 ms", lambda sample: sample.lat_p99 / 1e3),
    ("target core %", lambda sample: sample.target_core_pct),
    ("load core %", lambda sample: sample.load_core_pct),
)
_STREAM_COLUMNS: tuple[tuple[str, Callable[[Sample], float]], ...] = (
    ("us/chunk", _per_chunk),
    ("of it kernel %", lambda sample: sample.system_pct),
    ("chunks/s", lambda sample: sample.chunks_s),
    ("transit p50 ms", lambda sample: sample.chunk_p50 / 1e3),
    ("transit p99 ms", lambda sample: sample.chunk_p99 / 1e3),
    ("first byte p50 ms", lambda sample: sample.ttfb_p50 / 1e3),
    ("target core %", lambda sample: sample.target_core_pct),
    ("load core %", lambda sample: sample.load_core_pct),
)


def _added(results: Results, value: Callable[[Sample], float]) -> float | None:
    """Median over the rounds of the difference within a round, in milliseconds."""
    by_round: dict[int, dict[str, float]] = {}
    for sample in results.samples:
        if sample.load == "latency":
            by_round.setdefault(sample.round, {})[sample.label] = value(sample)
    added = [
        (r["fairlead"] - r["nginx"]) / 1e3
        for r in by_round.values()
        if {"fairlead", "nginx"} <= r.keys()
    ]
    return statistics.median(added) if added else None


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours is not None and theirs else None


def _names(samples: Iterable[Sample]) -> list[str]:
    return list(dict.fromkeys(sorted(sample.label for sample in samples)))


def _number(value: float) -> str:
    if value < 0:
        return f"{value:.2f}" if value != -1 else "-"
    if value == int(value) and value >= 10:
        return f"{value:.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        for row in [head, *rows]
    ]
    rule = ["-" * width for width in widths]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])
