"""Reading Cohere's answers: server-sent events, or one JSON body.

`message-end` says why an answer ended and what it used; without it, it was cut. A plan of tool calls and
thoughts are both reasoning. A whole answer is told in the order of a stream.

An error found behind good events is raised by the next call: the events come first.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import (
    AnnotationsAdded,
    ChatEvent,
    Finished,
    FinishReason,
    PlainEvent,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.sse import SSEDecoder, StreamTooLong
from fairlead.providers.cohere_failures import failure_at_end
from fairlead.providers.cohere_usage import read_usage
from fairlead.providers.whole_body import WholeBody, garbage
from fairlead.wire import cohere_chat as wire

__all__ = ["ANSWER_BYTES_MAX", "CohereStreamDecoder", "CohereWholeDecoder"]

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024  # Cohere answers in words alone
TOOL_CALLS_MAX: Final = 1024

_REASONS: Final[dict[str, FinishReason]] = {
    "COMPLETE": FinishReason.STOP,
    "STOP_SEQUENCE": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "ERROR_LIMIT": FinishReason.LENGTH,
    "TOOL_CALL": FinishReason.TOOL_CALLS,
}
_FAILED: Final = frozenset({"ERROR", "TIMEOUT", "ERROR_TOXIC", "USER_CANCEL"})
_OF_THE_TEXT: Final = frozenset({None, "TEXT_CONTENT"})

_decode_answer: Final = msgspec.json.Decoder(wire.Answer).decode
_decode_event: Final = msgspec.json.Decoder(wire.StreamEvent).decode
_decode_any: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class CohereWholeDecoder(WholeBody):
    """One JSON body, in any chunking."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_read_whole, bytes_max=ANSWER_BYTES_MAX)


def _read_whole(body: bytes) -> list[PlainEvent]:
    try:
        return list(_told(_decode_answer(body)))
    except (ValueError, RecursionError):
        raise garbage("it is no answer of Cohere") from None


def _told(answer: wire.Answer) -> list[PlainEvent]:
    reader = _Reader()
    message = answer.message or wire.AnswerMessage()
    events: list[PlainEvent] = [Started(id=answer.id)]
    events += reader.thought(message.tool_plan)
    logprobs = _logprobs(answer.logprobs)
    for content in message.content or ():
        reader.begin_content()
        events += reader.content(content, logprobs=logprobs)
        if content.text:
            logprobs = None
    for index, call in enumerate(message.tool_calls or ()):
        events += reader.call(index, call)
        events += reader.end_call(index)
    for citation in message.citations or ():
        events += _annotations(citation)
    return events + reader.end(answer.finish_reason, answer.usage, answer.error_type)


class CohereStreamDecoder:
    """Server-sent events. One JSON body in their place is understood too."""

    __slots__ = ("_failure", "_is_finished", "_reader", "_sse", "_whole")

    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._reader = _Reader()
        self._whole: CohereWholeDecoder | None = None
        self._failure: UpstreamFailure | None = None
        self._is_finished = False

    @property
    def is_over(self) -> bool:
        return self._reader.is_ended

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        if self._failure is not None:
            raise self._failure
        if self._whole is not None:
            return self._whole.feed(chunk)
        if chunk.lstrip()[:1] == b"{" and not self._reader.has_begun and not self._sse.pending:
            self._whole = CohereWholeDecoder()
            return self._whole.feed(chunk)
        events: list[ChatEvent] = []
        try:
            for _, data in self._sse.feed(chunk):
                events += self._read(data)
        except StreamTooLong as error:
            self._fail(garbage(str(error)), events)
        except UpstreamFailure as failure:
            self._fail(failure, events)
        return events

    def finish(self) -> list[ChatEvent]:
        if self._failure is not None:
            raise self._failure
        if self._is_finished:
            return []
        self._is_finished = True
        if self._whole is not None:
            return self._whole.finish()
        events: list[ChatEvent] = []
        try:
            for _, data in self._sse.finish():
                events += self._read(data)
        except UpstreamFailure as failure:
            if failure.kind is not FailureKind.GARBAGE:  # half an event is a cut
                raise
        if not self._reader.is_ended:
            raise UpstreamFailure(
                "The provider's answer broke off before its end.", kind=FailureKind.CUT
            )
        return events

    def _read(self, data: bytes) -> list[PlainEvent]:
        if self._reader.is_ended or not data.strip() or data.startswith(b"[DONE]"):
            return []
        try:
            return self._reader.event(_decode_event(data))
        except (ValueError, RecursionError):
            raise garbage("an event in it is not of its format") from None

    def _fail(self, failure: UpstreamFailure, events: list[ChatEvent]) -> None:
        self._failure = failure
        if not events:
            raise failure


class _Reader:
    """One answer, piece after piece."""

    __slots__ = ("_call_count", "_calls", "_calls_empty", "_thoughts", "has_begun", "is_ended")

    def __init__(self) -> None:
        self.has_begun = False
        self.is_ended = False
        self._calls: dict[int, int] = {}  # open ones: Cohere's index to ours
        self._calls_empty: set[int] = set()  # those without arguments yet, by our index
        self._call_count = 0
        self._thoughts = 0

    def event(self, event: wire.StreamEvent) -> list[PlainEvent]:
        events: list[PlainEvent] = []
        if not self.has_begun:
            self.has_begun = True
            events.append(Started(id=event.id))
        delta = event.delta or wire.Delta()
        message = delta.message or wire.DeltaMessage()
        match event.type:
            case "content-start" | "content-delta":
                if event.type == "content-start":
                    self.begin_content()
                if isinstance(message.content, wire.Content):
                    logprobs = _logprobs([event.logprobs] if event.logprobs is not None else None)
                    events += self.content(message.content, logprobs=logprobs)
            case "tool-plan-delta":
                events += self.thought(message.tool_plan)
            case "tool-call-start" | "tool-call-delta":
                if isinstance(message.tool_calls, wire.ToolCall):
                    index = event.index or 0
                    if event.type == "tool-call-start":
                        events += self.end_call(index)
                    events += self.call(index, message.tool_calls)
            case "tool-call-end":
                events += self.end_call(event.index or 0)
            case "citation-start":
                if isinstance(message.citations, wire.Citation):
                    events += _annotations(message.citations)
            case "message-end":
                events += self.end(delta.finish_reason or "", delta.usage, delta.error_type)
            case "error":
                raise failure_at_end("ERROR", delta.error_type)
            case _:
                pass  # ends of what has begun, and what a later version adds
        return events

    def begin_content(self) -> None:
        """Thoughts of one content are one item of reasoning; the plan in front of all is the first."""
        self._thoughts += 1

    def content(self, content: wire.Content, *, logprobs: msgspec.Raw | None) -> list[PlainEvent]:
        events = self.thought(content.thinking)
        if content.text:
            events.append(TextDelta(content.text, logprobs=logprobs))
        return events

    def thought(self, text: str | None) -> list[PlainEvent]:
        if not text:
            return []
        detail = {
            "type": "reasoning.text",
            "text": text,
            "format": "unknown",
            "index": self._thoughts,
        }
        return [ReasoningDelta(text, details=(detail,))]

    def call(self, index: int, call: wire.ToolCall) -> list[PlainEvent]:
        """A call, or a piece of it. index: Cohere's own."""
        function = call.function or wire.Function()
        arguments = function.arguments or ""
        ours = self._calls.get(index)
        if ours is not None:
            if not arguments:
                return []
            self._calls_empty.discard(ours)
            return [ToolCallDelta(ours, arguments=arguments)]
        ours = self._calls[index] = self._call_count
        self._call_count += 1
        if ours >= TOOL_CALLS_MAX:
            raise garbage("it calls too many tools")
        if not arguments:
            self._calls_empty.add(ours)
        call_id = call.id or f"call_{ours}"
        return [ToolCallDelta(ours, arguments, id=call_id, name=function.name or "")]

    def end_call(self, index: int) -> list[PlainEvent]:
        """A call that ends without a word of arguments has none."""
        ours = self._calls.pop(index, None)
        if ours is None or ours not in self._calls_empty:
            return []
        self._calls_empty.discard(ours)
        return [ToolCallDelta(ours, arguments="{}")]

    def end(
        self, native: str, usage: wire.Usage | None, error_type: str | None
    ) -> list[PlainEvent]:
        """The answer's end. Raises UpstreamFailure if it is an error."""
        if native in _FAILED:
            raise failure_at_end(native, error_type)
        self.is_ended = True
        events = [event for index in list(self._calls) for event in self.end_call(index)]
        reason = _REASONS.get(native, FinishReason.STOP)
        events.append(Finished(reason, native=native or None))
        counts = read_usage(usage) if usage is not None else None
        if counts is not None:
            events.append(UsageReported(counts))
        return events


def _annotations(citation: wire.Citation) -> list[PlainEvent]:
    """One for each source. What has no address goes by its title, or by the id that the caller gave it."""
    is_of_text = citation.type in _OF_THE_TEXT
    start = (citation.start or 0) if is_of_text else 0
    end = (citation.end or 0) if is_of_text else 0
    told: list[dict[str, object]] = []
    for source in citation.sources or ():
        about = source.document or source.tool_output or wire.Titled()
        title = _words(about.title) or source.id or ""
        address = _words(about.url) or title
        told.append(
            {
                "type": "url_citation",
                "url_citation": {
                    "url": address,
                    "title": title,
                    "start_index": max(0, start),
                    "end_index": max(0, start, end),
                },
            }
        )
    return [AnnotationsAdded(tuple(told))] if told else []


def _words(raw: msgspec.Raw) -> str:
    """A field of a caller's own document may be anything; only text says something here."""
    value = _decode_any(raw) if raw else None
    return value if isinstance(value, str) else ""


def _logprobs(pieces: list[wire.Logprobs] | None) -> msgspec.Raw | None:
    """As the OpenAI format tells them: a token each. Cohere may tell one text for several tokens."""
    if not pieces:
        return None
    content = [
        {
            "token": piece.text or "",
            "logprob": sum(piece.logprobs or ()),
            "bytes": list((piece.text or "").encode()),
            "top_logprobs": [],
        }
        for piece in pieces
    ]
    return msgspec.Raw(_encode({"content": content, "refusal": None}))
