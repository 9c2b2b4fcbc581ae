"""How a body is poured by a client that can only be read: a loop over its `read`, with the pause in between.

Our own client does not need it. aiohttp and the in-process upstreams do: their pieces come from a coroutine,
so a task wakes up for each of them, and what is left to write once is the order of pausing, deadlines and
closing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

from fairlead.gateway.upstream import Phase, TransportFailure

__all__ = ["ReadPour"]


class _Readable(Protocol):
    """The exchange as the pour sees it. set_deadline: what `expire_at` does besides telling the pour."""

    async def read(self) -> bytes: ...

    def set_deadline(self, at_s: float, phase: Phase) -> None: ...

    def close(self) -> None: ...


class ReadPour:
    """The pouring side of one exchange: `Exchange.pour`, `pause` and `resume`."""

    __slots__ = (
        "_between_s",
        "_exchange",
        "_is_closed",
        "_is_paused",
        "_is_pouring",
        "_loop",
        "_phase",
        "_until_s",
        "_waiter",
    )

    def __init__(self, exchange: _Readable, loop: asyncio.AbstractEventLoop) -> None:
        self._exchange = exchange
        self._loop = loop
        self._between_s = math.inf
        self._until_s = math.inf
        self._phase = Phase.TOTAL
        self._is_closed = False
        self._is_paused = False
        self._is_pouring = False
        self._waiter: asyncio.Future[None] | None = None

    async def run(self, take: Callable[[bytes], None], *, between_s: float, until_s: float) -> None:
        """See `Exchange.pour`."""
        assert not self._is_pouring, "an exchange has exactly one reader"
        self._is_pouring = True
        self._between_s, self._until_s, self._phase = between_s, until_s, Phase.TOTAL
        try:
            while True:
                await self._until_resumed()
                self._move_deadline()
                piece = await self._exchange.read()
                if not piece:
                    return
                await self._until_resumed()
                take(piece)
        except BaseException:
            self._exchange.close()
            raise
        finally:
            self._is_pouring = False

    def pause(self) -> None:
        """See `Exchange.pause`."""
        self._is_paused = True
        self._move_deadline()

    def resume(self) -> None:
        """See `Exchange.resume`."""
        if self._is_paused:
            self._is_paused = False
            self._move_deadline()
            self._wake()

    def expire_at(self, at_s: float, phase: Phase) -> None:
        """See `Exchange.expire_at`; the exchange passes it on."""
        self._between_s, self._until_s, self._phase = math.inf, at_s, phase
        self._wake()
        self._exchange.set_deadline(at_s, phase)

    def close(self) -> None:
        """The exchange is closed: a paused pour waits no longer."""
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _until_resumed(self) -> None:
        while self._is_paused:
            if self._is_closed:
                raise TransportFailure(
                    "the answer was closed before all of it was taken", phase=Phase.READ
                )
            waiter = self._waiter = self._loop.create_future()
            timer = (
                None if self._until_s == math.inf else self._loop.call_at(self._until_s, self._wake)
            )
            try:
                await waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
            if self._loop.time() >= self._until_s:
                raise TransportFailure(
                    f"the answer was not taken within the time-out '{self._phase}'",
                    phase=self._phase,
                    timed_out=True,
                )

    def _move_deadline(self) -> None:
        if not self._is_pouring:
            return
        silent_s = self._loop.time() + self._between_s
        if silent_s < self._until_s and not self._is_paused:
            self._exchange.set_deadline(silent_s, Phase.BETWEEN_TOKENS)
        else:
            self._exchange.set_deadline(self._until_s, self._phase)
