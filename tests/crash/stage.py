"""Where a story of crashes is played: one data directory, one database, a twin, a customer who has paid."""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.budgets.service import Budgets
from fairlead.control.keys.service import Keys
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import AddCredit, LotKind
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.store import migrate
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.testing.serving import (
    Program,
    RunningFairlead,
    RunningTwinProcess,
    running_program,
)
from tests.crash.calls import MODEL, PRICES_NANO, Call
from tests.crash.victims import Victim
from tests.forked import forked_program
from tests.replay.gateway import configuration

__all__ = ["CUSTOMER", "Report", "Stage", "stage"]

CUSTOMER = "crash"
CREDIT = NanoUSD(10_000 * NANO_PER_USD)  # more than anybody can spend here
_ADDRESS = re.compile(r"ready at (http://\S+)")


@dataclass
class Report:
    """rounds: by who died. in_start: of those, before it served. finished: calls whose caller saw the end.
    refused: calls that were told to come back. unseen: recorded although their callers did not see the end.
    resolved_s_max: the longest time from a server's start to the moment when nothing was held for the dead.
    """

    rounds: Counter[Victim] = field(default_factory=Counter)
    in_start: int = 0
    calls: int = 0
    finished: int = 0
    refused: int = 0
    recorded: int = 0
    unseen: int = 0
    spent_nano: int = 0
    resolved_s_max: float = 0.0

    def add(self, other: Report) -> None:
        self.rounds += other.rounds
        self.in_start += other.in_start
        self.calls += other.calls
        self.finished += other.finished
        self.refused += other.refused
        self.recorded += other.recorded
        self.unseen += other.unseen
        self.spent_nano += other.spent_nano
        self.resolved_s_max = max(self.resolved_s_max, other.resolved_s_max)

    def __str__(self) -> str:
        victims = ", ".join(f"{victim} {count}" for victim, count in sorted(self.rounds.items()))
        return (
            f"{self.rounds.total()} rounds ({victims}; {self.in_start} of them while starting):"
            f" {self.calls} calls, {self.finished} finished, {self.refused} told to come back,"
            f" {self.recorded} recorded, {self.unseen} of them not seen to their end;"
            f" {self.spent_nano} nanodollars spent; the dead held nothing after"
            f" {self.resolved_s_max:.1f} s at most"
        )


@dataclass
class Stage:
    """where: the database, as `open_database` takes it. unbroken: prefixes of the tags of calls whose server
    outlived them: what the upstream gave to those is recorded without exception.
    """

    directory: Path
    where: str
    workers: int
    twin: RunningTwinProcess
    chance: random.Random
    key: str
    calls: list[Call] = field(default_factory=list)
    unbroken: set[str] = field(default_factory=set)
    report: Report = field(default_factory=Report)

    @contextlib.contextmanager
    def server(self) -> Iterator[Program]:
        """A server on its way, until the block ends."""
        data, config = self.directory / "data", self.directory / "fairlead.toml"
        arguments = ["serve", "--port", "0", "--data", str(data), "--config", str(config)]
        arguments += ["--workers", str(self.workers)]
        environment = {"FAIRLEAD_DATABASE__URL": self.where} if "://" in self.where else None
        run = forked_program if self.workers == 1 else running_program
        with run(arguments, self.directory / "serve.log", environment) as program:
            yield program

    def served(self, program: Program) -> RunningFairlead:
        """Once it is ready."""
        url = program.wait_for(_ADDRESS)
        return RunningFairlead(url, self.key, self.directory / "data")

    def check_log(self, where: str) -> None:
        """Whatever the last server met, it knew what to say of it."""
        log = (self.directory / "serve.log").read_text()
        for word in ("Traceback", "CRITICAL", "a mistake of ours", "fairlead: unexpected"):
            assert word not in log, f"{where}: {log}"

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        with contextlib.closing(open_database(self.where)) as database:
            yield database


@contextlib.contextmanager
def stage(directory: Path, *, workers: int, seed: int, database_url: str | None) -> Iterator[Stage]:
    """database_url: of an empty database; None: SQLite, where a server has it."""
    (directory / "data").mkdir(mode=0o700)
    where = database_url or str(directory / "data" / DATABASE_FILE)
    with contextlib.closing(open_database(where)) as database:
        migrate.prepare(database)
        key = _customers_key(database)
    with forked_program(["twin", "--port", "0"], directory / "twin.log") as twin_program:
        twin = RunningTwinProcess(twin_program.wait_for(_ADDRESS))
        prompt, completion = (price / 1_000 for price in PRICES_NANO)
        (directory / "fairlead.toml").write_text(
            configuration({"deepinfra": f"{twin.url}/v1"}, ())
            + f'[[models]]\nid = "{MODEL}"\nprovider = "deepinfra"\nprovider_model_id = "echo"\n'
            f"usd_per_million_tokens = {{ prompt = {prompt}, completion = {completion} }}\n"
        )
        yield Stage(
            directory=directory,
            where=where,
            workers=workers,
            twin=twin,
            chance=random.Random(seed),
            key=key,
        )


def _customers_key(database: Database) -> str:
    """A key with a limit, of an account that has paid."""
    now_ms = time.time_ns() // 1_000_000
    accounts = Accounts(database, now_ms=lambda: now_ms, entropy=os.urandom)
    account = accounts.create(email="ada@example.com", billing=Billing.PREPAID).id
    ledger = Ledger(database, now_ms=lambda: now_ms)
    ledger.post(
        AddCredit(account=account, reference="grant:crash", kind=LotKind.GRANT, amount=CREDIT)
    )
    limits = Budgets(database, now_ms=lambda: now_ms)
    keys = Keys(database, now_ms=lambda: now_ms, entropy=os.urandom, limits=limits)
    return keys.create(account, name=CUSTOMER, limit=CREDIT).secret
