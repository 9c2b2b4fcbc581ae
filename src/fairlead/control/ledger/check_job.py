"""The check of the ledger as work of a server: one at a time, however many processes there are.

How it stands is kept in the database, so that every process can say it, and the last result outlives a
restart. Who runs it says so every few seconds; a check of which nothing was heard for longer was lost with its
process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import msgspec
import sqlalchemy as sa

from fairlead.control.ledger import check_queries
from fairlead.control.ledger.check import check
from fairlead.store.database import Database

__all__ = ["CheckStanding", "LedgerCheckJob"]

SAID_EVERY_MS: Final = 1000
LOST_AFTER_MS: Final = 60_000  # a page of entries takes a fraction of a second
_LOCK: Final = "ledger_check"
FINDINGS_KEPT: Final = 100
FINDING_CHARACTERS_MAX: Final = 500


class CheckStanding(msgspec.Struct, frozen=True, kw_only=True):
    """done, total: entries. ended_ms: None: it goes on, or was lost. said_ms: when that was last said.

    problem: why it came to no end. findings: what is wrong, as far as `FINDINGS_KEPT`. anchor: the last entry.
    """

    started_ms: int
    said_ms: int
    ended_ms: int | None = None
    done: int = 0
    total: int = 0
    problem: str = ""
    findings: tuple[str, ...] = ()
    findings_count: int = 0
    postings: int = 0
    generations: int = 0
    anchor: str = ""

    def is_running(self, now_ms: int) -> bool:
        return self.ended_ms is None and now_ms - self.said_ms < LOST_AFTER_MS


class _Stopped(Exception):
    """The process ends."""


class LedgerCheckJob:
    """Methods block.

    job = LedgerCheckJob(database, now_ms=clock.now_ms, start=wake)
    job.begin()     # from a page: calls `start`, so that whoever owns the work calls `run`
    job.run()       # in a thread, until done
    job.stop()      # from anywhere: `run` returns at its next page of entries
    """

    def __init__(
        self, database: Database, *, now_ms: Callable[[], int], start: Callable[[], None]
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._start = start
        self._stopping = threading.Event()

    def standing(self) -> CheckStanding | None:
        with self._database.read() as connection:
            return _read(connection)

    def begin(self) -> bool:
        now_ms = self._now_ms()
        with self._database.begin() as connection:
            # Two at once: one waits for the other here, and finds it running.
            self._database.lock(connection, _LOCK)
            found = _read(connection)
            if found is not None and found.is_running(now_ms):
                return False
            self._write(connection, CheckStanding(started_ms=now_ms, said_ms=now_ms))
        self._start()
        return True

    def run(self) -> None:
        started = self.standing()
        if started is None or started.ended_ms is not None:
            return
        said_ms = 0

        def progress(done: int, total: int) -> None:
            nonlocal said_ms
            if self._stopping.is_set():
                raise _Stopped
            now_ms = self._now_ms()
            if now_ms - said_ms >= SAID_EVERY_MS:
                said_ms = now_ms
                self._say(msgspec.structs.replace(started, said_ms=now_ms, done=done, total=total))

        try:
            checked = check(self._database, progress=progress)
        except _Stopped:
            self._end(started, problem="The server was stopped.")
            return
        except Exception:
            self._end(started, problem="It broke off: the server's log says why.")
            raise
        self._end(
            started,
            done=checked.entries,
            total=checked.entries,
            findings=tuple(
                str(one)[:FINDING_CHARACTERS_MAX] for one in checked.findings[:FINDINGS_KEPT]
            ),
            findings_count=len(checked.findings),
            postings=checked.postings,
            generations=checked.generations,
            anchor=f"{checked.head.number}:{checked.head.digest}",
        )

    def stop(self) -> None:
        self._stopping.set()

    def _end(self, started: CheckStanding, **changed: object) -> None:
        now_ms = self._now_ms()
        self._say(msgspec.structs.replace(started, said_ms=now_ms, ended_ms=now_ms, **changed))

    def _say(self, standing: CheckStanding) -> None:
        with self._database.begin() as connection:
            self._write(connection, standing)

    def _write(self, connection: sa.Connection, standing: CheckStanding) -> None:
        text = msgspec.json.encode(standing).decode()
        check_queries.save_standing(self._database, connection, text)


def _read(connection: sa.Connection) -> CheckStanding | None:
    text = check_queries.standing(connection)
    return msgspec.json.decode(text, type=CheckStanding) if text else None
