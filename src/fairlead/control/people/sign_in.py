"""Signing in: what may be tried how often, passwords beside the event loop, then one transaction.

Nobody learns here who has an account: an unknown address, an account without a password and a wrong password
take as long and are refused alike, and a link is promised to whatever address.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol, TypeVar

from fairlead.control.accounts import rules as account_rules
from fairlead.control.accounts.types import EmailInvalid
from fairlead.control.mail.types import Letter
from fairlead.control.people import rules
from fairlead.control.people.entrance import Elsewhere, Entrance, Known
from fairlead.control.people.passwords import Passwords
from fairlead.control.people.rules import Purpose, SignInRules, SignUp
from fairlead.control.people.sessions import Sessions
from fairlead.control.people.tokens import Opened
from fairlead.control.people.types import (
    LinkInvalid,
    NewSession,
    Place,
    Session,
    SignedIn,
    SignInRefused,
    SignUpClosed,
    User,
)
from fairlead.core.errors import Overloaded, RateLimited
from fairlead.core.ids import AccountId
from fairlead.core.limits import Allowance, LimitName
from fairlead.store.database import Database, DatabaseUnreadable

__all__ = ["Pace", "SignIn", "Tries"]

_Answer = TypeVar("_Answer")

# Without a password one can be set while it is certain that it is them: so long after they signed in.
FRESH_MS: Final = 3_600_000


class Tries(Protocol):
    """Counts what is tried; control.serving.limits.RateLimits."""

    async def take(self, wanted: list[Allowance], *, now_s: float) -> RateLimited | None: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How often may be tried. from_*: by one network address; to_*: one account, one mailbox."""

    sign_in_from: int = 20
    sign_in_to: int = 10
    mail_from: int = 10
    mail_to_daily: int = 20


class SignIn:
    """Belongs to one event loop. All methods raise Overloaded where the database is away; those that try
    something raise RateLimited.

    new = await sign_in.with_password("ada@example.com", "correct horse battery staple", place)
    signed_in = await sign_in.find(new.token)
    """

    def __init__(
        self,
        database: Database,
        entrance: Entrance,
        sessions: Sessions,
        passwords: Passwords,
        tries: Tries,
        *,
        settings: SignInRules,
        pace: Pace,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._entrance = entrance
        self._sessions = sessions
        self._passwords = passwords
        self._tries = tries
        self._settings = settings
        self._pace = pace
        self._now_ms = now_ms

    # Who is signed in.

    async def find(self, token: str) -> SignedIn | None:
        if not rules.is_token(token):
            return None
        return await self._ask(self._sessions.find, token)

    async def sessions(self, signed_in: SignedIn) -> list[Session]:
        """Theirs, the last used first."""
        return await self._ask(self._sessions.page, signed_in.user.id)

    async def choose_account(self, token: str, user: User, account: AccountId) -> None:
        """Raises MemberUnknown."""
        await self._ask(self._sessions.choose_account, token, user, account)

    async def end(self, token: str) -> None:
        await self._ask(self._sessions.end, token)

    async def revoke_session(self, signed_in: SignedIn, session: str, place: Place) -> bool:
        return await self._ask(self._entrance.revoke_session, signed_in, session, place)

    async def revoke_other_sessions(self, signed_in: SignedIn, place: Place) -> int:
        return await self._ask(self._entrance.revoke_other_sessions, signed_in, place)

    async def rename(self, signed_in: SignedIn, name: str) -> str:
        return await self._ask(self._entrance.rename, signed_in, name)

    # Ways in.

    async def with_password(self, email: str, password: str, place: Place) -> NewSession:
        """Raises SignInRefused, whatever was wrong."""
        try:
            address = account_rules.email(email)
        except EmailInvalid:
            address = ""
        await self._try(place, LimitName.SIGN_IN_FROM, LimitName.SIGN_IN_TO, email=address)
        known = await self._ask(self._entrance.known, address)
        kept = None if known is None else known.password_hash
        checked = await self._passwords.check(kept, password[: rules.PASSWORD_CHARACTERS_MAX + 1])
        if known is None or not checked.is_right:
            raise SignInRefused
        return await self._ask(self._by_password, known, place, checked.new_hash)

    async def ask_for_link(self, email: str, place: Place, *, next_path: str = "") -> None:
        """A mail with a link, if there is somebody. next_path: of ours, where the link goes on to; "": nowhere
        in particular. Raises EmailInvalid."""
        await self._write("sign_in", email, place, next_path=next_path)

    async def ask_for_account(self, email: str, place: Place, *, next_path: str = "") -> None:
        """A mail with a link, if they may have an account, or have one. next_path: as for `ask_for_link`.
        Raises EmailInvalid, SignUpClosed."""
        if self._settings.sign_up is SignUp.CLOSED:
            raise SignUpClosed
        await self._write("sign_up", email, place, next_path=next_path)

    async def ask_for_reset(self, email: str, place: Place) -> None:
        """A mail with a link, if there is somebody. Raises EmailInvalid."""
        await self._write("reset_password", email, place)

    async def ask_for_verification(
        self, signed_in: SignedIn, email: str, place: Place, *, present: str | None = None
    ) -> None:
        """A mail with a link: who follows it has this address.

        present: their password, as for another one; not needed for the address that they have.
        Raises EmailInvalid, SignInRefused.
        """
        if account_rules.email(email) != signed_in.user.email:
            await self._check_is_them(signed_in, present, place)
        await self._write("verify_email", email, place, about=signed_in.user.id)

    async def look(self, token: str, purpose: Purpose) -> Opened:
        """What a link opens; it stays good. Raises LinkInvalid."""
        opened = await self._ask(self._entrance.look, token, purpose)
        if opened is None:
            raise LinkInvalid
        return opened

    async def with_link(
        self, token: str, place: Place, *, name: str = "", password: str | None = None
    ) -> NewSession:
        """name, password: for who has no account yet; a password can be set later, too.

        Raises LinkInvalid, SignUpClosed, PasswordUnfit.
        """
        await self._try(place, LimitName.SIGN_IN_FROM)
        opened = await self.look(token, Purpose.SIGN_IN)
        kept: str | None = None
        if password and opened.purpose is Purpose.SIGN_UP:
            kept = await self._fit(password, email=opened.email)
        return await self._ask(self._by_link, token, place, name, kept)

    async def with_identity(self, elsewhere: Elsewhere, place: Place) -> NewSession:
        """Raises SignInRefused, SignUpClosed."""
        return await self._ask(self._entrance.by_identity, elsewhere, place)

    async def reset_password(self, token: str, password: str, place: Place) -> NewSession:
        """Raises LinkInvalid, PasswordUnfit."""
        await self._try(place, LimitName.SIGN_IN_FROM)
        opened = await self.look(token, Purpose.RESET_PASSWORD)
        kept = await self._fit(password, email=opened.email)
        return await self._ask(self._entrance.reset_password, token, kept, place)

    async def change_password(
        self, signed_in: SignedIn, *, present: str | None, wanted: str, place: Place
    ) -> NewSession:
        """In place of all their sessions, this one too.

        present: None: they have none; then they must have signed in lately.
        Raises SignInRefused, PasswordUnfit.
        """
        before = await self._check_is_them(signed_in, present, place)
        kept = await self._fit(wanted, email=signed_in.user.email)
        return await self._ask(self._changed, signed_in, kept, place, before)

    async def _check_is_them(
        self, signed_in: SignedIn, present: str | None, place: Place
    ) -> str | None:
        """For what a session alone must not do. Returns the hash of their password. Raises SignInRefused."""
        user = signed_in.user
        await self._try(place, LimitName.SIGN_IN_FROM, LimitName.SIGN_IN_TO, email=user.id)
        before = await self._ask(self._entrance.password_hash, user.id)
        if before is not None:
            if not (await self._passwords.check(before, present or "")).is_right:
                raise SignInRefused
        elif self._now_ms() - signed_in.session.created_ms > FRESH_MS:
            raise SignInRefused
        return before

    async def count_mail(self, mailbox: str, place: Place) -> None:
        """Somebody is about to have one sent there. Raises RateLimited where they were too many."""
        await self._try(place, LimitName.MAIL_FROM, LimitName.MAIL_TO, email=mailbox)

    async def verify_email(self, token: str, signed_in: SignedIn, place: Place) -> User:
        """Raises LinkInvalid, EmailTaken."""
        return await self._ask(self._entrance.verify_email, token, signed_in, place)

    def _by_password(self, known: Known, place: Place, new_hash: str | None) -> NewSession:
        return self._entrance.by_password(known, place, new_hash=new_hash)

    def _by_link(self, token: str, place: Place, name: str, kept: str | None) -> NewSession:
        return self._entrance.by_link(token, place, name=name, password_hash=kept)

    def _changed(
        self, signed_in: SignedIn, kept: str, place: Place, before: str | None
    ) -> NewSession:
        return self._entrance.change_password(signed_in, kept, place, before=before)

    async def _fit(self, password: str, *, email: str | None) -> str:
        rules.check_password(self._settings, password, email=email)
        return await self._passwords.hash(password)

    async def _write(
        self, kind: str, email: str, place: Place, *, about: str = "", next_path: str = ""
    ) -> None:
        address = account_rules.email(email)
        await self._try(place, LimitName.MAIL_FROM, LimitName.MAIL_TO, email=address)
        values = {"next": next_path} if next_path else {}
        letter = Letter(kind=kind, recipient=address, about=about, values=values)
        await self._ask(self._entrance.write, letter)

    async def _try(self, place: Place, *names: LimitName, email: str = "") -> None:
        counts = {
            LimitName.SIGN_IN_FROM: self._pace.sign_in_from,
            LimitName.SIGN_IN_TO: self._pace.sign_in_to,
            LimitName.MAIL_FROM: self._pace.mail_from,
            LimitName.MAIL_TO: self._pace.mail_to_daily,
        }
        caller = rules.counted_from(place.address)
        wanted = [
            Allowance(name, _subject(caller if name in _FROM else email), counts[name])
            for name in names
            if counts[name]
        ]
        refusal = await self._tries.take(wanted, now_s=self._now_ms() / 1000) if wanted else None
        if refusal is not None:
            raise refusal

    async def _ask(self, function: Callable[..., _Answer], *arguments: object) -> _Answer:
        try:
            return await self._database.run(function, *arguments)
        except DatabaseUnreadable as error:
            raise Overloaded("The database does not answer at the moment.") from error


_FROM: Final = frozenset({LimitName.SIGN_IN_FROM, LimitName.MAIL_FROM})


def _subject(text: str) -> str:
    """Of one length, and no address to read in the shared cache."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
