"""What is claimed of a simulated day, worked out from its log by other means than routing's own.

Each function says what was seen against the claim; a test says how much of it is too much.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fairlead.testing.routing_days import FIRST_TOKEN_TIMEOUT_S, Attempted, Day, Failed
from fairlead.testing.routing_world import Call, Death, World

__all__ = ["Afterlife", "Spend", "afterlives", "lost_needlessly", "spend", "staying"]

GRACE_S: Final = 30.0  # until a death should have been noticed
IN_USE_SHARE: Final = 0.1  # of its model's calls before its death: who had less is not missed


def lost_needlessly(day: Day) -> Iterator[tuple[Failed, list[int]]]:
    """Calls that failed although an endpoint that may serve them was well: with the places of those.

    Well is who was never asked, and would have answered at the moment when the call was given up. Left out are
    bad requests, which every endpoint refuses, and callers who wanted no fallbacks.
    """
    for failed in day.failed:
        call = failed.call
        if call.is_bad or not call.wishes.has_fallbacks:
            continue
        well = [
            place
            for place in call.wishes.permitted
            if place not in failed.tried
            and day.world.would_answer(call, place, failed.at_s, patience_s=FIRST_TOKEN_TIMEOUT_S)
        ]
        if well:
            yield failed, well


@dataclass(frozen=True, slots=True)
class Spend:
    """Picodollars, of the same calls."""

    ours: int
    oracles: int

    @property
    def excess(self) -> float:
        return self.ours / self.oracles - 1.0


def spend(day: Day) -> Spend:
    """Of calls sorted by price, against an oracle who knows the future.

    The oracle sends each call, when it arrives, to whichever permitted endpoint answers it for the least: he
    knows who is alive, who will not break off, and how long the answer will be. Only calls count that were
    answered in full here and by him.
    """
    world = day.world
    ours = oracles = 0
    for answered in day.answered:
        call = answered.call
        if not call.wishes.is_price_sorted or answered.is_cut:
            continue
        costs = sorted((_cost(world, call, place), place) for place in call.wishes.permitted)
        for cost, place in costs:
            said = world.says(call, place, call.at_s, call.at_s + FIRST_TOKEN_TIMEOUT_S)
            if said.failure is None and not said.is_cut:
                ours += _cost(world, call, answered.place)
                oracles += cost
                break
    return Spend(ours, oracles)


def _cost(world: World, call: Call, place: int) -> int:
    prices = world.offers[place].endpoint.prices
    return call.prompt_tokens * prices.prompt + call.completion_tokens * prices.completion


@dataclass(frozen=True, slots=True)
class Afterlife:
    """How a watched death was dealt with.

    before: the endpoint's share of its model's calls in the minute before. calls: of those who were free to go
    elsewhere, more than GRACE_S into its death, while traffic was dense. asked: of these, how many asked it.
    back_after_s: from its recovery to the first token of a call that asked it since; None: none did. after: its
    share of calls in the second minute after its recovery.
    """

    death: Death
    before: float
    calls: int
    asked: int
    back_after_s: float | None
    after: float

    @property
    def was_in_use(self) -> bool:
        return self.before >= IN_USE_SHARE


def afterlives(day: Day) -> Iterator[Afterlife]:
    for death in day.world.deaths:
        calls = [
            call
            for call in day.world.calls
            if call.model == death.model
            and death.is_dense_at(call.at_s)
            and _is_free(day.world, call, death)
        ]
        numbers = {call.number for call in calls}
        asked = [
            one for one in day.attempted if one.place == death.place and one.call.number in numbers
        ]
        before = [call for call in calls if call.at_s < death.start_s]
        during = [call for call in calls if death.start_s + GRACE_S <= call.at_s < death.end_s]
        after = [call for call in calls if call.at_s >= death.end_s + 60.0]
        yield Afterlife(
            death,
            before=_share(asked, before),
            calls=len(during),
            asked=_count(asked, during),
            back_after_s=_back(asked, death),
            after=_share(asked, after),
        )


def _is_free(world: World, call: Call, death: Death) -> bool:
    """Whether its caller lets us choose, and somebody else would have answered it."""
    if call.wishes.is_bound or death.place not in call.wishes.permitted:
        return False
    return any(
        world.would_answer(call, place, call.at_s, patience_s=FIRST_TOKEN_TIMEOUT_S)
        for place in call.wishes.permitted
        if place != death.place
    )


def _count(asked: list[Attempted], calls: list[Call]) -> int:
    numbers = {call.number for call in calls}
    return sum(1 for one in asked if one.call.number in numbers)


def _share(asked: list[Attempted], calls: list[Call]) -> float:
    return _count(asked, calls) / len(calls) if calls else 0.0


def _back(asked: list[Attempted], death: Death) -> float | None:
    moments = [
        one.said.at_s - death.end_s
        for one in asked
        if one.asked_s >= death.end_s and one.said.failure is None
    ]
    return min(moments, default=None)


def staying(day: Day) -> tuple[int, int]:
    """Of conversations' calls after their first: how many there were, and how many stayed where they were."""
    last: dict[int, int] = {}
    turns = stayed = 0
    for answered in day.answered:
        session = answered.call.session
        if session is None:
            continue
        if session in last:
            turns += 1
            stayed += last[session] == answered.place
        last[session] = answered.place
    return turns, stayed
