"""All connections of one route: which one serves the next request, how many there may be, who waits.

Last in, first out: the connection used last is the least likely to have been closed by the peer, and the
surplus of a busy hour grows old and goes. Whoever finds the maximum reached waits in line until its own
deadline; a connection or its place goes straight to the first in line, so nobody overtakes.

open_count counts places: connections that live, are being dialled, or were promised to someone in line.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from fairlead.gateway.upstream import Limits, Phase, TransportFailure

if TYPE_CHECKING:
    from fairlead.gateway.http.connection import Connection
    from fairlead.gateway.http.dial import Dialler
    from fairlead.gateway.http.request_head import Route

__all__ = ["Origin"]


class Origin:
    """Owned by the client. `forgotten` is called when the last connection is gone."""

    __slots__ = (
        "_connections",
        "_dialler",
        "_dialling",
        "_forgotten",
        "_idle",
        "_is_shut",
        "_limits",
        "_loop",
        "_open_count",
        "_waiters",
        "route",
    )

    def __init__(
        self,
        route: Route,
        dialler: Dialler,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        forgotten: Callable[[Origin], None],
    ) -> None:
        self.route = route
        self._dialler = dialler
        self._loop = loop
        self._limits = limits
        self._forgotten = forgotten
        self._idle: list[Connection] = []
        self._connections: set[Connection] = set()
        self._dialling: set[asyncio.Timeout] = set()
        self._open_count = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._is_shut = False

    # ---- for the client -------------------------------------------------------------------------

    def take_idle(self) -> Connection | None:
        """The connection used last, if one is idle."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed:
                return connection
        return None

    async def open(self, expire_at_s: float) -> Connection:
        """A new connection; if there may be no more, the next one that becomes free.

        expire_at_s: event-loop time beyond which to give up. Raises TransportFailure (CONNECT).
        """
        if self._open_count >= self._limits.connections_per_host_max:
            connection = await self._wait_in_line(expire_at_s)
            if connection is not None:
                return connection
        else:
            self._open_count += 1
        return await self._dial(expire_at_s)

    def shut(self) -> None:
        """Close everything. Those who wait, dial or read get a TransportFailure."""
        self._is_shut = True
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(self._closed())
        for timeout in self._dialling:
            if not timeout.expired():
                timeout.reschedule(self._loop.time())
        for connection in list(self._connections):
            connection.shut()

    # ---- for the connections --------------------------------------------------------------------

    def release(self, connection: Connection) -> None:
        """The connection is free and healthy."""
        connection.rest()
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if len(self._idle) < self._limits.idle_per_host_max and not self._is_shut:
            self._idle.append(connection)
        else:
            connection.drop()

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        if connection not in self._connections:
            return  # it broke while it was being dialled, which frees its place itself
        self._connections.remove(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_place()

    # ---- details --------------------------------------------------------------------------------

    async def _dial(self, expire_at_s: float) -> Connection:
        """Use one place for a new connection, or free it."""
        give_up_at_s = min(self._loop.time() + self._limits.connect_s, expire_at_s)
        timeout = asyncio.timeout_at(None if give_up_at_s == math.inf else give_up_at_s)
        try:
            self._refuse_if_shut()
            async with timeout:
                self._dialling.add(timeout)
                connection = await self._dialler.dial(self)
            try:
                self._refuse_if_shut()
            except TransportFailure:
                connection.drop()
                raise
        except BaseException as error:
            self._free_place()
            if not isinstance(error, TimeoutError):
                raise
            if self._is_shut:
                raise self._closed() from None
            raise self._not_connected("no connection within the time-out 'connect'") from None
        finally:
            self._dialling.discard(timeout)
        self._connections.add(connection)
        return connection

    async def _wait_in_line(self, expire_at_s: float) -> Connection | None:
        """A free connection, or None with the right to one place."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        while True:
            try:
                async with asyncio.timeout_at(None if expire_at_s == math.inf else expire_at_s):
                    connection = await waiter
            except (TimeoutError, asyncio.CancelledError) as error:
                self._leave_line(waiter)
                if isinstance(error, TimeoutError):
                    raise self._not_connected("no connection became free in time") from None
                raise
            if connection is None or not connection.is_closed:
                return connection
            # It died between the promise and now. Its place is taken or free: look, or stay first in line.
            if self._open_count < self._limits.connections_per_host_max:
                self._open_count += 1
                return None
            waiter = self._loop.create_future()
            self._waiters.appendleft(waiter)

    def _leave_line(self, waiter: asyncio.Future[Connection | None]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif not waiter.cancelled() and waiter.exception() is None:  # promised, but too late
            connection = waiter.result()
            if connection is None:
                self._free_place()
            elif not connection.is_closed:
                self.release(connection)

    def _free_place(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._open_count -= 1
        if self._open_count == 0:
            self._forgotten(self)

    def _refuse_if_shut(self) -> None:
        if self._is_shut:
            raise self._closed()

    def _not_connected(self, reason: str) -> TransportFailure:
        return TransportFailure(
            f"{self.route.label}: {reason}", phase=Phase.CONNECT, timed_out=True, untouched=True
        )

    def _closed(self) -> TransportFailure:
        return TransportFailure("the client is closed", phase=Phase.CONNECT, untouched=True)
