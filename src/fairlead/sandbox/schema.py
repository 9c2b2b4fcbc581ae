"""A small valid instance for a JSON schema, so that the simulated models can fill in arguments.

Understood: type (also several, also upper case and `nullable` as Gemini writes them), enum, const, the
bounds of numbers, texts, arrays and objects, required, prefixItems, uniqueItems, pattern (plain ones),
common formats, `$ref` within the document, allOf, anyOf and oneOf. Of `oneOf` and `anyOf` the first
branch that works is taken; `not` and `if` are not looked at. Keywords are those of
https://json-schema.org/draft/2020-12 (read 2026-11-21).

Optional properties are left out: the smallest instance is also the easiest to read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import count, islice
from typing import Final

from fairlead.sandbox.pattern import PatternUnsupported, match_for

__all__ = ["Unsatisfiable", "instance"]

DEPTH_MAX: Final = (
    32  # of nesting and of references; a recursive schema that needs more has no small instance
)
ITEMS_MAX: Final = 1_000  # of one array, and properties of one object
_DISTINCT_TRIES_MAX: Final = 2_000

_FORMATS: Final[dict[str, str]] = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "a@example.com",
    "idn-email": "a@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "iri": "https://example.com/",
    "iri-reference": "/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "json-pointer": "",
    "regex": "a",
}

_Schema = Mapping[str, object]


class Unsatisfiable(ValueError):
    """No instance was found: there is none, or the schema needs what we do not understand."""


def instance(schema: object) -> object:
    """A JSON value that the schema accepts. Raises Unsatisfiable."""
    return (
        next(_instances(schema, schema, 0), None) if schema is True else _first(schema, schema, 0)
    )


def _first(schema: object, root: object, depth: int) -> object:
    for value in _instances(schema, root, depth):
        return value
    raise Unsatisfiable("no instance of this schema was found")


def _instances(schema: object, root: object, depth: int) -> Iterator[object]:
    """Different instances, smallest first; perhaps none, perhaps endless."""
    if depth > DEPTH_MAX:
        return
    if schema is True or schema is None or schema == {}:
        yield from ("", None, False, True)
        yield from count(0)
        return
    if not isinstance(schema, Mapping):
        return
    for plain in _branches(schema, root, depth):
        if "const" in plain:
            yield from _allowed([plain["const"]], plain)
        elif isinstance(plain.get("enum"), list):
            yield from _allowed(plain["enum"], plain)
        else:
            for kind in _kinds(plain):
                yield from _of_kind(kind, plain, root, depth)


def _branches(schema: _Schema, root: object, depth: int) -> Iterator[_Schema]:
    """The schema without `$ref`, `allOf`, `anyOf` and `oneOf`: one plain schema for each way to choose."""
    if depth > DEPTH_MAX:
        return
    own = {
        key: value
        for key, value in schema.items()
        if key not in ("$ref", "allOf", "anyOf", "oneOf")
    }
    alternatives: list[list[object]] = []
    if "$ref" in schema:
        alternatives.append([_resolve(schema["$ref"], root)])
    if isinstance(schema.get("allOf"), list):
        alternatives.extend([part] for part in _list(schema["allOf"]))
    alternatives.extend(
        _list(schema[word]) for word in ("anyOf", "oneOf") if isinstance(schema.get(word), list)
    )
    yield from _choose(own, alternatives, root, depth + 1)


def _choose(
    base: _Schema, alternatives: list[list[object]], root: object, depth: int
) -> Iterator[_Schema]:
    if not alternatives:
        yield base
        return
    for option in alternatives[0]:
        if option is True:
            yield from _choose(base, alternatives[1:], root, depth)
        elif isinstance(option, Mapping):
            for plain in _branches(option, root, depth):
                merged = _merge(base, plain)
                if merged is not None:
                    yield from _choose(merged, alternatives[1:], root, depth)


def _merge(a: _Schema, b: _Schema) -> _Schema | None:
    """A schema that says both; None where they contradict each other openly."""
    merged = dict(a)
    for key, value in b.items():
        if key not in merged or merged[key] == value:
            merged[key] = value
        elif key == "type":
            kinds = [kind for kind in _kinds(a) if kind in _kinds(b)]
            if not kinds and {"integer", "number"} <= {*_kinds(a), *_kinds(b)}:
                kinds = ["integer"]
            if not kinds:
                return None
            merged[key] = kinds
        elif key == "enum":
            merged[key] = [item for item in _list(merged[key]) if item in _list(value)]
        elif key == "const":
            return None
        elif key == "required":
            merged[key] = [
                *_list(merged[key]),
                *(i for i in _list(value) if i not in _list(merged[key])),
            ]
        elif key in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
            merged[key] = max(_number(merged[key]), _number(value))
        elif key in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"):
            merged[key] = min(_number(merged[key]), _number(value))
        elif key == "multipleOf":
            merged[key] = _common_multiple(_number(merged[key]), _number(value))
        elif key in ("items", "additionalProperties"):
            merged[key] = {"allOf": [merged[key], value]}
    if "properties" in a or "properties" in b:
        merged["properties"] = _merge_properties(a, b)
    return merged


def _merge_properties(a: _Schema, b: _Schema) -> _Schema:
    """A property that only one side names is one of the other side's additional properties."""
    in_a, in_b = _mapping(a.get("properties")), _mapping(b.get("properties"))
    merged: dict[str, object] = {}
    for name in (*in_a, *in_b):
        sides = [
            own[name] if name in own else side.get("additionalProperties", True)
            for own, side in ((in_a, a), (in_b, b))
        ]
        merged[name] = sides[0] if sides[1] is True else {"allOf": sides}
    return merged


def _resolve(reference: object, root: object) -> object:
    """Follow `#/a/b`. A reference that leads nowhere accepts nothing."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return False
    found = root
    for step in filter(None, reference[1:].split("/")):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return False
    return found


def _kinds(schema: _Schema) -> list[str]:
    """The types to try, in order."""
    written = schema.get("type")
    if isinstance(written, str):
        kinds = [written.lower()]
    elif isinstance(written, list):
        kinds = [kind.lower() for kind in written if isinstance(kind, str)]
    else:
        kinds = [_implied_kind(schema)]
    if schema.get("nullable") is True:
        kinds.append("null")
    return kinds


def _implied_kind(schema: _Schema) -> str:
    words = schema.keys()
    if words & {"properties", "required", "minProperties", "additionalProperties"}:
        return "object"
    if words & {"items", "prefixItems", "minItems"}:
        return "array"
    if words & {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}:
        return "number"
    return "string"


def _allowed(values: object, schema: _Schema) -> Iterator[object]:
    """Those of an enumeration that the rest of the schema does not rule out by type, size or bounds."""
    kinds = _kinds(schema) if "type" in schema else None
    options = schema.get("enum") if "const" in schema else None
    for value in _list(values):
        if kinds is not None and not any(_is_kind(value, kind) for kind in kinds):
            continue
        if isinstance(options, list) and not any(_same(value, option) for option in options):
            continue
        if _within(value, schema):
            yield value


def _same(a: object, b: object) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _within(value: object, schema: _Schema) -> bool:
    if isinstance(value, str):
        return _size(schema, "minLength", 0) <= len(value) <= _size(schema, "maxLength", len(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high, step = _bounds(schema)
        return (
            (low is None or value >= low)
            and (high is None or value <= high)
            and (step is None or Fraction(value) % step == 0)
        )
    return True


def _is_kind(value: object, kind: str) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return is_whole and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
    return False


def _of_kind(kind: str, schema: _Schema, root: object, depth: int) -> Iterator[object]:
    match kind:
        case "object":
            yield from _objects(schema, root, depth)
        case "array":
            yield from _arrays(schema, root, depth)
        case "string":
            yield from _texts(schema)
        case "integer" | "number":
            yield from _numbers(schema, whole=kind == "integer")
        case "boolean":
            yield from (True, False)
        case "null":
            yield None


def _objects(schema: _Schema, root: object, depth: int) -> Iterator[object]:
    properties = _mapping(schema.get("properties", {}))
    others = schema.get("additionalProperties", True)
    least = _size(schema, "minProperties", 0)
    names = [name for name in _list(schema.get("required", [])) if isinstance(name, str)]
    spare = [name for name in properties if name not in names]
    if others is not False:
        spare.extend(islice((n for i in count(1) if (n := f"key{i}") not in properties), least))
    if max(len(names), least) > min(ITEMS_MAX, _size(schema, "maxProperties", ITEMS_MAX)):
        return
    made: dict[str, object] = {}
    for name in [*names, *spare]:
        is_needed = name in names
        if not is_needed and len(made) >= least:
            break
        if name not in properties and others is False:
            return
        try:
            made[name] = _first(properties.get(name, others), root, depth + 1)
        except Unsatisfiable:
            if is_needed:
                return
    if len(made) >= least:
        yield from _variations(made, names, properties, others, root, depth)


def _variations(
    made: dict[str, object],
    names: list[str],
    properties: _Schema,
    others: object,
    root: object,
    depth: int,
) -> Iterator[object]:
    """The object itself, then others that differ in one required property, for arrays of distinct ones."""
    yield made
    for name in names:
        values = _instances(properties.get(name, others), root, depth + 1)
        for value in islice(values, 1, ITEMS_MAX):
            yield {**made, name: value}


def _arrays(schema: _Schema, root: object, depth: int) -> Iterator[object]:
    leading = _list(schema.get("prefixItems", []))
    rest = schema.get("items", True)
    least = _size(schema, "minItems", 0)
    if least > min(ITEMS_MAX, _size(schema, "maxItems", ITEMS_MAX)):
        return
    is_set = schema.get("uniqueItems") is True
    made: list[object] = []
    later: Iterator[object] = iter(())
    for index in range(least):
        in_prefix = index < len(leading)
        candidates = _instances(leading[index] if in_prefix else rest, root, depth + 1)
        if is_set and not in_prefix:
            if index == len(leading):
                later = candidates
            candidates = later
        for value in islice(candidates, _DISTINCT_TRIES_MAX):
            if not is_set or not any(_alike(value, other) for other in made):
                made.append(value)
                break
        else:
            return
    yield made


def _alike(a: object, b: object) -> bool:
    """Equality as JSON schema has it: 1 is 1.0, but true is not 1."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    return _same(a, b)


def _texts(schema: _Schema) -> Iterator[str]:
    least = _size(schema, "minLength", 0)
    most = _size(schema, "maxLength", 1 << 20)
    if least > most or least > 1 << 20:
        return
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        for length in range(least, min(most, least + 256) + 1):
            try:
                yield match_for(pattern, length_min=length, length_max=most)
            except PatternUnsupported:
                return
        return
    known = _FORMATS.get(str(schema.get("format")))
    if known is not None:
        if least <= len(known) <= most:
            yield known
        return
    base = "text" if least <= 4 <= most else "a" * least
    yield base
    # Distinct ones for sets: count in letters, filled up to the length.
    for index in count(1):
        text = _letters(index).rjust(least, "b")
        if len(text) > most:
            return
        if text != base:
            yield text


def _letters(index: int) -> str:
    text = ""
    while index:
        index, digit = divmod(index, 26)
        text = chr(97 + digit) + text
    return text


def _numbers(schema: _Schema, *, whole: bool) -> Iterator[int | float]:
    low, high, step = _bounds(schema)
    if whole:
        step = Fraction(_common_multiple(step, 1)) if step is not None else Fraction(1)
    if step is not None:
        first = 0 if low is None else math.ceil(low / step)
        if low is None and high is not None:
            first = min(0, math.floor(high / step))
        elif low is not None and low <= 0 and (high is None or high >= 0):
            first = 0  # nothing is smaller than nothing
        yield from _steps(first, low, high, step)
        return
    for value in _reals(low, high, schema):
        yield int(value) if value.denominator == 1 else float(value)


def _steps(
    first: int, low: Fraction | None, high: Fraction | None, step: Fraction
) -> Iterator[int | float]:
    for offset in count(0):
        above, below = (first + offset) * step, (first - offset) * step
        is_above, is_below = high is None or above <= high, low is None or below >= low
        if is_above and (low is None or above >= low):
            yield _plain(above)
        if offset and is_below and (high is None or below <= high):
            yield _plain(below)
        if not is_above and not is_below:
            return


def _plain(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


def _reals(low: Fraction | None, high: Fraction | None, schema: _Schema) -> Iterator[Fraction]:
    if low is not None and high is not None:
        if low > high or (low == high and not _within_exclusive(low, schema)):
            return
        for parts in count(2):
            value = low + (high - low) / parts
            if _within_exclusive(value, schema):
                yield value
            if low == high:
                return
    elif high is not None:
        yield from (
            high - offset for offset in count(0) if _within_exclusive(high - offset, schema)
        )
    else:
        base = low or Fraction(0)
        yield from (
            base + offset for offset in count(0) if _within_exclusive(base + offset, schema)
        )


def _bounds(schema: _Schema) -> tuple[Fraction | None, Fraction | None, Fraction | None]:
    """Lowest, highest (the exclusive ones moved inwards for steps of whole numbers) and step."""
    step = _fraction(schema.get("multipleOf"))
    lows = [
        value
        for name in ("minimum", "exclusiveMinimum")
        if (value := _fraction(schema.get(name))) is not None
    ]
    highs = [
        value
        for name in ("maximum", "exclusiveMaximum")
        if (value := _fraction(schema.get(name))) is not None
    ]
    low, high = max(lows, default=None), min(highs, default=None)
    grid = step or (Fraction(1) if "integer" in _kinds(schema) else None)
    if grid is not None:
        if low is not None and low == _fraction(schema.get("exclusiveMinimum")):
            low = (math.floor(low / grid) + 1) * grid
        if high is not None and high == _fraction(schema.get("exclusiveMaximum")):
            high = (math.ceil(high / grid) - 1) * grid
    return low, high, step


def _within_exclusive(value: Fraction, schema: _Schema) -> bool:
    low, high = _fraction(schema.get("exclusiveMinimum")), _fraction(schema.get("exclusiveMaximum"))
    as_written = Fraction(float(value)) if value.denominator != 1 else value
    return (low is None or as_written > low) and (high is None or as_written < high)


def _common_multiple(a: object, b: object) -> Fraction:
    first, second = Fraction(_number(a)), Fraction(_number(b))
    scale = math.lcm(first.denominator, second.denominator)
    return Fraction(math.lcm(int(first * scale), int(second * scale)), scale)


def _fraction(value: object) -> Fraction | None:
    """A number as it was written: 0.1 is a tenth."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        return None
    return Fraction(str(value))


def _number(value: object) -> Fraction:
    found = _fraction(value)
    if found is None:
        raise Unsatisfiable(f"{value!r} stands where a number belongs")
    return found


def _size(schema: _Schema, name: str, otherwise: int) -> int:
    value = _fraction(schema.get(name))
    return otherwise if value is None else int(value)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> _Schema:
    return value if isinstance(value, Mapping) else {}
