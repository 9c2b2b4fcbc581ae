"""How fast finished calls are moved into the database, with money and without; how fast a ledger is checked.

    .venv/bin/python bench/settling.py                     # SQLite and PostgreSQL
    .venv/bin/python bench/settling.py --check 1000000     # and the check, on so many postings

`make bench` runs it as the load `settle`. Calls of 50 accounts with 200 keys wait in a journal, as they do when
a gateway was busy; the settler moves them, in this thread, in transactions of its usual size. *recorded*: the
generations, and how far the journal is read. *charged*: entries in the ledger and budgets as well. *counted*:
statistics as well, so that is all that a gateway's settler does. A commit is on the disk before the next
begins. PostgreSQL works in processes of its own, which share the machine with us.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from money import Customers

from fairlead.control.generations import queries
from fairlead.control.generations.bills import bill, charges
from fairlead.control.generations.jobs import BATCH_RECORDS_MAX, BATCH_RECORDS_MAX_SHARED, Settler
from fairlead.control.ledger.check import check
from fairlead.control.ledger.types import Posted
from fairlead.control.usage.rollup import UsageRollup
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.store.journal import Journal
from fairlead.store.journal_files import START, read_batch
from fairlead.store.migrate import prepare
from fairlead.store.records import front, pack

__all__ = [
    "SETTLE_CALLS",
    "SETTLE_CALLS_QUICK",
    "SETTLE_LOAD",
    "SettlePace",
    "measure_settling",
    "settle_figures",
]

SETTLE_LOAD = "settle"  # what `make bench` calls it
SETTLE_CALLS = 20_000
SETTLE_CALLS_QUICK = 300
POSTINGS_PER_ENTRY = 2


class Scope(StrEnum):
    """What is done for each call."""

    RECORDED = "recorded"
    CHARGED = "charged"
    COUNTED = "counted"


@dataclass(frozen=True, slots=True)
class SettlePace:
    """One row. our_us: processor time of this process for each call."""

    database: str
    scope: str
    calls: int
    calls_per_s: float
    our_us: float


def measure_settling(
    *, calls: int = SETTLE_CALLS, kinds: Sequence[str] = ("sqlite", "postgresql")
) -> list[SettlePace]:
    """Every scope into a database of each kind."""
    return [_pace(kind, scope, calls) for kind in kinds for scope in Scope]


def settle_figures(paces: Sequence[SettlePace]) -> dict[str, float]:
    """Named figures: calls a second, all that a settler does."""
    return {
        f"settle_{pace.database}": pace.calls_per_s for pace in paces if pace.scope == Scope.COUNTED
    }


def check_pace(postings: int) -> tuple[int, float]:
    """How many postings a ledger had, and how many seconds its check took. SQLite; a call to each entry."""
    with _database("sqlite") as database:
        customers = Customers()
        ledger = customers.arrive(database).ledger
        number = 0
        while number * POSTINGS_PER_ENTRY < postings:
            calls = [customers.call(number + index) for index in range(5000)]
            records = list(map(pack, calls))
            wanted = [charge for record in records for charge in charges([bill(record)])]
            with database.begin() as connection:
                posted = ledger.post_all_within(connection, wanted)
                rows = [
                    queries.row(front(record), record, outcome.entry)
                    for record, outcome in zip(records, posted, strict=True)
                    if isinstance(outcome, Posted)
                ]
                assert queries.insert_new(database, connection, rows) == len(calls)
            number += len(calls)
        began_s = time.perf_counter()
        checked = check(database)
        took_s = time.perf_counter() - began_s
        assert checked.findings == ()
        return checked.postings, took_s


def _pace(kind: str, scope: Scope, calls: int) -> SettlePace:
    with _database(kind) as database, tempfile.TemporaryDirectory() as folder:
        customers = Customers()
        usage = UsageRollup(database) if scope is Scope.COUNTED else None
        steps = customers.arrive(database, usage=usage)
        with closing(Journal(Path(folder) / "journal", writer="bench")) as journal:
            for number in range(calls):
                journal.append(customers.call(number))
            if scope is Scope.RECORDED:
                move: Callable[[], int] = lambda: _record(database, journal)  # noqa: E731 - one of two
            else:
                move = Settler(database, journal, steps).settle
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            moved = move()
            took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
        assert moved == calls
        if scope is not Scope.RECORDED:
            assert check(database).findings == (), "what was measured must be right"
    return SettlePace(kind, scope, calls, calls / took_s, cpu_s / calls * 1e6)


def _record(database: Database, journal: Journal) -> int:
    """What a settler did if there were no money."""
    is_alone = database.path is not None
    records_max = BATCH_RECORDS_MAX if is_alone else BATCH_RECORDS_MAX_SHARED
    position, count = START, 0
    while True:
        batch = read_batch(journal.directory, position, records_max=records_max)
        if not batch.records:
            return count
        rows = [
            queries.row(front, record, 1)
            for front, record in zip(batch.fronts, batch.records, strict=True)
        ]
        with database.begin() as connection:
            queries.insert_new(database, connection, rows)
            queries.save_position(connection, journal.name, batch.end)
        position = batch.end
        count += len(rows)


@contextmanager
def _database(kind: str) -> Iterator[Database]:
    """A new one, whose commits survive a power cut."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            with closing(open_database(Path(folder) / DATABASE_FILE)) as database:
                prepare(database)
                yield database
            return
        # The server that the tests start; beside this folder, so not on the path of a program in it.
        sys.path.insert(0, str(Path(__file__).parent.parent))
        from tests.postgres_server import postgres_server

        with (
            postgres_server(is_durable=True) as server,
            closing(open_database(server.url("postgres"))) as database,
        ):
            prepare(database)
            yield database


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=SETTLE_CALLS)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--check", type=int, metavar="POSTINGS")
    chosen = parser.parse_args()
    kinds = chosen.database or ("sqlite", "postgresql")
    for pace in measure_settling(calls=chosen.calls, kinds=kinds):
        print(
            f"{pace.database:12}{pace.scope:12}{pace.calls_per_s:9.0f} calls/s"
            f"{pace.our_us:9.1f} us of our processor time each"
        )
    if chosen.check is not None:
        postings, took_s = check_pace(chosen.check)
        print(f"check: {postings} postings in {took_s:.1f} s")


if __name__ == "__main__":
    main()
