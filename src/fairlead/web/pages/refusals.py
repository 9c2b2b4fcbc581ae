"""Refusals as pages for people who look with a browser; programs get the error envelope of `answers.py`."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ExceptionHandler

from fairlead.core.errors import FairleadError, NotAuthenticated
from fairlead.observe.log import masked
from fairlead.web.answers import on_crash, on_expected, on_http
from fairlead.web.pages.notices import with_notice
from fairlead.web.pages.site import NOBODY, Site, Visitor

__all__ = ["page_refusals", "wants_page"]

_log = logging.getLogger(__name__)

_TITLES: Final = MappingProxyType(
    {
        400: "That cannot be asked like this",
        401: "Sign in first",
        402: "There is not enough credit",
        403: "You have no access to this",
        404: "There is nothing here",
        405: "This address does not take that",
        409: "Somebody was faster",
        410: "This is gone",
        413: "That is too much",
        422: "That does not fit",
        429: "Too many requests",
        500: "Something went wrong here",
        503: "We cannot tell at the moment",
    }
)
_CRASHED: Final = "It is not your fault, and it was logged. Try again in a moment."


def page_refusals(site: Site) -> dict[int | type[Exception], ExceptionHandler]:
    async def expected(request: Request, error: Exception) -> Response:
        assert isinstance(error, FairleadError)
        if not wants_page(request):
            return await on_expected(request, error)
        if isinstance(error, NotAuthenticated) and site.services.sessions is not None:
            return RedirectResponse(_sign_in(request), 303, {"cache-control": "no-store"})
        problem = error.problem()
        response = await _refusal(site, request, problem.status, masked(problem.message))
        response.headers.update(dict(problem.headers))
        return response

    async def unrouted(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if not wants_page(request):
            return await on_http(request, error)
        message = "The address may be mistyped, or what was here is gone."
        if error.status_code != 404:
            message = str(error.detail)
        response = await _refusal(site, request, error.status_code, message)
        response.headers.update(error.headers or {})
        return response

    async def crashed(request: Request, error: Exception) -> Response:
        if not wants_page(request):
            return await on_crash(request, error)
        try:
            return await _refusal(site, request, 500, _CRASHED)
        except Exception:  # noqa: BLE001 - this is the outermost edge
            # What broke the page broke this one, too.
            _log.exception("the page that says that a page failed failed")
            return await on_crash(request, error)

    return {FairleadError: expected, HTTPException: unrouted, Exception: crashed}


def wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _sign_in(request: Request) -> str:
    """With the way back; a form cannot be sent again, so after one that is told."""
    if request.method not in ("GET", "HEAD"):
        return with_notice("/sign-in", "form-lost")
    query = request.url.query
    own = f"{request.url.path}?{query}" if query else request.url.path
    return f"/sign-in?next={quote(own, safe='/')}"


async def _refusal(site: Site, request: Request, status: int, message: str) -> Response:
    return await site.page(
        request,
        "refusal.html",
        await _visitor(site, request),
        title=_TITLES.get(status, "That did not work"),
        is_indexed=False,
        status=status,
        code=status,
        message=message,
    )


async def _visitor(site: Site, request: Request) -> Visitor:
    """Nobody where that is what failed: a refusal is shown in any case."""
    try:
        return await site.visitor(request)
    except FairleadError:
        return NOBODY
