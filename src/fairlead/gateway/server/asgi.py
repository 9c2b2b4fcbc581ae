"""An ASGI app on our server: the control plane's pages and API are written for a framework."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fairlead.core.errors import RequestInvalid
from fairlead.gateway.caller_side import CallerApp, CallerSide, header_lines

__all__ = ["AsgiApp", "Receive", "Scope", "Send", "asgi"]

_log = logging.getLogger(__name__)

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
            _log.exception("An ASGI application failed.")
        if side.has_left or side.is_complete:
            return
        if not side.has_started:
            side.answer(500, b"content-type: text/plain\r\n", b"Internal Server Error")
        else:
            side.abort()

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
        if not self._has_told_the_end and not side.has_left:
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
            return
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(bytes(k), bytes(v)) for k, v in message.get("headers", ())]
            return
        assert self._headers is not None, "a body before the start of a response"
        body, has_more = message.get("body", b""), message.get("more_body", False)
        if not self._is_streaming:
            if not has_more:
                head = header_lines(h for h in self._headers if h[0].lower() != b"content-length")
                side.answer(self._status, head, body)
                self._has_left.set()
                return
            self._is_streaming = True
            side.stream(header_lines(self._headers), status=self._status)
        if has_more:
            if body:
                side.write(body)
                await side.relief()
        else:
            side.end(body)
            self._has_left.set()
