"""Each rule of the order, alone and against its neighbours, and what a plan says of it."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.catalog import Endpoint, EndpointStatus
from fairlead.core.routing.facts import Facts, Percentiles, Standing
from fairlead.core.routing.preferences import AccountPreferences, Sort
from fairlead.core.routing.types import INSTALLATION, Opening, Plan, Removal, Target, Warm, Why
from tests.core.routing.planning import (
    MODEL,
    OTHER,
    offer,
    order,
    planned,
    read,
    reasons,
    speed,
    standing,
    traits,
    world,
)

A, B, C = offer("a", 1), offer("b", 2), offer("c", 3)
WORLD = world(A, B, C)
BY_PRICE = {"sort": "price"}
LUCK_OF_C = int(0.999 * 2**53)  # with all stable, the draw falls on the dearest


def whys(chosen: Plan) -> list[tuple[str, str]]:
    return [(choice.endpoint.tag, choice.why.value) for choice in chosen.choices]


# --- order ---


def test_order_comes_first_in_its_own_order_and_the_rest_follow_by_price() -> None:
    chosen = planned(WORLD, {"order": ["C", "nobody"]}, seed=LUCK_OF_C)
    assert whys(chosen) == [("c", "order"), ("a", "price"), ("b", "price")]


def test_order_outweighs_a_sort_and_a_warm_cache() -> None:
    warm = Warm(A.id, 1000)
    assert order(planned(WORLD, {"order": ["b"], "sort": "throughput"}, warm=warm)) == [
        "b",
        "a",
        "c",
    ]


def test_a_base_slug_means_all_of_a_providers_endpoints_and_a_full_one_only_that() -> None:
    where = world(
        A, offer("b", 3, tag="b/east"), offer("b", 2, tag="b/west"), offer("b", 4, tag="b")
    )
    assert order(planned(where, {"order": ["b"]})) == ["b/west", "b/east", "b", "a"]
    assert order(planned(where, {"order": ["b/east"]})) == ["b/east", "a", "b/west", "b"]
    assert sorted(order(planned(where, {"ignore": ["B/East"]}))) == ["a", "b", "b/west"]


def test_who_is_down_comes_last_even_if_ordered_but_is_not_left_out() -> None:
    known = {"b": standing(Standing.DOWN), "c": standing(Standing.UNSTABLE)}
    chosen = planned(WORLD, {"order": ["b", "c"]}, known=known)
    assert whys(chosen) == [("c", "order"), ("a", "price"), ("b", "standing")]


def test_fallbacks_off_leaves_only_what_order_names() -> None:
    wishes = {"order": ["c", "b"], "allow_fallbacks": False}
    assert order(planned(WORLD, wishes)) == ["c", "b"]
    assert reasons(planned(WORLD, wishes)) == {"a": Removal.FALLBACKS_OFF}


# --- sort ---

SPEEDS = {
    "a": speed(latency_s=3, throughput=10),
    "b": speed(latency_s=1, throughput=30),
    "c": speed(latency_s=2, throughput=20),
}


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("price", ["a", "b", "c"]),
        ("throughput", ["b", "c", "a"]),
        ("latency", ["b", "c", "a"]),
        ({"by": "latency"}, ["b", "c", "a"]),
        ("exacto", ["a", "b", "c"]),
    ],
)
def test_a_sort_is_an_order_without_luck(sort: object, expected: list[str]) -> None:
    for seed in (0, LUCK_OF_C):
        assert order(planned(WORLD, {"sort": sort}, known=SPEEDS, seed=seed)) == expected


def test_who_was_never_seen_comes_last_in_a_sort_by_speed_by_price() -> None:
    chosen = planned(WORLD, {"sort": "throughput"}, known={"c": SPEEDS["c"]})
    assert whys(chosen) == [("c", "sort"), ("a", "sort"), ("b", "sort")]
    assert whys(planned(WORLD, {"sort": "throughput"})) == [
        ("a", "price"),
        ("b", "price"),
        ("c", "price"),
    ]


def test_the_unwell_come_last_in_a_sort_too() -> None:
    known = SPEEDS | {
        "b": Facts(standing=Standing.UNSTABLE, throughput=Percentiles(99, 99, 99, 99))
    }
    chosen = planned(WORLD, {"sort": "throughput"}, known=known)
    assert whys(chosen) == [("c", "sort"), ("a", "sort"), ("b", "standing")]


def test_the_deprecated_come_after_the_active_even_if_cheaper() -> None:
    where = world(offer("old", 0.1, status=EndpointStatus.DEPRECATED), A)
    assert whys(planned(where, BY_PRICE)) == [("a", "sort"), ("old", "deprecated")]
    assert whys(planned(where)) == [("a", "price"), ("old", "deprecated")]
    assert order(planned(where, {"order": ["old"]})) == ["old", "a"]


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        (("nitro",), ["b", "c", "a"]),
        (("floor",), ["a", "b", "c"]),
        (("floor", "nitro"), ["b", "c", "a"]),
        (("exacto",), ["a", "b", "c"]),
        (("beta", "thinking"), ["c", "a", "b"]),
    ],
)
def test_variants_stand_for_a_sort_and_the_last_one_counts(
    variants: tuple[str, ...], expected: list[str]
) -> None:
    targets = (Target(MODEL, variants),)
    assert order(planned(WORLD, targets=targets, known=SPEEDS, seed=LUCK_OF_C)) == expected
    assert order(planned(WORLD, BY_PRICE, targets=targets, known=SPEEDS)) == ["a", "b", "c"]


def test_the_accounts_own_sort_counts_where_nobody_says_more() -> None:
    account = AccountPreferences(default_provider_sort=Sort.THROUGHPUT)
    assert order(planned(WORLD, {}, account=account, known=SPEEDS)) == ["b", "c", "a"]
    assert order(planned(WORLD, BY_PRICE, account=account, known=SPEEDS)) == ["a", "b", "c"]
    floor = (Target(MODEL, ("floor",)),)
    assert order(planned(WORLD, {}, account=account, known=SPEEDS, targets=floor)) == [
        "a",
        "b",
        "c",
    ]


# --- thresholds ---


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"preferred_max_latency": 2}, ["b", "c", "a"]),
        ({"preferred_max_latency": {"p50": 9, "p99": 1.5}}, ["b", "a", "c"]),
        ({"preferred_min_throughput": 20}, ["b", "c", "a"]),
        ({"preferred_min_throughput": {"p90": 20.5}}, ["b", "a", "c"]),
        ({"preferred_min_throughput": 30, "preferred_max_latency": 0.5}, ["a", "b", "c"]),
    ],
)
def test_who_misses_a_wish_about_speed_moves_to_the_end_and_is_kept(
    wishes: dict[str, object], expected: list[str]
) -> None:
    assert order(planned(WORLD, BY_PRICE | wishes, known=SPEEDS)) == expected


def test_who_was_never_seen_has_missed_nothing() -> None:
    chosen = planned(WORLD, BY_PRICE | {"preferred_max_latency": 1}, known={"b": SPEEDS["a"]})
    assert whys(chosen) == [("a", "sort"), ("c", "sort"), ("b", "threshold")]


def test_a_threshold_may_put_a_later_model_ahead() -> None:
    where = world(A, offer("z", 9, model=OTHER))
    both = (Target(MODEL), Target(OTHER))
    chosen = planned(
        where, {"preferred_max_latency": 2}, targets=both, known={"a": speed(latency_s=3)}
    )
    assert whys(chosen) == [("z", "model"), ("a", "threshold")]


# --- several models ---

TWO = world(B, offer("x", 1, model=OTHER), offer("y", 3, model=OTHER))
BOTH = (Target(MODEL), Target(OTHER))


def test_models_are_tried_in_the_callers_order_and_sorted_inside() -> None:
    chosen = planned(TWO, BY_PRICE, targets=BOTH)
    assert whys(chosen) == [("b", "sort"), ("x", "model"), ("y", "model")]


@pytest.mark.parametrize("wishes", [{"sort": {"by": "price", "partition": "none"}}])
def test_without_partition_models_are_ordered_together(wishes: dict[str, object]) -> None:
    assert order(planned(TWO, wishes, targets=BOTH)) == ["x", "b", "y"]


def test_the_deprecated_word_for_a_partition_still_means_it() -> None:
    together = read({"sort": "price"}, route="sort")
    assert order(planned(TWO, together, targets=BOTH)) == ["x", "b", "y"]
    assert order(planned(TWO, read({"sort": "price"}, route="fallback"), targets=BOTH))[0] == "b"


def test_without_partition_the_draw_is_among_all_models() -> None:
    wishes = {"sort": {"partition": "none"}}
    firsts = {order(planned(TWO, wishes, targets=BOTH, seed=n << 47))[0] for n in range(64)}
    assert firsts == {"b", "x", "y"}


def test_each_model_may_have_variants_of_its_own() -> None:
    targets = (Target(OTHER, ("floor",)), Target(MODEL, ("nitro",)))
    where = world(A, B, offer("x", 3, model=OTHER), offer("y", 2, model=OTHER))
    assert order(planned(where, targets=targets, known=SPEEDS)) == ["y", "x", "b", "a"]


def test_fallbacks_off_leaves_the_first_of_each_model_or_the_one_first_of_all() -> None:
    off = {"sort": "price", "allow_fallbacks": False}
    assert order(planned(TWO, off, targets=BOTH)) == ["b", "x"]
    off["sort"] = {"by": "price", "partition": "none"}
    assert order(planned(TWO, off, targets=BOTH)) == ["x"]


# --- warm caches ---


def cached(provider: str, usd_per_million: float, *, saving: float = 0.9) -> Endpoint:
    """One that charges a share less for what it reads from its cache."""
    made = offer(provider, usd_per_million)
    read_price = round(made.prices.prompt * (1 - saving))
    return offer(provider, usd_per_million, prices=_with_cache(made, read_price))


def _with_cache(endpoint: Endpoint, read_price: int) -> object:
    return msgspec.structs.replace(endpoint.prices, input_cache_read=read_price)


WARM = Warm(cached("c", 1.4).id, 1000)


def test_a_conversation_stays_where_its_cache_makes_it_cheaper() -> None:
    where = world(A, B, cached("c", 1.4))
    chosen = planned(where, warm=WARM)
    assert whys(chosen) == [("c", "sticky"), ("a", "price"), ("b", "price")]
    assert chosen.choices[0].price == 1000 * 140_000 + 500 * 1_400_000


def test_a_conversation_leaves_a_warm_cache_that_is_dearer_than_a_cold_one_elsewhere() -> None:
    where = world(A, B, cached("c", 9))
    assert {order(planned(where, warm=WARM, seed=n << 47))[0] for n in range(64)} >= {"a", "b"}
    assert order(planned(where, BY_PRICE, warm=WARM)) == ["a", "b", "c"]


def test_a_dear_alternative_that_is_not_well_is_no_reason_to_leave() -> None:
    where = world(A, cached("c", 3))
    known = {"a": standing(Standing.UNSTABLE)}
    assert order(planned(where, BY_PRICE, warm=WARM)) == ["a", "c"]
    assert order(planned(where, BY_PRICE, warm=WARM, known=known)) == ["c", "a"]


def test_other_sorts_than_price_keep_a_conversation_where_it_is() -> None:
    where = world(A, B, cached("c", 9))
    assert order(planned(where, {"sort": "throughput"}, warm=WARM, known=SPEEDS)) == ["c", "b", "a"]


@pytest.mark.parametrize("value", [Standing.LIMITED, Standing.UNSTABLE, Standing.DOWN])
def test_an_endpoint_that_is_not_well_keeps_nobody(value: Standing) -> None:
    where = world(A, B, cached("c", 1.4))
    assert order(planned(where, BY_PRICE, warm=WARM, known={"c": standing(value)})) == [
        "a",
        "b",
        "c",
    ]


def test_a_cache_that_saves_nothing_keeps_nobody() -> None:
    where = world(A, B, cached("c", 1.4, saving=0))
    assert order(planned(where, {"sort": "throughput"}, warm=WARM, known=SPEEDS)) == ["b", "c", "a"]


def test_a_warm_endpoint_that_is_gone_or_excluded_is_no_matter() -> None:
    where = world(A, B, cached("c", 1.4))
    assert order(planned(where, BY_PRICE | {"ignore": ["c"]}, warm=WARM)) == ["a", "b"]
    assert order(planned(WORLD, BY_PRICE, warm=Warm("gone:acme/one", 10))) == ["a", "b", "c"]


# --- service tiers ---

TIERED = world(
    A,
    B,
    offer("a", 2, tag="a/priority", tier="priority"),
    offer("b", 0.5, tag="b/flex", tier="flex"),
)
TIER_SPEEDS = {
    "a": speed(throughput=10),
    "b": speed(throughput=20),
    "a/priority": speed(throughput=15),
}


def test_tiers_are_left_alone_unless_asked_for() -> None:
    chosen = planned(TIERED, BY_PRICE)
    assert order(chosen) == ["a", "b"]
    assert reasons(chosen) == {"a/priority": Removal.SERVICE_TIER, "b/flex": Removal.SERVICE_TIER}
    assert chosen.removed[0].detail == "of the tier priority, which was not asked for"


def test_priority_comes_first_and_then_the_fastest() -> None:
    chosen = planned(TIERED, asked=traits(service_tier="priority"), known=TIER_SPEEDS)
    assert whys(chosen) == [("a/priority", "tier"), ("b", "sort"), ("a", "sort")]
    off = planned(
        TIERED, {"allow_fallbacks": False}, asked=traits(service_tier="priority"), known=TIER_SPEEDS
    )
    assert order(off) == ["a/priority"]


def test_flex_is_only_flex_as_long_as_there_is_any() -> None:
    chosen = planned(TIERED, asked=traits(service_tier="flex"))
    assert order(chosen) == ["b/flex"]
    assert reasons(chosen)["a"] is Removal.SERVICE_TIER
    assert order(planned(TIERED, {"ignore": ["b"]}, asked=traits(service_tier="flex"))) == []
    assert order(planned(world(A, B), BY_PRICE, asked=traits(service_tier="flex"))) == ["a", "b"]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [("nitro", ["b", "a/priority", "a"]), ("floor", ["b/flex", "a", "b"])],
)
def test_variants_let_their_tier_in(variant: str, expected: list[str]) -> None:
    targets = (Target(MODEL, (variant,)),)
    assert order(planned(TIERED, targets=targets, known=TIER_SPEEDS)) == expected
    ordered = planned(TIERED, {"order": ["b"]}, targets=targets, known=TIER_SPEEDS)
    assert order(ordered) == ["b", "a"]
    default = traits(service_tier="default")
    chosen = planned(TIERED, asked=default, targets=targets, known=TIER_SPEEDS)
    assert set(order(chosen)) == {"a", "b"}


def test_a_full_slug_lets_its_tier_in() -> None:
    assert order(planned(TIERED, {"only": ["a/priority"]})) == ["a/priority"]
    assert order(planned(TIERED, {"order": ["a/priority"]})) == ["a/priority", "a", "b"]
    assert order(planned(TIERED, {"only": ["a"]})) == ["a"]
    assert order(planned(TIERED, {"ignore": ["a/priority", "b"]})) == ["a"]


def test_a_base_slug_means_a_tier_that_was_asked_for() -> None:
    chosen = planned(TIERED, {"only": ["a"]}, asked=traits(service_tier="priority"))
    assert order(chosen) == ["a/priority", "a"]


# --- the caller's own keys ---

CLOUDS = world(offer("anthropic", 1), offer("amazon-bedrock", 2), offer("google-vertex", 3))
IN_ORDER = {"order": ["amazon-bedrock", "google-vertex", "anthropic"]}
NAMES = ("amazon-bedrock", "google-vertex", "anthropic")


def test_with_keys_for_all_the_own_ones_come_first_in_the_order_and_then_ours() -> None:
    access = {name: (Opening("mine"), Opening()) for name in NAMES}
    chosen = planned(CLOUDS, IN_ORDER, access=access)
    assert order(chosen) == [f"{name} by mine" for name in NAMES] + list(NAMES)
    assert [one.why for one in chosen.choices] == [Why.OWN_KEY] * 3 + [Why.ORDER] * 3


def test_with_one_key_that_one_comes_first() -> None:
    access = dict.fromkeys(NAMES, INSTALLATION) | {"google-vertex": (Opening("mine"), Opening())}
    expected = ["google-vertex by mine", *NAMES]
    assert order(planned(CLOUDS, IN_ORDER, access=access)) == expected


def test_keys_of_one_provider_keep_their_order_and_a_fallback_comes_after_ours() -> None:
    keys = (Opening("first"), Opening("second"), Opening(), Opening("last", is_fallback=True))
    for seed in (0, LUCK_OF_C):
        assert order(planned(world(A), access={"a": keys}, seed=seed)) == [
            "a by first",
            "a by second",
            "a",
            "a by last",
        ]


def test_an_exclusive_key_replaces_ours_at_its_provider_only() -> None:
    access = {
        "a": (Opening("mine", is_exclusive=True), Opening("other"), Opening()),
        "b": INSTALLATION,
    }
    assert order(planned(world(A, B), access=access)) == ["a by mine", "a by other", "b"]


def test_a_key_is_for_its_models_only() -> None:
    elsewhere = (Opening("mine", models=(OTHER,), is_exclusive=True), Opening())
    assert order(planned(world(A), access={"a": elsewhere})) == ["a"]
    chosen = planned(world(A), access={"a": elsewhere[:1]})
    assert reasons(chosen) == {"a": Removal.NO_CREDENTIAL}


def test_an_own_key_is_no_way_around_a_filter() -> None:
    access = {name: (Opening("mine"), Opening()) for name in "abc"}
    assert order(planned(WORLD, {"ignore": ["a", "b"]}, access=access)) == ["c by mine", "c"]


def test_the_own_key_of_who_is_down_waits_for_the_others() -> None:
    access = {"a": (Opening("mine"), Opening()), "b": INSTALLATION}
    chosen = planned(world(A, B), access=access, known={"a": standing(Standing.DOWN)})
    assert order(chosen) == ["b", "a by mine", "a"]


def test_own_keys_cross_models_only_without_partition() -> None:
    access = {"b": INSTALLATION, "x": (Opening("mine"), Opening()), "y": INSTALLATION}
    assert order(planned(TWO, BY_PRICE, targets=BOTH, access=access)) == [
        "b",
        "x by mine",
        "x",
        "y",
    ]
    together = {"sort": {"by": "price", "partition": "none"}}
    assert order(planned(TWO, together, targets=BOTH, access=access)) == [
        "x by mine",
        "x",
        "b",
        "y",
    ]


def test_an_endpoint_left_to_one_of_its_keys_is_not_said_to_be_removed() -> None:
    access = {"a": (Opening("mine"), Opening())}
    chosen = planned(world(A), {"allow_fallbacks": False}, access=access)
    assert order(chosen) == ["a by mine"]
    assert chosen.removed == ()


def test_of_several_keys_for_one_endpoint_only_the_first_is_drawn() -> None:
    access = {"a": (Opening("1"), Opening("2"), Opening("3")), "b": (Opening("1"),)}
    where = world(A, offer("b", 1))
    firsts = [order(planned(where, access=access, seed=n << 47))[0] for n in range(64)]
    assert firsts.count("a by 1") == firsts.count("b by 1") == 32


# --- requests with tools ---

TOOLS = traits(parameters=("tools",))


def proven(*, throughput: float = 50, errors: int = 0) -> Facts:
    return Facts(
        throughput=Percentiles(*[throughput] * 4),
        requests_30m=100,
        tool_requests_2h=200,
        tool_errors_2h=errors,
    )


FIVE = world(*(offer(name, place + 1) for place, name in enumerate("abcde")))
STEADY = {name: proven(throughput=50 + place) for place, name in enumerate("abcde")}


def firsts(chosen_by_seed: list[Plan]) -> set[str]:
    return {order(chosen)[0] for chosen in chosen_by_seed}


def test_tools_are_kept_from_who_is_slow() -> None:
    known = STEADY | {"a": proven(throughput=20)}
    chosen = planned(FIVE, asked=TOOLS, known=known)
    assert order(chosen)[-1] == "a"
    assert chosen.choices[-1].why is Why.QUALITY
    assert order(planned(FIVE, known=known))[0] == "a"


def test_tools_are_kept_from_who_gets_their_calls_wrong() -> None:
    known = STEADY | {"a": proven(throughput=50, errors=60)}
    assert order(planned(FIVE, asked=TOOLS, known=known))[-1] == "a"


def test_who_has_too_little_data_comes_after_the_proven_and_before_the_poor() -> None:
    known = STEADY | {"b": proven(throughput=20), "a": Facts(requests_30m=99, tool_requests_2h=500)}
    where = world(*(offer(name, place + 1) for place, name in enumerate("abcdef")))
    known |= {"f": proven(throughput=52)}
    chosen = planned(where, {"sort": "exacto"}, asked=TOOLS, known=known)
    assert order(chosen) == ["c", "d", "e", "f", "a", "b"]
    assert {choice.why for choice in chosen.choices} == {Why.QUALITY}


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"e": proven()},
        {name: proven(throughput=9 * place + 1) for place, name in enumerate("abc")},
    ],
    ids=["nobody", "one", "three"],
)
def test_while_few_are_proven_tools_are_balanced_by_price(known: dict[str, Facts]) -> None:
    chosen = [planned(FIVE, asked=TOOLS, known=known, seed=n << 45) for n in range(256)]
    usual = [planned(FIVE, known=known, seed=n << 45) for n in range(256)]
    assert [order(one) for one in chosen] == [order(one) for one in usual]


@pytest.mark.parametrize(
    ("wishes", "variants"), [(BY_PRICE, ()), ({}, ("floor",)), ({"order": ["a"]}, ())]
)
def test_tools_leave_an_order_that_was_asked_for(
    wishes: dict[str, object], variants: tuple[str, ...]
) -> None:
    known = STEADY | {"a": proven(throughput=1)}
    chosen = planned(FIVE, wishes, asked=TOOLS, known=known, targets=(Target(MODEL, variants),))
    assert order(chosen) == ["a", "b", "c", "d", "e"]


def test_variants_that_narrow_leave_only_their_endpoints() -> None:
    where = world(
        offer("free", 0, context_length=2000),
        offer("long", 1, context_length=9000),
        offer("paid", 2, context_length=3000),
    )
    chosen = planned(where, targets=(Target(MODEL, ("free",)),))
    assert order(chosen) == ["free"]
    assert set(reasons(chosen).values()) == {Removal.VARIANT}
    assert order(planned(where, targets=(Target(MODEL, ("extended", "nitro")),))) == ["long"]
