"""The caller's side of a call: read a bounded body, write an answer, notice a hang-up.

One `CallerSide` is one request and its answer. The connection below it (`server/connection.py`) feeds it
with what arrives and takes what it writes; the task that serves the call sees nothing else of the network.

Writing never waits. Whole events go straight to the socket's buffer, and when that is full `is_congested`
turns true and whoever was named by `when_congested` is told, so that a slow reader slows his own upstream;
the buffer is therefore never much fuller than one piece beyond its bound.

A caller who leaves before the answer is complete cancels the task that serves him, unless it has asked to be
told in another way. `has_left` says why, so that a hang-up is told apart from a shutdown. What is written for
one who has left goes nowhere, so that nobody needs to ask before he writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

import httptools

from fairlead.core.errors import PayloadTooLarge, RequestInvalid

if TYPE_CHECKING:
    from fairlead.gateway.server.connection import CallerConnection

__all__ = ["CallerApp", "CallerSide", "header_lines"]

CallerApp = Callable[["CallerSide"], Coroutine[Any, Any, None]]

# Of a body that nobody asked for yet. More stays with the kernel, and so with the caller.
UNREAD_BYTES_MAX: Final = 256 * 1024

_WITHOUT_BODY: Final = frozenset({204, 304})
_LENGTH: Final = b"content-length:"


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they go on the wire, each with its line end. Raises ValueError for one that is two."""
    lines = [b"%b: %b\r\n" % header for header in headers]
    block = b"".join(lines)
    if not block.count(b"\r") == block.count(b"\n") == len(lines) or b"\0" in block:
        raise ValueError("a header holds the end of a line, or a zero byte")
    return block


class CallerSide:
    """One request and its answer. One task serves it.

    method: upper case. target: as it was sent. fields: all headers in order, names in lower case.
    headers: the same by name; of repeated ones the last. http_version: "1.1" or "1.0".
    """

    __slots__ = (
        "_connection",
        "_expects_continue",
        "_is_bare",
        "_is_chunked",
        "_keep_alive",
        "_last_sent_s",
        "_pieces",
        "_size",
        "_stream_head",
        "_stream_status",
        "_waiter",
        "fields",
        "has_left",
        "has_started",
        "headers",
        "http_version",
        "is_complete",
        "is_whole",
        "keeps_connection",
        "method",
        "on_congestion",
        "on_leaving",
        "on_relief",
        "target",
        "task",
    )

    def __init__(self, connection: CallerConnection, target: bytes) -> None:
        self._connection = connection
        self.method = ""
        self.target = target
        self.fields: list[tuple[bytes, bytes]] = []
        self.headers: dict[bytes, bytes] = {}
        self.http_version = "1.1"
        self.keeps_connection = False
        self._pieces: list[bytes] = []
        self._size = 0
        self.is_whole = False
        self._waiter: asyncio.Future[None] | None = None
        self._expects_continue = False
        self._stream_head = b""
        self._stream_status = 0
        self._keep_alive = b""
        self._last_sent_s = 0.0
        self._is_chunked = True
        self._is_bare = False  # the answer has a head alone
        self.has_left = False
        self.has_started = False
        self.is_complete = False
        self.task: asyncio.Task[None] | None = None
        self.on_leaving: Callable[[], None] | None = None
        self.on_congestion: Callable[[], None] | None = None
        self.on_relief: Callable[[], None] | None = None

    # --- what was asked ---

    @property
    def path(self) -> str:
        """The path alone, percent-decoded."""
        return unquote_to_bytes(self._split_target()[0]).decode("utf-8", "replace")

    @property
    def raw_path(self) -> bytes:
        return self._split_target()[0]

    @property
    def query(self) -> bytes:
        """What follows the question mark, as it was sent."""
        return self._split_target()[1]

    @property
    def client(self) -> tuple[str, int] | None:
        """The address of the peer."""
        return self._connection.client

    @property
    def server(self) -> tuple[str, int] | None:
        """The address at which we were reached."""
        return self._connection.server

    def header(self, name: bytes) -> str | None:
        """A request header's text. name: lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def body(self, bytes_max: int) -> bytes:
        """The whole request body. Raises PayloadTooLarge, or RequestInvalid if it breaks off."""
        headers = self.headers
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise RequestInvalid(
                "The request body must come as it is, without a content-encoding such as gzip."
            )
        announced = headers.get(b"content-length")
        if announced is not None and int(announced) > bytes_max:
            raise _too_large(bytes_max)
        while not self.is_whole and self._size <= bytes_max:
            await self._more()
        if self._size > bytes_max:
            raise _too_large(bytes_max)
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def piece(self) -> bytes:
        """The next bytes of the body; b"" at its end. Raises RequestInvalid if it breaks off."""
        while not self._pieces and not self.is_whole:
            await self._more()
        pieces, self._pieces = self._pieces, []
        self._size = 0
        return b"".join(pieces)

    # --- writing an answer ---

    @property
    def is_congested(self) -> bool:
        """Whether the caller takes less than is written."""
        return self._connection.is_congested

    def answer(self, status: int, head: bytes, body: bytes) -> None:
        """A complete answer in one go. head: `header_lines`, without those about the length.

        To a question for the head alone it may say the length itself, of what it would otherwise send.
        """
        assert not self.has_started
        length = b"content-length: %d\r\n" % len(body)
        if status in _WITHOUT_BODY:
            length = body = b""
        elif self.method == "HEAD":
            body = b""
            if _LENGTH in head:
                length = b""
        connection = self._connection
        self._complete(b"%b%b%b\r\n%b" % (connection.status_line(status, self), head, length, body))

    def stream(self, head: bytes, *, keep_alive: bytes = b"", status: int = 200) -> None:
        """The answer will be a stream. Nothing is sent yet, but from now on silence is filled.

        head: `header_lines`. With a content-length the pieces written must add up to it.
        keep_alive: a comment; sending one begins the answer.
        """
        framing = b""
        self._is_bare = status in _WITHOUT_BODY or self.method == "HEAD"
        self._is_chunked = not self._is_bare and _LENGTH not in head
        if self._is_chunked:
            if self.http_version == "1.1":
                framing = b"transfer-encoding: chunked\r\n"
            else:
                self._is_chunked = self.keeps_connection = False  # its end is the connection's
        self._stream_status = status
        self._stream_head = b"%b%b\r\n" % (head, framing)
        self._keep_alive = keep_alive
        if keep_alive:
            self._last_sent_s = self._connection.now_s()
            self._connection.watch()

    def write(self, data: bytes) -> None:
        """Some whole events, at least one byte."""
        if self.has_left:
            return
        assert not self.is_complete
        connection = self._connection
        self._last_sent_s = connection.now_s()
        if self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        elif self._is_bare:
            data = b""
        connection.write(data if self.has_started else self._begun(data))

    def end(self, data: bytes = b"") -> None:
        """The last bytes of a stream, perhaps none."""
        if self._is_chunked:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        elif self._is_bare:
            data = b""
        self._complete(data if self.has_started else self._begun(data))

    def abort(self) -> None:
        """Break the connection: how a caller learns that an answer stays incomplete."""
        self._connection.abort()

    def when_congested(self, congested: Callable[[], None], relieved: Callable[[], None]) -> None:
        """Whom to tell that the caller takes less than is written, and that he has caught up."""
        self.on_congestion, self.on_relief = congested, relieved
        if self.is_congested:
            congested()

    async def relief(self) -> None:
        """Wait until the caller has taken most of what was written, or has left."""
        if self.is_congested and not self.has_left:
            waiter = asyncio.get_running_loop().create_future()
            previous, self.on_relief = self.on_relief, lambda: _wake(waiter)
            try:
                await waiter
            finally:
                self.on_relief = previous

    # --- for the connection ---

    def begin(self, method: str, http_version: str, *, keeps_connection: bool) -> None:
        """The head is complete."""
        self.method = method
        self.http_version = http_version
        self.keeps_connection = keeps_connection
        self.headers = dict(self.fields)
        self._expects_continue = (
            self.headers.get(b"expect", b"").lower() == b"100-continue" and http_version == "1.1"
        )

    def feed(self, piece: bytes) -> None:
        """Some of the body."""
        self._pieces.append(piece)
        self._size += len(piece)
        self._tell_reader()

    @property
    def is_full(self) -> bool:
        """Whether more of the body has come than is kept for a task that does not ask for it."""
        return self._size > UNREAD_BYTES_MAX and self._waiter is None

    def complete(self) -> None:
        """The body is whole."""
        self.is_whole = True
        self._tell_reader()

    def leave(self) -> None:
        """The caller has left."""
        if self.is_complete:
            return
        self.has_left = True
        if self.on_leaving is not None:
            self.on_leaving()
        elif self.task is not None:
            self.task.cancel()
        self._tell_reader()
        if self.on_relief is not None:
            self.on_relief()

    def relieve(self) -> None:
        """The caller has caught up: to him, silence begins now."""
        self._last_sent_s = self._connection.now_s()
        if self.on_relief is not None:
            self.on_relief()

    def fill_silence(self) -> float:
        """Send a comment if a stream has been silent for long. Returns when to look again; inf: never."""
        if not self._keep_alive or self.is_complete:
            return float("inf")
        every_s = self._connection.bounds.keep_alive_s
        if self._connection.now_s() >= self._last_sent_s + every_s:
            self.write(self._keep_alive)
        return self._last_sent_s + every_s

    # --- details ---

    async def _more(self) -> None:
        """Wait for more of the body. Raises RequestInvalid if there will be none."""
        assert self._waiter is None, "one task serves a call"
        if not self._is_over:
            if self._expects_continue and not self.has_started:
                self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._expects_continue = False
            self._waiter = asyncio.get_running_loop().create_future()
            self._connection.read_or_wait()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._is_over:
            raise RequestInvalid("The request body broke off.")

    @property
    def _is_over(self) -> bool:
        """Nothing more comes: who was answered before his request was whole sends the rest in vain."""
        return self.has_left or self.is_complete

    def _tell_reader(self) -> None:
        if self._waiter is not None:
            _wake(self._waiter)

    def _begun(self, data: bytes) -> bytes:
        """The stream's head, and its first bytes."""
        self.has_started = True
        return self._connection.status_line(self._stream_status, self) + self._stream_head + data

    def _complete(self, data: bytes) -> None:
        """The last bytes of an answer."""
        assert not self.is_complete
        self.has_started = self.is_complete = True
        self._tell_reader()
        if not self.has_left:
            self._connection.write(data)
            self._connection.answered(self)

    def _split_target(self) -> tuple[bytes, bytes]:
        target = self.target
        if target[:1] != b"/" and target != b"*":  # the form for proxies, with scheme and host
            try:
                parsed = httptools.parse_url(target)
            except httptools.HttpParserInvalidURLError:
                return target, b""
            return parsed.path or b"/", parsed.query or b""
        path, _, query = target.partition(b"?")
        return path.partition(b"#")[0], query


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _too_large(bytes_max: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is larger than {bytes_max} bytes.")
