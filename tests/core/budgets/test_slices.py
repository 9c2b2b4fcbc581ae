"""Slices of budgets: whatever happens in whatever order, no budget is overshot and nothing stays behind."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from fairlead.core.budgets.slices import Held
from fairlead.core.budgets.types import CallerBudget, Reset, Wanted, period_of, reference
from fairlead.core.ids import BudgetId
from fairlead.core.money import NanoUSD
from tests.core.budgets.world import ModelStore, Process, World

STEPS = (
    *("call",) * 3, *("end",) * 2, "fail", *("trip",) * 3, "lost", "away", "settle", "crash", "time",
    "limit",
)  # fmt: skip
RESETS = (None, Reset.DAILY, Reset.WEEKLY, Reset.MONTHLY)


def budget(name: str, reset: Reset | None = None) -> CallerBudget:
    return CallerBudget(BudgetId(f"key:{name}"), reset)


def fixed(amount: int) -> Wanted:
    return Wanted.exactly(NanoUSD(amount))


@st.composite
def wanted(draw: st.DrawFn) -> Wanted:
    full = draw(st.integers(1, 60))
    if draw(st.booleans()):
        return fixed(full)
    least = draw(st.integers(1, full))
    return Wanted(NanoUSD(full), NanoUSD(draw(st.integers(least, full))), NanoUSD(least))


@st.composite
def trees(draw: st.DrawFn) -> list[tuple[CallerBudget, ...]]:
    """Callers of one account: each path from its budget down to a key's."""
    top = budget("top", draw(st.sampled_from(RESETS)))
    callers = []
    for index in range(draw(st.integers(1, 3))):
        middle = budget(f"middle-{index}", draw(st.sampled_from(RESETS)))
        callers += [
            (top, middle, budget(f"leaf-{index}-{leaf}", draw(st.sampled_from(RESETS))))
            for leaf in range(draw(st.integers(0, 2)))
        ] or [(top, middle)]
    return callers


def one_step(data: st.DataObject, world: World, callers: list[tuple[CallerBudget, ...]]) -> None:
    process: Process = data.draw(st.sampled_from(world.processes))
    match data.draw(st.sampled_from(STEPS)):
        case "call":
            world.call(process, data.draw(st.sampled_from(callers)), data.draw(wanted()))
        case "end" if process.holds:
            index = data.draw(st.integers(0, len(process.holds) - 1))
            share = data.draw(st.sampled_from((0.0, 0.3, 1.0, 1.7)))
            world.end(process, index, round(process.holds[index].amount * share))
        case "fail" if process.holds:
            index = data.draw(st.integers(0, len(process.holds) - 1))
            world.fail(process, index, is_settled=data.draw(st.booleans()))
        case "trip":
            world.trip(process)
        case "lost":
            world.trip(process, answers=False)
        case "away":
            world.trip(process, arrives=False)
        case "settle":
            world.settler(process, data.draw(st.integers(1, 5)))
        case "crash":
            world.crash(process)
        case "time":
            world.passes(data.draw(st.sampled_from((0.1, 1.0, 5.0, 61.0, 90_000.0))))
        case "limit":
            one = data.draw(st.sampled_from(sorted({b for c in callers for b in c}, key=repr)))
            world.set_limit(one, data.draw(st.integers(0, 400)))


def play(data: st.DataObject, world: World) -> None:
    """Any story, its happy end, and then: what is left of every budget can still be spent."""
    callers = data.draw(trees())
    for one in sorted({b for c in callers for b in c}, key=repr):
        world.set_limit(one, data.draw(st.integers(0, 400)))
    for _ in range(data.draw(st.integers(1, 60))):
        one_step(data, world, callers)
        world.check()
    world.rest()
    shelves = world.store.shelves()
    world.passes(1.0)
    for caller in callers:
        process = world.processes[0]
        rooms = []
        for one in caller:
            found = [s for ref, s in shelves.items() if ref == _ref_now(one, world.now_s)]
            rooms += [s.limit - s.spent for s in found if s.limit is not None]
        if len(rooms) == len(caller) and min(rooms) > 0:
            assert not world.call(process, caller, fixed(min(rooms)))
            world.trip(process)
            assert not process.waiting, "room that nobody uses cannot be used"
            world.rest()


def _ref_now(one: CallerBudget, now_s: float) -> str:
    return reference(one.id, period_of(one.reset, now_s).name)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_story_overshoots_a_budget_or_leaves_anything_behind(data: st.DataObject) -> None:
    play(data, World(ModelStore(), processes=data.draw(st.integers(1, 4))))


def test_parallel_calls_of_several_processes_get_exactly_what_there_is() -> None:
    world = World(ModelStore(), processes=4)
    caller = (budget("account"), budget("key", Reset.MONTHLY), budget("workspace", Reset.DAILY))
    for one in caller:
        world.set_limit(one, 37 * 1000)
    for process in world.processes:
        for _ in range(200):
            world.call(process, caller, fixed(1000))
    for _ in range(10):
        for process in world.processes:
            world.trip(process)
            world.check()
        world.passes(0.5)
    assert sum(len(process.holds) for process in world.processes) == 37


def test_far_from_the_end_of_a_budget_calls_need_no_trip_to_the_store() -> None:
    world = World(ModelStore(), processes=1)
    caller = (budget("account"),)
    world.set_limit(caller[0], 10**12)
    process = world.processes[0]
    trips = 0
    for _ in range(10_000):
        if not world.call(process, caller, fixed(1000)):
            trips += 1
            world.trip(process)
        elif process.wakes:  # ahead of need: nobody waits for it
            process.wakes = 0
            world.trip(process)
        world.end(process, 0, 900)
        world.passes(0.01)
    assert trips == 1


def test_near_its_end_a_budget_is_leased_exactly() -> None:
    world = World(ModelStore(), processes=1)
    caller = (budget("account"),)
    world.set_limit(caller[0], 5000)
    process = world.processes[0]
    world.call(process, caller, fixed(1000))
    world.trip(process)
    (shelf,) = world.store.shelves().values()
    assert shelf.leased == 1000


def test_idle_slack_is_given_back_when_somebody_else_lacks_it() -> None:
    world = World(ModelStore(), processes=2)
    caller = (budget("account"),)
    world.set_limit(caller[0], 100_000)
    rich, poor = world.processes
    world.call(rich, caller, fixed(1000))
    world.trip(rich)
    world.end(rich, 0, 0)
    assert rich.slices.figures().free > 0
    world.call(poor, caller, fixed(100_000))
    world.trip(poor)
    world.trip(poor)  # now it knows that others have some
    assert poor.waiting
    world.passes(0.5)
    world.trip(rich)
    world.trip(rich)
    world.trip(poor)
    assert not poor.waiting


def test_a_call_of_flexible_length_leaves_three_quarters_to_others() -> None:
    flexible = Wanted(NanoUSD(1_000_000), NanoUSD(300), NanoUSD(20))
    assert flexible.of(None) == 1_000_000
    assert flexible.of(NanoUSD(4_000_000)) == 1_000_000
    assert flexible.of(NanoUSD(3_999_999)) == 999_999
    assert flexible.of(NanoUSD(1000)) == 300
    assert flexible.of(NanoUSD(200)) == 200
    assert flexible.of(NanoUSD(20)) == 20
    assert flexible.of(NanoUSD(19)) is None


def test_what_a_call_cost_beyond_its_hold_is_taken_from_the_slice_or_from_nobody() -> None:
    world = World(ModelStore(), processes=1)
    caller = (budget("account"),)
    world.set_limit(caller[0], 1500)
    process = world.processes[0]
    world.call(process, caller, fixed(1000))
    world.trip(process)
    (held,) = process.holds
    assert held.settle(NanoUSD(1700)) == 1000
    with pytest.raises(AssertionError):
        held.settle(NanoUSD(1))
    held.undo()
    assert held.settle(NanoUSD(0)) == 0
    world.call(process, caller, fixed(500))
    (_, smaller) = process.holds
    assert smaller.settle(NanoUSD(700)) == 700


def test_a_call_that_lacks_room_is_told_whether_waiting_helps() -> None:
    world = World(ModelStore(), processes=1)
    caller = (budget("account"),)
    world.set_limit(caller[0], 1000)
    process = world.processes[0]
    world.call(process, caller, fixed(800))
    world.trip(process)
    slices = process.slices
    under_way = slices.lack(caller, fixed(900), world.now_s)
    assert under_way is not None
    assert (under_way.left, under_way.needed, under_way.is_final) == (200, 900, False)
    hopeless = slices.lack(caller, fixed(1001), world.now_s)
    assert hopeless is not None
    assert hopeless.is_final
    assert slices.lack(caller, fixed(200), world.now_s) is None


def test_a_new_period_has_all_of_its_limit_and_old_calls_count_in_theirs() -> None:
    world = World(ModelStore(), processes=1)
    caller = (budget("key", Reset.DAILY),)
    world.set_limit(caller[0], 1000)
    process = world.processes[0]
    world.call(process, caller, fixed(1000))
    world.trip(process)
    world.passes(120.0)  # midnight
    world.call(process, caller, fixed(1000))
    world.trip(process)
    first, second = process.holds
    assert isinstance(first, Held)
    assert (first.refs, second.refs) == (("key:key@2026-11-21",), ("key:key@2026-11-22",))


def test_with_the_store_away_no_more_is_held_than_was_leased() -> None:
    world = World(ModelStore(), processes=1)
    caller = (budget("account"),)
    world.set_limit(caller[0], 10**9)
    process = world.processes[0]
    world.call(process, caller, fixed(1000))
    world.trip(process)
    exposure = process.slices.figures().free
    admitted = 0
    while world.call(process, caller, fixed(1000)):
        admitted += 1
        world.trip(process, arrives=False)
    assert 0 < admitted * 1000 <= exposure
