"""Links that work once.

Only their digests are kept, and taking one is deleting its row: of two who come with the same link, one finds
it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from fairlead.control.people import rules
from fairlead.control.people.rules import Purpose
from fairlead.store.database import Database
from fairlead.store.tables.people import one_time_tokens

__all__ = ["OneTimeTokens", "Opened"]

SWEPT_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link is for. subject: of a user or an invitation; "" for who has no account yet.

    email: the mailbox it was sent to; None: it was handed out otherwise, and proves none.
    """

    purpose: Purpose
    subject: str
    email: str | None


class OneTimeTokens:
    """Those of all purposes. Methods block; those that take a connection are part of its transaction."""

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

    def mint(
        self,
        connection: sa.Connection,
        purpose: Purpose,
        subject: str,
        *,
        email: str | None,
        valid_ms: int,
    ) -> str:
        """A new one: the only time that it exists outside the hands it is for."""
        now_ms = self._now_ms()
        token = rules.token(self._entropy(rules.TOKEN_ENTROPY_BYTES))
        connection.execute(
            sa.insert(one_time_tokens).values(
                digest=rules.digest(token),
                purpose=purpose.value,
                subject_id=subject,
                email=email,
                created_ms=now_ms,
                expires_ms=now_ms + valid_ms,
            )
        )
        return token

    def look(self, token: str, purposes: Collection[Purpose]) -> Opened | None:
        """What it would open; it stays good. None: nothing, for whatever reason."""
        if not rules.is_token(token):
            return None
        query = sa.select(one_time_tokens).where(*self._good(token, purposes))
        with self._database.read() as connection:
            return _opened(connection.execute(query).one_or_none())

    def spend(
        self, connection: sa.Connection, token: str, purposes: Collection[Purpose]
    ) -> Opened | None:
        """What it opens; from now on nothing. None: nothing, and nothing has changed."""
        if not rules.is_token(token):
            return None
        query = (
            sa.delete(one_time_tokens)
            .where(*self._good(token, purposes))
            .returning(*one_time_tokens.c)
        )
        return _opened(connection.execute(query).one_or_none())

    def forget(self, connection: sa.Connection, subject: str) -> None:
        """No link to it is good any more."""
        assert subject, "that would be everybody without an account"
        connection.execute(
            sa.delete(one_time_tokens).where(one_time_tokens.c.subject_id == subject)
        )

    def sweep(self) -> int:
        """Delete some that have expired. Returns how many."""
        expired = (
            sa.select(one_time_tokens.c.digest)
            .where(one_time_tokens.c.expires_ms <= self._now_ms())
            .limit(SWEPT_AT_ONCE)
        )
        with self._database.begin() as connection:
            deleted = connection.execute(
                sa.delete(one_time_tokens)
                .where(one_time_tokens.c.digest.in_(expired))
                .returning(one_time_tokens.c.purpose)
            )
            return len(deleted.all())

    def _good(
        self, token: str, purposes: Collection[Purpose]
    ) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            one_time_tokens.c.digest == rules.digest(token),
            one_time_tokens.c.expires_ms > self._now_ms(),
            one_time_tokens.c.purpose.in_([purpose.value for purpose in purposes]),
        )


def _opened(row: sa.Row[*tuple[object, ...]] | None) -> Opened | None:
    if row is None:
        return None
    return Opened(Purpose(row.purpose), row.subject_id, row.email)
