"""The wall clock is set, by days: nothing is charged twice, no budget overshot, and nobody crashes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, settings

from fairlead.control.keys.types import LimitReset
from tests.core.budgets.test_slices import one_step, trees
from tests.core.budgets.world import ModelStore, World
from tests.faults.away import until
from tests.faults.bank import Bank, Customer, bank, usd
from tests.faults.crowd import Crowd

HOUR_S = 3_600
DAY_S = 86_400
JUMPS_S = (DAY_S, 0, -DAY_S, 0, 40 * DAY_S, 0)  # from what the time really is
PARALLEL = 3
CALLS = 6  # of each line, between two jumps


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_story_with_a_jumping_clock_overshoots_a_budget_or_leaves_anything_behind(
    data: st.DataObject,
) -> None:
    world = World(ModelStore(), processes=data.draw(st.integers(1, 3)))
    callers = data.draw(trees())
    for one in sorted({budget for caller in callers for budget in caller}, key=repr):
        world.set_limit(one, data.draw(st.integers(0, 400)))
    for _ in range(data.draw(st.integers(1, 60))):
        if data.draw(st.integers(0, 5)) == 0:
            world.passes(data.draw(st.sampled_from((-1.0, -61.0, -90_000.0, 90_000.0, -4e6, 4e6))))
        one_step(data, world, callers)
        world.check()
    world.rest()


def test_a_server_goes_on_and_counts_right_whatever_the_clock_does(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    with bank(tmp_path / "bank") as made:
        free = made.customer("free")
        daily = made.customer("daily", credit=usd(1), limit=usd(0.3), limit_reset=LimitReset.DAILY)
        prepaid = made.customer("prepaid", credit=usd(0.3))
        expires_ms = (int(time.time()) + HOUR_S) * 1000
        ending = made.customer("ending", expires_ms=expires_ms)
        with made.server(clock=clock) as (url, _):
            crowd = Crowd(url)
            asyncio.run(jump(made, crowd, [free, daily, prepaid], ending, clock))
        made.compare(crowd.whole())
        log = (made.directory / "serve.log").read_text()
        assert "ERROR" not in log
        assert "CRITICAL" not in log


async def jump(
    made: Bank, crowd: Crowd, customers: list[Customer], ending: Customer, clock: Path
) -> None:
    for offset_s in (0, *JUMPS_S):
        fresh = clock.with_suffix(".new")
        fresh.write_text(str(offset_s))
        fresh.replace(clock)
        async with crowd.calling(customers, parallel=PARALLEL) as load:
            await load.until(lambda load=load: load.answered_min() >= CALLS)
        status = 401 if offset_s > 0 else 200
        await until(
            lambda: crowd.ask(ending), lambda answer, status=status: answer.status == status
        )
        for customer in customers:
            assert set(crowd.statuses(customer)) == {200}, customer
        await asyncio.to_thread(made.wait_until_settled, crowd.whole())
