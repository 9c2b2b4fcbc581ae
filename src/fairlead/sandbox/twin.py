"""The twin: the sandbox as a server of its own, for tests, benchmarks and rehearsals.

It speaks OpenAI's, Anthropic's and Gemini's formats on one port:

    POST /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/rerank, /v1/messages
    POST /v1beta/models/{model}:generateContent, :streamGenerateContent
    GET  /v1/models, /v1beta/models

and has its own controls, which need no key:

    GET    /_twin/calls          its bill; `?tag=` selects, `?ended=1` waits until none of these is open
    DELETE /_twin/calls          forget them
    GET    /_twin/requests       the last requests as they came, if they are kept; `?tag=` selects
    POST   /_twin/faults         {"faults": ["status=500", "", "drop"]}: one for each of the next calls
    DELETE /_twin/faults         forget those that are left
    GET    /_twin/health

How faults are written is told in `faults.py`. A request's own fault goes before a scripted one.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qs

import msgspec

from fairlead.sandbox.bill import Bill, BilledCall, CallState
from fairlead.sandbox.faults import NO_FAULT, Fault, FaultInvalid, parse_fault
from fairlead.sandbox.perform import Ending, Incoming, Performance, Situation, respond
from fairlead.sandbox.received import Received

if TYPE_CHECKING:
    import uvicorn

__all__ = ["BODY_BYTES_MAX", "Twin", "address", "listen", "run_twin", "twin_server"]

BODY_BYTES_MAX: Final = 64 * 1024 * 1024
FAULTS_MAX: Final = 100_000
_BACKLOG: Final = 4096
_ENDS: Final = (Ending.PROPER, Ending.SPOILT)  # the message is complete, whatever it holds
_BUSY_WRITES_MAX: Final = 32  # writes without a pause before other calls get their turn
_ENDED_WAIT_S: Final = 30.0  # a question about calls that never end is answered after this
_BREAK: Final = "fairlead.break"  # our own ASGI extension, see _protocol

Scope = MutableMapping[str, Any]  # as ASGI has it
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def _epoch_s() -> float:
    """2026-01-01: without a clock, every answer was made then."""
    return 1_767_225_600.0


class _Script(msgspec.Struct):
    faults: list[str]


class Twin:
    """A raw ASGI application.

    key: the only one accepted; None: any, or none. requests_kept_max: how many of the last requests can be
    asked for afterwards.
    """

    def __init__(
        self,
        *,
        key: str | None = None,
        run: str = "twin",
        seed: int = 0,
        now_s: Callable[[], float] = _epoch_s,
        bill: Bill | None = None,
        requests_kept_max: int = 0,
    ) -> None:
        self.bill = bill or Bill()
        self.received = Received(requests_kept_max)
        self._key = key
        self._run = run
        self._seed = seed
        self._now_s = now_s
        self._calls = 0
        self._faults: deque[Fault] = deque()
        self._ended = _Bell()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the twin serves no {scope['type']}")
        body = await _body(receive)
        if body is None:
            await _send_head(send, 413, (), 0)  # goes nowhere if the caller has left
            await send({"type": "http.response.body", "body": b""})
            return
        if scope["path"].startswith("/_twin/"):
            await self._control(scope, body, send)
            return
        fault = self._faults.popleft() if self._faults else NO_FAULT
        number = self._calls
        self._calls += 1
        made = respond(
            Incoming(
                method=scope["method"],
                path=scope["path"],
                headers={n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]},
                body=body,
                query=scope["query_string"].decode("latin-1"),
            ),
            Situation(
                number=number,
                run=self._run,
                created_s=int(self._now_s()),
                key=self._key,
                seed=self._seed,
                scripted=fault,
            ),
        )
        call = self.bill.open(number, made)
        self.received.add(number, call.tag, scope["path"], body)
        state = CallState.CANCELLED
        try:
            state = await _play(made, call, scope, receive, send)
        finally:
            self.bill.close(call, state)
            self._ended.ring()

    async def _control(self, scope: Scope, body: bytes, send: Send) -> None:
        if _asked(scope, "ended") is not None:
            await self._until_ended(_asked(scope, "tag"))
        status, answer = self._command(scope, body)
        await _send_head(send, status, (("content-type", "application/json"),), len(answer))
        await send({"type": "http.response.body", "body": answer})

    def _command(self, scope: Scope, body: bytes) -> tuple[int, bytes]:
        match scope["method"], scope["path"]:
            case "GET", "/_twin/health":
                return 200, b'{"status":"ok"}'
            case "GET", "/_twin/calls":
                return 200, msgspec.json.encode(self.bill.page(tag=_asked(scope, "tag")))
            case "DELETE", "/_twin/calls":
                self.bill.reset()
                self.received.reset()
                return 200, b"{}"
            case "GET", "/_twin/requests":
                return 200, msgspec.json.encode(self.received.page(tag=_asked(scope, "tag")))
            case "POST", "/_twin/faults":
                return self._script(body)
            case "DELETE", "/_twin/faults":
                self._faults.clear()
                return 200, b"{}"
        return 404, msgspec.json.encode(
            {"error": f"{scope['method']} {scope['path']} is nothing here"}
        )

    async def _until_ended(self, tag: str | None) -> None:
        """Until none of the calls with this tag is open, as far as one can wait."""
        try:
            async with asyncio.timeout(_ENDED_WAIT_S):
                while any(call.state is CallState.OPEN for call in self.bill.page(tag=tag).calls):
                    await self._ended.wait()
        except TimeoutError:
            pass

    def _script(self, body: bytes) -> tuple[int, bytes]:
        try:
            faults = [parse_fault(text) for text in msgspec.json.decode(body, type=_Script).faults]
        except (msgspec.DecodeError, FaultInvalid) as error:
            return 400, msgspec.json.encode({"error": str(error)})
        if len(faults) + len(self._faults) > FAULTS_MAX:
            return 400, msgspec.json.encode({"error": f"at most {FAULTS_MAX} faults can wait"})
        self._faults.extend(faults)
        return 200, msgspec.json.encode({"waiting": len(self._faults)})


class _Bell:
    """Wakes all who wait for the next ring."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        await self._event.wait()


def _asked(scope: Scope, name: str) -> str | None:
    """A parameter of the query, the first of its name."""
    query: bytes = scope["query_string"]
    values = parse_qs(query.decode("latin-1")).get(name)
    return values[0] if values else None


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if the caller went away, or sends more than anybody would."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES_MAX:
            return None
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


# --- playing ----------------------------------------------------------------------------------------


async def _play(
    made: Performance, call: BilledCall, scope: Scope, receive: Receive, send: Send
) -> CallState:
    """Write the answer, slowly where it is slow, and say how that ended."""
    if made.dropped:
        scope["extensions"][_BREAK]()
        return CallState.CUT
    if made.content_length is not None and made.head_after_s == 0 and made.ending in _ENDS:
        await _send_at_once(made, call, send)
        return _finished(made)
    async with asyncio.TaskGroup() as group:
        listener = group.create_task(_hang_up(receive))
        try:
            return await _play_paced(made, call, listener, scope, send)
        finally:
            listener.cancel()


async def _send_at_once(made: Performance, call: BilledCall, send: Send) -> None:
    await _send_head(send, made.status, made.headers, made.content_length)
    for _, chunk in made.chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        call.chunks += 1
    await send({"type": "http.response.body", "body": b""})


async def _play_paced(
    made: Performance, call: BilledCall, listener: asyncio.Task[None], scope: Scope, send: Send
) -> CallState:
    pauses = _Pauses(listener)
    if made.head_after_s and not await pauses.wait(made.head_after_s):
        return CallState.CANCELLED
    await _send_head(send, made.status, made.headers, made.content_length)
    for delay_s, chunk in made.chunks:
        if not await pauses.wait(delay_s):
            return CallState.CANCELLED
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        call.chunks += 1
    if made.ending is Ending.HANG:
        await pauses.wait(math.inf)
        return CallState.CANCELLED
    if listener.done():
        return CallState.CANCELLED
    if made.ending is Ending.CUT:
        scope["extensions"][_BREAK]()
        return CallState.CUT
    await send({"type": "http.response.body", "body": b""})
    return _finished(made)


def _finished(made: Performance) -> CallState:
    if made.ending is Ending.SPOILT:
        return CallState.CUT
    return CallState.COMPLETED if made.status < 400 else CallState.FAILED


async def _hang_up(receive: Receive) -> None:
    """Ends when the caller goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _Pauses:
    """Waits that end early when the caller hangs up. Times are absolute, so small delays do not add up."""

    def __init__(self, listener: asyncio.Task[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._waiter: asyncio.Future[None] | None = None
        self._at_s = self._loop.time()
        self._busy = 0
        listener.add_done_callback(lambda _: self._wake())

    async def wait(self, delay_s: float) -> bool:
        """Whether the caller is still there afterwards."""
        if self._listener.done():
            return False
        self._at_s += delay_s
        if self._at_s <= self._loop.time():
            self._busy += 1
            if self._busy >= _BUSY_WRITES_MAX:
                self._busy = 0
                await asyncio.sleep(0)
            return not self._listener.done()
        self._busy = 0
        self._waiter = self._loop.create_future()
        timer = None if self._at_s == math.inf else self._loop.call_at(self._at_s, self._wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        return not self._listener.done()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def _send_head(
    send: Send, status: int, headers: tuple[tuple[str, str], ...], content_length: int | None
) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    if content_length is not None:
        pairs.append((b"content-length", b"%d" % content_length))
    await send({"type": "http.response.start", "status": status, "headers": pairs})


# --- serving ----------------------------------------------------------------------------------------


def run_twin(
    host: str = "127.0.0.1",
    port: int = 8500,
    key: str | None = None,
    *,
    now_s: Callable[[], float] = _epoch_s,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until a signal ends it. announce: is told the address once connections are taken.

    Raises OSError if the address cannot be had.
    """
    with listen(host, port) as listener:
        if announce is not None:
            announce(address(listener))
        twin_server(Twin(key=key, now_s=now_s)).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; `port` 0 takes any free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def address(listener: socket.socket) -> str:
    """Where it listens, as `http://host:port`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def twin_server(twin: Twin) -> uvicorn.Server:
    """A server for sockets that already listen."""
    import uvicorn  # only who serves pays for it

    return uvicorn.Server(
        uvicorn.Config(
            twin,
            http=_protocol(),
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=300,
            timeout_graceful_shutdown=1,
        )
    )


def _protocol() -> type[asyncio.Protocol]:
    """uvicorn's protocol on httptools with one extension: a call may break its connection.

    ASGI has no word for that, and a twin that cannot break off is of no use.
    """
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class _Breakable(HttpToolsProtocol):
        def on_message_begin(self) -> None:
            super().on_message_begin()
            scope = cast("Scope", self.scope)
            scope["extensions"] = {_BREAK: self._break}

        def _break(self) -> None:
            """What was written still goes out; the end of the message never comes."""
            if self.cycle is not None:
                self.cycle.disconnected = True  # so that uvicorn adds no answer of its own
            self.transport.close()

    return _Breakable
