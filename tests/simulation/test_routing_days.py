"""Simulated days of routing: a thousand endpoints that slow down, flap, rate-limit and die by seed.

The plan, the health book, the attempts and the warm places are the real ones. `testing/routing_days.py` has the
clock, `testing/routing_world.py` what happens to endpoints and who calls, `testing/routing_claims.py` what is
counted, and how. The seed is the test's id, and the same seed is the same day, so a failure replays:

    pytest "tests/simulation/test_routing_days.py::test_a_day_keeps_its_claims[seed-17]"
"""

from __future__ import annotations

import gc
from collections import Counter
from functools import cache
from random import Random

import pytest

from fairlead.core.health import HealthBook
from fairlead.core.ids import EndpointId
from fairlead.core.routing.facts import UNKNOWN, Facts, HealthView, Standing
from fairlead.core.routing.planner import plan
from fairlead.core.routing.types import Plan
from fairlead.testing.routing_claims import afterlives, lost_needlessly, spend, staying
from fairlead.testing.routing_days import Day, Router, a_day
from fairlead.testing.routing_making import a_world
from fairlead.testing.routing_world import Trouble

SEEDS = 50
SEEDS_OF_A_SHORT_RUN = 3
EXCESS_MAX = 0.03
DEAD_SHARE_MAX = 0.01
BACK_WITHIN_S = 60.0
STORIES_TOLD = 3


def _seeds() -> list[object]:
    return [
        pytest.param(
            seed,
            id=f"seed-{seed}",
            marks=() if seed < SEEDS_OF_A_SHORT_RUN else pytest.mark.sim,
        )
        for seed in range(SEEDS)
    ]


def _day(seed: int, router: Router) -> Day:
    # A day makes next to no cycles; looking for them would be a sixth of its time.
    gc.disable()
    try:
        return a_day(a_world(seed, Random(seed)), router, Random(seed))
    finally:
        gc.enable()


@cache
def _a_usual_day() -> Day:
    return _day(0, Router())


def _needless_losses(day: Day) -> list[str]:
    return [
        f"{day.story(failed.call)}\n  would have answered: {well}"
        for failed, well in lost_needlessly(day)
    ]


def _dead_share(day: Day) -> float:
    """Of the calls that somebody else could answer, how many asked an endpoint half a minute dead or more."""
    lives = list(afterlives(day))
    return sum(life.asked for life in lives) / sum(life.calls for life in lives)


def _slow_returns(day: Day) -> list[str]:
    """Of endpoints that were in use before they died, and were not back in time."""
    return [
        f"{life.death}: {life.back_after_s}"
        for life in afterlives(day)
        if life.was_in_use and (life.back_after_s is None or life.back_after_s > BACK_WITHIN_S)
    ]


def _use_again(day: Day) -> float:
    """What endpoints get of their models' calls a minute after their return, by what they got before."""
    lives = [life for life in afterlives(day) if life.was_in_use]
    return sum(life.after for life in lives) / sum(life.before for life in lives)


@pytest.mark.parametrize("seed", _seeds())
def test_a_day_keeps_its_claims(seed: int) -> None:
    """No call fails while a permitted endpoint is well; calls sorted by price cost at most 3 % more than an
    oracle pays; an endpoint dead for 30 s gets under 1 % of its model's calls, and is back within 60 s."""
    day = _day(seed, Router())
    assert day.misplanned == []
    losses = _needless_losses(day)
    assert not losses, "\n".join([f"{len(losses)} calls, such as", *losses[:STORIES_TOLD]])
    assert spend(day).excess <= EXCESS_MAX
    assert _dead_share(day) < DEAD_SHARE_MAX, "\n".join(map(str, afterlives(day)))
    assert _slow_returns(day) == []


def test_the_same_seed_is_the_same_day() -> None:
    again = _day(0, Router())
    assert again.attempted == _a_usual_day().attempted
    assert again.answered == _a_usual_day().answered
    assert again.failed == _a_usual_day().failed


def test_a_day_is_eventful() -> None:
    """A day on which nothing happened would show nothing."""
    day = _a_usual_day()
    assert len(day.world.offers) == 1000
    assert len(day.world.calls) > 8000
    wishes = Counter(call.wishes.name for call in day.world.calls)
    assert len(wishes) == 12
    assert wishes["sort price"] > 1000
    asked = {one.place for one in day.attempted}
    troubles = Counter(spell.trouble for place in asked for spell in day.world.offers[place].spells)
    assert set(troubles) == set(Trouble)
    assert sum(1 for one in day.attempted if one.said.failure is not None) > 300
    assert sum(1 for one in day.attempted if one.is_probe) > 10
    assert sum(life.was_in_use and life.calls > 200 for life in afterlives(day)) >= 3
    turns, stayed = staying(day)
    assert stayed > turns / 2 > 0


def test_a_call_that_failed_is_told_of_for_people() -> None:
    day = _a_usual_day()
    told = day.story(next(failed.call for failed in day.failed if failed.tried))
    assert "asked" in told
    assert "given up at" in told


# --- each claim can fail --------------------------------------------------------------------------------


class Blindness(HealthBook):
    """Learns nothing."""

    def at(self, now_s: float) -> HealthView:  # type: ignore[override] # anything that answers
        del now_s
        return self

    def facts(self, endpoint: EndpointId) -> Facts:
        del endpoint
        return UNKNOWN


class Grudge(HealthBook):
    """Whoever was once down stays down."""

    def __init__(self) -> None:
        super().__init__()
        self._down: set[EndpointId] = set()
        self._view: HealthView = super().at(0.0)

    def at(self, now_s: float) -> HealthView:  # type: ignore[override] # as above
        self._view = super().at(now_s)
        return self

    def facts(self, endpoint: EndpointId) -> Facts:
        facts = self._view.facts(endpoint)
        if facts.standing is Standing.DOWN:
            self._down.add(endpoint)
        return Facts(Standing.DOWN) if endpoint in self._down else facts


def _dearest_first(*question: object, **rest: object) -> Plan:
    planned = plan(*question, **rest)  # type: ignore[arg-type] # as they come
    return Plan(planned.choices[::-1], planned.removed)


def _one_too_many(*question: object, **rest: object) -> Plan:
    """Forgets the last endpoint that may serve."""
    planned = plan(*question, **rest)  # type: ignore[arg-type] # as they come
    return Plan(planned.choices[:-1] or planned.choices, planned.removed)


def test_without_health_a_dead_endpoint_goes_on_being_asked() -> None:
    assert _dead_share(_day(0, Router(health=Blindness()))) > 10 * DEAD_SHARE_MAX


def test_a_router_that_never_forgets_leaves_endpoints_unused() -> None:
    day = _day(0, Router(health=Grudge()))
    assert _slow_returns(day)
    assert _use_again(day) < 0.5 < _use_again(_a_usual_day())


def test_a_router_that_gives_up_at_once_loses_calls() -> None:
    losses = _needless_losses(_day(0, Router(attempts_max=1)))
    assert len(losses) > 50
    assert "would have answered" in losses[0]


def test_a_router_that_does_not_look_at_prices_spends_more() -> None:
    assert spend(_day(0, Router(planning=_dearest_first))).excess > 10 * EXCESS_MAX


def test_a_router_that_forgets_endpoints_is_seen() -> None:
    assert _day(0, Router(planning=_one_too_many)).misplanned
