"""Server-sent events: an incremental decoder and an encoder.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (read 2026-11-21). Lines end in LF,
CRLF or CR; a comment starts with a colon; an event ends at a blank line. We deviate in one place: an
event that the end of the stream cuts short is reported by `pending`, so that a cut is never taken for
an end.
"""

from __future__ import annotations

from typing import Final

__all__ = ["DONE", "LINE_BYTES_MAX", "Event", "SSEDecoder", "StreamTooLong", "data_frame"]

LINE_BYTES_MAX: Final = 16 * 1024 * 1024  # one event may hold a whole base64 image
DONE: Final = b"data: [DONE]\n\n"

# A byte is found in bytes several times faster by its number.
_LF: Final = ord("\n")
_CR: Final = ord("\r")

Event = tuple[str, bytes]  # (event name, "" if none; data)


class StreamTooLong(ValueError):
    """A line or event is longer than the bound."""


class SSEDecoder:
    """Feed bytes in any chunking; get whole events."""

    __slots__ = ("_buffer", "_bytes_max", "_data", "_name")

    def __init__(self, bytes_max: int = LINE_BYTES_MAX) -> None:
        self._buffer = b""
        self._data: list[bytes] = []
        self._name = ""
        self._bytes_max = bytes_max

    def feed(self, chunk: bytes) -> list[Event]:
        """Events that these bytes complete. Raises StreamTooLong beyond the bound."""
        # The common case by far: nothing held over, and the chunk is whole events of one data line each,
        # most often one, perhaps with a name before it.
        is_idle = not (self._buffer or self._data or self._name)
        if is_idle and chunk.endswith(b"\n\n") and _CR not in chunk:
            if chunk.startswith(b"data: ") and chunk.find(b"\n") == len(chunk) - 2:
                return [("", chunk[6:-2])]
            if chunk.startswith(b"event: ") and chunk.count(b"\n") == 3:
                name, _, data = chunk[7:-2].partition(b"\ndata: ")
                if data:
                    return [(name.decode("utf-8", "replace"), data)]
            events: list[Event] = []
            for block in chunk[:-2].split(b"\n\n"):
                if block.startswith(b"data: ") and _LF not in block:
                    events.append(("", block[6:]))
                    continue
                if block.startswith(b"event: "):
                    name, _, data = block[7:].partition(b"\ndata: ")
                    if data and _LF not in name and _LF not in data:
                        events.append((name.decode("utf-8", "replace"), data))
                        continue
                for line in block.split(b"\n"):
                    self._line(line)
                self._dispatch(events)
            return events
        if (
            chunk.startswith(b"data: ")
            and chunk.endswith(b"\r\n\r\n")
            and chunk.count(b"\r") == 2  # those of the end
            and chunk.count(b"\n") == 2
            and not (self._buffer or self._data or self._name)
        ):
            return [("", chunk[6:-4])]  # Google's way to end lines
        return self._feed_slowly(chunk)

    def _feed_slowly(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        buffer = self._buffer + chunk if self._buffer else chunk
        start = 0
        while True:
            end = _line_end(buffer, start)
            if end < 0:
                break
            if end > start:
                self._line(buffer[start:end])
            else:
                self._dispatch(events)
            start = end + (2 if buffer.startswith(b"\r\n", end) else 1)
        self._buffer = buffer[start:]
        if len(self._buffer) + sum(map(len, self._data)) > self._bytes_max:
            raise StreamTooLong(f"an event of the stream is longer than {self._bytes_max} bytes")
        return events

    @property
    def pending(self) -> bool:
        """Whether an unfinished event is held."""
        return bool(self._data) or bool(self._buffer.strip())

    def finish(self) -> list[Event]:
        """The stream ended: an event whose lines were complete but for the blank one still counts."""
        events: list[Event] = []
        if self._buffer:
            self._line(self._buffer.rstrip(b"\r"))
            self._buffer = b""
        self._dispatch(events)
        return events

    def _line(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            events.append((self._name, b"\n".join(self._data)))
            self._data = []
        self._name = ""


def data_frame(payload: bytes) -> bytes:
    """One event without a name. payload: one line."""
    return b"data: " + payload + b"\n\n"


def _line_end(buffer: bytes, start: int) -> int:
    """Index of the next line end, or -1. A CR at the very end may be half of CRLF: wait for more."""
    newline = buffer.find(b"\n", start)
    carriage = buffer.find(b"\r", start, newline if newline >= 0 else len(buffer))
    if carriage < 0:
        return newline
    if carriage == len(buffer) - 1:
        return -1
    return carriage
