"""How people are let in: tokens, passwords, expiry. Pure."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Final

from fairlead.control.people.types import OrganisationInvalid, PasswordUnfit, Place
from fairlead.core.ids import timed_id
from fairlead.core.one_line import one_line

__all__ = [
    "PASSWORD_CHARACTERS_MAX",
    "TOKEN_ENTROPY_BYTES",
    "Purpose",
    "SignInRules",
    "SignUp",
    "bounded_place",
    "check_password",
    "counted_from",
    "csrf",
    "digest",
    "invitation_id",
    "is_token",
    "organisation_name",
    "session_expires_ms",
    "session_id",
    "token",
]

TOKEN_ENTROPY_BYTES: Final = 32
TOKEN_CHARACTERS: Final = 43  # of so many bytes
PASSWORD_CHARACTERS_MAX: Final = 256  # argon2 takes any; nobody types more
CALLER_PREFIX_BITS: Final = 64  # what the smallest line of IPv6 is given
ADDRESS_CHARACTERS_MAX: Final = 64  # an IPv6 address with its zone
USER_AGENT_CHARACTERS_MAX: Final = 200
NAME_CHARACTERS_MAX: Final = 100

_TOKEN_CHARACTERS: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)


class Purpose(StrEnum):
    """What a link opens, once."""

    SIGN_IN = "sign_in"
    SIGN_UP = "sign_up"
    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"
    INVITATION = "invitation"


class SignUp(StrEnum):
    """Who may get an account without the operator's doing."""

    OPEN = "open"  # whoever has a mailbox
    INVITED = "invited"  # whom an organisation invites
    CLOSED = "closed"  # nobody


@dataclass(frozen=True, slots=True)
class SignInRules:
    """What the operator has set; times in milliseconds."""

    sign_up: SignUp = SignUp.INVITED
    password_characters_min: int = 10
    session_idle_ms: int = 14 * 86_400_000
    session_max_ms: int = 90 * 86_400_000
    link_valid_ms: int = 3_600_000
    invitation_valid_ms: int = 7 * 86_400_000
    members_max: int = 10


def token(entropy: bytes) -> str:
    """256 bits, as they stand in a cookie or an address."""
    assert len(entropy) == TOKEN_ENTROPY_BYTES
    return _base64(entropy)


def is_token(text: str) -> bool:
    """Whether it could be one: what cannot need not be looked up."""
    return len(text) == TOKEN_CHARACTERS and _TOKEN_CHARACTERS.issuperset(text)


def digest(text: str) -> bytes:
    """What we keep of it. A plain hash is enough for 256 random bits: there is nothing to guess."""
    return sha256(text.encode()).digest()


def csrf(session_token: str) -> str:
    """What a session's forms hold: only who has its token can know it, and it does not lead back there."""
    return _base64(sha256(b"fairlead csrf\0" + session_token.encode()).digest())


def session_id(unix_ms: int, entropy: bytes) -> str:
    return timed_id("session", unix_ms, entropy)


def invitation_id(unix_ms: int, entropy: bytes) -> str:
    return timed_id("inv", unix_ms, entropy)


def session_expires_ms(
    rules: SignInRules, *, created_ms: int, used_ms: int, now_ms: int
) -> int | None:
    """Until when it is good if it is not used again; None: it is over."""
    end_ms = min(used_ms + rules.session_idle_ms, created_ms + rules.session_max_ms)
    return end_ms if now_ms < end_ms else None


def check_password(rules: SignInRules, password: str, *, email: str | None) -> None:
    """Length is what counts; rules about characters make people choose worse ones (NIST SP 800-63B, 5.1.1).

    Raises PasswordUnfit.
    """
    if len(password) < rules.password_characters_min:
        raise PasswordUnfit(
            f"a password has at least {rules.password_characters_min} characters; a sentence is a good one"
        )
    if len(password) > PASSWORD_CHARACTERS_MAX:
        raise PasswordUnfit(f"a password has at most {PASSWORD_CHARACTERS_MAX} characters")
    if len(set(password)) < 4:
        raise PasswordUnfit("this password is too easy to guess")
    if email is not None and password.lower() in (email, email.partition("@")[0]):
        raise PasswordUnfit("a password must not be the address")


def organisation_name(text: str) -> str:
    """One line of what can be seen, not empty. Raises OrganisationInvalid."""
    line = one_line(text)
    if not 0 < len(line) <= NAME_CHARACTERS_MAX:
        raise OrganisationInvalid(
            f"an organisation's name has 1 to {NAME_CHARACTERS_MAX} characters", "name"
        )
    return line


def counted_from(address: str) -> str:
    """Whose attempts are counted together: of IPv6 a network, for a caller has all its addresses."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), CALLER_PREFIX_BITS), strict=False))


def bounded_place(place: Place) -> Place:
    """What of it is kept."""
    return Place(
        address=place.address[:ADDRESS_CHARACTERS_MAX],
        user_agent=" ".join(place.user_agent.split())[:USER_AGENT_CHARACTERS_MAX],
    )


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
