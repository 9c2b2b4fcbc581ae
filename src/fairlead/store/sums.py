"""Adding to rows of sums: what is not there yet begins with what is added.

One statement adds to many rows, so a batch is a handful of them. Rows are changed in the order of their keys,
so that two who add to the same ones wait for each other and do not lock each other out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect

__all__ = ["SumTable"]

PARAMETERS_MAX: Final = 999  # of one statement, in older versions of SQLite
_NUMBERS: Final = ("BIGINT", "SMALLINT")


class SumTable:
    """A table that holds sums beside its primary key.

    table = SumTable(usage_days, summed=("requests", "cost_nano"))
    table.add(connection, [("acc-1", ..., 1, 305_400), ...])

    summed: the columns that are added up. Others keep what the first row brought, unless `otherwise` has an
    expression for them, in which {table} is the row that is there and `excluded` the one that is added.
    """

    def __init__(
        self, table: sa.Table, *, summed: Collection[str], otherwise: dict[str, str] | None = None
    ) -> None:
        columns = list(table.columns.keys())
        keys = list(table.primary_key.columns.keys())
        assert columns[: len(keys)] == keys, "the key comes first, so that rows sort by it"
        row = f"({', '.join('?' * len(columns))})"
        changes = {name: f"{table.name}.{name} + excluded.{name}" for name in summed}
        for name, expression in (otherwise or {}).items():
            changes[name] = expression.format(table=table.name)
        rest = f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET " + ", ".join(
            f"{name} = {expression}" for name, expression in changes.items()
        )
        start = f"INSERT INTO {table.name} ({', '.join(columns)}) "
        self._rows_at_once = PARAMETERS_MAX // len(columns)
        self._sqlite_many = f"{start}VALUES {', '.join([row] * self._rows_at_once)}{rest}"
        self._sqlite_one = f"{start}VALUES {row}{rest}"
        dialect = PGDialect()  # type: ignore[no-untyped-call]
        kinds = [column.type.compile(dialect) for column in table.columns]
        arrays = ", ".join(f"{_placeholder(kind)}::{kind}[]" for kind in kinds)
        self._postgresql = f"{start}SELECT * FROM unnest({arrays}){rest}"  # noqa: S608 - our names
        self._is_number = [kind in _NUMBERS for kind in kinds]

    def add(self, connection: sa.Connection, rows: Iterable[tuple[object, ...]]) -> None:
        """rows: a plain value for each column, in the table's order; no two with the same key."""
        ordered = sorted(rows)  # by their keys: no two are the same, so nothing else is compared
        if not ordered:
            return
        if connection.dialect.name == "postgresql":
            columns = zip(self._is_number, zip(*ordered, strict=True), strict=True)
            # Numbers as text: the driver takes four times as long to make an array of them.
            arrays = tuple(
                _numbers(column) if is_number else list(column) for is_number, column in columns
            )
            connection.exec_driver_sql(self._postgresql, arrays)
            return
        step = self._rows_at_once
        whole = len(ordered) - len(ordered) % step
        for done in range(0, whole, step):
            values = tuple(chain.from_iterable(ordered[done : done + step]))
            connection.exec_driver_sql(self._sqlite_many, values)
        if whole < len(ordered):
            connection.exec_driver_sql(self._sqlite_one, ordered[whole:])


def _numbers(column: Iterable[object]) -> str:
    """An array of numbers as PostgreSQL writes it."""
    return f"{{{','.join(map(str, column)).replace('None', 'NULL')}}}"


def _placeholder(kind: str) -> str:
    """Texts go as bytes: in a text each would have to be looked through for what must be quoted."""
    return "%s" if kind in _NUMBERS else "%b"
