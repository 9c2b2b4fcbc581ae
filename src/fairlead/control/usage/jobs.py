"""The usage keeper: adds up what was settled before there were sums, and throws away old minutes and hours."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa

from fairlead.control.usage import retention
from fairlead.control.usage.calendar import DAY_MS
from fairlead.control.usage.rollup import UsageRollup
from fairlead.control.usage.samples import sample
from fairlead.store.database import Database, DatabaseUnreadable
from fairlead.store.records import RecordUnreadable
from fairlead.store.tables.usage import (
    endpoint_hours,
    provider_hours,
    usage_hours,
    usage_minutes,
)

__all__ = ["UsageKeeper"]

BACKLOG_AT_ONCE: Final = 500  # generations to a transaction; some 50 ms of one
ROWS_AT_ONCE: Final = 2000  # that are deleted in one
PAUSE_S: Final = 0.05  # between two of them, so that others get their turn
LOOK_EVERY_S: Final = 600.0
BACKLOG: Final = "usage backlog"  # only one of all processes takes from it at a time

_LOG: Final = logging.getLogger(__name__)


class UsageKeeper:
    """Keeps the sums whole and small, in a thread of its own. Any number of processes may do it.

    keeper = UsageKeeper(database, now_ms=clock.now_ms, minutes_days=7, hours_days=95)
    keeper.start()
    ...
    keeper.stop()
    """

    def __init__(
        self,
        database: Database,
        *,
        now_ms: Callable[[], int],
        minutes_days: int,
        hours_days: int,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._kept_days = {usage_minutes: minutes_days, usage_hours: hours_days}
        self._rollup = UsageRollup(database)
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        assert self._thread is None, "a keeper starts once"
        self._thread = threading.Thread(target=self._follow, name="usage", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Blocks until the transaction under way has ended."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def catch_up(self) -> int:
        """Add up all that waits. Returns how many generations. Raises DatabaseUnreadable."""
        count = 0
        while taken := self._database.retrying(self._take):
            count += taken
            if self._stopping.wait(self._pause_s):
                break
        return count

    def forget(self) -> int:
        """Throw away what is older than it is kept. Returns how many rows. Raises DatabaseUnreadable."""
        count = 0
        now_ms = self._now_ms()
        for table, days in self._kept_days.items():
            before_ms = now_ms - now_ms % DAY_MS - days * DAY_MS
            account: str | None = None
            while (account := self._next_account(table, account)) is not None:
                count += self._forget(table, account, before_ms)
                if self._stopping.is_set():
                    return count
        before_ms = now_ms - now_ms % DAY_MS - self._kept_days[usage_hours] * DAY_MS
        with self._database.begin() as connection:
            for table in (endpoint_hours, provider_hours):
                retention.forget_endpoints_before(connection, table, before_ms)
        return count

    def _take(self, connection: sa.Connection) -> int:
        self._database.lock(connection, BACKLOG)
        waiting = retention.backlog(connection, limit=BACKLOG_AT_ONCE)
        records = [bytes(record) for _, record in waiting if record is not None]
        self._rollup.add_within(connection, list(filter(_is_readable, records)))
        retention.take_from_backlog(connection, [generation for generation, _ in waiting])
        return len(waiting)

    def _next_account(self, table: sa.Table, after: str | None) -> str | None:
        with self._database.read() as connection:
            return retention.next_account(connection, table, after=after)

    def _forget(self, table: sa.Table, account: str, before_ms: int) -> int:
        count = 0
        while True:
            with self._database.begin() as connection:
                deleted = retention.forget_account_before(
                    connection, table, account, before_ms, rows_max=ROWS_AT_ONCE
                )
            count += deleted
            if not deleted or self._stopping.wait(self._pause_s):
                return count

    def _follow(self) -> None:
        while True:
            try:
                added = self.catch_up()
                if added:
                    _LOG.info("usage from before there were sums is added up: %s calls", added)
                self.forget()
            except DatabaseUnreadable as error:
                _LOG.warning("usage is tidied up later: %s", error)
            except Exception:  # noqa: BLE001 - the outermost edge of this thread
                _LOG.critical("usage is not tidied up: a mistake of ours", exc_info=True)
            if self._stopping.wait(LOOK_EVERY_S):
                return


def _is_readable(record: bytes) -> bool:
    """One that somebody else has written must not hold up the others."""
    try:
        sample(record)
    except RecordUnreadable as error:
        _LOG.error("a generation that cannot be read is in no sum: %s", error)
        return False
    return True
