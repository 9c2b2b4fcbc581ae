"""What the operator changes: off, priced, hidden; and nothing else is other than it was."""

from __future__ import annotations

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from fairlead.core.catalog import (
    Endpoint,
    EndpointStatus,
    ModelKind,
    Resolved,
    Snapshot,
    UnknownModel,
)
from fairlead.core.catalog_amendments import (
    NO_AMENDMENTS,
    TOKEN_PRICE_MAX,
    UNIT_PRICE_MAX,
    Amendments,
    EndpointAmendment,
    amendable,
    amended,
    price_problems,
)
from fairlead.core.catalog_overlay import overlay
from fairlead.core.ids import EndpointId, ModelId
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import price_version
from tests.shipped import SEED

MODEL, BASE, PRESET = (
    ModelId("openai/o3"),
    ModelId("openai/o3-mini"),
    ModelId("openai/o3-mini-high"),
)
OFF = EndpointAmendment(is_off=True)
AMENDABLE = sorted(one.id for model in SEED.models.values() for one in amendable(model))
PRICES = st.dictionaries(
    st.sampled_from(["prompt", "completion", "input_cache_read", "request"]),
    st.integers(0, TOKEN_PRICE_MAX).map(PicoUSD),
    max_size=3,
)
AMENDMENTS = st.builds(
    Amendments,
    endpoints=st.dictionaries(
        st.sampled_from(AMENDABLE),
        st.builds(EndpointAmendment, is_off=st.booleans(), prices=PRICES),
        max_size=4,
    ),
    hidden=st.frozensets(st.sampled_from(sorted(SEED.models)), max_size=3),
)


def endpoints_of(snapshot: Snapshot, model: str) -> dict[str, Endpoint]:
    return {one.tag: one for one in snapshot.models[ModelId(model)].endpoints}


def off(*endpoints: str) -> Amendments:
    return Amendments(endpoints={EndpointId(one): OFF for one in endpoints})


def priced(endpoint: str, **prices: int) -> Amendments:
    own = {name: PicoUSD(price) for name, price in prices.items()}
    return Amendments(endpoints={EndpointId(endpoint): EndpointAmendment(prices=own)})


@settings(max_examples=8, deadline=None)
@given(AMENDMENTS)
def test_nothing_changes_but_what_was_amended(amendments: Amendments) -> None:
    now = amended(SEED, amendments)
    assert now.providers is SEED.providers
    gone = SEED.models.keys() - now.models.keys()
    assert amendments.hidden <= gone
    touched = {one.removesuffix("@high") for one in amendments.endpoints}
    for model in now.models.values():
        before = {one.id: one for one in SEED.models[model.id].endpoints}
        assert model.endpoints, "a model that nobody offers is not there"
        for one in model.endpoints:
            if one.tier is None and one.id.removesuffix("@high") not in touched:
                assert one == before[one.id]
            assert one.price_version == "unpriced" or one.price_version == price_version(one.prices)
    assert now.names == {name: model for name, model in SEED.names.items() if model not in gone}
    assert {one.model for one in now.contenders} <= now.models.keys()
    assert {one.newest for one in now.families.values()} <= now.models.keys()
    assert amended(SEED, amendments) == now, "equal input, equal snapshot"
    assert amended(SEED, NO_AMENDMENTS) is SEED, "what is taken back leaves nothing behind"


def test_what_is_off_is_not_there_with_all_that_follows_it() -> None:
    (openai,) = [one for one in SEED.models[BASE].endpoints if one.tag == "openai"]
    now = amended(SEED, off(openai.id))
    assert not [tag for tag in endpoints_of(now, BASE) if tag.startswith("openai")]
    assert "openai" not in endpoints_of(now, PRESET), "a preset is served where its model is"
    assert endpoints_of(now, BASE), "others still serve it"
    assert now.version != SEED.version


def test_a_name_that_only_an_endpoint_gave_stays_with_its_model() -> None:
    model = SEED.models[MODEL]
    now = amended(SEED, off(*(one.id for one in amendable(model)[1:])))
    assert now.names == SEED.names


def test_a_model_without_any_endpoint_is_not_there_and_nobody_gets_its_names() -> None:
    now = amended(SEED, off(*(one.id for one in amendable(SEED.models[MODEL]))))
    assert MODEL not in now.models
    for name, model in SEED.names.items():
        if model == MODEL:
            assert isinstance(now.resolve(name), UnknownModel)


def test_a_hidden_model_has_no_name_and_its_variants_no_meaning() -> None:
    now = amended(SEED, Amendments(hidden=frozenset({MODEL})))
    assert isinstance(now.resolve(MODEL), UnknownModel)
    assert isinstance(now.resolve(f"{MODEL}:nitro"), UnknownModel)
    assert MODEL not in now.resolve(f"{MODEL}x").near  # type: ignore[union-attr]
    hidden_base = amended(SEED, Amendments(hidden=frozenset({BASE})))
    assert isinstance(hidden_base.resolve(PRESET), Resolved), "a preset is a model of its own"


def test_a_price_of_ones_own_replaces_what_it_names_and_ends_conditions_and_tiers() -> None:
    (one, *_) = [
        one
        for model in SEED.models.values()
        for one in amendable(model)
        if one.prices.overrides and one.service_tiers and one.prices.input_cache_read
    ]
    now = endpoints_of(amended(SEED, priced(one.id, prompt=7)), one.model)
    own = now[one.tag]
    assert own.prices == msgspec.structs.replace(one.prices, prompt=7, overrides=())
    assert own.price_version == price_version(own.prices) != one.price_version
    assert not [tag for tag in now if tag.startswith(f"{one.tag}/")]


def test_a_preset_costs_what_its_model_costs() -> None:
    now = amended(SEED, priced("vercel:openai/o3-mini", prompt=1, completion=2))
    assert endpoints_of(now, PRESET)["vercel"].prices.completion == 2
    assert [now.models[one].endpoints[0].tag for one in (BASE, PRESET)] == ["vercel", "vercel"]


def test_an_endpoint_without_a_price_is_used_once_it_has_both() -> None:
    model, one = next(
        (model, one)
        for model in SEED.models.values()
        for one in amendable(model)
        if one.status is EndpointStatus.UNPRICED and model.kind is ModelKind.CHAT
    )
    half, whole = priced(one.id, prompt=5), priced(one.id, prompt=5, completion=6)
    assert endpoints_of(amended(SEED, half), model.id)[one.tag] == one
    assert endpoints_of(amended(SEED, whole), model.id)[one.tag].status is EndpointStatus.ACTIVE
    assert price_problems(one, model.kind, {"prompt": PicoUSD(5)}).keys() == {"completion"}
    assert not price_problems(one, model.kind, {})


@pytest.mark.parametrize(
    ("name", "price", "is_fine"),
    [
        ("prompt", TOKEN_PRICE_MAX, True),
        ("prompt", TOKEN_PRICE_MAX + 1, False),
        ("request", UNIT_PRICE_MAX, True),
        ("request", UNIT_PRICE_MAX + 1, False),
        ("completion", -1, False),
        ("overrides", 1, False),
        ("", 1, False),
    ],
)
def test_a_price_that_cannot_be_is_named(name: str, price: int, is_fine: bool) -> None:
    one = SEED.models[MODEL].endpoints[0]
    problems = price_problems(one, ModelKind.CHAT, {name: PicoUSD(price)})
    assert problems.keys() == (set() if is_fine else {name})


def test_what_is_not_in_the_catalogue_changes_nothing_until_it_is() -> None:
    amendments = off("vllm:acme")
    assert amended(SEED, amendments) is SEED
    table = {"id": "acme/one", "provider": "vllm", "provider_model_id": "acme"}
    with_engine = overlay(SEED, [table])
    assert "acme/one" in with_engine.models
    assert "acme/one" not in amended(with_engine, amendments).models


def test_prices_that_a_newer_program_knows_are_left_out() -> None:
    now = amended(SEED, priced("openai:o3-mini", thought=1, prompt=3))
    assert endpoints_of(now, BASE)["openai"].prices.prompt == 3
