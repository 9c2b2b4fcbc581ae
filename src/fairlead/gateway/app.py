"""The data plane: the path picks the dialect; everything else goes to the control plane.

One table of targets, no framework: on the hot path a route is one dictionary look-up.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from fairlead.core.errors import MethodNotAllowed, Overloaded
from fairlead.dialects.base import Dialect
from fairlead.gateway.caller_side import CallerApp, CallerSide
from fairlead.gateway.counting import CountDialect, serve_count
from fairlead.gateway.explaining import serve_explanation
from fairlead.gateway.pipeline import serve_chat
from fairlead.gateway.ports import Caller, Visitors
from fairlead.gateway.services import Services
from fairlead.gateway.telling import Refusing, refuse

__all__ = ["API_PREFIXES", "CALLS_MAX", "DataPlane"]

API_PREFIXES: Final = ("/api/v1", "/v1")
NO_COUNTERS: Final[Mapping[str, CountDialect]] = MappingProxyType({})
NOT_EXPLAINED: Final[Mapping[str, Dialect]] = MappingProxyType({})
NOT_OF_PAGES: Final[Mapping[str, Dialect]] = MappingProxyType({})
CALLS_MAX: Final = 16_384  # under way at once; more are refused with 503


_Served = tuple[Refusing, CallerApp]


class DataPlane:
    """Serves inference itself and hands every other path to `fallback`."""

    def __init__(
        self,
        services: Services,
        dialects: Mapping[str, Dialect],
        fallback: CallerApp,
        *,
        counters: Mapping[str, CountDialect] = NO_COUNTERS,
        explained: Mapping[str, Dialect] = NOT_EXPLAINED,
        of_pages: Mapping[str, Dialect] = NOT_OF_PAGES,
        visitors: Visitors | None = None,
        calls_max: int = CALLS_MAX,
    ) -> None:
        """dialects: path below the API base ("/chat/completions") to the dialect spoken there.
        counters: the same for paths that only count tokens. explained: for paths that only tell how a call
            would be routed. of_pages: whole paths, for calls from our own pages by `visitors`.
        """
        served: dict[str, _Served] = {}
        for path, dialect in dialects.items():
            served[path] = (dialect, partial(serve_chat, dialect=dialect, services=services))
        for path, dialect in explained.items():
            served[path] = (dialect, partial(serve_explanation, dialect=dialect, services=services))
        for path, counter in counters.items():
            served[path] = (counter, partial(serve_count, dialect=counter, services=services))
        # With and without a slash at the end: some clients join addresses carelessly.
        self._routes = {
            (prefix + path + slash).encode(): route
            for path, route in served.items()
            for prefix in API_PREFIXES
            for slash in ("", "/")
        }
        if visitors is not None:
            find = partial(_find_visitor, visitors)
            for path, dialect in of_pages.items():
                serve = partial(serve_chat, dialect=dialect, services=services, find_caller=find)
                self._routes[path.encode()] = (dialect, serve)
        self._fallback = fallback
        self._calls_max = calls_max
        self._calls = 0

    @property
    def calls_under_way(self) -> int:
        return self._calls

    def __call__(self, side: CallerSide) -> Coroutine[Any, Any, None]:
        route = self._routes.get(side.target) or self._routes.get(side.path.encode())
        if route is None or side.method == "OPTIONS":
            return self._fallback(side)
        return self._serve(side, *route)

    async def _serve(self, side: CallerSide, dialect: Refusing, serve: CallerApp) -> None:
        if side.method != "POST":
            wrong = MethodNotAllowed(
                f"{side.path} takes POST, not {side.method}.", allowed=("POST",)
            )
            refuse(side, dialect, wrong.problem(), None)
            return
        if self._calls >= self._calls_max:
            full = Overloaded(f"{self._calls_max} calls are under way here already.")
            refuse(side, dialect, full.problem(), None)
            return
        self._calls += 1
        try:
            await serve(side)
        finally:
            self._calls -= 1


async def _find_visitor(visitors: Visitors, side: CallerSide, _services: Services) -> Caller:
    return await visitors.find(side.fields, side.client)
