"""SQL about all that belongs to one account."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final

import sqlalchemy as sa

from fairlead.control.privacy.fates import FATES, End, Fate
from fairlead.core.ids import AccountId, GenerationId
from fairlead.store.tables import metadata
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.call_apps import app_calls
from fairlead.store.tables.call_sessions import session_calls, session_sums
from fairlead.store.tables.generations import generations

__all__ = [
    "forget",
    "forget_groups",
    "next_records",
    "note_scrubbed",
    "replace_records",
    "rows_of",
    "to_scrub",
]

ROWS_AT_ONCE: Final = 500


def rows_of(
    connection: sa.Connection, name: str, account: AccountId
) -> Generator[dict[str, object], None, None]:
    """The rows of a table that are an account's, without what is secret, few in memory at once."""
    fate = FATES[name]
    table = metadata.tables[name]
    columns = [one for one in table.columns if one.name not in fate.secret]
    query = (
        sa.select(*columns)
        .where(table.c[fate.column] == account)
        .order_by(*table.primary_key.columns)
    )
    with connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query) as rows:
        for row in rows:
            yield dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


def forget(connection: sa.Connection, account: AccountId) -> None:
    """Delete and overwrite what FATES says."""
    # What refers to others goes before them.
    for table in reversed(metadata.sorted_tables):
        fate = FATES.get(table.name)
        if fate is not None:
            _end(connection, table, fate, account)


def _end(connection: sa.Connection, table: sa.Table, fate: Fate, account: AccountId) -> None:
    mine = table.c[fate.column] == account
    if fate.end is End.DELETED:
        connection.execute(sa.delete(table).where(mine))
    elif fate.end is End.BLANKED:
        connection.execute(sa.update(table).where(mine).values(**dict(fate.blank)))


def to_scrub(connection: sa.Connection, *, late_ms: int, limit: int) -> list[tuple[AccountId, int]]:
    """Deleted accounts of which records may tell of somebody, and from when on. late_ms: how long after an
    account was deleted its last records may still come."""
    columns = accounts.c
    reached = sa.func.coalesce(columns.scrubbed_ms, 0)
    found = connection.execute(
        sa.select(columns.id, reached)
        .where(columns.deleted_ms.is_not(None), reached <= columns.deleted_ms + late_ms)
        .order_by(reached, columns.id)
        .limit(limit)
        .with_for_update()
    )
    return [(AccountId(account), int(reached_ms)) for account, reached_ms in found]


def note_scrubbed(connection: sa.Connection, account: AccountId, before_ms: int) -> None:
    connection.execute(
        sa.update(accounts).where(accounts.c.id == account).values(scrubbed_ms=before_ms)
    )


def next_records(
    connection: sa.Connection, account: AccountId, *, after: tuple[int, str], limit: int
) -> list[tuple[int, GenerationId, bytes]]:
    """When they were made, their ids and records; those behind (created_ms, id)."""
    columns = generations.c
    rows = connection.execute(
        sa.select(columns.created_ms, columns.id, columns.record)
        .where(
            columns.account_id == account,
            columns.created_ms >= after[0],
            sa.or_(columns.created_ms > after[0], columns.id > after[1]),
        )
        .order_by(columns.created_ms, columns.id)
        .limit(limit)
    )
    return [(row.created_ms, GenerationId(row.id), bytes(row.record)) for row in rows]


def replace_records(
    connection: sa.Connection, records: Sequence[tuple[GenerationId, bytes]]
) -> None:
    if records:
        connection.execute(
            sa.update(generations)
            .where(generations.c.id == sa.bindparam("of"))
            .values(record=sa.bindparam("with_record")),
            [{"of": generation, "with_record": record} for generation, record in records],
        )


def forget_groups(connection: sa.Connection, account: AccountId) -> None:
    """Which of its calls belonged together, as they themselves said: to a session, to an app."""
    for table in (session_sums, session_calls, app_calls):
        connection.execute(sa.delete(table).where(table.c.account_id == account))
