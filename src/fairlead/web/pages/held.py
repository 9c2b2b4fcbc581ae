"""What follows from the catalogue in force, kept until another one is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from fairlead.core.catalog import Snapshot
from fairlead.web.services import CatalogFeed

__all__ = ["OfSnapshot"]

_Made = TypeVar("_Made")


class OfSnapshot(Generic[_Made]):
    """catalogue = OfSnapshot(feed, catalogue_of); await catalogue.current()"""

    def __init__(self, feed: CatalogFeed, make: Callable[[Snapshot], _Made]) -> None:
        self._feed = feed
        self._make = make
        self._kept: tuple[Snapshot, _Made] | None = None

    async def current(self) -> _Made:
        """Made by the first to ask after the snapshot changed; two that come at once make it twice, alike."""
        snapshot = self._feed.snapshot
        if self._kept is None or self._kept[0] is not snapshot:
            self._kept = snapshot, await run_in_threadpool(self._make, snapshot)
        return self._kept[1]
