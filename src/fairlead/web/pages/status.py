"""`/status`: whether providers answer, as calls made here tell. `/status/feed.xml`: incidents as RSS."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.standings.service import Standings
from fairlead.control.standings.types import Window
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import NotFound
from fairlead.web.pages import status_view
from fairlead.web.pages.site import Site
from fairlead.web.pages.status_view import Status
from fairlead.web.remembered import Remembered

__all__ = ["status_pages"]


def status_pages(site: Site) -> list[Route]:
    remembered: Remembered[Status] = Remembered(site.services.clock)

    async def current() -> Status:
        desk = site.services.standings
        if desk is None:
            raise NotFound("Nothing is measured here.")
        snapshot = site.services.catalog.snapshot
        return await remembered.get(
            snapshot.version, lambda: desk.do(partial(_asked, desk.service, snapshot))
        )

    async def status(request: Request) -> Response:
        visitor = await site.visitor(request)
        return await site.page(
            request,
            "status/status.html",
            visitor,
            title="Status",
            description="Whether the providers answer, and when they did not, as calls made here tell.",
            feed="/status/feed.xml",
            status_now=await current(),
        )

    async def feed(request: Request) -> Response:
        now = await current()
        return await site.feed(
            "status/feed.xml",
            incidents=(*now.ongoing, *now.past),
            origin=site.origin(request),
        )

    return [Route("/status", status), Route("/status/feed.xml", feed)]


def _asked(standings: Standings, snapshot: Snapshot) -> Status:
    return status_view.status(
        snapshot,
        standings.provider_totals(Window.DAY),
        standings.provider_uptimes(Window.QUARTER),
        standings.incidents(),
    )
