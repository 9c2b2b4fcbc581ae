"""The disk is full, or the database's file locked, while customers call.

No call that cannot be recorded is charged, and soon none begins; what cannot be settled waits. When there is
room again everything goes on by itself.

A disk is filled here for one process alone: the kernel lets it write no file beyond a size, which can be set
while it runs, and answers as for a full disk, with a short write and then an error.
"""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fairlead.store.database import DATABASE_FILE
from fairlead.testing.serving import Program
from tests.faults.away import SPENDING_UNKNOWN, check, until
from tests.faults.bank import Bank, Customer, bank, usd
from tests.faults.crowd import Crowd, figures, get
from tests.postgres_server import PostgresDatabases

UNRECORDABLE = "Usage cannot be recorded at the moment."
PARALLEL = 2
WARM_CALLS = 15  # of each line: the journal is longer then than the log will be
CALLS_REFUSED = 5  # of each line, to see that none of them gets through


@contextmanager
def files_no_longer_than(size_bytes: int, process: int) -> Iterator[None]:
    soft, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def full(bank: Bank, program: Program) -> Iterator[None]:
    """Room for the journal, but not for what the database would write."""
    with files_no_longer_than(journal_bytes(bank) + 300_000, program.pid):
        yield


@contextmanager
def locked(bank: Bank, _: Program) -> Iterator[None]:
    """By another program, that writes and does not end."""
    with closing(sqlite3.connect(bank.data / DATABASE_FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def journal_bytes(bank: Bank) -> int:
    """Of the segment that is being written."""
    return max(bank.data.glob("journal/*/*.log")).stat().st_size


@pytest.fixture(params=["sqlite", "postgresql"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    if request.param == "sqlite":
        with bank(tmp_path) as one:
            yield one
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    with databases.empty() as address, bank(tmp_path, address) as one:
        yield one


def test_what_cannot_be_recorded_is_not_charged_and_then_no_call_begins(made: Bank) -> None:
    customers = [made.customer("free"), made.customer("prepaid", credit=usd(1))]
    with made.server() as (url, program):
        crowd = Crowd(url)
        asyncio.run(fill_journal(made, crowd, customers, program))
    given = [call for call in made.twin.every_call() if call["state"] == "completed"]
    spent = made.compare(crowd.whole(), unpaid=len(given) - len(crowd.whole()))
    assert min(spent.values()) > 0


async def fill_journal(
    made: Bank, crowd: Crowd, customers: list[Customer], program: Program
) -> None:
    async with crowd.calling(customers, parallel=PARALLEL) as load:
        await load.until(lambda: load.answered_min() >= WARM_CALLS)
    mark = crowd.mark()
    with files_no_longer_than(journal_bytes(made) + 100, program.pid):
        async with crowd.calling(customers, parallel=PARALLEL) as load:
            await load.until(lambda: load.answered_min() >= CALLS_REFUSED)
        now = await figures(crowd.url)
        assert now["fairlead_journal_failing"] == 1
        assert now["fairlead_budget_held_usd"] == 0, "nothing stays held for what was not charged"
        assert (await get(crowd.url, "/readyz")).status == 503
        asked = len(made.twin.every_call())
        for customer in customers:
            for streamed in (True, False):
                answer = await crowd.ask(customer, streamed=streamed)
                assert answer.status == 503, "refused before anybody is asked"
                check(answer, UNRECORDABLE)
        assert len(made.twin.every_call()) == asked
    refused = [answer for one in customers for answer in crowd.since(mark, one)]
    for answer in refused:
        check(answer, UNRECORDABLE)
    assert not any(answer.is_whole for answer in refused), "the very first record did not fit"
    for customer in customers:
        assert (await crowd.ask(customer)).is_whole, "that there is room is seen at once"
    assert (await figures(crowd.url))["fairlead_journal_failing"] == 0
    await until(lambda: get(crowd.url, "/readyz"), lambda answer: answer.status == 200)
    await asyncio.to_thread(made.wait_until_settled, crowd.whole())
    log = (made.directory / "serve.log").read_text()
    assert log.count("calls are refused") == 1
    assert log.count("recording again") == 1


@pytest.mark.parametrize("fault", [full, locked])
def test_while_sqlite_takes_nothing_calls_go_on_and_afterwards_all_is_settled(
    fault: Callable[[Bank, Program], Iterator[None]], tmp_path: Path
) -> None:
    with bank(tmp_path) as made:
        free = made.customer("free")
        prepaid = made.customer("prepaid", credit=usd(0.1))
        with made.server() as (url, program):
            crowd = Crowd(url)
            asyncio.run(settle_nothing(made, crowd, free, prepaid, lambda: fault(made, program)))
        made.compare(crowd.whole())


async def settle_nothing(
    made: Bank, crowd: Crowd, free: Customer, prepaid: Customer, fault: Callable[[], Iterator[None]]
) -> None:
    nobody = Customer("nobody", free.account, free.key_id, key="sk-or-v1-" + "0" * 64)
    async with crowd.calling([free, prepaid], parallel=PARALLEL) as load:
        await load.until(lambda: load.answered_min() >= WARM_CALLS)
    mark = crowd.mark()
    with fault():
        async with crowd.calling([free, prepaid, nobody], parallel=PARALLEL, pause_s=0.05) as load:
            await load.until(lambda: bool(crowd.statuses(prepaid, since=mark)[503]))
            await until(lambda: get(crowd.url, "/readyz"), lambda answer: answer.status == 503)
        now = await figures(crowd.url)
        assert now["fairlead_settler_failing"] == 1
        assert now["fairlead_journal_failing"] == 0
        assert now["fairlead_journal_backlog_bytes"] > 0
    for answer in crowd.since(mark, prepaid):
        check(answer, SPENDING_UNKNOWN)
    assert set(crowd.statuses(free, since=mark)) == {200}
    assert set(crowd.statuses(nobody, since=mark)) == {401}, "keys can be read: this one is wrong"
    await until(lambda: crowd.ask(prepaid), lambda answer: answer.is_whole)
    await until(lambda: get(crowd.url, "/readyz"), lambda answer: answer.status == 200)
    await asyncio.to_thread(made.wait_until_settled, crowd.whole())
    log = (made.directory / "serve.log").read_text()
    assert log.count("usage stays in the journal for now") >= 1
    assert "usage is being recorded in the database again" in log
