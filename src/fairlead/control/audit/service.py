"""The audit log: what was done to accounts, by whom. Written in the transaction that does it, so that neither
happens without the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import sqlalchemy as sa

from fairlead.control.audit import queries, rules
from fairlead.control.audit.types import Actor, AuditEntry
from fairlead.core.ids import ID_ENTROPY_BYTES, AccountId
from fairlead.observe.log import masked
from fairlead.store.database import Database

__all__ = ["Audit"]

PAGE_MAX: Final = 500
SWEPT_AT_ONCE: Final = 5000


class Audit:
    """The log of all accounts. Methods block.

    with database.begin() as connection:
        ...  # do it
        audit.note(connection, account, actor, "key.create", key.id, name=key.name)
    audit.page(account)  # the newest first
    """

    def __init__(
        self,
        database: Database,
        *,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._entropy = entropy

    def note(
        self,
        connection: sa.Connection,
        account: AccountId,
        actor: Actor,
        action: str,
        subject: str,
        **details: object,
    ) -> None:
        """action: as "key.create". details: a few words each; None is left out, what looks like a secret is
        masked."""
        now_ms = self._now_ms()
        entry = AuditEntry(
            id=rules.entry_id(now_ms, action, self._entropy(ID_ENTROPY_BYTES)),
            account=account,
            actor=rules.actor(actor),
            action=action,
            subject=rules.bounded(subject),
            details={name: masked(text) for name, text in rules.details(details).items()},
            created_ms=now_ms,
        )
        queries.insert(connection, entry)

    def page(
        self, account: AccountId, *, before: str | None = None, limit: int = PAGE_MAX
    ) -> list[AuditEntry]:
        """What happened to an account, the newest first. before: the last id of the page before."""
        with self._database.read() as connection:
            return queries.page(connection, account, before=before, limit=min(limit, PAGE_MAX))

    def page_of_all(
        self,
        *,
        account: AccountId | None = None,
        actor: str | None = None,
        action: str | None = None,
        before: str | None = None,
        limit: int = PAGE_MAX,
    ) -> list[AuditEntry]:
        """The same of all accounts, for the operator. actor: a user's or a key's id, or "operator".
        action: as "key.create", or what it begins with, as "key"."""
        with self._database.read() as connection:
            return queries.page(
                connection,
                account,
                before=before,
                limit=min(limit, PAGE_MAX),
                actor=actor,
                action=action,
            )

    def sweep(self, *, kept_ms: int) -> int:
        """Delete some entries older than that. Returns how many."""
        first = rules.first_id(self._now_ms() - kept_ms)
        with self._database.begin() as connection:
            return queries.delete_before(connection, first, limit=SWEPT_AT_ONCE)
