"""`/activity`: what is asked of it, as its address says, and what it shows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from fairlead.control.generations.types import Cursor
from fairlead.control.usage.calendar import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    day_start_ms,
    month_after_ms,
    month_start_ms,
)
from fairlead.control.usage.dimensions import Dimension
from fairlead.control.usage.spans import Granularity, Span, starts_ms
from fairlead.control.usage.types import Chart as Sums
from fairlead.control.usage.types import Names, Resolution
from fairlead.core.catalog import Snapshot
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.web.pages.call_rows import ANY_CALL, CallFilters, CallRow, cursor_of
from fairlead.web.pages.charts import Chart, chart, distinct
from fairlead.web.pages.generation_view import provider_name
from fairlead.web.pages.paging import addressed
from fairlead.web.pages.shown import (
    compact,
    count,
    date,
    dollars,
    money,
    share,
)
from fairlead.web.reading import is_digest

__all__ = [
    "BY",
    "MEASURES",
    "PERIODS",
    "Activity",
    "Asked",
    "Charts",
    "Period",
    "Stretch",
    "Totals",
    "asked_of",
    "charts_of",
    "label_of",
    "period_links",
    "stretch",
    "totals_of",
]

# What every chart and table here is made of, in this order.
MEASURES: Final = (
    "cost_nano",
    "prompt_tokens",
    "completion_tokens",
    "requests",
    "byok_nano",
    "cached_tokens",
    "failed",
)
BIGGEST: Final = 7  # told apart in charts; with the others, as many as there are colours
_MS_PER_S: Final = 1000
_WORD_MAX: Final = 200


class Period(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


PERIODS: Final = (
    (Period.HOUR, "1 hour"),
    (Period.DAY, "24 hours"),
    (Period.WEEK, "7 days"),
    (Period.MONTH, "30 days"),
    (Period.YEAR, "12 months"),
)
BY: Final = {
    "model": ("Model", Dimension.MODEL),
    "provider": ("Provider", Dimension.PROVIDER),
    "key": ("API key", Dimension.API_KEY),
    "app": ("App", Dimension.APP),
    "member": ("Member", Dimension.USER),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address says. key: the hash of one. app: its number. calls: which of those in the table. before:
    where its page begins."""

    period: Period = Period.MONTH
    by: str = "model"
    model: str = ""
    provider: str = ""
    key: str = ""
    app: int = 0
    calls: CallFilters = ANY_CALL
    before: Cursor | None = None

    @property
    def is_filtered(self) -> bool:
        return bool(self.model or self.provider or self.key or self.app) or not self.calls.is_any

    @property
    def dimension(self) -> Dimension:
        return BY[self.by][1]

    @property
    def unit(self) -> str:
        return BY[self.by][0]

    def _chosen(self) -> Mapping[str, str]:
        """Without what goes without saying."""
        usual = Asked()
        return {
            "period": self.period.value if self.period is not usual.period else "",
            "by": self.by if self.by != usual.by else "",
            "model": self.model,
            "provider": self.provider,
            "key": self.key,
            "app": str(self.app or ""),
            **self.calls.chosen,
            "before": "" if self.before is None else f"{self.before.created_ms}-{self.before.id}",
        }

    @property
    def kept(self) -> Mapping[str, str]:
        """What stays as it is where other calls are chosen."""
        changes = {*self.calls.chosen, "before"}
        return {name: value for name, value in self._chosen().items() if name not in changes}

    def address(self, path: str = "/activity", *, metric: str = "") -> str:
        return addressed(path, {**self._chosen(), "metric": metric})


def asked_of(query: Mapping[str, str]) -> Asked:
    """Whatever makes no sense is as if it were not there."""
    try:
        period = Period(query.get("period", ""))
    except ValueError:
        period = Asked().period
    by = query.get("by", "")
    key = query.get("key", "")
    app = query.get("app", "")
    return Asked(
        period,
        by if by in BY else Asked().by,
        _word(query.get("model", "")),
        _word(query.get("provider", "")),
        key if is_digest(key) else "",
        int(app) if app.isascii() and app.isdigit() and len(app) <= 15 else 0,
        CallFilters.of(query),
        cursor_of(query.get("before", "")),
    )


def _word(text: str) -> str:
    return text if text.isprintable() and len(text) <= _WORD_MAX else ""


# --- the time that is shown -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stretch:
    """From start_ms to before end_ms, in buckets. said: as people call it."""

    start_ms: int
    end_ms: int
    granularity: Granularity
    starts: tuple[int, ...]
    said: str

    @property
    def unit(self) -> str:
        return self.granularity.value.capitalize()

    def label(self, start_ms: int) -> str:
        when = datetime.fromtimestamp(start_ms // _MS_PER_S, UTC)
        match self.granularity:
            case Granularity.MINUTE | Granularity.HOUR:
                return f"{when:%b} {when.day}, {when:%H:%M}"
            case Granularity.MONTH:
                return f"{when:%b %Y}"
            case _:
                return date(start_ms / _MS_PER_S)


def stretch(period: Period, now_ms: int) -> Stretch:
    """With the bucket that is not over yet."""
    match period:
        case Period.HOUR:
            end_ms = now_ms - now_ms % MINUTE_MS + MINUTE_MS
            start_ms, granularity = end_ms - HOUR_MS, Granularity.MINUTE
        case Period.DAY:
            end_ms = now_ms - now_ms % HOUR_MS + HOUR_MS
            start_ms, granularity = end_ms - DAY_MS, Granularity.HOUR
        case Period.WEEK | Period.MONTH:
            days = 7 if period is Period.WEEK else 30
            end_ms = day_start_ms(now_ms) + DAY_MS
            start_ms, granularity = end_ms - days * DAY_MS, Granularity.DAY
        case _:
            end_ms = month_after_ms(now_ms)
            start_ms, granularity = month_start_ms(now_ms), Granularity.MONTH
            for _ in range(11):
                start_ms = month_start_ms(start_ms - 1)
    span = Span(Resolution(granularity.value), start_ms, end_ms)
    return Stretch(start_ms, end_ms, granularity, tuple(starts_ms(span)), dict(PERIODS)[period])


# --- what was used ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Totals:
    """Of everything that is asked for."""

    cost: NanoUSD
    prompt_tokens: int
    completion_tokens: int
    requests: int
    byok: NanoUSD
    cached_tokens: int
    failed: int

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


def totals_of(sums: Sums) -> Totals:
    summed = [sum(column) for column in zip(*sums.sums.values(), *sums.rest.values(), strict=True)]
    cost, prompt, completion, requests, byok, cached, failed = summed or [0] * len(MEASURES)
    return Totals(NanoUSD(cost), prompt, completion, requests, NanoUSD(byok), cached, failed)


@dataclass(frozen=True, slots=True)
class Charts:
    """The same groups in each, in the same colours. Each with what one sees in it, in a sentence."""

    spend: Chart
    tokens: Chart
    requests: Chart
    spend_said: str
    tokens_said: str
    requests_said: str


def charts_of(
    sums: Sums, time: Stretch, label: Callable[[str | int | bool], str], unit: str
) -> Charts:
    names = distinct(_shortly([label(value) for value in sums.biggest], unit))
    has_rest = any(any(counted) for counted in sums.rest.values())
    series = [*names, *(["All others"] if has_rest else [])]
    nothing = [0] * len(MEASURES)

    def drawn(
        value: Callable[[Sequence[int]], int],
        written: Callable[[float | int | None], str],
        scale: int = 1,
    ) -> tuple[Chart, str]:
        rows: list[tuple[int, str, Sequence[float | int | None]]] = []
        of_each = [0] * len(series)
        for start_ms in time.starts:
            counted = [sums.sums.get((start_ms, one), nothing) for one in sums.biggest]
            if has_rest:
                counted.append(sums.rest.get(start_ms, nothing))
            values = [value(one) for one in counted]
            of_each = [before + now for before, now in zip(of_each, values, strict=True)]
            shown = values if scale == 1 else [one / scale for one in values]
            rows.append((start_ms // _MS_PER_S, time.label(start_ms), shown))
        # Nothing at all is no row of zeros: the page says so instead.
        if not any(of_each):
            rows = []
        return chart(time.unit, series, rows, written=written), _said(series, of_each, unit)

    spend, spend_said = drawn(lambda one: one[0], _dollars_of, NANO_PER_USD)
    tokens, tokens_said = drawn(lambda one: one[1] + one[2], count)
    requests, requests_said = drawn(lambda one: one[3], count)
    return Charts(spend, tokens, requests, spend_said, tokens_said, requests_said)


def _said(series: Sequence[str], of_each: Sequence[int], unit: str) -> str:
    whole = sum(of_each)
    if not whole:
        return "Nothing in this time."
    most = max(range(len(series)), key=lambda place: of_each[place])
    if len(series) == 1:
        return f"All of it is one {unit.lower()}: {series[0]}."
    return f"The most is {series[most]}, {share(of_each[most] / whole)} of it."


def _dollars_of(value: float | None) -> str:
    """Exact to some millions of dollars, as far as a number in a script is."""
    return dollars(None if value is None else round(value * NANO_PER_USD))


def _shortly(names: Sequence[str], unit: str) -> Sequence[str]:
    """Models without their authors, if they differ without: labels beside a chart have little room."""
    if unit != BY["model"][0]:
        return names
    short = [name.rpartition("/")[2] for name in names]
    return short if len(set(short)) == len(short) else names


def label_of(
    dimension: Dimension, value: str | int | bool, names: Names, snapshot: Snapshot
) -> str:
    """What people call a value of a dimension."""
    match dimension:
        case Dimension.PROVIDER:
            return provider_name(str(value), snapshot)
        case Dimension.API_KEY:
            key = names.keys.get(str(value))
            return "A deleted key" if key is None else key.name
        case Dimension.APP:
            app = names.apps.get(int(value))
            return "No app" if app is None else app.title or app.identity
        case Dimension.USER:
            return names.emails.get(str(value)) or "Nobody in particular"
        case _:
            return str(value)


# --- calls ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Activity:
    """periods, groupings: name, label and address. options: of each filter, pairs of value and label.

    is_own: the calls are their own only.
    """

    asked: Asked
    time: Stretch
    totals: Totals
    charts: Charts
    periods: tuple[tuple[str, str, str], ...]
    groupings: tuple[tuple[str, str], ...]
    options: Mapping[str, Sequence[tuple[str, str]]]
    rows: tuple[CallRow, ...]
    is_own: bool
    newest: str | None
    older: str | None
    exports: tuple[tuple[str, str], ...]

    @property
    def unfiltered(self) -> str:
        """The same time and groups, of everything."""
        return Asked(self.asked.period, self.asked.by).address()

    @property
    def spend(self) -> str:
        return money(self.totals.cost)

    @property
    def spend_note(self) -> str:
        if not self.totals.byok:
            return ""
        return f"and {dollars(self.totals.byok)} at list prices with your own provider keys"

    @property
    def tokens(self) -> str:
        return compact(self.totals.tokens)

    @property
    def tokens_note(self) -> str:
        return (
            f"{compact(self.totals.prompt_tokens)} in, {compact(self.totals.completion_tokens)} out"
        )

    @property
    def requests(self) -> str:
        return count(self.totals.requests)

    @property
    def requests_note(self) -> str:
        if not self.totals.requests:
            return ""
        return f"{count(self.totals.failed)} failed" if self.totals.failed else "none failed"

    @property
    def cached(self) -> str:
        prompt = self.totals.prompt_tokens
        return share(self.totals.cached_tokens / prompt) if prompt else share(None)


def period_links(asked: Asked) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (period.value, said, replace(asked, period=period, before=None).address())
        for period, said in PERIODS
    )
