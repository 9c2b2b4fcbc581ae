"""SQL that reads what is published: days of the whole installation, less the private calls of them.

What a time and level have is one range of a primary key for each of the two, a few hundred rows a day. Names
are read apart: joining each sum with its series takes twice as long.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import sqlalchemy as sa

from fairlead.control.datasets.dates import DateRange
from fairlead.control.datasets.types import Counted, Most
from fairlead.control.usage.sum_queries import is_one_of
from fairlead.control.usage.types import INSTALLATION, PRIVATE, Level
from fairlead.store.tables.usage import usage_days, usage_series

__all__ = ["most_used_apps", "most_used_models", "names_of_models"]


_DAYS: Final = usage_days.c
# Private calls are in the installation's sums, and once more in their own.
_SIGN: Final = sa.case((_DAYS.account_id == PRIVATE, -1), else_=1)


def _sum(column: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.sum(_SIGN * column), sa.BigInteger)


_TOKENS: Final = _sum(_DAYS.prompt_tokens + _DAYS.completion_tokens)


def names_of_models(connection: sa.Connection) -> dict[int, str]:
    """Of all series of models alone, by their numbers."""
    return _names(connection, usage_series.c.model, Level.MODEL_ALONE)


def most_used_models(
    connection: sa.Connection,
    days: DateRange,
    names: Mapping[int, str],
    *,
    limit: int,
    only: Collection[int] | None = None,
    unnamed: Collection[str] = (),
    with_tools: bool = False,
) -> Most:
    """names: of models, by series. only: of these series; None: of all. unnamed: models that count for the
    whole and have no row. with_tools: those that called tools.
    """
    query = _counted(Level.MODEL_ALONE, days)
    if only is not None:
        query = query.where(is_one_of(connection, _DAYS.series_id, only))
    if with_tools:
        query = query.having(_sum(_DAYS.tool_calls) > 0)
    most = _most(connection, query, names, limit=limit + len(unnamed))
    named = tuple(one for one in most.rows if one.name not in unnamed)
    return Most(named[:limit], most.tokens)


def most_used_apps(connection: sa.Connection, days: DateRange, *, limit: int) -> Most:
    """Of all apps, also those that are in no ranking."""
    names = _names(connection, usage_series.c.app_id, Level.APP_ALONE)
    return _most(connection, _counted(Level.APP_ALONE, days), names, limit=limit)


def _names(connection: sa.Connection, column: sa.Column[Any], level: Level) -> dict[int, Any]:
    rows = connection.execute(
        sa.select(usage_series.c.id, column).where(
            usage_series.c.account_id == INSTALLATION, usage_series.c.level == int(level)
        )
    )
    return {row[0]: row[1] for row in rows}


def _counted(level: Level, days: DateRange) -> sa.Select[Any]:
    return (
        sa.select(_DAYS.series_id, _TOKENS.label("tokens"), _sum(_DAYS.requests).label("requests"))
        .where(
            _DAYS.account_id.in_([INSTALLATION, PRIVATE]),
            _DAYS.level == int(level),
            _DAYS.start_ms >= days.start_ms,
            _DAYS.start_ms < days.end_ms,
        )
        .group_by(_DAYS.series_id)
        .having(_TOKENS > 0)
    )


def _most(
    connection: sa.Connection, query: sa.Select[Any], names: Mapping[int, Any], *, limit: int
) -> Most:
    columns = query.subquery().c
    whole = sa.cast(sa.func.sum(columns.tokens).over(), sa.BigInteger)
    rows = connection.execute(
        sa.select(columns.series_id, columns.tokens, columns.requests, whole)
        .order_by(columns.tokens.desc(), columns.series_id)
        .limit(limit)
    ).all()
    counted = [
        Counted(names[series], tokens, requests)
        for series, tokens, requests, _ in rows
        if series in names  # else it began after the names were read
    ]
    counted.sort(key=lambda one: (-one.tokens, one.name))
    return Most(tuple(counted), rows[0][3] if rows else 0)
