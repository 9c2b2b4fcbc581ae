"""JSON schemas as Google takes them: nothing that it refuses, and the same meaning where it can say it."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.errors import RequestInvalid
from fairlead.providers.google_schema import DEPTH_MAX, json_schema, openapi_schema
from tests.recordings import load_native

# --- JSON schema ------------------------------------------------------------------------------------------


def test_a_reference_becomes_what_it_points_at() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "from": {"$ref": "#/$defs/Place", "description": "Where it begins."},
            "to": {"$ref": "#/definitions/a~1b"},
            "via": {"type": "array", "items": {"$ref": "#/$defs/Place"}},
        },
        "$defs": {"Place": {"type": "string", "description": "A place."}},
        "definitions": {"a/b": {"type": "integer"}},
    }
    before = copy.deepcopy(schema)
    assert json_schema(schema) == {
        "type": "object",
        "properties": {
            "from": {"type": "string", "description": "Where it begins."},
            "to": {"type": "integer"},
            "via": {"type": "array", "items": {"type": "string", "description": "A place."}},
        },
    }
    assert schema == before


def test_a_reference_into_itself_stays_with_its_definition() -> None:
    schema = {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/Node"}},
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {
                    "value": {"$ref": "#/$defs/Value"},
                    "left": {"$ref": "#/$defs/Node", "description": "Less.", "title": "Left"},
                },
            },
            "Value": {"type": "integer"},
            "Unused": {"type": "null"},
        },
    }
    node = {
        "type": "object",
        "properties": {
            "value": {"type": "integer"},
            "left": {"$ref": "#/$defs/Node", "description": "Less."},
        },
    }
    assert json_schema(schema) == {
        "type": "object",
        "properties": {"tree": node},
        "$defs": {"Node": node},
    }


def test_a_reference_to_the_whole_has_it_as_a_definition() -> None:
    schema = {"type": "object", "properties": {"child": {"$ref": "#"}}}
    assert json_schema(schema)["properties"] == {
        "child": {"type": "object", "properties": {"child": {"$ref": "#/$defs/whole"}}}
    }


@pytest.mark.parametrize(
    "extended",
    [
        {"allOf": [{"$ref": "#/$defs/Node"}], "title": "Left", "description": "Less."},
        {"$ref": "#/$defs/Alias", "properties": {"extra": {}}, "description": "Less."},
        {"allOf": [{"properties": {}}, {"$ref": "#/$defs/Alias"}], "description": "Less."},
    ],
)
def test_a_reference_that_stays_has_no_neighbours_however_it_came_there(
    extended: dict[str, Any],
) -> None:
    node = {"type": "object", "properties": {"left": extended}}
    made = json_schema(
        {
            "properties": {"tree": {"$ref": "#/$defs/Node"}},
            "$defs": {"Node": node, "Alias": {"$ref": "#/$defs/Node"}},
        }
    )
    left = {"$ref": "#/$defs/Node", "description": "Less."}
    expected = {"type": "object", "properties": {"left": left}}
    assert made == {"properties": {"tree": expected}, "$defs": {"Node": expected}}


@pytest.mark.parametrize(
    "reference",
    [
        {"$ref": "#/$defs/b"},
        {"$ref": "#/$defs/alias"},
        {"allOf": [{"type": "object"}, {"$ref": "#/$defs/b"}]},
    ],
)
def test_what_refers_to_itself_alone_says_nothing_by_it(reference: dict[str, Any]) -> None:
    """Nothing could be made of a definition that is itself and more."""
    schema = {
        "items": {"$ref": "#/$defs/b"},
        "$defs": {
            "b": {"type": "object", "properties": {}, "allOf": [reference]},
            "alias": {"$ref": "#/$defs/b"},
        },
    }
    assert json_schema(schema) == {"items": {"type": "object", "properties": {}}}
    whole = {"type": "object", "properties": {}, "allOf": [{"$ref": "#"}]}
    assert json_schema(whole) == {"type": "object", "properties": {}}
    assert json_schema({"$ref": "#"}) == {}


def test_a_reference_to_nothing_allows_anything() -> None:
    assert json_schema(
        {"properties": {"a": {"$ref": "#/$defs/No"}, "b": {"$ref": "http://x"}}}
    ) == {"properties": {"a": {}, "b": {}}}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"const": "x"}, {"enum": ["x"]}),
        (
            {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10},
            {"type": "integer", "minimum": 1, "maximum": 9},
        ),
        (
            {"type": "number", "exclusiveMinimum": 0, "minimum": 2},
            {"type": "number", "minimum": 2},
        ),
        (
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            {"type": "integer", "minimum": 1},
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "string"}}, "required": ["b", "a"]},
                ],
                "description": "Both.",
            },
            {
                "properties": {"b": {"type": "string"}, "a": {"type": "string"}},
                "required": ["a", "b"],
                "description": "Both.",
            },
        ),
        (
            {"items": [{"type": "string"}, {"type": "integer"}]},
            {"prefixItems": [{"type": "string"}, {"type": "integer"}]},
        ),
        (
            # A property may be called as a keyword is, and values are not schemas.
            {"properties": {"$ref": {"type": "string"}, "const": {"default": {"$ref": "#/x"}}}},
            {"properties": {"$ref": {"type": "string"}, "const": {"default": {"$ref": "#/x"}}}},
        ),
    ],
)
def test_a_keyword_that_google_does_not_apply_is_said_otherwise(
    schema: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert json_schema(schema) == expected


@pytest.mark.parametrize("convert", [json_schema, openapi_schema])
def test_what_grows_without_end_is_refused(convert: Any) -> None:
    doubling = {
        f"n{i}": {"properties": {x: {"$ref": f"#/$defs/n{i + 1}"} for x in "abcd"}}
        for i in range(30)
    }
    with pytest.raises(RequestInvalid):
        convert({"$ref": "#/$defs/n0", "$defs": doubling})
    deep: dict[str, Any] = {}
    for _ in range(DEPTH_MAX + 1):
        deep = {"items": deep}
    with pytest.raises(RequestInvalid):
        convert(deep)
    with pytest.raises(RequestInvalid):
        convert(["no object"])


# --- the subset of OpenAPI --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        (
            {"type": ["string", "integer"], "description": "Either."},
            {"description": "Either.", "anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]},
        ),
        (
            {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "Perhaps."},
            {"type": "INTEGER", "nullable": True, "description": "Perhaps."},
        ),
        (
            {"oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
            {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}], "nullable": True},
        ),
        ({"const": "x"}, {"type": "STRING", "enum": ["x"], "format": "enum"}),
        (
            {"type": "integer", "enum": [1, 2], "description": "Size."},
            {"type": "INTEGER", "description": "Size. One of: 1, 2."},
        ),
        (
            {"type": "string", "enum": ["a", None]},
            {"type": "STRING", "enum": ["a"], "format": "enum", "nullable": True},
        ),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": "string", "format": "email"}, {"type": "STRING"}),
        ({"type": "integer", "format": "int64"}, {"type": "INTEGER", "format": "int64"}),
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        (
            {"type": "array", "uniqueItems": True, "prefixItems": [{"type": "number"}] * 2},
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": 2, "maxItems": 2},
        ),
        (
            {
                "properties": {"b": {"type": "string"}, "a": {"type": "integer", "multipleOf": 2}},
                "required": ["b", "unknown"],
                "additionalProperties": False,
            },
            {
                "type": "OBJECT",
                "properties": {"b": {"type": "STRING"}, "a": {"type": "INTEGER"}},
                "propertyOrdering": ["b", "a"],
                "required": ["b"],
            },
        ),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "OBJECT"}),
        (
            {
                "properties": {"tree": {"$ref": "#/$defs/N"}},
                "$defs": {"N": {"type": "array", "items": {"$ref": "#/$defs/N"}}},
            },
            {
                "type": "OBJECT",
                "properties": {"tree": {"type": "ARRAY", "items": {"type": "OBJECT"}}},
                "propertyOrdering": ["tree"],
            },
        ),
    ],
)
def test_the_subset_says_what_it_can(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert openapi_schema(schema) == expected
    types.Schema.model_validate(expected)


NAMES = st.sampled_from(["a", "b", "items", "type", "$ref", "enum"])


def schemas(depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas that a tool might have, keywords that Google does not know among them."""
    leaf = st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(
                [
                    "string",
                    "integer",
                    "number",
                    "boolean",
                    "null",
                    ["string", "null"],
                    ["integer", "string"],
                ]
            ),
            "description": st.text(max_size=5),
            "enum": st.lists(st.sampled_from(["x", "y", 1, None]), max_size=3),
            "const": st.sampled_from(["x", 1, True, None]),
            "format": st.sampled_from(["date", "int32", "enum"]),
            "exclusiveMinimum": st.integers(-3, 3) | st.booleans(),
            "multipleOf": st.integers(1, 3),
            "default": st.none() | st.integers(),
            "pattern": st.just("^a"),
            "$comment": st.text(max_size=3),
        },
    )
    if not depth:
        return leaf | st.builds(lambda name: {"$ref": f"#/$defs/{name}"}, NAMES)
    inner = schemas(depth - 1)
    branch = st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", ["object", "null"]]),
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "required": st.lists(NAMES, max_size=2),
            "additionalProperties": st.booleans() | inner,
            "items": inner | st.lists(inner, max_size=2) | st.booleans(),
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "$defs": st.dictionaries(NAMES, inner, max_size=2),
        },
    )
    return leaf | branch


@given(schema=schemas())
@settings(deadline=None, max_examples=100)
def test_the_subset_holds_nothing_that_google_refuses(schema: dict[str, Any]) -> None:
    types.Schema.model_validate(openapi_schema(schema))  # forbids unknown fields


@given(schema=schemas())
@settings(deadline=None, max_examples=100)
def test_references_that_stay_stand_alone_and_lead_somewhere(schema: dict[str, Any]) -> None:
    made = json_schema(schema)
    for reference in references(made):
        assert reference.keys() <= {"$ref", "description", "default"}
        target: Any = made
        for step in reference["$ref"].removeprefix("#").split("/")[1:]:
            target = target[step]
    if not references(made):
        assert json_schema(made) == made  # nothing is left to be said otherwise


def references(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for inner in value for found in references(inner)]
    if not isinstance(value, dict):
        return []
    own = [value] if isinstance(value.get("$ref"), str) else []
    return own + [found for inner in value.values() for found in references(inner)]


SCHEMAS = [
    schema
    for name in ("gemini", "vertex")
    for case in load_native(name)
    for tool in (case.request or {}).get("tools", [])
    for declared in tool.get("functionDeclarations", [])
    if (schema := declared.get("parameters_json_schema") or declared.get("parametersJsonSchema"))
]
CALLS = [
    (schema, part["functionCall"]["args"])
    for name in ("gemini", "vertex")
    for case in load_native(name)
    if case.status == 200 and not case.is_sse
    for tool in (case.request or {}).get("tools", [])
    for declared in tool.get("functionDeclarations", [])
    if (schema := declared.get("parameters_json_schema") or declared.get("parametersJsonSchema"))
    for candidate in json.loads(case.body).get("candidates", [])
    for part in candidate.get("content", {}).get("parts", [])
    if part.get("functionCall", {}).get("name") == declared["name"]
]


def test_recorded_schemas_keep_their_meaning() -> None:
    """What a model called a function with fits the schema as we send it, if it fits the caller's own."""
    assert len(SCHEMAS) > 150
    assert len(CALLS) > 60
    for schema in SCHEMAS:
        jsonschema.Draft202012Validator.check_schema(json_schema(schema))
        types.Schema.model_validate(openapi_schema(schema))
    for schema, arguments in CALLS:
        fits = jsonschema.Draft202012Validator(schema).is_valid(arguments)
        assert jsonschema.Draft202012Validator(json_schema(schema)).is_valid(arguments) is fits
