"""The sandbox in process: an upstream client that needs no network, no key and no task.

It is one more implementation behind `gateway/upstream.py`, chosen by the URL scheme `sandbox`. Time is
the event loop's; everything that waits is one timer and one future on the reader's own task, so a
cancelled or closed exchange leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from fairlead.gateway.upstream import Exchange, HeaderView, Phase, TransportFailure
from fairlead.gateway.upstream_pour import ReadPour
from fairlead.providers.base import UpstreamRequest
from fairlead.sandbox.perform import Ending, Incoming, Performance, Situation, respond

__all__ = ["SANDBOX_URL", "SandboxClient"]

SANDBOX_URL: Final = "sandbox://local/v1"
_READ_BYTES_MAX: Final = 64 * 1024  # of one read, however much is due


class SandboxClient:
    """An `UpstreamClient`. now_s: wall clock, for the creation times in answers; run: see `Label`."""

    def __init__(self, *, now_s: Callable[[], float], run: str = "sandbox", seed: int = 0) -> None:
        self._now_s = now_s
        self._run = run
        self._seed = seed
        self._calls = 0
        self._open: set[_SandboxExchange] = set()

    async def send(self, request: UpstreamRequest, *, expire_at_s: float) -> Exchange:
        url = urlsplit(request.url)
        performance = respond(
            Incoming(
                method=request.method,
                path=url.path,
                headers={name.lower(): value for name, value in request.headers},
                body=request.body,
                query=url.query,
            ),
            Situation(
                number=self._calls,
                run=self._run,
                created_s=int(self._now_s()),
                seed=self._seed,
                any_model=False,
            ),
        )
        self._calls += 1
        exchange = _SandboxExchange(performance, expire_at_s, self._open.discard)
        self._open.add(exchange)
        try:
            await exchange.wait_for_head()
        except BaseException:
            exchange.close()
            raise
        return exchange

    @property
    def open_count(self) -> int:
        """Exchanges neither read to their end nor closed."""
        return len(self._open)

    async def aclose(self) -> None:
        for exchange in tuple(self._open):
            exchange.close()


class _Headers:
    """A `HeaderView` over the few headers of a performance."""

    def __init__(self, items: tuple[tuple[str, str], ...]) -> None:
        self._items = items

    def get(self, name: str) -> str | None:
        return next((value for known, value in self._items if known == name), None)

    def items(self) -> list[tuple[str, str]]:
        return list(self._items)


class _SandboxExchange:
    """One answer in progress.

    `_due_at_s` is when the held chunk may be read. A wait is a future and a timer set to the earlier of
    that and the deadline; moving the deadline or closing wakes the waiter, who looks again.
    """

    def __init__(
        self,
        performance: Performance,
        expire_at_s: float,
        forget: Callable[[_SandboxExchange], None],
    ) -> None:
        self.status = performance.status
        self.headers: HeaderView = _Headers(performance.headers)
        self._performance = performance
        self._loop = asyncio.get_running_loop()
        self._forget = forget
        self._pour = ReadPour(self, self._loop)
        self._deadline_s = expire_at_s
        self._phase = Phase.FIRST_TOKEN
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._finished = False
        self._held = b""  # the next chunk, perhaps not due yet
        self._due_at_s = self._loop.time() + performance.head_after_s

    async def wait_for_head(self) -> None:
        """Raises TransportFailure: the connection closed, or the deadline passed."""
        if self._performance.dropped:
            raise self._broken("the sandbox closed the connection without an answer")
        await self._until_due()

    async def read(self) -> bytes:
        """All that is due, up to a bound."""
        if self._finished:
            return b""
        if not self._held and not self._hold_next():
            return await self._end()
        await self._until_due()
        parts = [self._held]
        size = len(self._held)
        self._held = b""
        while size < _READ_BYTES_MAX and self._hold_next():
            if self._due_at_s > self._loop.time():
                break
            parts.append(self._held)
            size += len(self._held)
            self._held = b""
        return b"".join(parts)

    def take_whole(self) -> None:
        return None

    async def read_all(self, bytes_max: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := await self.read():
            size += len(part)
            if size > bytes_max:
                self.close()
                raise TransportFailure(
                    f"the answer is longer than {bytes_max} bytes", phase=Phase.READ
                )
            parts.append(part)
        return b"".join(parts)

    async def pour(
        self, take: Callable[[bytes], None], *, between_s: float, until_s: float
    ) -> None:
        await self._pour.run(take, between_s=between_s, until_s=until_s)

    def pause(self) -> None:
        self._pour.pause()

    def resume(self) -> None:
        self._pour.resume()

    def expire_at(self, at_s: float, phase: Phase) -> None:
        self._pour.expire_at(at_s, phase)

    def set_deadline(self, at_s: float, phase: Phase) -> None:
        """As `expire_at`; a pour goes on as it was."""
        self._deadline_s, self._phase = at_s, phase
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._forget(self)
        self._pour.close()
        self._wake()

    # --- waiting ---

    def _hold_next(self) -> bool:
        """Take the next chunk that has bytes; it is due its delay after the one before was."""
        for delay_s, chunk in self._performance.chunks:
            self._due_at_s += delay_s
            if chunk:
                self._held = chunk
                return True
        return False

    async def _end(self) -> bytes:
        match self._performance.ending:
            case Ending.CUT:
                raise self._broken("the sandbox broke the connection in the middle of its answer")
            case Ending.HANG:
                self._due_at_s = math.inf
                await self._until_due()
        self._finished = True
        self._forget(self)
        return b""

    async def _until_due(self) -> None:
        while True:
            if self._closed:
                raise TransportFailure("the exchange was closed", phase=Phase.READ)
            now_s = self._loop.time()
            if self._due_at_s <= now_s:
                return
            if self._deadline_s <= now_s:
                self.close()
                raise TransportFailure(
                    f"the sandbox did not answer in time ({self._phase.value})",
                    phase=self._phase,
                    timed_out=True,
                )
            await self._sleep_until(min(self._due_at_s, self._deadline_s))

    async def _sleep_until(self, at_s: float) -> None:
        self._waiter = self._loop.create_future()
        # A far-away wake-up is harmless: the deadline is looked at again, and close() wakes at once.
        timer = None if at_s == math.inf else self._loop.call_at(at_s, self._wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _broken(self, message: str) -> TransportFailure:
        self.close()
        return TransportFailure(message, phase=Phase.READ)
