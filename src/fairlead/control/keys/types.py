"""Values about API keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from fairlead.core.ids import AccountId, KeyId
from fairlead.core.money import NanoUSD

__all__ = ["ApiKey", "FoundKey", "KeyNameInvalid", "KeyUnknown", "LimitReset", "NewKey"]


class LimitReset(StrEnum):
    """When what was spent under a limit counts from nought again (UTC)."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as we keep it: without its secret.

    digest: SHA-256 of the secret. label: enough of the secret to recognise it by.
    is_disabled can be undone, revoked_ms cannot. limit is about money, requests_per_* about pace; None: none.
    """

    id: KeyId
    account: AccountId
    digest: bytes
    label: str
    name: str
    is_management: bool
    is_disabled: bool
    limit: NanoUSD | None
    limit_reset: LimitReset | None
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None
    requests_per_minute: int | None = None
    requests_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key, and what a call must know of its account.

    preferences: JSON, as the account has set them; None: it has set none.
    """

    key: ApiKey
    is_prepaid: bool
    preferences: str | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """secret: this once, and never in a log."""

    key: ApiKey
    secret: str = field(repr=False)


class KeyNameInvalid(ValueError):
    """A key needs a name by which people recognise it."""


class KeyUnknown(LookupError):
    """The account has no such key."""
