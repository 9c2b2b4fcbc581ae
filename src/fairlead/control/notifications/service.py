"""Whom an account wants written to, about what; and a message that shows whether it arrives."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

import sqlalchemy as sa

from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.mail.outbox import Outbox
from fairlead.control.mail.types import Letter
from fairlead.control.notifications import queries
from fairlead.control.notifications.queries import addresses, admins
from fairlead.control.notifications.types import (
    PEOPLE_MAX,
    Kind,
    NotificationInvalid,
    Rule,
    TooSoon,
    Wanted,
)
from fairlead.core.ids import AccountId, UserId
from fairlead.store.database import Database

__all__ = ["Notifications", "addresses", "admins"]

TEST: Final = "test_message"
TEST_EVERY_MS: Final = 60_000


class Notifications:
    """Methods block."""

    def __init__(
        self, database: Database, outbox: Outbox, audit: Audit, *, now_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._audit = audit
        self._now_ms = now_ms

    def rules(self, account: AccountId) -> Mapping[Kind, Rule]:
        """Of every kind."""
        with self._database.read() as connection:
            return queries.known(connection, account)

    def members(
        self, account: AccountId, people: Collection[UserId]
    ) -> Mapping[UserId, str | None]:
        """Those of them who belong to the account, each with their address; None: they have given none."""
        with self._database.read() as connection:
            return queries.members(connection, account, people)

    def choose(self, account: AccountId, wanted: Mapping[Kind, Wanted], *, actor: Actor) -> None:
        """All of them, or none. Raises NotificationInvalid."""
        with self._database.begin() as connection:
            for kind, one in wanted.items():
                rule = _checked(connection, account, kind, one)
                queries.put(self._database, connection, account, kind, rule, now_ms=self._now_ms())
            kinds = ", ".join(kind.value for kind, one in wanted.items() if one.is_on)
            self._audit.note(
                connection, account, actor, "notifications.update", account, on=kinds or "none"
            )

    def test(self, recipient: str) -> None:
        """Write to who asks. recipient: their own address. Raises TooSoon."""
        now_ms = self._now_ms()
        with self._database.begin() as connection:
            self._database.lock(connection, f"test message {recipient}")
            if queries.is_mailed_since(connection, recipient, TEST, now_ms - TEST_EVERY_MS):
                raise TooSoon("A test message went there within the last minute.")
            self._outbox.put(connection, Letter(kind=TEST, recipient=recipient))


def _checked(connection: sa.Connection, account: AccountId, kind: Kind, wanted: Wanted) -> Rule:
    names = list(dict.fromkeys(name.strip().lower() for name in wanted.people))
    if len(names) > PEOPLE_MAX:
        raise NotificationInvalid(f"At most {PEOPLE_MAX} members.", kind)
    people: list[UserId] = []
    if names:
        found = queries.named(connection, account, names)
        for name in names:
            if name not in found:
                raise NotificationInvalid(f"{name[:80]} does not belong to the account.", kind)
            people.append(found[name])
    if wanted.is_on and not (wanted.to_admins or wanted.to_owner or people):
        raise NotificationInvalid("Choose somebody, or switch it off.", kind)
    return Rule(wanted.is_on, wanted.to_admins, wanted.to_owner, tuple(dict.fromkeys(people)))
