"""The data plane as an ASGI app: the path picks the dialect; everything else goes to the control plane.

One table of paths, no framework: on the hot path a route is one dictionary look-up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fairlead.core.errors import MethodNotAllowed, Overloaded
from fairlead.dialects.base import Dialect
from fairlead.gateway.asgi import CallerSide, Receive, Scope, Send
from fairlead.gateway.pipeline import Services, refuse, serve_chat

__all__ = ["API_PREFIXES", "AsgiApp", "DataPlane", "Patience"]

API_PREFIXES: Final = ("/api/v1", "/v1")

AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and how many at once.

    keep_alive_s: silence in a stream before a comment is sent.
    stall_s: a caller who takes nothing for this long is taken for gone.
    calls_max: calls under way at once; more are refused with 503.
    """

    keep_alive_s: float = 10.0
    stall_s: float = 120.0
    calls_max: int = 16_384


class DataPlane:
    """Serves inference itself and hands every other path to `fallback`."""

    def __init__(
        self,
        services: Services,
        dialects: Mapping[str, Dialect],
        fallback: AsgiApp,
        patience: Patience,
    ) -> None:
        """dialects: path below the API base ("/chat/completions") to the dialect spoken there."""
        self._services = services
        # With and without a slash at the end: some clients join addresses carelessly.
        self._routes = {
            prefix + path + slash: dialect
            for path, dialect in dialects.items()
            for prefix in API_PREFIXES
            for slash in ("", "/")
        }
        self._fallback = fallback
        self._patience = patience
        self._calls = 0

    @property
    def calls_under_way(self) -> int:
        return self._calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        dialect = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if dialect is None or scope["method"] == "OPTIONS":
            await self._fallback(scope, receive, send)
            return
        side = CallerSide(
            scope,
            receive,
            send,
            loop=self._services.loop,
            keep_alive_s=self._patience.keep_alive_s,
            stall_s=self._patience.stall_s,
        )
        if scope["method"] != "POST":
            wrong = MethodNotAllowed(
                f"{scope['path']} takes POST, not {scope['method']}.", allowed=("POST",)
            )
            await refuse(side, dialect, wrong.problem(), None)
            return
        if self._calls >= self._patience.calls_max:
            full = Overloaded(f"{self._patience.calls_max} calls are under way here already.")
            await refuse(side, dialect, full.problem(), None)
            return
        self._calls += 1
        try:
            await serve_chat(side, dialect, self._services)
        finally:
            self._calls -= 1
