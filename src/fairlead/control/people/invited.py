"""SQL about invitations."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from fairlead.control.people.types import Invitation, Role
from fairlead.core.ids import AccountId
from fairlead.store.tables.people import invitations

__all__ = ["accept", "find", "insert", "is_invited", "open_ones", "prolong", "revoke"]


def find(connection: sa.Connection, invitation: str) -> Invitation | None:
    found = connection.execute(
        sa.select(invitations).where(invitations.c.id == invitation)
    ).one_or_none()
    return None if found is None else _invitation(found)


def is_invited(connection: sa.Connection, email: str, *, now_ms: int) -> bool:
    """Whether an organisation waits for whoever has this address."""
    query = sa.select(invitations.c.id).where(
        invitations.c.email == email, *_unanswered(), invitations.c.expires_ms > now_ms
    )
    return connection.execute(query.limit(1)).first() is not None


def open_ones(connection: sa.Connection, account: AccountId) -> list[Invitation]:
    """Those that were neither accepted nor revoked, the newest last; expired ones too."""
    rows = connection.execute(
        sa.select(invitations)
        .where(invitations.c.account_id == account, *_unanswered())
        .order_by(invitations.c.id)
    )
    return [_invitation(row) for row in rows]


def insert(connection: sa.Connection, invitation: Invitation) -> None:
    connection.execute(
        sa.insert(invitations).values(
            id=invitation.id,
            account_id=invitation.account,
            email=invitation.email,
            role=invitation.role.value,
            inviter_user_id=invitation.inviter,
            created_ms=invitation.created_ms,
            expires_ms=invitation.expires_ms,
        )
    )


def prolong(connection: sa.Connection, invitation: str, *, expires_ms: int) -> None:
    connection.execute(
        sa.update(invitations).where(invitations.c.id == invitation).values(expires_ms=expires_ms)
    )


def accept(connection: sa.Connection, invitation: str, *, now_ms: int) -> bool:
    """False: it is not open any more. Of two who accept it at once, one does."""
    query = (
        sa.update(invitations)
        .where(invitations.c.id == invitation, *_unanswered(), invitations.c.expires_ms > now_ms)
        .values(accepted_ms=now_ms)
        .returning(invitations.c.id)
    )
    return connection.execute(query).first() is not None


def revoke(connection: sa.Connection, account: AccountId, invitation: str, *, now_ms: int) -> bool:
    """False: the account has no such invitation that is open."""
    query = (
        sa.update(invitations)
        .where(invitations.c.id == invitation, invitations.c.account_id == account, *_unanswered())
        .values(revoked_ms=now_ms)
        .returning(invitations.c.id)
    )
    return connection.execute(query).first() is not None


def _unanswered() -> tuple[sa.ColumnElement[bool], ...]:
    return (invitations.c.accepted_ms.is_(None), invitations.c.revoked_ms.is_(None))


def _invitation(row: sa.Row[Any]) -> Invitation:
    return Invitation(
        id=row.id,
        account=row.account_id,
        email=row.email,
        role=Role(row.role),
        inviter=row.inviter_user_id,
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        accepted_ms=row.accepted_ms,
        revoked_ms=row.revoked_ms,
    )
