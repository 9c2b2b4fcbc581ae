"""Values about workspaces."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType

from fairlead.core.ids import AccountId, BudgetId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD

__all__ = [
    "ActiveKeys",
    "BudgetInvalid",
    "BudgetSpan",
    "SpendingLimits",
    "Workspace",
    "WorkspaceBudget",
    "WorkspaceChange",
    "WorkspaceInUse",
    "WorkspaceInvalid",
    "WorkspaceIsDefault",
    "WorkspaceMember",
    "WorkspaceUnknown",
    "WorkspacesPage",
]


@dataclass(frozen=True, slots=True)
class Workspace:
    """A part of an account with keys, budgets and defaults of its own.

    io_logging_sampling_rate: 0.0001 to 1. io_logging_keys: of whose calls; None: of all keys.
    created_by: None where nobody in particular did.
    """

    id: WorkspaceId
    account: AccountId
    is_default: bool
    name: str
    slug: str
    description: str | None
    default_text_model: str | None
    default_image_model: str | None
    default_provider_sort: str | None
    io_logging: bool
    io_logging_sampling_rate: float
    io_logging_keys: tuple[KeyId, ...] | None
    broadcast: bool
    data_discount_logging: bool
    include_byok_in_budgets: bool
    created_by: UserId | None
    created_ms: int
    updated_ms: int | None


class WorkspaceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants a workspace to be; UNSET: as it is, or as a new one has it.

    io_logging_keys: each by its hash, or by its number.
    """

    name: str | UnsetType = UNSET
    slug: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    default_text_model: str | UnsetType | None = UNSET
    default_image_model: str | UnsetType | None = UNSET
    default_provider_sort: str | UnsetType | None = UNSET
    io_logging: bool | UnsetType = UNSET
    io_logging_sampling_rate: float | UnsetType = UNSET
    io_logging_keys: tuple[str | int, ...] | UnsetType | None = UNSET
    broadcast: bool | UnsetType = UNSET
    data_discount_logging: bool | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class WorkspacesPage:
    """total: of all of them, on this page or not."""

    workspaces: tuple[Workspace, ...]
    total: int


@dataclass(frozen=True, slots=True)
class WorkspaceMember:
    """id: a UUID. role: what they are in the account, "admin" or "member"."""

    id: str
    workspace: WorkspaceId
    user: UserId
    role: str
    created_ms: int


class BudgetSpan(StrEnum):
    """How long a budget lasts before it begins again; from the shortest to the longest."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    LIFETIME = "lifetime"

    @property
    def reset(self) -> str | None:
        """As the API says it: None where it never begins again."""
        return None if self is BudgetSpan.LIFETIME else self.value


@dataclass(frozen=True, slots=True)
class WorkspaceBudget:
    """What a workspace may spend in each span. budget: what the calls are held against. id: a UUID."""

    id: str
    workspace: WorkspaceId
    budget: BudgetId
    span: BudgetSpan
    limit: NanoUSD
    created_ms: int
    updated_ms: int


class SpendingLimits(Protocol):
    """Where limits on spending are kept; both are part of the caller's transaction."""

    def define(
        self,
        connection: sa.Connection,
        *,
        budget: BudgetId,
        account: AccountId,
        limit: NanoUSD,
        reset: str | None,
        counts_byok: bool,
    ) -> None:
        """New, or in place of what it was; what was spent stays spent. reset: daily, weekly, monthly."""
        ...

    def remove(self, connection: sa.Connection, budget: BudgetId) -> None:
        """No limit any more. Again is fine."""
        ...


class ActiveKeys(Protocol):
    """The keys that open something."""

    def count(
        self,
        connection: sa.Connection,
        workspace: WorkspaceId,
        *,
        creators: Collection[UserId] | None = None,
    ) -> int:
        """Of a workspace, neither revoked nor deleted, and made on purpose. creators: only those that they
        made."""
        ...

    def delete_chat(
        self,
        connection: sa.Connection,
        account: AccountId,
        workspace: WorkspaceId,
        *,
        creators: Collection[UserId] | None = None,
    ) -> None:
        """Those that our own pages made for people in a workspace, unless they are disabled."""
        ...

    def digests(self, connection: sa.Connection, workspace: WorkspaceId) -> Mapping[KeyId, bytes]:
        """Of those that are neither revoked nor deleted."""
        ...


class WorkspaceUnknown(LookupError):
    """The account has no such workspace."""


class WorkspaceInvalid(ValueError):
    """It cannot be like that. path: of the field."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class WorkspaceIsDefault(Exception):
    """The default workspace cannot be deleted, and everybody belongs to it."""


class WorkspaceInUse(Exception):
    """It still has keys that open something."""


class BudgetInvalid(WorkspaceInvalid):
    """Budgets of a workspace must grow with their span."""
