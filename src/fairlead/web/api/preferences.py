"""`GET` and `PUT /preferences`: what an account wishes of routing, for all of its calls. Our own extension."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.accounts.preferences import PREFERENCES_BYTES_MAX
from fairlead.core.errors import PayloadTooLarge, PermissionDenied
from fairlead.web.answers import answer
from fairlead.web.services import WebServices

__all__ = ["preference_routes"]


def preference_routes(services: WebServices) -> list[Route]:
    preferences = services.preferences
    if preferences is None:
        return []

    async def routing_preferences(request: Request) -> Response:
        caller = await services.keys.authenticate(request.headers.get("authorization"))
        if request.method != "PUT":
            return _shown(await preferences.find(caller.account))
        # Every key can read; what holds for all keys of the account is not for one of them to change.
        if not caller.is_management:
            raise PermissionDenied("Only management keys can change preferences.")
        return _shown(await preferences.replace(caller.account, await _body(request)))

    return [Route("/preferences", routing_preferences, methods=["GET", "PUT"])]


def _shown(text: bytes) -> Response:
    return answer({"data": msgspec.Raw(text)})


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > PREFERENCES_BYTES_MAX:
            raise PayloadTooLarge(f"Preferences have at most {PREFERENCES_BYTES_MAX} bytes.")
    return bytes(body)
