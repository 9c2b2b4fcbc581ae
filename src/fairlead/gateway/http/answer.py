"""One answer in progress: the parser's callbacks on one side, the reader on the other.

The body lives here and not in the connection. When the message is complete the answer lets go of its
connection, which may carry the next request before this reader has taken a single byte.

States, each reached at most once and in this order: waiting for the head, in the body, and then either
complete or failed. Bytes that came before a break are still read before the failure is raised; after a
passed deadline nothing is.

A reader either asks for the body (`read`: a future for each wait) or has it poured (`pour`: one future for
all of it). A pour gives from within the callback that brought the bytes, after the parser is done with them,
so that whatever its taker does (pause, close, raise) meets no parser in the middle of its work.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import httptools

from fairlead.gateway.http.content_coding import BodyDecoder, BrokenCoding, body_decoder
from fairlead.gateway.upstream import Phase, TransportFailure

if TYPE_CHECKING:
    from fairlead.gateway.http.connection import Connection

__all__ = ["Answer", "HeaderFields", "Violation"]

# content-length, content-encoding, transfer-encoding: the only headers looked at while parsing.
_FRAMING_NAME_LENGTHS = frozenset({14, 16, 17})
_NO_BODY_STATUSES = frozenset({204, 304})
_CHUNKED, _COUNTED, _CLOSED = range(3)  # how the end of the body is known


class Violation(Exception):
    """The peer broke the protocol in a way the parser does not see. Stops the parser."""


class HeaderFields:
    """Response headers as received; see `HeaderView`. Decoded only when somebody looks."""

    __slots__ = ("_first", "_raw")

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._first: dict[str, str] | None = None

    def get(self, name: str) -> str | None:
        first = self._first
        if first is None:
            first = self._first = {}
            for key, value in self.items():
                first.setdefault(key, value)
        return first.get(name)

    def items(self) -> list[tuple[str, str]]:
        return [
            (name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t"))
            for name, value in self._raw
        ]


class _Pour:
    """A body on its way to its taker.

    until_s, phase: the last moment of it all; kept here too, because the connection may be gone before a
        paused taker has had everything. timer: runs only in that case.
    error: what the taker raised.
    """

    __slots__ = ("error", "is_giving", "is_over", "phase", "take", "timer", "until_s")

    def __init__(self, take: Callable[[bytes], None], until_s: float) -> None:
        self.take = take
        self.until_s = until_s
        self.phase = Phase.TOTAL
        self.timer: asyncio.TimerHandle | None = None
        self.error: BaseException | None = None
        self.is_giving = False
        self.is_over = False


class Answer:
    """Implements `Exchange`. The methods named `on_...` belong to the parser, the rest of the public ones
    in the second half to `Connection`."""

    __slots__ = (
        "_buffered_bytes_max",
        "_chunks",
        "_coding",
        "_connection",
        "_decoder",
        "_expects_body",
        "_failure",
        "_framing",
        "_header_bytes_max",
        "_is_informational",
        "_is_paused",
        "_label",
        "_loop",
        "_parser",
        "_pour",
        "_raw",
        "_trailer_bytes",
        "_waiter",
        "buffered_bytes",
        "died_unused",
        "headers",
        "is_complete",
        "is_head_complete",
        "is_reusable",
        "status",
        "violation",
    )

    def __init__(
        self,
        connection: Connection,
        loop: asyncio.AbstractEventLoop,
        *,
        label: str,
        expects_body: bool,
        header_bytes_max: int,
        buffered_bytes_max: int,
    ) -> None:
        self._connection: Connection | None = connection
        self._loop = loop
        self._label = label
        self._expects_body = expects_body
        self._header_bytes_max = header_bytes_max
        self._buffered_bytes_max = buffered_bytes_max
        self._raw: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._coding = ""
        self._decoder: BodyDecoder | None = None
        self._failure: TransportFailure | None = None
        self._framing = _CLOSED
        self._is_informational = False
        self._is_paused = False
        self._pour: _Pour | None = None
        self._trailer_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self.buffered_bytes = 0
        self.died_unused = False
        self.is_complete = False
        self.is_head_complete = False
        self.is_reusable = False
        self.status = 0
        self.violation = ""
        # One parser a message: httptools keeps the last trailer of a message and would hand it out as the
        # first header of the next.
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    # ---- for the caller -------------------------------------------------------------------------

    async def wait_for_head(self) -> None:
        """Return once status and headers are there. Raises TransportFailure."""
        while not self.is_head_complete:
            if self._failure is not None:
                raise self._failure
            await self._wait()

    async def read(self) -> bytes:
        assert self._pour is None, "an exchange has exactly one reader"
        while not (piece := self._next_piece()):
            if self._failure is not None:
                raise self._failure
            if self.is_complete:
                return b""
            await self._wait()
        return piece

    async def pour(
        self, take: Callable[[bytes], None], *, between_s: float, until_s: float
    ) -> None:
        assert self._pour is None, "an exchange has exactly one reader"
        assert self._waiter is None, "an exchange has exactly one reader"
        pour = self._pour = _Pour(take, until_s)
        if self._connection is not None:
            self._connection.expire_if_silent(between_s, until_s)
        try:
            self._give(pour)
            if not pour.is_over:
                await self._wait()
        finally:
            self._pour = None
            if pour.timer is not None:
                pour.timer.cancel()
        if pour.error is not None:
            raise pour.error
        if self._failure is not None:
            raise self._failure

    def pause(self) -> None:
        self._is_paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if not self._is_paused:
            return
        self._is_paused = False
        if self._connection is not None:
            self._connection.resume()
        if self._pour is not None:
            self.wake()

    async def read_all(self, bytes_max: int) -> bytes:
        pieces: list[bytes] = []
        length = 0
        while piece := await self.read():
            length += len(piece)
            if length > bytes_max:
                self._break(f"the body from {self._label} is longer than {bytes_max} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def expire_at(self, at_s: float, phase: Phase) -> None:
        if self._connection is not None:
            self._connection.expire_at(at_s, phase)
        pour = self._pour
        if pour is not None:
            pour.until_s, pour.phase = at_s, phase
            if pour.timer is not None:
                self._watch_held(pour)

    def close(self) -> None:
        is_read = self.is_complete and not self._chunks and self._decoder is None
        if self._failure is None and not is_read:
            self._failure = TransportFailure(
                f"the answer from {self._label} was closed before it was read", phase=Phase.READ
            )
        connection, self._connection = self._connection, None
        self._parser = None
        self._decoder = None
        self._chunks.clear()
        if connection is not None:
            connection.drop()
        if self._pour is not None:
            self.wake()

    # ---- for the parser -------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.is_complete:
            raise Violation  # a second message that nobody asked for; the first one stands

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_head_complete:
            self._trailer_bytes += len(name) + len(value) + 4
            if self._trailer_bytes > self._header_bytes_max:
                self._refuse(f"trailers are longer than {self._header_bytes_max} bytes")
            return
        self._raw.append((name, value))
        if len(name) in _FRAMING_NAME_LENGTHS:
            self._note_framing(name.lower(), value)

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        status = parser.get_status_code()
        if status < 200:
            if status == 101:
                self._refuse("the server switched protocols unasked")
            self._is_informational = True
            self._raw = []
            self._framing = _CLOSED
            self._coding = ""
            return
        self._is_informational = False
        self.status = status
        self.headers = HeaderFields(self._raw)
        self.is_head_complete = True
        self.is_reusable = parser.should_keep_alive()
        if self._framing == _CHUNKED and parser.get_http_version() != "1.1":
            self.is_reusable = (
                False  # RFC 9112, 6.1: the framing is not to be trusted beyond this message
            )
        if not self._expects_body or status in _NO_BODY_STATUSES:
            # To a HEAD, the parser would now wait for the body that the headers announce.
            # A peer that sends one anyway must not have it taken for the next answer.
            self.is_complete = True
            self.is_reusable = self.is_reusable and self._expects_body
        elif self._coding:
            self._decoder = body_decoder(self._coding, self._buffered_bytes_max)

    def on_body(self, body: bytes) -> None:
        if self.is_complete:
            raise Violation  # a body where there can be none
        self._chunks.append(body)
        self.buffered_bytes += len(body)

    def on_message_complete(self) -> None:
        if not self._is_informational:
            self.is_complete = True

    # ---- for the connection ---------------------------------------------------------------------

    def feeder(self) -> httptools.HttpResponseParser:
        """The parser of this message, ready to be fed."""
        assert self._parser is not None
        return self._parser

    def ends_with_the_connection(self) -> bool:
        """Whether the closing of the connection is the proper end of this message."""
        return self.is_head_complete and self._framing == _CLOSED

    @property
    def is_chunked(self) -> bool:
        return self._framing == _CHUNKED

    @property
    def is_poured(self) -> bool:
        return self._pour is not None

    def wake(self) -> None:
        """There is something new: give it to the taker, or tell a waiting reader."""
        pour = self._pour
        if pour is not None:
            self._give(pour)
            if not pour.is_over:
                return
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def detach(self) -> None:
        """The message is complete: the connection goes its own way."""
        self.is_complete = True
        self._connection = None
        self._parser = None
        self.wake()

    def fail(self, failure: TransportFailure, *, died_unused: bool = False) -> None:
        """The message will never be complete: the connection is gone."""
        self._failure = failure
        self.died_unused = died_unused
        self._connection = None
        self._parser = None
        if failure.timed_out:
            self._chunks.clear()
            self._decoder = None
        self.wake()

    # ---- details --------------------------------------------------------------------------------

    async def _wait(self) -> None:
        assert self._waiter is None, "an exchange has exactly one reader"
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._waiter = None

    def _give(self, pour: _Pour) -> None:
        """Give the taker all there is, unless he pauses; then see whether that was the end."""
        if pour.is_giving:
            return  # he resumed or closed from within `take`; the loop that called him goes on
        pour.is_giving = True
        try:
            while not self._is_paused and (piece := self._next_piece()):
                pour.take(piece)
        except BaseException as error:  # noqa: BLE001 -- it is raised again, by `pour`
            pour.error = error
            pour.is_over = True
            self.close()
            return
        finally:
            pour.is_giving = False
        if self.is_complete or self._failure is not None:
            if not self._is_paused or not (self._chunks or self._decoder):
                pour.is_over = True
            elif self._connection is None and pour.timer is None:
                self._watch_held(pour)

    def _watch_held(self, pour: _Pour) -> None:
        """There is no connection any more whose timer would end a pour that stays paused."""
        if pour.timer is not None:
            pour.timer.cancel()
        at_s = pour.until_s
        pour.timer = None if at_s == math.inf else self._loop.call_at(at_s, self._drop_held, pour)

    def _drop_held(self, pour: _Pour) -> None:
        message = f"the answer from {self._label} was not taken within the time-out '{pour.phase}'"
        self.fail(TransportFailure(message, phase=pour.phase, timed_out=True))

    def _next_piece(self) -> bytes:
        """The next bytes of the body if there are any. Raises TransportFailure if their coding is broken."""
        decoder = self._decoder
        if decoder is None:
            return self._take() if self._chunks else b""
        try:
            while not (piece := decoder.take()) and self._chunks:
                decoder.feed(self._take())
            if not piece and self.is_complete:
                decoder.finish()
                self._decoder = None
        except BrokenCoding as error:
            self._break(f"broken answer from {self._label}: {error}")
        return piece

    def _take(self) -> bytes:
        """All that arrived."""
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.buffered_bytes = 0
        if self._connection is not None:
            self._connection.resume()
        return body

    def _break(self, message: str) -> NoReturn:
        """Fail from the reader's side."""
        failure = TransportFailure(message, phase=Phase.READ)
        self.close()
        self._failure = failure
        raise failure from None

    def _note_framing(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._framing = _COUNTED  # the parser checks the value and refuses a second one
        elif name == b"transfer-encoding":
            if self._framing == _CHUNKED or value.strip(b" \t").lower() != b"chunked":
                self._refuse("a transfer-encoding other than chunked")
            self._framing = _CHUNKED
        elif name == b"content-encoding":
            # Several codings are none that we decode; joined they are refused on reading.
            self._coding = self._coding + "," * bool(self._coding) + value.decode("latin-1")

    def _refuse(self, violation: str) -> NoReturn:
        self.violation = violation
        raise Violation
