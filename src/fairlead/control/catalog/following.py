"""The catalogue of this process follows what the operator changes, in whichever process that was.

A look is one question to the database, for a number. Only when it is another one than before, the changes are
read and a new snapshot comes into force; calls under way keep theirs. While the database is away, what is in
force stays.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from fairlead.control.catalog.amendments import CatalogAmendments
from fairlead.control.catalog.service import Catalog
from fairlead.store.database import Database, DatabaseUnreadable

__all__ = ["LOOK_EVERY_S", "AmendmentsFollower"]

LOOK_EVERY_S: Final = 1.0
_NOTHING_SEEN: Final = 0  # the revision of who never changed anything

_LOG: Final = logging.getLogger(__name__)


class AmendmentsFollower:
    """Belongs to one event loop.

    follower = AmendmentsFollower(amendments, catalog, database)
    await follower.look()  # before the first call is served, and after a change of our own
    tasks.start(follower.run())
    """

    def __init__(self, amendments: CatalogAmendments, catalog: Catalog, database: Database) -> None:
        self._amendments = amendments
        self._catalog = catalog
        self._database = database
        self._revision = _NOTHING_SEEN
        self._looking = asyncio.Lock()

    async def look(self) -> None:
        """Take over what was changed. Raises DatabaseUnreadable; then what was in force stays."""
        async with self._looking:
            noted = await self._database.run(self._amendments.other_than, self._revision)
            if noted is not None:
                await self._catalog.amend(noted.amendments)
                self._revision = noted.revision

    async def run(self) -> None:
        """Look again and again. Cancel it to stop."""
        is_failing = False
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except DatabaseUnreadable:
                continue  # who looks keys up says so
            except Exception:  # noqa: BLE001 - the edge of a job: it must not stop the gateway
                if not is_failing:
                    _LOG.exception("What the operator changed of the catalogue is not taken over.")
                is_failing = True
            else:
                is_failing = False
