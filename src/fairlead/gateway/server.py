"""The HTTP server in front of the data plane: uvicorn, with the bounds it leaves to others.

uvicorn bounds neither the size of a request's head nor the time it may take to arrive. Both are added
here, at no cost for the usual request whose head comes in one piece.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fairlead.gateway.app import AsgiApp

__all__ = ["HEAD_S", "ServerBounds", "StopOrder", "serve"]

SETTLE_S: Final = 10.0  # for calls that are cut short to record what they used
LINGER_S: Final = 2.0  # after a refusal, for a caller to stop sending and read it
HEAD_S: Final = 30.0  # a slow mobile network needs a few seconds; a slow-loris attack needs more
IDLE_S: Final = 75.0  # longer than the usual 60 s of load balancers, so that they close first

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)
_TOO_LARGE_BODY: Final = (
    b'{"error":{"code":431,"message":"The request line and headers are larger than %d bytes.",'
    b'"metadata":{"error_type":"invalid_request"}}}'
)


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound on the size and the time of a request's head."""

    _head_bytes = 0
    _is_in_head = False
    _is_refused = False
    _head_timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, head_bytes_max: int, **named: Any) -> None:  # noqa: ANN401 — uvicorn's own
        super().__init__(*arguments, **named)
        self._head_bytes_max = head_bytes_max

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._head_bytes_max:
                self._refuse()
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def _refuse(self) -> None:
        """Say why, and read on for a while: closed with bytes unread, the connection would be reset, and
        the caller would see that in place of our words."""
        self._is_refused = True
        self._disarm()
        body = _TOO_LARGE_BODY % self._head_bytes_max
        self.transport.write(_TOO_LARGE % (len(body), body))
        self.transport.write_eof()
        self._head_timer = self.loop.call_later(LINGER_S, self._head_is_late)

    def on_message_begin(self) -> None:
        self._is_in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._disarm()
        super().on_headers_complete()

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()


@dataclass(frozen=True, slots=True)
class ServerBounds:
    """head_bytes_max: of a request line and its headers.
    drain_s: how long running calls may take to finish once we are told to stop.
    """

    head_bytes_max: int = 64 * 1024
    drain_s: float = 30.0
    backlog: int = 2048


class StopOrder:
    """Told once, we stop and let running calls finish; told again, we do not wait for them."""

    def __init__(self) -> None:
        self.is_given = asyncio.Event()
        self.is_repeated = asyncio.Event()

    def give(self) -> None:
        if self.is_given.is_set():
            self.is_repeated.set()
        self.is_given.set()


class _Server(uvicorn.Server):
    """Tells when it listens, and leaves signals to whoever started the loop."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:  # noqa: ANN401 — uvicorn's own signature
        yield


async def serve(
    app: AsgiApp,
    listener: socket.socket,
    *,
    bounds: ServerBounds,
    stop: StopOrder,
    on_ready: Callable[[], None],
) -> None:
    """Serve on `listener` until told to stop, then let running calls finish."""
    config = uvicorn.Config(
        app,
        http=functools.partial(BoundedHttpProtocol, head_bytes_max=bounds.head_bytes_max),  # type: ignore[arg-type] # called like the class
        ws="none",
        loop="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(IDLE_S),
        timeout_graceful_shutdown=max(1, round(bounds.drain_s)),
        backlog=bounds.backlog,
    )
    server = _Server(config, on_ready)

    async def follow_orders() -> None:
        await stop.is_given.wait()
        server.should_exit = True
        await stop.is_repeated.wait()
        server.force_exit = True

    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow_orders())
        await server.serve(sockets=[listener])
        following.cancel()
    await _end_what_is_left(server)


async def _end_what_is_left(server: uvicorn.Server) -> None:
    """Calls that outlived the drain are cancelled, and waited for: each still settles itself."""
    left = set(server.server_state.tasks)
    for task in left:
        if (
            not task.cancelling()
        ):  # a second order would interrupt the settling that the first began
            task.cancel()
    if left:
        await asyncio.wait(left, timeout=SETTLE_S)
    for connection in list(server.server_state.connections):
        connection.transport.close()
