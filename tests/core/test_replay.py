"""Stored decisions come out as they were, by the rules themselves; other wishes are weighed without a token."""

from __future__ import annotations

import random
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings

from fairlead.core.capability import Capability
from fairlead.core.catalog import DataPolicy
from fairlead.core.generation import Attempt, Generation, Outcome
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import NanoUSD, PicoUSD
from fairlead.core.replay import DIFFERING_SHOWN_MAX, Measured, Replay, Report, Wishes
from fairlead.core.routing.decision import Decision, decision_of
from fairlead.core.routing.facts import UNKNOWN, Facts, Percentiles, Standing
from fairlead.core.routing.planner import plan
from fairlead.core.routing.preferences import (
    NO_WISHES,
    Bounds,
    MaxPrice,
    Partition,
    Preferences,
    Sort,
)
from fairlead.core.routing.types import Opening, Question, Target, Traits, Warm
from fairlead.core.usage import Usage
from fairlead.store.records import pack, unpack
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.generations import plain_generation
from tests.seeded import SEEDED

SLUGS: Final = ("alpha", "beta", "gamma", "delta", "mute")
MODELS: Final = ("acme/one", "acme/two")
KEEPS_NOTHING: Final = DataPolicy(trains_on_prompts=False, retains_prompts=False)
SNAPSHOT: Final = a_snapshot(
    *(
        a_model(
            *(
                an_endpoint(
                    slug,
                    model=model,
                    prompt=f"0.00000{number}",
                    completion=f"0.0000{number}",
                    context_length=1000 * number,
                    max_completion_tokens=400 * number,
                    quantization=("fp8", "bf16", "unknown")[number % 3],
                )
                for number, slug in enumerate(SLUGS, 1)
            ),
            slug=model,
        )
        for model in MODELS
    ),
    providers=tuple(
        msgspec.structs.replace(
            a_provider(slug), data_policy=KEEPS_NOTHING if slug == "beta" else DataPolicy()
        )
        for slug in SLUGS
    ),
)
HOUR: Final = 1_763_700_000.25


class Known:
    def __init__(self, facts: dict[EndpointId, Facts]) -> None:
        self._facts = facts

    def facts(self, endpoint: EndpointId) -> Facts:
        return self._facts.get(endpoint, UNKNOWN)


def speaks(provider: ProviderSlug) -> bool:
    return provider != "mute"


def arbitrary_wishes(source: random.Random) -> Preferences:
    def flag() -> bool:
        return source.random() < 0.2

    def some() -> tuple[str, ...]:
        return tuple(source.sample(SLUGS, source.choice((0, 0, 1, 2))))

    return Preferences(
        order=some(),
        only=some() or None,
        ignore=some(),
        allow_fallbacks=not flag(),
        require_parameters=flag(),
        no_training=flag(),
        zdr=flag(),
        quantizations=("fp8", "bf16") if flag() else (),
        sort=source.choice((None, None, *Sort)),
        partition=source.choice(list(Partition)),
        max_price=MaxPrice(prompt=PicoUSD(3_000_000)) if flag() else None,
        preferred_max_latency=Bounds(p90=1.0) if flag() else None,
        preferred_min_throughput=Bounds(p50=40.0) if flag() else None,
        ignored_providers=some() if flag() else (),
        no_paid_training=flag(),
        default_sort=source.choice((None, *Sort)),
    )


def arbitrary_call(source: random.Random) -> Decision:
    """One decision as the rules make it, and as it is stored."""
    access = {
        ProviderSlug(slug): tuple(
            Opening(key=source.choice((None, "own")), is_fallback=source.random() < 0.3)
            for _ in range(source.choice((1, 1, 2)))
        )
        for slug in source.sample(SLUGS, source.randint(0, len(SLUGS)))
    }
    endpoints = [one.id for model in SNAPSHOT.models.values() for one in model.endpoints]
    health = Known(
        {
            endpoint: Facts(
                standing=source.choice(list(Standing)),
                latency_s=Percentiles(*sorted(source.random() * 3 for _ in range(4))),
                throughput=Percentiles(*sorted(source.random() * 90 for _ in range(4))),
                requests_30m=source.randint(0, 500),
                tool_requests_2h=source.randint(0, 300),
                tool_errors_2h=source.randint(0, 30),
            )
            for endpoint in source.sample(endpoints, source.randint(0, len(endpoints)))
        }
    )
    characters = source.choice((10, 4000, 30_000))
    question = Question(
        targets=tuple(
            Target(ModelId(model), tuple(source.sample(("nitro", "floor"), source.choice((0, 1)))))
            for model in source.sample(MODELS, source.choice((1, 2)))
        ),
        traits=Traits(
            Capability.CHAT,
            characters // 4,
            500,
            characters,
            max_tokens=source.choice((None, 100, 1500)),
            parameters=source.choice(((), ("tools",), ("seed", "temperature"))),
        ),
        warm=source.choice((None, Warm(source.choice(endpoints), 100))),
    )
    preferences, seed = arbitrary_wishes(source), source.getrandbits(53)
    chosen = plan(question, SNAPSHOT, health, preferences, seed, access, can_serve=speaks)
    return decision_of(question, preferences, access, health, seed, chosen, SNAPSHOT)


def stored(decision: Decision | None, number: int = 1, **changes: object) -> Generation:
    return unpack(pack(plain_generation(number, decision=decision, **changes)))


def replayed(*generations: Generation, wishes: Wishes | None = None) -> Report:
    measured = Measured()
    for generation in generations:
        measured.note(generation)
    replay = Replay(plan, measured, wishes)
    for generation in generations:
        replay.add(generation, SNAPSHOT)
    return replay.report()


@settings(deadline=None)
@given(SEEDED)
def test_every_stored_decision_comes_out_as_it_was(source: random.Random) -> None:
    report = replayed(*(stored(arbitrary_call(source), number) for number in range(5)))
    assert (report.replayed, report.agreeing, report.differing) == (5, 5, ())


def test_a_thousand_mixed_calls_come_out_as_they_were() -> None:
    source = random.Random(20_261_121)
    report = replayed(*(stored(arbitrary_call(source), number) for number in range(1000)))
    assert (report.replayed, report.agreeing) == (1000, 1000)


def test_one_that_was_tampered_with_is_named() -> None:
    decision = plain_decision()
    wrong = msgspec.structs.replace(decision, choices=decision.choices[::-1])
    report = replayed(stored(wrong, 7), stored(decision, 8))
    assert (report.replayed, report.agreeing) == (2, 1)
    assert report.differing == (plain_generation(7).id,)


def test_only_so_many_that_differ_are_named() -> None:
    decision = plain_decision()
    wrong = msgspec.structs.replace(decision, choices=())
    report = replayed(*(stored(wrong, number) for number in range(DIFFERING_SHOWN_MAX + 5)))
    assert report.agreeing == 0
    assert len(report.differing) == DIFFERING_SHOWN_MAX


def test_what_cannot_be_replayed_is_counted_by_its_cause() -> None:
    decision = plain_decision()
    replay = Replay(plan, Measured())
    replay.add(stored(None), SNAPSHOT)
    replay.add(stored(decision), None)
    replay.add(stored(decision), a_snapshot())
    replay.add(stored(msgspec.structs.replace(decision, version=0)), SNAPSHOT)
    report = replay.report()
    assert report.generations == 4
    assert (report.undecided, report.without_catalogue, report.of_other_rules) == (1, 2, 1)
    assert report.replayed == 0


# --- other wishes -------------------------------------------------------------------------------------

ALPHA, BETA = EndpointId("alpha:acme/one"), EndpointId("beta:acme/one")
USED: Final = Usage(prompt=1000, completion=100)


def plain_decision(facts: dict[EndpointId, Facts] | None = None) -> Decision:
    """Alpha is first, because it is cheaper: $1 and $10 a million there, $2 and $20 at beta."""
    access = {ProviderSlug(slug): (Opening(),) for slug in ("alpha", "beta")}
    question = Question((Target(ModelId("acme/one")),), Traits(Capability.CHAT, 10, 20, 40))
    wishes, health = Preferences(sort=Sort.PRICE), Known(facts or {})
    chosen = plan(question, SNAPSHOT, health, wishes, 0, access, can_serve=speaks)
    return decision_of(question, wishes, access, health, 0, chosen, SNAPSHOT)


def call(number: int, *attempts: Attempt, **changes: object) -> Generation:
    served: dict[str, object] = {
        "usage": USED,
        "cost": NanoUSD(2_000_000),
        "attempts": attempts or (Attempt(ALPHA, "alpha", "acme/one", 200, 300),),
        "latency_ms": 300,
        "decision": plain_decision(),
    }
    return plain_generation(number, **(served | changes))


PREFER_BETA: Final = Wishes(Preferences(order=("beta",)), frozenset({"order"}))


def test_the_cost_is_what_was_used_at_the_prices_of_the_new_first_choice() -> None:
    report = replayed(call(1), wishes=PREFER_BETA)
    assert (report.moved, report.unchanged, report.costed) == (1, 0, 1)
    assert report.cost_before == 2_000_000
    assert report.cost_after == 4_000_000


def test_a_call_that_stays_keeps_what_it_cost_and_took() -> None:
    stays = Wishes(Preferences(order=("alpha",)), frozenset({"order"}))
    report = replayed(call(1), wishes=stays)
    assert (report.moved, report.unchanged) == (0, 1)
    assert report.cost_before == report.cost_after == 2_000_000
    assert report.latency_before_ms == report.latency_after_ms == 300
    assert report.judged == 0


def test_a_call_that_was_free_because_it_failed_has_no_part_in_the_cost() -> None:
    report = replayed(call(1, outcome=Outcome.FAILED, cost=NanoUSD(0)), wishes=PREFER_BETA)
    assert (report.moved, report.costed, report.cost_after) == (1, 0, 0)


def test_latency_and_failures_are_those_measured_there_in_the_same_hour() -> None:
    of_beta = [
        call(2, Attempt(BETA, "beta", "acme/one", 200, 100), decision=None),
        call(3, Attempt(BETA, "beta", "acme/one", 200, 200), decision=None),
        call(4, Attempt(BETA, "beta", "acme/one", 503, 9, "overloaded"), decision=None),
        call(5, Attempt(BETA, "beta", "acme/one", 400, 9, "bad_request"), decision=None),
        call(6, Attempt(BETA, "beta", "acme/one", None, 9, was_let_go=True), decision=None),
        call(
            7,
            Attempt(BETA, "beta", "acme/one", 200, 9000),
            decision=None,
            created_s=HOUR + 2 * 3600,
        ),
    ]
    first_failed = (
        Attempt(ALPHA, "alpha", "acme/one", 503, 5, "overloaded"),
        Attempt(BETA, "beta", "acme/one", 200, 300),
    )
    report = replayed(call(1, *first_failed), *of_beta, wishes=PREFER_BETA)
    assert (report.timed, report.latency_before_ms) == (1, 300)
    assert report.latency_after_ms == pytest.approx((100 + 200 + 300) / 3)
    assert (report.judged, report.failures_before) == (1, 1)
    assert report.failures_after == pytest.approx(1 / 4)


def test_latency_that_nobody_measured_is_what_the_decision_knew() -> None:
    knew = plain_decision({BETA: Facts(latency_s=Percentiles(0.125, 1, 2, 3))})
    report = replayed(call(1, decision=knew), wishes=PREFER_BETA)
    assert (report.timed, report.latency_after_ms) == (1, 125)
    report = replayed(call(1), wishes=PREFER_BETA)
    assert (report.timed, report.judged) == (0, 0)


def test_wishes_that_leave_nothing_are_told_as_refusals() -> None:
    nobody = Wishes(Preferences(only=("gamma",)), frozenset({"only"}))
    report = replayed(call(1), wishes=nobody)
    assert (report.refused, report.moved, report.unchanged, report.costed) == (1, 0, 0, 0)


def test_only_what_is_named_changes_and_protection_is_never_taken_away() -> None:
    wishes = Wishes(NO_WISHES, frozenset({"zdr", "no_training", "sort"}))
    before = Preferences(zdr=True, sort=Sort.LATENCY, ignore=("alpha",))
    assert wishes.put_on(before) == Preferences(zdr=True, ignore=("alpha",))
