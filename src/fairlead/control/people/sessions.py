"""Sessions: who is signed in where.

A session is 256 random bits in a cookie; we keep their digest. Every sign-in gets new ones, so nobody can have
put a known one there before. It ends when its person says so, when it was not used for a while, and after a
longest time in any case; and with its person's account.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from fairlead.control.accounts.types import Account
from fairlead.control.people import queries, rules
from fairlead.control.people.rules import SignInRules
from fairlead.control.people.types import (
    MemberUnknown,
    NewSession,
    Place,
    Role,
    Session,
    SignedIn,
    User,
)
from fairlead.core.ids import ID_ENTROPY_BYTES, AccountId, UserId
from fairlead.store.database import Database
from fairlead.store.tables.people import sessions

__all__ = ["Sessions"]

USED_EVERY_MS: Final = 60_000  # so exactly is known when it was last used
SESSIONS_MAX: Final = 50  # of one person; the oldest goes
SWEPT_AT_ONCE: Final = 5000


class Sessions:
    """All sessions. Methods block; those that take a connection are part of its transaction.

    new = sessions.begin(connection, user, method="password", place=place)  # new.token into the cookie
    signed_in = sessions.find(token)  # None: of nobody
    """

    def __init__(
        self,
        database: Database,
        *,
        settings: SignInRules,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._settings = settings
        self._now_ms = now_ms
        self._entropy = entropy

    def begin(
        self, connection: sa.Connection, user: User, *, method: str, place: Place
    ) -> NewSession:
        """Sign them in, for their own account."""
        now_ms = self._now_ms()
        token = rules.token(self._entropy(rules.TOKEN_ENTROPY_BYTES))
        session = Session(
            id=rules.session_id(now_ms, self._entropy(ID_ENTROPY_BYTES)),
            user=user.id,
            account=user.account,
            method=method,
            place=rules.bounded_place(place),
            created_ms=now_ms,
            used_ms=now_ms,
            expires_ms=now_ms + self._settings.session_max_ms,
        )
        self._make_room(connection, user.id)
        connection.execute(
            sa.insert(sessions).values(
                digest=rules.digest(token),
                id=session.id,
                user_id=session.user,
                account_id=session.account,
                method=session.method,
                address=session.place.address,
                user_agent=session.place.user_agent,
                created_ms=session.created_ms,
                used_ms=session.used_ms,
                expires_ms=session.expires_ms,
            )
        )
        return NewSession(session, token)

    def find(self, token: str) -> SignedIn | None:
        """Whose session it is, and what they may do in the account that is active.

        Who does not belong to that account any more acts for their own again.
        """
        if not rules.is_token(token):
            return None
        digest, now_ms = rules.digest(token), self._now_ms()
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(sessions).where(sessions.c.digest == digest)
            ).one_or_none()
            if row is None:
                return None
            session = _session(row)
            user = queries.user(connection, session.user)
            ends_ms = rules.session_expires_ms(
                self._settings,
                created_ms=session.created_ms,
                used_ms=session.used_ms,
                now_ms=now_ms,
            )
            if ends_ms is None or user is None or not user.may_sign_in:
                return None
            active = _active(connection, user, session.account)
        if active is None:
            return None
        account, role = active
        if now_ms - session.used_ms >= USED_EVERY_MS:
            self._touch(digest, now_ms)
        session = replace(session, account=account.id)
        return SignedIn(user, account, role, session, csrf=rules.csrf(token))

    def page(self, user: UserId) -> list[Session]:
        """Those that are not over, the last used first; SESSIONS_MAX at most."""
        now_ms = self._now_ms()
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(sessions)
                .where(sessions.c.user_id == user, *self._alive(now_ms))
                .order_by(sessions.c.used_ms.desc(), sessions.c.id.desc())
            )
            return [_session(row) for row in rows]

    def choose_account(self, token: str, user: User, account: AccountId) -> None:
        """Act for another account from now on. Raises MemberUnknown for one that they do not belong to."""
        with self._database.begin() as connection:
            if _active(connection, user, account, or_own=False) is None:
                raise MemberUnknown("You do not belong to this account.")
            connection.execute(
                sa.update(sessions)
                .where(sessions.c.digest == rules.digest(token), sessions.c.user_id == user.id)
                .values(account_id=account)
            )

    def end(self, token: str) -> None:
        """Sign out. Again is fine."""
        with self._database.begin() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.digest == rules.digest(token)))

    def revoke(self, connection: sa.Connection, user: UserId, session: str) -> bool:
        """One of theirs. False: they have no such session."""
        query = sa.delete(sessions).where(sessions.c.id == session, sessions.c.user_id == user)
        return connection.execute(query.returning(sessions.c.id)).first() is not None

    def revoke_all(self, connection: sa.Connection, user: UserId, *, but: str | None = None) -> int:
        """All of theirs. but: the id of one that stays. Returns how many there were."""
        query = sa.delete(sessions).where(sessions.c.user_id == user)
        if but is not None:
            query = query.where(sessions.c.id != but)
        return len(connection.execute(query.returning(sessions.c.id)).all())

    def sweep(self) -> int:
        """Delete some that are over. Returns how many."""
        over = (
            sa.select(sessions.c.digest)
            .where(sessions.c.expires_ms <= self._now_ms())
            .limit(SWEPT_AT_ONCE)
        )
        with self._database.begin() as connection:
            query = sa.delete(sessions).where(sessions.c.digest.in_(over))
            return len(connection.execute(query.returning(sessions.c.id)).all())

    def _alive(self, now_ms: int) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            sessions.c.used_ms > now_ms - self._settings.session_idle_ms,
            sessions.c.created_ms > now_ms - self._settings.session_max_ms,
        )

    def _make_room(self, connection: sa.Connection, user: UserId) -> None:
        newest = (
            sa.select(sessions.c.id)
            .where(sessions.c.user_id == user)
            .order_by(sessions.c.used_ms.desc(), sessions.c.id.desc())
            .limit(SESSIONS_MAX - 1)
        )
        kept = list(connection.scalars(newest))
        connection.execute(
            sa.delete(sessions).where(sessions.c.user_id == user, sessions.c.id.not_in(kept))
        )

    def _touch(self, digest: bytes, now_ms: int) -> None:
        with self._database.begin() as connection:
            connection.execute(
                sa.update(sessions)
                .where(sessions.c.digest == digest, sessions.c.used_ms < now_ms)
                .values(used_ms=now_ms)
            )


def _active(
    connection: sa.Connection, user: User, account: AccountId, *, or_own: bool = True
) -> tuple[Account, Role] | None:
    """The account if they belong to it, else their own."""
    role = Role.ADMIN if account == user.account else queries.role(connection, account, user.id)
    found = None if role is None else queries.account(connection, account)
    if role is not None and found is not None:
        return found, role
    own = queries.account(connection, user.account) if or_own else None
    return None if own is None else (own, Role.ADMIN)


def _session(row: sa.Row[Any]) -> Session:
    return Session(
        id=row.id,
        user=row.user_id,
        account=row.account_id,
        method=row.method,
        place=Place(row.address, row.user_agent),
        created_ms=row.created_ms,
        used_ms=row.used_ms,
        expires_ms=row.expires_ms,
    )
