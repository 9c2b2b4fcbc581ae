"""What a caller is told who asks how he was routed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from fairlead.core.capability import Capability
from fairlead.core.errors import ErrorType, FailureKind, FairleadError, Problem, UpstreamFailure
from fairlead.core.generation import Attempt, AttemptKind, Splice
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import NanoUSD, PicoUSD
from fairlead.core.router_metadata import (
    is_metadata_wanted,
    router_metadata,
    with_router_metadata,
)
from fairlead.core.routing.decision import Chosen, Decision
from fairlead.core.routing.preferences import NO_WISHES
from fairlead.core.routing.types import Opening, Question, Removal, Removed, Target, Traits, Why
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint

ALPHA, BETA, GAMMA = (EndpointId(f"{slug}:acme/one") for slug in ("alpha", "beta", "gamma"))
MODEL = ModelId("acme/one")
SCHEMAS = Path(__file__).parents[1] / "schemas" / "public_api.json"
SNAPSHOT = a_snapshot(
    a_model(an_endpoint("alpha"), an_endpoint("beta"), an_endpoint("gamma"), an_endpoint("far")),
    providers=(a_provider("alpha"), a_provider("beta"), a_provider("gamma")),
)
DECISION = Decision(
    question=Question((Target(MODEL),), Traits(Capability.CHAT, 10, 20, 40)),
    preferences=NO_WISHES,
    access=((ProviderSlug("alpha"), (Opening(),)),),
    facts=(),
    seed=1,
    choices=(
        Chosen(ALPHA, None, PicoUSD(1), Why.PRICE),
        Chosen(BETA, None, PicoUSD(2), Why.PRICE),
    ),
    removed=(Removed(MODEL, GAMMA, Removal.IGNORED),),
)
FAILED = Attempt(ALPHA, "alpha", "acme/one", 503, 10, "overloaded")
SERVED = Attempt(BETA, "beta", "acme/one", 200, 10)


def told(*attempts: Attempt, **more: Any) -> dict[str, Any]:
    return router_metadata(DECISION, attempts, SNAPSHOT, requested="acme/one:nitro", **more)


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, False),
        ({b"x-openrouter-metadata": b"enabled"}, True),
        ({b"x-openrouter-metadata": b" Enabled "}, True),
        ({b"x-openrouter-metadata": b"disabled"}, False),
        ({b"x-openrouter-metadata": b"1"}, False),
        ({b"x-openrouter-experimental-metadata": b"ENABLED"}, True),
        ({b"x-fairlead-metadata": b"enabled"}, True),
    ],
)
def test_only_the_word_enabled_asks_for_it(headers: dict[bytes, bytes], wanted: bool) -> None:
    assert is_metadata_wanted(headers) is wanted


def test_an_answer_after_a_fallback_is_told_in_the_documented_shape() -> None:
    assert json.loads(json.dumps(told(FAILED, SERVED, selected=SERVED))) == {
        "requested": "acme/one:nitro",
        "strategy": "direct",
        "region": None,
        "summary": "available=2, selected=Beta",
        "attempt": 2,
        "is_byok": False,
        "endpoints": {
            "total": 3,
            "available": [
                {"model": "acme/one", "provider": "Alpha", "selected": False},
                {"model": "acme/one", "provider": "Beta", "selected": True},
            ],
        },
        "attempts": [
            {"model": "acme/one", "provider": "Alpha", "status": 503, "reason": "overloaded"},
            {"model": "acme/one", "provider": "Beta", "status": 200},
        ],
    }


def test_without_an_answer_nothing_is_selected() -> None:
    metadata = told(FAILED)
    assert not any(one["selected"] for one in metadata["endpoints"]["available"])
    assert metadata["summary"] == "available=2"


def test_before_any_provider_was_asked_there_is_no_attempt() -> None:
    metadata = told()
    assert metadata["attempt"] == 0
    assert "attempts" not in metadata


def test_of_two_credentials_the_one_that_served_is_selected() -> None:
    twice = (
        Chosen(ALPHA, "own", PicoUSD(1), Why.OWN_KEY),
        Chosen(ALPHA, None, PicoUSD(1), Why.PRICE),
    )
    decision = msgspec.structs.replace(DECISION, choices=twice)
    for key, selected in (("own", [True, False]), (None, [False, True])):
        served = Attempt(ALPHA, "alpha", "acme/one", 200, 10, key=key)
        metadata = router_metadata(
            decision, (served,), SNAPSHOT, requested="acme/one", selected=served
        )
        assert metadata["is_byok"] is (key is not None)
        available = metadata["endpoints"]["available"]  # type: ignore[index] # an object
        assert [one["selected"] for one in available] == selected


@pytest.mark.parametrize("kind", list(FailureKind))
def test_an_attempt_without_an_answer_has_a_status_all_the_same(kind: FailureKind) -> None:
    (attempt,) = told(msgspec.structs.replace(FAILED, status=None, failure=kind.value))["attempts"]
    assert 400 <= attempt["status"] < 600
    assert attempt["reason"] == kind.value


def test_a_race_is_told_with_who_won_it_and_what_it_cost() -> None:
    late = Attempt(ALPHA, "alpha", "acme/one", None, 900, was_let_go=True, spend=NanoUSD(2_500_000))
    quick = msgspec.structs.replace(SERVED, kind=AttemptKind.HEDGE)
    metadata = told(late, quick, selected=quick)
    assert metadata["hedge"] == {"started": 1, "won": True, "extra_cost": 0.0025}
    assert metadata["attempts"] == [
        {"model": "acme/one", "provider": "Alpha", "status": 499, "was_let_go": True},
        {"model": "acme/one", "provider": "Beta", "status": 200, "kind": "hedge"},
    ]


def test_a_continued_answer_is_told_with_its_splices() -> None:
    splice = Splice(after=ALPHA, by=BETA, manner="prefill", characters=7)
    assert told(FAILED, SERVED, selected=SERVED, splices=[splice])["splices"] == [
        {"after": "Alpha", "by": "Beta", "manner": "prefill", "characters": 7}
    ]


def test_a_plain_call_has_neither() -> None:
    assert not {"hedge", "splices"} & told(SERVED, selected=SERVED).keys()


def test_whatever_came_of_a_call_it_is_told_as_the_public_schema_says() -> None:
    schemas = json.loads(SCHEMAS.read_text("utf-8"))
    validator = Draft202012Validator({**schemas, "$ref": "#/$defs/OpenRouterMetadata"})
    late = Attempt(ALPHA, "alpha", "acme/one", None, 900, was_let_go=True)
    hedge = msgspec.structs.replace(SERVED, kind=AttemptKind.HEDGE)
    splice = Splice(after=ALPHA, by=BETA, manner="prefill", characters=7)
    for metadata in (
        told(),
        told(FAILED),
        told(msgspec.structs.replace(FAILED, status=None), SERVED, selected=SERVED),
        told(late, hedge, selected=hedge, splices=[splice]),
    ):
        assert list(validator.iter_errors(json.loads(json.dumps(metadata)))) == []
    assert list(validator.iter_errors({"requested": "acme/one"}))


@pytest.mark.parametrize(
    "problem",
    [
        UpstreamFailure("gone", kind=FailureKind.CUT).problem(),
        UpstreamFailure("late", kind=FailureKind.TIMEOUT).problem(),
        Problem(529, ErrorType.PROVIDER_OVERLOADED, "full"),
        Problem(404, ErrorType.NOT_FOUND, "nothing is left"),
    ],
    ids=lambda problem: str(problem.status),
)
def test_a_failure_of_the_routing_tells_it(problem: Problem) -> None:
    metadata = told(FAILED)
    assert with_router_metadata(problem, metadata) == replace(problem, router_metadata=metadata)


def test_a_fault_of_our_own_does_not_and_nobody_is_told_unasked() -> None:
    ours = FairleadError("a mistake").problem()
    assert with_router_metadata(ours, told(FAILED)) == ours
    gone = UpstreamFailure("gone", kind=FailureKind.CUT).problem()
    assert with_router_metadata(gone, None) == gone
