"""SQL about people and what they belong to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from fairlead.control.accounts.types import Account, AccountKind, Billing
from fairlead.control.people.types import Member, Membership, Role, User
from fairlead.core.ids import AccountId, UserId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database
from fairlead.store.tables.accounts import accounts
from fairlead.store.tables.people import identities, memberships, users

__all__ = [
    "account",
    "count_members",
    "count_other_admins",
    "delete_membership",
    "disable",
    "enable",
    "forget_user",
    "insert_identity",
    "insert_membership",
    "member",
    "members",
    "memberships_of",
    "password_hash",
    "role",
    "set_account_name",
    "set_email_if_free",
    "set_member_limit",
    "set_name",
    "set_password_hash",
    "set_role",
    "user",
    "user_by_email",
    "user_by_identity",
    "user_of_account",
    "users_by_ids",
]


def user(connection: sa.Connection, user: UserId) -> User | None:
    return _one(connection, users.c.id == user)


def users_by_ids(connection: sa.Connection, people: Collection[UserId]) -> dict[UserId, User]:
    """Unknown ones are missing."""
    rows = connection.execute(sa.select(users).where(users.c.id.in_(people)))
    return {row.id: _user(row) for row in rows}


def user_by_email(connection: sa.Connection, email: str) -> User | None:
    return _one(connection, users.c.email == email)


def user_of_account(connection: sa.Connection, account: AccountId) -> User | None:
    """Whose own account it is."""
    return _one(connection, users.c.account_id == account)


def user_by_identity(connection: sa.Connection, issuer: str, subject: str) -> User | None:
    whose = sa.select(identities.c.user_id).where(
        identities.c.issuer == issuer, identities.c.subject == subject
    )
    return _one(connection, users.c.id == whose.scalar_subquery())


def insert_identity(
    connection: sa.Connection, issuer: str, subject: str, user: UserId, *, now_ms: int
) -> None:
    connection.execute(
        sa.insert(identities).values(
            issuer=issuer, subject=subject, user_id=user, created_ms=now_ms
        )
    )


def password_hash(connection: sa.Connection, user: UserId) -> str | None:
    return connection.scalar(sa.select(users.c.password_hash).where(users.c.id == user))


def set_password_hash(
    connection: sa.Connection, user: UserId, text: str | None, *, before: str | None = None
) -> None:
    """before: only in place of this one."""
    query = sa.update(users).where(users.c.id == user, users.c.deleted_ms.is_(None))
    if before is not None:
        query = query.where(users.c.password_hash == before)
    connection.execute(query.values(password_hash=text))


def set_email_if_free(
    connection: sa.Connection, user: User, email: str, *, verified_ms: int
) -> bool:
    """Theirs and their account's. False: somebody else has it."""
    other = sa.select(users.c.id).where(users.c.email == email, users.c.id != user.id)
    taken = sa.select(accounts.c.id).where(accounts.c.email == email, accounts.c.id != user.account)
    if connection.execute(sa.union_all(other, taken)).first() is not None:
        return False
    connection.execute(
        sa.update(users)
        .where(users.c.id == user.id)
        .values(email=email, email_verified_ms=verified_ms)
    )
    connection.execute(sa.update(accounts).where(accounts.c.id == user.account).values(email=email))
    return True


def set_name(connection: sa.Connection, user: User, name: str) -> None:
    connection.execute(sa.update(users).where(users.c.id == user.id).values(name=name))
    set_account_name(connection, user.account, name)


def set_account_name(connection: sa.Connection, account: AccountId, name: str) -> None:
    connection.execute(sa.update(accounts).where(accounts.c.id == account).values(name=name))


def disable(connection: sa.Connection, user: UserId, *, now_ms: int) -> bool:
    """False: they were disabled before."""
    return _changed(connection, user, users.c.disabled_ms.is_(None), disabled_ms=now_ms)


def enable(connection: sa.Connection, user: UserId) -> bool:
    """False: they were not disabled."""
    return _changed(connection, user, users.c.disabled_ms.is_not(None), disabled_ms=None)


def forget_user(connection: sa.Connection, user: UserId, *, now_ms: int) -> None:
    """Everything that tells who it was; the row stays, for others name it."""
    connection.execute(sa.delete(identities).where(identities.c.user_id == user))
    connection.execute(
        sa.update(users)
        .where(users.c.id == user)
        .values(email=None, email_verified_ms=None, password_hash=None, name="", deleted_ms=now_ms)
    )


def account(connection: sa.Connection, account: AccountId) -> Account | None:
    """None: there is none, or it was deleted."""
    query = sa.select(accounts).where(accounts.c.id == account, accounts.c.deleted_ms.is_(None))
    found = connection.execute(query).one_or_none()
    return None if found is None else _account(found)


def role(connection: sa.Connection, account: AccountId, user: UserId) -> Role | None:
    """In an organisation; None: they do not belong to it."""
    found = connection.scalar(sa.select(memberships.c.role).where(*_is(account, user)))
    return None if found is None else Role(found)


def memberships_of(connection: sa.Connection, user: UserId) -> list[Membership]:
    """The organisations that somebody belongs to, in the order in which they joined."""
    rows = connection.execute(
        sa.select(accounts, memberships.c.role, memberships.c.joined_ms)
        .join(memberships, memberships.c.account_id == accounts.c.id)
        .where(memberships.c.user_id == user, accounts.c.deleted_ms.is_(None))
        .order_by(memberships.c.joined_ms, accounts.c.id)
    )
    return [Membership(_account(row), Role(row.role), row.joined_ms) for row in rows]


def insert_membership(
    database: Database,
    connection: sa.Connection,
    account: AccountId,
    user: UserId,
    role: Role,
    *,
    now_ms: int,
) -> bool:
    """False: they belong to it already."""
    inserted = connection.execute(
        database.insert(memberships)
        .values(account_id=account, user_id=user, role=role.value, joined_ms=now_ms)
        .on_conflict_do_nothing()
        .returning(memberships.c.user_id)
    )
    return inserted.first() is not None


def delete_membership(connection: sa.Connection, account: AccountId, user: UserId) -> bool:
    deleted = sa.delete(memberships).where(*_is(account, user)).returning(memberships.c.user_id)
    return connection.execute(deleted).first() is not None


def set_role(connection: sa.Connection, account: AccountId, user: UserId, role: Role) -> None:
    connection.execute(sa.update(memberships).where(*_is(account, user)).values(role=role.value))


def set_member_limit(
    connection: sa.Connection,
    account: AccountId,
    user: UserId,
    limit: NanoUSD | None,
    reset: str | None,
) -> None:
    connection.execute(
        sa.update(memberships)
        .where(*_is(account, user))
        .values(limit_nano=limit, limit_reset=reset)
    )


def count_other_admins(connection: sa.Connection, account: AccountId, member: UserId) -> int:
    """Those beside that one who can act: nobody who is disabled."""
    query = (
        sa.select(sa.func.count())
        .select_from(memberships)
        .join(users, users.c.id == memberships.c.user_id)
        .where(
            memberships.c.account_id == account,
            memberships.c.role == Role.ADMIN.value,
            memberships.c.user_id != member,
            users.c.disabled_ms.is_(None),
        )
    )
    return connection.scalar(query) or 0


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
    return [_member(row) for row in rows]


def member(connection: sa.Connection, account: AccountId, user: UserId) -> Member | None:
    everybody = _members(account).subquery()
    found = sa.select(everybody).where(everybody.c.id == user)
    row = connection.execute(found).one_or_none()
    return None if row is None else _member(row)


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


def _is(account: AccountId, user: UserId) -> tuple[sa.ColumnElement[bool], ...]:
    return (memberships.c.account_id == account, memberships.c.user_id == user)


def _changed(
    connection: sa.Connection,
    user: UserId,
    condition: sa.ColumnElement[bool],
    *,
    disabled_ms: int | None,
) -> bool:
    query = sa.update(users).where(users.c.id == user, condition).values(disabled_ms=disabled_ms)
    return connection.execute(query.returning(users.c.id)).first() is not None


def _member(row: sa.Row[Any]) -> Member:
    return Member(
        user=row.id,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        joined_ms=row.joined_ms,
        limit=None if row.limit_nano is None else NanoUSD(row.limit_nano),
        limit_reset=row.limit_reset,
    )


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


def _account(row: sa.Row[*tuple[Any, ...]]) -> Account:
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
