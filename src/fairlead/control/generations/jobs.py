"""The settler: moves the usage journals into the database, and charges each generation once.

It follows the journal of its own process, and finishes the journals of processes that have died. What belongs
to a batch is one transaction: the generations, an entry in the ledger for each account, the budgets that count
them, statistics, and the position after them. So a crash anywhere leaves all of it or nothing.

A generation is charged when its row is new, and at no other time. Reading a journal again does no harm,
whatever the reason: a position that was not saved, a commit that nobody knows the end of, a journal that
somebody has copied back. When a batch meets a row that is there, its transaction is undone and made again
with the new ones alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from fairlead.control.generations import queries
from fairlead.control.generations.bills import Bill, bill, charged_to, charges
from fairlead.control.generations.steps import Steps
from fairlead.control.ledger.service import Outcome
from fairlead.control.ledger.types import Posted
from fairlead.core.ids import AccountId
from fairlead.store.database import Database, DatabaseUnreadable, objection
from fairlead.store.journal import Journal
from fairlead.store.journal_files import (
    START,
    Batch,
    adopted,
    drop_segments,
    journals,
    put_aside,
    put_aside_record,
    read_batch,
)
from fairlead.store.journal_format import JournalCorrupt, Position
from fairlead.store.records import Front

__all__ = ["Settler"]

# Bigger transactions cost less for each call, as many of them count in the same sums; but who writes to the
# same rows waits for them. That is everybody on SQLite, and other settlers on PostgreSQL.
BATCH_RECORDS_MAX: Final = 1000  # about 0.15 s of one
BATCH_RECORDS_MAX_SHARED: Final = 4000  # about 0.6 s
TICK_S: Final = 0.5  # between two looks, so that a busy gateway gets batches and not single rows
ADOPT_EVERY_S: Final = 10.0
RETRY_AFTER_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0)  # while the database is away; the last one repeats

# What the database or its driver says about a value that it can never hold, and what we say about a charge that
# can never be (`_Uncharged`) or a record that nobody can read.
_UNSTORABLE: Final = (OverflowError, ValueError, sa.exc.IntegrityError, sa.exc.DataError)

_LOG: Final = logging.getLogger(__name__)


class _SomeAreThere(Exception):
    """Not all of these generations are new; nothing has happened."""


class _Uncharged(ValueError):
    """The ledger refuses to charge this; nothing has happened."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One generation that is to be recorded. record: as the journal has it."""

    front: Front
    bill: Bill
    record: bytes


class Settler:
    """Moves journals into the database, in a thread of its own.

    settler = Settler(database, journal, Steps(ledger, budgets, usage))
    settler.start()
    ...
    settler.stop(drain_timeout_s=10.0)  # blocks: from a thread, or after the event loop
    journal.close()

    journal: of this process; None: only finish the journals of dead processes below `root`.
    batch_records_max: in one transaction; None: what suits the database.
    tick_s: between two looks at the journals. Who waits for the database does not wait for the tick.
    """

    def __init__(
        self,
        database: Database,
        journal: Journal | None,
        steps: Steps,
        *,
        root: Path | None = None,
        batch_records_max: int | None = None,
        tick_s: float = TICK_S,
        adopt_every_s: float = ADOPT_EVERY_S,
    ) -> None:
        chosen = journal.root if journal is not None else root
        assert chosen is not None, "either a journal or a root"
        self._database = database
        self._journal = journal
        self._steps = steps
        self._root = chosen
        usual = BATCH_RECORDS_MAX if database.path is not None else BATCH_RECORDS_MAX_SHARED
        self._batch_records_max = batch_records_max or usual
        self._tick_s = tick_s
        self._adopt_every_s = adopt_every_s
        self._position: Position | None = None  # of our own journal; None: not asked yet
        self._stopping = threading.Event()
        self._wake = journal.awaited if journal is not None else threading.Event()
        self._deadline_s = 0.0
        self._failures_in_a_row = 0
        self._thread: threading.Thread | None = None

    @property
    def is_failing(self) -> bool:
        """The database did not take the last batch; records pile up in the journal."""
        return self._failures_in_a_row > 0

    def start(self) -> None:
        assert self._thread is None, "a settler starts once"
        self._thread = threading.Thread(target=self._follow, name="settler", daemon=True)
        self._thread.start()

    def stop(self, *, drain_timeout_s: float) -> bool:
        """Settle what is in our journal, for at most that long, and end. True: nothing is left.

        What is left is not lost: the next process that starts finds it.
        """
        self._deadline_s = time.monotonic() + drain_timeout_s
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        return self._journal is None or self._position == self._journal.end

    def settle(self) -> int:
        """Move everything that is in our journal now. Returns the number of records read.

        Raises DatabaseUnreadable; OSError if the journal cannot be read. Not while the thread runs.
        """
        journal = self._journal
        if journal is None:
            return 0
        count = 0
        # Not "until there is no more": under load there always is, in ever smaller pieces.
        target = journal.end
        if self._position is None:
            self._position = self._saved_position(journal.name)
        while self._position < target and not self._is_out_of_time():
            try:
                batch = read_batch(
                    journal.directory, self._position, records_max=self._batch_records_max
                )
            except JournalCorrupt as corrupt:
                _report(journal.name, corrupt)
                self._commit(journal.name, journal.put_aside(corrupt))
                self._position = Position(corrupt.position.segment + 1, 0)
                continue
            if batch.end == self._position:
                break
            self._commit_batch(journal.name, batch)
            self._position = batch.end
            journal.settled(batch.end)
            count += len(batch.records)
        return count

    def adopt(self) -> int:
        """Finish the journals of dead processes. Returns the number of records read.

        Raises DatabaseUnreadable; OSError if a journal cannot be read or removed.
        """
        count = 0
        for directory in journals(self._root):
            if self._journal is not None and directory == self._journal.directory:
                continue
            with adopted(directory) as is_ours:
                if is_ours:
                    count += self._finish(directory)
        return count

    def _finish(self, directory: Path) -> int:
        position = self._saved_position(directory.name)
        count = 0
        while True:
            try:
                batch = read_batch(directory, position, records_max=self._batch_records_max)
            except JournalCorrupt as corrupt:
                _report(directory.name, corrupt)
                put_aside(directory, corrupt.position.segment)
                position = Position(corrupt.position.segment + 1, 0)
                self._commit(directory.name, position)
                continue
            if batch.records:
                self._commit_batch(directory.name, batch)
                count += len(batch.records)
            elif batch.end == position:
                break
            position = batch.end
        if batch.is_torn:
            _LOG.warning(
                "usage journal %s ends inside a record: its process died while it wrote it,"
                " before it answered that call",
                directory.name,
            )
        if count:
            _LOG.info(
                "usage journal %s of a process that is gone: %s records", directory.name, count
            )
        # In this order a crash in between neither forgets a position that still matters nor leaves one.
        drop_segments(directory, before=position.segment + 1)
        # What the process had leased may be lent again at the moment when none of its usage is outstanding.
        self._database.retrying(lambda connection: self._forget(connection, directory.name))
        directory.rmdir()
        return count

    def _saved_position(self, name: str) -> Position:
        with self._database.read() as connection:
            return queries.position(connection, name) or START

    def _commit(self, name: str, position: Position) -> None:
        with self._database.begin() as connection:
            queries.save_position(connection, name, position)

    def _forget(self, connection: sa.Connection, name: str) -> None:
        self._steps.budgets.give_back_all(connection, name)
        queries.forget_position(connection, name)

    def _commit_batch(self, name: str, batch: Batch) -> None:
        try:
            items = [
                _Item(front, bill(record), record)
                for front, record in zip(batch.fronts, batch.records, strict=True)
            ]
            self._settle(name, items, batch.end)
        except _UNSTORABLE:
            # One impossible value, a count beyond 64 bits perhaps, must not hold up everybody's bill.
            for front, record in zip(batch.fronts, batch.records, strict=True):
                self._commit_alone(name, front, record)
            self._commit(name, batch.end)

    def _commit_alone(self, name: str, front: Front, record: bytes) -> None:
        try:
            self._settle(name, [_Item(front, bill(record), record)], None)
        except _UNSTORABLE as error:
            kept = put_aside_record(self._root, record)
            _LOG.critical(
                "generation %s cannot be stored and is NOT recorded: %s. It is kept in %s.",
                front.id,
                objection(error) if isinstance(error, sa.exc.DBAPIError) else error,
                kept,
            )

    def _settle(self, name: str, items: Sequence[_Item], end: Position | None) -> None:
        """All of it in one transaction. end: the position to save with it, if any."""

        def settle_all(connection: sa.Connection) -> None:
            self._settle_within(connection, name, items, end)

        def settle_new(connection: sa.Connection) -> None:
            # Whoever else settles them is done before we look, or waits until we are.
            self._steps.ledger.lock_within(connection)
            there = queries.those_there(connection, [item.front.id for item in items])
            new = {item.front.id: item for item in items if item.front.id not in there}
            self._settle_within(connection, name, list(new.values()), end)

        try:
            self._database.retrying(settle_all)
        except (_SomeAreThere, _Uncharged):  # a charge of calls that have one is refused, too
            self._database.retrying(settle_new)

    def _settle_within(
        self,
        connection: sa.Connection,
        name: str,
        items: Sequence[_Item],
        end: Position | None,
    ) -> None:
        """Raises _SomeAreThere, _Uncharged."""
        if items:
            bills = [item.bill for item in items]
            steps = self._steps
            wanted = charges(bills)
            pending = steps.ledger.decide_within(connection, wanted)
            entries = _entries([charge.account for charge in wanted], pending.outcomes)
            rows = [
                queries.row(item.front, item.record, entries[item.front.account]) for item in items
            ]
            if queries.insert_new(self._database, connection, rows) < len(rows):
                raise _SomeAreThere
            if steps.usage is not None:
                steps.usage.add_within(connection, [item.record for item in items])
            # Last, and quick: calls that ask for room wait for those who have locked a budget. The ledger goes
            # first: accounts' budgets are the first of all in the order in which everybody locks them.
            pending.write()
            steps.budgets.settle_within(connection, name, charged_to(bills))
        if end is not None:
            queries.save_position(connection, name, end)

    # The thread.

    def _follow(self) -> None:
        adopt_at_s = 0.0
        while True:
            self._wake.clear()  # before reading: who waits from here on wakes us again
            is_last = self._stopping.is_set()
            try:
                self.settle()
                if time.monotonic() >= adopt_at_s and not is_last:
                    self.adopt()
                    adopt_at_s = time.monotonic() + self._adopt_every_s
            except (DatabaseUnreadable, OSError) as error:
                if not self._failures_in_a_row:
                    _LOG.error("usage stays in the journal for now: %s", error)
                self._failures_in_a_row += 1
            except Exception:  # noqa: BLE001 - the outermost edge of this thread; it shows as failing
                _LOG.critical("usage stays in the journal: a mistake of ours", exc_info=True)
                self._failures_in_a_row += 1
            else:
                if self._failures_in_a_row:
                    _LOG.warning("usage is being recorded in the database again")
                    self._failures_in_a_row = 0
            if is_last and (not self._failures_in_a_row or self._is_out_of_time()):
                return
            self._pause()

    def _pause(self) -> None:
        failures = self._failures_in_a_row
        if failures and self._stopping.is_set():
            time.sleep(RETRY_AFTER_S[0])
        elif failures:
            self._stopping.wait(RETRY_AFTER_S[min(failures, len(RETRY_AFTER_S)) - 1])
        else:
            self._wake.wait(self._tick_s)

    def _is_out_of_time(self) -> bool:
        return self._stopping.is_set() and time.monotonic() >= self._deadline_s


def _entries(accounts: Iterable[AccountId], outcomes: Iterable[Outcome]) -> dict[AccountId, int]:
    """Which entry charges which account. Raises _Uncharged."""
    entries: dict[AccountId, int] = {}
    for account, outcome in zip(accounts, outcomes, strict=True):
        if not isinstance(outcome, Posted):
            raise _Uncharged(f"the ledger does not charge {account}: {outcome}")
        entries[account] = outcome.entry
    return entries


def _report(name: str, corrupt: JournalCorrupt) -> None:
    _LOG.critical(
        "usage journal %s is damaged: %s. The segment is put aside; its records from there on are NOT"
        " recorded. Keep the file: whole records can still be taken from it.",
        name,
        corrupt,
    )
