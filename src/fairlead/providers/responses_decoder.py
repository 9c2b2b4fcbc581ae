"""Reading answers in the Responses format off the wire: server-sent events, or one JSON body.

The end of a stream is its last response: completed, incomplete or failed. Without one it was cut, whatever
else came. An error found behind good events is raised by the next call: the events come first, however the
bytes were cut into chunks.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import ChatEvent
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.sse import SSEDecoder, StreamTooLong
from fairlead.providers.responses_reader import ResponsesReader
from fairlead.providers.whole_body import WholeBody, garbage

__all__ = ["ResponsesStreamDecoder", "ResponsesWholeDecoder"]

_decode: Final = msgspec.json.Decoder().decode


class ResponsesWholeDecoder(WholeBody):
    """One JSON body, in any chunking."""

    __slots__ = ()

    def __init__(self, reasoning_format: str) -> None:
        reader = ResponsesReader(reasoning_format)
        super().__init__(lambda body: reader.whole(_object(body)))


class ResponsesStreamDecoder:
    """Server-sent events."""

    __slots__ = ("_failure", "_reader", "_sse")

    def __init__(self, reasoning_format: str) -> None:
        self._sse = SSEDecoder()
        self._reader = ResponsesReader(reasoning_format)
        self._failure: UpstreamFailure | None = None

    @property
    def is_over(self) -> bool:
        return self._reader.is_over

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        if self._failure is not None:
            raise self._failure
        events: list[ChatEvent] = []
        try:
            for _, data in self._sse.feed(chunk):
                self._read(data, events)
        except StreamTooLong as error:
            self._fail(garbage(str(error)), events)
        except UpstreamFailure as failure:
            self._fail(failure, events)
        return events

    def finish(self) -> list[ChatEvent]:
        if self._failure is not None:
            raise self._failure
        events: list[ChatEvent] = []
        for _, data in self._sse.finish():
            self._read(data, events)
        if not self._reader.is_over:
            raise UpstreamFailure(
                "The provider's answer broke off before its end.", kind=FailureKind.CUT
            )
        return events

    def _read(self, data: bytes, events: list[ChatEvent]) -> None:
        if self._reader.is_over or data.startswith(b"[DONE]") or not data.strip():
            return
        events += self._reader.event(_object(data))

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
