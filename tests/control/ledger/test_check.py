"""Whatever somebody changes in the tables of money, the check names it."""

from __future__ import annotations

import random
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from fairlead.control.generations import queries
from fairlead.control.generations.jobs import Settler
from fairlead.control.ledger import chain
from fairlead.control.ledger.check import Anchor, check
from fairlead.control.ledger.derived import Damage, Finding
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import Charge, LotKind, Posted, Posting
from fairlead.core.ids import AccountId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database
from fairlead.store.journal import Journal
from fairlead.store.records import front, pack
from fairlead.store.tables.generations import generations
from fairlead.store.tables.ledger import ledger_entries, ledger_postings
from fairlead.testing.generations import plain_generation
from fairlead.testing.settling import NOW_MS, settling_steps
from tests.control.ledger.commands import ACCOUNT, OTHER, add, random_command

CALLS = 12  # of two accounts in turn, four to a batch


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """With history: purchases, grants, a transfer, and calls of two accounts."""
    ledger = Ledger(database, now_ms=lambda: NOW_MS)
    ledger.post(
        add(20_000_000, reference="p", kind=LotKind.PURCHASE, fee=NanoUSD(8), source="pay-1")
    )
    ledger.post(add(1_000_000, reference="g", reason="welcome"))
    ledger.transfer(account=ACCOUNT, to=OTHER, amount=NanoUSD(700_000), reference="t")
    return ledger


@pytest.fixture
def settled(database: Database, ledger: Ledger, data: Path) -> Database:
    with closing(Journal(data / "journal", writer="w1")) as journal:
        for number in range(CALLS):
            account = OTHER if number % 3 == 2 else ACCOUNT
            journal.append(plain_generation(number, account=account))
        Settler(database, journal, settling_steps(database), batch_records_max=4).settle()
    return database


def change(database: Database, statement: str, **values: object) -> None:
    with database.begin() as connection:
        assert connection.execute(sa.text(statement), values).rowcount


def found(database: Database, **options: object) -> list[Finding]:
    return list(check(database, **options).findings)


def damages(database: Database) -> set[tuple[Damage, str]]:
    return {(finding.damage, finding.where) for finding in found(database)}


def first_charge(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(
            sa.select(sa.func.min(ledger_entries.c.number)).where(ledger_entries.c.kind == "charge")
        ).scalar_one()


def test_nothing_is_found_where_nothing_is_wrong(settled: Database):
    checked = check(settled)
    assert checked.findings == ()
    assert checked.generations == CALLS
    with settled.read() as connection:
        counts = [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (ledger_entries, ledger_postings)
        ]
    assert [checked.entries, checked.postings] == counts
    assert checked.accounts == 2
    assert checked.lots == 3


def test_an_empty_ledger_is_in_order(database: Database):
    checked = check(database)
    assert (checked.entries, checked.findings) == (0, ())
    assert checked.head == Anchor(0, chain.FIRST.hex())


def test_random_lives_are_in_order(database: Database):
    source = random.Random(20_261_121)
    now_ms = NOW_MS
    ledger = Ledger(database, now_ms=lambda: now_ms)
    for number in range(150):
        now_ms += source.choice((0, 86_400_000))
        account = AccountId(f"acc-{source.randrange(3)}")
        ledger.post(random_command(source, ledger.book(account), f"c{number}", now_ms))
    # No call stands behind these charges, and transfers have only left: nothing else is wrong.
    assert {finding.damage for finding in check(database).findings} <= {
        Damage.CHARGE_WRONG,
        Damage.TRANSFER_OPEN,
    }


# Damage.


def test_an_edited_amount(settled: Database):
    change(
        settled,
        "UPDATE ledger_postings SET amount_nano = amount_nano + 1 WHERE entry = 1 AND line = 3",
    )
    assert {
        (Damage.CHAIN_BROKEN, "entry 1"),
        (Damage.UNBALANCED, "entry 1"),
    } <= damages(settled)


def test_an_amount_edited_on_both_sides(settled: Database):
    number = first_charge(settled)
    change(
        settled,
        "UPDATE ledger_postings SET amount_nano = amount_nano * 2 WHERE entry = :number",
        number=number,
    )
    seen = damages(settled)
    assert (Damage.CHAIN_BROKEN, f"entry {number}") in seen
    assert (Damage.UNBALANCED, f"entry {number}") not in seen
    assert any(damage is Damage.LOT_WRONG for damage, _ in seen)
    assert any(damage is Damage.ACCOUNT_WRONG for damage, _ in seen)


def test_a_deleted_posting(settled: Database):
    change(settled, "DELETE FROM ledger_postings WHERE entry = 2 AND line = 1")
    assert {(Damage.CHAIN_BROKEN, "entry 2"), (Damage.UNBALANCED, "entry 2")} <= damages(settled)


def test_an_added_posting(settled: Database):
    change(
        settled,
        "INSERT INTO ledger_postings VALUES (2, 3, 'debt:acc-1', NULL, 5), (2, 4, 'grants', NULL, -5)",
    )
    assert (Damage.CHAIN_BROKEN, "entry 2") in damages(settled)


def test_a_deleted_entry(settled: Database):
    change(settled, "DELETE FROM ledger_entries WHERE number = 2")
    seen = damages(settled)
    assert (Damage.ENTRY_MISSING, "entry 2") in seen
    assert (Damage.POSTING_STRAY, "entry 2") in seen


def test_a_deleted_last_entry(settled: Database):
    with settled.read() as connection:
        last = connection.execute(sa.select(sa.func.max(ledger_entries.c.number))).scalar_one()
    for table, column in (("ledger_entries", "number"), ("ledger_postings", "entry")):
        change(settled, f"DELETE FROM {table} WHERE {column} = :last", last=last)
    seen = damages(settled)
    assert (Damage.ENTRY_MISSING, f"entry {last}") in seen
    assert (Damage.CHARGE_WRONG, f"entry {last}") in seen


def test_a_last_entry_that_was_taken_back_with_its_head(settled: Database):
    """Whoever takes back the head as well leaves generations behind that nothing charges."""
    with settled.read() as connection:
        last = connection.execute(sa.select(sa.func.max(ledger_entries.c.number))).scalar_one()
    for table, column in (("ledger_entries", "number"), ("ledger_postings", "entry")):
        change(settled, f"DELETE FROM {table} WHERE {column} = :last", last=last)
    change(
        settled,
        "UPDATE ledger_head SET number = :before,"
        " hash = (SELECT hash FROM ledger_entries WHERE number = :before)",
        before=last - 1,
    )
    assert any(finding.damage is Damage.GENERATION_UNCHARGED for finding in found(settled))


def test_two_entries_that_changed_places(settled: Database):
    for table, column in (("ledger_entries", "number"), ("ledger_postings", "entry")):
        for old, new in ((1, 1000), (2, 1), (1000, 2)):
            change(
                settled,
                f"UPDATE {table} SET {column} = :new WHERE {column} = :old",
                old=old,
                new=new,
            )
    seen = damages(settled)
    assert {(Damage.CHAIN_BROKEN, "entry 1"), (Damage.CHAIN_BROKEN, "entry 2")} <= seen


def test_an_edited_reason(settled: Database):
    change(
        settled,
        "UPDATE ledger_entries SET command = replace(command, 'welcome', 'sorry') WHERE number = 2",
    )
    assert damages(settled) == {(Damage.CHAIN_BROKEN, "entry 2")}


def test_a_command_that_is_none(settled: Database):
    change(settled, "UPDATE ledger_entries SET command = '{}' WHERE number = 2")
    assert (Damage.UNREADABLE, "entry 2") in damages(settled)


def test_a_time_set_back(settled: Database):
    change(settled, "UPDATE ledger_entries SET created_ms = created_ms - 1 WHERE number = 2")
    assert (Damage.CHAIN_BROKEN, "entry 2") in damages(settled)


def test_history_made_anew_is_found_by_its_anchor(settled: Database):
    """Somebody changes an entry and computes all hashes from there on."""
    before = check(settled).head
    assert found(settled, anchor=before) == []
    change(settled, "UPDATE ledger_entries SET created_ms = created_ms - 1 WHERE number = 2")
    previous = chain.FIRST
    with settled.begin() as connection:
        for row in connection.execute(
            sa.select(ledger_entries).order_by(ledger_entries.c.number)
        ).all():
            lines = connection.execute(
                sa.select(ledger_postings)
                .where(ledger_postings.c.entry == row.number)
                .order_by(ledger_postings.c.line)
            )
            previous = chain.chained(
                previous,
                number=row.number,
                reference=row.reference,
                kind=row.kind,
                account=row.account_id,
                created_ms=row.created_ms,
                command=row.command,
                postings=[
                    Posting(one.ledger_account, one.amount_nano, one.lot_id) for one in lines
                ],
            )
            connection.execute(
                sa.update(ledger_entries)
                .where(ledger_entries.c.number == row.number)
                .values(hash=previous)
            )
        connection.execute(sa.text("UPDATE ledger_head SET hash = :hash"), {"hash": previous})
    assert Damage.CHAIN_BROKEN not in {finding.damage for finding in found(settled)}
    assert [(finding.damage, finding.where) for finding in found(settled, anchor=before)][-1] == (
        Damage.ANCHOR_WRONG,
        f"entry {before.number}",
    )


@pytest.mark.parametrize("database_kind", ["sqlite"])  # it is Python that compares
@pytest.mark.parametrize(
    "values",
    [
        "remaining_nano = remaining_nano - 1",
        "amount_nano = amount_nano + 1",
        "expires_ms = 5",
        "is_refundable = NOT is_refundable",
        "source = 'pay-2'",
        "kind = 'free_allowance'",
        "account_id = 'acc-3'",
        "created_ms = created_ms + 1",
    ],
)
def test_a_changed_lot(settled: Database, values: str):
    with settled.read() as connection:
        lot = connection.execute(
            sa.text("SELECT id FROM lots WHERE remaining_nano > 0 ORDER BY id LIMIT 1")
        ).scalar_one()
    change(settled, f"UPDATE lots SET {values} WHERE id = :lot", lot=lot)
    assert damages(settled) == {(Damage.LOT_WRONG, f"lot {lot}")}


def test_a_lot_that_is_gone_and_one_that_came_from_nowhere(settled: Database):
    change(settled, "UPDATE lots SET id = 'lot-other' WHERE id = (SELECT min(id) FROM lots)")
    seen = found(settled)
    assert [finding.damage for finding in seen] == [Damage.LOT_WRONG, Damage.LOT_WRONG]
    assert "lot lot-other" in {finding.where for finding in seen}


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("column", ["credits_nano", "usage_nano", "purchased_nano", "debt_nano"])
def test_totals_that_are_off(settled: Database, column: str):
    change(
        settled,
        f"UPDATE ledger_accounts SET {column} = {column} + 1 WHERE account_id = :account",
        account=ACCOUNT,
    )
    assert damages(settled) == {(Damage.ACCOUNT_WRONG, f"account {ACCOUNT}")}


def test_totals_that_are_gone(settled: Database):
    change(settled, "DELETE FROM ledger_accounts WHERE account_id = :account", account=OTHER)
    assert damages(settled) == {(Damage.ACCOUNT_WRONG, f"account {OTHER}")}


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE budgets SET limit_nano = limit_nano + 1 WHERE id = :id",
        "UPDATE budget_periods SET spent_nano = spent_nano - 1 WHERE budget_id = :id",
        "DELETE FROM budgets WHERE id = :id",
    ],
)
def test_a_budget_that_says_something_else(settled: Database, statement: str):
    change(settled, statement, id=f"account:{ACCOUNT}")
    assert damages(settled) == {(Damage.BUDGET_WRONG, f"budget account:{ACCOUNT}")}


def test_a_budget_of_an_account_that_has_no_entries(settled: Database):
    change(
        settled, "INSERT INTO budgets VALUES ('account:acc-9', 'acc-9', 5, NULL, :no, 0)", no=False
    )
    assert damages(settled) == {(Damage.BUDGET_WRONG, "budget account:acc-9")}


def test_a_generation_that_costs_something_else(settled: Database):
    number = first_charge(settled)
    with settled.read() as connection:
        generation = connection.execute(
            sa.select(sa.func.min(generations.c.id)).where(generations.c.entry == number)
        ).scalar_one()
    change(
        settled,
        "UPDATE generations SET cost_nano = cost_nano - 1 WHERE id = :generation",
        generation=generation,
    )
    assert damages(settled) == {
        (Damage.CHARGE_WRONG, f"entry {number}"),
        (Damage.GENERATION_WRONG, f"generation {generation}"),
    }


def test_a_generation_that_is_gone(settled: Database):
    number = first_charge(settled)
    change(
        settled,
        "DELETE FROM generations WHERE id = (SELECT min(id) FROM generations WHERE entry = :number)",
        number=number,
    )
    assert damages(settled) == {(Damage.CHARGE_WRONG, f"entry {number}")}


def test_a_generation_that_nothing_charges(settled: Database):
    number = first_charge(settled)
    change(
        settled,
        "UPDATE generations SET entry = NULL"
        " WHERE id = (SELECT min(id) FROM generations WHERE entry = :number)",
        number=number,
    )
    seen = damages(settled)
    assert (Damage.CHARGE_WRONG, f"entry {number}") in seen
    assert [damage for damage, _ in seen].count(Damage.GENERATION_UNCHARGED) == 1


def test_generations_charged_by_an_entry_that_is_another(settled: Database):
    """As if a call had been charged twice: once by its own entry, once by this one."""
    number = first_charge(settled)
    change(settled, "UPDATE generations SET entry = 2 WHERE entry = :number", number=number)
    seen = damages(settled)
    assert {(Damage.CHARGE_WRONG, "entry 2"), (Damage.CHARGE_WRONG, f"entry {number}")} <= seen


def test_a_call_charged_twice(settled: Database, ledger: Ledger):
    """A second entry for calls that have one, posted through the funnel: nothing else is wrong with it."""
    twice = ledger.post(
        Charge(
            account=ACCOUNT,
            reference="usage:again",
            amount=NanoUSD(305_400),
            generations_count=1,
        )
    )
    assert isinstance(twice, Posted)
    assert damages(settled) == {(Damage.CHARGE_WRONG, f"entry {twice.entry}")}


def test_a_generation_of_another_account(settled: Database):
    number = first_charge(settled)
    with settled.begin() as connection:
        other = connection.execute(
            sa.text("SELECT min(entry) FROM generations WHERE entry <> :number"), {"number": number}
        ).scalar_one()
        one, two = (
            connection.execute(
                sa.text("SELECT min(id) FROM generations WHERE entry = :entry"), {"entry": entry}
            ).scalar_one()
            for entry in (number, other)
        )
    for name, entry in ((one, other), (two, number)):
        change(
            settled, "UPDATE generations SET entry = :entry WHERE id = :id", entry=entry, id=name
        )
    seen = damages(settled)
    assert {
        (Damage.GENERATION_WRONG, f"generation {one}"),
        (Damage.GENERATION_WRONG, f"generation {two}"),
    } <= seen


# How it looks on.


def test_a_part_is_checked_from_an_entry_on(settled: Database):
    change(settled, "UPDATE ledger_entries SET created_ms = created_ms - 1 WHERE number = 2")
    assert [finding.where for finding in found(settled)] != []
    assert found(settled, after=2) == []
    change(settled, "UPDATE ledger_entries SET created_ms = created_ms - 1 WHERE number = 4")
    assert [(one.damage, one.where) for one in found(settled, after=2)] == [
        (Damage.CHAIN_BROKEN, "entry 4")
    ]


def test_there_is_an_end_to_what_is_told(settled: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fairlead.control.ledger.check.FINDINGS_MAX", 3)
    change(settled, "DELETE FROM ledger_postings WHERE entry > 0")
    assert len(found(settled)) == 3


def test_progress_is_told(settled: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fairlead.control.ledger.check_queries.PAGE_ROWS", 3)
    told: list[tuple[int, int]] = []
    entries = check(settled, progress=lambda done, total: told.append((done, total))).entries
    assert [done for done, _ in told] == sorted({*range(3, entries, 3), entries})
    assert {total for _, total in told} == {entries}
    assert found(settled) == []


def test_a_million_postings_are_checked_in_under_a_minute(database: Database, ledger: Ledger):
    """A short form, in processor time of this process: `bench/settling.py --check 1000000` is the long one."""
    count = 10_000
    wanted = [
        Charge(
            account=AccountId(f"acc-{number % 50}"),
            reference=f"usage:{number}",
            amount=NanoUSD(1000 + number),
            generations_count=1,
        )
        for number in range(count)
    ]
    with database.begin() as connection:
        posted = ledger.post_all_within(connection, wanted)
        database.insert_many_new(
            connection,
            generations,
            [
                queries.row(front(record), record, outcome.entry)
                for number, outcome in enumerate(posted)
                if isinstance(outcome, Posted)
                for record in [
                    pack(
                        plain_generation(
                            number, account=wanted[number].account, cost=wanted[number].amount
                        )
                    )
                ]
            ],
        )
    began_s = time.process_time()
    checked = check(database)
    took_s = time.process_time() - began_s
    assert checked.findings == ()
    assert checked.generations == count
    assert took_s / checked.postings * 1_000_000 < 60
