"""Each reason against an endpoint, alone."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.catalog import DataPolicy, EndpointStatus
from fairlead.core.pricing import PriceOverride
from fairlead.core.routing.preferences import AccountPreferences, Preferences
from fairlead.core.routing.types import INSTALLATION, Opening, Removal, Target
from tests.core.routing.planning import (
    MODEL,
    OTHER,
    offer,
    order,
    planned,
    reasons,
    traits,
    world,
)

A, B, C = offer("a", 1), offer("b", 2), offer("c", 3)
WORLD = world(A, B, C, names={"b": "Bee Cloud"})


def test_without_a_credential_nobody_is_asked() -> None:
    chosen = planned(WORLD, access={"b": INSTALLATION})
    assert order(chosen) == ["b"]
    assert reasons(chosen) == {"a": Removal.NO_CREDENTIAL, "c": Removal.NO_CREDENTIAL}
    assert chosen.removed[0].detail == "no credential opens a here"


def test_without_an_adapter_nobody_is_asked() -> None:
    assert reasons(planned(WORLD, unspoken=frozenset({"a"}))) == {"a": Removal.NO_ADAPTER}


def test_without_a_price_nobody_is_asked() -> None:
    where = world(offer("a", 0, status=EndpointStatus.UNPRICED), B)
    assert reasons(planned(where)) == {"a": Removal.UNPRICED}


@pytest.mark.parametrize(
    ("wishes", "removed"),
    [
        ({"only": ["B", "c"]}, {"a": Removal.NOT_ALLOWED}),
        ({"only": ["bee cloud"]}, {"a": Removal.NOT_ALLOWED, "c": Removal.NOT_ALLOWED}),
        ({"only": []}, {}),
        ({"only": ["nobody"]}, dict.fromkeys("abc", Removal.NOT_ALLOWED)),
        ({"ignore": ["Bee Cloud", "nobody"]}, {"b": Removal.IGNORED}),
        ({"only": ["a", "b"], "ignore": ["a"]}, {"a": Removal.IGNORED, "c": Removal.NOT_ALLOWED}),
        ({"max_price": {"prompt": 2}}, {"c": Removal.MAX_PRICE}),
        ({"max_price": {"completion": "1.999999"}}, {"b": Removal.MAX_PRICE, "c": Removal.MAX_PRICE}),
        ({"max_price": {"prompt": 1, "completion": 3, "request": 0}}, dict.fromkeys("bc", Removal.MAX_PRICE)),
        ({"allow_fallbacks": False, "order": ["b"]}, dict.fromkeys("ac", Removal.FALLBACKS_OFF)),
        ({"allow_fallbacks": False, "order": ["nobody"]}, dict.fromkeys("abc", Removal.FALLBACKS_OFF)),
        ({"allow_fallbacks": False}, dict.fromkeys("bc", Removal.FALLBACKS_OFF)),
        ({"enforce_distillable_text": True}, dict.fromkeys("abc", Removal.DISTILLABLE)),
        ("b", dict.fromkeys("ac", Removal.NOT_ALLOWED)),
        ("auto", {}),
    ],
)  # fmt: skip
def test_each_wish_removes_with_its_own_reason(
    wishes: dict[str, object] | str, removed: dict[str, Removal]
) -> None:
    assert reasons(planned(WORLD, wishes)) == removed


def test_a_price_beyond_the_bound_is_told_in_figures() -> None:
    chosen = planned(WORLD, {"max_price": {"prompt": "2.5"}})
    assert [one.detail for one in chosen.removed] == [
        "prompt $3 per million > max $2.5 per million"
    ]


def test_a_long_prompt_is_capped_by_the_price_of_long_prompts() -> None:
    override = PriceOverride({"prompt": 4_000_000}, min_prompt_tokens=2000)
    prices = msgspec.structs.replace(A.prices, overrides=(override,))
    where = world(msgspec.structs.replace(A, prices=prices), B)
    wishes = {"max_price": {"prompt": 3}}
    assert reasons(planned(where, wishes, asked=traits(prompt_tokens=2000))) == {}
    long_prompt = planned(where, wishes, asked=traits(prompt_tokens=2001))
    assert reasons(long_prompt) == {"a": Removal.MAX_PRICE}
    assert order(planned(where, {"sort": "price"}, asked=traits(prompt_tokens=2001))) == ["b", "a"]


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (["fp4"], ["fp4", "mxfp4", "nvfp4"]),
        (["mxfp4"], ["mxfp4"]),
        (["fp8"], ["fp8", "mxfp8"]),
        (["unknown", "fp8"], ["fp8", "mxfp8", "unknown"]),
        (["int4"], []),
    ],
)
def test_a_quantization_means_those_within_it(wanted: list[str], left: list[str]) -> None:
    names = ("fp4", "fp8", "mxfp4", "mxfp8", "nvfp4", "unknown")
    where = world(*(offer(name, place + 1, quantization=name) for place, name in enumerate(names)))
    chosen = planned(where, {"quantizations": wanted, "sort": "price"})
    assert order(chosen) == left
    assert set(reasons(chosen).values()) <= {Removal.QUANTIZATION}


POLICIES = {
    "careful": DataPolicy(trains_on_prompts=False, retains_prompts=False),
    "keeper": DataPolicy(trains_on_prompts=False, retains_prompts=True),
    "trainer": DataPolicy(trains_on_prompts=True, retains_prompts=False),
    "unknown": DataPolicy(),
}


@pytest.mark.parametrize(
    ("wishes", "account", "left"),
    [
        ({"data_collection": "deny"}, AccountPreferences(), {"careful"}),
        ({"data_collection": "allow"}, AccountPreferences(data_collection_deny=True), {"careful"}),
        ({"zdr": True}, AccountPreferences(), {"careful", "trainer"}),
        ({"zdr": False}, AccountPreferences(zdr=True), {"careful", "trainer"}),
        ({}, AccountPreferences(enforce_zdr_authors=("acme",)), {"careful", "trainer"}),
        ({}, AccountPreferences(enforce_zdr_authors=("other",)), set(POLICIES)),
        ({}, AccountPreferences(enable_paid_model_training=False), {"careful", "keeper"}),
        ({}, AccountPreferences(enable_free_model_training=False), set(POLICIES)),
    ],
)
def test_privacy_takes_an_unknown_policy_for_the_worst(
    wishes: dict[str, object], account: AccountPreferences, left: set[str]
) -> None:
    where = world(*map(offer, POLICIES), policies=POLICIES)
    assert set(order(planned(where, wishes, account=account))) == left


def test_training_on_free_prompts_has_a_switch_of_its_own() -> None:
    where = world(*(offer(name, 0) for name in POLICIES), policies=POLICIES)
    account = AccountPreferences(enable_free_model_training=False)
    assert set(order(planned(where, {}, account=account))) == {"careful", "keeper"}
    account = AccountPreferences(enable_paid_model_training=False)
    assert set(order(planned(where, {}, account=account))) == set(POLICIES)


def test_what_may_be_published_of_free_prompts_is_kept_from_who_keeps_them() -> None:
    account = AccountPreferences(enable_free_model_publication=False)
    free = world(*(offer(name, 0) for name in POLICIES), policies=POLICIES)
    assert set(order(planned(free, {}, account=account))) == {"careful"}
    paid = world(*map(offer, POLICIES), policies=POLICIES)
    assert set(order(planned(paid, {}, account=account))) == set(POLICIES)


@pytest.mark.parametrize(
    ("account", "removed"),
    [
        (AccountPreferences(allowed_providers=("A", "b")), {"c": Removal.ACCOUNT_PROVIDERS}),
        (AccountPreferences(allowed_providers=()), dict.fromkeys("abc", Removal.ACCOUNT_PROVIDERS)),
        (AccountPreferences(ignored_providers=("c",)), {"c": Removal.ACCOUNT_PROVIDERS}),
        (AccountPreferences(allowed_models=("acme/*",)), {}),
        (AccountPreferences(allowed_models=("ACME/one",)), {}),
        (AccountPreferences(allowed_models=("*/o*",)), {}),
        (AccountPreferences(allowed_models=("acme/two",)), dict.fromkeys("abc", Removal.ACCOUNT_MODELS)),
        (AccountPreferences(ignored_models=("*/one",)), dict.fromkeys("abc", Removal.ACCOUNT_MODELS)),
    ],
)  # fmt: skip
def test_the_accounts_lists_are_a_ceiling(
    account: AccountPreferences, removed: dict[str, Removal]
) -> None:
    assert reasons(planned(WORLD, {}, account=account)) == removed


def test_a_request_narrows_the_accounts_lists_and_never_widens_them() -> None:
    account = AccountPreferences(allowed_providers=("a", "b"), ignored_providers=("b",))
    chosen = planned(WORLD, {"only": ["b", "c"], "ignore": ["a"]}, account=account)
    assert order(chosen) == []
    assert reasons(chosen) == {
        "a": Removal.NOT_ALLOWED,
        "b": Removal.ACCOUNT_PROVIDERS,
        "c": Removal.ACCOUNT_PROVIDERS,
    }


def test_open_weights_may_be_distilled() -> None:
    where = world(A, open_weights=True)
    assert order(planned(where, {"enforce_distillable_text": True})) == ["a"]


def test_a_region_is_promised_by_the_endpoint_or_led_to_by_the_credential() -> None:
    where = world(
        offer("promised", data_region="eu"), offer("abroad", data_region="us"), offer("led"), offer("open")
    )  # fmt: skip
    led = (Opening(region="eu"),)
    access = {"promised": INSTALLATION, "abroad": led, "led": led, "open": INSTALLATION}
    chosen = planned(where, Preferences(region="eu"), access=access)
    assert sorted(order(chosen)) == ["led", "promised"]
    assert reasons(chosen) == {"abroad": Removal.REGION, "open": Removal.REGION}
    assert {one.detail for one in chosen.removed} == {
        "in us, not eu",
        "in no stated region, not eu",
    }


def test_only_the_keys_that_lead_to_the_region_are_used_there() -> None:
    access = {"a": (Opening("mine-us", region="us"), Opening("mine-eu", region="eu"))}
    assert order(planned(world(A), Preferences(region="eu"), access=access)) == ["a by mine-eu"]


def test_a_model_that_cannot_see_gets_no_pictures_but_any_model_gets_files() -> None:
    picture = traits(modalities=("file", "image"))
    chosen = planned(world(A), asked=picture)
    assert reasons(chosen) == {"a": Removal.MODALITY}
    assert chosen.removed[0].detail == "the model does not read image"
    assert order(planned(world(A, inputs=frozenset({"text", "image"})), asked=picture)) == ["a"]
    assert order(planned(world(A), asked=traits(modalities=("file",)))) == ["a"]


@pytest.mark.parametrize(("characters", "left"), [(80, ["small", "unstated"]), (81, ["unstated"])])
def test_a_prompt_that_cannot_fit_is_not_sent(characters: int, left: list[str]) -> None:
    where = world(offer("small", 1, context_length=10), offer("unstated", 2, context_length=0))
    asked = traits(characters=characters)
    assert order(planned(where, {"sort": "price"}, asked=asked)) == left


def test_a_bound_on_the_prompt_counts_where_it_is_below_the_context() -> None:
    where = world(offer("a", max_prompt_tokens=10))
    assert reasons(planned(where, asked=traits(characters=81))) == {"a": Removal.CONTEXT_LENGTH}


def test_an_answer_longer_than_an_endpoint_writes_goes_elsewhere_unless_the_limit_is_a_ceiling() -> (
    None
):
    where = world(offer("short", 1, max_completion_tokens=100), B)
    assert reasons(planned(where, asked=traits(max_tokens=100))) == {}
    wanted = planned(where, asked=traits(max_tokens=101))
    assert reasons(wanted) == {"short": Removal.MAX_TOKENS}
    assert wanted.removed[0].detail == "writes 100 of 101 tokens"
    assert reasons(planned(where, asked=traits(max_tokens=101, is_ceiling=True))) == {}


def test_required_parameters_are_all_required() -> None:
    able = offer("able", 3, supported=frozenset({"top_k", "seed"}))
    half = offer("half", 2, supported=frozenset({"top_k"}))
    asked = traits(parameters=("seed", "top_k"))
    where = world(able, half)
    chosen = planned(where, {"require_parameters": True}, asked=asked)
    assert reasons(chosen) == {"half": Removal.UNSUPPORTED_PARAMETER}
    assert chosen.removed[0].detail == "does not support seed"
    assert len(order(planned(where, asked=asked))) == 2


@pytest.mark.parametrize(
    "name", ["tools", "tool_choice", "response_format", "structured_outputs", "verbosity"]
)
def test_a_soft_parameter_narrows_to_those_who_honour_it_if_there_are_any(name: str) -> None:
    able = offer("able", 3, supported=frozenset({name}))
    unable = offer("unable", 1, supported=frozenset())
    asked = traits(parameters=(name,))
    assert order(planned(world(able, unable), asked=asked)) == ["able"]
    assert order(planned(world(unable), asked=asked)) == ["unable"]
    assert order(planned(world(able, unable), asked=asked, access={"unable": INSTALLATION})) == [
        "unable"
    ]


def test_an_excluded_endpoint_with_tools_does_not_let_one_without_in() -> None:
    able = offer("able", 3, supported=frozenset({"tools"}))
    unable = offer("unable", 1, supported=frozenset())
    chosen = planned(world(able, unable), {"ignore": ["able"]}, asked=traits(parameters=("tools",)))
    assert reasons(chosen) == {"able": Removal.IGNORED, "unable": Removal.UNSUPPORTED_PARAMETER}


def test_an_endpoint_too_small_for_the_prompt_does_not_keep_others_from_it() -> None:
    able = offer("able", 3, supported=frozenset({"tools"}), context_length=10)
    unable = offer("unable", 1, supported=frozenset())
    chosen = planned(world(able, unable), asked=traits(parameters=("tools",), characters=1000))
    assert order(chosen) == ["unable"]


def test_every_target_is_filtered_by_itself() -> None:
    where = world(A, offer("a", 1, model=OTHER), offer("b", 1, model=OTHER))
    chosen = planned(where, {"only": ["a"]}, targets=(Target(MODEL), Target(OTHER)))
    assert [choice.endpoint.model for choice in chosen.choices] == [MODEL, OTHER]
    assert [(one.model, one.endpoint) for one in chosen.removed] == [(OTHER, f"b:{OTHER}")]
