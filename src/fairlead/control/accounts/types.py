"""Values about accounts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fairlead.core.ids import AccountId, UserId, WorkspaceId

__all__ = [
    "Account",
    "AccountKind",
    "AccountUnknown",
    "Billing",
    "EmailInvalid",
    "EmailTaken",
    "Founded",
    "OwnerEnsured",
    "PreferencesInvalid",
]


class Billing(StrEnum):
    PREPAID = "prepaid"  # spends credits that it has
    POSTPAID = "postpaid"  # spend is recorded, not limited


class AccountKind(StrEnum):
    PERSON = "person"  # of one user
    ORGANISATION = "organisation"  # of its members


@dataclass(frozen=True, slots=True)
class Account:
    """Who owns keys and credits.

    email: lower case; None for organisations, for who was deleted, and for an owner who has not given one.
    """

    id: AccountId
    email: str | None
    name: str
    billing: Billing
    is_owner: bool
    created_ms: int
    kind: AccountKind = AccountKind.PERSON
    deleted_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Founded:
    """A new account with what belongs to it. user: None for an organisation."""

    account: Account
    user: UserId | None
    workspace: WorkspaceId


@dataclass(frozen=True, slots=True)
class OwnerEnsured:
    """is_new: this call created it, so this is the first start."""

    account: Account
    is_new: bool


class EmailInvalid(ValueError):
    """The text is no email address."""


class EmailTaken(ValueError):
    """Another account has this address."""


class AccountUnknown(LookupError):
    """There is no such account."""


class PreferencesInvalid(ValueError):
    """What an account wants to set cannot be. path: of the field, as "presets.fast.model"; "" for the whole."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path
