"""Reading Google's answers off the wire: server-sent events, or one JSON body.

A stream has no mark of its end: it is whole if every choice had ended when the bytes were over. Anything else
is a cut, unless an error stands there: Google writes errors in the middle of a stream without the framing
of events, as the JSON text alone.

An error found behind good events is raised by the next call: the events come first, however the bytes were
cut into chunks.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import ChatEvent
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.sse import SSEDecoder, StreamTooLong
from fairlead.providers.google_answer import AnswerReader
from fairlead.providers.google_failures import failure_inside
from fairlead.providers.whole_body import WholeBody, garbage

__all__ = ["GoogleStreamDecoder", "GoogleWholeDecoder"]

STRAY_BYTES_MAX: Final = 64 * 1024  # of text that is no event; errors are far smaller

_decode: Final = msgspec.json.Decoder().decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class GoogleWholeDecoder(WholeBody):
    """One JSON body, in any chunking; or the list of objects that a stream without events is."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_read_whole)


def _read_whole(body: bytes) -> list[ChatEvent]:
    reader = AnswerReader()
    events: list[ChatEvent] = []
    for fields in _objects(body):
        events.extend(reader.read(fields))
    if not reader.has_choices:
        raise UpstreamFailure("The provider's answer was empty.", kind=FailureKind.EMPTY)
    events.extend(reader.end())
    return events


def _objects(body: bytes) -> list[bytes]:
    if not body.lstrip().startswith(b"["):
        return [body]
    try:
        return [bytes(fields) for fields in _decode_list(body)]
    except (ValueError, RecursionError):
        raise garbage("it is not JSON") from None


class GoogleStreamDecoder:
    """Server-sent events. A server that ignores `alt=sse` and sends JSON is understood too."""

    __slots__ = ("_failure", "_is_finished", "_reader", "_sse", "_stray", "_whole")

    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._reader = AnswerReader()
        self._whole: GoogleWholeDecoder | None = None
        self._failure: UpstreamFailure | None = None
        self._is_finished = False
        self._stray = b""  # what came after the last event

    @property
    def is_over(self) -> bool:
        return False  # only the end of the bytes says so

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        if self._failure is not None:
            raise self._failure
        if self._whole is not None:
            return self._whole.feed(chunk)
        if not self._reader.has_begun and not self._sse.pending and chunk.lstrip()[:1] in _JSON:
            self._whole = GoogleWholeDecoder()
            return self._whole.feed(chunk)
        events: list[ChatEvent] = []
        try:
            found = self._sse.feed(chunk)
            for _, data in found:
                self._read(data, events)
        except StreamTooLong as error:
            self._fail(garbage(str(error)), events)
        except UpstreamFailure as failure:
            self._fail(failure, events)
        else:
            self._keep_stray(chunk, has_events=bool(found))
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
        for _, data in self._sse.finish():
            self._read(data, events)
        if not self._reader.is_complete:
            raise _stray_error(self._stray) or UpstreamFailure(
                "The provider's answer broke off before its end.", kind=FailureKind.CUT
            )
        events.extend(self._reader.end())
        return events

    def _read(self, data: bytes, events: list[ChatEvent]) -> None:
        if data and not data.isspace() and not data.startswith(b"[DONE]"):
            events.extend(self._reader.read(data))

    def _keep_stray(self, chunk: bytes, *, has_events: bool) -> None:
        if has_events:
            end = max(chunk.rfind(b"\n\n"), chunk.rfind(b"\n\r\n"))
            self._stray = chunk[end:] if end >= 0 else b""
        elif len(self._stray) < STRAY_BYTES_MAX:
            self._stray += chunk

    def _fail(self, failure: UpstreamFailure, events: list[ChatEvent]) -> None:
        self._failure = failure
        if not events:
            raise failure


_JSON: Final = (b"{", b"[")


def _stray_error(stray: bytes) -> UpstreamFailure | None:
    """The error that ends a stream without being an event."""
    start = stray.find(b"{")
    if start < 0 or b'"error"' not in stray:
        return None
    try:
        fields = _decode(stray[start:].rstrip(b" \t\r\n]"))
    except (ValueError, RecursionError):
        return None
    return failure_inside(fields) if isinstance(fields, dict) else None
