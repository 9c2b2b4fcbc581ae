"""What the pages of the operator work with, on a running gateway."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from fairlead.compose.control_plane import ControlPlane
from fairlead.compose.offer import Offer
from fairlead.compose.people import PeopleServices
from fairlead.compose.provider_check import check_provider
from fairlead.compose.system import SystemClock
from fairlead.control.ledger.check_job import LedgerCheckJob
from fairlead.control.oversight.service import Oversight
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import Overloaded
from fairlead.core.ids import ProviderSlug
from fairlead.gateway.credentials import Lacking
from fairlead.gateway.keyring import open_providers
from fairlead.gateway.upstream import UpstreamClient
from fairlead.providers.registry import PROVIDERS
from fairlead.settings import Settings
from fairlead.store.database import DatabaseUnreadable
from fairlead.web.administration import (
    Administration,
    CatalogueDesk,
    LedgerChecks,
    ProviderChecks,
    ProviderFound,
    Vitals,
)

__all__ = ["LedgerChecker", "ProviderChecker", "build_administration"]

_log: Final = logging.getLogger(__name__)
KEY_END_CHARACTERS: Final = 4
KEY_CHARACTERS_MIN: Final = 16  # the end of a shorter one would tell too much


def build_administration(
    control: ControlPlane,
    people: PeopleServices,
    *,
    clock: SystemClock,
    settings: Callable[[], Settings],
    calls_under_way: Callable[[], int],
    providers: ProviderChecks | None = None,
    ledger_checks: LedgerChecks | None = None,
) -> Administration:
    """settings: those in force now."""

    def vitals() -> Vitals:
        settler, journal = control.settler, control.journal
        return Vitals(
            is_ready=not (settler.is_failing or journal.is_failing),
            is_database_away=control.directory.is_away,
            is_settler_failing=settler.is_failing,
            is_journal_failing=journal.is_failing,
            journal_bytes=journal.backlog_bytes,
            calls_under_way=calls_under_way(),
        )

    async def look() -> None:
        # Otherwise within a second, as all other processes.
        with contextlib.suppress(DatabaseUnreadable):
            await control.amendments_follower.look()

    return Administration(
        oversight=Oversight(
            control.database, ledger=control.ledger, audit=control.audit, now_ms=clock.now_ms
        ),
        audit=control.audit,
        disabling=people.disabling,
        ledger=control.ledger,
        usage=control.usage,
        catalogue=CatalogueDesk(
            amendments=control.amendments,
            unamended=lambda: control.catalog.unamended,
            look=look,
        ),
        settings=settings,
        vitals=vitals,
        in_thread=control.threads.run,
        providers=providers,
        ledger_checks=ledger_checks,
    )


class ProviderChecker:
    """`web.administration.ProviderChecks`: with what is configured now. On the event loop; one check at a
    time."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        settings: Callable[[], Settings],
        upstream: UpstreamClient,
    ) -> None:
        self._snapshot = snapshot
        self._settings = settings
        self._upstream = upstream
        self._checking = asyncio.Lock()

    def found(self) -> list[ProviderFound]:
        offer = self._offer()
        rows = []
        for slug, info in offer.snapshot.providers.items():
            found = offer.opened.found(slug)
            if isinstance(found, Lacking):
                rows.append(ProviderFound(slug, found.remedy, info.base_url or "", None))
            else:
                rows.append(ProviderFound(slug, None, found.base_url, _end(found.api_key)))
        return rows

    async def check(self, provider: ProviderSlug) -> tuple[bool, str]:
        if self._checking.locked():
            raise Overloaded("Another provider is being checked: try again in a moment.")
        async with self._checking:
            offer = await asyncio.to_thread(self._offer)
            checked = await check_provider(provider, offer, self._upstream)
        return checked.is_ok, checked.text

    def _offer(self) -> Offer:
        snapshot = self._snapshot()
        configured = self._settings().providers
        return Offer(snapshot, open_providers(snapshot.providers, configured, spoken=PROVIDERS))


def _end(key: str) -> str | None:
    if not key:
        return None
    return key[-KEY_END_CHARACTERS:] if len(key) >= KEY_CHARACTERS_MIN else ""


class LedgerChecker:
    """Runs checks of the ledger as pages ask for them. On the event loop, which owns it: `run`."""

    def __init__(self, control: ControlPlane, *, clock: SystemClock) -> None:
        loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self.job: Final = LedgerCheckJob(
            control.database,
            now_ms=clock.now_ms,
            start=lambda: _wake(loop, self._wanted),
        )

    async def run(self) -> None:
        """Until cancelled; a check under way then ends with its page of entries."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                try:
                    await asyncio.to_thread(self.job.run)
                except Exception:  # noqa: BLE001 - the edge of a job: it must not stop the gateway
                    _log.exception("The check of the ledger broke off.")
        finally:
            self.job.stop()


def _wake(loop: asyncio.AbstractEventLoop, wanted: asyncio.Event) -> None:
    """From any thread."""
    loop.call_soon_threadsafe(wanted.set)
