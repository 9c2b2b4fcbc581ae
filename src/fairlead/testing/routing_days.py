"""A day of routing on a virtual clock: the real `plan`, health, attempts and warm places in a made-up world.

    day = a_day(a_world(seed, Random(seed)), Router(), Random(seed))
    spend(day).excess

No sockets, no event loop: a heap of what happens next. A day of some ten thousand calls takes a second or two,
and the same world with the same router is the same day. What is claimed of it: `routing_claims.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heapify, heappop, heappush
from random import Random  # noqa: TID251 - only for its type: callers bring a seeded one
from typing import Final, Protocol

import msgspec

from fairlead.core.affinity import Conversation, WarmPlaces
from fairlead.core.attempts import Attempts, GiveUp, Try, Wait
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.health import EndpointOutcome, HealthBook
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import charge
from fairlead.core.routing.decision import Planner
from fairlead.core.routing.facts import HealthView
from fairlead.core.routing.planner import plan
from fairlead.core.routing.types import Choice, Question
from fairlead.core.usage import Usage
from fairlead.testing.routing_world import MIDNIGHT_S, Call, Said, World

__all__ = ["Answered", "Attempted", "Day", "Failed", "Health", "Planner", "Router", "a_day"]

TOTAL_TIMEOUT_S: Final = 600.0  # the gateway's own defaults
FIRST_TOKEN_TIMEOUT_S: Final = 300.0
CACHE_LASTS_S: Final = 300.0  # at the providers
_SEED_BITS: Final = 53


class Health(Protocol):
    """A `HealthBook`, or something in its place."""

    def at(self, now_s: float) -> HealthView: ...

    def began(self, endpoint: EndpointId, now_s: float) -> None: ...

    def waits(self, endpoint: EndpointId, now_s: float) -> None: ...

    def spoke(self, endpoint: EndpointId, waited_s: float, now_s: float) -> None: ...

    def ended(self, endpoint: EndpointId, outcome: EndpointOutcome, now_s: float) -> None: ...


@dataclass(slots=True)
class Router:
    """What decides. The defaults are the real things; a test may put something worse in a place.

    attempts_max: of a plan's choices, how many are tried; None: all.
    """

    planning: Planner = plan
    health: Health = field(default_factory=HealthBook)
    attempts_max: int | None = None
    warm: WarmPlaces = field(default_factory=WarmPlaces)


class Attempted(msgspec.Struct, frozen=True, gc=False):
    """One attempt. failure None: it brought a first token. is_probe: of an endpoint that was down."""

    call: Call
    place: int
    asked_s: float
    said: Said
    is_probe: bool


class Answered(msgspec.Struct, frozen=True, gc=False):
    """cost: of the answer, in nanodollars."""

    call: Call
    place: int
    cost: NanoUSD
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that nobody answered. tried: places; at_s: when it was given up."""

    call: Call
    at_s: float
    tried: tuple[int, ...]
    last: FailureKind | None


@dataclass(slots=True)
class Day:
    """Everything that happened, in order. misplanned: calls whose plan was not of the permitted endpoints."""

    world: World
    attempted: list[Attempted] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    misplanned: list[Call] = field(default_factory=list)

    def story(self, call: Call) -> str:
        """What happened to one call, for people."""
        arrived = _clock(call.at_s)
        lines = [f"call {call.number} at {arrived} to model {call.model}: {call.wishes.name}"]
        for one in self.attempted:
            if one.call is call:
                came = one.said.failure.value if one.said.failure else "first token"
                probe = " as a probe" if one.is_probe else ""
                asked, said = _clock(one.asked_s), _clock(one.said.at_s)
                lines.append(f"  {asked} asked {one.place}{probe}: {came} at {said}")
        lines.extend(f"  answered by {one.place}" for one in self.answered if one.call is call)
        lines.extend(f"  given up at {_clock(one.at_s)}" for one in self.failed if one.call is call)
        return "\n".join(lines)


def _clock(at_s: float) -> str:
    since_s = at_s - MIDNIGHT_S
    return f"{int(since_s // 3600):02}:{int(since_s // 60) % 60:02}:{since_s % 60:06.3f}"


def a_day(world: World, router: Router, random: Random) -> Day:
    """random: for the seeds of plans only; the world brings its own luck."""
    simulation = _Simulation(world, router, random)
    simulation.run()
    return simulation.day


class _Next(IntEnum):
    ARRIVES = 0
    HEARS = 1  # what the endpoint said
    GOES_ON = 2  # after waiting
    IS_OVER = 3


@dataclass(slots=True)
class _Run:
    """A call under way."""

    call: Call
    attempts: Attempts | None = None
    choice: Choice | None = None
    place: int = -1
    asked_s: float = 0.0
    said: Said | None = None
    tried: list[int] = field(default_factory=list)


class _Simulation:
    def __init__(self, world: World, router: Router, random: Random) -> None:
        self.day = Day(world)
        self._world = world
        self._router = router
        self._random = random
        self._order = len(world.calls)
        self._cached: dict[int, tuple[int, float, int]] = {}  # session: place, until, tokens
        self._queue: list[tuple[float, int, _Next, _Run]] = [
            (call.at_s, number, _Next.ARRIVES, _Run(call))
            for number, call in enumerate(world.calls)
        ]
        heapify(self._queue)

    def run(self) -> None:
        queue = self._queue
        while queue:
            now_s, _, what, run = heappop(queue)
            if what is _Next.ARRIVES:
                self._arrive(run, now_s)
            elif what is _Next.HEARS:
                self._hear(run, now_s)
            elif what is _Next.GOES_ON:
                self._go_on(run, now_s)
            else:
                self._end(run, now_s)

    def _push(self, at_s: float, what: _Next, run: _Run) -> None:
        self._order += 1
        heappush(self._queue, (at_s, self._order, what, run))

    def _arrive(self, run: _Run, now_s: float) -> None:
        world, call = self._world, run.call
        warm = None
        if call.session is not None:
            place = self._router.warm.find(_conversation(call.session), now_s)
            warm = None if place is None else place.warm
        planned = self._router.planning(
            Question(call.wishes.targets, call.traits, warm),
            world.snapshot,
            self._router.health.at(now_s),
            call.wishes.preferences,
            self._random.getrandbits(_SEED_BITS),
            world.access,
            can_serve=_can_serve,
        )
        planned_places = {world.places[choice.endpoint.id] for choice in planned.choices}
        if planned_places != call.wishes.permitted and (
            call.wishes.has_fallbacks or not planned_places < call.wishes.permitted
        ):
            self.day.misplanned.append(call)
        run.attempts = Attempts(
            planned.choices[: self._router.attempts_max],
            deadline_s=now_s + TOTAL_TIMEOUT_S,
            first_token_s=FIRST_TOKEN_TIMEOUT_S,
        )
        self._go_on(run, now_s)

    def _go_on(self, run: _Run, now_s: float) -> None:
        assert run.attempts is not None
        step = run.attempts.next(now_s)
        if isinstance(step, Try):
            self._ask(run, step, now_s)
        elif isinstance(step, Wait):
            self._push(step.until_s, _Next.GOES_ON, run)
        else:
            self._give_up(run, step, now_s)

    def _ask(self, run: _Run, step: Try, now_s: float) -> None:
        choice = run.choice = step.choice
        place = run.place = self._world.places[choice.endpoint.id]
        run.tried.append(place)
        run.asked_s = now_s
        self._router.health.began(choice.endpoint.id, now_s)
        self._router.health.waits(choice.endpoint.id, now_s)
        said = run.said = self._world.says(run.call, place, now_s, step.expire_at_s)
        self.day.attempted.append(Attempted(run.call, place, now_s, said, choice.is_probe))
        self._push(said.at_s, _Next.HEARS, run)

    def _hear(self, run: _Run, now_s: float) -> None:
        said, choice, attempts = run.said, run.choice, run.attempts
        assert said is not None
        assert choice is not None
        assert attempts is not None
        if said.failure is None:
            attempts.committed()
            self._router.health.spoke(choice.endpoint.id, now_s - run.asked_s, now_s)
            self._push(said.ends_s, _Next.IS_OVER, run)
            return
        outcome = EndpointOutcome(
            said.failure, retry_after_s=said.hint_s, duration_s=now_s - run.asked_s
        )
        self._router.health.ended(choice.endpoint.id, outcome, now_s)
        failure = UpstreamFailure("no", kind=said.failure, retry_after_s=said.hint_s)
        attempts.failed(choice, failure, now_s)
        self._go_on(run, now_s)

    def _end(self, run: _Run, now_s: float) -> None:
        said, choice, call = run.said, run.choice, run.call
        assert said is not None
        assert choice is not None
        outcome = EndpointOutcome(
            FailureKind.CUT if said.is_cut else None,
            first_token_s=said.at_s - run.asked_s,
            output_tokens=call.completion_tokens,
            duration_s=now_s - run.asked_s,
        )
        self._router.health.ended(choice.endpoint.id, outcome, now_s)
        usage = self._usage(run, now_s)
        cost = charge(usage, choice.endpoint.prices, at_s=call.at_s).total
        self.day.answered.append(Answered(call, run.place, cost, said.is_cut))
        if call.session is not None and not said.is_cut:
            conversation = _conversation(call.session)
            self._router.warm.succeeded(conversation, choice.endpoint, usage, now_s)

    def _usage(self, run: _Run, now_s: float) -> Usage:
        """What the provider counts: a conversation's beginning is read from the cache where it is."""
        call = run.call
        cached = 0
        if call.session is not None:
            place, until_s, tokens = self._cached.get(call.session, (-1, 0.0, 0))
            assert run.choice is not None
            if run.choice.endpoint.prices.input_cache_read is not None:
                if place == run.place and run.asked_s <= until_s:
                    cached = min(tokens, call.prompt_tokens)
                kept = (run.place, now_s + CACHE_LASTS_S, call.prompt_tokens)
                self._cached[call.session] = kept
        return Usage(
            prompt=call.prompt_tokens - cached,
            cache_read=cached,
            completion=call.completion_tokens,
        )

    def _give_up(self, run: _Run, step: GiveUp, now_s: float) -> None:
        last = step.failures[-1][1].kind if step.failures else None
        self.day.failed.append(Failed(run.call, now_s, tuple(run.tried), last))


def _conversation(session: int) -> Conversation:
    return Conversation(session.to_bytes(16, "big"), has_session=True)


def _can_serve(provider: ProviderSlug) -> bool:
    del provider
    return True
