"""The control plane of one process: its database and every service on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from fairlead.compose.private import PrivateServices, build_private
from fairlead.compose.system import SystemClock
from fairlead.control.accounts.preferences import installation_preferences
from fairlead.control.accounts.service import Accounts
from fairlead.control.audit.service import Audit
from fairlead.control.budgets.earlier import used_by_keys
from fairlead.control.budgets.service import Budgets
from fairlead.control.catalog.amendments import CatalogAmendments
from fairlead.control.catalog.following import AmendmentsFollower
from fairlead.control.catalog.service import Catalog
from fairlead.control.catalog.versions import CatalogVersions
from fairlead.control.datasets.jobs import SessionCounter
from fairlead.control.generations.jobs import Settler
from fairlead.control.generations.service import GenerationStore
from fairlead.control.generations.steps import Steps
from fairlead.control.keys.service import Keys, LiveKeys
from fairlead.control.ledger.service import Ledger
from fairlead.control.prices.service import Prices
from fairlead.control.serving.keys import CachedKeyDirectory
from fairlead.control.serving.limits import RateLimits, request_limits
from fairlead.control.serving.presets import PresetDirectory, PresetReader
from fairlead.control.usage.jobs import UsageKeeper
from fairlead.control.usage.rollup import UsageRollup
from fairlead.control.usage.service import Usage
from fairlead.control.workspaces.service import Workspaces
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import Overloaded
from fairlead.core.pricing import PriceSheet
from fairlead.dialects.preset_drafts import CACHE_FIELDS
from fairlead.settings import Settings, revealed
from fairlead.store.cache import Cache
from fairlead.store.database import DATABASE_FILE, Database, DatabaseUnreadable, open_database
from fairlead.store.journal import JOURNAL_DIRECTORY, Durability, Journal

__all__ = ["ControlPlane", "DatabaseThreads", "build_control_plane", "database_address"]

DRAIN_SETTLER_S: Final = 10.0

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """What manages accounts, keys, the catalogue and the records, in this process.

    writer: this process's name, unique for ever: of its journal, and of what it holds of budgets.
    threads: how the event loop asks the database.
    cache: None: this process shares nothing with others but the database.
    """

    writer: str
    database: Database
    threads: DatabaseThreads
    cache: Cache | None
    audit: Audit
    accounts: Accounts
    keys: Keys
    workspaces: Workspaces
    directory: CachedKeyDirectory
    presets: PresetDirectory
    rate_limits: RateLimits
    catalog: Catalog
    amendments: CatalogAmendments
    amendments_follower: AmendmentsFollower
    catalogues: CatalogVersions
    prices: Prices
    generations: GenerationStore
    ledger: Ledger
    budgets: Budgets
    usage: Usage
    private: PrivateServices
    journal: Journal
    settler: Settler
    usage_keeper: UsageKeeper
    session_counter: SessionCounter

    def start(self) -> None:
        """What works in threads of its own, until `close`."""
        self.settler.start()
        self.usage_keeper.start()
        self.session_counter.start()

    async def run(self) -> None:
        """What works on the event loop, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.directory.run())
            tasks.create_task(self.private.belongings.run())
            tasks.create_task(self.private.writer.run())
            tasks.create_task(self.amendments_follower.run())

    def close(self) -> None:
        """Settles what is in the journal, for a bounded time. Blocks."""
        self.usage_keeper.stop()
        self.session_counter.stop()
        if self.settler.stop(drain_timeout_s=DRAIN_SETTLER_S):
            with contextlib.suppress(
                DatabaseUnreadable
            ):  # whoever finishes the journal does it then
                self.budgets.release(self.writer)
        self.journal.close()
        self.database.close()


def build_control_plane(
    settings: Settings, *, seed: Snapshot, data: Path, clock: SystemClock
) -> ControlPlane:
    """Opens the database and the journal; starts nothing. Raises DatabaseUnusable.

    seed: the catalogue that comes with the package.
    """
    now_ms, entropy = clock.now_ms, os.urandom
    writer = f"{time.time_ns():x}-{os.getpid()}"
    database = open_database(database_address(settings, data))
    cache_url = revealed(settings.cache.url)
    cache = None if cache_url is None else Cache(cache_url)
    audit = Audit(database, now_ms=now_ms, entropy=entropy)
    journal = Journal(
        data / JOURNAL_DIRECTORY,
        writer=writer,
        durability=Durability(settings.journal.durability),
        segment_bytes_max=settings.journal.segment_bytes,
    )
    catalogues = CatalogVersions(database, now_ms=now_ms)
    prices = Prices(database, now_ms=now_ms)
    catalog = Catalog(seed, RecordedPrices(database, prices), catalogues)
    amendments = CatalogAmendments(
        database, audit, catalogue=lambda: catalog.unamended, now_ms=now_ms
    )
    ledger = Ledger(database, now_ms=now_ms)
    usage = Usage(
        database,
        now_ms=now_ms,
        minutes_days=settings.usage.minutes_days,
        hours_days=settings.usage.hours_days,
    )
    budgets = Budgets(
        database,
        now_ms=now_ms,
        lost_after_s=settings.budgets.lost_after_s,
        used_before=used_by_keys(usage),
    )
    keys = Keys(database, now_ms=now_ms, entropy=entropy, audit=audit, limits=budgets)
    return ControlPlane(
        writer=writer,
        database=database,
        threads=DatabaseThreads(database),
        cache=cache,
        audit=audit,
        accounts=Accounts(database, now_ms=now_ms, entropy=entropy),
        keys=keys,
        workspaces=Workspaces(
            database,
            audit,
            keys=LiveKeys(now_ms=now_ms),
            limits=budgets,
            now_ms=now_ms,
            entropy=entropy,
        ),
        directory=CachedKeyDirectory(
            keys,
            database,
            now_ms=now_ms,
            monotonic_s=time.monotonic,
            installation=installation_preferences(settings.routing),
        ),
        presets=PresetDirectory(
            PresetReader(database, CACHE_FIELDS), database, monotonic_s=time.monotonic
        ),
        rate_limits=RateLimits(request_limits(settings.limits), cache=cache),
        catalog=catalog,
        amendments=amendments,
        amendments_follower=AmendmentsFollower(amendments, catalog, database),
        catalogues=catalogues,
        prices=prices,
        generations=GenerationStore(database, journals=data / JOURNAL_DIRECTORY),
        ledger=ledger,
        budgets=budgets,
        usage=usage,
        private=build_private(
            database,
            settings,
            data,
            audit=audit,
            snapshot=lambda: catalog.snapshot,
            monotonic_s=time.monotonic,
            now_ms=now_ms,
            entropy=entropy,
        ),
        journal=journal,
        settler=Settler(database, journal, Steps(ledger, budgets, UsageRollup(database))),
        session_counter=SessionCounter(database, usage, now_ms=now_ms),
        usage_keeper=UsageKeeper(
            database,
            now_ms=now_ms,
            minutes_days=settings.usage.minutes_days,
            hours_days=settings.usage.hours_days,
        ),
    )


def database_address(settings: Settings, data: Path) -> str | Path:
    """Where the database is: the configured URL, else the file in the data directory."""
    url = revealed(settings.database.url)
    return url if url is not None else data / DATABASE_FILE


class RecordedPrices:
    """The catalogue's price book, in the database, off the event loop."""

    def __init__(self, database: Database, prices: Prices) -> None:
        self._database = database
        self._prices = prices

    async def record(self, sheets: Mapping[str, PriceSheet]) -> None:
        await self._database.run(self._prices.keep, sheets)


class DatabaseThreads:
    """Blocking questions to the database, off the event loop; a database that is away is no fault of the
    caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, function: Callable[[], _Answer], /) -> _Answer:
        try:
            return await self._database.run(function)
        except DatabaseUnreadable as error:
            raise Overloaded("The database does not answer at the moment.") from error
