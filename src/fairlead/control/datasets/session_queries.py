"""SQL that reads the calls of one account after the other, and keeps what sessions cost."""

from __future__ import annotations

from typing import Final

import msgspec
import sqlalchemy as sa

from fairlead.control.datasets.types import SessionCosts
from fairlead.store.database import Database
from fairlead.store.tables.generations import generations
from fairlead.store.tables.installation import meta

__all__ = ["KEPT", "At", "Kept", "account_after", "calls_of", "keep", "kept"]

KEPT: Final = "session costs"  # in `meta`, and what processes lock

At = tuple[int, str]  # when a call began, and its id


class Kept(msgspec.Struct, frozen=True):
    """begun_ms: when somebody last began to count."""

    begun_ms: int
    costs: SessionCosts | None = None


_read: Final = msgspec.json.Decoder(Kept)


def kept(connection: sa.Connection) -> Kept | None:
    found = connection.execute(sa.select(meta.c.value).where(meta.c.name == KEPT)).scalar()
    return None if found is None else _read.decode(found)


def keep(database: Database, connection: sa.Connection, what: Kept) -> None:
    statement = database.insert(meta).values(name=KEPT, value=msgspec.json.encode(what).decode())
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"value": statement.excluded.value}
        )
    )


def account_after(connection: sa.Connection, account: str | None) -> str | None:
    """The next that has calls, by name; None: there is none."""
    column = generations.c.account_id
    query = sa.select(column).order_by(column).limit(1)
    if account is not None:
        query = query.where(column > account)
    found: str | None = connection.execute(query).scalar()
    return found


def calls_of(
    connection: sa.Connection, account: str, *, after: At, end_ms: int, limit: int
) -> list[tuple[At, bytes]]:
    """In the order of time, behind `after`: where each is, and its record."""
    columns = generations.c
    began_ms, generation = after
    rows = connection.execute(
        sa.select(columns.created_ms, columns.id, columns.record)
        .where(
            columns.account_id == account,
            columns.created_ms >= began_ms,
            columns.created_ms < end_ms,
            sa.or_(columns.created_ms > began_ms, columns.id > generation),
        )
        .order_by(columns.created_ms, columns.id)
        .limit(limit)
    )
    return [((row[0], row[1]), bytes(row[2])) for row in rows]
