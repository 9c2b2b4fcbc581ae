from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.sandbox.pattern import PatternUnsupported, match_for
from fairlead.sandbox.schema import Unsatisfiable, instance

_NAMES = st.text("abcdef_", min_size=1, max_size=6)


def _check(schema: Any, value: object) -> None:
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(value)))


@st.composite
def _texts(draw: st.DrawFn) -> dict[str, Any]:
    least = draw(st.integers(0, 12))
    schema: dict[str, Any] = {"type": "string"}
    if draw(st.booleans()):
        schema["minLength"] = least
    if draw(st.booleans()):
        schema["maxLength"] = least + draw(st.integers(0, 20))
    return schema


@st.composite
def _numbers(draw: st.DrawFn) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": draw(st.sampled_from(["integer", "number"]))}
    low = draw(st.integers(-1000, 1000))
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    if draw(st.booleans()):
        # Wide enough for a multiple of anything below to fit.
        schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = low + draw(
            st.integers(30, 99)
        )
    if draw(st.booleans()):
        schema["multipleOf"] = draw(st.sampled_from([1, 2, 3, 7, 10, 0.5, 0.25]))
    return schema


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def build(properties: dict[str, Any], pick: int, *, closed: bool) -> dict[str, Any]:
        required = [name for index, name in enumerate(sorted(properties)) if pick >> index & 1]
        schema = {"type": "object", "properties": properties, "required": required}
        return schema | ({"additionalProperties": False} if closed else {})

    return st.builds(
        build, st.dictionaries(_NAMES, inner, max_size=4), st.integers(0, 15), closed=st.booleans()
    )


def _arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    plain = st.builds(
        lambda items, least, more: {
            "type": "array",
            "items": items,
            "minItems": least,
            "maxItems": least + more,
        },
        inner,
        st.integers(0, 3),
        st.integers(0, 3),
    )
    sets = st.builds(
        lambda items, least: {
            "type": "array",
            "items": items,
            "minItems": least,
            "uniqueItems": True,
        },
        _numbers(),
        st.integers(0, 4),
    )
    return plain | sets


_SCALARS = (
    _texts()
    | _numbers()
    | st.just({"type": "boolean"})
    | st.just({"type": "null"})
    | st.just({})
    | st.just(True)
    | st.lists(st.none() | st.integers() | st.text(max_size=5), min_size=1, max_size=4).map(
        lambda values: {"enum": values}
    )
    | st.integers().map(lambda value: {"const": value})
    | st.sampled_from(["date", "date-time", "email", "uri", "uuid", "ipv4"]).map(
        lambda name: {"type": "string", "format": name}
    )
)
_SCHEMAS = st.recursive(
    _SCALARS,
    lambda inner: (
        _objects(inner)
        | _arrays(inner)
        | st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
        | inner.map(lambda schema: {"allOf": [schema, {}]})
        | inner.map(lambda schema: {"$defs": {"x": schema}, "description": "a", "anyOf": [schema]})
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_SCHEMAS)
def test_every_instance_satisfies_its_schema(schema: Any) -> None:
    _check(schema, instance(schema))


@settings(deadline=None)
@given(_objects(_SCALARS), _objects(_SCALARS))
def test_what_satisfies_both_sides_of_allof_satisfies_each(a: Any, b: Any) -> None:
    schema = {"allOf": [a, b]}
    try:
        value = instance(schema)
    except Unsatisfiable:
        return  # they contradict each other, or need more than we try
    _check(schema, value)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-3, 3) | st.text("abc", max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "enum", "items", "required", "properties", "allOf", "anyOf", "$ref",
                     "minimum", "multipleOf", "minLength", "pattern", "minItems", "const"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=10,
    )
)  # fmt: skip
def test_nonsense_ends_in_a_value_or_in_unsatisfiable(schema: Any) -> None:
    with contextlib.suppress(Unsatisfiable):
        json.dumps(instance(schema))


def test_references_are_followed_and_recursion_stops_where_it_may() -> None:
    schema = {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["name", "next"],
            }
        },
        "$ref": "#/$defs/node",
    }
    _check(schema, instance(schema))


def test_a_schema_that_contains_itself_for_ever_is_refused() -> None:
    with pytest.raises(Unsatisfiable):
        instance({"$ref": "#"})


def test_gemini_writes_types_in_capitals_and_null_as_a_flag() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"n": {"type": "INTEGER", "minimum": 2}, "s": {"type": "STRING"}},
        "required": ["n", "s"],
    }
    assert instance(schema) == {"n": 2, "s": "text"}


def test_a_contradiction_is_refused() -> None:
    with pytest.raises(Unsatisfiable):
        instance({"type": "integer", "minimum": 3, "maximum": 2})


@pytest.mark.parametrize(
    "pattern",
    ["^[a-z]{3}$", "^\\d{4}-\\d{2}$", "^(foo|bar)+$", "[A-Z][0-9]?", "^\\w+@\\w+\\.com$", "^[^a-z]+$",
     "^(?:x|y)*z$", "^$", "^#[0-9a-fA-F]{6}$", "a.c", "^(?P<name>[ab]{2,})$"],
)  # fmt: skip
def test_plain_patterns_are_matched(pattern: str) -> None:
    value = instance({"type": "string", "pattern": pattern})
    assert re.search(pattern, str(value))


def test_a_pattern_with_a_least_length_is_stretched() -> None:
    value = instance({"type": "string", "pattern": "^[a-z]+$", "minLength": 9})
    assert re.search("^[a-z]{9,}$", str(value))


@pytest.mark.parametrize("pattern", ["(?=x)x", "(a)\\1", "a{100000}", "["])
def test_other_patterns_are_refused_rather_than_guessed(pattern: str) -> None:
    with pytest.raises(PatternUnsupported):
        match_for(pattern, length_min=0, length_max=50)
