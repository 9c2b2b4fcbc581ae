"""Values about accounts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fairlead.core.ids import AccountId

__all__ = [
    "Account",
    "AccountUnknown",
    "Billing",
    "EmailInvalid",
    "EmailTaken",
    "OwnerEnsured",
    "PreferencesInvalid",
]


class Billing(StrEnum):
    PREPAID = "prepaid"  # spends credits that it has
    POSTPAID = "postpaid"  # spend is recorded, not limited


@dataclass(frozen=True, slots=True)
class Account:
    """Who owns keys and credits. email: lower case; None only for the owner."""

    id: AccountId
    email: str | None
    name: str
    billing: Billing
    is_owner: bool
    created_ms: int


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
