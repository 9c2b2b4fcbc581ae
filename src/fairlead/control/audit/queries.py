"""SQL about the audit log."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from fairlead.control.audit.types import Actor, AuditEntry
from fairlead.core.ids import AccountId
from fairlead.store.tables.people import audit_entries

__all__ = ["delete_before", "insert", "page"]


def insert(connection: sa.Connection, entry: AuditEntry) -> None:
    connection.execute(
        sa.insert(audit_entries).values(
            id=entry.id,
            account_id=entry.account,
            actor=entry.actor.name,
            action=entry.action,
            subject=entry.subject,
            details=msgspec.json.encode(entry.details).decode(),
            address=entry.actor.address,
            created_ms=entry.created_ms,
        )
    )


def page(
    connection: sa.Connection,
    account: AccountId | None,
    *,
    before: str | None,
    limit: int,
    actor: str | None = None,
    action: str | None = None,
) -> list[AuditEntry]:
    """The newest first. account: None: everybody's. actor: done by them. action: that, or what begins with it
    and a dot."""
    query = sa.select(audit_entries).order_by(audit_entries.c.id.desc()).limit(limit)
    if account is not None:
        query = query.where(audit_entries.c.account_id == account)
    if before is not None:
        query = query.where(audit_entries.c.id < before)
    if actor is not None:
        query = query.where(audit_entries.c.actor == actor)
    if action is not None:
        name = audit_entries.c.action
        query = query.where((name == action) | name.startswith(f"{action}.", autoescape=True))
    return [_entry(row) for row in connection.execute(query)]


def delete_before(connection: sa.Connection, first: str, *, limit: int) -> int:
    """Those whose id sorts before `first`, the oldest `limit` of them. Returns how many there were."""
    old = (
        sa.select(audit_entries.c.id)
        .where(audit_entries.c.id < first)
        .order_by(audit_entries.c.id)
        .limit(limit)
    )
    ids = list(connection.scalars(old))
    connection.execute(sa.delete(audit_entries).where(audit_entries.c.id.in_(ids)))
    return len(ids)


def _entry(row: sa.Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        account=row.account_id,
        actor=Actor(row.actor, row.address),
        action=row.action,
        subject=row.subject,
        details=msgspec.json.decode(row.details, type=dict[str, str]),
        created_ms=row.created_ms,
    )
