"""A request over its preset: what it says holds, what it leaves out is filled in, tools are all of both."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.presets import (
    Named,
    is_slug,
    laid_over,
    merged_tools,
    named_by,
    tool_identity,
)

NO_MODEL = Named("x", "", "@preset/x")


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def fields(**values: object) -> dict[str, msgspec.Raw]:
    return {name: raw(value) for name, value in values.items()}


def merged(preset: dict[str, Any], request: dict[str, Any], **about: Any) -> dict[str, Any]:
    about.setdefault("named", Named("x", request.get("model", ""), "..."))
    about.setdefault("instead", {})
    laid = laid_over(fields(**preset), fields(**request), **about)
    return {name: json.loads(bytes(value)) for name, value in laid.items()}


def function(name: str, text: str = "") -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": text}}


# --- names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "slug", "model", "as_written"),
    [
        ({"model": "@preset/a"}, "a", "", "@preset/a"),
        ({"model": "o/p@preset/a"}, "a", "o/p", "o/p@preset/a"),
        ({"model": "o/p@preset/a:nitro"}, "a", "o/p:nitro", "o/p@preset/a:nitro"),
        ({"model": "@preset/a:nitro"}, "a", ":nitro", "@preset/a:nitro"),
        ({"preset": "a"}, "a", "", "@preset/a"),
        ({"preset": "a", "model": "o/p"}, "a", "o/p", "o/p@preset/a"),
        ({"preset": "a", "model": "@preset/b"}, "b", "", "@preset/b"),
    ],
)
def test_a_preset_is_named_in_two_places(
    said: dict[str, str], slug: str, model: str, as_written: str
) -> None:
    assert named_by(fields(**said)) == Named(slug, model, as_written)


@pytest.mark.parametrize(
    "said", [{}, {"model": "o/p"}, {"preset": None}, {"preset": 5}, {"model": []}]
)
def test_other_requests_name_none(said: dict[str, object]) -> None:
    assert named_by(fields(**said)) is None


def test_slugs_are_what_an_address_takes() -> None:
    assert all(map(is_slug, ("a", "0", "a-b_c", "x" * 64)))
    assert not any(map(is_slug, ("", "A", "-a", "_a", "a b", "a/b", "a:b", "é", "x" * 65)))


# --- fields -------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
ANY_FIELDS = st.dictionaries(st.sampled_from(["temperature", "stop", "seed", "x", "y"]), VALUES)


@given(ANY_FIELDS, ANY_FIELDS)
def test_what_the_request_says_holds_and_the_rest_is_the_presets(
    preset: dict[str, Any], request: dict[str, Any]
) -> None:
    after = merged(preset, request, named=Named("x", "o/p", "..."))
    for name in preset.keys() | request.keys():
        said = request.get(name)
        assert after[name] == (preset.get(name) if said is None else said)
    assert after.keys() == preset.keys() | request.keys() | {"model"}


@given(ANY_FIELDS)
def test_a_request_over_nothing_is_itself_and_nothing_over_a_preset_is_the_preset(
    some: dict[str, Any],
) -> None:
    assert merged({}, {**some, "model": "o/p"}) == {**some, "model": "o/p"}
    assert merged({**some, "model": "o/p"}, {"preset": "x"}) == {**some, "model": "o/p"}


def test_models_come_from_whoever_says_them() -> None:
    preset = {"model": "o/p", "models": ["a/b"]}
    assert merged(preset, {}) == preset
    assert merged(preset, {"model": "x/y"})["model"] == "x/y"
    assert merged(preset, {}, named=Named("x", ":nitro", "..."))["model"] == "o/p:nitro"
    assert merged({}, {}, named=NO_MODEL)["model"] is None
    assert merged(preset, {"models": ["c/d"]})["models"] == ["c/d"]


def test_one_wish_about_routing_switches_off_no_other() -> None:
    preset = {"provider": {"zdr": True, "sort": "price"}}
    asked = {"provider": {"sort": "latency", "zdr": None, "only": ["groq"]}}
    wanted = {"zdr": True, "sort": "latency", "only": ["groq"]}
    assert merged(preset, asked)["provider"] == wanted
    assert merged(preset, {"provider": "auto"})["provider"] == preset["provider"]
    assert merged(preset, {"provider": "groq"})["provider"] == "groq"
    assert merged({}, asked)["provider"] == asked["provider"]


def test_what_says_the_same_in_other_words_gives_way() -> None:
    instead = {"max_tokens": ("max_completion_tokens",)}
    preset = {"max_tokens": 5, "seed": 1}
    over = merged(preset, {"max_completion_tokens": 9}, instead=instead)
    assert over == {"max_completion_tokens": 9, "seed": 1, "model": None}
    assert merged(preset, {"max_completion_tokens": None}, instead=instead)["max_tokens"] == 5


# --- tools --------------------------------------------------------------------------------------------

SEARCH = {"type": "openrouter:web_search", "parameters": {"max_results": 3}}
ADVISOR = {"type": "openrouter:advisor", "parameters": {"name": "law"}}


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        (function("a"), function("a", "again"), True),
        (function("a"), function("b"), False),
        (function("a"), {"type": "function", "name": "a"}, True),
        (function("a"), {"name": "a", "input_schema": {}}, True),
        (SEARCH, {"type": "openrouter:web_search"}, True),
        (SEARCH, {"type": "openrouter:web_fetch"}, False),
        (ADVISOR, {**ADVISOR, "x": 1}, True),
        (ADVISOR, {"type": "openrouter:advisor", "parameters": {"name": "tax"}}, False),
        (ADVISOR, {"type": "openrouter:subagent", "parameters": {"name": "law"}}, False),
        ({"type": "web_search", "name": "a"}, function("a"), False),
        (5, 5, True),
        (5, function("a"), False),
    ],
)
def test_tools_are_the_same_by_what_they_are_called(
    one: Any, other: Any, *, are_same: bool
) -> None:
    assert (tool_identity(raw(one)) == tool_identity(raw(other))) is are_same


TOOLS = st.lists(st.sampled_from("abcde").map(function) | st.just(SEARCH) | st.just(ADVISOR))
MARKED = TOOLS.map(lambda tools: [{**tool, "mine": number} for number, tool in enumerate(tools)])


@given(TOOLS, MARKED)
def test_tools_are_all_of_both_in_the_presets_order(
    preset: list[dict[str, Any]], request: list[dict[str, Any]]
) -> None:
    after = merged_tools([raw(one) for one in preset], [raw(one) for one in request])
    asked = {tool_identity(raw(one)) for one in request}
    # The preset's places come first, each as it was or as the request has it.
    for before, now in zip(preset, after, strict=False):
        assert tool_identity(raw(before)) == tool_identity(now)
    kept = {tool_identity(one) for one in after if b"mine" not in bytes(one)}
    assert kept == {
        tool_identity(raw(one))
        for index, one in enumerate(preset)
        if b"mine" not in bytes(after[index])
    }
    if len({tool_identity(raw(one)) for one in preset}) == len(preset):
        assert kept.isdisjoint(asked)
    # Of the request's nothing is lost, nothing twice, and the others keep their order.
    mine = [json.loads(bytes(one))["mine"] for one in after if b"mine" in bytes(one)]
    assert sorted(mine) == list(range(len(request)))
    behind = [json.loads(bytes(one))["mine"] for one in after[len(preset) :]]
    assert behind == sorted(behind)


def test_tools_of_one_side_alone_stay_as_they_are() -> None:
    tools = [SEARCH, function("a")]
    for nothing in ({}, {"tools": None}, {"tools": []}):
        assert merged({"tools": tools}, nothing)["tools"] == tools
    assert merged({}, {"tools": tools})["tools"] == tools
    assert merged({"tools": tools}, {"tools": "none"})["tools"] == "none"  # its dialect refuses it
