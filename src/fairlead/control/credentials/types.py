"""Values about accounts' own credentials for providers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NewType

import msgspec
from msgspec import UNSET, UnsetType

from fairlead.core.ids import AccountId, ProviderSlug, WorkspaceId

__all__ = [
    "Changes",
    "CredentialId",
    "CredentialInvalid",
    "CredentialPage",
    "CredentialUnknown",
    "ProviderCredential",
    "SealedCredential",
]

CredentialId = NewType("CredentialId", str)  # a UUID


@dataclass(frozen=True, slots=True)
class ProviderCredential:
    """A credential as its account sees it: without what is secret.

    workspace: None: for all of the account's. label: enough of the key to recognise it by.
    is_fallback: only after the installation's own. is_required: the installation's is not used for the models
    that this one is for; is_exclusive: nor for any other model of the provider.
    region: "eu" or "us", as the account says. sort_order: among those of its provider, the lowest first.
    allowed_*: who and what it is for; None: all. Of keys the hashes (SHA-256, hexadecimal).
    """

    id: CredentialId
    account: AccountId
    workspace: WorkspaceId | None
    provider: ProviderSlug
    label: str
    name: str | None
    is_disabled: bool
    is_fallback: bool
    is_required: bool
    is_exclusive: bool
    region: str | None
    sort_order: int
    allowed_models: tuple[str, ...] | None
    allowed_key_hashes: tuple[str, ...] | None
    allowed_users: tuple[str, ...] | None
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """A credential with what is sealed of it. wrapped: the account's data key."""

    credential: ProviderCredential
    sealed: bytes = field(repr=False)
    wrapped: bytes = field(repr=False)
    master_key_id: str


@dataclass(frozen=True, slots=True)
class CredentialPage:
    """total: of all pages."""

    credentials: tuple[ProviderCredential, ...]
    total: int


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; UNSET: stays. key: as the account writes it, in place of the old one."""

    key: str | UnsetType = UNSET
    name: str | UnsetType | None = UNSET
    is_disabled: bool | UnsetType = UNSET
    is_fallback: bool | UnsetType = UNSET
    is_required: bool | UnsetType = UNSET
    is_exclusive: bool | UnsetType = UNSET
    region: str | UnsetType | None = UNSET
    sort_order: int | UnsetType = UNSET
    allowed_models: tuple[str, ...] | UnsetType | None = UNSET
    allowed_key_hashes: tuple[str, ...] | UnsetType | None = UNSET
    allowed_users: tuple[str, ...] | UnsetType | None = UNSET

    def __repr__(self) -> str:  # it may hold a key
        names = [one for one in self.__struct_fields__ if getattr(self, one) is not UNSET]
        return f"Changes({', '.join(names)})"


class CredentialInvalid(ValueError):
    """It cannot be as it is wanted. param: the field, by its public name. The message shows nothing secret."""

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message)
        self.param = param


class CredentialUnknown(LookupError):
    """The account has no such credential."""
