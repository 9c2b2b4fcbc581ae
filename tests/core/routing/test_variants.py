"""What suffixes of a name change: which endpoints, and whether a model reasons."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.catalog import EndpointStatus, Model, Reasoning
from fairlead.core.chat import ReasoningSettings
from fairlead.core.routing.variants import LATEST, has_free, narrowed, reasoning_for
from fairlead.testing.builders import a_model, an_endpoint

ZERO = an_endpoint("zero", prompt="0", completion="0")
PAID = an_endpoint("paid", context_length=200_000)
UNPRICED = an_endpoint("none", prompt="0", completion="0", status=EndpointStatus.UNPRICED)
MODEL = a_model(ZERO, PAID, UNPRICED)
EFFORTS = ("max", "xhigh", "high", "medium", "low", "minimal", "none")


def kept(*variants: str) -> list[str] | None:
    left = narrowed((ZERO, PAID), variants)
    return None if left is None else [one.provider for one in (ZERO, PAID) if one.id in left]


def reasoner(**about: Any) -> Model:
    reasoning = msgspec.structs.replace(Reasoning(supported=True), **about)
    return msgspec.structs.replace(a_model(), reasoning=reasoning)


# --- endpoints ------------------------------------------------------------------------------------------


def test_free_keeps_what_costs_nothing_and_says_so() -> None:
    assert kept("free") == ["zero"]


def test_extended_keeps_the_longest_context() -> None:
    assert kept("extended") == ["paid"]
    assert kept("free", "extended") == ["zero"]
    assert narrowed((), ("free", "extended")) == frozenset()


@pytest.mark.parametrize("variant", ["beta", "nitro", "floor", "exacto", "thinking", LATEST])
def test_other_variants_say_nothing_about_endpoints(variant: str) -> None:
    assert kept(variant) is None


@pytest.mark.parametrize("name", ["request", "audio_second", "character", "image_output"])
def test_what_is_sold_by_anything_else_than_tokens_is_not_free(name: str) -> None:
    fee = msgspec.structs.replace(ZERO, prices=msgspec.structs.replace(ZERO.prices, **{name: 1}))
    assert not has_free(a_model(fee, PAID, UNPRICED))
    assert has_free(MODEL)


# --- reasoning ------------------------------------------------------------------------------------------


def test_thinking_switches_reasoning_on_where_nothing_is_said() -> None:
    on = ReasoningSettings(enabled=True)
    assert reasoning_for(None, reasoner(), ("thinking",)) == on
    hidden = ReasoningSettings(exclude=True)
    assert reasoning_for(hidden, reasoner(), ("thinking",)) == ReasoningSettings(
        enabled=True, exclude=True
    )
    for asked in (ReasoningSettings(effort="low"), ReasoningSettings(enabled=False)):
        assert reasoning_for(asked, reasoner(), ("thinking",)) == asked


def test_thinking_says_nothing_to_models_without_it_and_to_anthropics() -> None:
    theirs = msgspec.structs.replace(reasoner(), author="anthropic")
    for model in (a_model(), theirs):
        assert reasoning_for(None, model, ("thinking",)) is None


def test_a_slug_presets_an_effort_unless_the_caller_names_one() -> None:
    model = a_model(preset_effort="high")
    assert reasoning_for(None, model) == ReasoningSettings(effort="high")
    hidden = ReasoningSettings(exclude=True)
    assert reasoning_for(hidden, model) == ReasoningSettings(effort="high", exclude=True)
    low = ReasoningSettings(effort="low")
    assert reasoning_for(low, model) == low


@given(st.sampled_from(EFFORTS), st.sets(st.sampled_from(EFFORTS), min_size=1))
def test_an_alias_asks_for_an_effort_that_the_model_has(effort: Any, has: set[str]) -> None:
    efforts = tuple(one for one in EFFORTS if one in has)
    asked = ReasoningSettings(effort=effort, exclude=True)
    found = reasoning_for(asked, reasoner(efforts=efforts), (LATEST,))
    assert found is not None
    assert found.exclude
    assert found.effort in efforts
    assert (found.effort == effort) == (effort in efforts)
    assert reasoning_for(asked, reasoner(efforts=efforts)) == asked


def test_of_two_that_are_as_near_the_lower_is_asked_for() -> None:
    found = reasoning_for(
        ReasoningSettings(effort="medium"), reasoner(efforts=("high", "low")), (LATEST,)
    )
    assert found == ReasoningSettings(effort="low")


def test_an_alias_leaves_out_what_the_model_cannot_do() -> None:
    assert reasoning_for(ReasoningSettings(effort="low"), a_model(), (LATEST,)) is None
    off = ReasoningSettings(enabled=False)
    assert reasoning_for(off, reasoner(mandatory=True), (LATEST,)) == ReasoningSettings()
    assert reasoning_for(off, reasoner(toggle=True), (LATEST,)) == off
