"""Tool calls on request, so that an agent with tools of its own can be led through a task.

    Copy the file, please.
    twin-call: read_file {"path": "in.txt"}
    twin-call: write_file {"path": "out.txt", "content": "$result"}

Each such line of a user's text is one call, made when the one before has its result; `$result` in a text stands
for what the last tool said. After the last one the model answers in words. A later user text with calls of its
own is a new script; one without leaves the script where it is, because agents add remarks as users.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

__all__ = ["CALLS_MAX", "Cue", "Line", "cue"]

CALLS_MAX: Final = 100  # of one script; what stands behind is not read
_RESULT: Final = "$result"
_CALL: Final = re.compile(r"^twin-call: (\S+) (\{.*\})[ \t]*\r?$", re.MULTILINE)


class Line(NamedTuple):
    """What a user or, with is_result, a tool said."""

    text: str
    is_result: bool = False


class Cue(NamedTuple):
    """Where a conversation stands in its script. tool: to be called next; None: all calls are made.

    arguments: JSON of an object.
    """

    tool: str | None = None
    arguments: str = "{}"


def cue(conversation: Iterable[Line]) -> Cue | None:
    """conversation: oldest first. None: it follows no script."""
    calls: list[tuple[str, object]] = []
    results: list[str] = []
    for line in conversation:
        if line.is_result:
            results.append(line.text)
        elif found := _calls(line.text):
            calls, results = found, []
    if not calls:
        return None
    if len(results) >= len(calls):
        return Cue()
    tool, arguments = calls[len(results)]
    filled = _filled(arguments, results[-1] if results else "")
    return Cue(tool, msgspec.json.encode(filled).decode())


def _calls(text: str) -> list[tuple[str, object]]:
    """People's texts are no program: a line that is not a proper call means nothing."""
    if "twin-call:" not in text:
        return []
    calls: list[tuple[str, object]] = []
    for tool, arguments in _CALL.findall(text)[:CALLS_MAX]:
        try:
            calls.append((tool, msgspec.json.decode(arguments)))
        except (msgspec.DecodeError, RecursionError):
            continue
    return calls


def _filled(value: object, result: str) -> object:
    match value:
        case str():
            return value.replace(_RESULT, result)
        case list():
            return [_filled(item, result) for item in value]
        case dict():
            return {name: _filled(item, result) for name, item in value.items()}
    return value
