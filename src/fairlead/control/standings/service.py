"""What everybody may see of how this installation is used: rankings, a model's activity, endpoints' history.

All of it is read from sums of the whole installation, which settlers keep: no account's are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from fairlead.control.standings import rules
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
    PublicApp,
    Rankings,
    Shares,
    Speed,
    Subject,
    Uptimes,
    Window,
)
from fairlead.control.usage.calendar import DAY_MS, HOUR_MS, day_start_ms
from fairlead.control.usage.dimensions import Dimension, Filter, Operator
from fairlead.control.usage.endpoints import EndpointSpan
from fairlead.control.usage.service import Usage
from fairlead.control.usage.spans import Granularity
from fairlead.control.usage.types import INSTALLATION, Resolution

__all__ = ["ACTIVITY_DAYS", "Standings"]

ACTIVITY_DAYS: Final = 90
SHARES_SHOWN: Final = 10
NAMES_MAX: Final = 400  # that a question names; beyond, all are read
_OF_MODELS: Final = frozenset({Subject.MODEL, Subject.AUTHOR})
_TALLY: Final = ("prompt_tokens", "completion_tokens", "requests")
_OF_DAY: Final = (
    "requests", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "tool_calls",
)  # fmt: skip


class Standings:
    """Methods block: call them in one of the database's threads; DatabaseUnreadable.

    standings = Standings(usage, now_ms=clock.now_ms)
    """

    def __init__(self, usage: Usage, *, now_ms: Callable[[], int]) -> None:
        self._usage = usage
        self._now_ms = now_ms

    def rankings(
        self, subject: Subject, period: Period, *, category: str | None = None
    ) -> Rankings:
        """Most tokens first.

        category: only calls of public apps in it; one of usage.apps.CATEGORIES or CATEGORY_GROUPS. Raises
        CategoryUnknown.
        """
        wanted = None if category is None else rules.categories_in(category)
        return self._rankings(subject, period, wanted=wanted)

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
        assert 0 < shown <= SHARED_MAX
        wanted = None if category is None else rules.categories_in(category)
        granularity = period.shared_by
        starts_ms = rules.share_starts_ms(granularity, self._now_ms())
        if subject in _OF_MODELS:
            counted = self._most_over_time(
                subject, starts_ms[0], granularity=granularity, wanted=wanted, shown=shown
            )
        else:
            counted = self._counted(
                subject, starts_ms[0], self._tomorrow_ms(), granularity=granularity, wanted=wanted
            )
        return rules.shares(subject, granularity, starts_ms, counted, shown=shown)

    def apps_of_model(self, model: str, period: Period = Period.WEEK) -> Rankings:
        """Public apps by what they asked of a model."""
        return self._rankings(Subject.APP, period, filters=(_equals(Dimension.MODEL, model),))

    def app(
        self, address: str, period: Period = Period.WEEK, *, days: int = ACTIVITY_DAYS
    ) -> AppStanding | None:
        """None: there is none with this address, or it is not for everybody."""
        found = self._usage.app(address)
        if found is None or not found.is_public:
            return None
        of_app = _equals(Dimension.APP, found.id)
        models = self._rankings(Subject.MODEL, period, filters=(of_app,))
        return AppStanding(rules.public(found), models, self._days(days, of_app))

    def model_activity(self, model: str, *, days: int = ACTIVITY_DAYS) -> ModelActivity:
        """Of the last `days` days, today included."""
        return ModelActivity(model, self._days(days, _equals(Dimension.MODEL, model)))

    def weekly_tokens(self) -> dict[str, int]:
        """Of the last seven days, by model; those without calls are missing."""
        start_ms = self._tomorrow_ms() - Period.WEEK.days * DAY_MS
        return {
            one.model: one.tokens
            for one in self._counted(Subject.MODEL, start_ms, self._tomorrow_ms())
        }

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

    def uptimes(
        self, window: Window, *, model: str | None = None, only_failing: bool = False
    ) -> Uptimes:
        """Of all endpoints, or of a model's. only_failing: successes of other hours or days than those in which
        something failed are left out."""
        starts_ms = rules.window_starts_ms(window, self._now_ms())
        resolution, end_ms = _read_as(window, starts_ms)
        rows = self._usage.endpoint_outcomes(
            resolution,
            start_ms=starts_ms[0],
            end_ms=end_ms,
            model=model,
            only_failing=only_failing,
        )
        return Uptimes(window, starts_ms, rules.uptimes(rows, starts_ms))

    def provider_uptimes(self, window: Window) -> ProviderUptimes:
        starts_ms = rules.window_starts_ms(window, self._now_ms())
        resolution, end_ms = _read_as(window, starts_ms)
        rows = self._usage.provider_outcomes(resolution, start_ms=starts_ms[0], end_ms=end_ms)
        return ProviderUptimes(window, starts_ms, rules.provider_uptimes(rows, starts_ms))

    def _rankings(
        self,
        subject: Subject,
        period: Period,
        *,
        wanted: frozenset[str] | None = None,
        filters: Sequence[Filter] = (),
    ) -> Rankings:
        end_ms = self._tomorrow_ms()
        start_ms = end_ms - period.days * DAY_MS
        before_ms = start_ms - period.days * DAY_MS
        if wanted is not None and subject in _OF_MODELS:
            filters = self._of_categories(before_ms, end_ms, wanted)
        now = self._counted(subject, start_ms, end_ms, wanted=wanted, filters=filters)
        before = self._counted(subject, before_ms, start_ms, wanted=wanted, filters=filters)
        return rules.rankings(
            subject, period, now, before, start_ms=start_ms, end_ms=self._now_ms()
        )

    def _most_over_time(
        self,
        subject: Subject,
        start_ms: int,
        *,
        granularity: Granularity,
        wanted: frozenset[str] | None,
        shown: int,
    ) -> list[Counted]:
        """The models that are shown by themselves, and all others of a bucket together: however many models
        there are, few rows come back."""
        end_ms = self._tomorrow_ms()
        only: Sequence[Filter] = ()
        if wanted is not None:
            only = self._of_categories(start_ms, end_ms, wanted)
            if not only:
                return self._counted(
                    subject, start_ms, end_ms, granularity=granularity, wanted=wanted
                )
        totals = self._counted(subject, start_ms, end_ms, wanted=wanted, filters=only)
        models = rules.models_of_the_most(subject, totals, shown=shown)
        if len(models) > NAMES_MAX:
            models = frozenset()
        chosen = self._counted(
            subject, start_ms, end_ms, granularity=granularity, wanted=wanted,
            filters=[*only, Filter(Dimension.MODEL, Operator.IN, tuple(models))] if models else only,
        )  # fmt: skip
        whole = self._usage.sums(
            INSTALLATION, start_ms=start_ms, end_ms=end_ms, measures=_TALLY,
            granularity=granularity, filters=only,
        )  # fmt: skip
        return rules.with_the_rest(
            chosen,
            {start: prompt + completion for (start,), (prompt, completion, _) in whole.items()},
        )

    def _counted(
        self,
        subject: Subject,
        start_ms: int,
        end_ms: int,
        *,
        granularity: Granularity | None = None,
        wanted: frozenset[str] | None = None,
        filters: Sequence[Filter] = (),
    ) -> list[Counted]:
        """As much as the subject must be told apart by. wanted: categories."""
        of_models = subject in _OF_MODELS
        of_apps = not of_models
        if of_models and wanted is not None and not filters:
            filters = self._of_categories(start_ms, end_ms, wanted)
            of_apps = not filters
        dimensions = [Dimension.APP] * of_apps + [Dimension.MODEL] * of_models
        sums = self._usage.sums(
            INSTALLATION, start_ms=start_ms, end_ms=end_ms, measures=_TALLY,
            granularity=granularity, dimensions=dimensions, filters=filters,
        )  # fmt: skip
        apps = self._public({group[1] for group in sums}, wanted) if of_apps else {}
        return [
            Counted(
                group[0],
                apps[group[1]] if of_apps else None,
                group[-1] if of_models else "",
                prompt + completion,
                requests,
            )
            for group, (prompt, completion, requests) in sums.items()
            if not of_apps or group[1] in apps
        ]

    def _of_categories(self, start_ms: int, end_ms: int, wanted: frozenset[str]) -> list[Filter]:
        """For calls of apps of these categories alone. Empty: there are no such apps, or too many to name."""
        sums = self._usage.sums(
            INSTALLATION, start_ms=start_ms, end_ms=end_ms, measures=_TALLY[:1],
            dimensions=[Dimension.APP],
        )  # fmt: skip
        apps = self._public({app for _, app in sums}, wanted)
        if not 0 < len(apps) <= NAMES_MAX:
            return []
        return [Filter(Dimension.APP, Operator.IN, tuple(apps))]

    def _public(self, ids: Collection[int], wanted: frozenset[str] | None) -> dict[int, PublicApp]:
        """Those of these apps that everybody may know, and are in a wanted category."""
        return {
            one.id: rules.public(one)
            for one in self._usage.apps(ids).values()
            if one.is_public and (wanted is None or not wanted.isdisjoint(one.categories))
        }

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


def _equals(dimension: Dimension, value: str | int) -> Filter:
    return Filter(dimension, Operator.EQ, (value,))


def _read_as(window: Window, starts_ms: Sequence[int]) -> tuple[Resolution, int]:
    """The sums that a window is read from, and where it ends."""
    if window.is_by_hour:
        return Resolution.HOUR, starts_ms[-1] + HOUR_MS
    return Resolution.DAY, starts_ms[-1] + DAY_MS
