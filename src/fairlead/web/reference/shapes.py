"""Types as the tables write them, read into JSON Schema. Pure.

shape("string|null")    {"type": ["string", "null"]}
field("[Key]?: all")    ({"type": "array", ..., "description": "all"}, is_required=False)
"""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["REF", "Schema", "field", "object_of", "shape"]

Schema = dict[str, Any]

REF: Final = "#/components/schemas/"
_PLAIN: Final[dict[str, Schema]] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "object": {"type": "object"},
    "any": {},
    "uri": {"type": "string", "format": "uri"},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
    "uuid": {"type": "string", "format": "uuid"},
}


def shape(text: str) -> Schema:
    """Raises ValueError for what is no type."""
    kinds = [_one(part) for part in text.split("|")]
    if len(kinds) == 1:
        return kinds[0]
    if all(set(kind) == {"const"} for kind in kinds):
        return {"type": "string", "enum": [kind["const"] for kind in kinds]}
    if all(set(kind) == {"type"} for kind in kinds):
        return {"type": [kind["type"] for kind in kinds]}
    return {"anyOf": kinds}


def field(text: str) -> tuple[Schema, bool]:
    """One line of the table of shapes: its schema, and whether the field is always there."""
    kind, mark, about = text.partition(": ")
    if not mark:
        raise ValueError(f"{text!r} does not say what it is")
    is_required = not kind.endswith("?")
    return {**shape(kind.removesuffix("?")), "description": about}, is_required


def object_of(fields: dict[str, str]) -> Schema:
    """A shape of the table."""
    read = {name: field(text) for name, text in fields.items()}
    schema: Schema = {
        "type": "object",
        "properties": {name: kind for name, (kind, _) in read.items()},
    }
    required = [name for name, (_, is_required) in read.items() if is_required]
    if required:
        schema["required"] = required
    return schema


def _one(text: str) -> Schema:
    if text in _PLAIN:
        return dict(_PLAIN[text])
    inside = text[1:-1]
    if text.startswith('"') and text.endswith('"'):
        return {"const": json.loads(text)}
    if text.startswith("[") and text.endswith("]"):
        return {"type": "array", "items": shape(inside)}
    if text.startswith("{") and text.endswith("}"):
        return {"type": "object", "additionalProperties": shape(inside)}
    if text[:1].isupper() and text.isalnum():
        return {"$ref": f"{REF}{text}"}
    raise ValueError(f"{text!r} is no type")
