"""All of `/auth`."""

from __future__ import annotations

from starlette.routing import Route

from fairlead.web.auth.entering import entering_routes
from fairlead.web.auth.self_service import self_service_routes
from fairlead.web.auth.services import AuthServices
from fairlead.web.auth.sharing import sharing_routes

__all__ = ["auth_routes"]


def auth_routes(services: AuthServices) -> list[Route]:
    return [
        *entering_routes(services),
        *self_service_routes(services),
        *sharing_routes(services),
    ]
