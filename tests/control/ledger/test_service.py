"""Whoever posts, through whichever process: the database holds what the pure rules say, once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.control.ledger import rules
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import (
    AlreadyDone,
    Book,
    ExpireLot,
    LotKind,
    Posted,
    RefundPurchase,
    RefusalReason,
    Refused,
    Totals,
)
from fairlead.core.budgets.types import account_budget
from fairlead.core.ids import AccountId
from fairlead.core.money import NanoUSD
from fairlead.store import migrate
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.store.tables.budgets import budgets
from fairlead.store.tables.ledger import ledger_head
from tests.control.ledger.commands import (
    ACCOUNT,
    DAY_MS,
    OTHER,
    PureLedger,
    add,
    charge,
    random_command,
)
from tests.money import MONEY, forget_money

NOW_MS = 1_763_700_000_000


class Clock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(database: Database, clock: Clock) -> Ledger:
    return Ledger(database, now_ms=clock)


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All rows that have to do with money."""
    with database.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=str)
            for table in (*MONEY, ledger_head)
        }


def budget_of(database: Database, account: AccountId) -> tuple[int, int]:
    """Limit and what is spent of the account's own budget."""
    with database.read() as connection:
        limit = connection.execute(
            sa.text("SELECT limit_nano FROM budgets WHERE id = :id"), {"id": f"account:{account}"}
        ).scalar_one_or_none()
        spent = connection.execute(
            sa.text("SELECT spent_nano FROM budget_periods WHERE budget_id = :id AND period = ''"),
            {"id": f"account:{account}"},
        ).scalar_one()
    return limit or 0, spent


def lease(database: Database, account: AccountId, amount: int) -> None:
    with database.begin() as connection:
        connection.execute(
            sa.text("UPDATE budget_periods SET leased_nano = :amount WHERE budget_id = :id"),
            {"amount": amount, "id": f"account:{account}"},
        )


@pytest.fixture(scope="module")
def emptied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Database]]:
    """A database for many examples: emptied rather than made anew."""
    with closing(open_database(tmp_path_factory.mktemp("data") / DATABASE_FILE)) as database:
        migrate.prepare(database)

        def empty() -> Database:
            with database.begin() as connection:
                forget_money(connection)
            return database

        yield empty


@given(source=st.randoms(use_true_random=False), length=st.integers(1, 15))
@settings(deadline=None, max_examples=15)
def test_the_database_holds_what_the_rules_say(
    emptied: Callable[[], Database], source: random.Random, length: int
):
    """Any commands, some of them twice, alone or several in a transaction."""
    database, clock, pure = emptied(), Clock(), PureLedger()
    ledger = Ledger(database, now_ms=clock)
    asked = []
    number = 0
    while number < length:
        clock.ms += source.choice((0, DAY_MS))
        together = []
        for _ in range(source.choice((1, 1, 3))):
            command = random_command(source, pure.book, f"c{number}", clock.ms)
            if asked and source.random() < 0.2:
                command = source.choice(asked)
            together.append((command, pure.post(command, clock.ms)))
            asked.append(command)
            number += 1
        before = everything(database)
        with database.begin() as connection:
            outcomes = ledger.post_all_within(connection, [command for command, _ in together])
        for outcome, (_, expected) in zip(outcomes, together, strict=True):
            if isinstance(expected, Refused) and isinstance(outcome, Refused):
                # A lot that is used up is no longer in the pure book; the database still knows it.
                if expected.reason is not RefusalReason.LOT_UNKNOWN:
                    assert outcome.reason is expected.reason
            elif isinstance(expected, AlreadyDone):
                assert outcome == expected
            else:
                assert isinstance(outcome, Posted)
                assert outcome.postings == expected.postings
        if all(isinstance(outcome, Refused | AlreadyDone) for outcome in outcomes):
            assert everything(database) == before
    assert ledger.book(ACCOUNT) == pure.book
    assert ledger.totals(ACCOUNT) == pure.book.totals
    written = ledger.entries(ACCOUNT)[::-1]
    assert [(one.number, one.postings, one.command) for one in written] == [
        (one.number, one.postings, one.command) for one in pure.entries
    ]
    if pure.entries:
        totals = pure.book.totals
        assert budget_of(database, ACCOUNT) == (totals.credits, totals.usage)


def test_what_is_posted_is_found_again(ledger: Ledger, database: Database):
    bought = ledger.post(
        add(100, reference="p", kind=LotKind.PURCHASE, fee=NanoUSD(8), source="pay-1")
    )
    used = ledger.post(charge(30, reference="c"))
    assert isinstance(bought, Posted)
    assert isinstance(used, Posted)
    assert (bought.entry, used.entry) == (1, 2)
    assert ledger.book(ACCOUNT) == used.book
    assert ledger.totals(ACCOUNT) == Totals(NanoUSD(100), NanoUSD(30), NanoUSD(100))
    assert [entry.number for entry in ledger.entries(ACCOUNT)] == [2, 1]
    assert [entry.number for entry in ledger.entries(ACCOUNT, before=2)] == [1]
    assert ledger.lots(ACCOUNT) == list(used.book.lots)
    assert ledger.lots(ACCOUNT, after=used.book.lots[0].id) == []
    assert budget_of(database, ACCOUNT) == (100, 30)
    assert ledger.book(OTHER) == Book(OTHER)
    assert ledger.totals(OTHER) == Totals()


def test_who_owes_from_the_first_charge_on_has_a_limit_that_says_so(
    ledger: Ledger, database: Database
):
    assert isinstance(ledger.post(charge(0, reference="free")), Posted)
    assert isinstance(ledger.post(charge(5, reference="fee")), Posted)
    with database.read() as connection:
        limit = connection.execute(
            sa.select(budgets.c.limit_nano).where(budgets.c.id == account_budget(ACCOUNT))
        ).scalar_one()
    assert limit == 0
    assert budget_of(database, ACCOUNT) == (0, 5)


def test_the_same_again_is_already_done_and_another_is_refused(ledger: Ledger, database: Database):
    assert isinstance(ledger.post(add(100, reference="g")), Posted)
    before = everything(database)
    assert ledger.post(add(100, reference="g")) == AlreadyDone(1)
    refused = ledger.post(add(100, reference="g", account=OTHER))
    assert isinstance(refused, Refused)
    assert refused.reason is RefusalReason.REFERENCE_REUSED
    assert everything(database) == before


def test_an_impossible_text_is_refused_before_the_database_sees_it(ledger: Ledger):
    for reference in ("half \ud800", "two\nlines", "nothing \0"):
        refused = ledger.post(add(100, reference=reference))
        assert isinstance(refused, Refused)
        assert refused.reason is RefusalReason.TEXT_INVALID


def test_what_calls_have_set_aside_stays(ledger: Ledger, database: Database, clock: Clock):
    bought = ledger.post(add(100, reference="p", kind=LotKind.PURCHASE, expires_ms=NOW_MS + DAY_MS))
    assert isinstance(bought, Posted)
    assert bought.opened is not None
    lot = bought.opened.id
    clock.ms += DAY_MS
    pay_back = RefundPurchase(
        account=ACCOUNT, reference="r", lot=lot, paid_back=NanoUSD(100), method="card"
    )
    expire = ExpireLot(account=ACCOUNT, reference="e", lot=lot)
    for leased, take in ((1, pay_back), (100, pay_back), (100, expire)):
        lease(database, ACCOUNT, leased)
        refused = ledger.post(take)
        assert isinstance(refused, Refused)
        assert refused.reason is RefusalReason.IN_USE
    with database.read() as connection:
        asked = connection.execute(sa.text("SELECT wanted_back_ms FROM budget_periods")).scalars()
        assert list(asked) == [clock.ms], "processes are asked for what no call needs"
    assert ledger.expiring(before_ms=clock.ms) == [(ACCOUNT, bought.opened)]
    lease(database, ACCOUNT, 30)
    assert isinstance(ledger.post(expire), Posted)
    assert budget_of(database, ACCOUNT) == (30, 0)
    lease(database, ACCOUNT, 0)
    the_rest = ExpireLot(account=ACCOUNT, reference="e2", lot=lot)
    assert isinstance(ledger.post(the_rest), Posted)
    assert budget_of(database, ACCOUNT) == (0, 0)
    assert ledger.expiring(before_ms=clock.ms) == []


def test_a_lot_that_is_used_up_is_not_an_unknown_one(ledger: Ledger):
    bought = ledger.post(add(100, reference="p", kind=LotKind.PURCHASE))
    assert isinstance(bought, Posted)
    assert bought.opened is not None
    ledger.post(charge(100, reference="c"))
    refused = ledger.post(
        RefundPurchase(
            account=ACCOUNT,
            reference="r",
            lot=bought.opened.id,
            paid_back=NanoUSD(1),
            method="card",
        )
    )
    assert isinstance(refused, Refused)
    assert refused.reason is RefusalReason.EXCEEDS_UNUSED
    elsewhere = ledger.post(
        RefundPurchase(
            account=OTHER,
            reference="r",
            lot=bought.opened.id,
            paid_back=NanoUSD(1),
            method="card",
        )
    )
    assert isinstance(elsewhere, Refused)
    assert elsewhere.reason is RefusalReason.LOT_UNKNOWN


def test_a_transfer_keeps_the_times_at_which_credit_expires(ledger: Ledger):
    ledger.post(add(30, reference="a", expires_ms=NOW_MS + DAY_MS))
    ledger.post(add(100, reference="b"))
    moved = ledger.transfer(account=ACCOUNT, to=OTHER, amount=NanoUSD(50), reference="t")
    assert isinstance(moved, Posted)
    assert moved.book.balance == 80
    there = ledger.book(OTHER)
    assert [(lot.amount, lot.expires_ms, lot.kind) for lot in there.lots] == [
        (30, NOW_MS + DAY_MS, LotKind.TRANSFER),
        (20, None, LotKind.TRANSFER),
    ]
    again = ledger.transfer(account=ACCOUNT, to=OTHER, amount=NanoUSD(50), reference="t")
    assert again == AlreadyDone(moved.entry)
    assert ledger.book(OTHER) == there


def test_many_at_once_lose_nothing_and_leave_no_gap(
    ledger: Ledger, database: Database, database_address: str, clock: Clock
):
    """Through connections of their own, as processes do, and each command by two of them."""
    commands = [
        add(1000, reference=f"g{number}") if number % 2 else charge(10, reference=f"c{number}")
        for number in range(20)
    ]
    with closing(open_database(database_address)) as second:
        ledgers = [ledger, Ledger(second, now_ms=clock)]
        with ThreadPoolExecutor(4) as threads:
            outcomes = [list(threads.map(each.post, commands)) for each in (ledgers[0], ledgers[1])]
    posted = [one for many in outcomes for one in many if isinstance(one, Posted)]
    assert sorted(one.entry for one in posted) == list(range(1, 21))
    assert ledger.book(ACCOUNT).balance == 10 * 1000 - 10 * 10
    assert budget_of(database, ACCOUNT) == (10_000, 100)


class Crash(BaseException):
    """The process ends here."""


def test_a_crash_before_the_commit_leaves_nothing_and_after_it_everything(
    ledger: Ledger, database: Database
):
    before = everything(database)

    def dying(connection: sa.Connection) -> None:
        assert isinstance(ledger.post_within(connection, add(5, reference="g")), Posted)
        raise Crash

    with pytest.raises(Crash):
        database.retrying(dying)
    assert everything(database) == before

    class Breaking(Database):
        """The connection breaks once, after the commit."""

        def __init__(self) -> None:
            self.__dict__.update(database.__dict__)

        @contextmanager
        def begin(self):
            with database.begin() as connection:
                yield connection
            raise Crash

    with pytest.raises(Crash):
        Ledger(Breaking(), now_ms=Clock()).post(add(5, reference="g"))
    assert ledger.post(add(5, reference="g")) == AlreadyDone(1)


def test_numbers_and_hashes_go_on_where_they_ended(ledger: Ledger, database: Database):
    from fairlead.control.ledger.chain import FIRST, chained

    ledger.post(add(5, reference="a"))
    ledger.post(charge(7, reference="b"))
    previous = FIRST
    for entry in ledger.entries(ACCOUNT)[::-1]:
        previous = chained(
            previous,
            number=entry.number,
            reference=entry.reference,
            kind=entry.kind,
            account=entry.account,
            created_ms=entry.created_ms,
            command=entry.command,
            postings=entry.postings,
        )
        assert entry.hash == previous
        assert rules.command_of(entry.command).reference == entry.reference
