"""Accounts: create them, find them, keep what they wish of routing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from fairlead.control.accounts import queries, rules
from fairlead.control.accounts.preferences import CheckedPreferences, present
from fairlead.control.accounts.types import (
    Account,
    AccountKind,
    AccountUnknown,
    Billing,
    EmailTaken,
    Founded,
    OwnerEnsured,
)
from fairlead.core.ids import ID_ENTROPY_BYTES, AccountId, UserId
from fairlead.store.database import Database

__all__ = ["Accounts"]

PAGE_MAX: Final = 1000
OWNER_NAME: Final = "Owner"
DEFAULT_WORKSPACE_NAME: Final = "Default"
DEFAULT_WORKSPACE_SLUG: Final = "default"
NOTHING_SET: Final = "{}"


class Accounts:
    """All accounts. Methods block: call them from a thread, or `await database.run(accounts.find, ...)`.

    accounts = Accounts(database, now_ms=clock.now_ms, entropy=os.urandom)
    owner = accounts.ensure_owner()  # OwnerEnsured(account, is_new)
    account = accounts.create(email="ada@example.com", billing=Billing.PREPAID)

    now_ms: wall-clock time. entropy: that many unpredictable bytes.
    All raise DatabaseUnreadable if the database is away.
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

    def ensure_owner(self) -> OwnerEnsured:
        """The owner's account, created at the first start. Two processes at once create one."""
        owner = self._new(email=None, name=OWNER_NAME, billing=Billing.POSTPAID, is_owner=True)
        with self._database.begin() as connection:
            is_new = self._found_within(connection, owner) is not None
            found = queries.owner(connection)
        assert found is not None
        return OwnerEnsured(found, is_new)

    def create(self, *, email: str, billing: Billing, name: str = "") -> Account:
        """A person's account. Raises EmailInvalid, EmailTaken."""
        with self._database.begin() as connection:
            return self.create_within(connection, email=email, billing=billing, name=name).account

    def create_within(
        self,
        connection: sa.Connection,
        *,
        email: str,
        billing: Billing,
        name: str = "",
        is_verified: bool = False,
    ) -> Founded:
        """The same in a transaction of yours. is_verified: we know that the address is this person's.

        Raises EmailInvalid, EmailTaken.
        """
        address = rules.email(email)
        account = self._new(
            email=address, name=rules.name(name) or address, billing=billing, is_owner=False
        )
        verified_ms = account.created_ms if is_verified else None
        founded = self._found_within(connection, account, verified_ms=verified_ms)
        if founded is None:
            raise EmailTaken(f"an account with the email {address} exists already")
        return founded

    def create_organisation_within(
        self, connection: sa.Connection, *, name: str, billing: Billing, creator: UserId
    ) -> Founded:
        """An account without an address and, as yet, without members."""
        account = self._new(email=None, name=rules.name(name), billing=billing, is_owner=False)
        account = replace(account, kind=AccountKind.ORGANISATION)
        founded = self._found_within(connection, account, creator=creator)
        assert founded is not None, "no address, so nothing can be taken"
        return founded

    def delete_within(self, connection: sa.Connection, account: AccountId) -> None:
        """It stays, for what it used and paid; its address can be used again. Again is fine."""
        queries.mark_deleted(connection, account, now_ms=self._now_ms())

    def find(self, account: AccountId) -> Account | None:
        with self._database.read() as connection:
            return queries.by_id(connection, account)

    def find_by_email(self, email: str) -> Account | None:
        """Raises EmailInvalid."""
        address = rules.email(email)
        with self._database.read() as connection:
            return queries.by_email(connection, address)

    def owner(self) -> Account | None:
        with self._database.read() as connection:
            return queries.owner(connection)

    def page(self, *, after: AccountId | None = None, limit: int = PAGE_MAX) -> list[Account]:
        """In the order of creation, at most `limit` behind the account `after`."""
        with self._database.read() as connection:
            return queries.page(
                connection, after=after or AccountId(""), limit=min(limit, PAGE_MAX)
            )

    def preferences(self, account: AccountId) -> str:
        """What the account has set, as JSON. Raises AccountUnknown."""
        with self._database.read() as connection:
            found = queries.preferences(connection, account)
        if found is None:
            raise _unknown(account)
        return present(found.preferences or NOTHING_SET)

    def set_preferences(self, account: AccountId, wanted: CheckedPreferences) -> str:
        """In place of all that was set before. Gateways follow within two seconds. Raises AccountUnknown."""
        return self.change_preferences(account, lambda _before: wanted)

    def change_preferences(
        self, account: AccountId, change: Callable[[str], CheckedPreferences]
    ) -> str:
        """The same, made of what is set now, as JSON; nobody else changes it meanwhile. What `change` raises
        leaves everything as it was. Raises AccountUnknown."""
        with self._database.begin() as connection:
            self._database.lock(connection, f"preferences {account}")
            found = queries.preferences(connection, account)
            if found is None:
                raise _unknown(account)
            wanted = change(present(found.preferences or NOTHING_SET))
            text = None if wanted.text == NOTHING_SET else wanted.text
            queries.set_preferences(connection, account, text)
        return wanted.text

    def _found_within(
        self,
        connection: sa.Connection,
        account: Account,
        *,
        verified_ms: int | None = None,
        creator: UserId | None = None,
    ) -> Founded | None:
        """The account with its user and its default workspace; None: there is one already."""
        if not queries.insert_if_free(self._database, connection, account):
            return None
        user: UserId | None = None
        if account.kind is AccountKind.PERSON:
            user = rules.user_id(account.created_ms, self._entropy(ID_ENTROPY_BYTES))
            queries.insert_user(connection, user, account, verified_ms=verified_ms)
        workspace = rules.default_workspace(account.id)
        queries.insert_default_workspace(
            connection,
            workspace,
            account,
            name=DEFAULT_WORKSPACE_NAME,
            slug=DEFAULT_WORKSPACE_SLUG,
            creator=user or creator,
        )
        return Founded(account, user, workspace)

    def _new(self, *, email: str | None, name: str, billing: Billing, is_owner: bool) -> Account:
        now_ms = self._now_ms()
        return Account(
            id=rules.account_id(now_ms, self._entropy(ID_ENTROPY_BYTES)),
            email=email,
            name=name,
            billing=billing,
            is_owner=is_owner,
            created_ms=now_ms,
        )


def _unknown(account: AccountId) -> AccountUnknown:
    return AccountUnknown(f"there is no account {account}")
