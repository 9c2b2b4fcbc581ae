"""SQL about whom accounts want written to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from fairlead.control.notifications.types import USUAL, Kind, Rule
from fairlead.core.ids import AccountId, UserId
from fairlead.store.database import Database
from fairlead.store.tables.notifications import notification_rules as rules
from fairlead.store.tables.people import mails, memberships, users

__all__ = ["addresses", "admins", "is_mailed_since", "known", "members", "named", "put"]

RECIPIENTS_MAX: Final = 20
_read_people: Final = msgspec.json.Decoder(tuple[UserId, ...]).decode


def known(connection: sa.Connection, account: AccountId) -> dict[Kind, Rule]:
    """Of every kind: as the account has it, or as it usually is."""
    rows = connection.execute(sa.select(rules).where(rules.c.account_id == account))
    return {**USUAL, **{Kind(row.kind): _rule(row) for row in rows if row.kind in set(Kind)}}


def put(
    database: Database,
    connection: sa.Connection,
    account: AccountId,
    kind: Kind,
    rule: Rule,
    now_ms: int,
) -> None:
    values = {
        "is_on": rule.is_on,
        "to_admins": rule.to_admins,
        "to_owner": rule.to_owner,
        "people": msgspec.json.encode(rule.people).decode(),
        "updated_ms": now_ms,
    }
    connection.execute(
        database.insert(rules)
        .values(account_id=account, kind=kind.value, **values)
        .on_conflict_do_update(index_elements=["account_id", "kind"], set_=values)
    )


def addresses(
    connection: sa.Connection, account: AccountId, kind: Kind, *, owner: UserId | None = None
) -> list[str]:
    """Where that kind of message goes; none where the account does not want it. owner: who made the key.

    Where nobody of those who were chosen is left, it goes to whoever answers for the account.
    """
    rule = known(connection, account)[kind]
    if not rule.is_on:
        return []
    people = {*rule.people, *([owner] if rule.to_owner and owner is not None else [])}
    found = {email for email in members(connection, account, people).values() if email is not None}
    if rule.to_admins or not found:
        found.update(admins(connection, account))
    return sorted(found)


def admins(connection: sa.Connection, account: AccountId) -> list[str]:
    """Addresses of those who answer for an account: the person, or the organisation's admins."""
    is_mailed = (users.c.email.is_not(None), users.c.deleted_ms.is_(None))
    own = sa.select(users.c.email).where(users.c.account_id == account, *is_mailed)
    shared = (
        sa.select(users.c.email)
        .join(memberships, memberships.c.user_id == users.c.id)
        .where(memberships.c.account_id == account, memberships.c.role == "admin", *is_mailed)
    )
    query = sa.union(own, shared).limit(RECIPIENTS_MAX)
    return sorted(str(row[0]) for row in connection.execute(query))


def members(
    connection: sa.Connection, account: AccountId, people: Collection[UserId]
) -> dict[UserId, str | None]:
    """Those of them who belong to the account, each with their address; None: they have given none."""
    if not people:
        return {}
    query = sa.select(users.c.id, users.c.email).where(
        users.c.id.in_(people), _belongs(account), users.c.deleted_ms.is_(None)
    )
    return {UserId(row.id): row.email for row in connection.execute(query)}


def named(
    connection: sa.Connection, account: AccountId, names: Collection[str]
) -> Mapping[str, UserId]:
    """Those who belong to the account, by these addresses and ids."""
    query = sa.select(users.c.id, users.c.email).where(
        _belongs(account),
        users.c.deleted_ms.is_(None),
        sa.or_(users.c.id.in_(names), users.c.email.in_(names)),
    )
    found: dict[str, UserId] = {}
    for row in connection.execute(query):
        found[row.id] = UserId(row.id)
        if row.email is not None:
            found[row.email] = UserId(row.id)
    return found


def is_mailed_since(connection: sa.Connection, recipient: str, kind: str, since_ms: int) -> bool:
    query = sa.select(mails.c.id).where(
        mails.c.created_ms > since_ms, mails.c.kind == kind, mails.c.recipient == recipient
    )
    return connection.execute(query.limit(1)).first() is not None


def _belongs(account: AccountId) -> sa.ColumnElement[bool]:
    """To the account, as its own person or as a member."""
    member = sa.select(memberships.c.user_id).where(memberships.c.account_id == account)
    return sa.or_(users.c.account_id == account, users.c.id.in_(member))


def _rule(row: sa.Row[Any]) -> Rule:
    return Rule(row.is_on, row.to_admins, row.to_owner, _read_people(row.people))
