"""What the data plane needs from outside, in as few words as possible.

The data plane imports none of the things behind these; `compose.py` plugs them in. Methods without
`async` are called on the hot path and must not block.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from fairlead.core.caller import Caller, KeyRefused
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import UpstreamFailure
from fairlead.core.generation import Generation
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.routing import HealthView
from fairlead.providers.base import Credential

__all__ = [
    "Caller",
    "CatalogFeed",
    "Clock",
    "Credentials",
    "Generations",
    "Health",
    "KeyDirectory",
    "KeyRefused",
    "TokenCounter",
]


class KeyDirectory(Protocol):
    """Finds the caller behind a key's SHA-256 digest."""

    def peek(self, digest: bytes) -> Caller | KeyRefused | None:
        """What is known without waiting; None: ask `find`."""
        ...

    async def find(self, digest: bytes) -> Caller | KeyRefused:
        """Asks the store. Raises Overloaded if it is away and the key is not known."""
        ...


class CatalogFeed(Protocol):
    """The current snapshot; take it once per call."""

    @property
    def snapshot(self) -> Snapshot: ...


class Credentials(Protocol):
    """What opens our providers."""

    def has(self, provider: ProviderSlug) -> bool: ...

    def find(self, provider: ProviderSlug) -> Credential: ...


class Health(Protocol):
    """Learns from outcomes. `now_s` is event-loop time."""

    def succeeded(self, endpoint: EndpointId) -> None: ...

    def failed(self, endpoint: EndpointId, failure: UpstreamFailure, *, now_s: float) -> None: ...

    def at(self, now_s: float) -> HealthView: ...


class Generations(Protocol):
    """The usage journal."""

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
