"""The database side of signing in: one method is one transaction. `sign_in.py` says when.

What is decided before (a password was right) and what is written here (a session) are apart in time. So each
method looks again at whoever it is about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from fairlead.control.accounts import rules as account_rules
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Account, Billing, EmailTaken
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.mail.outbox import Outbox
from fairlead.control.mail.types import Letter
from fairlead.control.people import queries
from fairlead.control.people.letters import may_sign_up
from fairlead.control.people.rules import Purpose, SignInRules
from fairlead.control.people.sessions import Sessions
from fairlead.control.people.tokens import OneTimeTokens, Opened
from fairlead.control.people.types import (
    LinkInvalid,
    NewSession,
    Place,
    SignedIn,
    SignInFirst,
    SignInRefused,
    SignUpClosed,
    User,
)
from fairlead.core.ids import UserId
from fairlead.store.database import Database

__all__ = ["Elsewhere", "Entrance", "Known", "Welcome"]

# What a new account is given, as part of the transaction that makes it.
Welcome = Callable[[sa.Connection, Account], None]


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody with an address, and what their password is checked against."""

    user: User
    password_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Who somebody is at an OpenID provider.

    provider: our name for it. email: None where it does not vouch for one.
    may_create: whoever it knows may have an account here.
    """

    provider: str
    issuer: str
    subject: str
    email: str | None
    name: str
    may_create: bool


class Entrance:
    """Methods block. welcome: what new accounts are given."""

    def __init__(
        self,
        database: Database,
        *,
        accounts: Accounts,
        sessions: Sessions,
        tokens: OneTimeTokens,
        outbox: Outbox,
        audit: Audit,
        settings: SignInRules,
        now_ms: Callable[[], int],
        welcome: Welcome | None = None,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._sessions = sessions
        self._tokens = tokens
        self._outbox = outbox
        self._audit = audit
        self._settings = settings
        self._now_ms = now_ms
        self._welcome = welcome

    def known(self, email: str) -> Known | None:
        """None: nobody who may sign in."""
        with self._database.read() as connection:
            user = queries.user_by_email(connection, email)
            if user is None or not user.may_sign_in:
                return None
            return Known(user, queries.password_hash(connection, user.id))

    def password_hash(self, user: UserId) -> str | None:
        with self._database.read() as connection:
            return queries.password_hash(connection, user)

    def write(self, letter: Letter) -> None:
        with self._database.begin() as connection:
            self._outbox.put(connection, letter)

    def look(self, token: str, purpose: Purpose) -> Opened | None:
        """What a link would open; it stays good."""
        return self._tokens.look(token, _BESIDE.get(purpose, (purpose,)))

    def by_password(self, known: Known, place: Place, *, new_hash: str | None) -> NewSession:
        """The password was that of `known.password_hash`. Raises SignInRefused if it is so no longer."""
        with self._database.begin() as connection:
            user = queries.user(connection, known.user.id)
            now_hash = queries.password_hash(connection, known.user.id)
            if user is None or not user.may_sign_in or now_hash != known.password_hash:
                raise SignInRefused
            if new_hash is not None:
                queries.set_password_hash(connection, user.id, new_hash, before=known.password_hash)
            return self._begin(connection, user, "password", place)

    def by_link(
        self, token: str, place: Place, *, name: str, password_hash: str | None
    ) -> NewSession:
        """name, password_hash: of who has no account yet. Raises LinkInvalid, SignUpClosed."""
        with self._database.begin() as connection:
            opened = self._spent(connection, token, Purpose.SIGN_IN, Purpose.SIGN_UP)
            if opened.purpose is Purpose.SIGN_UP:
                assert opened.email is not None
                user = self._arrived(connection, opened.email, name=name, is_asked=True)
                if password_hash is not None and not user.has_password:
                    queries.set_password_hash(connection, user.id, password_hash)
            else:
                user = self._subject(connection, opened)
            return self._begin(connection, user, "link", place)

    def by_invitation(
        self,
        opened: Opened,
        connection: sa.Connection,
        place: Place,
        *,
        name: str,
        signed_in: UserId | None,
    ) -> tuple[User, NewSession]:
        """opened: an invitation's link, by whom it was sent to. signed_in: as whom they are already.

        An invitation lives long, and others pass it on: it makes an account but opens none. Raises SignInFirst,
        SignUpClosed.
        """
        assert opened.email is not None
        self._database.lock(connection, f"email {opened.email}")
        known = queries.user_by_email(connection, opened.email)
        if known is not None and known.id != signed_in:
            raise SignInFirst
        user = self._arrived(connection, opened.email, name=name, is_asked=True)
        return user, self._begin(connection, user, "link", place)

    def by_identity(self, elsewhere: Elsewhere, place: Place) -> NewSession:
        """Linked by a verified address the first time. Raises SignInRefused, SignUpClosed."""
        method = f"oidc:{elsewhere.provider}"
        with self._database.begin() as connection:
            self._database.lock(connection, f"identity {elsewhere.issuer} {elsewhere.subject}")
            user = queries.user_by_identity(connection, elsewhere.issuer, elsewhere.subject)
            if user is None:
                if elsewhere.email is None:
                    raise SignInRefused
                user = self._arrived(
                    connection,
                    elsewhere.email,
                    name=elsewhere.name,
                    is_asked=elsewhere.may_create,
                )
                queries.insert_identity(
                    connection,
                    elsewhere.issuer,
                    elsewhere.subject,
                    user.id,
                    now_ms=self._now_ms(),
                )
                self._note(connection, user, place, "identity.link", provider=elsewhere.provider)
            if not user.may_sign_in:
                raise SignInRefused
            return self._begin(connection, user, method, place)

    def reset_password(self, token: str, password_hash: str, place: Place) -> NewSession:
        """Signed out everywhere, and in here. Raises LinkInvalid."""
        with self._database.begin() as connection:
            opened = self._spent(connection, token, Purpose.RESET_PASSWORD)
            user = self._subject(connection, opened)
            queries.set_password_hash(connection, user.id, password_hash)
            self._sessions.revoke_all(connection, user.id)
            self._tokens.forget(connection, user.id)
            self._password_changed(connection, user, place)
            return self._begin(connection, user, "link", place)

    def change_password(
        self, signed_in: SignedIn, password_hash: str, place: Place, *, before: str | None
    ) -> NewSession:
        """before: the hash that the present password was checked against. Raises SignInRefused if there is
        another one by now."""
        with self._database.begin() as connection:
            user = queries.user(connection, signed_in.user.id)
            if user is None or not user.may_sign_in:
                raise SignInRefused
            if queries.password_hash(connection, user.id) != before:
                raise SignInRefused
            queries.set_password_hash(connection, user.id, password_hash)
            self._sessions.revoke_all(connection, user.id)
            self._tokens.forget(connection, user.id)
            self._password_changed(connection, user, place)
            return self._begin(connection, user, "password", place)

    def verify_email(self, token: str, signed_in: SignedIn, place: Place) -> User:
        """The address that the link was sent to is theirs from now on. Raises LinkInvalid, EmailTaken."""
        with self._database.begin() as connection:
            opened = self._spent(connection, token, Purpose.VERIFY_EMAIL)
            user = queries.user(connection, signed_in.user.id)
            if user is None or user.id != opened.subject or opened.email is None:
                raise LinkInvalid  # and nothing has happened: it is good for who it was made for
            self._database.lock(connection, f"email {opened.email}")
            now_ms = self._now_ms()
            if not queries.set_email_if_free(connection, user, opened.email, verified_ms=now_ms):
                raise EmailTaken("another account has this address")
            if user.email is not None and user.email != opened.email:
                letter = Letter(
                    kind="email_changed", recipient=user.email, values={"email": opened.email}
                )
                self._outbox.put(connection, letter)
            if user.email != opened.email:
                self._tokens.forget(connection, user.id)
            self._note(connection, user, place, "email.verify", email=opened.email)
            found = queries.user(connection, user.id)
            assert found is not None
            return found

    def mint_link(self, user: UserId, *, valid_ms: int) -> str:
        """For the operator to hand out: it proves no address. Raises SignInRefused for who may not sign in."""
        with self._database.begin() as connection:
            found = queries.user(connection, user)
            if found is None or not found.may_sign_in:
                raise SignInRefused
            return self._tokens.mint(
                connection, Purpose.SIGN_IN, user, email=None, valid_ms=valid_ms
            )

    def rename(self, signed_in: SignedIn, name: str) -> str:
        """What they are called. Returns it as it is kept."""
        line = account_rules.name(name) or signed_in.user.email or signed_in.user.name
        with self._database.begin() as connection:
            queries.set_name(connection, signed_in.user, line)
        return line

    def revoke_session(self, signed_in: SignedIn, session: str, place: Place) -> bool:
        """False: they have no such session."""
        with self._database.begin() as connection:
            is_there = self._sessions.revoke(connection, signed_in.user.id, session)
            if is_there:
                self._note(connection, signed_in.user, place, "session.revoke", subject=session)
            return is_there

    def revoke_other_sessions(self, signed_in: SignedIn, place: Place) -> int:
        with self._database.begin() as connection:
            count = self._sessions.revoke_all(
                connection, signed_in.user.id, but=signed_in.session.id
            )
            self._note(connection, signed_in.user, place, "session.revoke_others", count=count)
            return count

    def spent(self, connection: sa.Connection, token: str, purpose: Purpose) -> Opened:
        """For transactions elsewhere. Raises LinkInvalid."""
        return self._spent(connection, token, purpose)

    def _spent(self, connection: sa.Connection, token: str, *purposes: Purpose) -> Opened:
        opened = self._tokens.spend(connection, token, purposes)
        if opened is None:
            raise LinkInvalid
        return opened

    def _subject(self, connection: sa.Connection, opened: Opened) -> User:
        """Whose link it is; if it was sent to their address, that is theirs beyond doubt now.

        A link that went to another address, which was theirs then, opens nothing.
        """
        user = queries.user(connection, UserId(opened.subject))
        if user is None or not user.may_sign_in:
            raise LinkInvalid
        if opened.email is None:
            return user
        if opened.email != user.email:
            raise LinkInvalid
        return self._proved(connection, user)

    def _arrived(self, connection: sa.Connection, email: str, *, name: str, is_asked: bool) -> User:
        """Whoever has that mailbox, with an account if there is none. is_asked: they may have one in any case.

        Raises SignUpClosed, SignInRefused.
        """
        self._database.lock(connection, f"email {email}")
        user = queries.user_by_email(connection, email)
        if user is not None:
            if not user.may_sign_in:
                raise SignInRefused
            return self._proved(connection, user)
        if not is_asked and not may_sign_up(
            connection, email, self._settings, now_ms=self._now_ms()
        ):
            raise SignUpClosed
        founded = self._accounts.create_within(
            connection, email=email, billing=Billing.PREPAID, name=name, is_verified=True
        )
        if self._welcome is not None:
            self._welcome(connection, founded.account)
        assert founded.user is not None
        user = queries.user(connection, founded.user)
        assert user is not None
        self._note(connection, user, Place(), "account.sign_up", email=email)
        return user

    def _proved(self, connection: sa.Connection, user: User) -> User:
        """Who can read mail to an address is who it belongs to. Whoever has used the account before somebody
        could, is signed out, and their password is worth nothing."""
        if user.email_verified_ms is not None:
            return user
        assert user.email is not None
        queries.set_email_if_free(connection, user, user.email, verified_ms=self._now_ms())
        queries.set_password_hash(connection, user.id, None)
        self._sessions.revoke_all(connection, user.id)
        found = queries.user(connection, user.id)
        assert found is not None
        return found

    def _password_changed(self, connection: sa.Connection, user: User, place: Place) -> None:
        if user.email is not None:
            self._outbox.put(connection, Letter(kind="password_changed", recipient=user.email))
        self._note(connection, user, place, "password.change")

    def _begin(
        self, connection: sa.Connection, user: User, method: str, place: Place
    ) -> NewSession:
        new = self._sessions.begin(connection, user, method=method, place=place)
        self._note(connection, user, place, "session.begin", subject=new.session.id, method=method)
        return new

    def _note(
        self,
        connection: sa.Connection,
        user: User,
        place: Place,
        action: str,
        *,
        subject: str | None = None,
        **details: object,
    ) -> None:
        self._audit.note(
            connection,
            user.account,
            Actor.user(user.id, place.address),
            action,
            subject or user.id,
            **details,
        )


_BESIDE = {Purpose.SIGN_IN: (Purpose.SIGN_IN, Purpose.SIGN_UP)}
