"""What the data plane needs from outside, in as few words as possible.

The data plane imports none of the things behind these; `compose/` plugs them in. Methods without
`async` are called on the hot path and must not block.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from fairlead.core.belongings import Belongings as Belonging
from fairlead.core.budgets.slices import Lack
from fairlead.core.budgets.types import BudgetRef, CallerBudget, Wanted
from fairlead.core.caller import Caller, KeyRefused
from fairlead.core.catalog import Snapshot
from fairlead.core.content import Content
from fairlead.core.errors import RateLimited
from fairlead.core.generation import Generation
from fairlead.core.health import EndpointOutcome
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.money import NanoUSD
from fairlead.core.presets import Preset
from fairlead.core.routing.facts import HealthView
from fairlead.core.routing.types import Access
from fairlead.providers.base import Credential

__all__ = [
    "Belongings",
    "Caller",
    "CatalogFeed",
    "Clock",
    "Contents",
    "Credentials",
    "Generations",
    "Health",
    "Hold",
    "KeyDirectory",
    "KeyRefused",
    "Presets",
    "RateLimits",
    "TokenCounter",
    "Visitors",
    "Wallet",
]


class KeyDirectory(Protocol):
    """Finds the caller behind a key's SHA-256 digest."""

    def peek(self, digest: bytes) -> Caller | KeyRefused | None:
        """What is known without waiting; None: ask `find`."""
        ...

    async def find(self, digest: bytes) -> Caller | KeyRefused:
        """Asks the store. Raises Overloaded if it is away and the key is not known."""
        ...


class Visitors(Protocol):
    """Finds the caller behind a request from a page of ours, which brings a session instead of a key."""

    async def find(
        self, fields: Sequence[tuple[bytes, bytes]], client: tuple[str, int] | None
    ) -> Caller:
        """fields: the headers of a POST, names in lower case. client: the address of the peer.

        Raises NotAuthenticated for nobody, PermissionDenied for what other sites could have sent or who may
        not call, Overloaded if we cannot tell.
        """
        ...


class Belongings(Protocol):
    """What accounts have that their calls make use of."""

    def peek(self, caller: Caller) -> Belonging | None:
        """What is known without waiting; None: ask `find`."""
        ...

    async def find(self, caller: Caller) -> Belonging:
        """Asks the store. Raises Overloaded if it is away, or what it has does not open."""
        ...

    def fee(self, caller: Caller, list_cost: NanoUSD) -> NanoUSD:
        """For a call with a credential of the account's own."""
        ...

    def discount(self, caller: Caller, has: Belonging, cost: NanoUSD) -> NanoUSD:
        """What is taken off a call with one of ours."""
        ...


class Presets(Protocol):
    """What workspaces keep of requests."""

    async def find(self, caller: Caller, slug: str) -> Preset | Sequence[str]:
        """By its name in the caller's workspace, usually without waiting; or the names of some that there are.

        Raises Overloaded if nobody can say.
        """
        ...


class Contents(Protocol):
    """Prompts and answers, for accounts that want them kept."""

    def keep(self, content: Content) -> None:
        """Have it stored, soon. Does not wait, and does not fail."""
        ...


class RateLimits(Protocol):
    """Whether one more request of a caller may pass. is_free: to a free variant of a model."""

    def needs_check(self, caller: Caller, *, is_free: bool) -> bool:
        """False: nothing limits this call."""
        ...

    async def admit(self, caller: Caller, *, is_free: bool, now_s: float) -> RateLimited | None:
        """Count one request, or say why it may not pass. now_s: Unix time. Raises nothing: where the count
        cannot be kept, requests pass."""
        ...


class Hold(Protocol):
    """What was set aside for one call. It is settled or released, once; see core.budgets.slices.

    amount: nanodollars of each budget; None: nothing limits the call.
    refs: the budgets that its charge counts in.
    """

    @property
    def amount(self) -> NanoUSD | None: ...

    @property
    def refs(self) -> tuple[BudgetRef, ...]: ...

    def settle(self, cost: NanoUSD) -> NanoUSD:
        """What is charged of a cost: all, unless it is beyond what was held and what is left."""
        ...

    def settle_byok(self, fee: NanoUSD, list_cost: NanoUSD) -> NanoUSD:
        """The same for a call with a credential of the account's own."""
        ...

    def undo(self) -> None:
        """What was settled could not be recorded."""
        ...

    def release(self) -> None:
        """Nothing is charged. Of one that has ended, nothing is left to release."""
        ...


class Wallet(Protocol):
    """What may still be spent."""

    def hold(self, budgets: Sequence[CallerBudget], wanted: Wanted, now_s: float) -> Hold | None:
        """Set aside on all of these budgets at once, without waiting; None: ask `obtain`."""
        ...

    async def obtain(self, budgets: Sequence[CallerBudget], wanted: Wanted) -> Hold | Lack:
        """The same, if need be after a moment. Raises Overloaded if nobody can say."""
        ...


class CatalogFeed(Protocol):
    """The current snapshot; take it once per call."""

    @property
    def snapshot(self) -> Snapshot: ...


class Credentials(Protocol):
    """What opens our providers."""

    @property
    def access(self) -> Access:
        """What opens each provider now. Not to be changed; ask again for the next call."""
        ...

    def find(self, provider: ProviderSlug) -> Credential:
        """Raises KeyError if there is none any more."""
        ...


class Health(Protocol):
    """Learns from outcomes. `now_s` is Unix time."""

    def at(self, now_s: float) -> HealthView: ...

    def began(self, endpoint: EndpointId, now_s: float) -> None: ...

    def waits(self, endpoint: EndpointId, now_s: float) -> None: ...

    def spoke(self, endpoint: EndpointId, waited_s: float, now_s: float) -> None: ...

    def ended(self, endpoint: EndpointId, outcome: EndpointOutcome, now_s: float) -> None: ...

    def first_token_p95_s(self, endpoint: EndpointId, now_s: float) -> float | None: ...


class Generations(Protocol):
    """The usage journal."""

    def check(self) -> None:
        """Before a call begins. Raises Overloaded while nothing can be recorded."""
        ...

    def append(self, generation: Generation) -> Awaitable[None] | None:
        """Make the record as durable as configured; None: it already is.

        The last byte of an answer is sent only after this. Raises Overloaded if it cannot be written.
        """
        ...


class TokenCounter(Protocol):
    """An offline estimate, for providers that report no usage."""

    def count(self, text: str, *, tokenizer: str) -> int: ...


class Clock(Protocol):
    """Wall-clock time."""

    def now_s(self) -> float: ...
