"""A server with customers who pay, its database, and the comparison of three books at the end.

The twin keeps a bill of what it gave to whom; the callers know what each was answered; the server has its
ledger, its generations, and what was spent of each budget. `Bank.compare` holds them against each other: to the
nanodollar, and nothing twice.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.budgets.service import Budgets
from fairlead.control.keys.service import Keys
from fairlead.control.keys.types import LimitReset
from fairlead.control.ledger.check import check
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import AddCredit, LotKind, Posted
from fairlead.core.budgets.types import BudgetRef, account_budget, key_budget, reference, split
from fairlead.core.generation import Generation, Outcome
from fairlead.core.ids import AccountId, BudgetId, KeyId
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.store import migrate
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.store.records import unpack
from fairlead.store.tables.budgets import budget_periods, budgets, leases
from fairlead.store.tables.generations import generations
from fairlead.testing.serving import Program, RunningTwinProcess, running_program
from tests.forked import forked_program
from tests.replay.gateway import configuration

__all__ = ["MODEL", "PRICES_NANO", "Bank", "Customer", "bank", "usd"]

MODEL = "bank/model"
PRICES_NANO = (2_000, 8_000)  # per prompt token, per completion token
SETTLE_S = 30.0
LOOK_S = 0.02
_REPOSITORY = Path(__file__).parent.parent.parent
_ADDRESS = re.compile(r"ready at (http://\S+)")
_TWIN_BILL_MAX = 100_000


def usd(amount: float) -> NanoUSD:
    return NanoUSD(round(amount * NANO_PER_USD))


@dataclass(frozen=True)
class Customer:
    """credit None: postpaid, nothing limits the account. limit: of the key."""

    name: str
    account: AccountId
    key_id: KeyId
    key: str = field(repr=False)
    credit: NanoUSD | None = None
    limit: NanoUSD | None = None

    @property
    def budgets(self) -> dict[BudgetId, NanoUSD]:
        """What limits it."""
        found = {account_budget(self.account): self.credit, key_budget(self.key_id): self.limit}
        return {budget: limit for budget, limit in found.items() if limit is not None}


@dataclass
class Bank:
    """address: of the database, as `open_database` takes it. served_from: the same for servers."""

    directory: Path
    address: str
    served_from: str
    twin: RunningTwinProcess
    customers: list[Customer] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @contextmanager
    def database(self) -> Iterator[Database]:
        with closing(open_database(self.address)) as database:
            yield database

    def customer(
        self,
        name: str,
        *,
        credit: NanoUSD | None = None,
        limit: NanoUSD | None = None,
        limit_reset: LimitReset | None = None,
        expires_ms: int | None = None,
    ) -> Customer:
        """A new one, with an account of its own. expires_ms: when its key does."""
        with self.database() as database:
            accounts = Accounts(database, now_ms=_now_ms, entropy=os.urandom)
            billing = Billing.POSTPAID if credit is None else Billing.PREPAID
            account = accounts.create(email=f"{name}@example.com", billing=billing).id
            if credit is not None:
                grant = AddCredit(
                    account=account, reference=f"test:{name}", kind=LotKind.GRANT, amount=credit
                )
                assert isinstance(Ledger(database, now_ms=_now_ms).post(grant), Posted)
            new = self._keys(database).create(
                account, name=name, limit=limit, limit_reset=limit_reset, expires_ms=expires_ms
            )
        customer = Customer(name, account, new.key.id, new.secret, credit, limit)
        self.customers.append(customer)
        return customer

    def revoke(self, customer: Customer) -> None:
        with self.database() as database:
            self._keys(database).revoke(customer.account, customer.key_id)

    @contextmanager
    def server(self, *, clock: Path | None = None) -> Iterator[tuple[str, Program]]:
        """A server until the block ends, and its URL. clock: a file that sets it, see `jumping`."""
        config = self.directory / "fairlead.toml"
        prompt, completion = (price / 1_000 for price in PRICES_NANO)
        config.write_text(
            configuration({"deepinfra": f"{self.twin.url}/v1"}, ())
            + f'[[models]]\nid = "{MODEL}"\nprovider = "deepinfra"\nprovider_model_id = "echo"\n'
            f"usd_per_million_tokens = {{ prompt = {prompt}, completion = {completion} }}\n"
        )
        arguments = ["serve", "--port", "0", "--data", str(self.data), "--config", str(config)]
        has_url = "://" in self.served_from
        environment = {"FAIRLEAD_DATABASE__URL": self.served_from} if has_url else {}
        log = self.directory / "serve.log"
        if clock is None:
            running = forked_program(arguments, log, environment)
        else:
            arguments = [str(clock), *arguments]
            environment["PYTHONPATH"] = str(_REPOSITORY)
            running = running_program(arguments, log, environment, module="tests.faults.jumping")
        with running as program:
            yield program.wait_for(_ADDRESS), program

    def generations(self) -> list[Generation]:
        with self.database() as database, database.read() as connection:
            return [
                unpack(record) for record in connection.scalars(sa.select(generations.c.record))
            ]

    def wait_until_settled(self, wanted: set[str]) -> None:
        """What the settler does is seen in the database alone, so this looks again and again."""
        give_up_s = time.monotonic() + SETTLE_S
        while missing := wanted - {one.id for one in self.generations()}:
            assert time.monotonic() < give_up_s, f"not settled: {len(missing)} {missing}"
            time.sleep(LOOK_S)

    def compare(self, whole: set[str], *, unpaid: int = 0) -> Mapping[str, int]:
        """Fails where the books differ. To be called when the server has ended.

        whole: the generations that callers saw to their ends. unpaid: so many calls were answered by the
        upstream and charged to nobody. Returns what was spent, by customer's name, in nanodollars.
        """
        given = {call["id"]: call for call in self.twin.every_call()}
        assert len(given) < _TWIN_BILL_MAX
        records = self.generations()
        seen: set[str] = set()
        prompt_nano, completion_nano = PRICES_NANO
        by_account: Counter[AccountId] = Counter()
        by_ref: Counter[BudgetRef] = Counter()
        for record in records:
            if record.upstream_id is None:
                assert record.outcome is Outcome.FAILED
                assert record.cost == 0
                continue
            bill = given[record.upstream_id]
            assert record.upstream_id not in seen, f"{record.upstream_id} is recorded twice"
            seen.add(record.upstream_id)
            if record.outcome is Outcome.COMPLETED:
                tokens = (bill["prompt_tokens"], bill["completion_tokens"])
                assert (record.usage.prompt, record.usage.completion) == tokens
                cost = tokens[0] * prompt_nano + tokens[1] * completion_nano
                assert record.cost == cost - record.waived
                assert record.waived == 0, "no hold was too small"
            by_account[record.account] += record.cost
            by_ref.update(dict.fromkeys(record.budgets, record.cost))
        assert whole <= {record.id for record in records}, (
            "a call that was answered is not recorded"
        )
        completed = {name for name, call in given.items() if call["state"] == "completed"}
        assert len(completed - seen) == unpaid, "the upstream gave more than is recorded"
        with self.database() as database:
            assert check(database).findings == ()
            with database.read() as connection:
                spent = {
                    reference(row.budget_id, row.period): row.spent_nano
                    for row in connection.execute(sa.select(budget_periods))
                }
                limits = dict(
                    connection.execute(sa.select(budgets.c.id, budgets.c.limit_nano)).all()
                )
                left = connection.execute(sa.select(leases).where(leases.c.amount_nano != 0)).all()
                held = connection.scalar(sa.select(sa.func.sum(budget_periods.c.leased_nano)))
        assert (left, held or 0) == ([], 0), "nothing stays leased"
        for customer in self.customers:
            for budget, limit in customer.budgets.items():
                assert limits[budget] == limit
                periods = [ref for ref in spent.keys() | by_ref.keys() if split(ref)[0] == budget]
                for ref in periods:
                    assert spent.get(ref, 0) == by_ref[ref]
                    assert by_ref[ref] <= limit, f"{ref} is overshot"
                assert sum(by_ref[ref] for ref in periods) == by_account[customer.account]
        return {customer.name: by_account[customer.account] for customer in self.customers}

    def _keys(self, database: Database) -> Keys:
        return Keys(
            database,
            now_ms=_now_ms,
            entropy=os.urandom,
            limits=Budgets(database, now_ms=_now_ms),
        )


@contextmanager
def bank(
    directory: Path, address: str | None = None, *, served_from: str | None = None
) -> Iterator[Bank]:
    """With a twin for its upstream.

    address: of an empty database; None: SQLite, where a server has it. served_from: the same, by another way.
    """
    (directory / "data").mkdir(parents=True, mode=0o700)
    address = address or str(directory / "data" / DATABASE_FILE)
    with closing(open_database(address)) as database:
        migrate.prepare(database)
    with forked_program(["twin", "--port", "0"], directory / "twin.log") as program:
        twin = RunningTwinProcess(program.wait_for(_ADDRESS))
        yield Bank(directory, address, served_from or address, twin)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
