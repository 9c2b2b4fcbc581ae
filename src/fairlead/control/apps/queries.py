"""SQL about codes that apps exchange for a key."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from fairlead.control.apps.types import ChallengeMethod, Grant
from fairlead.control.keys.types import LimitReset
from fairlead.core.ids import AccountId
from fairlead.store.tables.apps import authorization_codes as codes

__all__ = ["by_digest", "count_waiting", "delete_expired", "insert", "note_wrong", "take"]


def insert(connection: sa.Connection, grant: Grant) -> None:
    connection.execute(
        sa.insert(codes).values(
            digest=grant.digest,
            account_id=grant.account,
            user_id=grant.user,
            app_id=grant.app_id,
            challenge=grant.challenge,
            challenge_method=None if grant.method is None else grant.method.value,
            key_name=grant.key_name,
            key_workspace_id=grant.key_workspace,
            key_limit_nano=grant.key_limit,
            key_limit_reset=None if grant.key_limit_reset is None else grant.key_limit_reset.value,
            key_expires_ms=grant.key_expires_ms,
            created_ms=grant.created_ms,
            expires_ms=grant.expires_ms,
            wrong_count=grant.wrong_count,
            used_ms=grant.used_ms,
        )
    )


def by_digest(connection: sa.Connection, digest: bytes) -> Grant | None:
    found = connection.execute(sa.select(codes).where(codes.c.digest == digest)).one_or_none()
    return None if found is None else _grant(found)


def take(connection: sa.Connection, digest: bytes, *, now_ms: int) -> bool:
    """Of all who come with the code, one gets True."""
    taken = connection.execute(
        sa.update(codes)
        .where(codes.c.digest == digest, codes.c.used_ms.is_(None))
        .values(used_ms=now_ms)
    )
    return taken.rowcount == 1


def note_wrong(connection: sa.Connection, digest: bytes) -> None:
    connection.execute(
        sa.update(codes).where(codes.c.digest == digest).values(wrong_count=codes.c.wrong_count + 1)
    )


def count_waiting(connection: sa.Connection, account: AccountId, *, now_ms: int) -> int:
    query = sa.select(sa.func.count()).where(
        codes.c.account_id == account, codes.c.expires_ms > now_ms, codes.c.used_ms.is_(None)
    )
    return connection.scalar(query) or 0


def delete_expired(connection: sa.Connection, *, before_ms: int) -> int:
    gone = connection.execute(sa.delete(codes).where(codes.c.expires_ms <= before_ms))
    return gone.rowcount


def _grant(row: sa.Row[Any]) -> Grant:
    return Grant(
        digest=row.digest,
        account=row.account_id,
        user=row.user_id,
        app_id=row.app_id,
        challenge=row.challenge,
        method=None if row.challenge_method is None else ChallengeMethod(row.challenge_method),
        key_name=row.key_name,
        key_workspace=row.key_workspace_id,
        key_limit=row.key_limit_nano,
        key_limit_reset=None if row.key_limit_reset is None else LimitReset(row.key_limit_reset),
        key_expires_ms=row.key_expires_ms,
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        wrong_count=row.wrong_count,
        used_ms=row.used_ms,
    )
