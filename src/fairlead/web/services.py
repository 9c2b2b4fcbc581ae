"""What the web edge needs from outside, in as few words as possible. `compose/` plugs it in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from fairlead.control.credentials.types import (
    Changes,
    CredentialId,
    CredentialPage,
    ProviderCredential,
)
from fairlead.core.catalog import Snapshot
from fairlead.core.content import Content
from fairlead.core.generation import Generation
from fairlead.core.health import EndpointFigures
from fairlead.core.ids import AccountId, EndpointId, GenerationId, KeyId, ProviderSlug, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.core.routing.preferences import AccountPreferences
from fairlead.web.auth.services import AuthServices

__all__ = [
    "Byok",
    "Caller",
    "CatalogFeed",
    "Catalogues",
    "Clock",
    "Contents",
    "EndpointHealth",
    "Generations",
    "KeyDescription",
    "Keys",
    "Preferences",
    "Spent",
    "WebServices",
]


class Caller(Protocol):
    """Whom a request is for."""

    @property
    def account(self) -> AccountId: ...

    @property
    def key(self) -> KeyId: ...

    @property
    def is_management(self) -> bool: ...

    @property
    def preferences(self) -> AccountPreferences:
        """What its account has set for all of its calls."""
        ...


@dataclass(frozen=True, slots=True)
class Spent:
    """What a key has spent: ever, and since the beginning of this UTC day, week (Monday) and month."""

    total: NanoUSD
    day: NanoUSD
    week: NanoUSD
    month: NanoUSD


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """What a key's owner may know of it.

    label: enough of the key to tell it from others, never enough to use it.
    limit, limit_remaining: None where spending is not limited. limit_reset: daily, weekly or monthly.
    expires_s: Unix seconds; None: it does not expire.
    requests_per_minute, requests_per_day: None: as many as it likes.
    free_per_day, free_taken_today: requests to free variants, of all keys of the account; None: not limited.
    """

    label: str
    spent: Spent
    limit: NanoUSD | None = None
    limit_remaining: NanoUSD | None = None
    limit_reset: str | None = None
    expires_s: float | None = None
    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    free_per_day: int | None = None
    free_taken_today: int = 0


class CatalogFeed(Protocol):
    """The current snapshot; take it once per request."""

    @property
    def snapshot(self) -> Snapshot: ...


class Catalogues(Protocol):
    """Snapshots that were in force."""

    async def found(self, version: str, *, at_ms: int) -> Snapshot | None:
        """As routing saw it at that time; None: not kept, or not any more. Raises Overloaded if we cannot
        tell."""
        ...


class Keys(Protocol):
    """API keys."""

    async def authenticate(self, authorization: str | None) -> Caller:
        """authorization: the header's value. Raises NotAuthenticated, or Overloaded if we cannot tell."""
        ...

    async def describe(self, caller: Caller) -> KeyDescription:
        """Raises NotFound for a key that was deleted since, Overloaded if we cannot tell."""
        ...


class Preferences(Protocol):
    """What accounts wish of routing, as JSON objects."""

    async def find(self, account: AccountId) -> bytes:
        """What it has set. Raises NotFound if it was deleted since, Overloaded if we cannot tell."""
        ...

    async def replace(self, account: AccountId, text: bytes) -> bytes:
        """Returns what is set from now on. Raises RequestInvalid, which names the field; and as `find`."""
        ...


class Generations(Protocol):
    """Records of finished calls."""

    async def find(self, generation: GenerationId, account: AccountId) -> Generation | None:
        """None: this account has none by that id. Raises Overloaded if we cannot tell."""
        ...


class Byok(Protocol):
    """Accounts' own credentials for providers.

    All raise RequestInvalid, which names the field; NotFound for a credential that the account does not have;
    Overloaded if we cannot tell.
    """

    async def page(
        self,
        account: AccountId,
        *,
        workspace: WorkspaceId | None,
        provider: str | None,
        offset: int,
        limit: int,
    ) -> CredentialPage:
        """workspace: None: the default one."""
        ...

    async def create(
        self,
        account: AccountId,
        *,
        provider: str,
        key: str,
        workspace: WorkspaceId | None,
        is_global: bool,
        settings: Changes,
    ) -> ProviderCredential: ...

    async def find(self, account: AccountId, credential: CredentialId) -> ProviderCredential: ...

    async def change(
        self, account: AccountId, credential: CredentialId, changes: Changes
    ) -> ProviderCredential: ...

    async def delete(self, account: AccountId, credential: CredentialId) -> None: ...


class Contents(Protocol):
    """Prompts and answers of accounts that have them kept."""

    async def find(self, caller: Caller, generation: GenerationId) -> Content | None:
        """None: nothing is kept, or not for this caller. Raises PermissionDenied for one who may read none;
        Overloaded if we cannot tell."""
        ...


class Clock(Protocol):
    """Wall-clock time."""

    def now_s(self) -> float: ...


class EndpointHealth(Protocol):
    """What calls to endpoints came to, as far as this process knows."""

    def figures(self, endpoint: EndpointId) -> EndpointFigures: ...

    def can_serve(self, provider: ProviderSlug) -> bool:
        """Whether there is a credential for it, or it needs none."""
        ...


class _NothingKnown:
    def figures(self, _endpoint: EndpointId) -> EndpointFigures:
        return EndpointFigures()

    def can_serve(self, _provider: ProviderSlug) -> bool:
        return True


def _nothing_measured() -> str:
    return ""


def _always_ready() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class WebServices:
    """Everything behind the web edge.

    auth: None: nobody can sign in. preferences, byok, contents: None: there are none here.
    is_ready: whether calls can be served.
    metrics: in Prometheus's text format.
    metrics_token: a bearer token that opens `/metrics` from elsewhere; None: only this machine may ask.
    catalogues: None: none but the one in force is known here.
    """

    catalog: CatalogFeed
    keys: Keys
    generations: Generations
    clock: Clock
    preferences: Preferences | None = None
    is_ready: Callable[[], bool] = _always_ready
    metrics: Callable[[], str] = _nothing_measured
    metrics_token: str | None = None
    catalogues: Catalogues | None = None
    health: EndpointHealth = field(default_factory=_NothingKnown)
    byok: Byok | None = None
    contents: Contents | None = None
    auth: AuthServices | None = None
