"""`/models`: what can be called, with filters and sorts. `/models/feed.xml`: the first of the same list."""

from __future__ import annotations

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.web.pages import model_list
from fairlead.web.pages.model_choices import CHOICES_FIRST
from fairlead.web.pages.model_list import Listing
from fairlead.web.pages.site import Site

__all__ = ["models_pages"]


def models_pages(site: Site) -> list[Route]:

    async def models(request: Request) -> Response:
        visitor = await site.visitor(request)
        listing = await _listing(request)
        return await site.page(
            request,
            "models/list.html",
            visitor,
            title="Models",
            description="Every model that can be called here, with its price, context and abilities.",
            section="models",
            fragment="models/results.html",
            feed=listing.feed,
            # Only the whole list is worth finding; there are endless ways to cut it.
            is_indexed=not request.query_params,
            listing=listing,
            choices_first=CHOICES_FIRST,
        )

    async def feed(request: Request) -> Response:
        listing = await _listing(request)
        return await site.feed(
            "models/feed.xml",
            rows=listing.rows,
            origin=site.origin(request),
            to_chat=request.query_params.get("use_rss_chat_links") == "true",
        )

    async def _listing(request: Request) -> Listing:
        catalogue = await site.catalogue.current()
        query = request.query_params
        return await run_in_threadpool(
            partial(
                model_list.listing,
                catalogue,
                query,
                now_s=site.services.clock.now_s(),
                measured=await site.measuring.needed(query),
            )
        )

    return [Route("/models", models), Route("/models/feed.xml", feed)]
