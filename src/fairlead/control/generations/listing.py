"""An account's finished calls, a page at a time, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from fairlead.control.generations import call_queries
from fairlead.control.generations.types import Cursor, Page, Wanted
from fairlead.control.usage.samples import sample
from fairlead.core.generation import Generation
from fairlead.core.ids import AccountId
from fairlead.store.database import Database
from fairlead.store.records import unpack

__all__ = ["LOOKED_AT_MAX", "PAGE_MAX", "RECORDS_LOOKED_AT_MAX", "GenerationList"]

PAGE_MAX: Final = 500
# Calls for one page, while it is not full: of most lists some are enough. All are some 20 ms.
LOOK_AT: Final = (500, 1500, 3000)
LOOKED_AT_MAX: Final = sum(LOOK_AT)
RECORDS_LOOKED_AT_MAX: Final = 1000  # of those, where only their records tell; some 20 ms
READ_AT_ONCE: Final = 250


class GenerationList:
    """Methods block; DatabaseUnreadable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, account: AccountId, wanted: Wanted, *, behind: Cursor | None = None, limit: int
    ) -> Page:
        """limit: at most PAGE_MAX."""
        limit = min(limit, PAGE_MAX)
        found: list[Generation] = []
        records_left = RECORDS_LOOKED_AT_MAX
        with self._database.read() as connection:
            way = call_queries.way(connection, account, wanted)
            if way is None:
                return Page((), None)
            for look_at in LOOK_AT:
                edge_ms = call_queries.edge_ms(
                    connection, way, start_ms=wanted.start_ms, end_ms=wanted.end_ms, behind=behind,
                    look_at=look_at, at_least=limit + 1 if look_at == LOOK_AT[-1] else 1,
                )  # fmt: skip
                start_ms = wanted.start_ms if edge_ms is None else edge_ms
                while True:
                    records, last = call_queries.records(
                        connection, way, start_ms=start_ms, end_ms=wanted.end_ms, behind=behind,
                        limit=limit + 1 - len(found) if wanted.is_streamed is None else READ_AT_ONCE,
                    )  # fmt: skip
                    for one in _those(records, wanted.is_streamed):
                        if len(found) == limit:
                            return Page(tuple(found), _place(found[-1]))
                        found.append(one)
                    records_left -= len(records)
                    if last is None:
                        break
                    behind = last
                    if records_left <= 0:
                        return Page(tuple(found), behind)
                if edge_ms is None:
                    return Page(tuple(found), None)
                # No call's id, for it may be another's, and whoever has it can open the call.
                behind = Cursor(edge_ms, "")
        return Page(tuple(found), behind)


def _those(records: Iterable[bytes], is_streamed: bool | None) -> Iterator[Generation]:
    """is_streamed: None: all of them."""
    for record in records:
        if is_streamed is None or sample(record).streamed == is_streamed:
            yield unpack(record)


def _place(one: Generation) -> Cursor:
    """Behind it. The time is as its row has it."""
    return Cursor(round(one.created_s * 1000), one.id)
