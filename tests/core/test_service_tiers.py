"""Tiers are endpoints: what they are called, what they cost, and what is asked of their providers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.catalog import Endpoint, EndpointStatus, TierPrices
from fairlead.core.ids import ModelId
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceOverride, PriceSheet, price_version, prices_in_force
from fairlead.core.service_tiers import (
    TIERS,
    asked_tier,
    prices_served,
    tier_sheet,
    with_tiers,
    without_tiers,
)
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS
from fairlead.testing.builders import a_model, an_endpoint
from tests.shipped import SEED

PRICES = {
    "priority": {"prompt": PicoUSD(2_000_000), "completion": PicoUSD(4_000_000)},
    "flex": {"prompt": PicoUSD(500_000)},
    "batch": {"prompt": PicoUSD(400_000)},
}
WORDS = st.sampled_from([None, "auto", "default", "fast", "priority", "flex", "scale", "reserved"])


def offer(**about: Any) -> Endpoint:
    tiers = tuple(TierPrices(name, prices) for name, prices in PRICES.items())
    return msgspec.structs.replace(an_endpoint("acme"), service_tiers=tiers, **about)


def tiers_of(endpoint: Endpoint) -> dict[str, Endpoint]:
    model = a_model(endpoint)
    (tiered,) = with_tiers({model.id: model}).values()
    assert tiered.endpoints[0] == endpoint
    return {one.tier or "": one for one in tiered.endpoints[1:]}


# --- endpoints ------------------------------------------------------------------------------------------


def test_each_tier_but_batch_is_an_endpoint_of_its_own() -> None:
    usual = offer()
    tiers = tiers_of(usual)
    assert tiers.keys() == {"priority", "flex"}
    assert (tiers["flex"].id, tiers["flex"].tag) == ("acme/flex:acme/one", "acme/flex")
    assert tiers["flex"].prices == PriceSheet(PicoUSD(500_000), usual.prices.completion)
    assert tiers["flex"].default_prices == usual.prices
    assert tiers["flex"].price_version == price_version(tiers["flex"].prices)


def test_an_endpoint_without_a_price_has_no_tiers() -> None:
    assert tiers_of(offer(status=EndpointStatus.UNPRICED)) == {}


def test_a_region_stays_in_front_of_the_tier() -> None:
    tiers = tiers_of(offer(tag="acme/eu", id="acme/eu:one"))
    assert (tiers["priority"].tag, tiers["priority"].id) == (
        "acme/eu/priority",
        "acme/eu/priority:one",
    )


def test_tiers_can_be_taken_away_again() -> None:
    assert with_tiers(without_tiers(SEED.models)) == SEED.models
    assert all(one.tier is None for m in without_tiers(SEED.models).values() for one in m.endpoints)


def test_every_tier_of_the_catalogue_is_there_and_no_id_twice() -> None:
    endpoints = [one for model in SEED.models.values() for one in model.endpoints]
    assert len({one.id for one in endpoints}) == len(endpoints)
    tiers = [one for one in endpoints if one.tier is not None]
    assert len(tiers) > 200
    assert all(one.tier in TIERS and one.tag == f"{one.provider}/{one.tier}" for one in tiers)
    priority = next(
        one
        for one in SEED.models[ModelId("openai/gpt-5.4")].endpoints
        if one.tag == "openai/priority"
    )
    assert (priority.prices.prompt, priority.prices.completion) == (5_000_000, 30_000_000)


# --- prices ---------------------------------------------------------------------------------------------


def test_a_long_prompt_raises_the_tiers_price_as_it_raises_the_usual_one() -> None:
    usual = PriceSheet(
        prompt=PicoUSD(10),
        completion=PicoUSD(30),
        overrides=(
            PriceOverride({"prompt": PicoUSD(20), "web_search": PicoUSD(7)}, min_prompt_tokens=200),
        ),
    )
    sheet = tier_sheet(usual, {"prompt": PicoUSD(25)})
    long = prices_in_force(sheet, prompt_tokens=201, at_s=0)
    assert (long.prompt, long.completion, long.web_search) == (50, 30, 7)


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_condition_never_makes_a_dear_tier_cheaper_than_the_usual(
    usual: int, extra: int, override: int
) -> None:
    sheet = PriceSheet(
        prompt=PicoUSD(usual),
        overrides=(PriceOverride({"prompt": PicoUSD(override)}, min_prompt_tokens=1),),
    )
    tier = tier_sheet(sheet, {"prompt": PicoUSD(usual + extra)})
    dear, plain = (prices_in_force(one, prompt_tokens=2, at_s=0.0) for one in (tier, sheet))
    assert dear.prompt >= plain.prompt


def test_a_call_costs_the_tier_that_served_it() -> None:
    usual = offer()
    tiers = tiers_of(usual)
    sheet = {name: one.prices for name, one in tiers.items()} | {"default": usual.prices}
    for asked in (usual, *tiers.values()):
        for served in ("default", "priority", "flex"):
            prices, version = prices_served(asked, served)
            assert prices == sheet[served]
            if served == (asked.tier or "default"):
                assert version == asked.price_version
            else:
                assert version == price_version(prices)


@pytest.mark.parametrize("served", [None, "auto", "scale", "something new"])
def test_a_word_that_says_nothing_leaves_the_price(served: str | None) -> None:
    for endpoint in (offer(), *tiers_of(offer()).values()):
        assert prices_served(endpoint, served) == (endpoint.prices, endpoint.price_version)


def test_a_tier_without_a_known_price_costs_the_usual() -> None:
    endpoint = an_endpoint("acme")
    assert prices_served(endpoint, "priority") == (endpoint.prices, endpoint.price_version)


@given(st.sampled_from([m for m in SEED.models.values() if m.endpoints]), WORDS)
def test_every_sheet_that_can_be_charged_is_one_of_the_catalogues(model: Any, served: Any) -> None:
    """What a generation is priced by can be looked up: the recorded sheets are those of the endpoints."""
    known = {one.price_version for one in model.endpoints if one.status.value != "unpriced"}
    for endpoint in model.endpoints:
        if endpoint.status.value != "unpriced":
            assert prices_served(endpoint, served)[1] in known


# --- what is asked for ----------------------------------------------------------------------------------


@given(WORDS)
def test_the_endpoint_decides_what_is_asked_for(wanted: str | None) -> None:
    assert asked_tier(wanted, offer(tier="flex")) == "flex"
    chooses = wanted in ("fast", "priority", "flex")
    assert asked_tier(wanted, offer()) == (None if chooses else wanted)


FIELDS = {
    "openai": "service_tier", "azure": "service_tier", "fireworks": "service_tier",
    "google-ai-studio": "serviceTier", "amazon-bedrock": "serviceTier",
    "google-vertex": "x-vertex-ai-llm-shared-request-type",
}  # fmt: skip


@pytest.mark.parametrize("provider", sorted(FIELDS))
def test_every_tier_endpoint_of_the_catalogue_asks_its_provider_for_the_tier(provider: str) -> None:
    adapter = PROVIDERS[provider].chat
    assert adapter is not None
    credential = Credential("https://example.test/v1", "secret", {})
    seen = 0
    for model in SEED.models.values():
        for endpoint in model.endpoints:
            if endpoint.provider != provider or model.kind.value != "chat":
                continue
            if not endpoint.service_tiers:
                continue
            for wanted in (None, "priority", "flex", "fast"):
                fields = {"model": model.id, "messages": [{"role": "user", "content": "Hi"}]}
                request = OpenAIChat().decode(
                    json.dumps(fields | ({"service_tier": wanted} if wanted else {})).encode()
                )
                written = adapter.encode(request, endpoint, credential)
                told = {**json.loads(written.body), **dict(written.headers)}.get(FIELDS[provider])
                told = told["type"] if isinstance(told, dict) else told
                assert told == endpoint.tier
            seen += endpoint.tier is not None
    assert seen


def test_every_provider_with_tiers_in_the_catalogue_is_checked_above() -> None:
    offered = {
        one.provider
        for model in SEED.models.values()
        for one in model.endpoints
        if one.tier is not None
    }
    assert offered == FIELDS.keys()
