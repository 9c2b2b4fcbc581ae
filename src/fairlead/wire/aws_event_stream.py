"""AWS's binary event stream: framed messages with headers and two checksums. Pure.

    ┌ prelude ──────────────────────────────────────┐
    │ total length, 4 │ headers length, 4 │ CRC32, 4 │ headers │ payload │ CRC32 of all before it, 4 │
    └───────────────────────────────────────────────┘

Numbers are big-endian. The lengths are believed only once the prelude's checksum agrees, so a damaged
length can neither be waited for nor buffered.

Source: https://smithy.io/2.0/aws/amazon-eventstream.html (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Final
from zlib import crc32

import msgspec

__all__ = [
    "HEADERS_BYTES_MAX",
    "MESSAGE_BYTES_MAX",
    "EventStreamDecoder",
    "EventStreamError",
    "Message",
]

MESSAGE_BYTES_MAX: Final = 24 * 1024 * 1024  # the format's own bound on a payload
HEADERS_BYTES_MAX: Final = 128 * 1024  # the format's own bound, too

_PRELUDE: Final = Struct(">III")
_CHECKSUM_BYTES: Final = 4
_OVERHEAD_BYTES: Final = _PRELUDE.size + _CHECKSUM_BYTES

# Widths of header values that are not text, by type: true, false, byte, short, int, long, timestamp, uuid.
_FIXED_BYTES: Final[Mapping[int, int]] = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES: Final = 6
_STRING: Final = 7


class EventStreamError(ValueError):
    """These bytes are no event stream, or were damaged on the way."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message. headers: those whose value is text, by name; others mean nothing to us."""

    headers: Mapping[str, str]
    payload: bytes


class EventStreamDecoder:
    """Feed bytes in any chunking; get whole messages."""

    __slots__ = ("_buffer", "_headers", "_headers_read")

    def __init__(self) -> None:
        self._buffer = bytearray()
        # The headers of the last message. Most messages of a stream have the same ones, byte for byte.
        self._headers_read = b""
        self._headers: Mapping[str, str] = {}

    @property
    def pending(self) -> bool:
        """Whether an unfinished message is held."""
        return bool(self._buffer)

    def feed(self, chunk: bytes) -> list[Message]:
        """Messages that these bytes complete. Raises EventStreamError; the decoder is useless then.

        Messages in front of the damage are lost with it: feed them message by message to have them.
        """
        messages: list[Message] = []
        while (message := self.next(chunk)) is not None:
            chunk = b""
            messages.append(message)
        return messages

    def next(self, chunk: bytes = b"") -> Message | None:
        """Take these bytes in, and give one message; None if more bytes are needed."""
        buffer = self._buffer
        buffer += chunk
        if len(buffer) < _PRELUDE.size:
            return None
        total, headers_size, prelude_checksum = _PRELUDE.unpack_from(buffer)
        if crc32(buffer[: _PRELUDE.size - _CHECKSUM_BYTES]) != prelude_checksum:
            raise EventStreamError("the checksum of a message's prelude is wrong")
        if headers_size > HEADERS_BYTES_MAX:
            raise EventStreamError(f"a message has more than {HEADERS_BYTES_MAX} bytes of headers")
        if total < _OVERHEAD_BYTES + headers_size:
            raise EventStreamError("a message is shorter than its own headers")
        if total > _OVERHEAD_BYTES + HEADERS_BYTES_MAX + MESSAGE_BYTES_MAX:
            raise EventStreamError(f"a message is longer than {MESSAGE_BYTES_MAX} bytes")
        if len(buffer) < total:
            return None
        message = bytes(buffer[:total])
        del buffer[:total]
        end = total - _CHECKSUM_BYTES
        if crc32(message[:end]) != int.from_bytes(message[end:], "big"):
            raise EventStreamError("the checksum of a message is wrong")
        headers_end = _PRELUDE.size + headers_size
        written = message[_PRELUDE.size : headers_end]
        if written != self._headers_read:
            self._headers = _read_headers(written)
            self._headers_read = written
        return Message(self._headers, message[headers_end:end])


def _read_headers(written: bytes) -> Mapping[str, str]:
    """name length, 1 │ name │ type, 1 │ value; text and bytes carry a length of 2 bytes."""
    headers: dict[str, str] = {}
    at = 0
    try:
        while at < len(written):
            name_end = at + 1 + written[at]
            name = _slice(written, at + 1, name_end).decode()
            kind = written[name_end]
            at = name_end + 1
            if kind in (_BYTES, _STRING):
                value_start = at + 2
                at = value_start + int.from_bytes(_slice(written, at, value_start), "big")
                value = _slice(written, value_start, at)
                if kind == _STRING:
                    headers[name] = value.decode()
            else:
                at += _FIXED_BYTES[kind]
                _slice(written, at, at)
    except (IndexError, KeyError, UnicodeDecodeError):
        raise EventStreamError("the headers of a message could not be read") from None
    return headers


def _slice(written: bytes, start: int, end: int) -> bytes:
    """Raises IndexError beyond the end, where a plain slice would be short."""
    if end > len(written):
        raise IndexError
    return written[start:end]
