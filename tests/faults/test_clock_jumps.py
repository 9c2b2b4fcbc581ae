"""The wall clock is set, by days: nothing is charged twice, no budget overshot, and nobody crashes."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from functools import reduce
from pathlib import Path

import hypothesis.strategies as st
import msgspec
from hypothesis import given, settings

from fairlead.control.keys.types import LimitReset
from fairlead.control.ledger import rules
from fairlead.control.ledger.check import check
from fairlead.control.ledger.derived import Damage
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import AlreadyDone, Book, ExpireLot, Posted, Refused
from fairlead.control.people.rules import Purpose
from fairlead.settings import Settings, SignIn
from fairlead.store.database import Database
from tests.control.ledger.commands import (
    ACCOUNT,
    DAY_MS,
    PureLedger,
    add,
    charge,
    random_command,
)
from tests.control.people.world import World as People
from tests.control.people.world import make_world
from tests.core.budgets.test_slices import one_step, trees
from tests.core.budgets.world import ModelStore, World
from tests.faults.away import until
from tests.faults.bank import Bank, Customer, bank, usd
from tests.faults.crowd import Crowd

NOW_MS = 1_763_700_000_000
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


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_the_ledger_adds_up_whatever_the_clock_says_and_no_lot_ends_before_its_time(
    source: random.Random, length: int
) -> None:
    ledger, now_ms = PureLedger(), NOW_MS
    for number in range(length):
        now_ms += source.choice((0, 1, DAY_MS, -DAY_MS, 400 * DAY_MS, -400 * DAY_MS))
        before = ledger.book
        command = random_command(source, before, f"c{number}", now_ms)
        outcome = ledger.post(command, now_ms)
        if isinstance(outcome, Refused):
            assert ledger.book == before
            continue
        assert sum(posting.amount for posting in outcome.postings) == 0
        assert all(0 < lot.remaining <= lot.amount for lot in ledger.book.lots)
        if isinstance(command, ExpireLot):
            (lot,) = [one for one in before.lots if one.id == command.lot]
            assert lot.expires_ms is not None
            assert lot.expires_ms <= now_ms
    assert reduce(rules.replayed, ledger.entries, Book(ACCOUNT)) == ledger.book


def test_history_is_proved_although_its_times_go_back(database: Database) -> None:
    ticks = itertools.cycle((NOW_MS, NOW_MS + 40 * DAY_MS, NOW_MS - DAY_MS))
    ledger = Ledger(database, now_ms=lambda: next(ticks))
    for number in range(9):
        assert isinstance(ledger.post(add(1000, reference=f"grant-{number}")), Posted)
        assert isinstance(ledger.post(charge(700, reference=f"use-{number}")), Posted)
        assert isinstance(ledger.post(add(1000, reference=f"grant-{number}")), AlreadyDone)
    # Of charges nobody has recorded the generations here; everything else must agree.
    assert {one.damage for one in check(database).findings} == {Damage.CHARGE_WRONG}
    assert ledger.totals(ACCOUNT).balance == 9 * 300


async def sign_in_and_jump(world: People) -> None:
    session = await world.newcomer("ada@example.com")
    people, clock = world.services, world.clock
    clock.ms += 400 * DAY_MS
    assert people.sessions.find(session.token) is None
    clock.ms -= 401 * DAY_MS
    found = people.sessions.find(session.token)
    assert found is not None, "a session from tomorrow is one all the same"
    with world.database.begin() as connection:
        token = people.tokens.mint(
            connection, Purpose.RESET_PASSWORD, found.user.id, email=None, valid_ms=DAY_MS
        )
    clock.ms += 2 * DAY_MS
    with world.database.begin() as connection:
        assert people.tokens.spend(connection, token, [Purpose.RESET_PASSWORD]) is None
    clock.ms -= 2 * DAY_MS
    for opens in (True, False):
        with world.database.begin() as connection:
            opened = people.tokens.spend(connection, token, [Purpose.RESET_PASSWORD])
        assert (opened is not None) == opens, "once, however often its time comes"


def test_sessions_and_links_end_by_the_clock_and_open_once(database: Database) -> None:
    generous = SignIn(
        sign_up="open",
        attempts_per_minute_from=0,
        attempts_per_minute_to=0,
        mails_per_minute_from=0,
        mails_per_day_to=0,
    )
    world = make_world(database, msgspec.structs.replace(Settings(), sign_in=generous))
    asyncio.run(sign_in_and_jump(world))


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
