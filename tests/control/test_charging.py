"""Whatever brings a finished call to the settler, and however often: it is charged once, or not at all."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from fairlead.control.budgets.service import Budgets
from fairlead.control.generations.bills import bill, charged_to, charges
from fairlead.control.generations.jobs import Settler
from fairlead.control.generations.steps import Steps
from fairlead.control.ledger.check import check
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import Charge
from fairlead.core.budgets.types import BudgetRef, account_budget, key_budget, reference
from fairlead.core.generation import Generation
from fairlead.core.ids import AccountId, KeyId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database, DatabaseContended
from fairlead.store.journal import Journal
from fairlead.store.records import front, pack
from fairlead.store.tables.budgets import budget_periods
from fairlead.store.tables.generations import generations
from fairlead.testing.generations import plain_generation
from fairlead.testing.settling import NOW_MS, settling_steps
from tests.control.budgets.test_budgets import waits_for_a_lock
from tests.control.ledger.commands import ACCOUNT, OTHER, add

CREDIT = 10_000_000
PATIENCE_S = 30.0
COST = plain_generation(0).cost


# A constraint that nothing of ours checks beforehand.
RULES = {
    "postgresql": (
        "ALTER TABLE generations ADD CONSTRAINT no_secrets CHECK (model <> 'secret-model')"
    ),
    "sqlite": (
        "CREATE TRIGGER no_secrets BEFORE INSERT ON generations WHEN NEW.model = 'secret-model'"
        " BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: no_secrets'); END"
    ),
}


class Recorded:
    """Budgets and statistics that write down what they are told."""

    def __init__(self) -> None:
        self.settled: list[tuple[str, dict[BudgetRef, NanoUSD]]] = []
        self.given_back: list[str] = []
        self.records: list[bytes] = []

    def settle_within(
        self, connection: sa.Connection, holder: str, charged: Mapping[BudgetRef, NanoUSD]
    ) -> None:
        self.settled.append((holder, dict(charged)))

    def give_back_all(self, connection: sa.Connection, holder: str) -> None:
        self.given_back.append(holder)

    def add_within(self, connection: sa.Connection, records: list[bytes]) -> None:
        self.records += records


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """Both accounts have credit."""
    ledger = Ledger(database, now_ms=lambda: NOW_MS)
    for account in (ACCOUNT, OTHER):
        ledger.post(add(CREDIT, reference=f"grant:{account}", account=account))
    return ledger


def call(number: int, **changes: object) -> Generation:
    account = OTHER if number % 2 else ACCOUNT
    return plain_generation(number, **({"account": account} | changes))


def settled(database: Database, data: Path, *calls: Generation, writer: str = "w1") -> None:
    """As a process would that then ended in order; its journal stays."""
    with closing(Journal(data / "journal", writer=writer)) as journal:
        for one in calls:
            journal.append(one)
        Settler(database, journal, settling_steps(database), batch_records_max=4).settle()


def adopted(database: Database, data: Path) -> None:
    Settler(database, None, settling_steps(database), root=data / "journal").adopt()


def entries_of(database: Database) -> dict[str, int | None]:
    with database.read() as connection:
        return dict(connection.execute(sa.select(generations.c.id, generations.c.entry)).all())


def test_each_batch_charges_each_account_once(database: Database, ledger: Ledger, data: Path):
    settled(database, data, *map(call, range(8)))
    for account, first in ((ACCOUNT, 0), (OTHER, 1)):
        own = [call(number) for number in range(first, 8, 2)]
        charged = [entry for entry in ledger.entries(account) if entry.kind == "charge"]
        assert len(charged) == 2, "two batches of four"
        used = sum(one.cost for one in own)
        assert ledger.totals(account).usage == used
        assert ledger.book(account).balance == CREDIT - used
        numbers = {entry.number for entry in charged}
        assert {entries_of(database)[one.id] for one in own} == numbers
    assert check(database).findings == ()


def test_a_journal_that_is_copied_back_charges_nothing(
    database: Database, ledger: Ledger, data: Path
):
    """An operator restores a directory, under its old name or another, long after it was finished."""
    with closing(Journal(data / "journal", writer="w1")) as journal:
        for number in range(8):
            journal.append(call(number))
        kept = data / "kept"
        shutil.copytree(journal.directory, kept)
        Settler(database, journal, settling_steps(database)).settle()
    adopted(database, data)
    before = ledger.totals(ACCOUNT), ledger.totals(OTHER)
    for name in ("w1", "another"):
        shutil.copytree(kept, data / "journal" / name)
        adopted(database, data)
        assert not (data / "journal" / name).exists()
    assert (ledger.totals(ACCOUNT), ledger.totals(OTHER)) == before
    assert check(database).findings == ()


def test_of_a_journal_that_holds_old_and_new_only_the_new_is_charged(
    database: Database, ledger: Ledger, data: Path
):
    """A damaged segment was repaired and put back: it begins with what was read before the damage."""
    settled(database, data, *map(call, range(6)), writer="w1")
    settled(database, data, *map(call, range(3, 12)), writer="w2")
    used = sum(call(number).cost for number in range(12))
    assert ledger.totals(ACCOUNT).usage + ledger.totals(OTHER).usage == used
    assert len(entries_of(database)) == 12
    assert check(database).findings == ()


def test_the_same_call_twice_in_one_batch_is_charged_once(
    database: Database, ledger: Ledger, data: Path
):
    settled(database, data, call(0), call(0), call(2))
    assert ledger.totals(ACCOUNT).usage == call(0).cost + call(2).cost
    assert check(database).findings == ()


def test_beyond_its_credit_an_account_owes(database: Database, data: Path):
    settled(database, data, call(0), call(2))
    book = Ledger(database, now_ms=lambda: NOW_MS).book(ACCOUNT)
    assert book.debt == call(0).cost + call(2).cost
    assert check(database).findings == ()


def test_calls_that_cost_nothing_have_an_entry_too(database: Database, ledger: Ledger, data: Path):
    settled(database, data, call(0, cost=NanoUSD(0)), call(2, cost=NanoUSD(0)))
    assert ledger.book(ACCOUNT).balance == CREDIT
    assert None not in entries_of(database).values()
    assert check(database).findings == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"cost": 2**63},  # no column holds it
        {"cost": -1},  # no charge
        {"cost": 2**63 - 1},  # it fits, but with what the account has used the sum does not
        {"model": "half \ud800"},  # no text
    ],
    ids=str,
)
def test_an_impossible_call_is_not_charged_half_and_holds_up_nobody(
    database: Database,
    ledger: Ledger,
    data: Path,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, object],
):
    settled(database, data, call(10))
    with closing(Journal(data / "journal", writer="w2")) as journal:
        journal.append(call(0))
        impossible = call(2, **changes)
        try:
            journal.append(impossible)
        except Exception:  # noqa: BLE001 - what cannot even be packed never reaches the settler
            return
        journal.append(call(4))
        Settler(database, journal, settling_steps(database)).settle()
        assert journal.backlog_bytes == 0
    assert set(entries_of(database)) == {call(number).id for number in (0, 4, 10)}
    assert ledger.totals(ACCOUNT).usage == sum(call(number).cost for number in (0, 4, 10))
    assert (data / "quarantine" / f"{impossible.id}.json").exists()
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
    assert check(database).findings == ()


def test_a_record_whose_money_cannot_be_read_is_put_aside_as_it_is(
    database: Database, ledger: Ledger, data: Path, monkeypatch: pytest.MonkeyPatch
):
    fields = msgspec.msgpack.decode(pack(call(2)))
    fields[36] = "no boolean"  # is_byok
    broken = msgspec.msgpack.encode(fields)
    assert front(broken).id == call(2).id
    with closing(Journal(data / "journal", writer="w1")) as journal:
        journal.append(call(0))
        with monkeypatch.context() as patched:
            patched.setattr("fairlead.store.journal_format.pack", lambda _: broken)
            journal.append(call(2))
        journal.append(call(4))
        Settler(database, journal, settling_steps(database)).settle()
    assert set(entries_of(database)) == {call(0).id, call(4).id}
    assert (data / "quarantine" / f"{call(2).id}.msgpack").read_bytes() == broken


def test_what_a_database_refuses_is_logged_without_the_row(
    database: Database, ledger: Ledger, data: Path, caplog: pytest.LogCaptureFixture
):
    """PostgreSQL quotes all of it; SQLite can be given such a rule by a trigger."""
    with database.begin() as connection:
        connection.exec_driver_sql(RULES[connection.dialect.name])
    settled(database, data, call(0), call(2, model="secret-model"), call(4))
    assert set(entries_of(database)) == {call(0).id, call(4).id}
    (record,) = caplog.records
    assert f"generation {call(2).id} cannot be stored" in record.getMessage()
    assert "no_secrets" in record.getMessage()
    assert "secret-model" not in caplog.text
    assert ACCOUNT not in caplog.text


def test_another_in_the_way_is_waited_for(database: Database, ledger: Ledger, data: Path):
    class Contended(Recorded):
        is_first = True

        def settle_within(self, *arguments: object) -> None:
            if self.is_first:
                self.is_first = False
                raise DatabaseContended("a deadlock, for once")
            super().settle_within(*arguments)

    budgets = Contended()
    with closing(Journal(data / "journal", writer="w1")) as journal:
        journal.append(call(0))
        Settler(database, journal, Steps(ledger, budgets)).settle()
    assert len(budgets.settled) == 1
    assert ledger.totals(ACCOUNT).usage == call(0).cost


def test_budgets_and_statistics_hear_of_new_calls_only(
    database: Database, ledger: Ledger, data: Path
):
    heard = Recorded()
    refs = (BudgetRef("account:acc-1@"), BudgetRef("key:key-1@2026-11-01"))
    calls = [call(number, account=ACCOUNT, budgets=refs) for number in range(4)]
    settled(database, data, calls[0])
    with closing(Journal(data / "journal", writer="w2")) as journal:
        for one in calls:
            journal.append(one)
        Settler(database, journal, Steps(ledger, heard, heard)).settle()
    used = sum(one.cost for one in calls[1:])
    assert heard.settled == [("w2", dict.fromkeys(refs, used))]
    assert heard.records == [pack(one) for one in calls[1:]]


def test_a_finished_journal_gives_its_leases_back_with_its_position(
    database: Database, ledger: Ledger, data: Path
):
    """Not before: as long as usage may be outstanding, what it needs is not lent to others."""
    heard = Recorded()
    journal = Journal(data / "journal", writer="w1")
    journal.append(call(0))
    journal.close()

    class Away(Recorded):
        def settle_within(self, *_: object) -> None:
            raise DatabaseContended("always")

    away = Away()
    with pytest.raises(DatabaseContended):
        Settler(database, None, Steps(ledger, away), root=data / "journal").adopt()
    assert away.given_back == []
    Settler(database, None, Steps(ledger, heard), root=data / "journal").adopt()
    assert heard.given_back == ["w1"]


def test_leases_end_when_calls_are_charged(database: Database, ledger: Ledger, data: Path):
    """With the real budgets: what was leased and spent is spent, and the rest comes back."""
    budgets = Budgets(database, now_ms=lambda: NOW_MS)
    ref = BudgetRef(f"account:{ACCOUNT}@")
    with database.begin() as connection:
        connection.execute(
            sa.text("UPDATE budget_periods SET leased_nano = 5000000 WHERE budget_id = :id"),
            {"id": f"account:{ACCOUNT}"},
        )
        connection.execute(
            sa.text("INSERT INTO leases VALUES (:id, '', 'w1', 5000000, 0, 0)"),
            {"id": f"account:{ACCOUNT}"},
        )
    settled(database, data, call(0, budgets=(ref,)), call(2, budgets=(ref,)))
    used = call(0).cost + call(2).cost

    def standing() -> tuple[int, int, int]:
        spending = budgets.standing([f"account:{ACCOUNT}"])[f"account:{ACCOUNT}"]
        return spending.budget.limit, spending.spent, spending.leased

    assert standing() == (CREDIT, used, 5_000_000 - used)
    adopted(database, data)
    assert standing() == (CREDIT, used, 0)
    assert check(database).findings == ()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_what_counts_in_a_key_only_locks_the_account_first_as_everybody_does(
    database: Database, ledger: Ledger, data: Path
):
    """A call with an own key, free of a fee, while a trip for leases has the account's budget and goes on to
    the key's: were the settler to lock the key's first, each would wait for the other."""
    budgets = Budgets(database, now_ms=lambda: NOW_MS)
    key = key_budget(KeyId("key-1"))
    with database.begin() as connection:
        budgets.define(connection, budget=key, account=ACCOUNT, limit=NanoUSD(CREDIT))

    def lock(trip: sa.Connection, budget: str) -> None:
        row = sa.select(budget_periods).where(budget_periods.c.budget_id == budget)
        assert trip.execute(row.with_for_update(nowait=True)).all()

    own = {"cost": NanoUSD(0), "is_byok": True, "list_cost": NanoUSD(900)}
    with (
        closing(Journal(data / "journal", writer="w1")) as journal,
        ThreadPoolExecutor(1) as threads,
    ):
        journal.append(call(0, budgets=(reference(key, ""),), **own))
        settler = Settler(database, journal, settling_steps(database))
        with database.begin() as trip:
            lock(trip, account_budget(ACCOUNT))
            settling = threads.submit(settler.settle)
            while not waits_for_a_lock(database):
                assert not settling.done()
            lock(trip, key)
        assert settling.result(PATIENCE_S) == 1
    assert budgets.standing([key])[key].spent == 900


# The pure part.


def test_charges_are_one_for_each_account():
    own = {"is_byok": True, "list_cost": NanoUSD(900)}
    bills = [bill(pack(one)) for one in (call(0), call(1), call(2, cost=NanoUSD(45), **own))]
    assert charges(bills) == [
        Charge(
            account=ACCOUNT,
            reference=f"usage:{call(0).id}",
            amount=NanoUSD(COST + 45),
            generations_count=2,
            byok_fees=NanoUSD(45),
        ),
        Charge(
            account=OTHER,
            reference=f"usage:{call(1).id}",
            amount=call(1).cost,
            generations_count=1,
        ),
    ]


def test_budgets_count_list_prices_of_calls_with_own_credentials_and_credit_the_fee():
    refs = (
        BudgetRef("account:acc-1@"),
        BudgetRef("key:key-1@"),
        BudgetRef("byok:acc-1@2026-11-01"),
    )
    own = call(0, cost=NanoUSD(45), is_byok=True, list_cost=NanoUSD(900), budgets=refs)
    other = call(2, budgets=refs[:2])
    assert charged_to([bill(pack(own)), bill(pack(other))]) == {
        refs[0]: 45 + other.cost,
        refs[1]: 900 + other.cost,
        refs[2]: 900,
    }


def test_a_bill_reads_what_the_record_says():
    """By position: a field that moved would be read as another."""
    one = call(
        0,
        is_byok=True,
        list_cost=NanoUSD(3),
        discount=NanoUSD(4),
        waived=NanoUSD(5),
        budgets=(BudgetRef("key:k@"),),
    )
    read = bill(pack(one))
    for name in ("id", "account", "cost", "is_byok", "list_cost", "discount", "waived", "budgets"):
        assert getattr(read, name) == getattr(one, name), name
    assert AccountId(read.account) == ACCOUNT
    assert Generation.__struct_fields__[: len(read.__struct_fields__)] == read.__struct_fields__
