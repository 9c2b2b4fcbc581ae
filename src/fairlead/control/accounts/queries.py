"""SQL about accounts."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from fairlead.control.accounts.types import Account, Billing
from fairlead.core.ids import AccountId
from fairlead.store.database import Database
from fairlead.store.tables.accounts import accounts

__all__ = [
    "by_email",
    "by_id",
    "insert_if_free",
    "owner",
    "page",
    "preferences",
    "set_preferences",
]


def insert_if_free(database: Database, connection: sa.Connection, account: Account) -> bool:
    """Insert unless its email is taken, or it would be a second owner. True: inserted."""
    inserted = connection.execute(
        database.insert(accounts)
        .values(
            id=account.id,
            email=account.email,
            name=account.name,
            billing=account.billing.value,
            is_owner=account.is_owner,
            created_ms=account.created_ms,
        )
        .on_conflict_do_nothing()
    )
    return bool(inserted.rowcount)


def owner(connection: sa.Connection) -> Account | None:
    return _one(connection, accounts.c.is_owner.is_(True))


def by_email(connection: sa.Connection, email: str) -> Account | None:
    return _one(connection, accounts.c.email == email)


def by_id(connection: sa.Connection, account: AccountId) -> Account | None:
    return _one(connection, accounts.c.id == account)


def page(connection: sa.Connection, *, after: AccountId, limit: int) -> list[Account]:
    """In the order of creation, those behind `after`."""
    rows = connection.execute(
        sa.select(accounts).where(accounts.c.id > after).order_by(accounts.c.id).limit(limit)
    )
    return [_account(row) for row in rows]


def preferences(connection: sa.Connection, account: AccountId) -> sa.Row[tuple[str | None]] | None:
    """A row with the text, or with None where nothing is set; no row: no such account."""
    return connection.execute(
        sa.select(accounts.c.preferences).where(accounts.c.id == account)
    ).one_or_none()


def set_preferences(connection: sa.Connection, account: AccountId, text: str | None) -> bool:
    """True: there is such an account."""
    updated = connection.execute(
        sa.update(accounts).where(accounts.c.id == account).values(preferences=text)
    )
    return bool(updated.rowcount)


def _one(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> Account | None:
    found = connection.execute(sa.select(accounts).where(condition)).one_or_none()
    return None if found is None else _account(found)


def _account(row: sa.Row[Any]) -> Account:
    return Account(
        id=row.id,
        email=row.email,
        name=row.name,
        billing=Billing(row.billing),
        is_owner=row.is_owner,
        created_ms=row.created_ms,
    )
