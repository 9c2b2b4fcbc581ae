"""SQL that reads what the whole installation was used for, by model or by app.

Reading sums is cheap; handing them to Python one by one is not, nor is to join each with what its series says,
or to seek many. So the sums of one start come back as one row, of lists of numbers that go together: that takes
a third of the time of any of those. What series say is read once, and put beside their numbers in `rules`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal, TypeAlias

import msgspec
import sqlalchemy as sa

from fairlead.control.standings.incidents import FailingHour
from fairlead.control.standings.rules import Counted, Members
from fairlead.control.standings.types import PublicApp, Told
from fairlead.control.usage.keeping import TABLES
from fairlead.control.usage.spans import Span, starts_ms
from fairlead.control.usage.types import INSTALLATION, Level, Resolution
from fairlead.store.database import NAMES_MAX
from fairlead.store.tables.usage import (
    apps,
    endpoint_hours,
    provider_days,
    provider_hours,
    usage_series,
)

__all__ = [
    "Condition",
    "Mark",
    "Measure",
    "Series",
    "counted",
    "failing_hours_of_endpoints",
    "failing_hours_of_providers",
    "in_categories",
    "marks",
    "of_app",
    "of_model",
    "provider_outcomes",
    "provider_totals",
    "series_by_app",
    "series_by_model",
]

APPS_MAX: Final = 50_000  # that are told apart; some 0.2 s of reading and 30 MB
SEEK_FROM: Final = 12  # times as many series as are wanted; with fewer, reading all is faster
FAILING_MAX: Final = 50_000  # hours of endpoints in which something failed; some 0.2 s and 20 MB
_PROVIDERS: Final[Mapping[Resolution, sa.Table]] = {
    Resolution.HOUR: provider_hours,
    Resolution.DAY: provider_days,
}
_NUMBERS: Final = msgspec.json.Decoder(list[int])
_SERIES: Final = usage_series.c

Condition: TypeAlias = sa.ColumnElement[bool]  # on what series say
Measure: TypeAlias = Literal["tokens", "requests"]
Mark: TypeAlias = tuple[int, ...]  # another whenever something was added


@dataclass(frozen=True, slots=True)
class Series:
    """Of one level. sought: the numbers whose sums are looked for one by one; None: all sums are read, as there
    are not many others."""

    level: Level
    members: Members
    sought: Sequence[int] | None


def of_app(app: int) -> Condition:
    return _SERIES.app_id == app


def of_model(model: str) -> Condition:
    return _SERIES.model == model


def in_categories(wanted: Collection[str]) -> Condition:
    """Of public apps that are in at least one of them."""
    listed = sa.literal(",") + apps.c.categories + ","
    is_wanted = sa.or_(*(listed.contains(f",{one},") for one in sorted(wanted)))
    return _SERIES.app_id.in_(sa.select(apps.c.id).where(apps.c.is_public, is_wanted))


def series_by_model(connection: sa.Connection, level: Level, *conditions: Condition) -> Series:
    query = (
        sa.select(_SERIES.model, _listed(_SERIES.id))
        .where(_SERIES.account_id == INSTALLATION, _SERIES.level == int(level), *conditions)
        .group_by(_SERIES.model)
    )
    found = [(model, _numbers(listed)) for model, listed in connection.execute(query)]
    return _put_together(connection, level, found, is_all=not conditions)


def series_by_app(connection: sa.Connection, level: Level, *conditions: Condition) -> Series:
    """Of public apps; the youngest, where there are more than APPS_MAX."""
    columns = apps.c
    query = (
        sa.select(columns.id, columns.identity, columns.title, columns.categories, _SERIES.id)
        .join_from(usage_series, apps, columns.id == _SERIES.app_id)
        .where(
            _SERIES.account_id == INSTALLATION,
            _SERIES.level == int(level),
            columns.is_public,
            *conditions,
        )
        .order_by(columns.id.desc())
        .limit(APPS_MAX)
    )
    found = [
        (PublicApp(app, address, title, tuple(filter(None, categories.split(",")))), (number,))
        for app, address, title, categories, number in connection.execute(query)
    ]
    return _put_together(connection, level, found, is_all=not conditions)


def counted(
    connection: sa.Connection, series: Series, spans: Iterable[Span], *measures: Measure
) -> Iterator[Counted]:
    """By start. There are sums of other series of that level among them."""
    for span in spans:
        columns = TABLES[span.resolution].c
        every: Mapping[Measure, sa.ColumnElement[int]] = {
            "tokens": columns.prompt_tokens + columns.completion_tokens,
            "requests": columns.requests,
        }
        query = sa.select(
            columns.start_ms,
            _listed(columns.series_id),
            *(_listed(every[measure]) for measure in measures),
        ).where(columns.account_id == INSTALLATION, columns.level == int(series.level))
        if series.sought is None:
            query = query.where(columns.start_ms >= span.start_ms, columns.start_ms < span.end_ms)
        else:
            query = query.where(
                columns.start_ms.in_(starts_ms(span)), columns.series_id.in_(series.sought)
            )
        for start_ms, *lists in connection.execute(query.group_by(columns.start_ms)):
            numbers, *sums = map(_numbers, lists)
            yield Counted(start_ms, numbers, tuple(sums))


def marks(connection: sa.Connection, level: Level, span: Span) -> dict[int, Mark]:
    """Calls and tokens of all series of a level, by start."""
    columns = TABLES[span.resolution].c
    query = (
        sa.select(
            columns.start_ms,
            *map(_sum, (columns.requests, columns.prompt_tokens, columns.completion_tokens)),
        )
        .where(
            columns.account_id == INSTALLATION,
            columns.level == int(level),
            columns.start_ms >= span.start_ms,
            columns.start_ms < span.end_ms,
        )
        .group_by(columns.start_ms)
    )
    return {start_ms: tuple(mark) for start_ms, *mark in connection.execute(query)}


def provider_totals(
    connection: sa.Connection, resolution: Resolution, *, start_ms: int, end_ms: int
) -> dict[str, Told]:
    """Of providers with calls, by name."""
    columns = _PROVIDERS[resolution].c
    query = (
        sa.select(columns.provider, *map(_sum, (columns.successes, columns.outages)))
        .where(columns.start_ms >= start_ms, columns.start_ms < end_ms)
        .group_by(columns.provider)
    )
    return {name: Told(*counted) for name, *counted in connection.execute(query)}


def provider_outcomes(
    connection: sa.Connection, resolution: Resolution, *, start_ms: int, end_ms: int
) -> list[tuple[str, list[int], list[int], list[int]]]:
    """Of each provider: starts of its hours or days, and beside them successes and outages."""
    columns = _PROVIDERS[resolution].c
    query = (
        sa.select(
            columns.provider,
            *map(_listed, (columns.start_ms, columns.successes, columns.outages)),
        )
        .where(columns.start_ms >= start_ms, columns.start_ms < end_ms)
        .group_by(columns.provider)
    )
    return [
        (provider, _numbers(starts), _numbers(successes), _numbers(outages))
        for provider, starts, successes, outages in connection.execute(query)
    ]


def failing_hours_of_providers(
    connection: sa.Connection, *, start_ms: int, end_ms: int
) -> list[FailingHour]:
    columns = provider_hours.c
    query = sa.select(columns.provider, columns.start_ms, columns.successes, columns.outages).where(
        columns.start_ms >= start_ms, columns.start_ms < end_ms, columns.outages > 0
    )
    return [FailingHour(*row) for row in connection.execute(query)]


def failing_hours_of_endpoints(
    connection: sa.Connection, *, start_ms: int, end_ms: int
) -> list[FailingHour]:
    columns = endpoint_hours.c
    query = (
        sa.select(
            columns.provider,
            columns.start_ms,
            columns.successes,
            columns.outages,
            columns.endpoint,
            columns.model,
        )
        .where(columns.start_ms >= start_ms, columns.start_ms < end_ms)
        .where(sa.text("outages > 0"))  # as the index has it
        # From the end: should there be more than anybody reads, the oldest are missing.
        .order_by(columns.start_ms.desc())
        .limit(FAILING_MAX)
    )
    return [FailingHour(*row) for row in connection.execute(query)]


def _put_together(
    connection: sa.Connection,
    level: Level,
    found: Sequence[tuple[str | PublicApp, Sequence[int]]],
    *,
    is_all: bool,
) -> Series:
    numbers = list(chain.from_iterable(of_one for _, of_one in found))
    if is_all or len(numbers) > NAMES_MAX:
        return Series(level, Members(found), None)
    query = sa.select(sa.func.count()).where(
        _SERIES.account_id == INSTALLATION, _SERIES.level == int(level)
    )
    is_little = len(numbers) * SEEK_FROM <= connection.execute(query).scalar_one()
    return Series(level, Members(found), numbers if is_little else None)


def _sum(column: sa.Column[int]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.sum(column), sa.BigInteger)  # of BIGINT, it is NUMERIC in PostgreSQL


def _listed(column: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    return sa.func.aggregate_strings(sa.cast(column, sa.Text), ",")


def _numbers(listed: str) -> list[int]:
    return _NUMBERS.decode(f"[{listed}]")
