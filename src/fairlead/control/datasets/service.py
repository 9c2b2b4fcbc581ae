"""What everybody with a key may read of how this installation is used, to take away and publish.

All of it is read from sums of the whole installation without the private calls, and from medians over sessions
of many accounts.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from fairlead.control.datasets import queries, rules, session_queries
from fairlead.control.datasets.dates import FIRST_DAY, DateRange
from fairlead.control.datasets.types import (
    MODELS_PER_PERIOD,
    AppRank,
    AppSort,
    CalendarPeriod,
    Counted,
    ModelTokens,
    SessionCosts,
)
from fairlead.control.usage.service import Usage
from fairlead.store.database import Database

__all__ = ["DataSets", "slug_of"]

APPS_MAX: Final = 10_000  # that are ranked, the biggest


class DataSets:
    """Methods block: call them in one of the database's threads; DatabaseUnreadable.

    datasets = DataSets(database, usage)
    """

    def __init__(self, database: Database, usage: Usage) -> None:
        self._database = database
        self._usage = usage

    def model_rankings(
        self,
        days: DateRange,
        period: CalendarPeriod,
        *,
        only: Collection[str] | None = None,
        hidden: Collection[str] = (),
        with_tools: bool = False,
    ) -> list[ModelTokens]:
        """Of each period the MODELS_PER_PERIOD with the most tokens, then the others together; in order.

        only: of these models; None: of all. hidden: without names, so they are among the others. with_tools:
        models that called tools in that period.
        """
        found: list[ModelTokens] = []
        with self._database.read() as connection:
            names = queries.names_of_models(connection)
            series = None if only is None else [one for one in names if names[one] in only]
            for begins, within in days.periods(period):
                most = queries.most_used_models(
                    connection,
                    within,
                    names,
                    limit=MODELS_PER_PERIOD,
                    only=series,
                    unnamed=hidden,
                    with_tools=with_tools,
                )
                found += rules.with_other(begins, most)
        return found

    def app_rankings(
        self, days: DateRange, sort: AppSort, *, wanted: frozenset[str] | None = None
    ) -> list[AppRank]:
        """Public apps, all that rank. wanted: only those with one of these categories."""
        before: tuple[Counted, ...] = ()
        with self._database.read() as connection:
            now = queries.most_used_apps(connection, days, limit=APPS_MAX).rows
            if sort is AppSort.TRENDING:
                earlier = _windows_before(days)
                before = queries.most_used_apps(connection, earlier, limit=APPS_MAX).rows
        apps = self._usage.apps([one.name for one in now])
        return rules.app_ranks(now, before, apps, sort, wanted=wanted)

    def session_costs(self) -> SessionCosts | None:
        """As they were last counted; None: not yet."""
        with self._database.read() as connection:
            kept = session_queries.kept(connection)
        return None if kept is None else kept.costs


def slug_of(identity: str) -> str:
    """An app's address as data sets call it: "cline.example" for https://cline.example."""
    return identity.partition("://")[2] or identity


def _windows_before(days: DateRange) -> DateRange:
    """As many windows of the same length as trends are told by; before FIRST_DAY, too."""
    assert days.start >= FIRST_DAY
    length = timedelta(days=days.days)
    return DateRange(days.start - rules.WINDOWS_BEFORE * length, days.start - timedelta(days=1))
