"""SQL about people and what they belong to."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from fairlead.control.people.types import Member, Role, User
from fairlead.core.ids import AccountId, UserId
from fairlead.core.money import NanoUSD
from fairlead.store.tables.people import memberships, users

__all__ = [
    "count_members",
    "members",
    "user",
    "user_by_email",
    "user_of_account",
]


def user(connection: sa.Connection, user: UserId) -> User | None:
    return _one(connection, users.c.id == user)


def user_by_email(connection: sa.Connection, email: str) -> User | None:
    return _one(connection, users.c.email == email)


def user_of_account(connection: sa.Connection, account: AccountId) -> User | None:
    """Whose own account it is."""
    return _one(connection, users.c.account_id == account)


def members(
    connection: sa.Connection, account: AccountId, *, offset: int, limit: int
) -> list[Member]:
    """In the order in which they came."""
    everybody = _members(account).subquery()
    rows = connection.execute(
        sa.select(everybody)
        .order_by(everybody.c.joined_ms, everybody.c.id)
        .offset(offset)
        .limit(limit)
    )
    return [
        Member(
            user=row.id,
            email=row.email,
            name=row.name,
            role=Role(row.role),
            joined_ms=row.joined_ms,
            limit=None if row.limit_nano is None else NanoUSD(row.limit_nano),
            limit_reset=row.limit_reset,
        )
        for row in rows
    ]


def count_members(connection: sa.Connection, account: AccountId) -> int:
    everybody = _members(account).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(everybody)) or 0


def _members(account: AccountId) -> sa.CompoundSelect[Any]:
    """The account's own person, and an organisation's members."""
    person = (users.c.id, users.c.email, users.c.name)
    nothing = sa.cast(sa.null(), sa.BigInteger), sa.cast(sa.null(), sa.Text)
    own = sa.select(
        *person,
        sa.literal(Role.ADMIN.value).label("role"),
        users.c.created_ms.label("joined_ms"),
        nothing[0].label("limit_nano"),
        nothing[1].label("limit_reset"),
    ).where(users.c.account_id == account, users.c.deleted_ms.is_(None))
    shared = (
        sa.select(
            *person,
            memberships.c.role,
            memberships.c.joined_ms,
            memberships.c.limit_nano,
            memberships.c.limit_reset,
        )
        .join(users, users.c.id == memberships.c.user_id)
        .where(memberships.c.account_id == account)
    )
    return sa.union_all(own, shared)


def _one(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> User | None:
    found = connection.execute(sa.select(users).where(condition)).one_or_none()
    return None if found is None else _user(found)


def _user(row: sa.Row[Any]) -> User:
    return User(
        id=row.id,
        account=row.account_id,
        email=row.email,
        email_verified_ms=row.email_verified_ms,
        name=row.name,
        has_password=row.password_hash is not None,
        created_ms=row.created_ms,
        disabled_ms=row.disabled_ms,
        deleted_ms=row.deleted_ms,
    )
