"""A JSON schema in the part of the language that Claude's structured outputs take.

There every object lists its properties and has no others, references do not go round in a circle, and
limits on numbers, lengths and patterns do not exist. Such limits are moved into the description, where the
model at least reads them, because the caller checks the answer anyway. A schema that means something else
without what is missing (an open map, a condition) does not fit; another way must be found for it.

Source: https://docs.claude.com/en/build-with-claude/structured-outputs, JSON Schema limitations (read
2026-11-21), and what the official SDK does to schemas before it sends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["fitted_schema"]

Schema = dict[str, object]

DEPTH_MAX: Final = 64  # of a schema; more is nobody's answer

_KEPT: Final = frozenset({"title", "description", "enum", "const", "default", "required"})
_DROPPED: Final = frozenset(
    {
        "$schema", "$id", "$comment", "$anchor", "deprecated", "readOnly", "writeOnly", "nullable",
        "strict", "propertyOrdering",
    }
)  # fmt: skip
# Without these a schema says less, but nothing wrong.
_SAID_IN_WORDS: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
        "pattern", "format", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
        "examples", "example", "contentEncoding", "contentMediaType",
    }
)  # fmt: skip
_FORMATS: Final = frozenset(
    {
        "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
    }
)  # fmt: skip
_TYPES: Final = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_LISTS: Final[Mapping[str, str]] = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_DEFINITIONS: Final = ("$defs", "definitions")


class _Unfit(Exception):
    """Something in the schema has no form here."""


def fitted_schema(schema: object) -> Schema | None:
    """The schema as Claude takes it, or None if it does not fit. A fitted one stays as it is."""
    try:
        if not isinstance(schema, dict) or _goes_in_circles(schema):
            return None
        return _fit(schema, depth=0)
    except _Unfit:
        return None


def _fit(schema: object, *, depth: int) -> Schema:
    if not isinstance(schema, dict) or depth > DEPTH_MAX:
        raise _Unfit
    fitted: Schema = {}
    words: list[str] = []
    for name, value in schema.items():
        if name in _KEPT:
            fitted[name] = value
        elif name == "type":
            fitted["type"] = _type(value)
        elif name == "$ref":
            fitted["$ref"] = _local(value)
        elif name in _DEFINITIONS or name == "properties":
            fitted[name] = _fit_all(value, depth)
        elif name == "items":
            fitted["items"] = _fit(value, depth=depth + 1)
        elif name in _LISTS:
            if _LISTS[name] in fitted:
                raise _Unfit  # `anyOf` beside `oneOf`
            fitted[_LISTS[name]] = _fit_list(value, depth)
        elif (name == "format" and value in _FORMATS) or (name == "minItems" and value in (0, 1)):
            fitted[name] = value
        elif name in _SAID_IN_WORDS:
            words.append(f"{name}: {msgspec.json.encode(value).decode()}")
        elif name == "additionalProperties":
            if value is not False:
                raise _Unfit  # a map, whose keys the caller does not know beforehand
        elif name not in _DROPPED:
            raise _Unfit
    _close(fitted)
    if words:
        described = fitted.get("description")
        told = [described] if isinstance(described, str) and described else []
        fitted["description"] = "\n".join([*told, f"({', '.join(words)})"])
    return fitted


def _close(fitted: Schema) -> None:
    """Objects have the properties that are listed, and a schema that allows anything does not fit."""
    kinds = fitted.get("type")
    is_object = kinds == "object" or (isinstance(kinds, list) and "object" in kinds)
    if is_object or "properties" in fitted:
        if not fitted.get("properties"):
            raise _Unfit
        fitted["additionalProperties"] = False
    elif not fitted.keys() & {"type", "$ref", "enum", "const", "anyOf", "allOf"}:
        raise _Unfit


def _fit_all(schemas: object, depth: int) -> Schema:
    if not isinstance(schemas, dict):
        raise _Unfit
    return {name: _fit(inner, depth=depth + 1) for name, inner in schemas.items()}


def _fit_list(schemas: object, depth: int) -> list[Schema]:
    if not isinstance(schemas, list):
        raise _Unfit
    return [_fit(inner, depth=depth + 1) for inner in schemas]


def _type(value: object) -> object:
    kinds = value if isinstance(value, list) else [value]
    if not kinds or not all(isinstance(kind, str) and kind in _TYPES for kind in kinds):
        raise _Unfit
    return value


def _local(reference: object) -> str:
    """Only definitions in the schema itself can be referred to."""
    if not isinstance(reference, str) or _target(reference) is None:
        raise _Unfit
    return reference


def _target(reference: str) -> str | None:
    for name in _DEFINITIONS:
        prefix = f"#/{name}/"
        if reference.startswith(prefix):
            return reference.removeprefix(prefix)
    return None


def _goes_in_circles(schema: Schema) -> bool:
    """Whether a definition refers to itself, perhaps through others."""
    references = {
        name: _references(definition)
        for holder in _DEFINITIONS
        if isinstance(definitions := schema.get(holder), dict)
        for name, definition in definitions.items()
    }
    # A definition all of whose references are harmless is harmless too; what is left at the end is a circle.
    harmless: set[str] = set()
    while True:
        more = {name for name, used in references.items() if used <= harmless} - harmless
        if not more:
            return len(harmless) < len(references)
        harmless |= more


def _references(schema: object, *, depth: int = 0) -> set[str]:
    if depth > 2 * DEPTH_MAX:
        raise _Unfit
    if isinstance(schema, list):
        return set[str]().union(*(_references(inner, depth=depth + 1) for inner in schema))
    if not isinstance(schema, dict):
        return set()
    found = set[str]().union(*(_references(inner, depth=depth + 1) for inner in schema.values()))
    reference = schema.get("$ref")
    target = _target(reference) if isinstance(reference, str) else None
    return found if target is None else found | {target}
