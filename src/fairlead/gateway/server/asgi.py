"""An ASGI app on our server: the control plane's pages and API are written for a framework."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from fairlead.core.errors import RequestInvalid
from fairlead.gateway.caller_side import CallerApp, CallerSide, header_lines

__all__ = ["AsgiApp", "Receive", "Scope", "Send", "asgi"]

_log = logging.getLogger(__name__)

# How a message ends and a connection goes on is the server's to say.
_OURS: Final = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})
_LENGTH: Final = b"content-length"

# ASGI's own types: its messages are open dictionaries.
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def asgi(app: AsgiApp) -> CallerApp:
    """`app` as our server calls it."""

    async def serve(side: CallerSide) -> None:
        call = _AsgiCall(side)
        try:
            await app(call.scope(), call.receive, call.send)
        except Exception:  # noqa: BLE001 — the outermost edge of a call: nothing may pass it
            if side.has_left:
                return  # most likely a framework's word for that
            _log.exception("An ASGI application failed.")
        if not side.has_started:
            side.answer(500, b"content-type: text/plain\r\n", b"Internal Server Error")

    return serve


class _AsgiCall:
    """One call, as ASGI's HTTP protocol (3.0) has it."""

    def __init__(self, side: CallerSide) -> None:
        self._side = side
        self._has_left = asyncio.Event()
        self._has_told_the_end = False
        self._status = 200
        self._headers: list[tuple[bytes, bytes]] | None = None
        self._is_streaming = False
        self._missing_bytes: int | None = None  # of a stream that has said its length
        side.on_leaving = self._has_left.set

    def scope(self) -> Scope:
        side = self._side
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": side.http_version,
            "method": side.method,
            "scheme": "http",
            "path": side.path,
            "raw_path": side.raw_path,
            "query_string": side.query,
            "root_path": "",
            "headers": side.fields,
            "client": side.client,
            "server": side.server,
        }

    async def receive(self) -> MutableMapping[str, Any]:
        side = self._side
        if not self._has_told_the_end and not side.has_left and not side.is_complete:
            try:
                piece = await side.piece()
            except RequestInvalid:
                return {"type": "http.disconnect"}
            self._has_told_the_end = side.is_whole
            return {"type": "http.request", "body": piece, "more_body": not side.is_whole}
        if not side.is_complete:
            await self._has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        side = self._side
        if side.has_left:
            raise OSError("the caller has left")  # as ASGI has it since 2.4: a stream ends with it
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = ((bytes(k).lower(), bytes(v)) for k, v in message.get("headers", ()))
            self._headers = [header for header in headers if header[0] not in _OURS]
            return
        assert self._headers is not None, "a body before the start of a response"
        body, has_more = message.get("body", b""), message.get("more_body", False)
        if self._is_streaming or has_more:
            await self._stream(body, has_more=has_more)
        else:
            says_more = side.method == "HEAD" and not body
            headers = (h for h in self._headers if h[0] != _LENGTH or says_more)
            side.answer(self._status, header_lines(headers), body)
        if side.is_complete:
            self._has_left.set()

    async def _stream(self, body: bytes, *, has_more: bool) -> None:
        side = self._side
        if not self._is_streaming:
            assert self._headers is not None
            self._is_streaming = True
            length = dict(self._headers).get(_LENGTH)
            if length is not None and side.method != "HEAD":
                self._missing_bytes = int(length)
            side.stream(header_lines(self._headers), status=self._status)
        if self._missing_bytes is not None:
            self._missing_bytes -= len(body)
            if self._missing_bytes < 0 or (self._missing_bytes and not has_more):
                # The caller would take what follows for the rest of it, or this rest for what follows.
                raise ValueError("a response is not as long as its content-length says")
        if not has_more:
            side.end(body)
        elif body:
            side.write(body)
            await side.relief()
