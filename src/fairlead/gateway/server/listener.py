"""The server: accepts connections, and stops in two steps.

Told once, it accepts no more, closes idle connections and lets running calls finish for as long as `drain_s`.
Told again, or after that time, running calls are cancelled and waited for, so that each settles itself.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from fairlead.gateway.caller_side import CallerApp
from fairlead.gateway.server.connection import Connections, ServerBounds

__all__ = ["StopOrder", "end_what_is_left", "serve"]


class StopOrder:
    """Told once, we stop and let running calls finish; told again, we do not wait for them."""

    def __init__(self) -> None:
        self.is_given = asyncio.Event()
        self.is_repeated = asyncio.Event()

    def give(self) -> None:
        if self.is_given.is_set():
            self.is_repeated.set()
        self.is_given.set()


async def serve(
    app: CallerApp,
    listener: socket.socket,
    *,
    bounds: ServerBounds,
    stop: StopOrder,
    on_ready: Callable[[], None],
    wall_s: Callable[[], float],
) -> None:
    """Serve on `listener` until told to stop, then let running calls finish."""
    loop = asyncio.get_running_loop()
    shared = Connections(app, bounds, loop, wall_s)
    server = await loop.create_server(shared.connection, sock=listener, backlog=bounds.backlog)
    try:
        on_ready()
        await stop.is_given.wait()
    finally:
        server.close()
        shared.is_draining = True
        for connection in list(shared.open):
            connection.drain()
    async with asyncio.TaskGroup() as tasks:
        impatience = tasks.create_task(stop.is_repeated.wait())
        leaving = tasks.create_task(_all_gone(shared))
        await asyncio.wait(
            (impatience, leaving), timeout=bounds.drain_s, return_when=asyncio.FIRST_COMPLETED
        )
        impatience.cancel()
        leaving.cancel()
    await end_what_is_left(shared)


async def _all_gone(shared: Connections) -> None:
    """Wait until every call is done and every connection closed."""
    while shared.open or shared.tasks:
        await shared.change()


async def end_what_is_left(shared: Connections) -> None:
    """Calls that outlived the drain are cancelled, and waited for: each still settles itself."""
    left = set(shared.tasks)
    for connection in shared.open:
        serving = connection.serving
        if serving is not None and serving.task is not None:
            left.add(serving.task)
    for task in left:
        # A second order would interrupt the settling that the first began.
        if not task.done() and not task.cancelling():
            task.cancel()
    if left:
        await asyncio.wait(left, timeout=shared.bounds.settle_s)
    for connection in list(shared.open):
        connection.abort()
    while shared.open:
        await shared.change()
