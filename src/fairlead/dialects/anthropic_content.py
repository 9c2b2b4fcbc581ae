"""Plain events into content blocks of the Anthropic Messages format, for streams and whole answers alike.

Theory. Of a message's blocks one is open at a time, and they are told in order: start, deltas, stop. Events
know no blocks. Text continues an open text, reasoning an open thought until it is signed, and whatever
else comes closes what is open.

Only tool calls can be at odds with that: providers may tell several at once. While the arguments of the
open call are not complete JSON, all that is not of this call waits, in the order in which it began; when
they are, the next in line is opened and told as far as it has come. So a single call, and calls told one
after the other, stream as they come; what waits is bounded.

A call without arguments is told as `{}`. A piece that comes after its call was complete is dropped: the
call had ended, and no reader could parse what the two make together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, assert_never

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
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.wire.anthropic_reasoning import redacted_data, signature
from fairlead.wire.anthropic_stops import stop_reason_of

__all__ = ["WAITING_CHARACTERS_MAX", "ContentWriter", "Fields"]

Fields = dict[str, object]

# Of arguments and text that wait for a call told at the same time. The longest real call is a file's worth.
WAITING_CHARACTERS_MAX: Final = 16 * 1024 * 1024

_CITATIONS: Final = frozenset(
    {
        "char_location", "page_location", "content_block_location", "search_result_location",
        "web_search_result_location",
    }
)  # fmt: skip


class ContentWriter:
    """Feed events of one choice; get the format's `content_block_*` events.

    shows_reasoning: whether thinking is told at all.
    """

    __slots__ = (
        "_arguments",
        "_call",
        "_detail",
        "_ended_calls",
        "_index",
        "_kind",
        "_shows_reasoning",
        "_waiting",
        "_waiting_calls",
        "_waiting_characters",
        "finished",
        "has_begun",
        "has_calls",
        "refusal",
    )

    def __init__(self, *, shows_reasoning: bool) -> None:
        self._shows_reasoning = shows_reasoning
        self._index = -1  # of the block that is open, or was last
        self._kind = ""  # of the open block: text, thinking, tool_use; "" if none is open
        self._detail: Fields = {}  # of the open thought: all that its pieces said but their texts
        self._call = -1  # index of the open call
        self._arguments = _Arguments()
        self._ended_calls: set[int] = set()
        self._waiting: list[list[PlainEvent]] = []  # a list for each block that is to come
        self._waiting_calls: dict[int, list[PlainEvent]] = {}
        self._waiting_characters = 0
        self.finished: Finished | None = None
        self.has_begun = False
        self.has_calls = False
        self.refusal = ""  # what the model, or its filter, said instead of an answer

    @property
    def open_text(self) -> int | None:
        """Index of the block if it is text that is open: more text is one more delta of it."""
        return self._index if self._kind == "text" else None

    @property
    def stop_reason(self) -> str:
        """Why the message ended, in the format's words; an end that was never told is a plain one.

        Callers run tools when it says so, and only then: it follows the blocks where a provider does not.
        """
        finished = self.finished or Finished(FinishReason.STOP)
        if self.refusal and finished.reason is FinishReason.STOP:
            return "refusal"
        reason = stop_reason_of(finished.reason, finished.native)
        if reason == "end_turn" and self.has_calls:
            return "tool_use"
        if reason == "tool_use" and not self.has_calls:
            return "end_turn"
        return reason

    def feed(self, event: PlainEvent, told: list[Fields]) -> None:
        """Appends to `told` what the event says. Raises UpstreamFailure if too much has to wait."""
        if isinstance(event, Started | UsageReported) or event.choice != 0:
            return  # the format has one choice
        self.has_begun = True
        if isinstance(event, Finished):
            self.finished = self.finished or event
        elif isinstance(event, ReasoningDelta) and not self._shows_reasoning:
            return
        elif self._kind == "tool_use" and not self._is_of_open_call(event):
            if self._arguments.are_complete:
                self._write(event, told)
            else:
                self._wait(event)
        else:
            self._write(event, told)
            if self._waiting and self._arguments.are_complete:
                self._advance(told, to_the_end=False)

    def finish(self, told: list[Fields]) -> None:
        """The answer is over: tells what waited and closes what is open."""
        if self._waiting:
            self._advance(told, to_the_end=True)
        self._close(told)

    def next_index(self, told: list[Fields]) -> int:
        """The index of a block that somebody else tells; closes what is open."""
        self.finish(told)
        self._index += 1
        self.has_begun = True
        return self._index

    # --- several calls at once ---

    def _is_of_open_call(self, event: PlainEvent) -> bool:
        return isinstance(event, ToolCallDelta) and event.index == self._call

    def _wait(self, event: PlainEvent) -> None:
        if isinstance(event, ToolCallDelta) and event.index in self._ended_calls:
            return
        self._waiting_characters += _characters(event)
        if self._waiting_characters > WAITING_CHARACTERS_MAX:
            raise UpstreamFailure(
                "The provider told too many tool calls at once.", kind=FailureKind.GARBAGE
            )
        if isinstance(event, ToolCallDelta):
            queue = self._waiting_calls.get(event.index)
            if queue is None:
                queue = self._waiting_calls[event.index] = []
                self._waiting.append(queue)
            queue.append(event)
        elif self._waiting and not isinstance(self._waiting[-1][0], ToolCallDelta):
            self._waiting[-1].append(event)
        else:
            self._waiting.append([event])

    def _advance(self, told: list[Fields], *, to_the_end: bool) -> None:
        """Tells what waits, up to a call that is not complete."""
        waiting, self._waiting = self._waiting, []
        for position, queue in enumerate(waiting):
            is_blocked = self._kind == "tool_use" and not self._arguments.are_complete
            if is_blocked and not to_the_end:
                self._waiting = waiting[position:]
                return
            for event in queue:
                self._waiting_characters -= _characters(event)
                self._write(event, told)
            if isinstance(queue[0], ToolCallDelta):
                del self._waiting_calls[queue[0].index]

    # --- one event ---

    def _write(self, event: PlainEvent, told: list[Fields]) -> None:
        match event:
            case TextDelta():
                self._text(event.text, told)
            case RefusalDelta():
                self.refusal += event.text
                self._text(event.text, told)
            case ReasoningDelta():
                details = event.details or (_plain_detail(event.text),)
                for detail in details:
                    self._reasoning(detail, told)
            case ToolCallDelta():
                self._tool_call(event, told)
            case AnnotationsAdded():
                for annotation in event.annotations:
                    self._citation(annotation, told)
            case MediaAdded():
                self._media(event, told)
            case Started() | UsageReported() | Finished():
                raise AssertionError("says nothing")
            case _:
                assert_never(event)

    def _text(self, text: str, told: list[Fields]) -> None:
        if not text:
            return
        if self._kind != "text":
            self._open("text", {"type": "text", "text": "", "citations": None}, told)
        self._delta({"type": "text_delta", "text": text}, told)

    def _citation(self, annotation: Mapping[str, object], told: list[Fields]) -> None:
        citation = _citation_of(annotation)
        if citation is None:
            return
        if self._kind != "text":
            self._open("text", {"type": "text", "text": "", "citations": None}, told)
        self._delta({"type": "citations_delta", "citation": citation}, told)

    def _reasoning(self, detail: Mapping[str, object], told: list[Fields]) -> None:
        kind = detail.get("type")
        if kind not in ("reasoning.text", "reasoning.summary"):
            data = redacted_data(detail)
            self._open("", {"type": "redacted_thinking", "data": data}, told)
            told.append({"type": "content_block_stop", "index": self._index})
            return
        text = detail.get("text" if kind == "reasoning.text" else "summary")
        text = text if isinstance(text, str) else ""
        if self._kind != "thinking" or not _continues(self._detail, detail):
            if not text and not detail.get("signature"):
                return
            self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""}, told)
        for name, value in detail.items():
            if name not in ("text", "summary") and value is not None:
                self._detail[name] = value
        if text:
            self._delta({"type": "thinking_delta", "thinking": text}, told)

    def _tool_call(self, event: ToolCallDelta, told: list[Fields]) -> None:
        if self._kind != "tool_use" or self._call != event.index:
            if event.index in self._ended_calls:
                return
            block: Fields = {
                "type": "tool_use",
                "id": event.id or f"call_{event.index}",
                "name": event.name or "",
                "input": {},
                "caller": {"type": "direct"},
            }
            self._open("tool_use", block, told)
            self._call = event.index
            self._arguments = _Arguments()
            self.has_calls = True
        self._arguments.feed(event.arguments)
        if (
            event.arguments and not self._arguments.are_empty
        ):  # some clients cannot read blanks alone
            self._delta({"type": "input_json_delta", "partial_json": event.arguments}, told)

    def _media(self, event: MediaAdded, told: list[Fields]) -> None:
        """An image is a block as callers send them; of audio, which has none, its words are told."""
        if event.kind == "audio":
            words = event.value.get("transcript") if isinstance(event.value, dict) else None
            self._text(words if isinstance(words, str) else "", told)
            return
        for image in event.value if isinstance(event.value, list) else ():
            source = _image_source(image)
            if source is not None:
                self._open("", {"type": "image", "source": source}, told)
                told.append({"type": "content_block_stop", "index": self._index})

    # --- blocks ---

    def _open(self, kind: str, block: Fields, told: list[Fields]) -> None:
        self._close(told)
        self._index += 1
        self._kind = kind
        told.append({"type": "content_block_start", "index": self._index, "content_block": block})

    def _delta(self, delta: Fields, told: list[Fields]) -> None:
        told.append({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _close(self, told: list[Fields]) -> None:
        if not self._kind:
            return
        if self._kind == "thinking":
            if signed := signature(self._detail):
                self._delta({"type": "signature_delta", "signature": signed}, told)
            self._detail = {}
        elif self._kind == "tool_use":
            if self._arguments.are_empty:
                self._delta({"type": "input_json_delta", "partial_json": "{}"}, told)
            self._ended_calls.add(self._call)
        self._kind = ""
        told.append({"type": "content_block_stop", "index": self._index})


class _Arguments:
    """How far a call's arguments have come. Knows when an object is closed, not whether it is valid."""

    __slots__ = ("_depth", "_is_escaped", "_is_in_text", "are_complete", "are_empty")

    # What changes the state, in and outside of a text.
    _MARKS: Final = re.compile(r'["\\{}\[\]]')

    def __init__(self) -> None:
        self._depth = 0
        self._is_in_text = False
        self._is_escaped = False  # the piece ended after a backslash
        self.are_complete = False
        self.are_empty = True

    def feed(self, piece: str) -> None:
        self.are_empty = self.are_empty and not piece.strip()
        at = 0
        if self._is_escaped and piece:
            at, self._is_escaped = 1, False
        while found := self._MARKS.search(piece, at):
            at = found.end()
            mark = found[0]
            if mark == "\\":
                at += 1
                self._is_escaped = at > len(piece)
            elif mark == '"':
                self._is_in_text = not self._is_in_text
            elif not self._is_in_text:
                self._depth += 1 if mark in "{[" else -1
                if self._depth <= 0:
                    self.are_complete = True


def _characters(event: PlainEvent) -> int:
    if isinstance(event, ToolCallDelta):
        return len(event.arguments)
    return len(event.text) if isinstance(event, TextDelta | ReasoningDelta | RefusalDelta) else 0


def _plain_detail(text: str) -> Fields:
    return {"type": "reasoning.text", "text": text, "format": "unknown"}


def _continues(thought: Mapping[str, object], piece: Mapping[str, object]) -> bool:
    """Whether the piece is of the thought that is open; a signature ends one."""
    return (
        all(thought.get(name) == piece.get(name) for name in ("type", "index", "format"))
        and not thought.get("signature")
        and piece.get("id") in (None, thought.get("id"))
    )


def _citation_of(annotation: Mapping[str, object]) -> Mapping[str, object] | None:
    """The annotation in the format's form; None for parsed files, which it has no place for."""
    if annotation.get("type") in _CITATIONS:
        return annotation
    cited = annotation.get("url_citation")
    if not isinstance(cited, dict):
        return None
    return {
        "type": "web_search_result_location",
        "url": cited.get("url") or "",
        "title": cited.get("title"),
        "cited_text": cited.get("content") or "",
        "encrypted_index": "",
    }


_DATA_URL: Final = re.compile(r"data:([^;,]*);base64,")


def _image_source(image: object) -> Fields | None:
    holder = image.get("image_url") if isinstance(image, dict) else None
    url = holder.get("url") if isinstance(holder, dict) else None
    if not isinstance(url, str) or not url:
        return None
    data = _DATA_URL.match(url)
    if data is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": data[1] or "image/png", "data": url[data.end() :]}
