"""What the web edge needs from outside, in as few words as possible. `compose/` plugs it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request

from fairlead.control.accounts.service import Accounts
from fairlead.control.catalog.benchmarks import NO_BENCHMARKS, Benchmarks
from fairlead.control.contents.service import Contents
from fairlead.control.credentials.service import Credentials
from fairlead.control.generations.listing import GenerationList
from fairlead.control.generations.sessions import SessionList
from fairlead.control.people.types import SignedIn
from fairlead.control.privacy.service import Privacy
from fairlead.control.standings.service import Standings
from fairlead.core.catalog import Snapshot
from fairlead.core.generation import Generation
from fairlead.core.health import EndpointFigures
from fairlead.core.ids import (
    AccountId,
    EndpointId,
    GenerationId,
    KeyId,
    ProviderSlug,
    UserId,
    WorkspaceId,
)
from fairlead.core.limits import KeyPace
from fairlead.core.routing.facts import Standing
from fairlead.core.routing.preferences import AccountPreferences
from fairlead.web.administration import Administration
from fairlead.web.asking import Desk
from fairlead.web.auth.services import AuthServices
from fairlead.web.billing import BillingEdge
from fairlead.web.data_desk import DataDesk
from fairlead.web.demo_sign import NO_DEMO, Demonstration
from fairlead.web.management import Management
from fairlead.web.usage_desk import UsageDesk

__all__ = [
    "Caller",
    "CatalogFeed",
    "Catalogues",
    "Clock",
    "EndpointHealth",
    "Generations",
    "Keys",
    "Sessions",
    "Terms",
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
    def workspace(self) -> WorkspaceId:
        """Where its key belongs."""
        ...

    @property
    def user(self) -> UserId | None:
        """Who made its key; None: nobody in particular."""
        ...

    @property
    def preferences(self) -> AccountPreferences:
        """What its account has set for all of its calls."""
        ...


class Sessions(Protocol):
    """People who are signed in."""

    async def signed_in(self, request: Request) -> SignedIn | None:
        """Whose browser sent it; None: nobody's. Raises PermissionDenied for a request that changes something
        and does not prove that it comes from our own pages; Overloaded if we cannot tell."""
        ...


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

    async def pace(self, caller: Caller) -> KeyPace:
        """How often the key may be used."""
        ...


class Generations(Protocol):
    """Records of finished calls."""

    async def find(self, generation: GenerationId, account: AccountId) -> Generation | None:
        """None: this account has none by that id. Raises Overloaded if we cannot tell."""
        ...


class Clock(Protocol):
    """Wall-clock time."""

    def now_s(self) -> float: ...


class EndpointHealth(Protocol):
    """What calls to endpoints came to, as far as this process knows. To be asked in the event loop."""

    def figures(self, endpoint: EndpointId) -> EndpointFigures: ...

    def in_trouble(self) -> Mapping[EndpointId, Standing]:
        """How those endpoints stand that do not stand well."""
        ...

    def tool_calls(self) -> Mapping[EndpointId, tuple[int, int]]:
        """Of the last two hours, where there were any: answers that ended in tool calls, and those of them with
        a call that was not valid."""
        ...

    def can_serve(self, provider: ProviderSlug) -> bool:
        """Whether there is a credential for it, or it needs none."""
        ...


class _NothingKnown:
    def figures(self, _endpoint: EndpointId) -> EndpointFigures:
        return EndpointFigures()

    def in_trouble(self) -> Mapping[EndpointId, Standing]:
        return {}

    def tool_calls(self) -> Mapping[EndpointId, tuple[int, int]]:
        return {}

    def can_serve(self, _provider: ProviderSlug) -> bool:
        return True


def _nothing_measured() -> str:
    return ""


def _always_ready() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Terms:
    """The operator's numbers, for pages to say before somebody agrees to them.

    discount_percent: taken off for those who share what they send. byok_*: of calls with own keys, and what of
    them is free of the fee each month: so many requests if there is such a number, else so much. free_*: how
    many calls of `:free` models a prepaid account may make; 0: as many as it likes. allowance_usd: what such an
    account has to begin with.
    """

    discount_percent: float = 1.0
    content_retention_days: int = 92
    byok_fee_percent: float = 5.0
    byok_allowance_usd: float = 25_000.0
    byok_allowance_requests: int | None = None
    free_per_minute: int = 20
    free_per_day: int = 50
    free_per_day_purchased: int = 1000
    allowance_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class WebServices:
    """Everything behind the web edge.

    management: None: accounts cannot be managed here. sessions: None: nobody can sign in.
    auth: None: nobody can sign in. administration: None: no pages for the operator. accounts, byok, contents,
    usage, billing, standings, data, privacy, generation_list, session_list: None: there are none here.
    is_ready: whether calls can be served.
    metrics: in Prometheus's text format.
    metrics_token: a bearer token that opens `/metrics` from elsewhere; None: only this machine may ask.
    catalogues: None: none but the one in force is known here.
    """

    catalog: CatalogFeed
    keys: Keys
    generations: Generations
    clock: Clock
    accounts: Desk[Accounts] | None = None
    is_ready: Callable[[], bool] = _always_ready
    metrics: Callable[[], str] = _nothing_measured
    metrics_token: str | None = None
    catalogues: Catalogues | None = None
    health: EndpointHealth = field(default_factory=_NothingKnown)
    byok: Desk[Credentials] | None = None
    contents: Desk[Contents] | None = None
    auth: AuthServices | None = None
    management: Management | None = None
    sessions: Sessions | None = None
    usage: UsageDesk | None = None
    billing: BillingEdge | None = None
    standings: Desk[Standings] | None = None
    data: DataDesk | None = None
    generation_list: Desk[GenerationList] | None = None
    session_list: Desk[SessionList] | None = None
    privacy: Desk[Privacy] | None = None
    terms: Terms = Terms()
    benchmarks: Benchmarks = NO_BENCHMARKS
    demo: Demonstration = NO_DEMO
    administration: Administration | None = None
