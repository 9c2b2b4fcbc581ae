"""Forgets what has expired: sessions, links, old mail, old entries of the audit log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from fairlead.control.audit.service import Audit
from fairlead.control.mail.outbox import Outbox
from fairlead.control.people.sessions import Sessions
from fairlead.control.people.tokens import OneTimeTokens
from fairlead.store.database import Database, DatabaseUnreadable

__all__ = ["Sweeper"]

_log = logging.getLogger(__name__)

SWEEP_EVERY_S: Final = 3600.0
ROUNDS_MAX: Final = 20  # of some thousand rows each; the rest next time
AUDIT_KEPT_MS: Final = 2 * 365 * 86_400_000


class Sweeper:
    """Belongs to one event loop. Of several processes each may have one: what is gone is gone.

    others: what other subjects have to forget: each does a bounded part, and returns 0 when nothing is left.
    """

    def __init__(
        self,
        database: Database,
        *,
        sessions: Sessions,
        tokens: OneTimeTokens,
        outbox: Outbox,
        audit: Audit,
        others: Sequence[Callable[[], int]] = (),
    ) -> None:
        self._database = database
        self._sweeps: Sequence[Callable[[], int]] = (
            sessions.sweep,
            tokens.sweep,
            outbox.sweep,
            lambda: audit.sweep(kept_ms=AUDIT_KEPT_MS),
            *others,
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                await self.sweep()
            except DatabaseUnreadable as error:
                _log.warning("what has expired stays for now: %s", error)
            except Exception:  # noqa: BLE001 - the edge of a job
                _log.exception("What has expired could not be deleted.")

    async def sweep(self) -> int:
        """Everything that has expired, within bounds. Returns how many rows went."""
        count = 0
        for sweep in self._sweeps:
            for _ in range(ROUNDS_MAX):
                deleted = await self._database.run(sweep)
                count += deleted
                if not deleted:
                    break
        return count
