"""SQL that reads what is published: days of the whole installation, less the private calls of them.

What a time and level have is one range of a primary key for each of the two, a few hundred rows a day.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import sqlalchemy as sa

from fairlead.control.datasets.dates import DateRange
from fairlead.control.datasets.types import Counted, Most
from fairlead.control.usage.types import INSTALLATION, PRIVATE, Level
from fairlead.store.tables.usage import usage_days, usage_series

__all__ = ["most_used_apps", "most_used_models"]


_DAYS: Final = usage_days.c
# Private calls are in the installation's sums, and once more in their own.
_SIGN: Final = sa.case((_DAYS.account_id == PRIVATE, -1), else_=1)


def _sum(column: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.sum(_SIGN * column), sa.BigInteger)


_TOKENS: Final = _sum(_DAYS.prompt_tokens + _DAYS.completion_tokens)


def most_used_models(
    connection: sa.Connection,
    days: DateRange,
    *,
    limit: int,
    only: Collection[str] | None = None,
    unnamed: Collection[str] = (),
    with_tools: bool = False,
) -> Most:
    """only: of these models; None: of all. unnamed: they count for the whole and have no row. with_tools: those
    that called tools.
    """
    name = usage_series.c.model
    query = _counted(name, Level.MODEL_ALONE, days)
    if only is not None:
        query = query.where(name.in_(list(only)))
    if with_tools:
        query = query.having(_sum(_DAYS.tool_calls) > 0)
    most = _most(connection, query, limit=limit + len(unnamed))
    named = tuple(one for one in most.rows if one.name not in unnamed)
    return Most(named[:limit], most.tokens)


def most_used_apps(connection: sa.Connection, days: DateRange, *, limit: int) -> Most:
    """Of all apps, also those that are in no ranking."""
    return _most(connection, _counted(usage_series.c.app_id, Level.APP_ALONE, days), limit=limit)


def _counted(name: sa.Column[Any], level: Level, days: DateRange) -> sa.Select[Any]:
    return (
        sa.select(
            name.label("name"),
            _TOKENS.label("tokens"),
            _sum(_DAYS.requests).label("requests"),
        )
        .join_from(usage_days, usage_series, usage_series.c.id == _DAYS.series_id)
        .where(
            _DAYS.account_id.in_([INSTALLATION, PRIVATE]),
            _DAYS.level == int(level),
            _DAYS.start_ms >= days.start_ms,
            _DAYS.start_ms < days.end_ms,
        )
        .group_by(name)
        .having(_TOKENS > 0)
    )


def _most(connection: sa.Connection, query: sa.Select[Any], *, limit: int) -> Most:
    columns = query.subquery().c
    whole = sa.cast(sa.func.sum(columns.tokens).over(), sa.BigInteger)
    rows = connection.execute(
        sa.select(columns.name, columns.tokens, columns.requests, whole)
        .order_by(columns.tokens.desc(), columns.name)
        .limit(limit)
    ).all()
    # Databases differ in what comes first of two names.
    counted = sorted((Counted(*row[:3]) for row in rows), key=lambda one: (-one.tokens, one.name))
    return Most(tuple(counted), rows[0][3] if rows else 0)
