"""`/docs/...`: the documentation of this version, with the address of this installation in its examples.

A page is rendered from Markdown by the first who reads it, and kept: the files do not change while a process
lives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.errors import NotFound
from fairlead.web.pages.docs_rendering import Heading, Rendered, here, render
from fairlead.web.pages.docs_search import HITS_MAX, Hit, Passage, found, passages_of
from fairlead.web.pages.docs_shelf import PAGES_MAX, DocPage, Shelf, read_shelf
from fairlead.web.pages.site import Site

__all__ = ["documentation_pages"]

_IMAGE_HEADERS: Final = {
    "cache-control": "public, max-age=3600",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A page as it is shown. before, after: what is read before and after it."""

    page: DocPage
    body: Markup
    headings: tuple[Heading, ...]
    before: DocPage | None
    after: DocPage | None


def documentation_pages(site: Site) -> list[Route]:
    shelf = read_shelf()
    rendered = _rendering(shelf)
    passages: Callable[[], tuple[Passage, ...]] = lru_cache(maxsize=1)(
        lambda: passages_of(page for section in shelf.sections for page in section.pages)
    )

    async def index(request: Request) -> Response:
        return await site.page(
            request,
            "docs/index.html",
            await site.visitor(request),
            title="Documentation",
            description="How to call models here, what it costs, and how this installation is run.",
            section="docs",
            shelf=shelf,
            current="",
        )

    async def search(request: Request) -> Response:
        query = request.query_params.get("q", "").strip()
        hits: tuple[Hit, ...] = await run_in_threadpool(lambda: found(passages(), query))
        return await site.page(
            request,
            "docs/search.html",
            await site.visitor(request),
            title="Search the documentation",
            section="docs",
            is_indexed=False,
            fragment="docs/results.html",
            shelf=shelf,
            current="",
            query=query,
            hits=hits,
            is_cut=len(hits) == HITS_MAX,
        )

    async def show(request: Request) -> Response:
        page = shelf.pages.get(request.path_params["page"])
        if page is None:
            raise NotFound("The documentation has no such page.")
        one = await run_in_threadpool(rendered, page.name)
        before, after = shelf.beside(page)
        body = here(one.body, site.origin(request)) if page.about_calls else one.body
        reading = Reading(page, body, one.headings, before, after)
        return await site.page(
            request,
            "docs/page.html",
            await site.visitor(request),
            title=page.title,
            section="docs",
            shelf=shelf,
            current=page.name,
            reading=reading,
        )

    async def image(request: Request) -> Response:
        body = shelf.images.get(request.path_params["name"])
        if body is None:
            raise NotFound("There is no such picture.")
        return Response(body, headers=_IMAGE_HEADERS, media_type="image/png")

    return [
        Route("/docs", index),
        Route("/docs/search", search),
        Route("/docs/images/{name}", image),
        Route("/docs/{page:path}", show),
    ]


def _rendering(shelf: Shelf) -> Callable[[str], Rendered]:
    """Renders a page by its name, once."""

    @lru_cache(maxsize=PAGES_MAX)
    def rendered(name: str) -> Rendered:
        return render(shelf.pages[name], shelf)

    return rendered
