"""Values about API keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from fairlead.core.budgets.types import CallerBudget
from fairlead.core.ids import AccountId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD

__all__ = [
    "ApiKey",
    "FoundKey",
    "KeyChange",
    "KeyInvalid",
    "KeyUnknown",
    "LimitReset",
    "NewKey",
]


_NOWHERE: Final = WorkspaceId("")


class LimitReset(StrEnum):
    """When what was spent under a limit counts from nought again (UTC)."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as we keep it: without its secret.

    digest: SHA-256 of the secret. label: enough of the secret to recognise it by.
    is_disabled can be undone, revoked_ms cannot; once it is deleted, nobody sees it any more.
    limit is about money, requests_per_* about pace; None: none.
    includes_byok: calls with the account's own credentials count in the limit, at list price.
    creator: None where nobody in particular made it. app_id: of the app that it was made for,
    0 for one without a name; None: for none.
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
    workspace: WorkspaceId = _NOWHERE
    creator: UserId | None = None
    includes_byok: bool = False
    app_id: int | None = None
    updated_ms: int | None = None
    deleted_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key, and what a call must know of its account.

    preferences: JSON, as the account has set them; None: it has set none. default_model, default_sort: the
        workspace's, which go before the account's.
    is_account_deleted: nobody may use it any more.
    is_person_disabled: nor may they who made it, or whose account it is, until they are enabled again.
    credits_purchased: ever, nanodollars. budgets, is_in_debt: as core.caller has them.
    """

    key: ApiKey
    is_prepaid: bool
    preferences: str | None = None
    default_model: str | None = None
    default_sort: str | None = None
    is_account_deleted: bool = False
    is_person_disabled: bool = False
    credits_purchased: NanoUSD = NanoUSD(0)  # noqa: RUF009 - a number
    budgets: tuple[CallerBudget, ...] = ()
    is_in_debt: bool = False


@dataclass(frozen=True, slots=True)
class NewKey:
    """secret: this once, and never in a log."""

    key: ApiKey
    secret: str = field(repr=False)


class KeyChange(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants a key to be from now on; UNSET: as it is."""

    name: str | UnsetType = UNSET
    is_disabled: bool | UnsetType = UNSET
    limit: NanoUSD | UnsetType | None = UNSET
    limit_reset: LimitReset | UnsetType | None = UNSET
    includes_byok: bool | UnsetType = UNSET


class KeyInvalid(ValueError):
    """A key cannot be like that. path: of the field, as the API has it."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class KeyUnknown(LookupError):
    """The account has no such key."""
