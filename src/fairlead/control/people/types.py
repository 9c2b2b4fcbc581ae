"""Values about people: who they are, what they share, how they sign in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from fairlead.control.accounts.types import Account
from fairlead.core.ids import AccountId, UserId
from fairlead.core.money import NanoUSD

__all__ = [
    "EmailUnverified",
    "Invitation",
    "InvitationUnknown",
    "LastAdmin",
    "LinkInvalid",
    "Member",
    "MemberUnknown",
    "Membership",
    "NewSession",
    "NotAdmin",
    "OrganisationInvalid",
    "OwnerStays",
    "PasswordUnfit",
    "Place",
    "Role",
    "Session",
    "SignInFirst",
    "SignInRefused",
    "SignUpClosed",
    "SignedIn",
    "User",
    "UserUnknown",
]


class Role(StrEnum):
    """What somebody may do in an account that they belong to."""

    ADMIN = "admin"  # everything; who is alone in an account of their own is one
    MEMBER = "member"  # use it


@dataclass(frozen=True, slots=True)
class User:
    """A person. account: their own. email: None for who has given none, and for who was deleted.

    disabled_ms: since when they may not sign in, and their keys open nothing.
    """

    id: UserId
    account: AccountId
    email: str | None
    email_verified_ms: int | None
    name: str
    has_password: bool
    created_ms: int
    disabled_ms: int | None = None
    deleted_ms: int | None = None

    @property
    def may_sign_in(self) -> bool:
        return self.disabled_ms is None and self.deleted_ms is None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request comes from. address: of the caller. user_agent: what it calls itself."""

    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in somewhere. id: to name it by; it does not open it.

    method: how they signed in: "password", "link", or "oidc:<name>".
    """

    id: str
    user: UserId
    account: AccountId
    method: str
    place: Place
    created_ms: int
    used_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class NewSession:
    """token: what its cookie holds; never in a log."""

    session: Session
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who makes a request from the web app, and for which account.

    account: the one that is active: the user's own, or an organisation's. role: in that account.
    csrf: what a form of this session must hold.
    """

    user: User
    account: Account
    role: Role
    session: Session
    csrf: str = field(repr=False)

    @property
    def is_owner(self) -> bool:
        """Of the installation."""
        return self.account.is_owner

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN


@dataclass(frozen=True, slots=True)
class Membership:
    """An account that somebody may act for, and what they are in it."""

    account: Account
    role: Role
    joined_ms: int


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who belongs to an account. limit: what they may spend of it; None: as much as it has.

    limit_reset: "daily", "weekly" or "monthly"; None: the limit is for ever.
    """

    user: UserId
    email: str | None
    name: str
    role: Role
    joined_ms: int
    limit: NanoUSD | None = None
    limit_reset: str | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """Into an organisation. It is open until it was accepted, revoked, or has expired."""

    id: str
    account: AccountId
    email: str
    role: Role
    inviter: UserId
    created_ms: int
    expires_ms: int
    accepted_ms: int | None = None
    revoked_ms: int | None = None

    def is_open(self, now_ms: int) -> bool:
        return self.accepted_ms is None and self.revoked_ms is None and now_ms < self.expires_ms


class SignInRefused(Exception):
    """The same for whatever was wrong: nobody learns who has an account."""


class SignUpClosed(Exception):
    """This installation takes nobody new, or nobody uninvited."""


class PasswordUnfit(ValueError):
    """Too short, too long, or the address itself."""


class LinkInvalid(Exception):
    """A link that was used, has expired, or never was one."""


class SignInFirst(Exception):
    """The address has an account: whoever signs in to it may go on."""


class EmailUnverified(Exception):
    """For this, an address must be verified first."""


class NotAdmin(Exception):
    """Only an organisation's admins may do that."""


class OrganisationInvalid(ValueError):
    """It cannot be like that. path: of the field."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class LastAdmin(Exception):
    """An organisation keeps at least one admin."""


class OwnerStays(Exception):
    """The installation's owner can be neither deleted nor disabled."""


class UserUnknown(LookupError):
    """There is no such person, or there is not any more."""


class MemberUnknown(LookupError):
    """The account has no such member."""


class InvitationUnknown(LookupError):
    """The account has no such open invitation."""
