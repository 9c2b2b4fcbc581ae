"""Calls are held against leased slices: without waiting, all or nothing, and never beyond a budget."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from fairlead.control.budgets.service import Budgets
from fairlead.control.serving.wallet import LeasedWallet
from fairlead.core.budgets.slices import Held, Lack
from fairlead.core.budgets.types import CallerBudget, Wanted, account_budget, key_budget
from fairlead.core.errors import Overloaded
from fairlead.core.ids import AccountId, KeyId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database, DatabaseUnreadable

pytestmark = pytest.mark.anyio

NOW_S = 1_795_305_540.0
PATIENCE_S = 30.0
ACCOUNT = AccountId("acc-1")
KEY = CallerBudget(key_budget(KeyId("key-1")))
CREDIT = CallerBudget(account_budget(ACCOUNT))
CALLER = (CREDIT, KEY)


class Watched(Budgets):
    """Counts the trips; the database can be away."""

    trips = 0
    is_away = False
    is_wrong = False

    def exchange(self, holder, order):
        self.trips += 1
        if self.is_away:
            raise DatabaseUnreadable("away")
        if self.is_wrong:
            raise ValueError("a mistake of ours")
        return super().exchange(holder, order)


class World:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.budgets = Watched(database, now_ms=lambda: int(NOW_S * 1000))

    def limit(self, key: int, credit: int) -> None:
        with self.database.begin() as connection:
            for budget, limit in ((KEY.id, key), (CREDIT.id, credit)):
                self.budgets.define(
                    connection, budget=budget, account=ACCOUNT, limit=NanoUSD(limit)
                )

    @contextlib.asynccontextmanager
    async def wallet(self, holder: str = "one", wait_s: float = PATIENCE_S):
        wallet = LeasedWallet(
            self.budgets, self.database, holder=holder, now_s=lambda: NOW_S, wait_s=wait_s
        )
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(wallet.run())
            try:
                async with asyncio.timeout(PATIENCE_S):
                    yield wallet
            finally:
                running.cancel()

    def standing(self) -> tuple[int, int]:
        found = self.budgets.standing([KEY.id])[KEY.id]
        return found.spent, found.leased


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def fixed(amount: int) -> Wanted:
    return Wanted.exactly(NanoUSD(amount))


async def obtained(wallet: LeasedWallet, amount: int) -> Held:
    held = wallet.hold(CALLER, fixed(amount), NOW_S) or await wallet.obtain(CALLER, fixed(amount))
    assert isinstance(held, Held), held
    return held


async def test_many_calls_that_wait_share_a_trip(world: World) -> None:
    world.limit(10**9, 10**9)
    async with world.wallet() as wallet:
        held = await asyncio.gather(*(obtained(wallet, 1000) for _ in range(200)))
        assert len(held) == 200
        assert world.budgets.trips <= 3
        assert wallet.hold(CALLER, fixed(1000), NOW_S) is not None


async def test_exactly_as_many_are_held_as_there_is_room_for(world: World) -> None:
    world.limit(37_000, 37_000)
    async with world.wallet(wait_s=1.0) as wallet, world.wallet("two", wait_s=1.0) as other:
        answers = await asyncio.gather(
            *(one.obtain(CALLER, fixed(1000)) for one in (wallet, other) for _ in range(100))
        )
    held = [one for one in answers if isinstance(one, Held)]
    assert len(held) == 37
    assert all(isinstance(one, Lack) for one in answers if one not in held)
    assert world.standing() == (0, 37_000)


async def test_what_can_never_fit_is_refused_at_once(world: World) -> None:
    world.limit(100, 10**9)
    async with world.wallet() as wallet:
        lack = await wallet.obtain(CALLER, fixed(101))
        assert isinstance(lack, Lack)
        assert (lack.budget, lack.left, lack.limit, lack.is_final) == (KEY, 100, 100, True)


async def test_a_call_waits_for_what_another_gives_back(world: World) -> None:
    world.limit(1000, 1000)
    async with world.wallet() as wallet:
        first = await obtained(wallet, 800)
        second = asyncio.ensure_future(wallet.obtain(CALLER, fixed(800)))
        await asyncio.sleep(0)
        assert not second.done()
        first.settle(NanoUSD(100))
        assert isinstance(await second, Held)


async def test_a_call_waits_for_what_another_process_gives_back(world: World) -> None:
    world.limit(1000, 1000)
    async with world.wallet() as wallet, world.wallet("two") as other:
        first = await obtained(wallet, 800)
        second = asyncio.ensure_future(other.obtain(CALLER, fixed(800)))
        await asyncio.sleep(0)
        first.release()
        assert isinstance(await second, Held)


async def test_a_caller_who_leaves_the_line_leaves_nothing_held(world: World) -> None:
    world.limit(1000, 1000)
    async with world.wallet() as wallet:
        leaving = [asyncio.ensure_future(wallet.obtain(CALLER, fixed(10))) for _ in range(50)]
        await asyncio.sleep(0)
        for index, one in enumerate(leaving):
            if index % 2:
                one.cancel()
        answers = await asyncio.gather(*leaving, return_exceptions=True)
        for one in answers:
            if isinstance(one, Held):
                one.release()
        assert wallet.samples()["fairlead_budget_held_usd"] == 0


async def test_while_the_database_is_away_what_is_leased_can_be_held_and_no_more(
    world: World,
) -> None:
    world.limit(10**9, 10**9)
    async with world.wallet() as wallet:
        await obtained(wallet, 1000)
        leased = world.standing()[1]
        world.budgets.is_away = True
        admitted = 1
        with contextlib.suppress(Overloaded):
            while admitted <= leased:
                await obtained(wallet, 1000)
                admitted += 1
        assert 1000 * admitted <= leased
        world.budgets.is_away = False
        await obtained(wallet, 1000)


async def test_a_mistake_of_ours_is_not_the_end_of_the_wallet(world: World) -> None:
    world.limit(10**9, 10**9)
    async with world.wallet() as wallet:
        world.budgets.is_wrong = True
        with pytest.raises(Overloaded):
            await obtained(wallet, 1000)
        world.budgets.is_wrong = False
        await obtained(wallet, 1000)


async def test_a_limit_that_was_raised_elsewhere_is_seen(world: World) -> None:
    world.limit(100, 10**9)
    async with world.wallet() as wallet:
        assert isinstance(await wallet.obtain(CALLER, fixed(200)), Lack)
        world.limit(10_000, 10**9)
        await obtained(wallet, 200)


async def test_idle_slack_is_wanted_back_and_given(world: World) -> None:
    world.limit(100_000, 10**9)
    async with world.wallet() as wallet, world.wallet("two") as other:
        (await obtained(wallet, 100)).release()
        assert world.standing()[1] >= 100
        assert isinstance(await other.obtain(CALLER, fixed(100_000)), Held)


async def test_a_wallet_that_stops_lets_nobody_wait(world: World) -> None:
    world.limit(1000, 1000)
    async with world.wallet() as wallet:
        await obtained(wallet, 1000)
        waiting = asyncio.ensure_future(wallet.obtain(CALLER, fixed(500)))
        await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await waiting
