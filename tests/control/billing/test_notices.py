"""Who is told that money runs low, and that nobody hears it twice."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.audit.types import Actor
from fairlead.control.billing.notices import READ_AT_ONCE, Notices, is_low, level_of
from fairlead.control.ledger.types import AddCredit, LotKind, Posted
from fairlead.core.budgets.types import Reset, period_of
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.store.database import Database
from fairlead.store.tables.budgets import budget_periods, budgets
from fairlead.store.tables.keys import api_keys
from tests.control.billing.world import ADA, DAY_MS, World, build_world

WORKSPACE = "0b8f2d0c-5b8e-4b1c-9a55-3f3f0b0a1a11"


@pytest.fixture
def world(database: Database) -> World:
    return build_world(database, None)


def notices(world: World) -> Notices:
    return world.services.jobs._notices


def grant(world: World, dollars: int) -> None:
    command = AddCredit(
        account=world.account,
        reference=f"grant:{dollars}",
        kind=LotKind.GRANT,
        amount=NanoUSD(dollars * NANO_PER_USD),
    )
    assert isinstance(world.ledger.post(command), Posted)


def limit(world: World, budget: str, dollars: int, spent: float, reset: str | None = None) -> None:
    period = period_of(None if reset is None else Reset(reset), world.clock.ms / 1000).name
    with world.database.begin() as connection:
        for table in (budget_periods, budgets):
            column = table.c.budget_id if table is budget_periods else table.c.id
            connection.execute(sa.delete(table).where(column == budget))
        connection.execute(
            sa.insert(budgets).values(
                id=budget,
                account_id=world.account,
                limit_nano=dollars * NANO_PER_USD,
                reset=reset,
                counts_byok=False,
                updated_ms=0,
            )
        )
        connection.execute(
            sa.insert(budget_periods).values(
                budget_id=budget,
                period=period,
                spent_nano=round(spent * NANO_PER_USD),
                leased_nano=0,
                wanted_back_ms=0,
            )
        )


@pytest.mark.parametrize(
    ("spent", "level"), [(0, 0), (79, 0), (80, 80), (99, 80), (100, 100), (1000, 100)]
)
def test_a_limit_is_near_at_80_and_at_100_percent(spent, level):
    assert level_of(spent, 100) == level


@given(st.integers(-(10**12), 10**13), st.integers(1, 10**6))
def test_who_is_well_above_the_threshold_is_never_low_and_who_is_below_always(balance, threshold):
    if balance < threshold * 10_000_000:
        assert is_low(balance, threshold, was_low=True)
        assert is_low(balance, threshold, was_low=False)
    elif balance * 10 >= threshold * 11 * 10_000_000:
        assert not is_low(balance, threshold, was_low=True)
        assert not is_low(balance, threshold, was_low=False)
    else:  # in between it stays what it was
        assert is_low(balance, threshold, was_low=True)
        assert not is_low(balance, threshold, was_low=False)


def test_a_balance_that_falls_below_the_threshold_is_told_once_until_it_was_well_above(
    world: World,
):
    grant(world, 150)
    assert notices(world).work() == 0
    world.use(49, "a")
    assert notices(world).work() == 0
    world.use(2, "b")
    assert [notices(world).work() for _ in range(3)] == [1, 0, 0]
    assert world.letters() == [("low_balance", ADA)]
    grant(world, 6)  # $105: above, but not well above
    assert notices(world).work() == 0
    world.use(10, "c")
    assert notices(world).work() == 0
    grant(world, 100)
    assert notices(world).work() == 0
    world.use(100, "d")
    assert notices(world).work() == 1


def test_an_account_chooses_its_own_threshold_or_none(world: World):
    def choose(cents: int) -> None:
        world.services.profiles.describe(
            world.account,
            Actor("user-ada"),
            name="",
            address="",
            tax_ids=(),
            low_balance_cents=cents,
        )

    choose(200)
    grant(world, 10)
    notices(world).work()
    world.use(7, "a")
    assert notices(world).work() == 0
    world.use(2, "b")
    assert notices(world).work() == 1
    choose(0)
    grant(world, 100)
    notices(world).work()
    world.use(100, "c")
    assert notices(world).work() == 0


def test_a_keys_limit_is_told_to_whoever_made_it_and_again_in_the_next_period(world: World):
    with world.database.begin() as connection:
        user = connection.execute(
            sa.text("SELECT id FROM users WHERE account_id = :id"), {"id": world.account}
        ).scalar_one()
        connection.execute(
            sa.insert(api_keys).values(
                id="key-1",
                account_id=world.account,
                digest=b"1",
                label="l",
                name="Robot",
                is_management=False,
                is_disabled=False,
                created_ms=0,
                creator_user_id=user,
            )
        )
    limit(world, "key:key-1", 10, 8.5, "daily")
    assert [notices(world).work() for _ in range(2)] == [1, 0]
    limit(world, "key:key-1", 10, 10, "daily")
    assert [notices(world).work() for _ in range(2)] == [1, 0]
    world.clock.ms += DAY_MS
    limit(world, "key:key-1", 10, 9, "daily")
    assert [notices(world).work() for _ in range(2)] == [1, 0]
    assert world.letters() == [("limit_near", ADA)] * 3


def test_a_workspaces_budget_is_told_to_the_admins(world: World):
    limit(world, f"workspace:{WORKSPACE}:monthly", 100, 80, "monthly")
    assert notices(world).work() == 1
    assert world.letters() == [("limit_near", ADA)]


def test_two_processes_say_it_once(database: Database):
    one = build_world(database, None)
    two = build_world(database, None, account=one.account, clock=one.clock, seed=1)
    limit(one, f"workspace:{WORKSPACE}:monthly", 100, 100, "monthly")
    both = [notices(one), notices(two)]
    (standing,) = (one_of for one_of in both[0]._read() if one_of.budget.startswith("workspace:"))
    with one.database.begin() as connection:  # both have seen that nothing was said
        said = [notice._say(connection, standing, 100, None) for notice in both]
    assert said == [True, False]
    with one.database.begin() as connection:
        known = both[0]._said(connection, standing.budget)
        said = [notice._say(connection, standing, 80, known) for notice in both]
    assert said == [True, False]


def test_many_budgets_are_read_some_at_a_time(world: World):
    with world.database.begin() as connection:
        connection.execute(
            sa.insert(budgets),
            [
                {
                    "id": f"key:a{number:05d}",
                    "account_id": world.account,
                    "limit_nano": 1,
                    "reset": None,
                    "counts_byok": False,
                    "updated_ms": 0,
                }
                for number in range(READ_AT_ONCE)
            ],
        )
    limit(world, "key:z", 1, 1)
    assert [notices(world).work() for _ in range(3)] == [0, 1, 0]
