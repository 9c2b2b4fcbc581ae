"""Is the process up, can it serve, and what has it counted."""

from __future__ import annotations

from hmac import compare_digest
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fairlead.core.errors import PermissionDenied
from fairlead.web.answers import answer
from fairlead.web.services import WebServices

__all__ = ["health_routes"]

_PROMETHEUS_TEXT = "text/plain; version=0.0.4"


def health_routes(services: WebServices) -> list[Route]:
    async def healthz(_request: Request) -> Response:
        return answer({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        """503 tells a load balancer to send calls elsewhere; the process is well all the same."""
        if services.is_ready():
            return answer({"status": "ready", "catalog": services.catalog.snapshot.version})
        response = answer({"status": "not ready"})
        response.status_code = 503
        return response

    async def metrics(request: Request) -> Response:
        if not _may_see_metrics(request, services.metrics_token):
            raise PermissionDenied(
                "Metrics are for this machine, or for the bearer of their token."
            )
        return PlainTextResponse(services.metrics(), media_type=_PROMETHEUS_TEXT)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def _may_see_metrics(request: Request, token: str | None) -> bool:
    if token is not None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and compare_digest(given.encode(), token.encode())
    # Behind a proxy on this machine everyone comes from it; such a request is not local.
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False
