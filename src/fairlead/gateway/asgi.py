"""The caller's side of a call, on ASGI: read a bounded body, write an answer, notice a hang-up.

Only this file and `app.py` know ASGI. Theory of operation: one task serves the call. While it waits for
an upstream, a second one (the watch) listens for the caller leaving and, in a stream, sends a comment
when nothing was said for a while. The watch starts only after a moment, because most short calls are
over by then. When the caller leaves, the watch cancels the serving task and `has_left` says why, so that
a hang-up is told apart from a shutdown.

Two tasks may write to one connection, but only whole events, and the watch never while the serving task
is in the middle of a write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from fairlead.core.errors import PayloadTooLarge, RequestInvalid

__all__ = ["WATCH_AFTER_S", "CallerSide", "Receive", "Scope", "Send"]

# ASGI's own types: its messages are open dictionaries.
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

WATCH_AFTER_S: Final = 0.1  # a caller who left before is noticed then

RawHeaders = tuple[tuple[bytes, bytes], ...]


class CallerSide:
    """One call's connection to its caller. One serving task, one watch."""

    __slots__ = (
        "_keep_alive",
        "_keep_alive_s",
        "_last_sent_s",
        "_loop",
        "_receive",
        "_send",
        "_sending",
        "_serving",
        "_stall_s",
        "_stream_head",
        "_timer",
        "_watch",
        "has_left",
        "has_started",
        "headers",
        "is_complete",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        loop: asyncio.AbstractEventLoop,
        keep_alive_s: float,
        stall_s: float,
    ) -> None:
        """keep_alive_s: silence after which a stream gets a comment.
        stall_s: a caller who takes nothing for this long is taken for gone.
        """
        # Repeated headers: the last one counts; none that we read may repeat.
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        self._send = send
        self._loop = loop
        self._keep_alive_s = keep_alive_s
        self._stall_s = stall_s
        self._keep_alive = b""
        self._stream_head: RawHeaders = ()
        self._last_sent_s = 0.0
        self._sending = False
        self._serving: asyncio.Task[Any] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.has_left = False
        self.has_started = False
        self.is_complete = False

    def header(self, name: bytes) -> str | None:
        """A request header's text. name: lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def body(self, bytes_max: int) -> bytes:
        """The whole request body. Raises PayloadTooLarge, or RequestInvalid if it breaks off."""
        coding = self.headers.get(b"content-encoding", b"identity")
        if coding != b"identity":
            raise RequestInvalid(
                "The request body must come as it is, without a content-encoding such as gzip."
            )
        announced = self.headers.get(b"content-length")
        if announced is not None and len(announced) < 20 and int(announced) > bytes_max:
            raise _too_large(bytes_max)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.has_left = True
            raise RequestInvalid("The request body broke off.")
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            if len(body) > bytes_max:
                raise _too_large(bytes_max)
            return body
        pieces = [body]
        size = len(body)
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.has_left = True
                raise RequestInvalid("The request body broke off.")
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > bytes_max:
                raise _too_large(bytes_max)
            pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces)

    # --- writing ---

    async def answer(self, status: int, headers: RawHeaders, body: bytes) -> None:
        """A complete answer in one go."""
        self.has_started = True
        self.is_complete = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*headers, (b"content-length", b"%d" % len(body))],
            }
        )
        await self._send({"type": "http.response.body", "body": body})

    def stream(self, headers: RawHeaders, *, keep_alive: bytes) -> None:
        """The answer will be a stream. Nothing is sent yet, but from now on silence is filled.

        keep_alive: a comment; sending one begins the answer, with status 200.
        """
        self._stream_head = headers
        self._keep_alive = keep_alive

    async def write(self, data: bytes) -> None:
        """Some whole events. Waits while the caller reads slowly."""
        self._sending = True
        self._last_sent_s = self._loop.time()
        try:
            if not self.has_started:
                await self._start()
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        finally:
            self._sending = False

    async def end(self, data: bytes) -> None:
        """The last bytes of a stream."""
        self._sending = True
        self.is_complete = True
        self._last_sent_s = self._loop.time()
        if not self.has_started:
            await self._start()
        await self._send({"type": "http.response.body", "body": data})

    async def _start(self) -> None:
        self.has_started = True
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": self._stream_head}
        )

    # --- watching ---

    def watch(self) -> None:
        """Cancel the current task when the caller leaves. The body must have been read."""
        self._serving = asyncio.current_task(self._loop)
        self._timer = self._loop.call_later(WATCH_AFTER_S, self._begin_watch)

    async def unwatch(self) -> None:
        """The call is over: nobody watches any more."""
        self._serving = None
        if self._timer is not None:
            self._timer.cancel()
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.wait((watch,))

    def _begin_watch(self) -> None:
        # The call owns this task: `unwatch` ends it and waits for it.
        self._watch = self._loop.create_task(self._listen())

    async def _listen(self) -> None:
        self._last_sent_s = max(self._last_sent_s, self._loop.time() - WATCH_AFTER_S)
        while True:
            try:
                async with asyncio.timeout(self._until_next_look_s()):
                    message = await self._receive()
            except TimeoutError:
                if await self._look_after():
                    continue
            else:
                if message["type"] != "http.disconnect":
                    continue
            self.has_left = True
            if self._serving is not None and not self.is_complete:
                self._serving.cancel()
            return

    def _until_next_look_s(self) -> float:
        return max(self._keep_alive_s - (self._loop.time() - self._last_sent_s), 0.05)

    async def _look_after(self) -> bool:
        """Keep a silent stream alive. False: the caller takes nothing any more."""
        silent_s = self._loop.time() - self._last_sent_s
        if self._sending:
            return silent_s < self._stall_s
        if self._keep_alive and silent_s >= self._keep_alive_s and not self.is_complete:
            await self.write(self._keep_alive)
        elif silent_s >= self._keep_alive_s:
            self._last_sent_s = (
                self._loop.time()
            )  # nothing to say in a whole answer; look again later
        return True


def _too_large(bytes_max: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is larger than {bytes_max} bytes.")
