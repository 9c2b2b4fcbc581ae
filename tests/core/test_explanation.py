"""Every endpoint of every model asked for has its place, or a reason in words why it has none."""

from __future__ import annotations

import json
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.control.catalog.files import load_seed
from fairlead.core.capability import Capability
from fairlead.core.explanation import document, explained
from fairlead.core.generation import Attempt
from fairlead.core.health import HealthBook
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.decision import Chosen, Decision, decision_of
from fairlead.core.routing.facts import Facts, Percentiles, Standing
from fairlead.core.routing.planner import plan
from fairlead.core.routing.preferences import MaxPrice, Preferences, Sort
from fairlead.core.routing.types import (
    INSTALLATION,
    Opening,
    Question,
    Removal,
    Removed,
    Target,
    Traits,
    Warm,
    Why,
)
from fairlead.core.routing.words import REMOVALS, WHYS
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.decisions import arbitrary_decision
from tests.seeded import SEEDED

ALPHA, BETA, GAMMA = (EndpointId(f"{slug}:acme/one") for slug in ("alpha", "beta", "gamma"))
MODEL = ModelId("acme/one")
SNAPSHOT = a_snapshot(
    a_model(an_endpoint("alpha"), an_endpoint("beta"), an_endpoint("gamma")),
    providers=(a_provider("alpha"), a_provider("beta"), a_provider("gamma")),
)
SLOW = Facts(
    standing=Standing.DEGRADED, latency_s=Percentiles(0.5, 1.0, 1.5, 2.25), requests_30m=12
)
DECISION = Decision(
    question=Question(
        (Target(MODEL, ("nitro",)),), Traits(Capability.CHAT, 10, 20, 40), Warm(ALPHA, 9)
    ),
    preferences=Preferences(ignore=("beta",), max_price=MaxPrice(prompt=PicoUSD(2_000_000))),
    access=((ProviderSlug("alpha"), (Opening(),)), (ProviderSlug("beta"), (Opening(),))),
    facts=((ALPHA, SLOW),),
    seed=42,
    choices=(Chosen(ALPHA, None, PicoUSD(50_000_000), Why.STICKY),),
    removed=(Removed(MODEL, BETA, Removal.IGNORED, "`provider.ignore` has beta."),),
)
ATTEMPTS = (Attempt(ALPHA, "alpha", "acme/one", None, 1200, "timeout"),)


def shown(**changes: object) -> dict[str, object]:
    told = document(
        msgspec.structs.replace(DECISION, **changes),
        SNAPSHOT,
        requested="acme/one:nitro",
        catalog_version="test",
        attempts=ATTEMPTS,
        selected=ATTEMPTS[0],
    )
    return json.loads(json.dumps(told))  # type: ignore[no-any-return] # an object


@pytest.mark.parametrize("reason", list(Removal))
def test_every_reason_against_an_endpoint_has_words(reason: Removal) -> None:
    assert REMOVALS[reason].endswith(".")


@pytest.mark.parametrize("why", list(Why))
def test_every_reason_for_a_place_has_words(why: Why) -> None:
    assert WHYS[why].endswith(".")


def test_endpoints_are_at_their_place_or_left_out_with_a_reason() -> None:
    told = explained(DECISION, SNAPSHOT)
    assert told.is_whole
    assert [(one.place, one.offer.endpoint, one.facts) for one in told.candidates] == [
        (1, ALPHA, SLOW)
    ]
    assert [(one.offer.endpoint, one.reason) for one in told.left_out] == [
        (BETA, Removal.IGNORED),
        (GAMMA, Removal.NO_CREDENTIAL),
    ]
    ignored = told.left_out[0]
    assert ignored.words == "The request leaves this provider out. `provider.ignore` has beta."
    seen = msgspec.structs.replace(ignored, detail="it has beta")
    assert seen.words == "The request leaves this provider out: it has beta."


def test_what_opens_a_provider_is_named() -> None:
    told = explained(DECISION, SNAPSHOT).left_out[-1]
    assert told.words == "No credential for this provider is configured here. Set GAMMA_API_KEY."


def test_a_provider_without_a_key_is_opened_by_a_table() -> None:
    engine = msgspec.structs.replace(a_provider("gamma"), auth_env=(), kind="local")
    snapshot = a_snapshot(*SNAPSHOT.models.values(), providers=(engine,))
    assert "[providers.gamma]" in explained(DECISION, snapshot).left_out[-1].detail


@given(
    st.dictionaries(
        st.sampled_from([ALPHA, BETA, GAMMA]),
        st.one_of(st.sampled_from(list(Why)), st.sampled_from(list(Removal))),
    )
)
def test_no_endpoint_is_without_an_explanation(
    fates: dict[EndpointId, Why | Removal],
) -> None:
    choices = [Chosen(e, None, PicoUSD(1), w) for e, w in fates.items() if isinstance(w, Why)]
    removed = [Removed(MODEL, e, r) for e, r in fates.items() if isinstance(r, Removal)]
    told = explained(
        msgspec.structs.replace(DECISION, choices=tuple(choices), removed=tuple(removed)), SNAPSHOT
    )
    chosen = [one.offer.endpoint for one in told.candidates]
    left_out = [one.offer.endpoint for one in told.left_out]
    assert sorted(chosen + left_out) == [ALPHA, BETA, GAMMA]
    assert all(one.words for one in told.left_out)


def test_in_the_whole_catalogue_no_endpoint_is_without_an_explanation() -> None:
    """By the rules themselves, with some providers open and wishes that leave out some of what is left."""
    source, seed = random.Random(5), load_seed()
    health = HealthBook().at(0)
    wishes = [
        Preferences(),
        Preferences(sort=Sort.PRICE, allow_fallbacks=False),
        Preferences(no_training=True, require_parameters=True),
        Preferences(max_price=MaxPrice(prompt=PicoUSD(1_000_000)), quantizations=("fp8",)),
    ]
    reasons = set()
    for model in seed.models.values():
        providers = sorted({endpoint.provider for endpoint in model.endpoints})
        opened = source.sample(providers, source.randint(0, len(providers)))
        access = dict.fromkeys(opened, INSTALLATION)
        traits = Traits(Capability.CHAT, 10, 500, 40, parameters=("seed", "tools"))
        question = Question((Target(model.id),), traits)
        preferences = source.choice(wishes)
        chosen = plan(question, seed, health, preferences, 1, access, can_serve=bool)
        decision = decision_of(question, preferences, access, health, 1, chosen, seed)
        told = explained(decision, seed)
        chosen_ids = [one.offer.endpoint for one in told.candidates]
        left_out = [one.offer.endpoint for one in told.left_out]
        assert sorted(chosen_ids + left_out) == sorted(one.id for one in model.endpoints)
        reasons |= {one.reason for one in told.left_out}
    assert len(reasons) >= 5


def test_an_endpoint_with_two_credentials_has_two_places_and_is_not_left_out() -> None:
    twice = (
        Chosen(ALPHA, "own", PicoUSD(1), Why.OWN_KEY),
        Chosen(ALPHA, None, PicoUSD(1), Why.PRICE),
    )
    told = shown(choices=twice)
    candidates = told["candidates"]
    assert isinstance(candidates, list)
    assert [(one["place"], one["is_byok"]) for one in candidates] == [(1, True), (2, False)]
    assert [one["selected"] for one in candidates] == [False, True]


def test_the_document_shows_inputs_and_outcome() -> None:
    told = shown()
    assert told["requested"] == "acme/one:nitro"
    assert told["seed"] == 42
    assert told["models"] == [{"model": "acme/one", "variants": ["nitro"]}]
    assert told["warm"] == {"endpoint_id": ALPHA, "cached_tokens": 9}
    assert told["preferences"] == {"ignore": ["beta"], "max_price": {"prompt": "0.000002"}}
    assert told["attempts"] == [
        {
            "endpoint_id": ALPHA,
            "model": "acme/one",
            "provider": "alpha",
            "status": None,
            "latency_ms": 1200,
            "failure": "timeout",
            "kind": "turn",
            "is_byok": False,
            "was_let_go": False,
            "extra_cost": 0,
        }
    ]


def test_a_candidate_shows_what_it_was_judged_by() -> None:
    candidates = shown()["candidates"]
    assert isinstance(candidates, list)
    (only,) = candidates
    assert only["why"] == "sticky"
    assert only["expected_cost"] == "0.00005"
    assert only["provider_name"] == "Alpha"
    assert only["facts"]["standing"] == "degraded"
    assert only["facts"]["latency_ms"] == {"p50": 500, "p75": 1000, "p90": 1500, "p99": 2250}
    assert only["facts"]["tokens_per_second"] is None


def test_without_its_catalogue_a_decision_tells_what_it_has() -> None:
    told = explained(DECISION, None)
    assert not told.is_whole
    assert [one.offer.provider for one in told.candidates] == ["alpha"]
    assert [one.offer.model for one in told.candidates] == ["acme/one"]
    assert [one.reason for one in told.left_out] == [Removal.IGNORED]


@settings(deadline=None)
@given(SEEDED)
def test_any_decision_has_a_document(source: random.Random) -> None:
    for snapshot in (None, SNAPSHOT):
        told = document(
            arbitrary_decision(source), snapshot, requested="any", catalog_version="test"
        )
        assert json.loads(json.dumps(told))["seed"] == told["seed"]
