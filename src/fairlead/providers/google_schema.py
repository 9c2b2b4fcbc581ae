"""JSON schemas, as Google takes them.

`json_schema` is for models that take JSON schemas. They refuse a `$ref` with neighbours, and apply neither
`const`, `allOf` nor exclusive bounds; so references are replaced by what they point at, and those keywords
by others that say the same. A reference into its own definition must stay, and its definition with it; what
stands beside it is left out, so that the schema says less than the caller's, and never something else.

`openapi_schema` is for models that take a subset of OpenAPI's, and refuse the whole request at the first
keyword that they do not know: nothing leaves here but the fields of their `Schema`. What the subset cannot
say is put into the description, or dropped.

Sources (read 2026-11-21): https://ai.google.dev/api/caching#Schema,
https://ai.google.dev/api/generate-content#v1beta.GenerationConfig.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from fairlead.core.errors import RequestInvalid

__all__ = ["DEPTH_MAX", "NODES_MAX", "json_schema", "openapi_schema"]

# References that multiply make a small schema a huge one. The largest schemas of real tools have a few
# hundred nodes, a few levels deep.
NODES_MAX: Final = 20_000
DEPTH_MAX: Final = 100

Schema = dict[str, object]

_MAPS: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE: Final = frozenset(
    {
        "items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames",
        "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
# What was for readers of the schema, and definitions: they are put where they are used.
_LEFT_OUT: Final = frozenset({"$schema", "$id", "$comment", "$defs", "definitions"})
_BESIDE_A_REFERENCE: Final[tuple[str, ...]] = ("description", "default")


def json_schema(schema: object) -> Schema:
    """A JSON schema that says the same in words that Google applies.

    schema: as the caller wrote it. Raises RequestInvalid if it is no object, too deep, or grows too large.
    """
    return _Inliner(_object(schema)).whole()


def openapi_schema(schema: object) -> Schema:
    """The nearest schema in OpenAPI's subset. Raises as `json_schema`."""
    return _openapi(_Inliner(_object(schema)).whole())


def _object(schema: object) -> Schema:
    if not isinstance(schema, dict):
        raise RequestInvalid("A schema is a JSON object.")
    return schema


# --- references -----------------------------------------------------------------------------------------


class _Inliner:
    """Copies a schema without its references, but for those into what they are part of."""

    __slots__ = ("_kept", "_nodes", "_root")

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._nodes = 0
        # Pointers of references that stay, and the names of their targets.
        self._kept: dict[str, str] = {}

    def whole(self) -> Schema:
        whole = self._schema(self._root, (), 0, same=("#",))
        definitions: Schema = {}
        while left := [pointer for pointer in self._kept if self._kept[pointer] not in definitions]:
            for pointer in left:
                target = _found(self._root, pointer)
                definitions[self._kept[pointer]] = self._schema(
                    target, (pointer,), 1, same=(pointer,)
                )
        if definitions:
            whole["$defs"] = definitions
        return whole

    def _name(self, pointer: str) -> str:
        """Of a definition that stays; no two have the same."""
        if pointer not in self._kept:
            name = (_path(pointer) or ["whole"])[-1].replace("/", "_").replace("~", "_")
            while name in self._kept.values():
                name += "_"
            self._kept[pointer] = name
        return self._kept[pointer]

    def _schema(
        self, value: object, inside: tuple[str, ...], depth: int, *, same: tuple[str, ...] = ()
    ) -> Schema:
        """inside: the pointers of the definitions that this one is part of.

        same: those of them that hold for the very value that this one is about.
        """
        self._nodes += 1
        if self._nodes > NODES_MAX or depth > DEPTH_MAX:
            raise RequestInvalid("A schema is too large, or nested too deeply.")
        if not isinstance(value, dict):
            return {}  # `true`: anything
        reference = value.get("$ref")
        if isinstance(reference, str):
            return self._referred(reference, value, inside, depth, same=same)
        copied: Schema = {}
        for name, inner in value.items():
            if name in _LEFT_OUT:
                continue
            if name in _MAPS and isinstance(inner, dict):
                copied[name] = {
                    key: self._schema(part, inside, depth + 1) for key, part in inner.items()
                }
            elif name in _LISTS and isinstance(inner, list):
                also = same if name == "allOf" else ()
                copied[name] = [self._schema(part, inside, depth + 1, same=also) for part in inner]
            elif name == "items" and isinstance(inner, list):
                copied["prefixItems"] = [self._schema(part, inside, depth + 1) for part in inner]
            elif name in _SINGLE and isinstance(inner, dict):
                copied[name] = self._schema(inner, inside, depth + 1)
            else:
                copied[name] = inner
        return _plain(copied)

    def _referred(
        self,
        reference: str,
        value: Schema,
        inside: tuple[str, ...],
        depth: int,
        *,
        same: tuple[str, ...],
    ) -> Schema:
        beside = {name: inner for name, inner in value.items() if name != "$ref"}
        target = _found(self._root, reference)
        if target is None or reference in same:
            # It points nowhere, which is anything; or it says that the value is what it is.
            return self._schema(beside, inside, depth + 1, same=same)
        if reference in inside:
            return _alone({"$ref": f"#/$defs/{self._name(reference)}", **beside})
        found = self._schema(target, (*inside, reference), depth + 1, same=(*same, reference))
        return _alone({**found, **self._schema(beside, inside, depth + 1, same=same)})


def _alone(schema: Schema) -> Schema:
    """Without what may not stand beside a reference, if it has one."""
    if "$ref" not in schema:
        return schema
    return {name: schema[name] for name in ("$ref", *_BESIDE_A_REFERENCE) if name in schema}


def _found(root: Schema, pointer: str) -> object:
    """What a local pointer (`#/$defs/Name`) points at; None for one that does not resolve."""
    if not pointer.startswith("#"):
        return None
    found: object = root
    for step in _path(pointer):
        if not isinstance(found, dict) or step not in found:
            return None
        found = found[step]
    return found


def _path(pointer: str) -> list[str]:
    steps = pointer.removeprefix("#").split("/")[1:]
    return [step.replace("~1", "/").replace("~0", "~") for step in steps]


# --- keywords that are said otherwise ---------------------------------------------------------------------


def _plain(schema: Schema) -> Schema:
    """`schema` is changed, too."""
    parts = schema.pop("allOf", None)
    if isinstance(parts, list):
        for part in parts:
            _merge(schema, part)
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    is_integer = schema.get("type") == "integer"
    _close(schema, "exclusiveMinimum", "minimum", step=1 if is_integer else 0)
    _close(schema, "exclusiveMaximum", "maximum", step=-1 if is_integer else 0)
    return _alone(schema)


def _merge(schema: Schema, part: Schema) -> None:
    """`part` also holds: properties and required ones add up, and else the first word stands."""
    for name, value in part.items():
        mine = schema.get(name)
        if isinstance(mine, dict) and isinstance(value, dict) and name in _MAPS:
            schema[name] = {**value, **mine}
        elif isinstance(mine, list) and isinstance(value, list) and name == "required":
            schema[name] = [*mine, *(one for one in value if one not in mine)]
        else:
            schema.setdefault(name, value)


def _close(schema: Schema, name: str, inclusive: str, *, step: int) -> None:
    """An exclusive bound as an inclusive one: exact for integers, nearly so for other numbers."""
    bound = schema.pop(name, None)
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        return  # draft 4's switch says nothing without its bound
    if isinstance(bound, float) and not math.isfinite(bound):
        return
    closed = bound + step
    known = schema.get(inclusive)
    if isinstance(known, int | float):
        closed = max(closed, known) if inclusive == "minimum" else min(closed, known)
    schema[inclusive] = closed


# --- OpenAPI's subset --------------------------------------------------------------------------------------

_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_FORMATS: Final[Mapping[str, frozenset[str]]] = {
    "NUMBER": frozenset({"float", "double"}),
    "INTEGER": frozenset({"int32", "int64"}),
    "STRING": frozenset({"enum", "date-time"}),
}
_KEPT: Final = (
    "title", "description", "minItems", "maxItems", "minProperties", "maxProperties", "minLength",
    "maxLength", "pattern", "minimum", "maximum",
)  # fmt: skip


def _openapi(schema: Schema) -> Schema:
    made: Schema = {name: schema[name] for name in _KEPT if schema.get(name) is not None}
    if "$ref" in schema:  # into its own definition: the subset cannot say that
        return {**made, "type": "OBJECT"}
    types, is_nullable = _types(schema)
    choices, null_is_a_choice = _choices(schema)
    if is_nullable or null_is_a_choice:
        made["nullable"] = True
    if len(choices) == 1:
        return {**choices[0], **made}
    if choices:
        return {**made, "anyOf": choices}
    if len(types) > 1:
        rest = {name: value for name, value in schema.items() if name not in made}
        return {**made, "anyOf": [_openapi({**rest, "type": one}) for one in types]}
    if types:
        made["type"] = types[0].upper()
    elif made.get("nullable") and len(made) == 1:
        made["type"] = "NULL"
    _put_enum(made, schema)
    _put_format(made, schema)
    _put_properties(made, schema)
    _put_items(made, schema)
    return made


def _types(schema: Schema) -> tuple[list[str], bool]:
    """Its types without null, and whether null is one; guessed where the schema leaves it open."""
    said = schema.get("type")
    names = said if isinstance(said, list) else [said]
    types = [name for name in names if isinstance(name, str) and name in _TYPES]
    enum = schema.get("enum")
    is_nullable = "null" in names or (isinstance(enum, list) and None in enum)
    if not types and "null" not in names:
        if "properties" in schema:
            types = ["object"]
        elif "items" in schema or "prefixItems" in schema:
            types = ["array"]
        elif "enum" in schema:
            types = ["string"]
    return types, is_nullable or schema.get("nullable") is True


def _choices(schema: Schema) -> tuple[list[Schema], bool]:
    listed = schema.get("anyOf") or schema.get("oneOf")
    if not isinstance(listed, list):
        return [], False
    real = [choice for choice in listed if choice.get("type") != "null"]
    return [_openapi(choice) for choice in real], len(real) < len(listed)


def _put_enum(made: Schema, schema: Schema) -> None:
    enum = schema.get("enum")
    if not isinstance(enum, list):
        return
    values = [value for value in enum if value is not None]
    if made.get("type") == "STRING" and all(isinstance(value, str) for value in values):
        if values:
            made["enum"] = values
            made["format"] = "enum"
        return
    told = f"One of: {', '.join(msgspec.json.encode(value).decode() for value in values)}."
    described = made.get("description")
    made["description"] = f"{described} {told}" if described else told


def _put_format(made: Schema, schema: Schema) -> None:
    told = schema.get("format")
    if isinstance(told, str) and told in _FORMATS.get(str(made.get("type")), ()):
        made.setdefault("format", told)


def _put_properties(made: Schema, schema: Schema) -> None:
    properties = schema.get("properties")
    if made.get("type") != "OBJECT" or not isinstance(properties, dict) or not properties:
        return
    made["properties"] = {name: _openapi(inner) for name, inner in properties.items()}
    made["propertyOrdering"] = list(properties)  # else they come in the order of the alphabet
    required = schema.get("required")
    known = [name for name in required if name in properties] if isinstance(required, list) else []
    if known:
        made["required"] = known


def _put_items(made: Schema, schema: Schema) -> None:
    """Every array says what it holds: the format insists."""
    if made.get("type") != "ARRAY":
        return
    items = schema.get("items")
    positions = schema.get("prefixItems")
    if isinstance(items, dict) and items:
        made["items"] = _openapi(items)
    elif isinstance(positions, list) and positions:
        kinds: list[Schema] = []
        for position in positions:
            kind = _openapi(position)
            if kind not in kinds:
                kinds.append(kind)
        made["items"] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        made.setdefault("minItems", len(positions))
        made.setdefault("maxItems", len(positions))
    else:
        made["items"] = {"type": "STRING"}
