"""How many steps it may take to apply a JSON schema (draft 7): an upper bound, found without applying it.

A few lines of schema can ask for more steps than there is time, by references that branch: each of thirty
definitions refers twice to the next. Whoever applies schemas of strangers asks here first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

__all__ = ["extent", "steps"]

# Keywords with schemas for the same value, and for the values inside of it.
_HERE: Final = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependencies")
_INSIDE: Final = (
    "properties", "patternProperties", "additionalProperties", "items", "additionalItems", "contains",
    "propertyNames",
)  # fmt: skip
_MAPS: Final = frozenset({"properties", "patternProperties", "dependencies"})


def extent(value: object) -> tuple[int, int]:
    """(number of values in a JSON value, itself included; levels below it)."""
    count, depth = 0, -1
    level = [value]
    while level:
        count += len(level)
        depth += 1
        level = [inner for outer in level for inner in _inside(outer)]
    return count, depth


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def steps(schema: object, depth: int, *, steps_max: int) -> int | None:
    """Schemas applied along one way down a value with so many levels. None: more than `steps_max`, or unknown.

    For a whole value multiply by the number of values in it.
    """
    try:
        return _Count(schema, steps_max).of(schema, depth)
    except (_Unknown, RecursionError):
        return None


class _Unknown(Exception):
    """Too many, or a reference that only a resolver of addresses could follow."""


class _Count:
    def __init__(self, root: object, steps_max: int) -> None:
        self._root = root
        self._steps_max = steps_max
        self._known: dict[tuple[int, int], int] = {}  # by identity of the schema, and depth

    def of(self, schema: object, depth: int) -> int:
        if not isinstance(schema, dict):
            return 1
        key = (id(schema), depth)
        known = self._known.get(key)
        if known == 0:
            raise _Unknown  # a loop that goes no deeper, which the specification forbids
        if known is not None:
            return known
        if len(self._known) >= self._steps_max:
            raise _Unknown
        self._known[key] = 0  # in progress
        total = 1 + sum(
            self.of(inner, depth - level) for inner, level in self._parts(schema, depth)
        )
        if total > self._steps_max:
            raise _Unknown
        self._known[key] = total
        return total

    def _parts(self, schema: dict[str, object], depth: int) -> Iterator[tuple[object, int]]:
        """(schema, levels down) of all that this one applies."""
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield self._target(reference), 0  # what stands beside a reference means nothing
            return
        if isinstance(schema.get("$id"), str) and schema is not self._root:
            raise _Unknown  # references inside are relative to it
        for level, words in ((0, _HERE), (1, _INSIDE)):
            if level > depth:
                return
            for word in words:
                held = schema.get(word)
                if isinstance(held, dict) and word in _MAPS:
                    held = list(held.values())
                for inner in held if isinstance(held, list) else (held,):
                    if isinstance(inner, dict):
                        yield inner, level

    def _target(self, reference: str) -> object:
        if reference == "#":
            return self._root
        if not reference.startswith("#/"):
            raise _Unknown
        value = self._root
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and name in value:
                value = value[name]
            elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
            else:
                raise _Unknown  # percent-encoded, or nowhere
        return value
