"""SQL that reads sums. What is asked of an account and a time is one range of a primary key for each span."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from fairlead.control.usage.calendar import DAY_MS, LENGTH_MS, month_start_ms
from fairlead.control.usage.dimensions import Dimension, Filter, Operator, level_for
from fairlead.control.usage.keeping import TABLES
from fairlead.control.usage.samples import Sample, sample
from fairlead.control.usage.spans import Granularity, Span
from fairlead.control.usage.types import Level, Resolution
from fairlead.core.ids import KeyId
from fairlead.store.tables.generations import generations
from fairlead.store.tables.usage import (
    ENDPOINT_COUNTS,
    LATENCY_BUCKETS,
    MEASURES,
    PACE_BUCKETS,
    endpoint_days,
    endpoint_hours,
    key_usage,
    usage_series,
)

__all__ = [
    "ENDPOINT_COLUMNS",
    "GROUPS_MAX",
    "Group",
    "endpoint_sums",
    "key_rows",
    "latest_samples",
    "providers_of",
    "sums_of",
    "with_room",
]

GROUPS_MAX: Final = 50_000  # of one span; some 0.2 s of reading and 20 MB
KEYS_AT_ONCE: Final = 500
PAGES_KB: Final = 16_000  # that SQLite keeps in memory while it adds up
_PAGES_KB_OTHERWISE: Final = 2_000  # SQLite's own default
_FIRST_MONDAY_MS: Final = 4 * DAY_MS
_WEEK_MS: Final = 7 * DAY_MS

# Start of the bucket (0: not divided), then a value for each dimension.
Group: TypeAlias = tuple[Any, ...]

ENDPOINT_COLUMNS: Final = (
    *ENDPOINT_COUNTS,
    *(f"latency_{bucket}" for bucket in range(LATENCY_BUCKETS)),
    *(f"pace_{bucket}" for bucket in range(PACE_BUCKETS)),
)
_COLUMNS: Final[Mapping[Dimension, sa.Column[Any]]] = {
    Dimension.MODEL: usage_series.c.model,
    Dimension.PROVIDER: usage_series.c.provider,
    Dimension.ENDPOINT: usage_series.c.endpoint,
    Dimension.API_KEY: usage_series.c.key_id,
    Dimension.USER: usage_series.c.user_id,
    Dimension.WORKSPACE: usage_series.c.workspace_id,
    Dimension.APP: usage_series.c.app_id,
    Dimension.API_TYPE: usage_series.c.api_type,
    Dimension.BYOK: usage_series.c.is_byok,
}


def sums_of(
    connection: sa.Connection,
    account: str,
    span: Span,
    *,
    measures: Sequence[str] = MEASURES,
    granularity: Granularity | None = None,
    dimensions: Sequence[Dimension] = (),
    filters: Sequence[Filter] = (),
) -> dict[Group, list[int]]:
    """The sums of a span, at most GROUPS_MAX of them. account: INSTALLATION for all together."""
    told_apart = {*dimensions, *(one.dimension for one in filters)}
    level = level_for(account, span.resolution, told_apart)
    assert level is not None, f"of the installation nothing tells {told_apart} apart"
    table = TABLES[span.resolution]
    columns = table.c
    constant_ms = _only_bucket_ms(span, granularity)
    bucket = (
        _bucket(columns.start_ms, span, granularity)
        if constant_ms is None
        else _number(constant_ms)
    )
    groups = [bucket, *(_COLUMNS[one] for one in dimensions)]
    source: sa.FromClause = table
    if told_apart:
        source = table.join(usage_series, usage_series.c.id == columns.series_id)
    by = groups if constant_ms is None else groups[1:]
    query = (
        sa.select(
            *groups,
            *(sa.cast(sa.func.sum(columns[name]), sa.BigInteger) for name in measures),
        )
        .select_from(source)
        .where(
            columns.account_id == account,
            columns.level == int(level),
            columns.start_ms >= span.start_ms,
            columns.start_ms < span.end_ms,
            *map(_condition, filters),
        )
        .limit(GROUPS_MAX)
    )
    # Without groups there is one row of all, and nothing in it where there is nothing.
    query = query.group_by(*by) if by else query.having(sa.func.count() > 0)
    width = len(groups)
    return {tuple(row[:width]): list(row[width:]) for row in connection.execute(query)}


@contextmanager
def with_room(connection: sa.Connection) -> Iterator[sa.Connection]:
    """Adding up goes back and forth between sums and series: with room for both it takes a third of the
    time. Only SQLite must be told, and only for as long: each connection has memory of its own."""
    if connection.dialect.name != "sqlite":
        yield connection
        return
    connection.exec_driver_sql(f"PRAGMA cache_size = -{PAGES_KB}")
    try:
        yield connection
    finally:
        connection.exec_driver_sql(f"PRAGMA cache_size = -{_PAGES_KB_OTHERWISE}")


def providers_of(connection: sa.Connection, account: str) -> dict[str, str]:
    """Of the endpoints that it has used."""
    rows = connection.execute(
        sa.select(usage_series.c.endpoint, usage_series.c.provider).where(
            usage_series.c.account_id == account, usage_series.c.level == int(Level.MODEL)
        )
    )
    return {row.endpoint: row.provider for row in rows}


def latest_samples(
    connection: sa.Connection,
    account: str,
    *,
    start_ms: int,
    end_ms: int,
    before: tuple[int, str] | None,
    limit: int,
) -> list[Sample]:
    """An account's calls, newest first, those behind `before` (when it began, and its id)."""
    columns = generations.c
    query = (
        sa.select(columns.record)
        .where(
            columns.account_id == account,
            columns.created_ms >= start_ms,
            columns.created_ms < end_ms,
        )
        .order_by(columns.created_ms.desc(), columns.id.desc())
        .limit(limit)
    )
    if before is not None:
        created_ms, generation = before
        query = query.where(
            columns.created_ms <= created_ms,
            sa.or_(columns.created_ms < created_ms, columns.id < generation),
        )
    return [sample(bytes(record)) for record in connection.execute(query).scalars()]


def key_rows(connection: sa.Connection, keys: Collection[KeyId]) -> dict[KeyId, sa.Row[Any]]:
    """What those have used that have used anything."""
    found: dict[KeyId, sa.Row[Any]] = {}
    wanted = list(keys)
    for start in range(0, len(wanted), KEYS_AT_ONCE):
        rows = connection.execute(
            sa.select(key_usage).where(key_usage.c.key_id.in_(wanted[start : start + KEYS_AT_ONCE]))
        )
        found |= {KeyId(row.key_id): row for row in rows}
    return found


def endpoint_sums(
    connection: sa.Connection,
    resolution: Resolution,
    *,
    model: str | None,
    start_ms: int,
    end_ms: int,
) -> list[sa.Row[Any]]:
    """Rows of a model's endpoints, or of all, in the order of time: model, start_ms, endpoint, provider,
    ENDPOINT_COLUMNS."""
    table = endpoint_hours if resolution is Resolution.HOUR else endpoint_days
    columns = table.c
    query = (
        sa.select(table)
        .where(columns.start_ms >= start_ms, columns.start_ms < end_ms)
        .order_by(columns.start_ms, columns.model, columns.endpoint)
        .limit(GROUPS_MAX)
    )
    if model is not None:
        query = query.where(columns.model == model)
    return list(connection.execute(query))


def _only_bucket_ms(span: Span, granularity: Granularity | None) -> int | None:
    """Where all of a span lies in one bucket, when that begins."""
    if granularity is None:
        return 0
    if granularity is Granularity.MONTH and span.resolution is not Resolution.MONTH:
        return month_start_ms(span.start_ms)  # what is no whole month lies within one; see spans
    return None


def _bucket(
    start_ms: sa.Column[int], span: Span, granularity: Granularity | None
) -> sa.ColumnElement[int]:
    if granularity is None or granularity.value == span.resolution.value:
        return start_ms
    if granularity is Granularity.WEEK:
        into_week = (start_ms - _number(_FIRST_MONDAY_MS)) % _number(_WEEK_MS)
        return start_ms - into_week
    length_ms = LENGTH_MS[Resolution(granularity.value)]
    return start_ms - start_ms % _number(length_ms)


def _number(number: int) -> sa.ColumnElement[int]:
    """In the text of the statement: PostgreSQL takes two parameters for different things to group by."""
    return sa.literal_column(str(number), sa.BigInteger())


def _condition(one: Filter) -> sa.ColumnElement[bool]:
    """As Filter.holds."""
    column = _COLUMNS[one.dimension]
    value = one.values[0] if one.values else None
    match one.operator:
        case Operator.EQ:
            return column == value
        case Operator.NEQ:
            return column != value
        case Operator.GT:
            return column > value
        case Operator.GTE:
            return column >= value
        case Operator.LT:
            return column < value
        case Operator.LTE:
            return column <= value
        case Operator.IN | Operator.NOT_IN:
            return _membership(one, column)


def _membership(one: Filter, column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    unset = one.dimension.unset
    values = list(one.values)
    if unset is None:
        return column.in_(values) if one.operator is Operator.IN else column.not_in(values)
    if one.operator is Operator.IN:
        return column.in_([*values, unset] if one.include_unset else values)
    if one.include_unset:
        return sa.or_(column.not_in(values), column == unset)
    return column.not_in([*values, unset])
