"""People: find them, and who belongs to an account."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from fairlead.control.accounts import rules as account_rules
from fairlead.control.people import queries
from fairlead.control.people.types import Member, User
from fairlead.core.ids import AccountId, UserId
from fairlead.store.database import Database

__all__ = ["People"]

PAGE_MAX: Final = 100


class People:
    """All people. Methods block.

    people = People(database)
    people.of_account(account)  # the user whose own account it is
    people.members(account)  # a page of everybody who belongs to it, and how many there are
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, user: UserId) -> User | None:
        with self._database.read() as connection:
            return queries.user(connection, user)

    def find_all(self, people: Collection[UserId]) -> dict[UserId, User]:
        """Unknown ones are missing."""
        with self._database.read() as connection:
            return queries.users_by_ids(connection, people)

    def find_by_email(self, email: str) -> User | None:
        """Raises EmailInvalid."""
        address = account_rules.email(email)
        with self._database.read() as connection:
            return queries.user_by_email(connection, address)

    def of_account(self, account: AccountId) -> User | None:
        """None: it is an organisation's."""
        with self._database.read() as connection:
            return queries.user_of_account(connection, account)

    def members(
        self, account: AccountId, *, offset: int = 0, limit: int = PAGE_MAX
    ) -> tuple[tuple[Member, ...], int]:
        """Who belongs to an account, in the order in which they came, and how many there are in all.

        A person's own account has one, who is its admin.
        """
        with self._database.read() as connection:
            found = queries.members(connection, account, offset=offset, limit=min(limit, PAGE_MAX))
            return tuple(found), queries.count_members(connection, account)

    def member(self, account: AccountId, user: UserId) -> Member | None:
        """As one who belongs to the account; None: they do not."""
        with self._database.read() as connection:
            return queries.member(connection, account, user)
