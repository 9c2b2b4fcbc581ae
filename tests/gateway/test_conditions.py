"""What a caller reads when the conditions of a request leave no endpoint."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.errors import ModelUnavailable
from fairlead.core.ids import EndpointId
from fairlead.core.routing.preferences import NO_WISHES, Preferences
from fairlead.core.routing.types import Removal, Removed
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.gateway.refusals import no_endpoints
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import GatewayInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream
from fairlead.testing.vtime import run_simulated

PROVIDERS = tuple(a_provider(slug) for slug in ("one", "two", "three"))
REQUEST = OpenAIChat().decode(b'{"model":"acme/one","messages":[{"role":"user","content":"Hi"}]}')

MODEL = a_model(
    an_endpoint("one"),
    an_endpoint("two"),
    an_endpoint("three"),
    msgspec.structs.replace(an_endpoint("two", tag="two/priority"), tier="priority"),
)
ONE, TWO, THREE, TIER = MODEL.endpoints


def refused(
    *removed: tuple[EndpointId, Removal, str], wishes: Preferences = NO_WISHES
) -> ModelUnavailable:
    """What is said when these endpoints are out for these reasons, each with its detail."""
    snapshot = a_snapshot(MODEL, providers=PROVIDERS)
    gone = [Removed(MODEL.id, endpoint, reason, detail) for endpoint, reason, detail in removed]
    return no_endpoints(REQUEST, MODEL, gone, snapshot, lambda _: True, wishes)


def test_who_names_providers_is_told_who_serves_the_model_and_who_is_permitted() -> None:
    error = refused(
        (ONE.id, Removal.NOT_ALLOWED, ""),
        (TWO.id, Removal.NOT_ALLOWED, ""),
        (THREE.id, Removal.NO_CREDENTIAL, ""),
        wishes=Preferences(only=("three", "nobody")),
    )
    assert "served here by One, Two;" in error.message
    assert "the request permits three, nobody." in error.message
    assert "To use what the request permits, set THREE_API_KEY" in error.message
    assert error.availability.code == "constraint_filtered"
    assert error.availability.excluded_by == ("allowed_providers",)
    assert error.availability.constraint == (
        "allowed_providers",
        "not among the providers that the request names",
    )


def test_lists_of_request_and_account_that_have_nobody_in_common_are_both_named() -> None:
    error = refused(
        (ONE.id, Removal.ACCOUNT_PROVIDERS, ""),
        (TWO.id, Removal.NOT_ALLOWED, ""),
        wishes=Preferences(
            only=("one",), allowed_providers=("two",), ignore=("x",), ignored_providers=("y",)
        ),
    )
    for said in (
        "the request permits one;",
        "the request ignores x;",
        "the account permits two;",
        "the account ignores y.",
    ):
        assert said in error.message


def test_an_order_that_names_nobody_is_a_list_of_the_permitted_where_fallbacks_are_off() -> None:
    wishes = Preferences(order=("nobody",), allow_fallbacks=False)
    error = refused((ONE.id, Removal.FALLBACKS_OFF, "`allow_fallbacks` is false"), wishes=wishes)
    assert "not in `order`, and fallbacks are off" in error.message
    assert "the request permits nobody." in error.message
    assert error.availability.excluded_by == ("allowed_providers",)


@pytest.mark.parametrize(
    ("reason", "excluded_by"),
    [
        (Removal.MAX_PRICE, "max_price"),
        (Removal.REGION, "data_region"),
        (Removal.QUANTIZATION, "quantization"),
        (Removal.UNSUPPORTED_PARAMETER, "require_parameters"),
    ],
)
def test_a_condition_that_leaves_nothing_is_named_with_what_was_seen(
    reason: Removal, excluded_by: str
) -> None:
    error = refused((ONE.id, reason, "seen > wanted"), (TWO.id, Removal.NO_CREDENTIAL, ""))
    problem = error.problem()
    assert problem.status == 404
    assert "Of 1 that can be asked here, 1 " in error.message
    assert "(seen > wanted)" in error.message
    assert problem.availability is not None
    assert problem.availability.code == "constraint_filtered"
    assert problem.availability.excluded_by == (excluded_by,)
    assert problem.availability.constraint is not None
    field, detail = problem.availability.constraint
    assert field == excluded_by
    assert "seen > wanted" in detail


def test_details_of_many_endpoints_are_not_all_told() -> None:
    error = refused(
        *((one.id, Removal.MAX_PRICE, f"detail {one.id}") for one in (ONE, TWO, THREE)),
        (TIER.id, Removal.MAX_PRICE, "detail of a tier"),
    )
    assert "1 more" in error.message
    assert "detail of a tier" not in error.message


@pytest.mark.parametrize("reason", [Removal.ZDR, Removal.DATA_POLICY])
def test_privacy_goes_before_other_conditions(reason: Removal) -> None:
    error = refused((ONE.id, reason, ""), (TWO.id, Removal.MAX_PRICE, "dear"))
    assert error.availability.code == "privacy_restricted"
    assert error.availability.constraint is None


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (Removal.CONTEXT_LENGTH, "context_length_exceeded"),
        (Removal.MAX_TOKENS, "max_tokens_exceeded"),
    ],
)
def test_a_request_too_large_for_all_is_told_as_a_provider_would(
    reason: Removal, word: str
) -> None:
    """Clients shorten a conversation on this word, whoever says it."""
    problem = refused((ONE.id, reason, "9 of 5"), (TWO.id, Removal.NO_CREDENTIAL, "")).problem()
    assert problem.status == 400
    assert problem.error_type == word
    assert "9 of 5" in problem.message
    assert problem.availability is not None
    assert problem.availability.code == "constraint_filtered"


def test_a_reason_that_only_an_endpoint_of_a_tier_has_is_told() -> None:
    error = refused(
        (ONE.id, Removal.SERVICE_TIER, "not of the tier"), (TIER.id, Removal.MAX_PRICE, "too dear")
    )
    assert "1 above the maximum price (too dear)" in error.message


def test_a_model_that_the_account_leaves_out_is_no_condition_of_the_request() -> None:
    error = refused((ONE.id, Removal.ACCOUNT_MODELS, ""))
    assert error.availability.code == "no_endpoints"
    assert "the account's settings" in error.message


def test_callers_are_told_before_anybody_is_asked() -> None:
    async def main() -> None:
        upstream = ScriptedUpstream(lambda _: Script([]))
        gateway = GatewayInMemory(upstream, a_snapshot(MODEL, providers=PROVIDERS))
        answer = await gateway.chat(provider={"only": ["Nobody"]})
        assert answer.status == 404
        problem = answer.json()["error"]
        assert "served here by One, Two, Three; the request permits nobody." in problem["message"]
        assert problem["availability"]["constraint"]["field"] == "allowed_providers"
        assert upstream.requests == []

    run_simulated(main())
