"""What names mean: every form of a name, and what is said of a name that means nothing."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.catalog.files import load_seed
from fairlead.core.capability import Capability
from fairlead.core.catalog_overlay import overlay
from fairlead.core.chat import ProviderPreferences
from fairlead.core.errors import CallerError, ModelUnavailable, RequestInvalid
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.core.routing.preferences import AccountPreferences
from fairlead.core.routing.targets import NAMES_MAX, Asked, Targets, resolve_targets
from fairlead.core.routing.types import Opening, Target, Traits

FREE_PRICES = {"usd_per_million_tokens": {"prompt": 0, "completion": 0}}
SNAPSHOT = overlay(
    load_seed(),
    [
        {"id": "acme/gratis", "provider": "groq", **FREE_PRICES},
        {"id": "acme/own:free", "provider": "groq", **FREE_PRICES},
        {"id": "acme/half", "provider": "groq", "usd_per_million_tokens": {"prompt": 1, "completion": 2}},
        {"id": "acme/half", "provider": "together", **FREE_PRICES},
    ],
)  # fmt: skip
TRAITS = Traits(Capability.CHAT, 100, 500, 400)
OPEN = {ProviderSlug(slug): (Opening(),) for slug in ("groq", "openai", "anthropic", "together")}


def resolve(model: str | None, *, seed: int = 0, **about: Any) -> Targets | CallerError:
    account = about.pop("account", AccountPreferences())
    access = about.pop("access", OPEN)
    traits = about.pop("traits", TRAITS)
    asked = {"asked": Asked(**about)} if about else {}
    return resolve_targets(
        model, **asked, snapshot=SNAPSHOT, account=account, traits=traits, access=access, seed=seed
    )


def found(model: str | None, **about: Any) -> Targets:
    targets = resolve(model, **about)
    assert isinstance(targets, Targets), targets
    return targets


def refused(model: str | None, **about: Any) -> CallerError:
    error = resolve(model, **about)
    assert isinstance(error, CallerError)
    return error


def code_of(error: CallerError) -> str | None:
    availability = error.problem().availability
    return None if availability is None else availability.code


def slugs(targets: Targets) -> list[str]:
    return [one.model for one in targets.targets]


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


# --- plain names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("openai/o1", "direct"),
        ("OpenAI/O1", "direct"),
        ("o1", "alias"),
        ("o1:nitro", "alias"),
        ("openai/o1:nitro", "direct"),
    ],
)
def test_a_model_is_meant_directly_or_by_another_name(name: str, strategy: str) -> None:
    targets = found(name)
    assert (slugs(targets), targets.strategy, targets.router) == (["openai/o1"], strategy, None)


def test_a_canonical_slug_is_no_other_name() -> None:
    model = SNAPSHOT.models[ModelId("openai/o1")]
    assert found(model.canonical_slug).strategy == "direct"


def test_a_list_is_tried_after_the_model_and_each_model_once() -> None:
    targets = found("openai/o1", models=["openai/o3", "o1", "openai/o1"])
    assert slugs(targets) == ["openai/o1", "openai/o3"]
    assert targets.strategy == "fallback"
    assert slugs(found(None, models=["openai/o3"])) == ["openai/o3"]


def test_no_model_means_the_accounts_own() -> None:
    account = AccountPreferences(default_model="openai/o3")
    assert slugs(found(None, account=account)) == ["openai/o3"]
    assert slugs(found("openai/o1", account=account)) == ["openai/o1"]
    assert slugs(found(None, account=account, models=["openai/o1"])) == ["openai/o1"]
    error = refused(None)
    assert (error.problem().param, error.problem().status) == ("model", 400)


def test_an_unknown_model_is_answered_with_near_ones() -> None:
    error = refused("openai/o33")
    assert isinstance(error, RequestInvalid)
    assert code_of(error) == "model_not_found"
    assert "openai/o3" in error.message
    assert error.availability is not None
    assert error.availability.requested_models == ("openai/o33",)


def test_a_list_has_a_bound() -> None:
    names = [f"openai/{n}" for n in range(NAMES_MAX + 1)]
    assert refused(None, models=names).problem().param == "models"


def test_a_name_that_means_nothing_is_told_with_its_place_in_the_list() -> None:
    assert refused("openai/o1", models=["openai/o1", "no/pe"]).problem().param == "models[1]"
    assert refused(None, models=["no/pe"]).problem().param == "models[0]"
    assert refused("no/pe", models=["no/pe"]).problem().param == "model"


@given(st.text(max_size=40), st.lists(st.text(max_size=20), max_size=3))
def test_any_names_mean_models_or_an_error(model: str, models: list[str]) -> None:
    targets = resolve(model, models=models)
    if isinstance(targets, Targets):
        assert targets.targets
        assert set(slugs(targets)) <= set(SNAPSHOT.models)
    else:
        assert targets.problem().status in (400, 404)


# --- variants -------------------------------------------------------------------------------------------


def test_variants_stack_in_the_order_given() -> None:
    (target,) = found("openai/o1:thinking:nitro:nitro").targets
    assert target == Target(ModelId("openai/o1"), ("thinking", "nitro"))


def test_a_variant_of_its_own_is_a_model() -> None:
    (target,) = found("acme/own:free:floor").targets
    assert target == Target(ModelId("acme/own:free"), ("floor",))


def test_free_is_a_variant_of_models_that_somebody_serves_for_nothing() -> None:
    assert found("acme/half:free").targets == (Target(ModelId("acme/half"), ("free",)),)
    error = refused("openai/o1:free")
    assert isinstance(error, ModelUnavailable)
    assert code_of(error) == "free_variant_ended"
    assert error.availability.fallback_models == ("openai/o1",)
    assert error.problem().status == 404


def test_a_list_goes_on_where_a_free_variant_has_ended() -> None:
    assert slugs(found("openai/o1:free", models=["openai/o3"])) == ["openai/o3"]
    assert code_of(refused("openai/o1:free", models=["openai/o3:free"])) == "free_variant_ended"


def test_online_is_a_plugin_and_no_variant() -> None:
    targets = found("openai/o1:online:floor")
    assert targets.wants_web
    assert targets.targets[0].variants == ("floor",)
    assert not found("openai/o1:floor").wants_web


@pytest.mark.parametrize(
    "name", ["openai/o1:batch", "openai/o1:fast", "openai/o1:", "openai/o1:free "]
)
def test_a_suffix_that_means_nothing_is_an_unknown_model(name: str) -> None:
    assert code_of(refused(name)) == "model_not_found"


# --- models sold faster as models of their own ----------------------------------------------------------


def test_priority_means_a_fast_sibling_first_where_the_author_has_one() -> None:
    hurried = msgspec.structs.replace(TRAITS, service_tier="priority")
    fast = ModelId("anthropic/claude-opus-4.8-fast")
    usual = ModelId("anthropic/claude-opus-4.8")
    targets = found(f"{usual}:exacto", traits=hurried)
    assert targets.targets == (Target(fast, ("exacto",)), Target(usual, ("exacto",)))
    assert targets.strategy == "direct"
    for slug in (usual, "x-ai/grok-4", "openai/gpt-5.4"):
        assert slugs(found(slug)) == [slug]
    for slug in ("x-ai/grok-4", "openai/gpt-5.4", fast):
        assert slugs(found(slug, traits=hurried)) == [slug]


# --- latest ---------------------------------------------------------------------------------------------


def test_a_family_means_its_newest_model() -> None:
    targets = found("~Anthropic/claude-opus-latest:thinking")
    newest = SNAPSHOT.families["~anthropic/claude-opus-latest"].newest
    assert targets.targets == (Target(newest, ("latest", "thinking")),)
    assert targets.strategy == "latest"


def test_an_unknown_family_is_answered_with_those_of_the_author() -> None:
    error = refused("~anthropic/claude-epic-latest")
    assert code_of(error) == "model_not_found"
    assert "~anthropic/claude-opus-latest" in error.message
    assert "Those of" not in refused("~nobody/x-latest").message


# --- routers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fairlead/auto", "openrouter/auto", "Fairlead/Auto"])
def test_auto_chooses_models_that_can_be_called_here(name: str) -> None:
    targets = found(name)
    assert (targets.strategy, targets.router) == ("auto", "fairlead/auto")
    assert 1 <= len(targets.targets) <= 3
    for slug in slugs(targets):
        offers = SNAPSHOT.models[ModelId(slug)].endpoints
        assert any(one.provider in OPEN for one in offers)


def test_a_routers_variants_are_those_of_its_models() -> None:
    assert {one.variants for one in found("fairlead/auto:floor").targets} == {("floor",)}


@pytest.mark.parametrize("name", ["fairlead/free", "openrouter/free"])
def test_free_draws_by_the_seed(name: str) -> None:
    drawn = {found(name, seed=seed).targets[0] for seed in (0, 2**52, 2**53 - 1)}
    assert drawn == {
        Target(ModelId(slug), ("free",)) for slug in ("acme/gratis", "acme/half", "acme/own:free")
    }
    assert found(name).router == "fairlead/free"


def test_a_router_without_a_choice_says_so() -> None:
    ways: list[dict[str, Any]] = [
        {"access": {}},
        {"account": AccountPreferences(allowed_models=("nobody/*",))},
    ]
    for about in ways:
        error = refused("fairlead/auto", **about)
        assert code_of(error) == "no_endpoints"
        assert error.problem().status == 404
        assert "No models match your request and model restrictions" in error.message
    assert slugs(found("fairlead/auto", models=["openai/o1"], access={})) == ["openai/o1"]


@pytest.mark.parametrize(
    ("account", "provider"),
    [
        (AccountPreferences(allowed_providers=("OpenAI",)), None),
        (AccountPreferences(ignored_providers=("groq", "anthropic", "together")), None),
        (AccountPreferences(), {"only": ["openai/priority", "azure"]}),
        (AccountPreferences(), {"ignore": ["Groq", "Anthropic", "Together AI", "together"]}),
    ],
)
def test_a_router_keeps_to_lists_of_providers(account: AccountPreferences, provider: Any) -> None:
    about = {} if provider is None else {"provider": ProviderPreferences(**provider)}
    for slug in slugs(found("fairlead/auto", account=account, **about)):
        assert any(e.provider == "openai" for e in SNAPSHOT.models[ModelId(slug)].endpoints)


def test_a_router_keeps_to_lists_of_models() -> None:
    only = AccountPreferences(allowed_models=("openai/*", "acme/half"), ignored_models=("*/gpt-*",))
    for slug in slugs(found("fairlead/auto", account=only)):
        assert slug.startswith("openai/o") or slug == "acme/half"
    assert slugs(found("fairlead/free", account=only)) == ["acme/half"]
    none = AccountPreferences(ignored_models=("*",))
    assert code_of(refused("fairlead/auto", account=none)) == "no_endpoints"


def test_auto_reads_its_plugin() -> None:
    plugins = [{"id": raw("auto-router"), "allowed_models": raw(["anthropic/*"])}]
    assert {s.partition("/")[0] for s in slugs(found("fairlead/auto", plugins=plugins))} == {
        "anthropic"
    }
    wrong = [{"id": raw("auto-router"), "cost_tier": raw(1)}]
    assert refused("fairlead/auto", plugins=wrong).problem().param == "plugins[0].cost_tier"
    assert slugs(found("openai/o1", plugins=wrong)) == ["openai/o1"]


def test_auto_keeps_the_conversations_model_if_asked_to() -> None:
    pinned = [{"id": raw("auto-router"), "pin_model": raw(True)}]
    about: dict[str, Any] = {"earlier": lambda: "Anthropic/claude-sonnet-5"}
    kept = found("fairlead/auto", plugins=pinned, **about)
    assert slugs(kept)[0] == "anthropic/claude-sonnet-5"
    assert slugs(kept)[1:] == slugs(found("fairlead/auto"))[:2]
    assert slugs(found("fairlead/auto", **about)) == slugs(found("fairlead/auto"))


# --- presets --------------------------------------------------------------------------------------------


def test_a_preset_that_is_still_in_a_name_is_where_none_belongs() -> None:
    for models, param in (
        (["openai/o3", "@preset/quick"], "models[1]"),
        (["a@preset/b"], "models[0]"),
    ):
        assert refused("openai/o1", models=models).problem().param == param


# --- the cost -------------------------------------------------------------------------------------------


def test_a_plain_name_costs_next_to_nothing() -> None:
    """A bound far above the two microseconds that it may take, so that a busy machine does not fail it."""
    account = AccountPreferences()
    took_s = []
    for _ in range(200):
        began = time.perf_counter()
        for _ in range(100):
            resolve_targets(
                "openai/o1",
                snapshot=SNAPSHOT,
                account=account,
                traits=TRAITS,
                access=OPEN,
                seed=1,
            )
        took_s.append((time.perf_counter() - began) / 100)
    assert min(took_s) < 5e-6
