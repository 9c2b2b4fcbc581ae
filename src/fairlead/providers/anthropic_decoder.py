"""Reading answers in the Anthropic Messages format off the wire: server-sent events, or one JSON body.

The end of a stream is proper if the provider said `message_stop`, or at least why it stopped. Anything else
is a cut, and is never taken for an end.

An error found behind good events is raised by the next call: the events come first, however the bytes were
cut into chunks.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import ChatEvent, TextChunk
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.sse import SSEDecoder, StreamTooLong
from fairlead.providers.anthropic_alike import TextPieces
from fairlead.providers.anthropic_reader import MessageReader, index_of
from fairlead.providers.whole_body import WholeBody, garbage

__all__ = ["AnthropicStreamDecoder", "AnthropicWholeDecoder"]

_decode: Final = msgspec.json.Decoder().decode


class AnthropicWholeDecoder(WholeBody):
    """One JSON body, in any chunking."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_read_whole)


def _read_whole(body: bytes) -> list[ChatEvent]:
    try:
        return [MessageReader().whole(_fields(body))]
    except RecursionError:  # arguments so deep that they cannot be written again
        raise garbage("it is nested too deeply") from None


class AnthropicStreamDecoder:
    """Server-sent events. One JSON body instead of a stream, as from a proxy, is understood too."""

    __slots__ = ("_failure", "_is_finished", "_pieces", "_reader", "_sse", "_whole")

    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._reader = MessageReader()
        self._whole: AnthropicWholeDecoder | None = None
        self._failure: UpstreamFailure | None = None
        self._is_finished = False
        self._pieces: TextPieces | None = None  # of the block of text that was opened last

    @property
    def is_over(self) -> bool:
        return self._reader.is_over

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        if self._failure is not None:
            raise self._failure
        if self._pieces is None:
            if self._whole is not None:
                return self._whole.feed(chunk)
            is_json = not self._sse.pending and chunk.lstrip().startswith(b"{")
            if is_json and not self._reader.has_begun:
                self._whole = AnthropicWholeDecoder()
                return self._whole.feed(chunk)
        events: list[ChatEvent] = []
        try:
            for name, data in self._sse.feed(chunk):
                pieces = self._pieces
                if pieces is not None:
                    text = pieces.text_in(data)
                    if text is not None and self._reader.has_open_text(pieces.index):
                        self._reader.more_text(text)
                        events.append(TextChunk(text, pieces.likeness))
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
        if not self._reader.is_over:
            for name, data in self._sse.finish():
                self._read(name, data, events)
        if not self._reader.has_stopped:
            raise UpstreamFailure(
                "The provider's answer broke off before its end.", kind=FailureKind.CUT
            )
        return events

    def _read(self, name: str, data: bytes, events: list[ChatEvent]) -> None:
        if self._reader.is_over:
            return
        if not data.startswith(b"{") and (data.isspace() or data.startswith(b"[DONE]")):
            return  # some proxies end every stream as OpenAI does
        fields = _fields(data)
        try:
            frame = self._reader.event(fields, name)
        except RecursionError:
            raise garbage("it is nested too deeply") from None
        if frame is not None:
            events.append(frame)
        if fields.get("type") == "content_block_start":
            index = index_of(fields)
            if self._reader.has_open_text(index):
                self._pieces = TextPieces(index)

    def _fail(self, failure: UpstreamFailure, events: list[ChatEvent]) -> None:
        self._failure = failure
        if not events:
            raise failure


def _fields(data: bytes) -> dict[str, object]:
    try:
        fields = _decode(data)
    except (ValueError, RecursionError):
        raise garbage("it is not JSON") from None
    if not isinstance(fields, dict):
        raise garbage("it is no JSON object")
    return fields
