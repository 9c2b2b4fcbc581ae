"""Deleting an account: nobody can sign in to it, nothing opens it, and nothing tells whose it was.

What it used and paid stays, under its id. The address is free again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.people import queries
from fairlead.control.people.organisations import Organisations
from fairlead.control.people.sessions import Sessions
from fairlead.control.people.tokens import OneTimeTokens
from fairlead.control.people.types import LastAdmin, OwnerStays, Place, User
from fairlead.core.ids import AccountId
from fairlead.store.database import Database

__all__ = ["AccountKeys", "Forget", "Leaving"]

# What else must go, as part of the same transaction: what an account has stored elsewhere.
Forget = Callable[[sa.Connection, AccountId], None]


class AccountKeys(Protocol):
    """What becomes of keys when their account goes."""

    def revoke_of_account(self, connection: sa.Connection, account: AccountId) -> int:
        """All of them, for good. Returns how many were good before."""
        ...


class Leaving:
    """Methods block. forget: what else is deleted of an account."""

    def __init__(
        self,
        database: Database,
        *,
        accounts: Accounts,
        organisations: Organisations,
        sessions: Sessions,
        tokens: OneTimeTokens,
        audit: Audit,
        now_ms: Callable[[], int],
        keys: AccountKeys | None,
        forget: Sequence[Forget] = (),
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._organisations = organisations
        self._sessions = sessions
        self._tokens = tokens
        self._audit = audit
        self._now_ms = now_ms
        self._keys = keys
        self._forget = forget

    def delete(self, user: User, place: Place) -> None:
        """A person with their account, and organisations in which they were alone.

        Raises LastAdmin where others would stay without one; OwnerStays.
        """
        with self._database.begin() as connection:
            account = queries.account(connection, user.account)
            if account is not None and account.is_owner:
                raise OwnerStays("The owner's account cannot be deleted.")
            for membership in queries.memberships_of(connection, user.id):
                shared = membership.account.id
                self._database.lock(connection, f"organisation {shared}")
                if queries.count_members(connection, shared) == 1:
                    queries.delete_membership(connection, shared, user.id)
                    self._delete_account(connection, shared, user, place)
                    continue
                try:
                    self._organisations.leave_within(connection, user.id, shared)
                except LastAdmin as error:
                    raise LastAdmin(
                        f"{membership.account.name} would be left without an admin; make somebody"
                        " else one first."
                    ) from error
            self._delete_account(connection, user.account, user, place)
            self._sessions.revoke_all(connection, user.id)
            self._tokens.forget(connection, user.id)
            queries.forget_user(connection, user.id, now_ms=self._now_ms())

    def _delete_account(
        self, connection: sa.Connection, account: AccountId, user: User, place: Place
    ) -> None:
        revoked = self._keys.revoke_of_account(connection, account) if self._keys else 0
        for forget in self._forget:
            forget(connection, account)
        self._accounts.delete_within(connection, account)
        self._audit.note(
            connection,
            account,
            Actor.user(user.id, place.address),
            "account.delete",
            account,
            keys_revoked=revoked,
        )
