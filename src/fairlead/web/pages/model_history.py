"""What a model's page shows of the past: speed, uptime, use. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from fairlead.control.standings.types import (
    EndpointHistory,
    EndpointUptime,
    Histories,
    ModelActivity,
    Uptimes,
    Window,
)
from fairlead.control.usage.endpoints import EndpointSpan
from fairlead.core.catalog import Model, Snapshot
from fairlead.core.health import EndpointFigures
from fairlead.core.ids import EndpointId
from fairlead.web.pages import shown
from fairlead.web.pages.charts import Chart, chart
from fairlead.web.pages.uptime_view import level

__all__ = [
    "ACTIVITY_DAYS",
    "WINDOWS",
    "Activity",
    "Performance",
    "Uptime",
    "activity_of",
    "performance_of",
    "tokens_chart",
    "uptime_of",
]

WINDOWS: Final = (
    ("day", "24 hours"),
    ("week", "7 days"),
    ("month", "30 days"),
    ("quarter", "90 days"),
)
ACTIVITY_DAYS: Final = (("30", "30 days"), ("90", "90 days"), ("365", "One year"))
DRAWN_MAX: Final = 5  # endpoints in one chart; more lines cannot be told apart
_MS_PER_S: Final = 1000


# --- performance ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PerformanceRow:
    """One endpoint in the window. slow: the latency that 95 of 100 calls did not exceed.

    tool_calls: answers with any. tool_errors: the share of those with one that was not valid, of two hours.
    """

    name: str
    calls: str
    latency: str
    slow: str
    throughput: str
    uptime: str
    tool_calls: str
    tool_errors: str


@dataclass(frozen=True, slots=True)
class Performance:
    """rows: most calls first. latency, throughput: means; is_part: only of the first of them."""

    rows: tuple[PerformanceRow, ...]
    latency: Chart
    throughput: Chart
    is_part: bool


def performance_of(
    histories: Histories,
    model: Model,
    snapshot: Snapshot,
    health: Mapping[EndpointId, EndpointFigures],
) -> Performance:
    """health: what is known now, by endpoint."""
    names = _names(((one.endpoint, one.provider) for one in histories.endpoints), model, snapshot)
    drawn = histories.endpoints[:DRAWN_MAX]
    series = [names[one.endpoint] for one in drawn]

    def charted(
        value: Callable[[EndpointSpan], float | None],
        written: Callable[[float | int | None], str],
    ) -> Chart:
        at = [{span.start_ms: value(span) for span in one.spans} for one in drawn]
        rows = [
            (start // _MS_PER_S, _label(start, histories.window), [of.get(start) for of in at])
            for start in histories.starts_ms
        ]
        return chart(_unit(histories.window), series, rows if drawn else [], written=written)

    return Performance(
        rows=tuple(
            _performance_row(one, names[one.endpoint], health.get(EndpointId(one.endpoint)))
            for one in histories.endpoints
        ),
        latency=charted(lambda span: _ms(span.latency_s), shown.duration),
        throughput=charted(lambda span: span.tokens_per_s, shown.throughput),
        is_part=len(drawn) < len(histories.endpoints),
    )


def _performance_row(
    history: EndpointHistory, name: str, figures: EndpointFigures | None
) -> PerformanceRow:
    whole = history.whole
    judged = 0 if figures is None else figures.tool_requests_2h
    return PerformanceRow(
        name=name,
        calls=shown.count(whole.calls),
        latency=shown.duration(_ms(whole.latency_percentile_s(0.5))),
        slow=shown.duration(_ms(whole.latency_percentile_s(0.95))),
        throughput=shown.throughput(whole.pace_percentile(0.5)),
        uptime=shown.share(whole.uptime, places=2),
        tool_calls=shown.count(whole.count("tool_calls")),
        tool_errors=shown.share(figures.tool_errors_2h / judged if figures and judged else None),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * _MS_PER_S


# --- uptime ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UptimeRow:
    """days: a level and a sentence for each day, oldest first; level: good, fair, poor or none.
    bad_days: those with any failure, in words."""

    name: str
    uptime: str
    days: tuple[tuple[str, str], ...]
    bad_days: tuple[str, ...]
    calls: str


@dataclass(frozen=True, slots=True)
class Uptime:
    rows: tuple[UptimeRow, ...]
    day_count: int


def uptime_of(uptimes: Uptimes, model: Model, snapshot: Snapshot) -> Uptime:
    names = _names(((one.endpoint, one.provider) for one in uptimes.endpoints), model, snapshot)
    rows = [_uptime_row(one, names[one.endpoint], uptimes) for one in uptimes.endpoints]
    return Uptime(tuple(rows), len(uptimes.starts_ms))


def _uptime_row(history: EndpointUptime, name: str, uptimes: Uptimes) -> UptimeRow:
    days: list[tuple[str, str]] = []
    bad: list[str] = []
    for bucket, start_ms in enumerate(uptimes.starts_ms):
        day = _label(start_ms, uptimes.window)
        uptime = history.uptime_at(bucket)
        if uptime is None:
            days.append(("none", f"{day}: no calls"))
            continue
        said = f"{day}: {shown.share(uptime, places=2)}"
        days.append((level(uptime), said))
        if history.outages[bucket]:
            bad.append(f"{said}, {shown.plural(history.outages[bucket], 'call')} failed")
    return UptimeRow(
        name=name,
        uptime=shown.share(history.uptime, places=2),
        days=tuple(days),
        bad_days=tuple(reversed(bad)),
        calls=shown.count(sum(history.successes) + sum(history.outages)),
    )


# --- activity ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Activity:
    """Totals of the window, and its charts. summary: what one sees."""

    tokens: str
    requests: str
    prompt: str
    completion: str
    reasoning: str
    cached: str
    tool_calls: str
    by_day: Chart
    requests_by_day: Chart
    summary: str
    is_empty: bool


def activity_of(activity: ModelActivity) -> Activity:
    days = activity.days
    prompt = sum(day.prompt_tokens for day in days)
    cached = sum(day.cached_tokens for day in days)
    completion = sum(day.completion_tokens for day in days)
    reasoning = sum(day.reasoning_tokens for day in days)
    tool_calls = sum(day.tool_calls for day in days)
    most = max(days, key=lambda day: day.tokens)
    return Activity(
        tokens=shown.compact(activity.tokens),
        requests=shown.compact(activity.requests),
        prompt=shown.compact(prompt),
        completion=shown.compact(completion),
        reasoning=shown.share(reasoning / completion if completion else None),
        cached=shown.share(cached / prompt if prompt else None),
        tool_calls=shown.share(tool_calls / activity.requests if activity.requests else None),
        by_day=tokens_chart(activity),
        requests_by_day=chart(
            "Day",
            ("Calls",),
            [(*_day(day.start_ms), (day.requests,)) for day in days],
            written=shown.count,
        ),
        summary=f"The most were {shown.count(most.tokens)} tokens on {_day(most.start_ms)[1]}.",
        is_empty=not activity.requests,
    )


def tokens_chart(activity: ModelActivity) -> Chart:
    rows = [
        (
            *_day(day.start_ms),
            (
                day.prompt_tokens,
                day.completion_tokens - day.reasoning_tokens,
                day.reasoning_tokens,
            ),
        )
        for day in activity.days
    ]
    return chart("Day", ("Prompt", "Answer", "Reasoning"), rows, written=shown.count)


# --- names of endpoints and of moments --------------------------------------------------------------------


def _names(
    endpoints: Iterable[tuple[str, str]], model: Model, snapshot: Snapshot
) -> Mapping[str, str]:
    """Each endpoint's name: its provider's, with the tag where one provider has several."""
    pairs = list(endpoints)
    tags = {str(one.id): one.tag for one in model.endpoints}
    providers = {str(slug): one.name for slug, one in snapshot.providers.items()}
    count = Counter(provider for _, provider in pairs)
    return {
        endpoint: providers.get(provider, provider)
        if count[provider] == 1
        else f"{providers.get(provider, provider)} ({tags.get(endpoint, endpoint)})"
        for endpoint, provider in pairs
    }


def _unit(window: Window) -> str:
    return "Hour" if window.is_by_hour else "Day"


def _label(start_ms: int, window: Window) -> str:
    moment = datetime.fromtimestamp(start_ms // _MS_PER_S, UTC)
    day = f"{moment:%b} {moment.day}"
    return f"{day}, {moment:%H:%M}" if window.is_by_hour else f"{day}, {moment.year}"


def _day(start_ms: int) -> tuple[int, str]:
    return start_ms // _MS_PER_S, shown.date(start_ms // _MS_PER_S)
