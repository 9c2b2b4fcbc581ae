"""Budgets in a real database: the same promises as of the model, with SQL in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings

from fairlead.control.budgets import queries
from fairlead.control.budgets.service import SILENT_LOOKS_MIN, Budgets, Leasing
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import Posted, RefusalReason, Refused, TransferOut
from fairlead.core.budgets.lending import CallAsk, Order, Standing
from fairlead.core.budgets.types import (
    BudgetRef,
    CallerBudget,
    Reset,
    Wanted,
    account_budget,
    key_budget,
    reference,
    split,
)
from fairlead.core.ids import AccountId, BudgetId, KeyId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database, DatabaseUnreadable, open_database
from fairlead.store.tables.budgets import budget_periods, budgets, leases
from tests.control.ledger.commands import OTHER, add
from tests.core.budgets.test_slices import play
from tests.core.budgets.world import Shelf, World

ACCOUNT = AccountId("acc-1")
PATIENCE_S = 30.0
NOW_MS = 1_795_305_540_000
KEY = key_budget(KeyId("key-1"))
KEY_REF = reference(KEY, "")
ACCOUNT_REF = reference(account_budget(ACCOUNT), "")
WATCHED = Order(watched=(ACCOUNT_REF,))


class DatabaseStore:
    """The real store behind the interface of the model."""

    def __init__(self, database: Database) -> None:
        self.now_s = 0.0
        self._database = database
        self._budgets = Budgets(database, now_ms=lambda: int(self.now_s * 1000))
        self._resets: dict[BudgetId, Reset | None] = {}

    def exchange(self, holder: str, order: Order) -> dict[BudgetRef, Standing]:
        return self._budgets.exchange(holder, order)

    def settle(self, holder: str, charged: Mapping[BudgetRef, NanoUSD]) -> None:
        with self._database.begin() as connection:
            self._budgets.settle_within(connection, holder, charged)

    def give_back_all(self, holder: str) -> None:
        self._budgets.release(holder)

    def limit(self, budget: CallerBudget, limit: int | None) -> None:
        with self._database.begin() as connection:
            amount = None if limit is None else NanoUSD(limit)
            self._budgets.define(
                connection, budget=budget.id, account=ACCOUNT, limit=amount, reset=budget.reset
            )

    def shelves(self) -> dict[BudgetRef, Shelf]:
        with self._database.read() as connection:
            limits = {row.id: row.limit_nano for row in connection.execute(sa.select(budgets))}
            shelves = {
                reference(row.budget_id, row.period): Shelf(limits[row.budget_id], row.spent_nano)
                for row in connection.execute(sa.select(budget_periods))
            }
            leased = {
                reference(row.budget_id, row.period): row.leased_nano
                for row in connection.execute(sa.select(budget_periods))
            }
            for row in connection.execute(sa.select(leases)):
                shelves[reference(row.budget_id, row.period)].leases[row.holder] = row.amount_nano
        for ref, shelf in shelves.items():
            assert shelf.leased == leased[ref], "what is leased is the sum of the leases"
        return shelves


def empty(database: Database) -> None:
    with database.begin() as connection:
        for table in (leases, budget_periods, budgets):
            connection.execute(sa.delete(table))


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_story_overshoots_a_budget_or_leaves_anything_behind(
    database: Database, data: st.DataObject
) -> None:
    empty(database)
    play(data, World(DatabaseStore(database), processes=data.draw(st.integers(1, 3))))


@pytest.fixture
def service(database: Database) -> Budgets:
    return Budgets(database, now_ms=lambda: NOW_MS)


def limited(database: Database, service: Budgets, limit: int, reset: Reset | None = None) -> None:
    with database.begin() as connection:
        service.define(connection, budget=KEY, account=ACCOUNT, limit=NanoUSD(limit), reset=reset)


def calls(count: int, amount: int, ref: BudgetRef = KEY_REF) -> Order:
    ask = CallAsk((ref,), Wanted.exactly(NanoUSD(amount)))
    return Order(watched=(ref,), calls=(ask,) * count)


def settle(database: Database, service: Budgets, holder: str, amount: int) -> None:
    with database.begin() as connection:
        service.settle_within(connection, holder, {KEY_REF: NanoUSD(amount)})


def test_processes_that_ask_at_the_same_moment_get_no_more_than_there_is(
    database: Database, database_address: str, service: Budgets
) -> None:
    limited(database, service, 37)
    ready = threading.Barrier(4)

    def greedy(number: int) -> int:
        with closing(open_database(database_address)) as own:
            budgets = Budgets(own, now_ms=lambda: NOW_MS)
            ready.wait()
            for _ in range(20):
                standing = budgets.exchange(f"process-{number}", calls(3, 1))[KEY_REF]
        return standing.amount

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(greedy, range(4))) == 37
    found = service.standing([KEY])[KEY]
    assert (found.leased, found.spent, found.remaining) == (37, 0, 37)


def test_a_lease_becomes_spent_and_the_rest_comes_back(
    database: Database, service: Budgets
) -> None:
    limited(database, service, 1000)
    service.exchange("one", calls(1, 600))
    settle(database, service, "one", 250)
    found = service.standing([KEY])[KEY]
    assert (found.spent, found.leased) == (250, 350)
    service.exchange("one", Order(watched=(KEY_REF,), given_back={KEY_REF: NanoUSD(350)}))
    assert service.standing([KEY])[KEY].leased == 0


def test_what_a_dead_process_had_leased_comes_back_when_its_journal_is_finished(
    database: Database, service: Budgets
) -> None:
    limited(database, service, 1000)
    service.exchange("dead", calls(1, 600))
    service.exchange("alive", calls(1, 400))
    settle(database, service, "dead", 100)
    with database.begin() as connection:
        service.give_back_all(connection, "dead")
    found = service.standing([KEY])[KEY]
    assert (found.spent, found.leased) == (100, 400)
    assert [holder.name for holder in service.holders()] == ["alive"]


def test_usage_that_turns_up_after_its_lease_was_released_is_spent_all_the_same(
    database: Database, service: Budgets
) -> None:
    limited(database, service, 1000)
    service.exchange("lost", calls(1, 1000))
    service.release("lost")
    settle(database, service, "lost", 300)
    found = service.standing([KEY])[KEY]
    assert (found.spent, found.leased) == (300, 0)


def test_only_a_process_that_has_long_said_nothing_is_taken_for_lost(database: Database) -> None:
    now_ms = [NOW_MS]
    service = Budgets(database, now_ms=lambda: now_ms[0], lost_after_s=60.0)
    limited(database, service, 1000)
    service.exchange("silent", calls(1, 100))
    service.exchange("there", calls(1, 100))
    now_ms[0] += 59_000
    service.renew("there")
    assert service.reap() == []
    now_ms[0] += 2_000
    for _ in range(SILENT_LOOKS_MIN - 1):
        assert service.reap() == []
    assert [holder.name for holder in service.reap()] == ["silent"]
    assert service.standing([KEY])[KEY].leased == 100


@pytest.mark.parametrize("there_ahead_ms", [0, -90_000_000])
def test_a_clock_that_is_set_forward_takes_nothing_from_those_who_live(
    database: Database, there_ahead_ms: int
) -> None:
    """Others look as if they had said nothing for a day, until they say something: perhaps by clocks of
    their own, on other machines, that were not set. So they do when a database was away for long."""
    now_ms = [NOW_MS]
    service = Budgets(database, now_ms=lambda: now_ms[0], lost_after_s=86_400.0)
    limited(database, service, 1000)
    service.exchange("there", calls(1, 100))
    now_ms[0] += 90_000_000
    there = Budgets(database, now_ms=lambda: now_ms[0] + there_ahead_ms)
    for _ in range(3 * SILENT_LOOKS_MIN):
        for _ in range(SILENT_LOOKS_MIN - 1):
            assert service.reap() == []
        now_ms[0] += 60_000
        there.renew("there")
    assert service.standing([KEY])[KEY].leased == 100


def test_a_removed_budget_limits_nobody_and_counts_nothing(
    database: Database, service: Budgets
) -> None:
    limited(database, service, 10)
    service.exchange("one", calls(1, 10))
    with database.begin() as connection:
        service.remove(connection, KEY)
        service.remove(connection, KEY)
    settle(database, service, "one", 10)
    assert service.standing([KEY]) == {}
    limited(database, service, 10)
    found = service.standing([KEY])[KEY]
    assert (found.spent, found.leased) == (0, 0)


def test_a_budget_that_gets_other_periods_begins_with_what_is_known_to_be_spent(
    database: Database, service: Budgets
) -> None:
    limited(database, service, 1000, Reset.DAILY)
    daily = reference(KEY, "2026-11-21")
    assert service.exchange("one", calls(1, 400, daily))[daily].amount == 400
    with database.begin() as connection:
        service.define(
            connection,
            budget=KEY,
            account=ACCOUNT,
            limit=NanoUSD(1000),
            reset=Reset.MONTHLY,
            spent=NanoUSD(700),
        )
    found = service.standing([KEY])[KEY]
    assert (found.period, found.spent, found.remaining) == ("2026-11-01", 700, 300)
    assert service.exchange("one", calls(1, 1, daily))[daily].amount == 400  # no more of the old


class TestCreditOfAnAccount:
    """Its limit is what was added, and what is spent of it, the ledger says."""

    def credit(self, database: Database, service: Budgets) -> None:
        with database.begin() as connection:
            service.define(
                connection, budget=account_budget(ACCOUNT), account=ACCOUNT, limit=NanoUSD(1000)
            )

    def test_without_credit_nothing_is_leased(self, service: Budgets) -> None:
        standing = service.exchange("one", calls(1, 1, ACCOUNT_REF))[ACCOUNT_REF]
        assert (standing.amount, standing.limit) == (0, 0)

    def test_the_settler_ends_the_lease_and_leaves_the_rest_to_the_ledger(
        self, database: Database, service: Budgets
    ) -> None:
        self.credit(database, service)
        service.exchange("one", calls(1, 600, ACCOUNT_REF))
        with database.begin() as connection:
            service.settle_within(connection, "one", {ACCOUNT_REF: NanoUSD(250)})
        found = service.standing([account_budget(ACCOUNT)])[account_budget(ACCOUNT)]
        assert (found.spent, found.leased) == (0, 350)

    def test_who_would_take_credit_away_asks_for_it(
        self, database: Database, service: Budgets
    ) -> None:
        ledger = Ledger(database, now_ms=lambda: NOW_MS)
        assert isinstance(ledger.post(add(1000, reference="grant")), Posted)
        service.exchange("one", calls(1, 600, ACCOUNT_REF))
        assert not service.exchange("one", WATCHED)[ACCOUNT_REF].is_wanted_back
        out = TransferOut(account=ACCOUNT, reference="out", to=OTHER, amount=NanoUSD(500))
        refused = ledger.post(out)
        assert isinstance(refused, Refused)
        assert refused.reason is RefusalReason.IN_USE
        assert service.exchange("one", WATCHED)[ACCOUNT_REF].is_wanted_back


class TestTrips:
    def test_one_that_nobody_waits_for_any_more_does_nothing(
        self, database: Database, service: Budgets
    ) -> None:
        limited(database, service, 1000)
        leasing = Leasing(service, "one")
        given_up = leasing.trip()
        assert leasing.trip()(calls(1, 100))[KEY_REF].amount == 100
        assert given_up(calls(1, 100)) == {}
        assert service.standing([KEY])[KEY].leased == 100


def test_a_database_that_is_away_says_so(database_address: str) -> None:
    with closing(open_database(database_address)) as database:
        service = Budgets(database, now_ms=lambda: 0)
        broken = _broken(database)
        with pytest.raises(DatabaseUnreadable):
            broken(lambda: service.exchange("one", calls(1, 1)))


def _broken(database: Database) -> Callable[[Callable[[], object]], object]:
    def run(function: Callable[[], object]) -> object:
        @sa.event.listens_for(database.engine, "begin")
        def away(_: sa.Connection) -> None:
            raise sa.exc.OperationalError("BEGIN", None, Exception("away"))

        return function()

    return run


def test_old_periods_are_forgotten_unless_something_is_leased(database: Database) -> None:
    now_ms = [NOW_MS]
    service = Budgets(database, now_ms=lambda: now_ms[0])
    limited(database, service, 1000, Reset.DAILY)
    old, held = reference(KEY, "2026-11-21"), reference(KEY, "2026-11-22")
    with database.begin() as connection:
        service.settle_within(connection, "one", {old: NanoUSD(10)})
    now_ms[0] += 86_400_000
    service.exchange("one", calls(1, 5, held))
    now_ms[0] += 500 * 86_400_000
    assert service.forget_old_periods() == 1
    with database.read() as connection:
        left = connection.execute(sa.select(budget_periods.c.period)).scalars().all()
    assert left == [split(held)[1]]


def test_a_process_that_leases_while_it_is_given_up_leaves_nothing_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was only slow. Whatever it has leased in between is given back with the rest."""
    of = Budgets(database, now_ms=lambda: 0)
    other = key_budget(KeyId("key-2"))
    with database.begin() as connection:
        for budget in (KEY, other):
            of.define(connection, budget=budget, account=ACCOUNT, limit=NanoUSD(1000))
    late = reference(other, "")
    of.exchange("one", Order(watched=(KEY_REF,), in_advance={KEY_REF: NanoUSD(100)}))
    locked, times = queries.lock_periods, iter([True])

    def lock_periods(
        connection: sa.Connection, refs: Collection[BudgetRef]
    ) -> dict[BudgetRef, queries.PeriodRow]:
        found = locked(connection, refs)
        if next(times, False):
            queries.insert_periods(database, connection, [late])
            queries.insert_leases(connection, "one", {late: 50}, now_ms=0)
            queries.change_periods(connection, {late: (0, 50, 0)})
        return found

    monkeypatch.setattr(queries, "lock_periods", lock_periods)
    of.release("one")
    with database.read() as connection:
        assert connection.execute(sa.select(leases)).all() == []
        assert connection.execute(sa.select(budget_periods.c.leased_nano)).scalars().all() == [0, 0]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_budget_that_is_removed_while_it_is_leased_leaves_no_lease(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = Budgets(database, now_ms=lambda: 0)
    with database.begin() as connection:
        of.define(connection, budget=KEY, account=ACCOUNT, limit=NanoUSD(1000))
    inserted = queries.insert_leases
    has_leased, removal = threading.Event(), threading.Event()

    def insert_leases(
        connection: sa.Connection, holder: str, amounts: Mapping[BudgetRef, int], *, now_ms: int
    ) -> None:
        inserted(connection, holder, amounts, now_ms=now_ms)
        has_leased.set()
        removal.wait(PATIENCE_S)
        while not waits_for_a_lock(database):
            """Until whoever removes it has come as far as our row."""

    monkeypatch.setattr(queries, "insert_leases", insert_leases)
    with ThreadPoolExecutor(2) as threads:
        order = Order(watched=(KEY_REF,), in_advance={KEY_REF: NanoUSD(100)})
        leasing = threads.submit(of.exchange, "one", order)
        assert has_leased.wait(PATIENCE_S)

        def remove() -> None:
            with database.begin() as connection:
                removal.set()
                of.remove(connection, KEY)

        removing = threads.submit(remove)
        leasing.result(PATIENCE_S)
        removing.result(PATIENCE_S)
    with database.read() as connection:
        assert connection.execute(sa.select(leases)).all() == []
        assert connection.execute(sa.select(budget_periods)).all() == []


def waits_for_a_lock(database: Database) -> bool:
    with database.read() as connection:
        return bool(
            connection.execute(
                sa.text(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
            ).scalar()
        )
