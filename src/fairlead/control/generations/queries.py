"""SQL about generations and journal positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from fairlead.core.generation import Generation
from fairlead.core.ids import AccountId, GenerationId
from fairlead.store.database import Database, in_chunks
from fairlead.store.journal_format import Position
from fairlead.store.records import Front, unpack
from fairlead.store.tables.generations import generations, journal_positions

__all__ = [
    "find",
    "forget_position",
    "insert_new",
    "position",
    "records_after",
    "row",
    "save_position",
    "those_there",
]

_MS_PER_S: Final = 1000
# As text, because building and compiling it for each batch costs as much as thirty records.
_SAVE_POSITION: Final = sa.text(
    "INSERT INTO journal_positions (journal, segment, offset_bytes)"
    " VALUES (:journal, :segment, :offset)"
    " ON CONFLICT (journal) DO UPDATE"
    " SET segment = excluded.segment, offset_bytes = excluded.offset_bytes"
)


def insert_new(
    database: Database, connection: sa.Connection, rows: Sequence[tuple[object, ...]]
) -> int:
    """Insert those that are not there yet. rows: as `row` makes them. Returns how many were not."""
    return database.insert_many_new(connection, generations, rows)


def those_there(connection: sa.Connection, ids: Sequence[GenerationId]) -> set[GenerationId]:
    """Which of these are recorded already."""
    there: set[GenerationId] = set()
    for chunk in in_chunks(ids):
        found = connection.execute(sa.select(generations.c.id).where(generations.c.id.in_(chunk)))
        there.update(map(GenerationId, found.scalars()))
    return there


def find(
    connection: sa.Connection, generation: GenerationId, account: AccountId
) -> Generation | None:
    """Raises RecordUnreadable: somebody else has written there."""
    record = connection.execute(
        sa.select(generations.c.record).where(
            generations.c.id == generation, generations.c.account_id == account
        )
    ).scalar()
    return None if record is None else unpack(record)


def records_after(
    connection: sa.Connection, generation: GenerationId, *, limit: int
) -> list[tuple[GenerationId, bytes]]:
    """Those that follow it, in the order of their creation, at most so many."""
    columns = generations.c
    rows = connection.execute(
        sa.select(columns.id, columns.record)
        .where(columns.id > generation)
        .order_by(columns.id)
        .limit(limit)
    )
    return [(GenerationId(row.id), bytes(row.record)) for row in rows]


def position(connection: sa.Connection, journal: str) -> Position | None:
    """How far the journal has been moved into the database; None: nothing yet."""
    found = connection.execute(
        sa.select(journal_positions.c.segment, journal_positions.c.offset_bytes).where(
            journal_positions.c.journal == journal
        )
    ).one_or_none()
    return None if found is None else Position(found.segment, found.offset_bytes)


def save_position(connection: sa.Connection, journal: str, reached: Position) -> None:
    connection.execute(
        _SAVE_POSITION,
        {"journal": journal, "segment": reached.segment, "offset": reached.offset},
    )


def forget_position(connection: sa.Connection, journal: str) -> None:
    connection.execute(sa.delete(journal_positions).where(journal_positions.c.journal == journal))


def row(front: Front, record: bytes, entry: int | None) -> tuple[object, ...]:
    """One row, in the order of the table's columns. record: the whole of which `front` is the front.

    entry: of the ledger, which charges it.

    Only values that a driver takes as they are: Python's SQLite spends a microsecond on each None, bytes
    or bool to ask for an adapter, and none on str, int and bytearray.
    """
    usage = front.usage
    return (
        front.id,
        front.account,
        front.key,
        round(front.created_s * _MS_PER_S),
        front.model,
        front.endpoint,
        front.provider,
        front.outcome,
        usage.prompt_tokens,
        usage.cache_read,
        usage.completion_tokens,
        usage.reasoning,
        front.cost,
        bytearray(record),
        entry,
    )
