"""SQL about generations and journal positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

import sqlalchemy as sa

from fairlead.core.generation import Generation
from fairlead.core.ids import AccountId, GenerationId
from fairlead.store.database import Database, in_chunks
from fairlead.store.journal_format import Position
from fairlead.store.records import Front, unpack
from fairlead.store.tables.call_sessions import session_calls
from fairlead.store.tables.generations import generations, journal_positions

__all__ = [
    "Listed",
    "find",
    "forget_position",
    "insert_new",
    "listed",
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


class Listed(Protocol):
    """What of a call its columns tell, to choose by."""

    id: str
    created_ms: int
    model: str
    provider: str
    key_id: str
    outcome: str
    cached_tokens: int


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


def listed(
    connection: sa.Connection,
    account: AccountId,
    *,
    start_ms: int,
    end_ms: int,
    session: str | None,
    chosen: Callable[[Listed], bool],
    behind: tuple[int, str] | None,
    look_at: int,
    limit: int,
) -> tuple[list[bytes], int, tuple[int, str] | None]:
    """An account's calls, the newest first, those behind `behind` (when it began, and its id).

    session: of that one only; None: all. Returns the records of at most `limit` of those of the next `look_at`
    calls that are chosen; how many were looked at; and the last of them, None: there are none behind.
    """
    columns = generations.c
    next_ones = sa.select(
        columns.id,
        columns.created_ms,
        columns.model,
        columns.provider,
        columns.key_id,
        columns.outcome,
        columns.cached_tokens,
    )
    if session is None:
        where, number = columns, columns.id
    else:
        where, number = session_calls.c, session_calls.c.generation_id
        next_ones = next_ones.join_from(session_calls, generations, number == columns.id).where(
            where.session_id == session
        )
    next_ones = (
        next_ones.where(
            where.account_id == account, where.created_ms >= start_ms, where.created_ms < end_ms
        )
        .order_by(where.created_ms.desc(), number.desc())
        .limit(look_at)
    )
    if behind is not None:
        created_ms, last = behind
        next_ones = next_ones.where(
            where.created_ms <= created_ms, sa.or_(where.created_ms < created_ms, number < last)
        )
    near = connection.execute(next_ones).all()
    # A row has each of these columns as an attribute.
    those = [row.id for row in near if chosen(cast("Listed", row))][:limit]
    records: dict[str, bytes] = {}
    for some in in_chunks(those):
        found = connection.execute(
            sa.select(columns.id, columns.record).where(columns.id.in_(some))
        )
        records |= {row.id: bytes(row.record) for row in found}
    last_one = near[-1] if len(near) == look_at else None
    return (
        [records[one] for one in those],
        len(near),
        None if last_one is None else (int(last_one.created_ms), last_one.id),
    )


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
