"""The words in which a caller learns why nothing could answer."""

from __future__ import annotations

from fairlead.core.catalog import Model
from fairlead.core.routing.types import Removal, Removed
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.gateway.refusals import no_endpoints
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
