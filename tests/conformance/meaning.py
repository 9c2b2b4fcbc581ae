"""What an answer says, whatever its format: the form in which a recording and what we wrote are compared."""

from __future__ import annotations

import json
from dataclasses import dataclass

__all__ = ["Call", "Choice", "Counts", "Meaning", "arguments_in"]


@dataclass(frozen=True)
class Call:
    """id "": none was given. arguments: the value; the text itself where it is no JSON."""

    id: str
    name: str
    arguments: object


@dataclass(frozen=True)
class Counts:
    """Of tokens. prompt holds the cached ones, completion the reasoning."""

    prompt: int
    completion: int
    reasoning: int
    cached: int


@dataclass(frozen=True)
class Choice:
    """finish: stop, length, tool_calls or content_filter. spoken: the words of audio. images: their data.

    cited: addresses; None: the format tells its sources in no comparable way.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = "stop"
    spoken: str = ""
    images: tuple[str, ...] = ()
    cited: frozenset[str] | None = frozenset()


@dataclass(frozen=True)
class Meaning:
    """counts None: none were reported."""

    choices: tuple[Choice, ...]
    counts: Counts | None


def arguments_in(text: str) -> object:
    """Empty arguments are an empty object, in every format."""
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except ValueError:
        return text
