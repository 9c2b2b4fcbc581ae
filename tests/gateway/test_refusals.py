"""The words in which a caller learns why nothing could answer."""

from __future__ import annotations

from fairlead.core.attempts import GiveUp
from fairlead.core.catalog import Model
from fairlead.core.errors import (
    ErrorType,
    FailureKind,
    Problem,
    UpstreamFailure,
)
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.types import Choice, Removal, Removed, Why
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.gateway.refusals import exhausted, no_endpoints
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint

PROVIDERS = tuple(a_provider(slug) for slug in ("one", "two", "three"))
REQUEST = OpenAIChat().decode(b'{"model":"acme/one","messages":[{"role":"user","content":"Hi"}]}')


def told(model: Model, *, spoken_to: set[str]) -> str:
    """The message where no provider is configured, if we speak to these alone."""
    removed = [
        Removed(model.id, endpoint.id, Removal.NO_CREDENTIAL) for endpoint in model.endpoints
    ]
    snapshot = a_snapshot(model, providers=PROVIDERS)
    return no_endpoints(REQUEST, model, removed, snapshot, lambda slug: slug in spoken_to).message


def test_every_setting_that_would_help_is_named() -> None:
    model = a_model(*(an_endpoint(slug) for slug in ("one", "two", "three")))
    message = told(model, spoken_to={"one", "two", "three"})
    assert "Set ONE_API_KEY (or providers.one.api_key" in message
    assert message.endswith("or one of TWO_API_KEY, THREE_API_KEY.")


def test_a_setting_that_would_change_nothing_is_not_named() -> None:
    model = a_model(an_endpoint("one"), an_endpoint("two"), an_endpoint("three"))
    message = told(model, spoken_to={"two", "three"})
    assert "ONE_API_KEY" not in message
    assert message.endswith(
        "Set TWO_API_KEY (or providers.two.api_key in fairlead.toml), or THREE_API_KEY."
    )


def test_a_model_that_only_others_could_reach_is_said_to_be_one() -> None:
    message = told(a_model(an_endpoint("one")), spoken_to=set())
    assert "API_KEY" not in message
    assert "speaks to no provider of acme/one" in message


# --- when all have failed -----------------------------------------------------------------------------

DEAR = an_endpoint("dear")
CATALOGUE = a_snapshot(
    a_model(an_endpoint("cheap"), DEAR), providers=(a_provider("cheap"), a_provider("dear"))
)


def told_of(*failures: tuple[str, UpstreamFailure]) -> Problem:
    endpoints = {one.provider: one for one in CATALOGUE.models[ModelId("acme/one")].endpoints}
    given_up = GiveUp(
        tuple(
            (Choice(endpoints[ProviderSlug(name)], None, PicoUSD(1), Why.PRICE, False), failure)
            for name, failure in failures
        )
    )
    return exhausted(given_up, CATALOGUE, REQUEST).problem()


def failed(kind: FailureKind, retry_after_s: float | None = None) -> UpstreamFailure:
    return UpstreamFailure(kind.value, kind=kind, retry_after_s=retry_after_s)


def test_the_provider_that_is_named_is_the_one_whose_error_is_told() -> None:
    too_long = failed(FailureKind.CONTEXT_LENGTH)
    problem = told_of(("cheap", too_long), ("dear", failed(FailureKind.SERVER)))
    assert problem.error_type is ErrorType.CONTEXT_LENGTH_EXCEEDED
    assert problem.metadata["provider_name"] == "Cheap"
    assert problem.metadata["previous_errors"] == [
        {"provider": "Dear", "code": "provider_unavailable", "status": None}
    ]


def test_nobody_is_called_back_too_early() -> None:
    problem = told_of(
        ("cheap", failed(FailureKind.RATE_LIMIT, 7.4)), ("dear", failed(FailureKind.RATE_LIMIT, 9))
    )
    assert problem.headers == (("retry-after", "8"),)
    assert problem.availability is not None
    assert problem.availability.retry_after_s == 8


def test_a_provider_that_could_not_be_asked_does_not_make_an_overload_final() -> None:
    unsupported = failed(FailureKind.UNSUPPORTED)
    problem = told_of(("cheap", failed(FailureKind.OVERLOADED)), ("dear", unsupported))
    assert problem.status == 503
    assert problem.availability is not None
    assert problem.availability.code == "temporarily_unavailable"
