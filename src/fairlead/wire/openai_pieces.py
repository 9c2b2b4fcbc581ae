"""The chunks that most of a stream consists of, read in as few steps as can be.

One choice that has begun, and one more piece of its text, of its reasoning or of a call's arguments, beside
nothing but a role and empty stand-ins. What is read here, openai_chat.py would read the same way; it reads
all the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairlead.core.chat import FinishReason, PlainEvent, ReasoningDelta, TextDelta, ToolCallDelta
from fairlead.wire.openai_alike import PADDING

__all__ = ["CallState", "ChoiceState", "piece_of", "reasoning_details"]

_REASONING: Final = frozenset({"role", "content", "reasoning_content", "reasoning"})
_ARGUMENTS: Final = frozenset({"role", "content", "tool_calls"})
_FRAGMENT: Final = frozenset({"index", "function", "type", "id"})


class CallState:
    """A tool call in progress."""

    __slots__ = ("id", "index", "named")

    def __init__(self, index: int, call_id: str) -> None:
        self.index = index
        self.id = call_id
        self.named = False


class ChoiceState:
    """What is known of one choice so far."""

    __slots__ = ("by_upstream_index", "calls", "finish", "has_content")

    def __init__(self) -> None:
        self.has_content = False
        self.finish: FinishReason | None = None
        self.calls: list[CallState] = []
        self.by_upstream_index: dict[int, CallState] = {}


def piece_of(
    fields: dict[str, object], choice: object, known: Mapping[int, ChoiceState]
) -> tuple[PlainEvent, ...] | None:
    """What such a chunk means; its fields are normalised in place.

    choice: the only one in `fields`. known: by its index. None: it is no such chunk, and nothing was changed.
    """
    if type(choice) is not dict or choice.get("finish_reason") or choice.get("logprobs"):
        return None
    delta = choice.get("delta")
    index = choice.get("index")
    if type(delta) is not dict or type(index) is not int:
        return None
    state = known.get(index)
    if state is None:
        return None
    if "usage" in choice or "message" in choice:
        return None
    if fields.get("usage") or "x_groq" in fields or "meta" in fields:
        return None  # counts and costs, in all their places
    text = delta.get("content")
    event: PlainEvent | None
    if text:
        event = TextDelta(text, index) if len(delta) == 1 and type(text) is str else None
    elif "tool_calls" in delta:
        event = _arguments(delta, index, state)
    else:
        event = _reasoning(delta, index)
    if event is None:
        return None
    if "role" in delta:
        delta["role"] = "assistant"
    fields.pop("usage", None)
    for name in PADDING:
        fields.pop(name, None)
    choice["finish_reason"] = None
    choice.pop("native_finish_reason", None)
    state.has_content = True
    return (event,)


def reasoning_details(text: str) -> list[dict[str, object]]:
    """Reasoning that came as text alone, as a detail of our own form."""
    return [{"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}]


def _reasoning(delta: dict[str, object], index: int) -> ReasoningDelta | None:
    if not (delta.keys() <= _REASONING) or delta.get("content") not in (None, ""):
        return None
    text = delta.get("reasoning") or delta.get("reasoning_content")
    if type(text) is not str or not text:
        return None
    delta.pop("reasoning_content", None)
    details = reasoning_details(text)
    delta["reasoning"] = text
    delta["reasoning_details"] = details
    return ReasoningDelta(text, index, tuple(details))


def _arguments(delta: dict[str, object], index: int, state: ChoiceState) -> ToolCallDelta | None:
    pieces = delta["tool_calls"]
    if type(pieces) is not list or len(pieces) != 1:
        return None
    if not (delta.keys() <= _ARGUMENTS) or delta.get("content") not in (None, ""):
        return None
    piece = pieces[0]
    if type(piece) is not dict or not (piece.keys() <= _FRAGMENT):
        return None
    function, upstream_index = piece.get("function"), piece.get("index")
    if type(function) is not dict or len(function) != 1 or type(upstream_index) is not int:
        return None
    arguments, call = function.get("arguments"), state.by_upstream_index.get(upstream_index)
    if type(arguments) is not str or call is None:
        return None
    piece["index"] = call.index
    piece.pop("id", None)
    piece.pop("type", None)
    return ToolCallDelta(call.index, arguments, choice=index)
