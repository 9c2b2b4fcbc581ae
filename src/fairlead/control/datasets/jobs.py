"""The session counter: once a week it goes through the calls of 30 days, and keeps what sessions of apps cost.

Reading a million calls takes seconds, and nobody waits for it: so it is a page at a time, with pauses.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from fairlead.control.datasets import session_queries as queries
from fairlead.control.datasets.dates import DateRange, date_of
from fairlead.control.datasets.service import slug_of
from fairlead.control.datasets.session_queries import Kept
from fairlead.control.datasets.sessions import Cell, SessionBook, is_due
from fairlead.control.datasets.types import SessionCell, SessionCosts
from fairlead.control.usage.calendar import HOUR_MS
from fairlead.control.usage.samples import Sample, sample
from fairlead.control.usage.service import Usage
from fairlead.store.database import Database, DatabaseUnreadable
from fairlead.store.records import RecordUnreadable

__all__ = ["SessionCounter"]

DAYS: Final = 30  # that are counted; the last is yesterday
CALLS_AT_ONCE: Final = 500  # some 5 ms
CALLS_MAX: Final = 2_000_000  # of one account, the oldest; some 40 s
PAUSE_S: Final = 0.01  # between pages, so that others get their turn
FIRST_LOOK_S: Final = 60.0  # after the process began, which has other things to do
LOOK_EVERY_S: Final = 3600.0
GIVEN_UP_MS: Final = 2 * HOUR_MS  # after that somebody else counts instead of who began

_LOG: Final = logging.getLogger(__name__)


class SessionCounter:
    """A thread of its own. Any number of processes may have one: the first whose turn it is counts for all.

    counter = SessionCounter(database, usage, now_ms=clock.now_ms)
    counter.start()
    ...
    counter.stop()
    """

    def __init__(
        self,
        database: Database,
        usage: Usage,
        *,
        now_ms: Callable[[], int],
        pause_s: float = PAUSE_S,
    ) -> None:
        self._database = database
        self._usage = usage
        self._now_ms = now_ms
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        assert self._thread is None, "a counter starts once"
        self._thread = threading.Thread(target=self._follow, name="session-costs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Blocks until the page under way is read."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def count_if_due(self) -> bool:
        """Returns whether it did. Raises DatabaseUnreadable."""
        if not self._database.retrying(self._begin):
            return False
        yesterday = date_of(self._now_ms()) - timedelta(days=1)
        days = DateRange(yesterday - timedelta(days=DAYS - 1), yesterday)
        book = SessionBook()
        for account in self._accounts():
            for one in self._calls(account, days):
                book.add(one)
            book.account_ends()
            if self._stopping.is_set():
                return False
        now_ms = self._now_ms()
        costs = SessionCosts(now_ms, days.end.isoformat(), DAYS, self._named(book.cells()))
        with self._database.begin() as connection:
            queries.keep(self._database, connection, Kept(now_ms, costs))
        return True

    def _begin(self, connection: sa.Connection) -> bool:
        """Whether it is our turn; then it is nobody else's."""
        self._database.lock(connection, queries.KEPT)
        known, now_ms = queries.kept(connection), self._now_ms()
        costs = None if known is None else known.costs
        if not is_due(costs, now_ms):
            return False
        is_begun = known is not None and (costs is None or known.begun_ms > costs.made_ms)
        if known is not None and is_begun and 0 <= now_ms - known.begun_ms < GIVEN_UP_MS:
            return False
        queries.keep(self._database, connection, Kept(now_ms, costs))
        return True

    def _accounts(self) -> Iterator[str]:
        account: str | None = None
        while True:
            with self._database.read() as connection:
                account = queries.account_after(connection, account)
            if account is None:
                return
            yield account

    def _calls(self, account: str, days: DateRange) -> Iterator[Sample]:
        after = (days.start_ms, "")
        for _ in range(CALLS_MAX // CALLS_AT_ONCE):
            with self._database.read() as connection:
                page = queries.calls_of(
                    connection, account, after=after, end_ms=days.end_ms, limit=CALLS_AT_ONCE
                )
            for _, record in page:
                try:
                    yield sample(record)
                except RecordUnreadable as error:
                    _LOG.error("a generation that cannot be read is in no session: %s", error)
            if len(page) < CALLS_AT_ONCE or self._stopping.wait(self._pause_s):
                return
            after = page[-1][0]

    def _named(self, cells: list[Cell]) -> tuple[SessionCell, ...]:
        titles: dict[str, str] = {}
        for identity in dict.fromkeys(cell.identity for cell in cells):
            app = self._usage.app(identity)
            if app is not None and app.is_public:
                titles[identity] = app.title
        return tuple(
            SessionCell(
                slug_of(cell.identity),
                titles[cell.identity],
                cell.turns,
                cell.model,
                cell.cost_usd,
            )
            for cell in cells
            if cell.identity in titles
        )

    def _follow(self) -> None:
        pause_s = FIRST_LOOK_S
        while not self._stopping.wait(pause_s):
            pause_s = LOOK_EVERY_S
            try:
                if self.count_if_due():
                    _LOG.info("what sessions cost was counted anew")
            except DatabaseUnreadable as error:
                _LOG.warning("what sessions cost is counted later: %s", error)
            except Exception:  # noqa: BLE001 - the outermost edge of this thread
                _LOG.critical("what sessions cost is not counted: a mistake of ours", exc_info=True)
