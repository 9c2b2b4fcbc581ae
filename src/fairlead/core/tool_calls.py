"""Whether the tool calls of an answer can be carried out: their names, their JSON, their schemas. Pure.

Schemas are the callers' own, so they may be anything: broken, huge, or made to take for ever. What bounds the
time: references lead nowhere outside of the schema, patterns run on an engine that never backtracks, the sizes
of schema and arguments are limited, and a schema that branches too often for its arguments is not applied
(`schema_steps.py`). What cannot be judged counts as valid, as an absent or broken schema does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from fairlead.core.answer import AnsweredCall
from fairlead.core.chat import ABSENT, Tool
from fairlead.core.schema_steps import extent, steps

if TYPE_CHECKING:
    import jsonschema_rs

__all__ = ["CALLS_CHECKED_MAX", "SCHEMAS_KEPT_MAX", "ToolJudge", "ToolVerdict"]

SCHEMAS_KEPT_MAX: Final = 512
SCHEMA_BYTES_MAX: Final = 64 * 1024  # takes about five milliseconds to compile
CALLS_CHECKED_MAX: Final = (
    16  # of one answer, against their schemas; of the others the JSON alone is read
)
ARGUMENTS_CHARACTERS_MAX: Final = 1_000_000
STEPS_MAX: Final = 200_000  # of applying a schema: about 5 ms, in which nobody else is served
PATTERN_BYTES_MAX: Final = 1024 * 1024  # of one compiled pattern

_decode: Final = msgspec.json.Decoder().decode


class ToolVerdict(StrEnum):
    """What is wrong with the tool calls of one answer, if anything: the worst found, in this order."""

    INVALID_JSON = "invalid_json"
    UNKNOWN_NAME = "unknown_name"
    SCHEMA_MISMATCH = "schema_mismatch"
    VALID = "valid"


_ORDER: Final = tuple(ToolVerdict)


class ToolJudge:
    """Judges calls. Keeps the schemas that it compiled, the last ones used: most callers repeat their tools."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, _Schema | None] = OrderedDict()

    def verdict(self, calls: Iterable[AnsweredCall], tools: Sequence[Tool] | None) -> ToolVerdict:
        """tools: what the request offered. Blank arguments stand for none, as some providers write them."""
        offered = {
            tool.function.name: tool.function.parameters
            for tool in tools or ()
            if tool.function is not None
        }
        found = {
            self._of_one(call, offered, with_schema=count < CALLS_CHECKED_MAX)
            for count, call in enumerate(calls)
        }
        return next((verdict for verdict in _ORDER if verdict in found), ToolVerdict.VALID)

    def _of_one(
        self, call: AnsweredCall, offered: dict[str, msgspec.Raw], *, with_schema: bool
    ) -> ToolVerdict:
        if call.type != "function":
            return ToolVerdict.VALID  # free text, and names of its own
        try:
            arguments = _decode(call.arguments) if call.arguments.strip() else {}
        except (ValueError, RecursionError):
            return ToolVerdict.INVALID_JSON
        if call.name not in offered:
            return ToolVerdict.UNKNOWN_NAME
        if not with_schema or len(call.arguments) > ARGUMENTS_CHARACTERS_MAX:
            return ToolVerdict.VALID
        schema = self._schema(offered[call.name])
        if schema is None or schema.allows(arguments):
            return ToolVerdict.VALID
        return ToolVerdict.SCHEMA_MISMATCH

    def _schema(self, raw: msgspec.Raw) -> _Schema | None:
        """None: absent, broken or too large."""
        if raw == ABSENT or len(raw) > SCHEMA_BYTES_MAX:
            return None
        written = bytes(raw)
        if written in self._kept:
            self._kept.move_to_end(written)
            return self._kept[written]
        made = self._kept[written] = _compiled(written)
        if len(self._kept) > SCHEMAS_KEPT_MAX:
            self._kept.popitem(last=False)
        return made


class _Schema:
    """One compiled schema."""

    __slots__ = ("_validator", "_value")

    def __init__(self, value: object, validator: jsonschema_rs.Draft7Validator) -> None:
        self._value = value
        self._validator = validator

    def allows(self, arguments: object) -> bool:
        nodes, depth = extent(arguments)
        needed = steps(self._value, depth, steps_max=STEPS_MAX // nodes)
        if needed is None:
            return True
        try:
            return self._validator.is_valid(arguments)
        except ValueError:  # nested deeper than the validator goes
            return True


def _compiled(written: bytes) -> _Schema | None:
    # Imported by the first that has a schema: it costs some 3 MB, and a few dozen milliseconds, once.
    import jsonschema_rs

    try:
        validator = jsonschema_rs.Draft7Validator(
            written.decode(),
            offline=True,
            validate_formats=False,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES_MAX),
        )
        return _Schema(_decode(written), validator)
    except (ValueError, RecursionError):  # ValidationError is a ValueError
        return None
