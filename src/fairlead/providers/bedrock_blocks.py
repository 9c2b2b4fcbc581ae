"""Blocks of one answer of Converse, told as events: the state between them is here, the bytes are not."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final

import msgspec

from fairlead.core.chat import (
    AnnotationsAdded,
    Finished,
    FinishReason,
    MediaAdded,
    PlainEvent,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
)
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.providers.whole_body import garbage
from fairlead.wire import bedrock_converse as wire
from fairlead.wire.bedrock_converse import (
    Citation,
    Delta,
    Image,
    Start,
    ToolArguments,
    ToolResult,
    ToolUse,
    WholeBlock,
)

__all__ = ["ANSWER_TOOL", "MessageReader"]

# The tool that stands in for a JSON schema where the model knows none: its arguments are the answer's text.
# A name that no caller's own tool has.
ANSWER_TOOL: Final = "fairlead_answer"

BLOCKS_OPEN_MAX: Final = 1024
HELD_CHARACTERS_MAX: Final = 128 * 1024 * 1024  # of what is told once a block stops: images, mostly
_CLAUDE: Final = "anthropic-claude-v1"
_SERVER_CALL: Final = "server_tool_use"

_REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
}
_BROKEN: Final = frozenset({"malformed_model_output", "malformed_tool_use"})

_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Block:
    """A block that has begun. call: its index among the caller's tool calls, None for anything else.

    text_from: characters of text in front of it. thought: its index among the thoughts.
    """

    call: int | None = None
    is_answer: bool = False
    has_arguments: bool = False
    text_from: int = 0
    thought: int | None = None
    signature: list[str] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    image_format: str = ""
    image: list[str] = field(default_factory=list)
    server_call: ToolUse | None = None
    arguments: list[str] = field(default_factory=list)
    result: ToolResult | None = None
    results: list[msgspec.Raw] = field(default_factory=list)


class MessageReader:
    """One answer, block after block. Raises UpstreamFailure for what no answer can be."""

    __slots__ = (
        "_call_count",
        "_characters",
        "_has_answer",
        "_has_begun",
        "_held",
        "_open",
        "_server_calls",
        "_thought_count",
        "is_stopped",
    )

    def __init__(self) -> None:
        self.is_stopped = False
        self._has_begun = False
        self._has_answer = False
        self._open: dict[int, _Block] = {}
        self._call_count = 0
        self._thought_count = 0
        self._characters = 0
        self._held = 0
        self._server_calls: dict[str, tuple[str, str]] = {}  # id to name and arguments

    def begin(self, *, service_tier: str | None = None) -> list[PlainEvent]:
        if self._has_begun:
            return []
        self._has_begun = True
        return [Started(service_tier=service_tier)]

    def start(self, index: int, start: Start) -> list[PlainEvent]:
        events = self.begin()
        if index in self._open:
            events += self.end_block(index)
        block = self._block(index)
        if start.image is not None:
            block.image_format = start.image.format or ""
        elif start.tool_result is not None:
            block.result = start.tool_result
        elif (call := start.tool_use) is not None:
            if call.type == _SERVER_CALL:
                block.server_call = call
            elif call.name == ANSWER_TOOL:
                block.is_answer = self._has_answer = True
            else:
                block.call = self._call_count
                self._call_count += 1
                call_id = call.tool_use_id or f"call_{block.call}"
                events.append(ToolCallDelta(block.call, id=call_id, name=call.name or ""))
        return events

    def delta(self, index: int, delta: Delta) -> list[PlainEvent]:
        events = self.begin()
        block = self._block(index)
        if delta.text is not None:
            events += self._text(delta.text)
        elif delta.tool_use is not None:
            events += self._arguments(block, delta.tool_use.input or "")
        elif (thought := delta.reasoning_content) is not None:
            events += self._thought(block, thought)
        elif delta.citation is not None:
            self._hold(1 + len(_joined(delta.citation.source_content)))
            block.citations.append(delta.citation)
        elif delta.image is not None:
            source = delta.image.source
            data = (source.bytes or "") if source is not None else ""
            if data:
                self._hold(len(data))
                block.image.append(data)
        elif delta.tool_result is not None:
            self._hold(sum(len(memoryview(piece)) for piece in delta.tool_result) + 1)
            block.results += delta.tool_result
        return events

    def end_block(self, index: int) -> list[PlainEvent]:
        """What the block held."""
        block = self._open.pop(index, None)
        if block is None:
            return []
        events: list[PlainEvent] = []
        if block.call is not None and not block.has_arguments:
            events.append(ToolCallDelta(block.call, arguments="{}"))
        if block.signature:
            events.append(ReasoningDelta("", details=(_signature(block),)))
        if block.redacted:
            events.append(ReasoningDelta("", details=(self._redacted(block),)))
        if block.citations:
            span = (block.text_from, self._characters)
            annotations = tuple(_annotation(citation, span) for citation in block.citations)
            events.append(AnnotationsAdded(annotations))
        if block.image:
            events.append(_image(block.image_format or "png", block.image))
        if block.server_call is not None:
            call = block.server_call
            arguments = "".join(block.arguments) or "{}"
            self._server_calls[call.tool_use_id or ""] = (call.name or "", arguments)
        if block.result is not None:
            events.append(self._server_result(block.result, block.results))
        return events

    def whole_block(self, index: int, whole: WholeBlock) -> list[PlainEvent]:
        """A block that comes in one piece, told as a stream would."""
        events = self.start(
            index,
            Start(
                tool_use=whole.tool_use,
                tool_result=whole.tool_result,
                image=None if whole.image is None else Image(whole.image.format),
            ),
        )
        for delta in _deltas(whole):
            events += self.delta(index, delta)
        return events + self.end_block(index)

    def stop(self, native: str) -> list[PlainEvent]:
        """The answer's end. Raises UpstreamFailure if the model is said to have failed."""
        if self.is_stopped:
            return []
        events = self.begin()
        for index in list(self._open):
            events += self.end_block(index)
        if native in _BROKEN:
            raise UpstreamFailure(
                "The provider ended its answer with an error.",
                kind=FailureKind.SERVER,
                provider_code=native,
            )
        self.is_stopped = True
        reason = _REASONS.get(native, FinishReason.STOP)
        if reason is FinishReason.TOOL_CALLS and self._has_answer and not self._call_count:
            reason = FinishReason.STOP  # the call was the answer
        events.append(Finished(reason, native=native or None))
        return events

    def _block(self, index: int) -> _Block:
        block = self._open.get(index)
        if block is None:
            if len(self._open) >= BLOCKS_OPEN_MAX:
                raise garbage("it has too many blocks at once")
            block = self._open[index] = _Block(text_from=self._characters)
        return block

    def _hold(self, characters: int) -> None:
        self._held += characters
        if self._held > HELD_CHARACTERS_MAX:
            raise garbage("it is too long")

    def _text(self, text: str) -> list[PlainEvent]:
        self._characters += len(text)
        return [TextDelta(text)] if text else []

    def _arguments(self, block: _Block, piece: str) -> list[PlainEvent]:
        if not piece:
            return []
        if block.is_answer:
            return self._text(piece)
        if block.call is not None:
            block.has_arguments = True
            return [ToolCallDelta(block.call, arguments=piece)]
        self._hold(len(piece))
        block.arguments.append(piece)
        return []

    def _thought(self, block: _Block, piece: wire.ReasoningDelta) -> list[PlainEvent]:
        if block.thought is None:
            block.thought = self._thought_count
            self._thought_count += 1
        self._hold(len(piece.signature or "") + len(piece.redacted_content or ""))
        if piece.signature:
            block.signature.append(piece.signature)
        if piece.redacted_content:
            block.redacted.append(piece.redacted_content)
        if not piece.text:
            return []
        detail = {
            "type": "reasoning.text",
            "text": piece.text,
            "format": _CLAUDE,
            "index": block.thought,
        }
        return [ReasoningDelta(piece.text, details=(detail,))]

    def _redacted(self, block: _Block) -> dict[str, object]:
        """Claude's own data is text: Converse puts it into base64 once more, as it does all bytes."""
        data = b"".join(_bytes(piece) for piece in block.redacted)
        is_text = data.isascii()
        return {
            "type": "reasoning.encrypted",
            "data": data.decode() if is_text else base64.b64encode(data).decode(),
            "format": _CLAUDE if is_text else "unknown",
            "index": block.thought or 0,
        }

    def _server_result(self, result: ToolResult, streamed: list[msgspec.Raw]) -> PlainEvent:
        name, arguments = self._server_calls.pop(result.tool_use_id or "", ("", "{}"))
        told: dict[str, object] = {"content": [*(result.content or ()), *streamed]}
        if result.status is not None:
            told["status"] = result.status
        if result.type is not None:
            told["type"] = result.type
        detail = {
            "type": "reasoning.server_tool_call",
            "tool_name": name,
            "arguments": arguments,
            "result": _encode(told).decode(),
            "tool_call_id": result.tool_use_id,
            "format": "unknown",
            "index": self._thought_count,
        }
        self._thought_count += 1
        return ReasoningDelta("", details=(detail,))


def _deltas(whole: WholeBlock) -> list[Delta]:
    deltas: list[Delta] = []
    if whole.text is not None:
        deltas.append(Delta(text=whole.text))
    if whole.tool_use is not None:
        deltas.append(Delta(tool_use=ToolArguments(_json_text(whole.tool_use.input))))
    if (thought := whole.reasoning_content) is not None:
        text = thought.reasoning_text or wire.ReasoningText()
        deltas.append(
            Delta(
                reasoning_content=wire.ReasoningDelta(
                    text.text, text.signature, thought.redacted_content
                )
            )
        )
    if (cited := whole.citations_content) is not None:
        deltas += [Delta(text=piece.text) for piece in cited.content or ()]
        deltas += [Delta(citation=citation) for citation in cited.citations or ()]
    if whole.image is not None:
        deltas.append(Delta(image=wire.ImageDelta(whole.image.source)))
    return deltas


def _json_text(raw: msgspec.Raw) -> str:
    text = bytes(raw).decode()
    return "" if text == "null" else text


def _signature(block: _Block) -> dict[str, object]:
    return {
        "type": "reasoning.text",
        "text": "",
        "signature": "".join(block.signature),
        "format": _CLAUDE,
        "index": block.thought or 0,
    }


def _joined(pieces: list[wire.Text] | None) -> str:
    return "".join(piece.text or "" for piece in pieces or ())


def _annotation(citation: Citation, span: tuple[int, int]) -> dict[str, object]:
    """A place in a document has no address: the document's title stands for it."""
    web = citation.location.web if citation.location is not None else None
    address = (web.url if web is not None else None) or citation.source or citation.title or ""
    told: dict[str, object] = {
        "url": address,
        "title": citation.title or address,
        "start_index": span[0],
        "end_index": span[1],
    }
    content = _joined(citation.source_content)
    if content:
        told["content"] = content
    return {"type": "url_citation", "url_citation": told}


def _image(image_format: str, pieces: list[str]) -> PlainEvent:
    """Each piece is base64 of its own, so they are joined as bytes."""
    data = pieces[0]
    if len(pieces) > 1:
        data = base64.b64encode(b"".join(_bytes(piece) for piece in pieces)).decode()
    url = f"data:image/{image_format};base64,{data}"
    return MediaAdded("images", [{"type": "image_url", "image_url": {"url": url}}])


def _bytes(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise garbage("bytes in it are not base64") from None
