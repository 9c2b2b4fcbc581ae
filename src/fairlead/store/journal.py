"""The usage journal: what every call used, on disk before its last byte reaches the caller.

Theory of operation. Each process appends to a journal of its own, a directory of numbered segments; nobody
else writes there. A record is one frame (`journal_format.py`) written with one `write`, so killing the
process leaves whole records and at most one torn one at the very end, whose caller was never told that it
is written. The settler (`control/generations/jobs.py`) follows the journal and moves the records into the
database together with its position, in one transaction; a crash anywhere repeats some of that work, and a
generation that is there already is not inserted again. Segments that lie wholly before the position are
deleted. The journals of dead processes are found by their free locks and finished by whoever comes first.

Durability, from cheap to dear:

    process     written to the kernel. Survives the death of the process. (`append` returns None.)
    machine     on the disk. One thread syncs for everybody who waits at that moment.
    database    committed by the settler.

When a write fails or falls short (full disk, broken disk), the part of a record that was written is cut off
again before anything else is written, and the call gets Overloaded: nothing is lost silently, and the next
append tries anew. So inside a segment there is never anything but whole records. After a failed sync
nobody knows what is on the disk: everyone who waited is told, and a new segment is begun.

Limits: one record RECORD_BYTES_MAX, one segment SEGMENT_BYTES_MAX and a record, what is not yet in the
database BACKLOG_BYTES_MAX, those who wait for durability WAITERS_MAX. At each, callers get Overloaded.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Awaitable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

from fairlead.core.errors import Overloaded
from fairlead.core.generation import Generation
from fairlead.store.journal_files import START, create_and_lock, drop_segments, put_aside
from fairlead.store.journal_format import (
    ATTEMPT,
    JournalCorrupt,
    Position,
    frame,
    segment_path,
    segments,
)
from fairlead.store.records import RecordImpossible

__all__ = ["JOURNAL_DIRECTORY", "Durability", "Journal", "JournalUnwritable"]

JOURNAL_DIRECTORY: Final = "journal"  # below the data directory
SEGMENT_BYTES_MAX: Final = 16 << 20  # some 50,000 records
BACKLOG_BYTES_MAX: Final = 1 << 30  # about 3 million calls, hours of a database that is away
WAITERS_MAX: Final = 10_000

_LOG: Final = logging.getLogger(__name__)


class Durability(StrEnum):
    """What a record has survived when `append` is done. A setting: see docs/operate."""

    PROCESS = "process"
    MACHINE = "machine"
    DATABASE = "database"


class JournalUnwritable(Exception):
    """The journal cannot be opened: one line for the operator."""


class _Waiter:
    """Someone on an event loop who waits for a record to be durable."""

    __slots__ = ("future", "loop", "position")

    def __init__(self, position: Position) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()
        self.position = position


class Journal:
    """The journal of this process.

    journal = Journal(data / "journal", writer="7f3a...", durability=Durability.PROCESS)
    waiting = journal.append(generation)  # on the event loop; some 3 us
    if waiting is not None:
        await waiting  # raises Overloaded if the record could not be made durable
    ...
    settler.stop(...)  # first: it reads what we wrote
    journal.close()

    writer: names the directory; unique for ever, because the database remembers positions by it.
    `append` belongs to one event loop; everything else may be called from any thread.
    """

    def __init__(
        self,
        root: Path,
        *,
        writer: str,
        durability: Durability = Durability.PROCESS,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        backlog_bytes_max: int = BACKLOG_BYTES_MAX,
    ) -> None:
        """Raises JournalUnwritable."""
        self.root = root
        self.name = writer
        self.directory = root / writer
        self.durability = durability
        self.awaited = threading.Event()  # someone waits for the database; the settler clears it
        self._segment_bytes_max = segment_bytes_max
        self._backlog_bytes_max = backlog_bytes_max
        # Guards everything below. Held for a write, never for a sync or a deletion.
        self._lock = threading.Lock()
        self._sync_wanted = threading.Condition(self._lock)
        self._waiters: deque[_Waiter] = deque()
        self._retired: list[int] = []  # descriptors of finished segments that are not synced yet
        self._is_directory_synced = False
        self._is_torn = False  # a part of a record is still to be cut off
        self._is_failing = False  # the last append failed: log the first and the end, not each
        self._is_closed = False
        self._offset = 0  # where the next record goes
        self._rotate_at = segment_bytes_max
        self._smooth_until = 0  # see _look_ahead
        self._written_bytes = 0  # before the current segment
        self._settled_bytes = 0
        self._bytes_before: dict[int, int] = {}  # segment -> bytes written before it began
        try:
            self._directory_descriptor = create_and_lock(self.directory)
        except OSError as error:
            raise JournalUnwritable(f"{self.directory}: {error.strerror or error}") from error
        try:
            self._segment = max(segments(self.directory), default=0)
            self._begin_segment()
        except OSError as error:
            os.close(self._directory_descriptor)
            raise JournalUnwritable(f"{self.directory}: {error.strerror or error}") from error
        self._syncer: threading.Thread | None = None
        if durability is Durability.MACHINE:
            self._syncer = threading.Thread(target=self._sync, name="journal-sync", daemon=True)
            self._syncer.start()

    @property
    def end(self) -> Position:
        """The place after the last record."""
        with self._lock:
            return Position(self._segment, self._offset)

    @property
    def is_failing(self) -> bool:
        """The last record could not be written."""
        return self._is_failing

    @property
    def backlog_bytes(self) -> int:
        """What is not in the database yet."""
        with self._lock:
            return self._written_bytes + self._offset - self._settled_bytes

    def check(self) -> None:
        """Raises Overloaded while records cannot be written: then no call should begin whose usage would be
        lost. Costs next to nothing while they can."""
        if not self.is_failing:
            return
        with self._lock:
            if not self._is_failing:  # another thread was quicker
                return
            self._make_way()
            try:
                written = os.write(self._descriptor, ATTEMPT)
            except OSError as error:
                raise self._refusal(str(error)) from error
            if written != len(ATTEMPT):
                raise self._refusal(f"only {written} of {len(ATTEMPT)} bytes could be written")
            self._is_torn = True
            try:
                self._cut_off()
            except OSError as error:
                raise self._refusal(str(error)) from error
            self._works_again()

    def append(self, generation: Generation) -> Awaitable[None] | None:
        """Write the record. None: it is as durable as configured; otherwise await that.

        Raises Overloaded if it cannot be written; then it is not in the journal.
        """
        try:
            record = frame(generation)
        except RecordImpossible as error:
            _LOG.error("usage journal: generation %s: %s", generation.id, error)
            raise Overloaded("The usage of this call cannot be written down.") from error
        with self._lock:
            is_smooth = self._offset < self._smooth_until
            if not is_smooth:
                self._make_way()
            try:
                written = os.write(self._descriptor, record)
            except OSError as error:
                raise self._refusal(str(error)) from error
            if written != len(record):
                raise self._refusal(f"only {written} of {len(record)} bytes could be written")
            self._offset += written
            return None if is_smooth else self._follow_up()

    def settled(self, position: Position) -> None:
        """Everything before `position` is committed: answer those who waited, delete what is finished."""
        with self._lock:
            self._settled_bytes = self._bytes_before.get(position.segment, 0) + position.offset
            for segment in [number for number in self._bytes_before if number < position.segment]:
                del self._bytes_before[segment]
            self._look_ahead()
            answered = self._waiters_before(position)
        _answer(answered, None)
        drop_segments(self.directory, before=position.segment)

    def put_aside(self, corrupt: JournalCorrupt) -> Position:
        """A segment of ours is damaged: keep it for the operator and go on in a new one.

        Returns where to read on. Those who wait for records in it are told. Raises OSError.
        """
        damaged = corrupt.position.segment
        with self._lock:
            if self._segment == damaged:
                self._rotate()
            following = Position(damaged + 1, 0)
            lost = self._waiters_before(following)
        put_aside(self.directory, damaged)
        _answer(lost, Overloaded("The usage journal is damaged: this call is not recorded."))
        return following

    def close(self) -> None:
        """Sync what is written and let go of the directory. Those who still wait get Overloaded."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._look_ahead()
            self._sync_wanted.notify_all()
        if self._syncer is not None:
            self._syncer.join()
        with self._lock:
            left, self._waiters = self._waiters, deque()
            try:
                if self._is_torn:
                    self._cut_off()
                if self.durability is not Durability.PROCESS:
                    os.fdatasync(self._descriptor)
            except OSError as error:
                _LOG.error("usage journal %s: closing: %s", self.name, error)
            os.close(self._descriptor)
            os.close(self._directory_descriptor)
        _answer(left, Overloaded("The gateway is stopping."))

    # Below, the lock is held.

    def _make_way(self) -> None:
        """What must happen before the next record, now and then. Raises Overloaded."""
        if self._is_closed:
            raise Overloaded("The gateway is stopping.")
        if self._written_bytes + self._offset - self._settled_bytes >= self._backlog_bytes_max:
            raise self._refusal(f"{self._backlog_bytes_max} bytes wait for the database")
        if self._is_torn:
            try:
                self._cut_off()
            except OSError as error:
                raise self._refusal(str(error)) from error
        if self._offset >= self._rotate_at:
            try:
                self._rotate()
            except OSError as error:
                # Short of descriptors, perhaps. The old segment is as good, only large.
                _LOG.warning("usage journal %s: no new segment yet: %s", self.name, error)
                self._rotate_at = self._offset + self._segment_bytes_max
        if len(self._waiters) >= WAITERS_MAX:
            raise Overloaded("Too many calls wait for their usage to be recorded.")
        self._look_ahead()

    def _follow_up(self) -> Awaitable[None] | None:
        """What must happen after a record, now and then. Returns what `append` does."""
        if self._is_failing:
            self._works_again()
        if self.durability is Durability.PROCESS:
            return None
        waiter = _Waiter(Position(self._segment, self._offset))
        self._waiters.append(waiter)
        if self._syncer is not None:
            self._sync_wanted.notify()
        else:
            self.awaited.set()
        return waiter.future

    def _works_again(self) -> None:
        self._is_failing = False
        self._look_ahead()
        _LOG.warning("usage journal %s: recording again", self.name)

    def _look_ahead(self) -> None:
        """Say how long appending is only a write: `append` has one comparison for everything else."""
        room = self._settled_bytes + self._backlog_bytes_max - self._written_bytes
        is_smooth = self.durability is Durability.PROCESS and not (
            self._is_closed or self._is_torn or self._is_failing
        )
        self._smooth_until = min(self._rotate_at, room) if is_smooth else 0

    def _refusal(self, reason: str) -> Overloaded:
        """The record is not in the journal: take back what is there of it, and say so."""
        self._is_torn = True
        try:
            self._cut_off()
        except OSError as error:
            reason = f"{reason}; then {error}"  # the next append tries again, before it writes
        if not self._is_failing:
            self._is_failing = True
            _LOG.error("usage journal %s: calls are refused: %s", self.name, reason)
        self._look_ahead()
        return Overloaded("Usage cannot be recorded at the moment.")

    def _cut_off(self) -> None:
        os.ftruncate(self._descriptor, self._offset)
        self._is_torn = False

    def _rotate(self) -> None:
        """Go on in a new segment. Raises OSError, and then the old one goes on."""
        if self._is_torn:
            self._cut_off()
        finished = self._descriptor
        finished_bytes = self._offset
        self._begin_segment(after_bytes=finished_bytes)
        if self._syncer is None:
            os.close(finished)
        else:
            self._retired.append(finished)

    def _begin_segment(self, *, after_bytes: int = 0) -> None:
        number = max(self._segment + 1, START.segment)
        descriptor = os.open(
            segment_path(self.directory, number),
            os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL,
            0o600,
        )
        self._descriptor = descriptor
        self._segment = number
        self._offset = 0
        self._rotate_at = self._segment_bytes_max
        self._written_bytes += after_bytes
        self._bytes_before[number] = self._written_bytes
        self._is_directory_synced = False
        self._look_ahead()

    def _waiters_before(self, position: Position) -> list[_Waiter]:
        """Only for durability `database`: those of `machine` belong to the syncer."""
        found: list[_Waiter] = []
        if self.durability is Durability.DATABASE:
            while self._waiters and self._waiters[0].position <= position:
                found.append(self._waiters.popleft())
        return found

    # The syncer's thread.

    def _sync(self) -> None:
        while True:
            with self._lock:
                while not self._waiters and not self._is_closed:
                    self._sync_wanted.wait()
                if not self._waiters:
                    for descriptor in self._retired:
                        os.close(descriptor)
                    return
                waiters, self._waiters = self._waiters, deque()
                retired, self._retired = self._retired, []
                current = self._descriptor
                must_sync_directory = not self._is_directory_synced
                self._is_directory_synced = True
            failure: Overloaded | None = None
            try:
                for descriptor in (*retired, current):
                    os.fdatasync(descriptor)
                if must_sync_directory:
                    os.fsync(self._directory_descriptor)
            except OSError as error:
                _LOG.error("usage journal %s: sync failed: %s", self.name, error)
                failure = Overloaded("Usage cannot be recorded at the moment.")
                self._leave_segment(current)
            for descriptor in retired:
                os.close(descriptor)
            _answer(waiters, failure)

    def _leave_segment(self, descriptor: int) -> None:
        """After a failed sync lost pages may count as clean: a later sync of that file proves nothing."""
        with self._lock:
            self._is_directory_synced = False
            try:
                if self._descriptor == descriptor:
                    self._rotate()
            except OSError as error:
                _LOG.warning("usage journal %s: no new segment yet: %s", self.name, error)


def _answer(waiters: Iterable[_Waiter], failure: Overloaded | None) -> None:
    """Wake them on their loops; a loop that is gone has nobody left to tell."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for waiter in waiters:
        by_loop.setdefault(waiter.loop, []).append(waiter.future)
    for loop, futures in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, futures, failure)
        except RuntimeError:
            _LOG.debug("usage journal: %s callers are gone", len(futures))


def _resolve(futures: list[asyncio.Future[None]], failure: Overloaded | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(Overloaded(failure.message))
