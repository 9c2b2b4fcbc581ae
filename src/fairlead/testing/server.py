"""A server in memory for one test: an app, callers on lines, virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from fairlead.gateway.caller_side import CallerApp, CallerSide
from fairlead.gateway.server.connection import Connections, ServerBounds
from fairlead.testing.caller_line import CallerLine, Reader
from fairlead.testing.vtime import run_simulated

__all__ = ["Echo", "ServerInMemory", "request", "served", "served_by"]

WALL_S = 1_767_225_600.0


@dataclass(slots=True)
class Seen:
    """One request, as the app saw it."""

    method: str
    path: str
    query: bytes
    body: bytes


@dataclass(slots=True)
class Echo:
    """Answers each request with its body; remembers them."""

    seen: list[Seen] = field(default_factory=list)
    bytes_max: int = 1 << 20

    async def __call__(self, side: CallerSide) -> None:
        body = await side.body(self.bytes_max)
        self.seen.append(Seen(side.method, side.path, side.query, body))
        side.answer(200, b"content-type: text/plain\r\n", body)


class ServerInMemory:
    def __init__(self, app: CallerApp, bounds: ServerBounds | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.connections = Connections(app, bounds or ServerBounds(), loop, lambda: WALL_S)

    def line(self, reader: Reader | None = None) -> CallerLine:
        return CallerLine(self.connections, reader or Reader())


def served(
    app: CallerApp,
    scenario: Callable[[ServerInMemory], Awaitable[None]],
    **bounds: Any,  # noqa: ANN401 — those of `ServerBounds`
) -> None:
    """Run a scenario against an app; nothing may be left of it when all its callers are gone."""

    async def main() -> None:
        server = ServerInMemory(app, ServerBounds(**bounds))
        await scenario(server)
        for connection in list(server.connections.open):
            connection.abort()
        while server.connections.open or server.connections.tasks:
            await server.connections.change()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_simulated(main())


def served_by(
    answer: Callable[[CallerSide], Coroutine[Any, Any, None]],
    data: bytes,
    **bounds: Any,  # noqa: ANN401
) -> CallerLine:
    """One request, served to its end."""
    lines: list[CallerLine] = []

    async def scenario(server: ServerInMemory) -> None:
        line = server.line()
        lines.append(line)
        line.send(data)
        await line.is_over.wait()

    served(answer, scenario, **bounds)
    return lines[0]


def request(body: bytes = b"", *headers: str, target: str = "/", method: str = "POST") -> bytes:
    lines = "".join(f"{line}\r\n" for line in (f"content-length: {len(body)}", *headers))
    return f"{method} {target} HTTP/1.1\r\nhost: a\r\n{lines}\r\n".encode() + body
