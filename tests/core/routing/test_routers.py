"""Routers: whom they choose from, and whom they choose."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.capability import Capability
from fairlead.core.catalog import Contender
from fairlead.core.errors import RequestInvalid
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.core.routing.patterns import Patterns
from fairlead.core.routing.routers import (
    LOOSE_PATTERNS_MAX,
    PATTERN_CHARACTERS_MAX,
    PATTERNS_CHARACTERS_MAX,
    PATTERNS_MAX,
    ROUTER_MODELS,
    ROUTERS,
    AutoSettings,
    Field,
    auto_settings,
    choose_best,
    choose_free,
)
from fairlead.core.routing.types import Traits
from tests.shipped import SEED

PLAIN = Traits(Capability.CHAT, 100, 500, 400)
EVERYWHERE = frozenset(SEED.providers)
ALL = Field(SEED.contenders, EVERYWHERE)
ACME = ProviderSlug("acme")


def one(slug: str, price: int = 100, quality: float = 0.5, **about: Any) -> Contender:
    known: dict[str, Any] = {
        "abilities": frozenset({"tools"}),
        "context_length": 0,
        "max_completion_tokens": None,
        "providers": frozenset({ACME}),
        "free_at": frozenset(),
        "is_sandbox": False,
    }
    return Contender(ModelId(slug), price, quality, **(known | about))


def field(*contenders: Contender, **about: Any) -> Field:
    return Field(
        sorted(contenders, key=lambda each: (each.price, each.model)), frozenset({ACME}), **about
    )


def traits(**about: Any) -> Traits:
    return msgspec.structs.replace(PLAIN, **about)


def plugin(**fields: Any) -> list[dict[str, msgspec.Raw]]:
    encoded = msgspec.json.encode([{"id": "auto-router", **fields}])
    return msgspec.json.decode(encoded, type=list[dict[str, msgspec.Raw]])


TRAITS = st.builds(
    Traits,
    st.just(Capability.CHAT),
    st.integers(0, 2_000_000),
    st.integers(0, 500),
    st.integers(0, 8_000_000),
    st.none() | st.integers(1, 300_000),
    st.booleans(),
    st.sets(st.sampled_from(["image", "file", "audio", "video"])).map(lambda s: tuple(sorted(s))),
    st.sets(st.sampled_from(["tools", "response_format", "reasoning_effort", "seed"])).map(
        lambda s: tuple(sorted(s))
    ),
)
SETTINGS = st.builds(
    AutoSettings,
    cost_tier=st.sampled_from([None, "low", "medium", "high", "xhigh", "max"]),
    cost_quality_tradeoff=st.none() | st.floats(0, 10),
)


# --- auto -----------------------------------------------------------------------------------------------


def test_the_best_of_the_cheapest_fifth_is_chosen_and_two_to_fall_back_on() -> None:
    models = [one(f"acme/{n}", price=n, quality=(n % 3) / 3) for n in range(20)]
    assert choose_best(field(*models), PLAIN) == ("acme/2", "acme/1", "acme/0")


@pytest.mark.parametrize(
    ("tier", "chosen"),
    [("low", 1), ("medium", 3), ("high", 5), ("xhigh", 7), ("max", 9)],
)
def test_a_cost_tier_is_a_band_and_no_ceiling(tier: Any, chosen: int) -> None:
    models = [one(f"acme/{n}", price=n, quality=n / 10) for n in range(10)]
    assert choose_best(field(*models), PLAIN, AutoSettings(cost_tier=tier))[0] == f"acme/{chosen}"


@pytest.mark.parametrize(("tradeoff", "chosen"), [(10, 0), (5, 4), (0, 8)])
def test_the_older_setting_is_a_ceiling_and_the_newer_goes_first(
    tradeoff: int, chosen: int
) -> None:
    models = [one(f"acme/{n}", price=n, quality=n / 10) for n in range(10)]
    settings = AutoSettings(cost_quality_tradeoff=tradeoff)
    assert choose_best(field(*models), PLAIN, settings)[0] == f"acme/{chosen}"
    both = msgspec.structs.replace(settings, cost_tier="max")
    assert choose_best(field(*models), PLAIN, both)[0] == "acme/9"


def test_equal_quality_is_decided_by_price_and_then_by_name() -> None:
    models = [one("acme/b", 1), one("acme/a", 1), one("acme/c", 0)]
    settings = AutoSettings(cost_quality_tradeoff=0)
    assert choose_best(field(*models), PLAIN, settings) == ("acme/c", "acme/a", "acme/b")


@pytest.mark.parametrize(
    ("needed", "about"),
    [
        ({"parameters": ("tools",)}, {"abilities": frozenset()}),
        ({"modalities": ("image",)}, {"abilities": frozenset({"in:text"})}),
        ({"prompt_tokens": 9_000}, {"context_length": 9_000}),
        ({"max_tokens": 9_000}, {"max_completion_tokens": 8_000}),
        ({}, {"providers": frozenset({"elsewhere"})}),
    ],
    ids=["tools", "image", "context", "answer", "access"],
)
def test_a_model_that_cannot_is_not_chosen(needed: Any, about: Any) -> None:
    unable = one("acme/unable", 0, 1.0, **about)
    able = one("acme/able", 5, 0.1, abilities=frozenset({"tools", "in:image"}))
    assert choose_best(field(unable, able), traits(**needed)) == ("acme/able",)
    assert choose_best(field(unable), traits(**needed)) == ()


@pytest.mark.parametrize("parameter", ["response_format", "reasoning", "reasoning_effort"])
def test_what_can_be_ignored_counts_only_where_some_model_can(parameter: str) -> None:
    unable = one("acme/unable", 0, 1.0)
    able = one("acme/able", 5, 0.1, abilities=frozenset({"response_format", "reasoning"}))
    wanted = traits(parameters=(parameter,))
    assert choose_best(field(unable, able), wanted) == ("acme/able",)
    assert choose_best(field(unable), wanted) == ("acme/unable",)


def test_a_file_can_be_read_for_any_model_and_a_ceiling_is_no_demand() -> None:
    small = one("acme/one", max_completion_tokens=10)
    wanted = traits(modalities=("file",), max_tokens=5_000, is_ceiling=True)
    assert choose_best(field(small), wanted) == ("acme/one",)


def test_a_long_prompt_goes_where_the_context_is_known_to_be_long() -> None:
    unknown = one("acme/unknown", 0, 1.0)
    long = one("acme/long", 9, 0.1, context_length=100_000)
    for tokens, chosen in ((500, "acme/unknown"), (50_000, "acme/long"), (500_000, "acme/unknown")):
        assert choose_best(field(unknown, long), traits(prompt_tokens=tokens))[0] == chosen


def test_the_sandbox_is_chosen_only_where_there_is_nothing_else() -> None:
    toy = one("sandbox/echo", 0, 1.0, is_sandbox=True)
    assert choose_best(field(toy, one("acme/real")), PLAIN) == ("acme/real",)
    assert choose_best(field(toy), PLAIN) == ("sandbox/echo",)


def test_the_conversations_model_goes_on_as_long_as_it_can() -> None:
    models = [one(f"acme/{n}", price=n, quality=n / 10) for n in range(10)]
    earlier = ModelId("acme/7")
    assert choose_best(field(*models), PLAIN, earlier=earlier) == ("acme/7", "acme/1", "acme/0")
    gone = ModelId("acme/gone")
    assert choose_best(field(*models), PLAIN, earlier=gone)[0] == "acme/1"


@given(TRAITS, SETTINGS)
def test_of_the_catalogue_it_chooses_up_to_three_that_can(wanted: Traits, settings: Any) -> None:
    chosen = choose_best(ALL, wanted, settings)
    assert len(set(chosen)) == len(chosen) <= 3
    assert chosen == choose_best(ALL, wanted, settings)
    known = {each.model: each for each in SEED.contenders}
    for model in chosen:
        assert not 0 < known[model].context_length < wanted.prompt_tokens
        assert "tools" not in wanted.parameters or "tools" in known[model].abilities
        assert {f"in:{m}" for m in wanted.modalities if m != "file"} <= known[model].abilities


@given(TRAITS, st.sets(st.sampled_from(sorted(EVERYWHERE)), min_size=1))
def test_it_finds_a_model_whenever_one_can(wanted: Traits, providers: Any) -> None:
    """Whatever is known of them: quality and price only order."""
    some = Field(SEED.contenders, frozenset(providers))
    able = choose_best(some, wanted, AutoSettings(cost_tier="low"))
    for tier in ("medium", "high", "xhigh", "max"):
        assert bool(choose_best(some, wanted, AutoSettings(cost_tier=tier))) == bool(able)


# --- free -----------------------------------------------------------------------------------------------


@given(st.integers(0, 2**53 - 1))
def test_only_models_that_cost_nothing_here_are_drawn(seed: int) -> None:
    models = [
        one("acme/zero", free_at=frozenset({ACME})),
        one("acme/paid"),
        one("acme/elsewhere", providers=frozenset({ACME, "x"}), free_at=frozenset({"x"})),
    ]
    assert choose_free(field(*models), PLAIN, seed) == ("acme/zero",)


def test_each_is_drawn_as_often_as_any_other() -> None:
    models = [one(f"acme/{n}", free_at=frozenset({ACME})) for n in range(4)]
    draws = 4_000
    first = [choose_free(field(*models), PLAIN, (2**53 * n) // draws)[0] for n in range(draws)]
    assert {model: first.count(model) for model in first} == {f"acme/{n}": 1_000 for n in range(4)}


def test_free_needs_what_the_request_needs() -> None:
    toolless = one("acme/zero", free_at=frozenset({ACME}), abilities=frozenset())
    assert choose_free(field(toolless), traits(parameters=("tools",)), 1) == ()


# --- settings -------------------------------------------------------------------------------------------


def test_settings_are_those_of_the_routers_own_plugin() -> None:
    others = plugin(cost_tier="max")
    others[0]["id"] = msgspec.Raw(b'"web"')
    assert auto_settings(None) == auto_settings(others) == AutoSettings()
    assert auto_settings([*others, *plugin(cost_tier="high", pin_model=True, more=1)]) == (
        AutoSettings(cost_tier="high", pin_model=True)
    )
    assert auto_settings(plugin(cost_tier="high", enabled=False)) == AutoSettings()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"cost_tier": "cheap"}, "plugins[0].cost_tier"),
        ({"cost_quality_tradeoff": 11}, "plugins[0].cost_quality_tradeoff"),
        ({"allowed_models": "all"}, "plugins[0].allowed_models"),
        ({"allowed_models": ["a"] * (PATTERNS_MAX + 1)}, "plugins[0].allowed_models"),
        (
            {"allowed_models": ["*/a"] * (LOOSE_PATTERNS_MAX + 1)},
            "plugins[0].allowed_models",
        ),
        (
            {"excluded_models": ["a", "b" * (PATTERN_CHARACTERS_MAX + 1)]},
            "plugins[0].excluded_models[1]",
        ),
        (
            {"excluded_models": ["c" * 1000] * (PATTERNS_CHARACTERS_MAX // 1000 + 1)},
            "plugins[0].excluded_models",
        ),
    ],
    ids=["tier", "tradeoff", "no list", "too many", "too loose", "too long", "too much"],
)
def test_a_wrong_setting_is_refused_by_its_path(fields: Any, param: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        auto_settings(plugin(**fields))
    assert refused.value.param == param


def test_allowed_is_a_ceiling_of_both_and_exclusion_goes_last() -> None:
    models = [one("acme/a-1"), one("acme/a-2"), one("acme/b"), one("other/a-1")]
    limited = field(
        *models,
        allowed=(Patterns(["acme/*"]), Patterns(["*/a-*"])),
        excluded=(Patterns(["acme/a-2"]),),
    )
    assert choose_best(limited, PLAIN) == ("acme/a-1",)


# --- patterns -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "model", "fits"),
    [
        ("openai/o1", "openai/o1", True),
        ("OpenAI/O1", "openai/o1", True),
        ("openai/o1", "openai/o1-pro", False),
        ("openai/o1", "openai/o1:free", True),
        ("openai/*", "openai/o1", True),
        ("openai/*", "openai-like/o1", False),
        ("*/claude-*", "anthropic/claude-opus-5", True),
        ("*/claude-*", "anthropic/other-claude", False),
        ("*-mini", "openai/gpt-4o-mini", True),
        ("*", "anything", True),
        ("a*a", "a", False),
        ("a*b*c", "axbxxc", True),
        ("a*bc*c", "abc", False),
        ("[o]?/*", "o1/x", False),
    ],
)
def test_only_a_star_is_special(pattern: str, model: str, fits: bool) -> None:
    assert Patterns([pattern]).match(model) is fits


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_a_pattern_means_what_the_usual_wildcard_means(pattern: str, text: str) -> None:
    def slow(wanted: str, given_: str) -> bool:
        if not wanted:
            return not given_
        if wanted[0] == "*":
            return any(slow(wanted[1:], given_[at:]) for at in range(len(given_) + 1))
        return given_[:1] == wanted[0] and slow(wanted[1:], given_[1:])

    assert Patterns([pattern]).match(text) == slow(pattern, text)


# --- the list, and the cost -----------------------------------------------------------------------------


def test_every_router_is_shown_as_a_model_without_endpoints() -> None:
    assert set(ROUTERS.values()) == set(ROUTER_MODELS)
    assert all(each.endpoints == () and each.id == slug for slug, each in ROUTER_MODELS.items())


def test_choosing_among_the_whole_catalogue_is_quick() -> None:
    """Far above what it takes, so that a busy machine does not fail it, and far below what a call may wait."""
    wanted = traits(parameters=("response_format", "tools"), modalities=("image",))
    took_s = []
    for _ in range(50):
        began = time.perf_counter()
        choose_best(ALL, wanted)
        took_s.append(time.perf_counter() - began)
    assert min(took_s) < 0.001
