"""SQL that reads sums. What is asked of an account and a time is one range of a primary key for each span.

Joining sums with their series, and sorting them by what those say, takes three times as long as reading the
sums. So unless there are but a few sums, series are read first, and sums are put together by what we know of
theirs. Where filters leave only some series, their sums are sought one by one: unless they are many, and it is
faster to pass by the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import add
from typing import Any, Final, TypeAlias

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from fairlead.control.usage.calendar import DAY_MS, LENGTH_MS, WEEK_MS, month_start_ms
from fairlead.control.usage.dimensions import Dimension, Filter, Operator, level_for
from fairlead.control.usage.keeping import TABLES
from fairlead.control.usage.spans import Granularity, Span, starts_ms
from fairlead.control.usage.types import Level, Resolution
from fairlead.store.tables.usage import MEASURES, usage_series

__all__ = ["GROUPS_MAX", "Group", "is_one_of", "sums_of"]

GROUPS_MAX: Final = 50_000  # of one span; some 0.2 s of reading and 20 MB
ROWS_MAX: Final = 50_000  # of one span, that are put together here; some 0.1 s
SERIES_MAX: Final = 10_000  # of one level, that are known while its sums are read; some 0.03 s
SEEKS_MAX: Final = 20_000  # of one span, for single sums; some 0.05 s
SEEKS_FEW: Final = 2_000  # ... that take no longer than to look how many sums there are
PASSED_BY_MAX: Final = 30_000  # sums of one span, of which few are wanted; some 0.01 s
JOINED_FEW: Final = 1_000  # sums of one span, that are joined sooner than all series are read
_FIRST_MONDAY_MS: Final = 4 * DAY_MS

# Start of the bucket (0: not divided), then a value for each dimension.
Group: TypeAlias = tuple[Any, ...]

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


@dataclass(frozen=True, slots=True)
class _Asked:
    """Sums of one level and span, by bucket."""

    account: str
    level: Level
    span: Span
    measures: Sequence[str]
    granularity: Granularity | None

    @property
    def table(self) -> sa.Table:
        return TABLES[self.span.resolution]

    @property
    def only_bucket_ms(self) -> int | None:
        """Where all of the span lies in one bucket, when that begins."""
        if self.granularity is None:
            return 0
        if self.granularity is Granularity.MONTH:
            # What is no whole month lies within one; see spans.
            return None if self.is_each_a_bucket else month_start_ms(self.span.start_ms)
        return None

    @property
    def is_each_a_bucket(self) -> bool:
        """Nothing that begins at different times is added up."""
        return self.granularity is not None and (
            self.granularity.value == self.span.resolution.value
        )

    @property
    def bucket(self) -> sa.ColumnElement[int]:
        start_ms = self.table.c.start_ms
        constant_ms = self.only_bucket_ms
        if constant_ms is not None:
            return _number(constant_ms)
        if self.granularity is None or self.is_each_a_bucket:
            return start_ms
        if self.granularity is Granularity.WEEK:
            into_week = (start_ms - _number(_FIRST_MONDAY_MS)) % _number(WEEK_MS)
            return start_ms - into_week
        length_ms = LENGTH_MS[Resolution(self.granularity.value)]
        return start_ms - start_ms % _number(length_ms)

    @property
    def by(self) -> list[sa.ColumnElement[int]]:
        """What the bucket adds to what is grouped by."""
        return [] if self.only_bucket_ms is not None else [self.bucket]

    @property
    def sums(self) -> list[sa.ColumnElement[int]]:
        columns = self.table.c
        return [sa.cast(sa.func.sum(columns[measure]), sa.BigInteger) for measure in self.measures]

    @property
    def of_level(self) -> tuple[sa.ColumnElement[bool], ...]:
        columns = self.table.c
        return (columns.account_id == self.account, columns.level == int(self.level))

    @property
    def where(self) -> tuple[sa.ColumnElement[bool], ...]:
        start_ms = self.table.c.start_ms
        return (*self.of_level, start_ms >= self.span.start_ms, start_ms < self.span.end_ms)


class _Known:
    """Of a question's levels, the first SERIES_MAX series that the filters let through; each is read once."""

    def __init__(
        self,
        connection: sa.Connection,
        dimensions: Sequence[Dimension],
        filters: Sequence[Filter],
    ) -> None:
        self._connection = connection
        self._dimensions = dimensions
        self._filters = filters
        self._of_levels: dict[Level, Mapping[int, tuple[Any, ...]]] = {}

    def of(self, asked: _Asked) -> Mapping[int, tuple[Any, ...]]:
        """Values of the dimensions, by series."""
        found = self._of_levels.get(asked.level)
        if found is None:
            found = _series(self._connection, asked, self._dimensions, self._filters)
            self._of_levels[asked.level] = found
        return found


def sums_of(
    connection: sa.Connection,
    account: str,
    spans: Sequence[Span],
    *,
    measures: Sequence[str] = MEASURES,
    granularity: Granularity | None = None,
    dimensions: Sequence[Dimension] = (),
    filters: Sequence[Filter] = (),
) -> tuple[dict[Group, list[int]], bool]:
    """The sums of all spans together, and whether these are all: at most GROUPS_MAX are read of each.

    account: INSTALLATION for all together.
    """
    told_apart = {*dimensions, *(one.dimension for one in filters)}
    found: dict[Group, list[int]] = {}
    is_complete = True
    known = _Known(connection, dimensions, filters)
    for span in spans:
        level = level_for(account, span.resolution, told_apart)
        assert level is not None, f"of the installation nothing tells {told_apart} apart"
        asked = _Asked(account, level, span, measures, granularity)
        if told_apart:
            part = _told_apart(connection, asked, dimensions, filters, known)
        else:
            part = _undivided(connection, asked)
        is_complete = is_complete and len(part) < GROUPS_MAX
        _add_to(found, part)
    return found, is_complete


def _told_apart(
    connection: sa.Connection,
    asked: _Asked,
    dimensions: Sequence[Dimension],
    filters: Sequence[Filter],
    known: _Known,
) -> dict[Group, list[int]]:
    is_fine = asked.span.resolution in (Resolution.MINUTE, Resolution.HOUR)
    if is_fine and _has_at_most(connection, asked, JOINED_FEW):
        return _joined(connection, asked, dimensions, filters)
    series = known.of(asked)
    if not series:
        return {}
    if len(series) < SERIES_MAX:
        seeks = len(series) * len(starts_ms(asked.span))
        answered = len(series) if asked.only_bucket_ms is not None else seeks
        if not filters and answered <= ROWS_MAX:
            return _put_together(_every(connection, asked), series)
        if filters and seeks > SEEKS_FEW and _has_at_most(connection, asked, PASSED_BY_MAX):
            return _put_together(_every(connection, asked, only=series), series)
        if filters and seeks <= SEEKS_MAX:
            return _put_together(_some(connection, asked, series), series)
    return _joined(connection, asked, dimensions, filters)


def _has_at_most(connection: sa.Connection, asked: _Asked, most: int) -> bool:
    """Whether there are no more sums in the span."""
    one_more = sa.select(asked.table.c.series_id).where(*asked.where).offset(most).limit(1)
    return connection.execute(one_more).first() is None


def _undivided(connection: sa.Connection, asked: _Asked) -> dict[Group, list[int]]:
    query = sa.select(asked.bucket, *asked.sums).where(*asked.where).limit(GROUPS_MAX)
    # Without groups there is one row of all, and nothing in it where there is nothing.
    query = query.group_by(*asked.by) if asked.by else query.having(sa.func.count() > 0)
    return {(row[0],): list(row[1:]) for row in connection.execute(query)}


def _joined(
    connection: sa.Connection,
    asked: _Asked,
    dimensions: Sequence[Dimension],
    filters: Sequence[Filter],
) -> dict[Group, list[int]]:
    """However many there are: few come back."""
    values = [_COLUMNS[one] for one in dimensions]
    query = (
        sa.select(asked.bucket, *values, *asked.sums)
        .join_from(asked.table, usage_series, usage_series.c.id == asked.table.c.series_id)
        .where(*asked.where, *map(_condition, filters))
        .limit(GROUPS_MAX)
    )
    by = [*asked.by, *values]
    query = query.group_by(*by) if by else query.having(sa.func.count() > 0)
    width = 1 + len(values)
    return {tuple(row[:width]): list(row[width:]) for row in connection.execute(query)}


def _series(
    connection: sa.Connection,
    asked: _Asked,
    dimensions: Sequence[Dimension],
    filters: Sequence[Filter],
) -> dict[int, tuple[Any, ...]]:
    """Values of the dimensions, by series that the filters let through; at most SERIES_MAX."""
    columns = usage_series.c
    query = (
        sa.select(columns.id, *(_COLUMNS[one] for one in dimensions))
        .where(
            columns.account_id == asked.account,
            columns.level == int(asked.level),
            *map(_condition, filters),
        )
        .limit(SERIES_MAX)
    )
    return {number: tuple(values) for number, *values in connection.execute(query).all()}


def _every(
    connection: sa.Connection, asked: _Asked, *, only: Collection[int] | None = None
) -> Sequence[Sequence[Any]]:
    """Bucket, series and measures; added up where buckets hold more than one start. only: series, of which
    all others are passed by."""
    columns = asked.table.c
    where = list(asked.where)
    if only is not None:
        where.append(is_one_of(connection, columns.series_id, only))
    if asked.is_each_a_bucket:
        measures = (columns[measure] for measure in asked.measures)
        query = sa.select(columns.start_ms, columns.series_id, *measures).where(*where)
    else:
        query = (
            sa.select(asked.bucket, columns.series_id, *asked.sums)
            .where(*where)
            .group_by(*asked.by, columns.series_id)
        )
    return connection.execute(query).all()


def _some(
    connection: sa.Connection, asked: _Asked, series: Collection[int]
) -> Sequence[Sequence[Any]]:
    """As _every, of these series: each sum is sought by its whole key."""
    columns = asked.table.c
    query = (
        sa.select(asked.bucket, columns.series_id, *asked.sums)
        .where(
            *asked.of_level,
            is_one_of(connection, columns.start_ms, starts_ms(asked.span)),
            is_one_of(connection, columns.series_id, series),
        )
        .group_by(*asked.by, columns.series_id)
    )
    return connection.execute(query).all()


def _put_together(
    rows: Iterable[Sequence[Any]], known: Mapping[int, tuple[Any, ...]]
) -> dict[Group, list[int]]:
    """Column by column: three times as fast as row by row."""
    alike: defaultdict[Group, list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        values = known.get(row[1])
        if values is not None:  # else it began after we read the series
            alike[row[0], *values].append(row)
    found: dict[Group, list[int]] = {}
    for group, some in alike.items():
        columns = zip(*some, strict=True)
        found[group] = list(some[0][2:] if len(some) == 1 else map(sum, islice(columns, 2, None)))
    return found


def _add_to(found: dict[Group, list[int]], part: Mapping[Group, list[int]]) -> None:
    if not found:
        found.update(part)
        return
    for group, counted in part.items():
        before = found.get(group)
        found[group] = counted if before is None else list(map(add, before, counted))


def is_one_of(
    connection: sa.Connection, column: sa.Column[int], numbers: Collection[int]
) -> sa.ColumnElement[bool]:
    """In one parameter, however many there are."""
    if connection.dialect.name == "postgresql":
        array = sa.bindparam(None, list(numbers), type_=postgresql.ARRAY(sa.BigInteger))
        return column == sa.any_(array)
    text: sa.BindParameter[str] = sa.bindparam(None, msgspec.json.encode(list(numbers)).decode())
    return column.in_(sa.select(sa.func.json_each(text).table_valued("value").c.value))


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
