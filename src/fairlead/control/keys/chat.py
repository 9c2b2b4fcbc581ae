"""The key by which somebody's browser calls models while they are signed in.

There is one for each workspace in which they chat. It is a key like any other: listed, counted, limited,
disabled. Only nobody can send it. Its digest follows from whose it is and from the workspace, and no secret is
known that has it: a digest of keys is SHA-256, this one is BLAKE2b.

Nobody made it on purpose, so it keeps no workspace from being deleted and nobody from being removed: it goes
with them. One that was disabled stays, and they find it so if they come back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Final

import sqlalchemy as sa

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.keys import queries, rules
from fairlead.control.keys.types import ApiKey
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import Workspace, WorkspaceUnknown
from fairlead.core.ids import ID_ENTROPY_BYTES, AccountId, UserId
from fairlead.store.database import Database

__all__ = ["ChatKeys", "chat_digest"]

NAME: Final = "Chat"
DIGEST_BYTES: Final = 32


def chat_digest(account: AccountId, user: UserId, workspace: str) -> bytes:
    """Of the key that a person uses in the browser for an account. workspace: its id."""
    is_default = workspace == default_workspace(account)
    parts = (account, user) if is_default else (account, user, workspace)
    whose = "\0".join(parts).encode()
    return blake2b(whose, digest_size=DIGEST_BYTES, person=b"fairlead chat").digest()


class ChatKeys:
    """Methods block. Raise DatabaseUnreadable if the database is away."""

    def __init__(
        self,
        database: Database,
        workspaces: Workspaces,
        *,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        audit: Audit | None = None,
    ) -> None:
        self._database = database
        self._workspaces = workspaces
        self._now_ms = now_ms
        self._entropy = entropy
        self._audit = audit

    def open(self, account: AccountId, user: UserId, workspace: str, *, actor: Actor) -> None:
        """Have the key there. One that was disabled or revoked stays so; one that was deleted is made anew.

        workspace: its id. Raises WorkspaceUnknown, also for one in which they do not work.
        """
        digest = chat_digest(account, user, workspace)
        with self._database.read() as connection:
            self._place(connection, account, user, workspace)
            found = queries.by_digest(connection, account, digest)
        if found is not None and found.deleted_ms is None:
            return
        with self._database.begin() as connection:
            # Again: who was removed meanwhile gets none.
            place = self._place(connection, account, user, workspace)
            # Of two windows that are opened at once, one makes it.
            self._database.lock(connection, f"chat key {account} {user} {place.id}")
            found = queries.by_digest(connection, account, digest)
            if found is not None:
                if found.deleted_ms is None:
                    return
                queries.save(connection, replace(found, digest=self._entropy(DIGEST_BYTES)))
            now_ms = self._now_ms()
            key = ApiKey(
                id=rules.key_id(now_ms, self._entropy(ID_ENTROPY_BYTES)),
                account=account,
                digest=digest,
                label=rules.CHAT_LABEL,
                name=NAME,
                is_management=False,
                is_disabled=False,
                limit=None,
                limit_reset=None,
                created_ms=now_ms,
                expires_ms=None,
                revoked_ms=None,
                workspace=place.id,
                creator=user,
            )
            queries.insert(connection, key)
            if self._audit is not None:
                self._audit.note(
                    connection,
                    account,
                    actor,
                    "key.create",
                    key.id,
                    name=NAME,
                    label=rules.CHAT_LABEL,
                )

    def _place(
        self, connection: sa.Connection, account: AccountId, user: UserId, workspace: str
    ) -> Workspace:
        place = self._workspaces.find_within(connection, account, workspace)
        if place.id != workspace or not self._workspaces.works_in(connection, place, user):
            raise WorkspaceUnknown(f"you work in no workspace {workspace[:80]!r}")
        return place
