"""The web edge as an ASGI app: everything that is not inference. Mounted behind the data plane.

    build_web_app(services)    the API under /api/v1 and /v1, health, and pages

Handlers speak to services (`services.py`) and hold no state but what was made ready for the snapshot in force.
Every refusal, whoever makes it, leaves in the one error envelope (`answers.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, ExceptionHandler

from fairlead.core.errors import FairleadError
from fairlead.web.answers import on_crash, on_expected, on_http
from fairlead.web.api.billing import billing_operations
from fairlead.web.api.byok import byok_operations
from fairlead.web.api.datasets import dataset_operations
from fairlead.web.api.generation_content import content_operations
from fairlead.web.api.generations import generation_operations
from fairlead.web.api.management import management_operations
from fairlead.web.api.models import model_routes
from fairlead.web.api.preferences import preference_operations
from fairlead.web.api.routing import routing_operations
from fairlead.web.api.usage import usage_operations
from fairlead.web.auth.app import auth_routes
from fairlead.web.cors import AnyOrigin
from fairlead.web.doors import Doors, peer_address
from fairlead.web.health import health_routes
from fairlead.web.hooks.payments import hook_routes
from fairlead.web.operations import operation_routes
from fairlead.web.pages.app import page_routes
from fairlead.web.pages.pretended_payment import pretended_payment_pages
from fairlead.web.pages.refusals import page_refusals
from fairlead.web.pages.site import Site
from fairlead.web.safety import SafeApplication
from fairlead.web.services import WebServices
from fairlead.web.sessions import Doorway

__all__ = ["build_web_app"]

API_PREFIXES: Final = ("/api/v1", "/v1")

_API_REFUSALS: Final[dict[int | type[Exception], ExceptionHandler]] = {
    FairleadError: on_expected,
    HTTPException: on_http,
    Exception: on_crash,
}


def build_web_app(services: WebServices) -> ASGIApp:
    """The app for all paths that the data plane does not serve itself."""
    operations = [
        *generation_operations(services),
        *content_operations(services.contents),
        *routing_operations(services),
        *byok_operations(services.byok),
        *preference_operations(services.accounts, services.catalog),
        *management_operations(services),
        *usage_operations(services),
        *dataset_operations(services),
        *billing_operations(services.billing),
    ]
    api_routes: list[Route] = [
        *model_routes(services),
        *operation_routes(
            operations,
            Doors(
                services.keys,
                services.sessions,
                place=peer_address if services.auth is None else _place(services.auth.doorway),
            ),
        ),
    ]
    # Errors are answered inside of `AnyOrigin`, so that browser apps may read them too.
    api = AnyOrigin(_application(Starlette, api_routes, _API_REFUSALS))
    site = Site.of(services, operations)
    return _application(
        SafeApplication,
        [
            *(Mount(prefix, api) for prefix in API_PREFIXES),
            *([] if services.auth is None else auth_routes(services.auth)),
            *hook_routes(services.billing),
            *pretended_payment_pages(site),
            *health_routes(services),
            *page_routes(site),
        ],
        page_refusals(site),
    )


def _place(doorway: Doorway) -> Callable[[Request], str]:
    return lambda request: doorway.place(request).address


def _application(
    kind: type[Starlette],
    routes: Sequence[BaseRoute],
    refusals: Mapping[int | type[Exception], ExceptionHandler],
) -> Starlette:
    app = kind(routes=routes, exception_handlers=dict(refusals))
    app.router.redirect_slashes = False  # a path is right or it is 404
    return app
