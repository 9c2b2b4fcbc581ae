"""A decision is kept in a few bytes, is made again from them, and says when it was not."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.capability import Capability
from fairlead.core.catalog import Endpoint, Snapshot
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.decision import Decision, agrees, decision_of, replayed
from fairlead.core.routing.facts import UNKNOWN, Facts, HealthView, Standing
from fairlead.core.routing.preferences import NO_WISHES, Preferences
from fairlead.core.routing.types import (
    Access,
    Choice,
    Opening,
    Plan,
    Question,
    Removal,
    Removed,
    Target,
    Traits,
    Why,
)
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.decisions import arbitrary_decision
from tests.seeded import SEEDED

MODEL = ModelId("acme/one")
QUESTION = Question((Target(MODEL),), Traits(Capability.CHAT, 10, 20, 40))
OPEN = (Opening(),)
BAD = Facts(standing=Standing.UNSTABLE, requests_30m=7)


class Known:
    """A health view of these facts; what is asked for is noted."""

    def __init__(self, facts: dict[str, Facts]) -> None:
        self.known = facts
        self.asked: list[str] = []

    def facts(self, endpoint: EndpointId) -> Facts:
        self.asked.append(endpoint)
        return self.known.get(endpoint, UNKNOWN)


def by_every_input(
    question: Question,
    snapshot: Snapshot,
    health: HealthView,
    preferences: Preferences,
    seed: int,
    access: Access,
    *,
    can_serve: Callable[[ProviderSlug], bool],
) -> Plan:
    """Rules as simple as rules can be that depend on everything that a planner is given."""
    kept: list[Endpoint] = []
    removed: list[Removed] = []
    for target in question.targets:
        for endpoint in snapshot.models[target.model].endpoints:
            reason = None
            if endpoint.provider not in access:
                reason = Removal.NO_CREDENTIAL
            elif not can_serve(endpoint.provider):
                reason = Removal.NO_ADAPTER
            elif endpoint.provider in preferences.ignore:
                reason = Removal.IGNORED
            if reason is None:
                kept.append(endpoint)
            else:
                removed.append(Removed(target.model, endpoint.id, reason))
    kept.sort(key=lambda one: (health.facts(one.id).standing, one.prices.prompt, one.id))
    turn = seed % len(kept) if kept else 0
    kept = kept[turn:] + kept[:turn]
    return Plan(
        tuple(
            Choice(one, access[one.provider][0].key, PicoUSD(one.prices.prompt), Why.PRICE)
            for one in kept
        ),
        tuple(removed),
    )


SLUGS = ("alpha", "beta", "gamma", "delta", "mute")
SNAPSHOT = a_snapshot(
    a_model(*(an_endpoint(slug, prompt=f"0.00000{n}") for n, slug in enumerate(SLUGS, 1))),
    providers=tuple(a_provider(slug) for slug in SLUGS),
)


def speaks(provider: ProviderSlug) -> bool:
    return provider != "mute"


def decided(
    *,
    access: Access,
    facts: dict[str, Facts] | None = None,
    preferences: Preferences = NO_WISHES,
    seed: int = 0,
) -> tuple[Decision, Plan, Known]:
    health = Known(facts or {})
    plan = by_every_input(QUESTION, SNAPSHOT, health, preferences, seed, access, can_serve=speaks)
    health.asked.clear()
    kept = decision_of(QUESTION, preferences, access, health, seed, plan, SNAPSHOT)
    return kept, plan, health


def access_to(*slugs: str) -> dict[ProviderSlug, tuple[Opening, ...]]:
    return {ProviderSlug(slug): OPEN for slug in slugs}


@settings(deadline=None)
@given(SEEDED)
def test_a_decision_comes_back_from_its_bytes_as_it_was(source: random.Random) -> None:
    decision = arbitrary_decision(source)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(decision), type=Decision)
    assert again == decision
    assert msgspec.msgpack.encode(again) == msgspec.msgpack.encode(decision)


@given(
    st.sets(st.sampled_from(SLUGS)),
    st.dictionaries(st.sampled_from([f"{slug}:acme/one" for slug in SLUGS]), st.just(BAD)),
    st.lists(st.sampled_from(SLUGS), max_size=2),
    st.integers(0, 2**53 - 1),
)
def test_the_same_inputs_make_the_same_plan_again(
    opened: set[str], facts: dict[str, Facts], ignored: list[str], seed: int
) -> None:
    decision, plan, _ = decided(
        access=access_to(*opened),
        facts=facts,
        preferences=Preferences(ignore=tuple(ignored)),
        seed=seed,
    )
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(decision), type=Decision)
    again = replayed(stored, SNAPSHOT, by_every_input)
    assert agrees(stored, again)
    assert again == plan


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"facts": ((EndpointId("alpha:acme/one"), BAD),)},
        {"access": (("alpha", OPEN),)},
        {"preferences": Preferences(ignore=("beta",))},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_input_does_not_agree(changed: dict[str, object]) -> None:
    decision, plan, _ = decided(access=access_to("alpha", "beta"))
    assert agrees(decision, plan)
    other = msgspec.structs.replace(decision, **changed)
    assert not agrees(decision, replayed(other, SNAPSHOT, by_every_input))


def test_another_key_or_price_does_not_agree() -> None:
    decision, plan, _ = decided(access=access_to("alpha", "beta"))
    first, *rest = plan.choices
    for changed in ({"key": "own"}, {"price": first.price + 1}, {"why": Why.DRAWN}):
        other = msgspec.structs.replace(first, **changed)
        assert not agrees(decision, msgspec.structs.replace(plan, choices=(other, *rest)))


def test_other_preferences_make_another_plan() -> None:
    decision, _, _ = decided(access=access_to("alpha", "beta"))
    wishes = Preferences(ignore=("alpha",))
    again = replayed(decision, SNAPSHOT, by_every_input, preferences=wishes)
    assert [choice.endpoint.provider for choice in again.choices] == ["beta"]


def test_only_what_can_be_asked_is_looked_up_and_kept() -> None:
    facts = {"alpha:acme/one": BAD, "gamma:acme/one": BAD}
    decision, _, health = decided(access=access_to("alpha", "beta", "elsewhere"), facts=facts)
    assert health.asked == ["alpha:acme/one", "beta:acme/one"]
    assert decision.facts == ((EndpointId("alpha:acme/one"), BAD),)
    assert decision.access == (("alpha", OPEN), ("beta", OPEN))
    assert decision.removed == ()


def test_a_provider_that_we_did_not_speak_to_stays_so() -> None:
    """A later version may speak to it; the decision was made without."""
    decision, plan, _ = decided(access=access_to("alpha", "mute"))
    assert [one.reason for one in decision.removed] == [Removal.NO_ADAPTER]
    assert replayed(decision, SNAPSHOT, by_every_input) == plan


def test_a_plain_decision_is_small() -> None:
    """Each call keeps one; a record without it has some 400 bytes."""
    decision, _, _ = decided(access=access_to("alpha"))
    assert len(msgspec.msgpack.encode(decision)) < 160
