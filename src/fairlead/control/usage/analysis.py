"""What somebody asks about an account's usage, checked, and what they are told. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fairlead.control.usage.calendar import DAY_MS, HOUR_MS, MINUTE_MS
from fairlead.control.usage.dimensions import Dimension, Filter
from fairlead.control.usage.metrics import METRICS, Metric, Number
from fairlead.control.usage.spans import Granularity

__all__ = [
    "DIMENSIONS_MAX",
    "FILTERS_MAX",
    "GENERATION",
    "GROUP_LIMIT_MAX",
    "LIMIT_DEFAULT",
    "LIMIT_MAX",
    "RANGE_MAX_MS",
    "RECENT_MAX_MS",
    "SERIES_ROWS_MAX",
    "Analysis",
    "Order",
    "Question",
    "QuestionInvalid",
    "Row",
    "default_range_ms",
    "measures_of",
    "rows_of",
]

GENERATION: Final = "generation_id"  # asked for like a dimension: each call by itself
DIMENSIONS_MAX: Final = 2
FILTERS_MAX: Final = 20
LIMIT_DEFAULT: Final = 1000
LIMIT_MAX: Final = 10_000  # rows of an answer; some 2 MB
GROUP_LIMIT_MAX: Final = LIMIT_MAX
SERIES_ROWS_MAX: Final = 5000  # of a series over time that nobody said a limit for
RANGE_MAX_MS: Final = 10 * 366 * DAY_MS
RECENT_MAX_MS: Final = 31 * DAY_MS
DATE: Final = "date"


class QuestionInvalid(ValueError):
    """It cannot be asked like that. path: of the field."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Order:
    """field: a metric, a dimension or "date"."""

    field: str
    is_descending: bool


@dataclass(frozen=True, slots=True)
class Question:
    """From start_ms to before end_ms. by_generation: each call by itself, newest first.

    group_limit: rows for each combination of dimensions; None: as many as there are buckets.
    """

    metrics: tuple[Metric, ...]
    start_ms: int
    end_ms: int
    dimensions: tuple[Dimension, ...] = ()
    by_generation: bool = False
    filters: tuple[Filter, ...] = ()
    granularity: Granularity | None = None
    order: Order | None = None
    limit: int | None = None
    group_limit: int | None = None

    def __post_init__(self) -> None:
        length_ms = self.end_ms - self.start_ms
        if length_ms <= 0:
            raise QuestionInvalid("the range ends before it begins", "time_range")
        if length_ms > RANGE_MAX_MS:
            raise QuestionInvalid("the range is at most ten years long", "time_range")
        if length_ms > RECENT_MAX_MS:
            recent = [metric.name for metric in self.metrics if metric.is_recent]
            if self.by_generation:
                recent.append(GENERATION)
            if recent:
                raise QuestionInvalid(
                    f"{', '.join(recent)} can be asked for ranges of at most 31 days", "time_range"
                )
        if self.by_generation and Dimension.APP in {
            *self.dimensions,
            *(one.dimension for one in self.filters),
        }:
            raise QuestionInvalid(
                f"{Dimension.APP} and {GENERATION} do not go together", "dimensions"
            )
        order = self.order
        if order is not None and order.field not in self._orderable():
            raise QuestionInvalid(
                f"order by a metric or dimension that is asked for, {REQUEST_COUNT} or {DATE},"
                f" not by {order.field!r}",
                "order_by.field",
            )

    @property
    def is_series(self) -> bool:
        """Over time, of each group: not to be cut through where nobody says by how much."""
        is_divided = self.granularity is not None and bool(self.dimensions)
        return is_divided and self.limit is None and self.group_limit is None

    @property
    def buckets(self) -> int:
        """At most so many."""
        if self.granularity is None:
            return 1
        return (self.end_ms - self.start_ms) // _SHORTEST_MS[self.granularity] + 2

    def _orderable(self) -> set[str]:
        names = {metric.name for metric in self.metrics} | {REQUEST_COUNT}
        names.update(self.dimensions)
        if self.granularity is not None:
            names.add(DATE)
        if self.by_generation:
            names.update((GENERATION, DATE))
        return names


REQUEST_COUNT: Final = "request_count"
_SHORTEST_MS: Final = {
    Granularity.MINUTE: MINUTE_MS,
    Granularity.HOUR: HOUR_MS,
    Granularity.DAY: DAY_MS,
    Granularity.WEEK: 7 * DAY_MS,
    Granularity.MONTH: 28 * DAY_MS,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an answer. start_ms: of its bucket; None: it is not divided.

    values: of the dimensions, in the question's order. generation: when each call is by itself.
    """

    start_ms: int | None
    values: tuple[str | int | bool, ...]
    metrics: Mapping[str, Number]
    generation: str | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """was_truncated: there is more than the limits let through. warnings: for whoever asked."""

    rows: tuple[Row, ...]
    was_truncated: bool
    warnings: tuple[str, ...] = ()


def default_range_ms(granularity: Granularity | None) -> int:
    """How far back from now, where nobody says."""
    if granularity is Granularity.MINUTE:
        return HOUR_MS
    return DAY_MS if granularity is Granularity.HOUR else 30 * DAY_MS


def measures_of(question: Question) -> tuple[str, ...]:
    """What its metrics need, and what orders it, each once."""
    names = [name for metric in _needed(question) for name in metric.measures]
    return tuple(dict.fromkeys(names))


def rows_of(
    question: Question,
    sums: Mapping[tuple[Any, ...], Sequence[int]],
    *,
    is_complete: bool,
) -> Analysis:
    """The answer's rows, in order and within its limits.

    sums: of `measures_of`, by start of the bucket and values of the dimensions; where each call is by itself,
    by when it began, the values and its id. is_complete: there is nothing else.
    """
    places = {name: place for place, name in enumerate(measures_of(question))}
    needed = [
        (metric.name, metric.value, [places[name] for name in metric.measures])
        for metric in _needed(question)
    ]

    def row(group: tuple[Any, ...], counted: Sequence[int]) -> Row:
        start, *values = group
        assert isinstance(start, int)
        generation = str(values.pop()) if question.by_generation else None
        return Row(
            start if question.granularity is not None or question.by_generation else None,
            tuple(values),
            {name: value(*[counted[place] for place in at]) for name, value, at in needed},
            generation,
        )

    rows = [row(group, sums[group]) for group in sorted(sums)]
    _order(question, rows)
    within = _within_groups(question, rows)
    limit = _limit(question, within)
    return Analysis(
        tuple(within[:limit]),
        was_truncated=not is_complete or len(within) < len(rows) or len(within) > limit,
    )


def _needed(question: Question) -> tuple[Metric, ...]:
    orders = question.order is not None and question.order.field == REQUEST_COUNT
    extra = orders or question.granularity is None
    if not extra or any(metric.name == REQUEST_COUNT for metric in question.metrics):
        return question.metrics
    return (*question.metrics, METRICS[REQUEST_COUNT])


def _order(question: Question, rows: list[Row]) -> None:
    """Without a wish: in the order of time, newest call first, or most requests first. What is equal stays in
    the order of time."""
    order = question.order
    if order is None:
        if question.by_generation:
            rows.reverse()
        elif question.granularity is None:
            rows.sort(key=lambda one: -(one.metrics[REQUEST_COUNT] or 0))
        return
    field = order.field
    if field == DATE:
        rows.sort(key=lambda one: one.start_ms or 0, reverse=order.is_descending)
        return
    if field == GENERATION:
        rows.sort(key=lambda one: one.generation or "", reverse=order.is_descending)
        return
    if field in question.dimensions:
        place = question.dimensions.index(Dimension(field))
        rows.sort(key=lambda one: str(one.values[place]), reverse=order.is_descending)
        return
    sign = -1 if order.is_descending else 1
    # What cannot be said comes last, either way.
    rows.sort(key=lambda one: (one.metrics[field] is None, sign * (one.metrics[field] or 0)))


def _within_groups(question: Question, rows: list[Row]) -> list[Row]:
    limit = question.group_limit
    if limit is None or not question.dimensions:
        return rows
    counts: dict[tuple[str | int | bool, ...], int] = {}
    kept = []
    for row in rows:
        count = counts[row.values] = counts.get(row.values, 0) + 1
        if count <= limit:
            kept.append(row)
    return kept


def _limit(question: Question, rows: Sequence[Row]) -> int:
    limit = LIMIT_DEFAULT if question.limit is None else question.limit
    return max(limit, min(len(rows), SERIES_ROWS_MAX)) if question.is_series else limit
