"""kill -9, again and again, on one data directory; then the books are compared.

Three parties keep books of their own: the callers (what each was told), the twin that plays the upstream
(what it gave to whom), and the server (its database). After every so many rounds the server is started,
given time to settle, and stopped; then must hold:

- every call whose caller saw it finished (the whole body, or `[DONE]`) is recorded exactly once, with the
  usage and the cost that the caller was told, and the twin's bill agrees with both;
- every record belongs to exactly one call that was made, by the upstream's id, and the twin had completed
  that call: nothing is recorded that was not used, and nothing twice;
- the money agrees to the nanodollar: what the ledger says was used, what was spent of the account's credit and
  of the key's limit, and what the records cost, which is what the twin gave;
- what the dead had leased of budgets comes back within a minute, and after an orderly stop nothing is leased.

The callers' account is prepaid and their key has a limit, so every call is held for.

What may be recorded although the caller did not see the end: a call killed between the append to the
journal and the last byte, or whose last bytes were on their way. Those were used and their upstream was
complete, so they belong in the books. A call whose upstream was not complete when the server died is
never recorded: what it used died with the process, and the caller was told nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import select
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.budgets.service import Budgets
from fairlead.control.generations import queries
from fairlead.control.keys.service import Keys
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import AddCredit, LotKind
from fairlead.core.generation import Generation, Outcome
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.store.records import front, unpack
from fairlead.store.tables.budgets import budget_periods, leases
from fairlead.store.tables.generations import generations
from fairlead.store.tables.keys import api_keys
from fairlead.testing.serving import (
    Program,
    RunningFairlead,
    RunningTwinProcess,
    running_program,
)
from tests.crash.calls import MODEL, PRICES_NANO, Call, call_until_gone
from tests.replay.gateway import configuration

__all__ = ["Report", "kill_rounds"]

PARALLEL = 64
SETTLE_S = 20.0
GIVEN_BACK_S = 60.0
CREDIT = NanoUSD(10_000 * NANO_PER_USD)  # more than anybody can spend here
END_S = 10.0
START_KILLS_SHARE = 0.15  # of the rounds, in which it dies before it serves
EARLY_KILLS_SHARE = 0.2  # ... in which it dies while it settles what the last one left
_ADDRESS = re.compile(r"ready at (http://\S+)")
_TWIN_BILL_MAX = 100_000


@dataclass
class Report:
    """rounds: servers killed. finished: calls whose caller saw the end. unseen: recorded without that."""

    rounds: int = 0
    calls: int = 0
    finished: int = 0
    recorded: int = 0
    unseen: int = 0
    unfinished: int = 0
    killed_in_start: int = 0

    def __str__(self) -> str:
        return (
            f"{self.rounds} rounds ({self.killed_in_start} killed while starting): {self.calls} calls,"
            f" {self.finished} finished, {self.recorded} recorded, of those {self.unseen} whose caller"
            f" did not see the end; {self.unfinished} neither finished nor recorded"
        )


@dataclass
class _Stage:
    data: Path
    log: Path
    config: Path
    workers: int
    twin: RunningTwinProcess
    chance: random.Random
    database_url: str | None
    key: str = ""
    calls: list[Call] = field(default_factory=list)
    report: Report = field(default_factory=Report)

    @contextlib.contextmanager
    def server(self) -> Iterator[Program]:
        arguments = ["serve", "--port", "0", "--data", str(self.data), "--config", str(self.config)]
        arguments += ["--workers", str(self.workers)]
        url = self.database_url
        environment = None if url is None else {"FAIRLEAD_DATABASE__URL": url}
        with running_program(arguments, self.log, environment) as program:
            yield program

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        where = self.database_url or str(self.data / DATABASE_FILE)
        with contextlib.closing(open_database(where)) as database:
            yield database


def kill_rounds(
    directory: Path,
    *,
    rounds: int,
    workers: int,
    seed: int,
    compare_every: int,
    database_url: str | None = None,
) -> Report:
    """Kill the server so many times. Fails where the books differ.

    database_url: of an empty database; None: SQLite in the data directory.
    """
    with running_program(["twin", "--port", "0"], directory / "twin.log") as twin_program:
        twin = RunningTwinProcess(twin_program.wait_for(_ADDRESS))
        config = directory / "fairlead.toml"
        prompt, completion = (price / 1_000 for price in PRICES_NANO)
        config.write_text(
            configuration({"deepinfra": f"{twin.url}/v1"}, ())
            + f'[[models]]\nid = "{MODEL}"\nprovider = "deepinfra"\nprovider_model_id = "echo"\n'
            f"usd_per_million_tokens = {{ prompt = {prompt}, completion = {completion} }}\n"
        )
        stage = _Stage(
            data=directory / "data",
            log=directory / "serve.log",
            config=config,
            workers=workers,
            twin=twin,
            chance=random.Random(seed),
            database_url=database_url,
        )
        with stage.server() as program:
            program.wait_for(_ADDRESS)
            stage.key = _customers_key(stage)
        for number in range(rounds):
            _round(stage, number, seed)
            if (number + 1) % compare_every == 0 or number + 1 == rounds:
                _compare(stage, f"seed {seed}, round {number}")
        return stage.report


def _customers_key(stage: _Stage) -> str:
    """A key with a limit, of an account that has paid."""
    now_ms = time.time_ns() // 1_000_000
    with stage.database() as database:
        accounts = Accounts(database, now_ms=lambda: now_ms, entropy=os.urandom)
        account = accounts.create(email="ada@example.com", billing=Billing.PREPAID).id
        ledger = Ledger(database, now_ms=lambda: now_ms)
        ledger.post(
            AddCredit(account=account, reference="grant:crash", kind=LotKind.GRANT, amount=CREDIT)
        )
        limits = Budgets(database, now_ms=lambda: now_ms)
        keys = Keys(database, now_ms=lambda: now_ms, entropy=os.urandom, limits=limits)
        return keys.create(account, name="crash", limit=CREDIT).secret


def _round(stage: _Stage, number: int, seed: int) -> None:
    chance, report = stage.chance, stage.report
    report.rounds += 1
    with stage.server() as program:
        if chance.random() < START_KILLS_SHARE:
            report.killed_in_start += 1
            time.sleep(chance.uniform(0.0, 1.0))  # the moment of death is the subject here
            _kill(program, chance)
            return
        fairlead = RunningFairlead(program.wait_for(_ADDRESS), stage.key, stage.data)
        is_early = chance.random() < EARLY_KILLS_SHARE
        delay_s = chance.uniform(0.0, 0.03) if is_early else chance.uniform(0.1, 1.2)
        timer = threading.Timer(delay_s, _kill, (program, chance))
        timer.start()
        stage.calls += asyncio.run(
            call_until_gone(fairlead, parallel=PARALLEL, seed=seed + number, prefix=f"r{number}")
        )
        timer.join()


def _kill(program: Program, chance: random.Random) -> None:
    """The server and its workers, in any order, without a pause; returns when all of them are gone."""
    processes = [program.pid, *_children(program.pid)]
    chance.shuffle(processes)
    watched: list[int] = []
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            if process != program.pid:
                watched.append(os.pidfd_open(process))
            os.kill(process, signal.SIGKILL)
    for descriptor in watched:
        ended, _, _ = select.select([descriptor], [], [], END_S)
        os.close(descriptor)
        assert ended
    program.kill()


def _children(process: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
        return [int(word) for word in text.split()]
    return []


def _compare(stage: _Stage, where: str) -> None:
    """See the top of the file."""
    finished = {call.generation: call for call in stage.calls if call.is_finished}
    with stage.server() as program:
        program.wait_for(_ADDRESS)
        _wait_until_recorded(stage, set(finished), where)
        _wait_until_given_back(stage, {program.pid, *_children(program.pid)}, where)
        program.terminate()
        assert program.exit_code() == 0
    records = _records(stage)
    _compare_money(stage, sum(record.cost for record in records), where)
    given = {call["id"]: call for call in stage.twin.every_call()}
    assert len(given) < _TWIN_BILL_MAX
    by_tag = {call.tag: call for call in stage.calls}
    tags_seen: set[str] = set()
    prompt_nano, completion_nano = PRICES_NANO
    for record in records:
        bill = given.get(record.upstream_id or "")
        assert bill is not None, f"{where}: {record.id} was recorded, but no upstream served it"
        assert bill["state"] == "completed", f"{where}: {record.id} was not complete: {bill}"
        assert bill["tag"] not in tags_seen, f"{where}: {bill['tag']} was recorded twice"
        tags_seen.add(bill["tag"])
        call = by_tag[bill["tag"]]
        assert call.generation in (None, record.id)
        assert record.outcome is Outcome.COMPLETED
        assert record.streamed == call.streamed
        tokens = (record.usage.prompt, record.usage.completion)
        assert tokens == (bill["prompt_tokens"], bill["completion_tokens"])
        assert record.cost == tokens[0] * prompt_nano + tokens[1] * completion_nano
        if call.is_finished:
            told = call.usage
            assert tokens == (told["prompt_tokens"], told["completion_tokens"])
            assert record.cost == round(told["cost"] * 1e9)
    recorded = {record.id for record in records}
    assert len(recorded) == len(records)
    assert finished.keys() <= recorded, f"{where}: lost {finished.keys() - recorded}"
    report = stage.report
    report.calls, report.finished, report.recorded = len(by_tag), len(finished), len(records)
    report.unseen = len(recorded - finished.keys())
    report.unfinished = report.calls - report.recorded


def _compare_money(stage: _Stage, cost: int, where: str) -> None:
    with stage.database() as database:
        with database.read() as connection:
            spent = connection.execute(sa.select(budget_periods)).all()
            account = connection.execute(
                sa.select(api_keys.c.account_id).where(api_keys.c.name == "crash")
            ).scalar_one()
            leased = connection.execute(sa.select(leases)).all()
        totals = Ledger(database, now_ms=lambda: 0).book(account).totals
    assert leased == [], f"{where}: something is leased to nobody"
    assert totals.usage == cost, f"{where}: the ledger differs from the records"
    mine = [row for row in spent if row.budget_id.startswith(("key:", f"account:{account}"))]
    assert len(mine) == 2
    for row in mine:
        assert (row.spent_nano, row.leased_nano) == (cost, 0), f"{where}: {row}"


def _wait_until_given_back(stage: _Stage, alive: set[int], where: str) -> None:
    """Nothing is leased to processes that are gone. The last part of a holder's name is its process."""
    give_up_s = time.monotonic() + GIVEN_BACK_S
    with stage.database() as database:
        while True:
            with database.read() as connection:
                holders = connection.execute(sa.select(leases.c.holder).distinct()).scalars().all()
            dead = [name for name in holders if int(name.rpartition("-")[2]) not in alive]
            if not dead:
                return
            assert time.monotonic() < give_up_s, f"{where}: still leased to {dead}"
            time.sleep(0.05)


def _wait_until_recorded(stage: _Stage, wanted: set[str | None], where: str) -> None:
    """The settler's work is seen in the database alone, so this looks again and again."""
    give_up_s = time.monotonic() + SETTLE_S
    while missing := wanted - {record.id for record in _records(stage)}:
        assert time.monotonic() < give_up_s, f"{where}: lost {missing}"
        time.sleep(0.05)


def _records(stage: _Stage) -> list[Generation]:
    with stage.database() as database, database.read() as connection:
        rows = [tuple(row) for row in connection.execute(sa.select(generations))]
    kept = [(bytes(row[-2]), row[-1]) for row in rows]
    assert rows == [tuple(queries.row(front(record), record, entry)) for record, entry in kept]
    return [unpack(record) for record, _ in kept]
