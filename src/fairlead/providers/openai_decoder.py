"""Reading answers in the OpenAI format off the wire: server-sent events, or one JSON body.

The end of a stream is proper if the provider said `[DONE]`, or if every choice had ended: some never send
the mark. Anything else is a cut, and is never taken for an end.

An error found behind good events is raised by the next call: the events come first, however the bytes
were cut into chunks.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import ChatEvent, Frame, TextChunk, WireFormat
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.sse import SSEDecoder, StreamTooLong
from fairlead.providers.openai_failures import failure_inside
from fairlead.providers.whole_body import WholeBody, garbage
from fairlead.wire.openai_alike import Alike, alike
from fairlead.wire.openai_chat import AnswerReader
from fairlead.wire.openai_plain import read_plain

__all__ = ["OpenAIStreamDecoder", "OpenAIWholeDecoder"]

# Chunks that are taken for the model of those to come. A stream in which no two are alike is not looked at
# for ever.
LOOKS_MAX: Final = 8

_decode: Final = msgspec.json.Decoder().decode


class OpenAIWholeDecoder(WholeBody):
    """One JSON body, in any chunking."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(lambda body: [read_whole(body)])


def read_whole(body: bytes) -> Frame:
    """One whole answer. Raises UpstreamFailure for an error or garbage in it."""
    plain = read_plain(body)
    if plain is not None:
        return Frame(WireFormat.OPENAI_CHAT, *plain, is_whole=True)
    fields = _object(body)
    _raise_error_inside(fields)
    reader = AnswerReader()
    try:
        events = reader.whole(fields)
    except RecursionError:
        raise garbage("it is nested too deeply") from None
    if reader.has_error_finish:
        raise UpstreamFailure(
            "The provider ended its answer with an error.", kind=FailureKind.SERVER
        )
    return Frame(reader.format, fields, events, is_whole=True)


class OpenAIStreamDecoder:
    """Server-sent events. A provider that ignores `stream` and sends one JSON body is understood too."""

    __slots__ = (
        "_alike",
        "_failure",
        "_is_done",
        "_is_finished",
        "_looks_left",
        "_reader",
        "_sse",
        "_whole",
    )

    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._reader = AnswerReader()
        self._whole: OpenAIWholeDecoder | None = None
        self._failure: UpstreamFailure | None = None
        self._is_done = False
        self._is_finished = False
        self._alike: Alike | None = None
        self._looks_left = LOOKS_MAX

    @property
    def is_over(self) -> bool:
        return self._is_done

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        if self._failure is not None:
            raise self._failure
        if self._alike is None:
            if self._whole is not None:
                return self._whole.feed(chunk)
            if not self._reader.has_begun and chunk.lstrip()[:1] == b"{" and not self._sse.pending:
                self._whole = OpenAIWholeDecoder()
                return self._whole.feed(chunk)
        events: list[ChatEvent] = []
        try:
            for name, data in self._sse.feed(chunk):
                if self._alike is not None and not name:
                    text = self._alike.text_in(data)
                    if text is not None:
                        events.append(TextChunk(text, self._alike.likeness))
                        continue
                self._read(name, data, events)
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
        if not self._is_done:
            for name, data in self._sse.finish():
                self._read(name, data, events)
        if not self._is_done:
            if not self._reader.is_complete:
                raise UpstreamFailure(
                    "The provider's answer broke off before its end.", kind=FailureKind.CUT
                )
            events.extend(self._reader.end())
        return events

    def _read(self, name: str, data: bytes, events: list[ChatEvent]) -> None:
        if self._is_done:
            return
        if data.startswith(b"[DONE]"):
            self._is_done = True
            self._alike = None
            events.extend(self._reader.end())
            return
        if not data or data.isspace():
            return
        fields = _object(data)
        _raise_error_inside(fields, is_named_error=name == "error")
        try:
            meaning = self._reader.chunk(fields)
        except RecursionError:  # arguments so deep that they cannot be written again
            raise garbage("it is nested too deeply") from None
        if self._reader.has_error_finish:
            raise UpstreamFailure(
                "The provider ended its answer with an error.", kind=FailureKind.SERVER
            )
        if self._looks_left and (found := alike(data, fields, meaning)):
            self._alike = found
            self._looks_left -= 1
        if fields["choices"]:
            events.append(Frame(self._reader.format, fields, meaning))
        else:
            events.extend(meaning)

    def _fail(self, failure: UpstreamFailure, events: list[ChatEvent]) -> None:
        self._failure = failure
        if not events:
            raise failure


def _object(data: bytes) -> dict[str, object]:
    try:
        fields = _decode(data)
    except (ValueError, RecursionError):
        raise garbage("it is not JSON") from None
    if not isinstance(fields, dict):
        raise garbage("it is no JSON object")
    return fields


def _raise_error_inside(fields: dict[str, object], *, is_named_error: bool = False) -> None:
    """Errors under status 200: in an object of their own, beside choices, or inside a choice."""
    if is_named_error or (fields.get("error")):
        raise failure_inside(fields)
    choices = fields.get("choices")
    if isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict) and "error" in choice and choice["error"]:
                raise failure_inside(choice)
