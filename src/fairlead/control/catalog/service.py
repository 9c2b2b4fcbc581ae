"""The catalogue in force: one snapshot, replaced as a whole while calls go on.

Four things make a snapshot: the seed (the package's data, or a later sync), the configuration's tables, what
running engines offer, and over these the operator's amendments. Whenever one of them changes, a new snapshot
is made from all four. Its prices and what routing needs of it are recorded first and only then does it come
into force: no call is ever charged by a price sheet, or routed by a catalogue, that nobody can look up. Who
holds the old snapshot keeps it until the call ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from fairlead.control.catalog.rules import EngineListInvalid, offered_models
from fairlead.core.catalog import EndpointStatus, ProviderInfo, Snapshot
from fairlead.core.catalog_amendments import NO_AMENDMENTS, Amendments, amended
from fairlead.core.catalog_overlay import Discovered, overlay
from fairlead.core.errors import FairleadError
from fairlead.core.ids import ProviderSlug
from fairlead.core.pricing import PriceSheet

__all__ = ["DISCOVERY_TIMEOUT_S", "Catalog", "EngineFetch", "PriceBook", "VersionBook"]

DISCOVERY_TIMEOUT_S: Final = 3.0  # an engine on this machine or beside it answers in milliseconds
ENGINE_LIST_BYTES_MAX: Final = 1 << 20


class PriceBook(Protocol):
    """Keeps every price sheet that was ever in force, by version."""

    async def record(self, sheets: Mapping[str, PriceSheet]) -> None:
        """Repeating a version is no error: it means the same prices for ever."""
        ...


class VersionBook(Protocol):
    """Keeps what routing needs of every snapshot that was ever in force, by version."""

    async def record(self, snapshot: Snapshot) -> None:
        """Repeating a version is no error."""
        ...


class EngineFetch(Protocol):
    """Asks one local engine for its models: GET {base_url}/models."""

    async def __call__(self, provider: ProviderSlug, *, bytes_max: int) -> bytes:
        """The body of a 200. Raises FairleadError, OSError or TimeoutError otherwise."""
        ...


class Catalog:
    """`snapshot` is what is in force, `unamended` the same without what the operator changed. One task at a
    time changes them; the others wait."""

    def __init__(
        self,
        seed: Snapshot,
        prices: PriceBook | None = None,
        versions: VersionBook | None = None,
    ) -> None:
        """The seed is in force at once; `start` records it.

        prices, versions: None where nothing is charged or routed, as in a command that only lists models.
        """
        self._seed = seed
        self._snapshot = seed
        self._unamended = seed
        self._amendments = NO_AMENDMENTS
        self._prices = prices
        self._versions = versions
        self._recorded: set[str] = set()
        self._extra_models: Sequence[Mapping[str, object]] = ()
        self._extra_providers: Sequence[ProviderInfo] = ()
        self._discovered: Mapping[ProviderSlug, Sequence[Discovered]] = {}
        self._changing = asyncio.Lock()

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    @property
    def unamended(self) -> Snapshot:
        return self._unamended

    async def start(self) -> None:
        """Record what is in force already. Before the first call is served."""
        async with self._changing:
            await self._record(self._snapshot)

    async def configure(
        self,
        extra_models: Sequence[Mapping[str, object]],
        extra_providers: Sequence[ProviderInfo] = (),
    ) -> None:
        """Put the configuration's tables into force. Raises ConfigurationInvalid; then nothing changes."""
        async with self._changing:
            await self._swap(extra_models=extra_models, extra_providers=extra_providers)

    async def reseed(self, seed: Snapshot) -> None:
        """Put newer data into force. Raises ConfigurationInvalid if the tables do not fit it any more."""
        async with self._changing:
            await self._swap(seed=seed)

    async def amend(self, amendments: Amendments) -> None:
        """Put the operator's changes into force, in place of those before."""
        async with self._changing:
            await self._swap(amendments=amendments)

    async def discover(self, fetch: EngineFetch) -> Mapping[ProviderSlug, Sequence[Discovered]]:
        """Ask every local engine what it has. Those that are off, slow or strange are simply absent.

        Returns what was found, which is in force now.
        """
        engines = [one.slug for one in self._snapshot.providers.values() if one.kind == "local"]
        async with asyncio.TaskGroup() as tasks:
            asked = {slug: tasks.create_task(_ask(fetch, slug)) for slug in engines}
        found = {slug: task.result() for slug, task in asked.items() if task.result()}
        async with self._changing:
            await self._swap(discovered=found)
        return found

    async def _swap(
        self,
        *,
        seed: Snapshot | None = None,
        extra_models: Sequence[Mapping[str, object]] | None = None,
        extra_providers: Sequence[ProviderInfo] | None = None,
        discovered: Mapping[ProviderSlug, Sequence[Discovered]] | None = None,
        amendments: Amendments | None = None,
    ) -> None:
        """Make a snapshot of what is given and of what stays; None stays. All or nothing."""
        seed = self._seed if seed is None else seed
        extra_models = self._extra_models if extra_models is None else extra_models
        extra_providers = self._extra_providers if extra_providers is None else extra_providers
        discovered = self._discovered if discovered is None else discovered
        amendments = self._amendments if amendments is None else amendments
        unamended = overlay(seed, extra_models, discovered, extra_providers=extra_providers)
        if unamended.version == self._unamended.version:
            unamended = self._unamended
        snapshot = await self._amended(unamended, amendments)
        if snapshot.version != self._snapshot.version:
            await self._record(snapshot)
            self._snapshot = snapshot
        self._unamended = unamended
        self._amendments = amendments
        self._seed = seed
        self._extra_models = extra_models
        self._extra_providers = extra_providers
        self._discovered = discovered

    async def _amended(self, unamended: Snapshot, amendments: Amendments) -> Snapshot:
        if unamended is self._unamended and amendments == self._amendments:
            return self._snapshot
        if amendments == NO_AMENDMENTS:
            return unamended
        # Some 50 ms, in which the event loop relays streams.
        return await asyncio.to_thread(amended, unamended, amendments)

    async def _record(self, snapshot: Snapshot) -> None:
        if self._prices is not None:
            await self._record_prices(snapshot, self._prices)
        if self._versions is not None:
            await self._versions.record(snapshot)

    async def _record_prices(self, snapshot: Snapshot, prices: PriceBook) -> None:
        new = {
            endpoint.price_version: endpoint.prices
            for model in snapshot.models.values()
            for endpoint in model.endpoints
            if endpoint.status is not EndpointStatus.UNPRICED
            and endpoint.price_version not in self._recorded
        }
        if new:
            await prices.record(new)
            self._recorded.update(new)


async def _ask(fetch: EngineFetch, provider: ProviderSlug) -> tuple[Discovered, ...]:
    try:
        async with asyncio.timeout(DISCOVERY_TIMEOUT_S):
            body = await fetch(provider, bytes_max=ENGINE_LIST_BYTES_MAX)
        return offered_models(body) if len(body) <= ENGINE_LIST_BYTES_MAX else ()
    except (FairleadError, OSError, TimeoutError, EngineListInvalid):
        return ()
