"""Keeps the book of health over restarts, and in step with other processes.

It is saved every half minute and at the end, and read at the start together with what other processes left.
With a shared cache, each process appends what it saw to one stream every second, and reads what the others
appended. Both are a convenience: with the disk full or the cache away, the book goes on by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from fairlead.control.serving.health_files import STATE_BYTES_MAX, HealthFiles
from fairlead.core.health import HealthBook
from fairlead.core.health.news import NewsUnreadable, decode_news, encode_news
from fairlead.core.health.saved import SavedUnreadable, decode_saved, encode_book, encode_endpoint
from fairlead.store.cache import Cache, CacheAway, Entry, EntryId

__all__ = ["HEALTH_DIRECTORY", "HealthKeeper"]

HEALTH_DIRECTORY: Final = "health"
SAVE_EVERY_S: Final = 30.0
SHARE_EVERY_S: Final = 1.0
STREAM: Final = "fairlead:health"
STREAM_ENTRIES_MAX: Final = 2000  # some seconds of a large installation, minutes of a small one
NEWS_AGE_MAX_MS: Final = 30_000  # who was away for longer does not take what is older for news
_ENDPOINTS_AT_ONCE: Final = 4  # saved before the event loop has its turn; some 0.2 ms each
_HEADER_BYTES: Final = 64

_LOG: Final = logging.getLogger(__name__)


class HealthKeeper:
    """
    keeper = HealthKeeper(book, data / HEALTH_DIRECTORY, now_s=..., cache=cache, name=b"...")
    keeper.load()               # blocks; before the first call
    await keeper.run()          # until it is cancelled
    keeper.close()              # blocks; after the last call

    cache: None where processes share nothing; otherwise the book takes notes from now on.
    name: of this process, different from all others'.
    """

    def __init__(
        self,
        book: HealthBook,
        directory: Path,
        *,
        now_s: Callable[[], float],
        cache: Cache | None = None,
        name: bytes = b"",
        save_every_s: float = SAVE_EVERY_S,
        share_every_s: float = SHARE_EVERY_S,
    ) -> None:
        self._book = book
        self._files = HealthFiles(directory)
        self._now_s = now_s
        self._cache = cache
        if cache is not None:
            book.take_notes()
        self._name = name
        self._save_every_s = save_every_s
        self._share_every_s = share_every_s
        self._position: EntryId | None = None
        self._is_lost = True  # whether we may have missed news for long
        self._is_away = False
        self._is_unsaved = False

    def load(self) -> None:
        """Adopt what this and other processes saved. What cannot be read is logged and left out."""
        now_s = self._now_s()
        try:
            for path, state in self._files.read(now_s=now_s):
                try:
                    self._book.adopt(decode_saved(state), now_s)
                except SavedUnreadable as error:
                    _LOG.warning("%s holds no endpoints' health, and is ignored: %s", path, error)
        except OSError as error:
            _LOG.warning("the health of endpoints cannot be read; it begins anew: %s", error)

    async def run(self) -> None:
        """Share and save, for ever. Cancel it to stop."""
        loop = asyncio.get_running_loop()
        saved_at_s = loop.time()
        while True:
            await self.share()  # at once: only what is told from then on is heard
            await asyncio.sleep(self._share_every_s)
            if loop.time() - saved_at_s >= self._save_every_s:
                await self.save()
                saved_at_s = loop.time()

    def close(self) -> None:
        """Save for the last time."""
        self._write(encode_book(self._saved()))
        self._files.close()

    async def save(self) -> None:
        """Save now, without keeping the event loop from its work."""
        parts = []
        for part in self._saved():
            parts.append(part)
            if len(parts) % _ENDPOINTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        await asyncio.to_thread(lambda: self._write(encode_book(parts)))

    async def share(self) -> None:
        """Tell the other processes what was seen here, and hear what they saw."""
        if self._cache is None:
            return
        pieces = encode_news(self._book.take_news(self._now_s()))
        try:
            position = await self._find_position(self._cache)
            for piece in pieces:
                await self._cache.append(
                    STREAM, sender=self._name, payload=piece, entries_max=STREAM_ENTRIES_MAX
                )
            entries = await self._cache.entries(
                STREAM, after=position, entries_max=STREAM_ENTRIES_MAX
            )
        except CacheAway as error:
            if not self._is_away:
                _LOG.warning(
                    "the shared cache is away; health is what this process sees itself: %s", error
                )
            self._is_away = self._is_lost = True
            return
        if self._is_away:
            _LOG.info("the shared cache is back")
            self._is_away = False
        for entry in entries:
            self._position = entry.id
            self._hear(entry)
            await asyncio.sleep(0)

    def _hear(self, entry: Entry) -> None:
        if entry.sender == self._name:
            return
        try:
            news = decode_news(entry.payload)
        except NewsUnreadable as error:
            _LOG.debug("news of endpoints' health that we cannot read: %s", error)
            return
        self._book.hear(news, self._now_s())

    async def _find_position(self, cache: Cache) -> EntryId:
        """Where to read on: at first from now on, after an absence from half a minute ago at most."""
        if self._position is None or self._is_lost:
            newest = await cache.newest(STREAM)
            if self._position is None:
                self._position = newest
            else:
                oldest = EntryId(b"%d-0" % (await cache.now_ms() - NEWS_AGE_MAX_MS))
                # A server that lost its stream begins another one, perhaps with smaller ids.
                self._position = min(max(self._position, oldest, key=_order), newest, key=_order)
            self._is_lost = False
        return self._position

    def _saved(self) -> Iterator[bytes]:
        """Each endpoint as bytes, those heard of last first, as many as a file may hold."""
        size = _HEADER_BYTES
        for endpoint in self._book.saved(self._now_s()):
            part = encode_endpoint(endpoint)
            size += len(part)
            if size > STATE_BYTES_MAX:
                return
            yield part

    def _write(self, state: bytes) -> None:
        try:
            self._files.write(state)
        except OSError as error:
            if not self._is_unsaved:
                _LOG.warning("the health of endpoints cannot be saved: %s", error)
            self._is_unsaved = True
        else:
            self._is_unsaved = False


def _order(entry: EntryId) -> tuple[int, int]:
    milliseconds, _, number = entry.partition(b"-")
    return int(milliseconds), int(number)
