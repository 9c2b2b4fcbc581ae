"""Browser apps may call the API from any origin: they bring a key of their own, and we set no cookie there.

A preflight is answered here for every path of the API, also those that the data plane serves.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["AnyOrigin"]

_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_HEADERS_USUAL: Final = "authorization, content-type, http-referer, x-title"
_HEADERS_EXPOSED: Final = "x-generation-id, retry-after, etag"
_PREFLIGHT_AGE_S: Final = 86_400  # browsers cap it lower


class AnyOrigin:
    """Around the API. Credentials in the browser's sense (cookies) are never allowed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            await _preflight(Headers(scope=scope))(scope, receive, send)
            return

        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["access-control-allow-origin"] = "*"
                headers["access-control-expose-headers"] = _HEADERS_EXPOSED
            await send(message)

        await self._app(scope, receive, send_allowed)


def _preflight(request: Headers) -> Response:
    asked = request.get("access-control-request-headers", _HEADERS_USUAL)
    return Response(
        status_code=204,
        headers={
            "allow": _METHODS,
            "access-control-allow-origin": "*",
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": asked,
            "access-control-max-age": str(_PREFLIGHT_AGE_S),
            "vary": "access-control-request-headers",
        },
    )
