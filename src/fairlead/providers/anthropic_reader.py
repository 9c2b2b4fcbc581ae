"""Reading answers in the Anthropic Messages format: a stream of events, or one message.

A message is a list of blocks. A stream opens each block, fills it piece by piece and closes it; a whole
message has them ready. `MessageReader` reads both, and both give the same events:

- `text` is text. Its citations that name an address become annotations when the block is closed, because
  only then it is known which part of the text they are about. Citations of the caller's own documents have
  no such form; callers of this format get them as they were.
- `thinking` is reasoning. Its signature comes as a piece of its own when the block is closed, as callers
  want it back: an item ends with its signature. `redacted_thinking` is an encrypted item.
- `tool_use` is a tool call. A call without arguments has `{}`.
- Blocks of tools that run at the provider, and kinds of blocks and events that we do not know, mean nothing
  here. They travel on to callers of this format, because every event is a frame.

A schema that the model could only follow as a tool's comes back as a call of `ANSWER_TOOL`: its arguments
are the text. See anthropic_encoder.py.

Source: https://docs.claude.com/en/api/messages-streaming (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import msgspec

from fairlead.core.chat import (
    AnnotationsAdded,
    Finished,
    FinishReason,
    Frame,
    PlainEvent,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    WireFormat,
)
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.providers.anthropic_failures import failure_inside
from fairlead.providers.whole_body import garbage
from fairlead.wire.anthropic_reasoning import NATIVE_FORMAT
from fairlead.wire.anthropic_stops import finish_reason_of
from fairlead.wire.anthropic_usage import merged, read_usage, service_tier_of

__all__ = ["ANSWER_TOOL", "MessageReader", "index_of"]

# In one message; a long turn of tools that run at the provider has some dozens.
BLOCKS_MAX: Final = 4096
# A call of it is the answer itself, in JSON.
ANSWER_TOOL: Final = "fairlead_structured_answer"

_FORMAT: Final = WireFormat.ANTHROPIC_MESSAGES
_NO_ARGUMENTS: Final = "{}"

_encode: Final = msgspec.json.Encoder().encode


class _Block:
    """A block in progress. kind: its type; "answer" for a call of `ANSWER_TOOL`, "" if it has no meaning.

    number: which tool call, or which item of reasoning, of the message. input: what a call was opened with.
    text_start: characters of the message's text before this block.
    """

    __slots__ = ("citations", "has_pieces", "input", "kind", "number", "signature", "text_start")

    def __init__(
        self, kind: str, *, number: int = 0, given: object = None, text_start: int = 0
    ) -> None:
        self.kind = kind
        self.number = number
        self.input = given
        self.text_start = text_start
        self.has_pieces = False
        self.signature = ""
        self.citations: list[Mapping[str, object]] = []


class MessageReader:
    """Reads one answer: the JSON objects of a stream's events in order, or one whole message.

    Raises UpstreamFailure for an error inside, and (kind GARBAGE) for a shape that cannot be read.
    """

    __slots__ = (
        "_block_count",
        "_blocks",
        "_calls",
        "_has_content",
        "_has_started",
        "_id",
        "_reported",
        "_stop_reason",
        "_text_characters",
        "_thoughts",
        "is_over",
    )

    def __init__(self) -> None:
        self.is_over = False
        self._has_started = False
        self._has_content = False
        self._id = ""
        self._blocks: dict[int, _Block] = {}
        self._block_count = 0
        self._calls = 0
        self._thoughts = 0
        self._text_characters = 0
        self._stop_reason: str | None = None
        self._reported: dict[str, object] = {}

    @property
    def has_begun(self) -> bool:
        return self._has_started

    @property
    def has_stopped(self) -> bool:
        """Whether the provider has said why the answer ended."""
        return self._stop_reason is not None

    def event(self, fields: dict[str, object], name: str = "") -> Frame | None:
        """One event of a stream. name: of the server-sent event. None: it is worth nothing to anybody."""
        kind = fields.get("type")
        kind = kind if isinstance(kind, str) else name
        events: list[PlainEvent] = []
        match kind:
            case "content_block_delta":
                self._delta(fields, events)
            case "content_block_start":
                self._open(fields, events)
            case "content_block_stop":
                self._close(index_of(fields), events)
            case "message_start":
                self._start(_object(fields.get("message")), events)
            case "message_delta":
                self._message_delta(fields, events)
            case "message_stop":
                self._close_all(events)
                if self._stop_reason is None:
                    self._finish("", fields, events)
                self.is_over = True
            case "ping":
                return None
            case "error":
                raise failure_inside(fields)
            case _:
                if fields.get("error"):
                    raise failure_inside(fields)
        return Frame(_FORMAT, fields, tuple(events))

    def has_open_text(self, index: int) -> bool:
        block = self._blocks.get(index)
        return block is not None and block.kind == "text"

    def more_text(self, text: str) -> None:
        """A `text_delta` of a block of text that is open; what it says is the text alone."""
        self._has_content = True
        self._text_characters += len(text)

    def whole(self, fields: dict[str, object]) -> Frame:
        """One whole message."""
        if fields.get("type") == "error" or fields.get("error"):
            raise failure_inside(fields)
        content = fields.get("content")
        if not isinstance(content, list):
            raise garbage("there is no `content`")
        events: list[PlainEvent] = []
        self._start(fields, events)
        for index, block in enumerate(content):
            self._open({"index": index, "content_block": block}, events, is_whole=True)
            self._close(index, events)
        stop_reason = fields.get("stop_reason")
        self._finish(stop_reason if isinstance(stop_reason, str) else "", fields, events)
        self.is_over = True
        return Frame(_FORMAT, fields, tuple(events), is_whole=True)

    # --- the message ----------------------------------------------------------------------------------

    def _start(self, message: Mapping[str, object], events: list[PlainEvent]) -> None:
        if self._has_started:
            return
        self._has_started = True
        self._id = _word(message.get("id")) or ""
        self._reported = merged({}, message.get("usage"))
        events.append(
            Started(
                id=self._id or None,
                model=_word(message.get("model")),
                service_tier=service_tier_of(self._reported),
            )
        )
        self._report(events)

    def _message_delta(self, fields: Mapping[str, object], events: list[PlainEvent]) -> None:
        self._reported = merged(self._reported, fields.get("usage"))
        delta = _object(fields.get("delta"))
        stop_reason = delta.get("stop_reason")
        if isinstance(stop_reason, str) and stop_reason and self._stop_reason is None:
            self._close_all(events)
            self._finish(stop_reason, delta, events)
        else:
            self._report(events)

    def _finish(
        self, stop_reason: str, told: Mapping[str, object], events: list[PlainEvent]
    ) -> None:
        """The answer ended. stop_reason: "" if that is all that was said. told: where details are."""
        self._stop_reason = stop_reason
        reason = finish_reason_of(stop_reason or ("tool_use" if self._calls else "end_turn"))
        if reason is FinishReason.TOOL_CALLS and not self._calls:
            reason = FinishReason.STOP  # the only tool that was called is the answer
        usage = read_usage(self._reported)
        if not self._has_content and reason is FinishReason.STOP:
            if usage is None or not usage.completion_tokens:
                raise UpstreamFailure("The provider's answer was empty.", kind=FailureKind.EMPTY)
        if reason is FinishReason.CONTENT_FILTER:
            explanation = _object(told.get("stop_details")).get("explanation")
            if isinstance(explanation, str) and explanation:
                events.append(RefusalDelta(explanation))
        events.append(Finished(reason, native=stop_reason or None))
        self._report(events)

    def _report(self, events: list[PlainEvent]) -> None:
        usage = read_usage(self._reported)
        if usage is not None:
            events.append(UsageReported(usage))

    # --- its blocks -----------------------------------------------------------------------------------

    def _open(
        self, fields: Mapping[str, object], events: list[PlainEvent], *, is_whole: bool = False
    ) -> None:
        index = index_of(fields)
        if index in self._blocks:
            self._close(index, events)
        self._block_count += 1
        if self._block_count > BLOCKS_MAX:
            raise garbage(f"more than {BLOCKS_MAX} blocks in one answer")
        given = _object(fields.get("content_block"))
        kind = _word(given.get("type")) or ""
        match kind:
            case "text":
                block = self._blocks[index] = _Block(kind, text_start=self._text_characters)
                self._text(_text(given.get("text")), events)
                citations = given.get("citations")
                if isinstance(citations, list):
                    block.citations.extend(c for c in citations if isinstance(c, dict))
            case "thinking":
                block = self._blocks[index] = _Block(kind, number=self._thoughts)
                self._thoughts += 1
                block.signature = _text(given.get("signature"))
                self._thought(block, _text(given.get("thinking")), events)
            case "redacted_thinking":
                detail = {
                    "type": "reasoning.encrypted",
                    "data": _text(given.get("data")),
                    "format": NATIVE_FORMAT,
                    "index": self._thoughts,
                }
                self._thoughts += 1
                self._has_content = True
                events.append(ReasoningDelta("", details=(detail,)))
            case "tool_use" if given.get("name") == ANSWER_TOOL:
                self._blocks[index] = _Block("answer", given=given.get("input"))
            case "tool_use":
                self._call(index, given, events, is_whole=is_whole)
            case _:
                self._blocks[index] = _Block("")

    def _delta(self, fields: Mapping[str, object], events: list[PlainEvent]) -> None:
        delta = fields.get("delta")
        block = self._blocks.get(index_of(fields))
        if not isinstance(delta, dict) or block is None:
            return
        kind = block.kind
        match delta.get("type"):
            case "text_delta" if kind == "text":
                self._text(_text(delta.get("text")), events)
            case "thinking_delta" if kind == "thinking":
                self._thought(block, _text(delta.get("thinking")), events)
            case "signature_delta" if kind == "thinking":
                block.signature += _text(delta.get("signature"))
            case "input_json_delta" if kind in ("tool_use", "answer"):
                self._arguments(block, _text(delta.get("partial_json")), events)
            case "citations_delta" if kind == "text":
                citation = delta.get("citation")
                if isinstance(citation, dict):
                    block.citations.append(citation)
            case _:
                pass

    def _close(self, index: int, events: list[PlainEvent]) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        match block.kind:
            case "text" if block.citations:
                self._cite(block, events)
            case "thinking" if block.signature:
                self._sign(block, events)
            case "tool_use" | "answer" if not block.has_pieces:
                arguments = _json(block.input) if block.input else _NO_ARGUMENTS
                self._arguments(block, arguments, events)
            case _:
                pass

    def _close_all(self, events: list[PlainEvent]) -> None:
        """Blocks that the provider forgot to close."""
        for index in list(self._blocks):
            self._close(index, events)

    def _text(self, text: str, events: list[PlainEvent]) -> None:
        if text:
            self.more_text(text)
            events.append(TextDelta(text))

    def _thought(self, block: _Block, text: str, events: list[PlainEvent]) -> None:
        if text:
            self._has_content = block.has_pieces = True
            detail = {**_thought_of(block), "text": text}
            events.append(ReasoningDelta(text, details=(detail,)))

    def _sign(self, block: _Block, events: list[PlainEvent]) -> None:
        detail = {**_thought_of(block), "signature": block.signature}
        if not block.has_pieces:
            detail["text"] = ""  # the text is withheld, and the item complete without it
        self._has_content = True
        events.append(ReasoningDelta("", details=(detail,)))

    def _call(
        self, index: int, given: Mapping[str, object], events: list[PlainEvent], *, is_whole: bool
    ) -> None:
        block = self._blocks[index] = _Block(
            "tool_use", number=self._calls, given=given.get("input")
        )
        self._calls += 1
        self._has_content = True
        name = _text(given.get("name"))
        arguments = ""
        if is_whole:
            arguments = _json(given.get("input") or {})
            block.has_pieces = True
        events.append(
            ToolCallDelta(
                index=block.number,
                arguments=arguments,
                id=_word(given.get("id")) or self._minted_id(block.number, name),
                name=name,
            )
        )

    def _arguments(self, block: _Block, piece: str, events: list[PlainEvent]) -> None:
        if not piece:
            return
        block.has_pieces = True
        if block.kind == "answer":
            self._text(piece, events)
        else:
            events.append(ToolCallDelta(index=block.number, arguments=piece))

    def _minted_id(self, number: int, name: str) -> str:
        """An id for a call that came without: the same whenever the answer is read again."""
        digest = sha256(f"{self._id}|{number}|{name}".encode()).hexdigest()
        return f"toolu_{digest[:24]}"

    def _cite(self, block: _Block, events: list[PlainEvent]) -> None:
        """Sources with an address, as annotations of the block's part of the text."""
        annotations = []
        for citation in block.citations:
            url = citation.get("url") or citation.get("source")
            if not isinstance(url, str) or not url.startswith(("http://", "https://")):
                continue
            cited: dict[str, object] = {
                "url": url,
                "title": _word(citation.get("title")) or url,
                "start_index": block.text_start,
                "end_index": self._text_characters,
            }
            if content := _word(citation.get("cited_text")):
                cited["content"] = content
            annotations.append({"type": "url_citation", "url_citation": cited})
        if annotations:
            events.append(AnnotationsAdded(tuple(annotations)))


def _thought_of(block: _Block) -> dict[str, object]:
    return {"type": "reasoning.text", "format": NATIVE_FORMAT, "index": block.number}


def index_of(fields: Mapping[str, object]) -> int:
    """Of the block that an event is about."""
    index = fields.get("index")
    return index if isinstance(index, int) else 0


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _json(value: object) -> str:
    return _encode(value).decode()
