"""The data plane's way to have prompts and answers kept: beside the calls, never in front of them.

`keep` puts a content into a queue and returns. A task seals what is there and stores it, some hundred at a
time. The queue has a bound in bytes: what does not fit is dropped and counted, and no call waits. Contents
are not money: those that are in the queue when a process is killed are lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

from fairlead.control.contents.service import Contents
from fairlead.core.content import Content
from fairlead.store.database import Database, DatabaseUnusable
from fairlead.store.sealing import MasterKeyUnknown, Unsealable

__all__ = ["ContentWriter"]

QUEUE_BYTES_MAX: Final = 64 * 1024 * 1024
BATCH_MAX: Final = 200
BATCH_BYTES_MAX: Final = 8 * 1024 * 1024  # a transaction of a few tenths of a second
RETRY_AFTER_S: Final = 1.0
DELETE_EVERY_S: Final = 3600.0

_LOG: Final = logging.getLogger(__name__)


class ContentWriter:
    """Implements gateway.ports.Contents. Belongs to one event loop.

    dropped_count: how many could not be kept, since the start.
    """

    def __init__(
        self, contents: Contents, database: Database, *, queue_bytes_max: int = QUEUE_BYTES_MAX
    ) -> None:
        self._contents = contents
        self._database = database
        self._queue_bytes_max = queue_bytes_max
        self._queue: deque[Content] = deque()
        self._queue_bytes = 0
        self._wake = asyncio.Event()
        self._is_failing = False
        self.dropped_count = 0

    def keep(self, content: Content) -> None:
        """Have it stored, soon. Does not wait and does not fail."""
        size_bytes = content.size_bytes
        if self._queue_bytes + size_bytes > self._queue_bytes_max:
            if not self.dropped_count:
                _LOG.error("contents come faster than they can be stored: some are not kept")
            self.dropped_count += 1
            return
        self._queue.append(content)
        self._queue_bytes += size_bytes
        self._wake.set()

    async def run(self) -> None:
        """Store what comes, and delete what is old, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._delete())
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    if not await self._store_batch():
                        await asyncio.sleep(RETRY_AFTER_S)

    async def flush(self, *, timeout_s: float) -> None:
        """Store what is left, for at most that long."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._queue and await self._store_batch():
                    pass
        except TimeoutError:
            pass
        if self._queue:
            _LOG.warning("%d contents are not kept: the server stopped", len(self._queue))

    async def _store_batch(self) -> bool:
        """False: it could not be stored, and is tried again."""
        batch: list[Content] = []
        size_bytes = 0
        for content in self._queue:
            size_bytes += content.size_bytes
            if batch and (len(batch) == BATCH_MAX or size_bytes > BATCH_BYTES_MAX):
                break
            batch.append(content)
        try:
            await self._database.run(self._contents.keep, batch)
        except (DatabaseUnusable, MasterKeyUnknown, Unsealable) as error:
            if not self._is_failing:
                self._is_failing = True
                _LOG.error("contents cannot be stored for now: %s", error)
            return False
        if self._is_failing:
            self._is_failing = False
            _LOG.warning("contents are stored again")
        for content in batch:
            self._queue.popleft()
            self._queue_bytes -= content.size_bytes
        return True

    async def _delete(self) -> None:
        while True:
            try:
                count = await self._database.run(self._contents.delete_old)
            except DatabaseUnusable as error:
                _LOG.error("old contents cannot be deleted for now: %s", error)
            else:
                if count:
                    _LOG.info("%d contents were older than they are kept, and are deleted", count)
            await asyncio.sleep(DELETE_EVERY_S)
