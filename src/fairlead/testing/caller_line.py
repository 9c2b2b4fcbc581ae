"""One caller on a connection in memory: the server's own protocol, with no socket below it.

    line = CallerLine(connections, Reader())
    line.send(b"GET / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n")
    await line.is_over.wait()
    line.answer.status

Time is whatever the event loop says, so it may be virtual.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec
from httptools import HttpResponseParser

from fairlead.gateway.server.connection import Connections

__all__ = ["Answer", "CallerLine", "Reader"]


@dataclass(slots=True)
class Answer:
    """What a caller got. pieces: each write, with the moment it came. is_complete: properly ended."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    is_complete: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    def json(self) -> Any:  # noqa: ANN401 — tests look into it freely
        return msgspec.json.decode(self.body)

    def events(self) -> list[Any]:
        """The JSON payloads of a stream, without comments and `[DONE]`."""
        lines = self.body.split(b"\n\n")
        datas = [line[6:] for line in lines if line.startswith(b"data: ")]
        return [msgspec.json.decode(data) for data in datas if data != b"[DONE]"]

    def text(self) -> str:
        """All text of the first choice, streamed or whole."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            return "".join(
                choice["delta"].get("content") or ""
                for event in self.events()
                for choice in event["choices"][:1]
            )
        text = self.json()["choices"][0]["message"]["content"]
        assert isinstance(text, str)
        return text


@dataclass(frozen=True, slots=True)
class Reader:
    """How a caller behaves. pause_s: before taking each piece. leaves_after_s: hangs up then.
    leaves_after_pieces: hangs up after so many writes.
    unread_bytes: how much may wait for him before his line counts as congested."""

    pause_s: float = 0.0
    leaves_after_s: float | None = None
    leaves_after_pieces: int | None = None
    unread_bytes: int = 0


class CallerLine(asyncio.Transport):
    """One caller on a connection in memory, who takes what is written as fast as his `Reader` does."""

    def __init__(self, connections: Connections, reader: Reader) -> None:
        super().__init__()
        self._reader = reader
        self._loop = connections.loop
        self.connection = connections.connection()
        self._unread: deque[bytes] = deque()
        self._taking: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._is_congested = False
        self._is_lost = False
        self._parser = HttpResponseParser(self)
        self.answers = [Answer()]
        self.continues_count = 0
        self.received = bytearray()  # as it came, for what the parser does not show
        self.is_read = (
            True  # whether the server takes what we send; real callers could not send more
        )
        self.has_been_shut = False  # the server's side
        self.is_over = asyncio.Event()
        self.connection.connection_made(self)

    @property
    def answer(self) -> Answer:
        """The one under way, or the last."""
        return self.answers[-1]

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def half_close(self) -> None:
        """Say that we send no more, and still listen."""
        if not self._is_closing:
            self.connection.eof_received()
            self.close()

    async def leave_in_time(self) -> None:
        if self._reader.leaves_after_s is not None:
            await asyncio.sleep(self._reader.leaves_after_s)
            self.abort()

    async def cut_short(self) -> None:
        serving = self.connection.serving
        if serving is not None and serving.task is not None:
            serving.task.cancel()
            await asyncio.wait((serving.task,))

    # --- a transport, to the connection ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self._is_closing, "written to a transport that is closing"
        assert not self.has_been_shut, "written after the end"
        if not self._reader.pause_s:
            self._take(bytes(data))
            return
        self._unread.append(bytes(data))
        if self._taking is None:
            self._taking = self._loop.call_later(self._reader.pause_s, self._take_one)
        if not self._is_congested and self.get_write_buffer_size() > self._reader.unread_bytes:
            self._is_congested = True
            self.connection.pause_writing()

    def get_write_buffer_size(self) -> int:
        return sum(len(piece) for piece in self._unread)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        """What was written is taken first."""
        self._is_closing = True
        if not self._unread:
            self.abort()

    def abort(self) -> None:
        self._is_closing = True
        if not self._is_lost:
            self._is_lost = True
            if self._taking is not None:
                self._taking.cancel()
            self._loop.call_soon(self._lost)

    @property
    def is_lost(self) -> bool:
        return self._is_lost

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_been_shut = True

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def get_extra_info(self, name: str, default: object = None) -> object:
        del name
        return default

    # --- the caller ---

    def _lost(self) -> None:
        self.connection.connection_lost(None)
        self.is_over.set()

    def _take_one(self) -> None:
        self._taking = None
        self._take(self._unread.popleft())
        if self._unread:
            self._taking = self._loop.call_later(self._reader.pause_s, self._take_one)
            return
        if self._is_congested:
            self._is_congested = False
            self.connection.resume_writing()
        if self._is_closing and not self._unread:
            self.abort()

    def _take(self, data: bytes) -> None:
        self.received += data
        self._parser.feed_data(data)
        limit = self._reader.leaves_after_pieces
        if self.answer.is_complete:
            self.is_over.set()
        elif limit is not None and len(self.answer.pieces) >= limit:
            self.abort()

    def on_message_begin(self) -> None:
        if self.answer.is_complete:
            self.answers.append(Answer())

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers[name.decode()] = value.decode()

    def on_headers_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.answer.pieces.append((self._loop.time(), body))

    def on_message_complete(self) -> None:
        if self.answer.status == 100:
            self.continues_count += 1
        else:
            self.answer.is_complete = True
