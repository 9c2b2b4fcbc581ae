"""What everybody may see of how this installation is used: rankings, a model's activity, endpoints' history.

All of it is read from sums of the whole installation, which settlers keep: no account's are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from fairlead.control.datasets.rules import WINDOWS_BEFORE
from fairlead.control.standings import queries, rules
from fairlead.control.standings.incidents import Incident, incidents
from fairlead.control.standings.kept import MARKED_BY, KeptSums
from fairlead.control.standings.queries import Series
from fairlead.control.standings.rules import Counted
from fairlead.control.standings.types import (
    ACTIVITY_DAYS_MAX,
    SHARED_MAX,
    AppStanding,
    DayOfModel,
    Histories,
    ModelActivity,
    Period,
    ProviderHistory,
    ProviderUptimes,
    Rankings,
    Shares,
    Speed,
    Subject,
    Told,
    Uptimes,
    Window,
)
from fairlead.control.usage.calendar import DAY_MS, HOUR_MS, day_start_ms
from fairlead.control.usage.dimensions import Dimension, Filter, Operator
from fairlead.control.usage.endpoints import EndpointSpan
from fairlead.control.usage.service import Usage
from fairlead.control.usage.spans import Granularity, Span, spans
from fairlead.control.usage.types import INSTALLATION, Level, Resolution
from fairlead.store.database import Database

__all__ = ["ACTIVITY_DAYS", "Standings"]

ACTIVITY_DAYS: Final = 90
SHARES_SHOWN: Final = 10
_OF_MODELS: Final = frozenset({Subject.MODEL, Subject.AUTHOR})
# Of which there are sums of all that is ranked, the coarsest first.
_RESOLUTIONS: Final = (Resolution.MONTH, Resolution.WEEK, Resolution.DAY)
_OF_DAY: Final = (
    "requests", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "tool_calls",
)  # fmt: skip


class Standings:
    """Methods block: call them in one of the database's threads; DatabaseUnreadable.

    standings = Standings(database, usage, now_ms=clock.now_ms)
    """

    def __init__(self, database: Database, usage: Usage, *, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._usage = usage
        self._now_ms = now_ms
        self._kept = KeptSums()

    def rankings(
        self, subject: Subject, period: Period, *, category: str | None = None
    ) -> Rankings:
        """Most tokens first.

        category: only calls of public apps in it; one of usage.apps.CATEGORIES or CATEGORY_GROUPS. Raises
        CategoryUnknown.
        """
        with self._database.read() as connection:
            series = _series(connection, subject, category)
            return self._rankings(connection, subject, period, series)

    def rankings_and_shares(
        self, subject: Subject, period: Period, *, shown: int, category: str | None = None
    ) -> tuple[Rankings, Shares]:
        """As both of these: sooner, and from one moment."""
        with self._database.read() as connection:
            series = _series(connection, subject, category)
            return (
                self._rankings(connection, subject, period, series),
                self._shares(connection, subject, period, series, shown=shown),
            )

    def trending_apps(self, period: Period, *, category: str | None = None) -> Rankings:
        """Those with more tokens than is usual for them, the most more first. category: as for `rankings`."""
        start_ms, now, before = self._spans(period, windows_before=WINDOWS_BEFORE)
        with self._database.read() as connection:
            series = _series(connection, Subject.APP, category)
            return rules.trending_apps(
                period,
                series.members,
                list(queries.counted(connection, series, now, "tokens", "requests")),
                queries.counted(connection, series, before, "tokens"),
                start_ms=start_ms,
                end_ms=self._now_ms(),
            )

    def shares(
        self,
        subject: Subject,
        period: Period,
        *,
        shown: int = SHARES_SHOWN,
        category: str | None = None,
    ) -> Shares:
        """Over 30 days, 52 weeks or 24 months; see Period.shared_by. shown: at most SHARED_MAX. category: as
        for `rankings`."""
        with self._database.read() as connection:
            series = _series(connection, subject, category)
            return self._shares(connection, subject, period, series, shown=shown)

    def apps_of_model(self, model: str, period: Period = Period.WEEK) -> Rankings:
        """Public apps by what they asked of a model."""
        with self._database.read() as connection:
            series = queries.series_by_app(connection, Level.APP, queries.of_model(model))
            return self._rankings(connection, Subject.APP, period, series)

    def app(
        self, address: str, period: Period = Period.WEEK, *, days: int = ACTIVITY_DAYS
    ) -> AppStanding | None:
        """None: there is none with this address, or it is not for everybody."""
        found = self._usage.app(address)
        if found is None or not found.is_public:
            return None
        with self._database.read() as connection:
            series = queries.series_by_model(connection, Level.APP, queries.of_app(found.id))
            models = self._rankings(connection, Subject.MODEL, period, series)
        of_app = _equals(Dimension.APP, found.id)
        return AppStanding(rules.public(found), models, self._days(days, of_app))

    def model_activity(self, model: str, *, days: int = ACTIVITY_DAYS) -> ModelActivity:
        """Of the last `days` days, today included."""
        return ModelActivity(model, self._days(days, _equals(Dimension.MODEL, model)))

    def weekly_tokens(self) -> dict[str, int]:
        """Of the last seven days, by model; those without calls are missing."""
        end_ms = self._tomorrow_ms()
        week = _cover(end_ms - Period.WEEK.days * DAY_MS, end_ms)
        with self._database.read() as connection:
            series = _series(connection, Subject.MODEL)
            counted = list(self._counted(connection, series, week))
        members = series.members
        every = zip(members.names, members.added(counted), members.added(counted, 1), strict=True)
        return {str(model): tokens for model, tokens, requests in every if requests}

    def weekly_speeds(self) -> dict[str, Speed]:
        """Means over calls of the last seven days, by model; those without calls are missing."""
        end_ms = self._tomorrow_ms()
        rows = self._usage.model_speeds(
            Resolution.DAY, start_ms=end_ms - Period.WEEK.days * DAY_MS, end_ms=end_ms
        )
        return {model: rules.speed(*sums) for model, *sums in rows}

    def histories(self, model: str, window: Window) -> Histories:
        """How the model's endpoints did: calls, uptime, latency and pace, also their percentiles."""
        starts_ms = rules.window_starts_ms(window, self._now_ms())
        resolution, end_ms = _read_as(window, starts_ms)
        spans = self._usage.endpoint_history(
            resolution, start_ms=starts_ms[0], end_ms=end_ms, model=model
        )
        return Histories(window, starts_ms, rules.histories(spans))

    def provider_history(self, provider: str, window: Window) -> ProviderHistory:
        """How all endpoints of a provider did together."""
        starts_ms = rules.window_starts_ms(window, self._now_ms())
        resolution, end_ms = _read_as(window, starts_ms)
        spans = self._usage.provider_history(
            resolution, provider, start_ms=starts_ms[0], end_ms=end_ms
        )
        return ProviderHistory(window, starts_ms, tuple(spans))

    def wholes_at(
        self, provider: str, models: Collection[str], window: Window
    ) -> dict[str, EndpointSpan]:
        """By endpoint: how those of a provider did over the whole window. models: as many as a page shows."""
        starts_ms = rules.window_starts_ms(window, self._now_ms())
        resolution, end_ms = _read_as(window, starts_ms)
        wholes = self._usage.endpoint_wholes(
            resolution, provider, models, start_ms=starts_ms[0], end_ms=end_ms
        )
        return {one.endpoint: one for one in wholes}

    def uptimes(self, window: Window, *, model: str | None = None) -> Uptimes:
        """Of all endpoints, or of a model's."""
        starts_ms = rules.window_starts_ms(window, self._now_ms())
        resolution, end_ms = _read_as(window, starts_ms)
        rows = self._usage.endpoint_outcomes(
            resolution, start_ms=starts_ms[0], end_ms=end_ms, model=model
        )
        return Uptimes(window, starts_ms, rules.uptimes(rows, starts_ms))

    def provider_uptimes(self, window: Window) -> ProviderUptimes:
        starts_ms = rules.window_starts_ms(window, self._now_ms())
        resolution, end_ms = _read_as(window, starts_ms)
        with self._database.read() as connection:
            rows = queries.provider_outcomes(
                connection, resolution, start_ms=starts_ms[0], end_ms=end_ms
            )
        return ProviderUptimes(window, starts_ms, rules.provider_uptimes(rows, starts_ms))

    def provider_totals(self, window: Window) -> dict[str, Told]:
        """Of all that had calls, by name."""
        starts_ms = rules.window_starts_ms(window, self._now_ms())
        resolution, end_ms = _read_as(window, starts_ms)
        with self._database.read() as connection:
            return queries.provider_totals(
                connection, resolution, start_ms=starts_ms[0], end_ms=end_ms
            )

    def incidents(self) -> tuple[Incident, ...]:
        """Of the last seven days; see there."""
        starts_ms = rules.window_starts_ms(Window.WEEK, self._now_ms())
        resolution, end_ms = _read_as(Window.WEEK, starts_ms)
        start_ms, now_ms = starts_ms[0], starts_ms[-1]
        with self._database.read() as connection:
            now = queries.provider_totals(connection, resolution, start_ms=now_ms, end_ms=end_ms)
            return incidents(
                starts_ms,
                queries.failing_hours_of_providers(connection, start_ms=start_ms, end_ms=end_ms),
                queries.failing_hours_of_endpoints(connection, start_ms=start_ms, end_ms=end_ms),
                heard_now={provider for provider, told in now.items() if told.calls},
            )

    def _rankings(
        self, connection: sa.Connection, subject: Subject, period: Period, series: Series
    ) -> Rankings:
        start_ms, now, before = self._spans(period)
        return rules.rankings(
            subject,
            period,
            series.members,
            list(self._counted(connection, series, now)),
            self._counted(connection, series, before),
            start_ms=start_ms,
            end_ms=self._now_ms(),
        )

    def _shares(
        self,
        connection: sa.Connection,
        subject: Subject,
        period: Period,
        series: Series,
        *,
        shown: int,
    ) -> Shares:
        assert 0 < shown <= SHARED_MAX
        granularity = period.shared_by
        starts_ms = rules.share_starts_ms(granularity, self._now_ms())
        # The bucket that is now, too, is there as it is: nothing was called after now.
        span = Span(Resolution(granularity.value), starts_ms[0], starts_ms[-1] + 1)
        return rules.shares(
            subject,
            granularity,
            starts_ms,
            series.members,
            self._counted(connection, series, [span]),
            shown=shown,
        )

    def _counted(
        self, connection: sa.Connection, series: Series, spans: Iterable[Span]
    ) -> Iterator[Counted]:
        """Tokens and requests."""
        if series.level in MARKED_BY and series.sought is None:
            return self._kept.counted(connection, series, spans)
        return queries.counted(connection, series, spans, "tokens", "requests")

    def _spans(
        self, period: Period, *, windows_before: int = 1
    ) -> tuple[int, list[Span], list[Span]]:
        """When it begins, what it is read from, and what so many times its length before it is read from."""
        end_ms = self._tomorrow_ms()
        start_ms = end_ms - period.days * DAY_MS
        before_ms = start_ms - windows_before * period.days * DAY_MS
        return start_ms, _cover(start_ms, end_ms), _cover(before_ms, start_ms)

    def _days(self, days: int, only: Filter) -> tuple[DayOfModel, ...]:
        assert 0 < days <= ACTIVITY_DAYS_MAX
        end_ms = self._tomorrow_ms()
        start_ms = end_ms - days * DAY_MS
        sums = self._usage.sums(
            INSTALLATION, start_ms=start_ms, end_ms=end_ms, measures=_OF_DAY,
            granularity=Granularity.DAY, filters=(only,),
        )  # fmt: skip
        return tuple(
            DayOfModel(day_ms, *sums.get((day_ms,), ()))
            for day_ms in range(start_ms, end_ms, DAY_MS)
        )

    def _tomorrow_ms(self) -> int:
        return day_start_ms(self._now_ms()) + DAY_MS


def _series(connection: sa.Connection, subject: Subject, category: str | None = None) -> Series:
    """As much as the subject must be told apart by. Raises CategoryUnknown."""
    only = () if category is None else (queries.in_categories(rules.categories_in(category)),)
    if subject not in _OF_MODELS:
        return queries.series_by_app(connection, Level.APP_ALONE, *only)
    level = Level.APP if only else Level.MODEL_ALONE
    return queries.series_by_model(connection, level, *only)


def _cover(start_ms: int, end_ms: int) -> list[Span]:
    return spans(start_ms, end_ms, _RESOLUTIONS)


def _equals(dimension: Dimension, value: str | int) -> Filter:
    return Filter(dimension, Operator.EQ, (value,))


def _read_as(window: Window, starts_ms: Sequence[int]) -> tuple[Resolution, int]:
    """The sums that a window is read from, and where it ends."""
    if window.is_by_hour:
        return Resolution.HOUR, starts_ms[-1] + HOUR_MS
    return Resolution.DAY, starts_ms[-1] + DAY_MS
