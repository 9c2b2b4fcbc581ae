"""What is written to people, and what they are given to open. Called when a mail is about to be sent.

A request for a link puts a letter into the outbox, whoever asks for whatever address: whether anybody has it is
found out here. So it takes as long and looks the same for addresses that nobody has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import msgspec
import sqlalchemy as sa

from fairlead.control.mail.types import Letter
from fairlead.control.people import invited, queries
from fairlead.control.people.rules import Purpose, SignInRules, SignUp
from fairlead.control.people.tokens import OneTimeTokens
from fairlead.core.ids import UserId

__all__ = ["Letters"]

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS


class Letters:
    """`prepare` is a control.mail.types.Prepare; kinds that it does not know it leaves as they are."""

    def __init__(
        self, tokens: OneTimeTokens, settings: SignInRules, *, now_ms: Callable[[], int]
    ) -> None:
        self._tokens = tokens
        self._settings = settings
        self._now_ms = now_ms

    def prepare(self, connection: sa.Connection, letter: Letter) -> Letter | None:
        match letter.kind:
            case "sign_in" | "sign_up":
                return self._way_in(connection, letter)
            case "reset_password":
                return self._reset(connection, letter)
            case "verify_email":
                return self._verify(connection, letter)
            case "invitation":
                return self._invitation(connection, letter)
            case _:
                return letter

    def _way_in(self, connection: sa.Connection, letter: Letter) -> Letter | None:
        user = queries.user_by_email(connection, letter.recipient)
        if user is None:
            if not may_sign_up(connection, letter.recipient, self._settings, now_ms=self._now_ms()):
                return None
            return self._with_link(connection, letter, "sign_up", Purpose.SIGN_UP, "")
        if not user.may_sign_in:
            return None
        kind = "sign_in" if letter.kind == "sign_in" else "sign_up_known"
        return self._with_link(connection, letter, kind, Purpose.SIGN_IN, user.id)

    def _reset(self, connection: sa.Connection, letter: Letter) -> Letter | None:
        user = queries.user_by_email(connection, letter.recipient)
        if user is None or not user.may_sign_in:
            return None
        return self._with_link(connection, letter, letter.kind, Purpose.RESET_PASSWORD, user.id)

    def _verify(self, connection: sa.Connection, letter: Letter) -> Letter | None:
        user = queries.user(connection, UserId(letter.about))
        if user is None or not user.may_sign_in:
            return None
        return self._with_link(connection, letter, letter.kind, Purpose.VERIFY_EMAIL, user.id)

    def _invitation(self, connection: sa.Connection, letter: Letter) -> Letter | None:
        invitation = invited.find(connection, letter.about)
        if invitation is None or not invitation.is_open(self._now_ms()):
            return None
        return self._with_link(
            connection,
            letter,
            letter.kind,
            Purpose.INVITATION,
            invitation.id,
            valid_ms=invitation.expires_ms - self._now_ms(),
        )

    def _with_link(
        self,
        connection: sa.Connection,
        letter: Letter,
        kind: str,
        purpose: Purpose,
        subject: str,
        *,
        valid_ms: int | None = None,
    ) -> Letter:
        valid_ms = self._settings.link_valid_ms if valid_ms is None else valid_ms
        token = self._tokens.mint(
            connection, purpose, subject, email=letter.recipient, valid_ms=valid_ms
        )
        link = _PATHS[purpose] + token
        if "next" in letter.values:
            link += f"?{urlencode({'next': letter.values['next']})}"
        values = {**letter.values, "link": link, "valid": _span(valid_ms)}
        return msgspec.structs.replace(letter, kind=kind, values=values)


# Pages of the web app; each only looks until its button is pressed.
_PATHS: Final = {
    Purpose.SIGN_IN: "/sign-in/",
    Purpose.SIGN_UP: "/sign-up/",
    Purpose.VERIFY_EMAIL: "/verify/",
    Purpose.RESET_PASSWORD: "/reset/",
    Purpose.INVITATION: "/join/",
}


def may_sign_up(
    connection: sa.Connection, email: str, settings: SignInRules, *, now_ms: int
) -> bool:
    """Whether there may be an account for this address, which nobody has."""
    match settings.sign_up:
        case SignUp.OPEN:
            return True
        case SignUp.INVITED:
            return invited.is_invited(connection, email, now_ms=now_ms)
        case SignUp.CLOSED:
            return False


def _span(valid_ms: int) -> str:
    """In words, rounded down: "60 minutes", "7 days". Seconds for which the letter waited do not count."""
    minutes = max(1, round(valid_ms / _MINUTE_MS))
    for unit_ms, word in ((_DAY_MS, "day"), (_HOUR_MS, "hour")):
        if minutes * _MINUTE_MS >= 2 * unit_ms:
            return f"{minutes * _MINUTE_MS // unit_ms} {word}s"
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
