"""From a name to a plan: what a name promises, the plan keeps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.catalog.files import load_seed
from fairlead.core.capability import Capability
from fairlead.core.catalog_overlay import overlay
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.routing.facts import UNKNOWN, Facts
from fairlead.core.routing.planner import plan
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES, NO_WISHES, Preferences
from fairlead.core.routing.targets import Targets, resolve_targets
from fairlead.core.routing.types import Opening, Plan, Question, Removal, Traits

MODEL = "openai/gpt-oss-120b"
TIERED = "openai/gpt-5.4"
FREE = {"usd_per_million_tokens": {"prompt": 0, "completion": 0}}
SNAPSHOT = overlay(
    load_seed(),
    [
        {"id": MODEL, "provider": "groq", "tag": "gratis", **FREE},
        {"id": MODEL, "provider": "groq", "tag": "wide", "context_length": 900_000},
    ],
)
TRAITS = Traits(Capability.CHAT, 100, 500, 400)
EVERYWHERE = {slug: (Opening(),) for slug in SNAPSHOT.providers}
SEEDS = st.integers(0, 2**53 - 1)


class Unheard:
    def facts(self, endpoint: EndpointId) -> Facts:
        return UNKNOWN


def planned(
    name: str, seed: int = 0, traits: Traits = TRAITS, preferences: Preferences = NO_WISHES
) -> Plan:
    targets = resolve_targets(
        name,
        snapshot=SNAPSHOT,
        account=NO_ACCOUNT_WISHES,
        traits=traits,
        access=EVERYWHERE,
        seed=seed,
    )
    assert isinstance(targets, Targets), targets
    question = Question(targets.targets, traits)
    return plan(
        question,
        SNAPSHOT,
        Unheard(),
        preferences,
        seed,
        EVERYWHERE,
        can_serve=lambda provider: True,
    )


def tags(found: Plan) -> list[str]:
    return [choice.endpoint.tag for choice in found.choices]


@given(SEEDS, st.sampled_from([f"{MODEL}:free", f"{MODEL}:nitro:free", "fairlead/free"]))
def test_what_is_called_free_never_costs(seed: int, name: str) -> None:
    found = planned(name, seed)
    assert found.choices
    assert all(choice.price == 0 for choice in found.choices)


def test_the_others_are_left_out_as_of_another_variant() -> None:
    found = planned(f"{MODEL}:free")
    assert tags(found) == ["groq/gratis"]
    reasons = {one.reason for one in found.removed}
    assert Removal.VARIANT in reasons
    offered = len(SNAPSHOT.models[ModelId(MODEL)].endpoints)
    assert len(found.choices) + len(found.removed) == offered


def test_extended_is_the_longest_context() -> None:
    assert tags(planned(f"{MODEL}:extended")) == ["groq/wide"]


@pytest.mark.parametrize(
    ("name", "tier", "admitted"),
    [
        (TIERED, None, set()),
        (f"{TIERED}:nitro", None, {"priority"}),
        (f"{TIERED}:floor", None, {"flex"}),
        (TIERED, "priority", {"priority"}),
        (TIERED, "flex", {"flex"}),
        (f"{TIERED}:nitro", "default", set()),
    ],
)
def test_tiers_serve_who_asks_for_them(name: str, tier: Any, admitted: set[str]) -> None:
    found = planned(name, traits=msgspec.structs.replace(TRAITS, service_tier=tier))
    assert {one.endpoint.tier for one in found.choices} - {None} == admitted


def test_a_tier_is_chosen_by_its_name() -> None:
    found = planned(TIERED, preferences=Preferences(only=("openai/flex",)))
    assert tags(found) == ["openai/flex"]
    whole = planned(TIERED, preferences=Preferences(only=("openai",)))
    assert tags(whole) == ["openai"]


@given(SEEDS)
def test_whom_auto_chooses_can_be_called(seed: int) -> None:
    found = planned("fairlead/auto", seed)
    assert found.choices
    assert {ProviderSlug(one.endpoint.provider) for one in found.choices} <= EVERYWHERE.keys()
