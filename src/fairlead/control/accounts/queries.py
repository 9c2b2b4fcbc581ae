"""SQL about accounts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from fairlead.control.accounts.types import Account, AccountKind, Billing
from fairlead.core.ids import AccountId, UserId, WorkspaceId
from fairlead.store.database import Database
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.people import users, workspaces

__all__ = [
    "by_email",
    "by_id",
    "by_ids",
    "insert_default_workspace",
    "insert_if_free",
    "insert_user",
    "mark_deleted",
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
            kind=account.kind.value,
        )
        .on_conflict_do_nothing()
        .returning(accounts.c.id)  # psycopg has no count for this one
    )
    return inserted.first() is not None


def insert_user(
    connection: sa.Connection, user: UserId, account: Account, *, verified_ms: int | None
) -> None:
    """The person whose account this is."""
    connection.execute(
        sa.insert(users).values(
            id=user,
            account_id=account.id,
            email=account.email,
            email_verified_ms=verified_ms,
            name=account.name,
            created_ms=account.created_ms,
        )
    )


def insert_default_workspace(
    connection: sa.Connection,
    workspace: WorkspaceId,
    account: Account,
    *,
    name: str,
    slug: str,
    creator: UserId | None,
) -> None:
    connection.execute(
        sa.insert(workspaces).values(
            id=workspace,
            account_id=account.id,
            is_default=True,
            name=name,
            slug=slug,
            io_logging=False,
            io_logging_sampling_rate=1.0,
            broadcast=False,
            data_discount_logging=False,
            include_byok_in_budgets=False,
            created_by=creator,
            created_ms=account.created_ms,
        )
    )


def mark_deleted(connection: sa.Connection, account: AccountId, *, now_ms: int) -> None:
    """Its address can be used again."""
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id == account, accounts.c.deleted_ms.is_(None))
        .values(deleted_ms=now_ms, email=None)
    )


def owner(connection: sa.Connection) -> Account | None:
    return _one(connection, accounts.c.is_owner.is_(True))


def by_email(connection: sa.Connection, email: str) -> Account | None:
    return _one(connection, accounts.c.email == email)


def by_id(connection: sa.Connection, account: AccountId) -> Account | None:
    return _one(connection, accounts.c.id == account)


def by_ids(connection: sa.Connection, ids: Collection[AccountId]) -> dict[AccountId, Account]:
    """Unknown ones are missing."""
    rows = connection.execute(sa.select(accounts).where(accounts.c.id.in_(ids)))
    return {row.id: _account(row) for row in rows}


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


def set_preferences(connection: sa.Connection, account: AccountId, text: str | None) -> None:
    connection.execute(sa.update(accounts).where(accounts.c.id == account).values(preferences=text))


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
        kind=AccountKind(row.kind),
        deleted_ms=row.deleted_ms,
    )
