"""Price sheets are kept for ever, so that any charge can be explained and computed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fairlead.control.prices import queries
from fairlead.core.pricing import PriceSheet
from fairlead.store.database import Database

__all__ = ["Prices"]


class Prices:
    """Every price sheet that was ever in force. Methods block; they raise DatabaseUnreadable.

    prices = Prices(database, now_ms=clock.now_ms)
    prices.keep({endpoint.price_version: endpoint.prices, ...})  # before a catalogue is served
    """

    def __init__(self, database: Database, *, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    def keep(self, sheets: Mapping[str, PriceSheet]) -> None:
        """Add those that are new. A version that is there stays as it is: it names one sheet for ever."""
        with self._database.begin() as connection:
            queries.insert_new(self._database, connection, sheets, now_ms=self._now_ms())

    def find(self, version: str) -> PriceSheet | None:
        with self._database.read() as connection:
            return queries.find(connection, version)
