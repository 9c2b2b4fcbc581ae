"""SQL that throws away sums of short spans when they are old, and what waits to be added up.

The tables have no index by time alone: every generation would pay for it. An account's old rows are one range
of the primary key, though, and so is the way from one account to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from fairlead.control.usage.types import Level
from fairlead.store.tables.generations import generations
from fairlead.store.tables.usage import usage_backlog

__all__ = [
    "backlog",
    "forget_account_before",
    "forget_endpoints_before",
    "next_account",
    "take_from_backlog",
]

_LEVELS: Final = tuple(int(level) for level in Level)


def next_account(connection: sa.Connection, table: sa.Table, *, after: str | None) -> str | None:
    """The first account that has rows, behind `after`; None: there is none."""
    account = table.c.account_id
    query = sa.select(account).order_by(account).limit(1)
    if after is not None:
        query = query.where(account > after)
    found: str | None = connection.execute(query).scalar()
    return found


def forget_account_before(
    connection: sa.Connection, table: sa.Table, account: str, before_ms: int, *, rows_max: int
) -> int:
    """Delete its sums of spans that began before then, oldest first. Returns how many; at most about so
    many."""
    columns = table.c
    count = 0
    for level in _LEVELS:
        of_level = (columns.account_id == account, columns.level == level)
        # Whole spans, up to where there would be too many rows.
        last_ms = connection.execute(
            sa.select(columns.start_ms)
            .where(*of_level, columns.start_ms < before_ms)
            .order_by(columns.start_ms)
            .offset(rows_max)
            .limit(1)
        ).scalar()
        until_ms = before_ms if last_ms is None else last_ms + 1
        count += connection.execute(
            sa.delete(table).where(*of_level, columns.start_ms < until_ms)
        ).rowcount
    return count


def forget_endpoints_before(connection: sa.Connection, table: sa.Table, before_ms: int) -> None:
    """There are few of them."""
    connection.execute(sa.delete(table).where(table.c.start_ms < before_ms))


def backlog(connection: sa.Connection, *, limit: int) -> list[tuple[str, bytes | None]]:
    """The first of those that wait: ids and records. None: it was deleted since."""
    waiting = (
        sa.select(usage_backlog.c.generation_id)
        .order_by(usage_backlog.c.generation_id)
        .limit(limit)
        .subquery()
    )
    rows = connection.execute(
        sa.select(waiting.c.generation_id, generations.c.record)
        .outerjoin_from(waiting, generations, generations.c.id == waiting.c.generation_id)
        .order_by(waiting.c.generation_id)
    )
    return [(row.generation_id, row.record) for row in rows]


def take_from_backlog(connection: sa.Connection, ids: Sequence[str]) -> None:
    """ids: in order, and all that were waiting between the first and the last."""
    if ids:
        waiting = usage_backlog.c.generation_id
        connection.execute(sa.delete(usage_backlog).where(waiting >= ids[0], waiting <= ids[-1]))
