"""Every field of `provider`: what it may hold, what it means, and what is said of what it may not."""

from __future__ import annotations

import pytest

from fairlead.core.errors import RequestInvalid
from fairlead.core.routing.preferences import (
    NO_ACCOUNT_WISHES,
    NO_WISHES,
    AccountPreferences,
    Bounds,
    Hedge,
    MaxPrice,
    Partition,
    Preferences,
    Sort,
)
from fairlead.core.routing.wishes import NAME_CHARACTERS_MAX, NAMES_MAX, preferences_of
from fairlead.testing.builders import a_request
from tests.core.routing.planning import read


def test_who_wishes_nothing_shares_one_value() -> None:
    assert preferences_of(None, NO_ACCOUNT_WISHES) is NO_WISHES
    assert preferences_of("auto", NO_ACCOUNT_WISHES) is NO_WISHES
    assert read({}) == NO_WISHES


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ({"order": ["OpenAI", "azure"]}, Preferences(order=("openai", "azure"))),
        ({"only": ["Azure"]}, Preferences(only=("azure",))),
        ({"only": []}, NO_WISHES),
        ({"ignore": ["Azure"]}, Preferences(ignore=("azure",))),
        ({"allow_fallbacks": False}, Preferences(allow_fallbacks=False)),
        ({"require_parameters": True}, Preferences(require_parameters=True)),
        ({"data_collection": "deny"}, Preferences(no_training=True)),
        ({"data_collection": "allow"}, NO_WISHES),
        ({"zdr": True}, Preferences(zdr=True)),
        ({"zdr": False}, NO_WISHES),
        ({"enforce_distillable_text": True}, Preferences(enforce_distillable_text=True)),
        ({"quantizations": ["fp8", "int4", "fp8"]}, Preferences(quantizations=("fp8", "int4"))),
        ({"sort": "latency"}, Preferences(sort=Sort.LATENCY)),
        ({"sort": {"by": "exacto"}}, Preferences(sort=Sort.EXACTO)),
        (
            {"sort": {"by": "price", "partition": "none"}},
            Preferences(sort=Sort.PRICE, partition=Partition.NONE),
        ),
        ({"sort": {"by": None, "partition": "none"}}, Preferences(partition=Partition.NONE)),
        ({"sort": None, "max_price": None, "preferred_max_latency": None}, NO_WISHES),
        (
            {"max_price": {"prompt": 1, "completion": "2.5", "request": 0.01, "image": "0", "audio": 1e-3}},
            Preferences(max_price=MaxPrice(1_000_000, 2_500_000, 10**10, 0, 10**9)),
        ),
        ({"max_price": {"prompt": 0.1 + 0.2}}, Preferences(max_price=MaxPrice(prompt=300_000))),
        ({"max_price": {"prompt": "1e30"}}, Preferences(max_price=MaxPrice(prompt=10**12))),
        ({"max_price": {}}, NO_WISHES),
        ({"preferred_min_throughput": 50}, Preferences(preferred_min_throughput=Bounds(p50=50.0))),
        (
            {"preferred_max_latency": {"p90": 2.5, "p99": 4, "p50": None}},
            Preferences(preferred_max_latency=Bounds(p90=2.5, p99=4.0)),
        ),
        ({"hedge": True}, Preferences(hedge=Hedge())),
        ({"hedge": False}, NO_WISHES),
        ({"hedge": {"after_s": 1.5}}, Preferences(hedge=Hedge(1.5))),
        ({"hedge": {}}, Preferences(hedge=Hedge())),
        ({"continue_streams": True}, Preferences(continue_streams=True)),
        ("Groq", Preferences(only=("groq",), allow_fallbacks=False)),
        ({"options": {"groq": {"anything": 1}}}, NO_WISHES),
    ],
)  # fmt: skip
def test_each_field_means_what_is_documented(
    provider: dict[str, object] | str, expected: Preferences
) -> None:
    assert read(provider) == expected


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ({"order": ["x"] * (NAMES_MAX + 1)}, "provider.order"),
        ({"only": ["x"] * (NAMES_MAX + 1)}, "provider.only"),
        ({"ignore": ["x", "x" * (NAME_CHARACTERS_MAX + 1)]}, "provider.ignore[1]"),
        ("x" * (NAME_CHARACTERS_MAX + 1), "provider"),
        ({"quantizations": ["fp8", "fp9"]}, "provider.quantizations[1]"),
        ({"sort": "cheapest"}, "provider.sort"),
        ({"sort": 1}, "provider.sort"),
        ({"sort": {"by": "cheapest"}}, "provider.sort.by"),
        ({"sort": {"by": ["price"]}}, "provider.sort.by"),
        ({"sort": {"partition": "models"}}, "provider.sort.partition"),
        ({"max_price": 3}, "provider.max_price"),
        ({"max_price": {"prompt": -1}}, "provider.max_price.prompt"),
        ({"max_price": {"completion": "two"}}, "provider.max_price.completion"),
        ({"max_price": {"request": True}}, "provider.max_price.request"),
        ({"max_price": {"image": "NaN"}}, "provider.max_price.image"),
        ({"max_price": {"audio": [1]}}, "provider.max_price.audio"),
        ({"preferred_min_throughput": "50"}, "provider.preferred_min_throughput"),
        ({"preferred_min_throughput": {"p75": -1}}, "provider.preferred_min_throughput.p75"),
        ({"preferred_max_latency": {"p90": "2"}}, "provider.preferred_max_latency.p90"),
        ({"preferred_max_latency": True}, "provider.preferred_max_latency"),
        ({"hedge": {"after_s": 0}}, "provider.hedge.after_s"),
    ],
)
def test_a_value_that_means_nothing_is_refused_with_its_path(
    provider: dict[str, object] | str, path: str
) -> None:
    with pytest.raises(RequestInvalid) as refused:
        read(provider)
    assert refused.value.param == path
    assert refused.value.message.startswith(f"`{path}` ")


def test_a_route_that_means_nothing_is_refused() -> None:
    with pytest.raises(RequestInvalid) as refused:
        read(None, route="cheapest")
    assert refused.value.param == "route"


def test_the_partition_of_a_sort_outweighs_the_deprecated_route() -> None:
    both = read({"sort": {"partition": "model"}}, route="sort")
    assert both.partition is Partition.MODEL


def test_a_variant_of_the_whole_request_is_a_sort_unless_one_is_named() -> None:
    assert read(None, variants=("online", "nitro")).sort is Sort.THROUGHPUT
    assert read({"sort": "latency"}, variants=("nitro",)).sort is Sort.LATENCY


def test_an_accounts_order_holds_where_a_request_says_neither_an_order_nor_a_sort() -> None:
    account = AccountPreferences(default_provider_order=("Azure", "openai"))
    assert read({}, account=account).order == ("azure", "openai")
    assert read({"order": ["groq"]}, account=account).order == ("groq",)
    assert read({"sort": "price"}, account=account).order == ()
    assert preferences_of(None, account, variants=("nitro",)).order == ()


def test_an_account_is_a_ceiling_in_every_field_that_protects() -> None:
    account = AccountPreferences(
        allowed_providers=("Azure", "groq"),
        ignored_providers=("Groq",),
        allowed_models=("openai/*",),
        ignored_models=("openai/o1",),
        data_collection_deny=True,
        zdr=True,
        enforce_zdr_authors=("anthropic",),
        enable_paid_model_training=False,
        enable_free_model_training=False,
        enable_free_model_publication=False,
        enforce_distillable_text=True,
        default_provider_sort=Sort.PRICE,
    )
    loose = {
        "only": ["openai"],
        "data_collection": "allow",
        "zdr": False,
        "enforce_distillable_text": False,
    }
    assert read(loose, account=account) == Preferences(
        only=("openai",),
        no_training=True,
        zdr=True,
        enforce_distillable_text=True,
        allowed_providers=("azure", "groq"),
        ignored_providers=("groq",),
        allowed_models=("openai/*",),
        ignored_models=("openai/o1",),
        zdr_authors=("anthropic",),
        no_paid_training=True,
        no_free_training=True,
        no_free_publication=True,
        default_sort=Sort.PRICE,
    )


def test_what_an_account_switches_on_a_request_may_switch_off() -> None:
    account = AccountPreferences(hedge=True, continue_streams=True)
    both = read(None, account=account)
    assert (both.hedge, both.continue_streams) == (Hedge(), True)
    neither = read({"hedge": False, "continue_streams": False}, account=account)
    assert (neither.hedge, neither.continue_streams) == (None, False)


def test_the_region_of_the_host_is_a_wish() -> None:
    assert read(None, region="eu") == Preferences(region="eu")


def test_a_request_with_every_field_is_read() -> None:
    """As the chat format decodes it, with the types that it has there."""
    request = a_request(
        provider={"hedge": {"after_s": 1}, "continue_streams": True, "sort": "price"}
    )
    assert preferences_of(request.body.provider, NO_ACCOUNT_WISHES) == Preferences(
        hedge=Hedge(1.0), continue_streams=True, sort=Sort.PRICE
    )
