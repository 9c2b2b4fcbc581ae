"""Answers in OpenAI's Responses format, read into events.

A stream tells everything in pieces, and every item once more when it is done; a whole answer has its items
only. So both are read by the same rule: when an item is done, what of it has not been told yet is told.
Servers that leave out pieces are understood by it, too.

Items of tools that the provider ran are left out, as their results are in the text that follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from fairlead.core.chat import (
    AnnotationsAdded,
    Finished,
    FinishReason,
    MediaAdded,
    PlainEvent,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from fairlead.providers.openai_failures import failure_inside
from fairlead.providers.whole_body import garbage
from fairlead.wire.openai_usage import read_cost_usd, read_usage

__all__ = ["ITEMS_MAX", "ResponsesReader"]

ITEMS_MAX: Final = 4096  # in one answer

Fields = dict[str, object]

_CALLS: Final[Mapping[str, str]] = {"function_call": "function", "custom_tool_call": "custom"}


class _Item:
    """What was told of one item. call: its index among the calls."""

    __slots__ = ("call", "parts")

    def __init__(self) -> None:
        self.call: int | None = None
        self.parts: set[tuple[str, int]] = set()  # (kind, index) of what was told in pieces


class ResponsesReader:
    """Reads one answer. Feed it each event of a stream, or the whole answer, as a JSON object.

    Both raise UpstreamFailure for an error inside and for shapes that cannot be read.
    """

    __slots__ = ("_calls", "_format", "_items", "_thoughts", "is_over")

    def __init__(self, reasoning_format: str) -> None:
        """reasoning_format: the name of the provider's form of reasoning, for those who hand it back."""
        self._format = reasoning_format
        self._items: dict[int, _Item] = {}
        self._calls = 0
        self._thoughts: dict[
            tuple[int, str, int], int
        ] = {}  # parts of reasoning, numbered as they come
        self.is_over = False

    def event(self, fields: Fields) -> list[PlainEvent]:
        """One event of a stream."""
        kind = _text(fields.get("type")).removeprefix("response.")
        index = _index(fields.get("output_index"))
        match kind:
            case "created":
                return [_started(_object(fields.get("response")))]
            case "output_text.delta":
                self._note(index, "text", fields.get("content_index"))
                logprobs = _logprobs(fields.get("logprobs"))
                return [TextDelta(_text(fields.get("delta")), logprobs=logprobs)]
            case "output_text.annotation.added":
                self._note(index, "annotations", fields.get("content_index"))
                return _annotations([fields.get("annotation")])
            case "refusal.delta":
                self._note(index, "refusal", fields.get("content_index"))
                return [RefusalDelta(_text(fields.get("delta")))]
            case "reasoning_summary_text.delta" | "reasoning_text.delta":
                return self._thought_piece(index, kind, fields)
            case "function_call_arguments.delta" | "custom_tool_call_input.delta":
                return self._arguments(index, _text(fields.get("delta")))
            case "output_item.added":
                item = _object(fields.get("item"))
                return self._begin_call(index, item) if _text(item.get("type")) in _CALLS else []
            case "output_item.done":
                return self._done(index, _object(fields.get("item")))
            case "completed" | "incomplete" | "failed" | "cancelled":
                return self._end(_object(fields.get("response")))
            case "error":
                raise failure_inside(_error_of(fields))
            case _:
                return []

    def whole(self, response: Fields) -> list[PlainEvent]:
        """A whole answer."""
        output = response.get("output")
        if not isinstance(output, list):
            if response.get("error"):
                raise failure_inside(response)
            raise garbage("it has no output")
        events: list[PlainEvent] = [_started(response)]
        for index, item in enumerate(output):
            events += self._done(index, _object(item))
        return events + self._end(response)

    # --- items ---

    def _item(self, index: int) -> _Item:
        item = self._items.get(index)
        if item is None:
            if len(self._items) >= ITEMS_MAX:
                raise garbage(f"it has more than {ITEMS_MAX} items")
            item = self._items[index] = _Item()
        return item

    def _note(self, index: int, kind: str, part: object) -> None:
        self._item(index).parts.add((kind, _index(part)))

    def _done(self, index: int, item: Fields) -> list[PlainEvent]:
        match item.get("type"):
            case "message":
                return self._message(index, item)
            case "reasoning":
                return self._reasoning(index, item)
            case "function_call" | "custom_tool_call":
                events = self._begin_call(index, item)
                arguments = _text(item.get("arguments") or item.get("input"))
                if ("arguments", 0) not in self._item(index).parts:
                    events += self._arguments(index, arguments)
                return events
            case "image_generation_call":
                return _image(item)
            case _:
                return []

    def _message(self, index: int, item: Fields) -> list[PlainEvent]:
        told = self._item(index).parts
        events: list[PlainEvent] = []
        for position, part in enumerate(_list(item.get("content"))):
            fields = _object(part)
            if fields.get("type") == "refusal":
                if ("refusal", position) not in told:
                    events.append(RefusalDelta(_text(fields.get("refusal"))))
                continue
            if ("text", position) not in told and "text" in fields:
                logprobs = _logprobs(fields.get("logprobs"))
                events.append(TextDelta(_text(fields.get("text")), logprobs=logprobs))
            if ("annotations", position) not in told:
                events += _annotations(_list(fields.get("annotations")))
        return events

    def _begin_call(self, index: int, fields: Fields) -> list[PlainEvent]:
        item = self._item(index)
        if item.call is not None:
            return []
        item.call = self._calls
        self._calls += 1
        return [
            ToolCallDelta(
                item.call,
                id=_text(fields.get("call_id")) or _text(fields.get("id")) or None,
                name=_text(fields.get("name")),
                type=_CALLS.get(_text(fields.get("type")), "function"),
            )
        ]

    def _arguments(self, index: int, piece: str) -> list[PlainEvent]:
        item = self._item(index)
        if item.call is None:
            raise garbage("arguments of no call")
        if not piece:
            return []
        item.parts.add(("arguments", 0))
        return [ToolCallDelta(item.call, piece)]

    # --- reasoning ---

    def _thought_piece(self, index: int, kind: str, fields: Fields) -> list[PlainEvent]:
        name = "summary" if kind.startswith("reasoning_summary") else "text"
        part = _index(fields.get("summary_index" if name == "summary" else "content_index"))
        self._note(index, name, part)
        item_id = fields.get("item_id")
        return [self._thought(index, item_id, name, part, _text(fields.get("delta")))]

    def _thought(
        self, index: int, item_id: object, name: str, part: int, text: str
    ) -> ReasoningDelta:
        detail = self._detail(index, item_id, name, part)
        detail[name] = text
        return ReasoningDelta(text, details=(detail,))

    def _detail(self, index: int, item_id: object, name: str, part: int) -> Fields:
        """A piece of reasoning, numbered: pieces of one part have one number."""
        number = self._thoughts.setdefault((index, name, part), len(self._thoughts))
        return {
            "type": f"reasoning.{name}",
            "id": item_id if isinstance(item_id, str) and item_id else None,
            "format": self._format,
            "index": number,
        }

    def _reasoning(self, index: int, item: Fields) -> list[PlainEvent]:
        told = self._item(index).parts
        events: list[PlainEvent] = []
        for name, holder in (("summary", item.get("summary")), ("text", item.get("content"))):
            for position, part in enumerate(_list(holder)):
                text = _text(_object(part).get("text")) if isinstance(part, dict) else _text(part)
                if text and (name, position) not in told:
                    events.append(self._thought(index, item.get("id"), name, position, text))
        data = item.get("encrypted_content")
        if isinstance(data, str) and data:
            detail = self._detail(index, item.get("id"), "encrypted", 0)
            detail["data"] = data
            events.append(ReasoningDelta("", details=(detail,)))
        return events

    # --- the end ---

    def _end(self, response: Fields) -> list[PlainEvent]:
        self.is_over = True
        status = _text(response.get("status"))
        if status in ("failed", "cancelled") or response.get("error"):
            raise failure_inside(_error_of(response))
        if status in ("queued", "in_progress"):
            raise garbage(f"its status is {status}")
        usage = response.get("usage")
        counts = read_usage(usage) if isinstance(usage, dict) else None
        events: list[PlainEvent] = [self._finished(status, response)]
        if counts is not None and isinstance(usage, dict):
            events.append(UsageReported(counts, cost_usd=read_cost_usd(usage)))
        return events

    def _finished(self, status: str, response: Fields) -> Finished:
        if status == "incomplete":
            reason = _text(_object(response.get("incomplete_details") or {}).get("reason"))
            if reason == "content_filter":
                return Finished(FinishReason.CONTENT_FILTER, reason)
            return Finished(FinishReason.LENGTH, reason or status)
        if self._calls:
            return Finished(FinishReason.TOOL_CALLS, status)
        return Finished(FinishReason.STOP, status)


def _started(response: Fields) -> Started:
    return Started(
        id=_text(response.get("id")) or None,
        model=_text(response.get("model")) or None,
        service_tier=_text(response.get("service_tier")) or None,
    )


def _error_of(fields: Fields) -> Fields:
    """The event `error` has its words flat or in an object; a failed response has the object."""
    if fields.get("error"):
        return {"error": fields["error"]}
    return {"error": {name: fields.get(name) for name in ("code", "message", "param")}}


def _logprobs(items: object) -> msgspec.Raw | None:
    """As the chat format has them."""
    if not isinstance(items, list) or not items:
        return None
    return msgspec.Raw(msgspec.json.encode({"content": items, "refusal": None}))


def _annotations(found: list[object]) -> list[PlainEvent]:
    """Citations of addresses, in the chat format's shape; files in the provider's store mean nothing."""
    citations: list[Mapping[str, object]] = []
    for annotation in found:
        fields = _object(annotation)
        if fields.get("type") == "url_citation":
            kept = {name: value for name, value in fields.items() if name != "type"}
            citations.append({"type": "url_citation", "url_citation": kept})
    return [AnnotationsAdded(tuple(citations))] if citations else []


def _image(item: Fields) -> list[PlainEvent]:
    data = _text(item.get("result"))
    if not data:
        return []
    kind = _text(item.get("output_format")) or "png"
    url = data if data.startswith(("data:", "http")) else f"data:image/{kind};base64,{data}"
    return [MediaAdded("images", [{"type": "image_url", "image_url": {"url": url}}])]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _index(value: object) -> int:
    return value if isinstance(value, int) else 0


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _object(value: object) -> Fields:
    if not isinstance(value, dict):
        raise garbage("an object is missing in it")
    return value
