"""One connection of a caller: bytes in, requests out, answers in their order, one timer.

Invariants
- At most one request is being served; what a caller sends ahead waits in line, PIPELINED_MAX at most, and the
  socket is not read meanwhile. (That such a caller leaves is noticed only when something is written to him.)
  Nor is the next one served before most of an answer was taken: who asks and does not listen would fill our
  memory.
- An answer that ends before its request has fully arrived ends the connection, and so does whatever the
  parser refuses: where the next request begins would be a guess, and a guess is what smugglers want.
- Before a connection is closed with bytes unread, our side is shut and the rest is read for a while; closed
  at once, the connection would be reset, and the caller would see that in place of our words.
- Exactly one timer, and no state without a due time but one: a request has come whole, and its answer has
  not begun; how long that may take is for the app to say. The timer is not moved when the due time moves
  later, only when it fires too early: a stream of a thousand chunks, or a thousand requests in quick
  succession, cost one.
- A call whose task ends without a complete answer breaks the connection: nobody waits for what will not come.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

import httptools
import msgspec

from fairlead.gateway.caller_side import CallerApp, CallerSide
from fairlead.gateway.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["CallerConnection", "Connections", "ServerBounds"]

_log = logging.getLogger(__name__)

PIPELINED_MAX: Final = 16
FIELDS_MAX: Final = 256  # of one head: each costs far more memory than its few bytes

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_VERSIONS: Final = frozenset({"1.1", "1.0"})
_FRAMING_NAMES: Final = frozenset({b"content-length", b"transfer-encoding"})
_CLOSE: Final = b"connection: close\r\n"
_KEEP: Final = b"connection: keep-alive\r\n"  # HTTP/1.0 closes unless told
_INVALID: Final[Mapping[str, str]] = MappingProxyType({"error_type": "invalid_request"})


@dataclass(frozen=True, slots=True)
class ServerBounds:
    """Sizes in bytes, times in seconds.

    head_bytes_max: of a request line and its headers; also of what comes between two pieces of a body.
    head_s: how long they may take to arrive: a slow mobile network needs a few seconds, an attack more.
    body_stall_s: how long the next piece of a body may take to arrive.
    idle_s: how long a connection is kept without a request: longer than the usual 60 s of load balancers,
        so that they close first.
    keep_alive_s: silence in a stream before a comment is sent.
    stall_s: a caller who takes nothing of what is written for this long is taken for gone.
    linger_s: after a refusal, for a caller to stop sending and read it.
    drain_s: how long running calls may take to finish once we are told to stop.
    settle_s: after that, for calls that are cut short to record what they used.
    connections_max: open at once, idle or not; more are closed as they come.
    """

    head_bytes_max: int = 64 * 1024
    head_s: float = 30.0
    body_stall_s: float = 60.0
    idle_s: float = 75.0
    keep_alive_s: float = 10.0
    stall_s: float = 120.0
    linger_s: float = 2.0
    drain_s: float = 30.0
    settle_s: float = 10.0
    backlog: int = 2048
    connections_max: int = 32_768


@dataclass(slots=True)
class Connections:
    """What all connections of a server share. Belongs to one event loop.

    wall_s: the time of day, for the `date` header.
    """

    app: CallerApp
    bounds: ServerBounds
    loop: asyncio.AbstractEventLoop
    wall_s: Callable[[], float]
    is_draining: bool = False
    open: set[CallerConnection] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)  # that outlive their connection
    outbox: Outbox = field(init=False)
    _changed: asyncio.Future[None] | None = None
    _date: bytes = b""
    _date_until_s: float = -math.inf
    _heads: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.loop)

    def connection(self) -> CallerConnection:
        return CallerConnection(self)

    async def change(self) -> None:
        """Wait until a connection is gone or a task that outlived its own is done."""
        if self._changed is None:
            self._changed = self.loop.create_future()
        await asyncio.shield(self._changed)

    def gone(self, connection: CallerConnection) -> None:
        self.open.discard(connection)
        self._tell_change()

    def outlives(self, task: asyncio.Task[None]) -> None:
        """A task whose caller has left."""
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._tell_change()

    def _tell_change(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)

    def head(self, status: int) -> bytes:
        """Status line and date."""
        now_s = self.loop.time()
        if now_s >= self._date_until_s:
            self._heads.clear()
            wall_s = self.wall_s()
            self._date = b"date: %b\r\n" % formatdate(wall_s, usegmt=True).encode()
            self._date_until_s = now_s + 1.0 - wall_s % 1.0
        found = self._heads.get(status)
        if found is None:
            line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
            found = self._heads[status] = line + self._date
        return found


class CallerConnection(asyncio.Protocol):
    __slots__ = (
        "_armed_s",
        "_bare_bytes",
        "_due_s",
        "_is_at_boundary",
        "_is_deaf",
        "_is_muted",
        "_is_reading_paused",
        "_parser",
        "_parsing",
        "_shared",
        "_timer",
        "_transport",
        "_unsent_bytes",
        "_waiting",
        "bounds",
        "client",
        "is_congested",
        "now_s",
        "server",
        "serving",
    )

    def __init__(self, shared: Connections) -> None:
        self._shared = shared
        self.bounds = shared.bounds
        self.now_s = shared.loop.time
        self._transport: asyncio.Transport | None = None  # while there is one
        self._parser = httptools.HttpRequestParser(self)
        self._parsing: CallerSide | None = None  # the request that is arriving
        self.serving: CallerSide | None = None
        self._waiting: deque[CallerSide] = deque()
        self._bare_bytes = 0  # that came since the last of a body: heads, trailers, framing
        self._is_at_boundary = True  # nothing of the next request has come yet
        self._is_deaf = False  # whatever comes is dropped
        self._is_muted = False  # what the parser says is known already
        self._is_reading_paused = False
        self._armed_s = self._due_s = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._unsent_bytes = 0  # when the caller was last seen to take something
        self.is_congested = False
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int] | None = None

    # --- for the transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.client = _address(transport.get_extra_info("peername"))
        self.server = _address(transport.get_extra_info("sockname"))
        shared = self._shared
        shared.open.add(self)
        if shared.is_draining or len(shared.open) > self.bounds.connections_max:
            self._is_deaf = True
            self.abort()
        else:
            self._set_due(self.now_s() + self.bounds.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._shared.gone(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._lose_all()
        # Nobody is left to come back here; what holds itself in a circle stays until it is collected.
        self._transport = None
        self._parsing = None
        del self._parser

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if self._is_at_boundary:
            self._is_at_boundary = False
            if self.serving is None:
                self._set_due(self.now_s() + self.bounds.head_s)
        self._bare_bytes += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserCallbackError:
            raise  # a fault of our own
        except httptools.HttpParserError as error:
            self._refuse(400, f"The request is not HTTP: {_reason(error)}.")
        if not self._is_deaf:
            self._bound_what_is_missing()
        self.read_or_wait()

    def eof_received(self) -> None:
        """Who stops sending is taken for gone, although he may still take what was written."""
        self._close()

    def pause_writing(self) -> None:
        self.is_congested = True
        self._watch_what_is_taken()
        serving = self.serving
        if serving is not None and serving.on_congestion is not None:
            serving.on_congestion()

    def resume_writing(self) -> None:
        self.is_congested = False
        serving = self.serving
        if serving is None:
            self._serve_next()
        else:
            serving.relieve()
        self.watch()

    # --- for the parser ---

    def on_url(self, url: bytes) -> None:
        if self._is_muted:
            return
        if self._parsing is None:
            self._is_at_boundary = False
            self._parsing = CallerSide(self, url)
        else:
            self._parsing.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_muted or self._parsing is None or self._parsing.method:
            return  # a trailer; nothing that we serve has any
        self._parsing.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        side = self._parsing
        if self._is_muted or side is None:
            return
        parser = self._parser
        side.begin(
            parser.get_method().decode("ascii"),
            parser.get_http_version(),
            keeps_connection=parser.should_keep_alive(),
        )
        self._check_head(side)
        if self._is_deaf:
            return
        if self.serving is None and not self.is_congested:
            self._serve(side)
        elif len(self._waiting) < PIPELINED_MAX:
            self._waiting.append(side)
        else:  # he may send it again on another connection: nobody has begun to answer
            self._is_deaf = True
            self._waiting[-1].keeps_connection = False

    def on_body(self, body: bytes) -> None:
        self._bare_bytes = 0
        if self._parsing is not None:
            self._parsing.feed(body)

    def on_message_complete(self) -> None:
        side = self._parsing
        if side is None or self._parser.should_upgrade():
            return
        self._parsing = None
        self._bare_bytes = 0
        self._is_at_boundary = True
        side.complete()
        if self.serving is side:
            self.watch()

    # --- for the request that is served ---

    def status_line(self, status: int, side: CallerSide) -> bytes:
        """Status line, date, and what becomes of the connection."""
        if self._shared.is_draining or not side.is_whole:
            side.keeps_connection = False
        head = self._shared.head(status)
        if not side.keeps_connection:
            return head + _CLOSE
        return head if side.http_version == "1.1" else head + _KEEP

    def write(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None and data and not transport.is_closing():
            if self.is_congested:
                self._unsent_bytes += len(data)
            self._shared.outbox.write(transport, data)

    def answered(self, side: CallerSide) -> None:
        """The answer is complete: the next one, if the connection goes on."""
        if self.serving is not side:
            return  # it was refused meanwhile
        self.serving = None
        if side.keeps_connection and not self._shared.is_draining:
            self._serve_next()
            self.watch()
        elif self._is_at_boundary and not self._is_deaf and not self._waiting:
            self._close()
        else:
            self._linger()

    def read_or_wait(self) -> None:
        """Read from the socket, or leave what comes with the kernel, and so with the caller."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        is_enough = not self._is_deaf and (
            bool(self._waiting)
            or (self.serving is None and self.is_congested)
            or (self._parsing is not None and self._parsing.is_full)
        )
        if is_enough and not self._is_reading_paused:
            self._is_reading_paused = True
            transport.pause_reading()
        elif self._is_reading_paused and not is_enough:
            self._is_reading_paused = False
            transport.resume_reading()

    def watch(self) -> None:
        """How long the present state may last, if nothing happens."""
        transport = self._transport
        if self.is_congested or transport is None or transport.is_closing():
            return  # `_watch_what_is_taken`
        serving = self.serving
        if serving is None:
            in_s = self.bounds.linger_s if self._is_deaf else self.bounds.idle_s
            self._set_due(self.now_s() + in_s)
        elif not serving.is_whole:
            self._set_due(self.now_s() + self.bounds.body_stall_s)
        else:
            look_again_s = serving.fill_silence()
            if not self.is_congested:
                self._set_due(look_again_s)

    # --- for the server ---

    def drain(self) -> None:
        """No further request: close now, or after the answer that is under way."""
        if self.serving is None:
            self._close()

    def abort(self) -> None:
        if self._transport is not None:
            self._shared.outbox.flush(self._transport)
            self._transport.abort()

    # --- details ---

    def _serve(self, side: CallerSide) -> None:
        self.serving = side
        # The connection owns this task: it cancels it when the caller leaves, the server when it stops.
        side.task = self._shared.loop.create_task(self._run(side))
        self.watch()

    def _serve_next(self) -> None:
        if self._waiting and not self.is_congested:
            self._serve(self._waiting.popleft())
        self.read_or_wait()

    async def _run(self, side: CallerSide) -> None:
        try:
            await self._shared.app(side)
        except Exception:  # noqa: BLE001 — the outermost edge of a call: nothing may pass it
            _log.exception("A call ended without an answer, for a reason of our own.")
        finally:
            side.task = None  # whose end may hold this very frame
            if not side.is_complete and not side.has_left:
                self.abort()

    def _parse(self, data: bytes) -> None:
        """Feed the parser. Raises HttpParserError.

        We speak nothing but HTTP/1.1, so a wish for another protocol is passed over, as it may be. The parser
        takes the end of such a head for the end of the request, although a body may follow (some clients
        offer HTTP/2 with every POST). So a new one reads on, behind a head that says how long the body is.
        """
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._parser = httptools.HttpRequestParser(self)
                if self._parsing is not None:
                    self._is_muted = True
                    self._parser.feed_data(_framing_head(self._parsing.fields))
                    self._is_muted = False
            else:
                return

    def _bound_what_is_missing(self) -> None:
        """Bounds on a request that has come in part."""
        if self._is_at_boundary:
            return
        parsing = self._parsing
        if self._bare_bytes > self.bounds.head_bytes_max:
            self._refuse_head()
        elif parsing is not None and len(parsing.fields) > FIELDS_MAX:
            self._refuse_fields()
        elif parsing is not None and parsing is self.serving:
            self.watch()

    def _lose_all(self) -> None:
        """The caller has left. A task that serves him may still have to record what was used."""
        self._is_deaf = True
        self._waiting.clear()
        serving, self.serving = self.serving, None
        if serving is not None:
            self._give_up(serving)

    def _give_up(self, serving: CallerSide) -> None:
        """Nobody waits for this answer any more."""
        task = serving.task
        if task is not None and not task.done():
            self._shared.outlives(task)
        serving.leave()

    def _check_head(self, side: CallerSide) -> None:
        if side.http_version not in _VERSIONS:
            self._refuse(505, "The request is not HTTP/1.1.")
        elif side.http_version == "1.0" and b"transfer-encoding" in side.headers:
            # To HTTP/1.0 a body in chunks has no end that all agree on.
            self._refuse(400, "An HTTP/1.0 request cannot have a transfer-encoding.")
        elif len(side.fields) > FIELDS_MAX:
            self._refuse_fields()
        elif len(side.fields) > len(side.headers) and _is_repeated(b"host", side.fields):
            self._refuse(400, "The request has more than one `host` header.")
        elif self._bare_bytes > self.bounds.head_bytes_max or self.serving is not None:
            # More than the head may have come in one piece, or less of it may have been counted.
            size = len(side.target) + sum(len(name) + len(value) + 4 for name, value in side.fields)
            if size > self.bounds.head_bytes_max:
                self._refuse_head()

    def _refuse_head(self) -> None:
        limit = self.bounds.head_bytes_max
        self._refuse(431, f"The request line and headers are larger than {limit} bytes.")

    def _refuse_fields(self) -> None:
        self._refuse(431, f"The request has more than {FIELDS_MAX} headers.")

    def _refuse(self, status: int, message: str) -> None:
        """Nothing that follows can be understood. What is being served gets its answer first."""
        if self._is_deaf:
            return
        self._is_deaf = True
        serving = self.serving
        if serving is not None and serving.is_whole:
            serving.keeps_connection = False
            return
        self.serving = None
        if serving is not None:  # its body is what broke
            self._give_up(serving)
        if serving is None or not serving.has_started:
            error = {"code": status, "message": message, "metadata": dict(_INVALID)}
            body = msgspec.json.encode({"error": error})
            head = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
            self.write(self._shared.head(status) + _CLOSE + head + b"\r\n" + body)
        self._linger()

    def _linger(self) -> None:
        """Say that no more will come from us, and hear out what still does."""
        self._is_deaf = True
        self._waiting.clear()
        transport = self._transport
        if transport is not None and not transport.is_closing():
            self._shared.outbox.flush(transport)
            if transport.can_write_eof():
                transport.write_eof()
            self.read_or_wait()
            self.watch()

    def _close(self) -> None:
        """What was written is still sent, to a caller who takes it."""
        self._lose_all()
        if self._transport is not None:
            self._shared.outbox.flush(self._transport)
            self._transport.close()
            self._watch_what_is_taken()

    def _watch_what_is_taken(self) -> None:
        self._unsent_bytes = self._unsent()
        self._set_due(self.now_s() + self.bounds.stall_s)

    def _set_due(self, at_s: float) -> None:
        self._due_s = at_s
        if at_s < self._armed_s:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_s = self._due_s
        self._timer = self._shared.loop.call_at(self._due_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._armed_s = math.inf
        if self._due_s > self.now_s():
            if self._due_s != math.inf:
                self._arm()
            return
        transport = self._transport
        if transport is None:
            return
        if self.is_congested or transport.is_closing():
            if self._unsent() < self._unsent_bytes:
                self._watch_what_is_taken()
            else:
                self.abort()
        elif self.serving is not None and (self.serving.is_whole or self._is_reading_paused):
            self.watch()
        else:
            self._close()

    def _unsent(self) -> int:
        transport = self._transport
        if transport is None:
            return 0
        return transport.get_write_buffer_size() + self._shared.outbox.holds(transport)


def _framing_head(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A head that says nothing but how long the body is."""
    framing = [field for field in fields if field[0] in _FRAMING_NAMES]
    lines = b"".join(b"%b: %b\r\n" % line for line in framing or [(b"content-length", b"0")])
    return b"POST / HTTP/1.1\r\n%b\r\n" % lines


def _is_repeated(name: bytes, fields: Iterable[tuple[bytes, bytes]]) -> bool:
    return sum(field[0] == name for field in fields) > 1


def _address(found: object) -> tuple[str, int] | None:
    """Of a TCP socket; others have none."""
    if isinstance(found, tuple) and len(found) >= 2:
        return str(found[0]), int(found[1])
    return None


def _reason(error: httptools.HttpParserError) -> str:
    """The parser's own words: about the form alone, never with what was sent."""
    return str(error)[:100] or "it cannot be parsed"
