"""Schemas in the part of the language that Claude's structured outputs take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from fairlead.providers.anthropic_schema import fitted_schema


@pytest.mark.parametrize(
    ("schema", "fitted"),
    [
        (
            {"type": "integer", "minimum": 1, "description": "Age."},
            {"type": "integer", "description": "Age.\n(minimum: 1)"},
        ),
        ({"type": "string", "format": "email"}, {"type": "string", "format": "email"}),
        ({"type": "string", "format": "iban"}, {"type": "string", "description": '(format: "iban")'}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"oneOf": [{"type": "null"}, {"type": "string"}]}, {"anyOf": [{"type": "null"}, {"type": "string"}]}),
        (
            {"type": "array", "items": {"enum": [1, 2]}, "minItems": 1},
            {"type": "array", "items": {"enum": [1, 2]}, "minItems": 1},
        ),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}, "$schema": "x"},
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}},
        ),
        ({"type": "object"}, None),
        ({"type": "object", "additionalProperties": True, "properties": {"a": {"type": "null"}}}, None),
        ({}, None),
        (True, None),
        ({"type": "string", "not": {"const": "a"}}, None),
        ({"$ref": "https://x.test/schema"}, None),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}}}, None),
        ({"anyOf": [{"type": "null"}], "oneOf": [{"type": "null"}]}, None),
    ],
)  # fmt: skip
def test_schemas_are_fitted_to_what_claude_takes(schema: Any, fitted: Any) -> None:
    assert fitted_schema(schema) == fitted


def test_a_schema_without_end_does_not_fit() -> None:
    schema: Any = {"type": "string"}
    for _ in range(500):
        schema = {"type": "array", "items": schema}
    assert fitted_schema(schema) is None


SCALARS = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "minLength": 1},
        {"type": "integer", "minimum": 0},
        {"type": ["number", "null"]},
        {"enum": ["a", "b"]},
        {"const": 1},
        {"type": "boolean"},
    ]
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda options: {"oneOf": options}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(
            lambda properties: {
                "type": "object",
                "properties": properties,
                "required": sorted(properties),
            },
            st.dictionaries(st.sampled_from("abc"), inner, min_size=1),
        )
    ),
    max_leaves=6,
)


@given(SCHEMAS)
def test_a_fitted_schema_is_a_schema_and_fits(schema: dict[str, Any]) -> None:
    fitted = fitted_schema(schema)
    assert fitted is not None
    Draft202012Validator.check_schema(fitted)
    assert fitted_schema(fitted) == fitted


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 1)
    | st.sampled_from(["string", "object", "#/$defs/a"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "items",
                    "$ref",
                    "$defs",
                    "anyOf",
                    "allOf",
                    "enum",
                    "required",
                    "a",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_value_fits_or_does_not(schema: Any) -> None:
    fitted = fitted_schema(schema)
    assert fitted is None or fitted_schema(fitted) == fitted
