"""`/docs/...`: the documentation of this version, with the address of this installation in its examples.

A page is rendered from Markdown by the first who reads it, and kept: the files do not change while a process
lives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

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
    it = _Documentation(site, read_shelf())
    return [
        Route("/docs", it.index),
        Route("/docs/search", it.search),
        Route("/docs/images/{name}", it.image),
        Route("/docs/{page:path}", it.page),
    ]


class _Documentation:
    def __init__(self, site: Site, shelf: Shelf) -> None:
        self._site = site
        self._shelf = shelf
        self._rendered = _rendering(shelf)
        self._passages = _reading_passages(shelf)

    async def index(self, request: Request) -> Response:
        return await self._page(
            request,
            "docs/index.html",
            title="Documentation",
            description="How to call models here, what it costs, and how this installation is run.",
        )

    async def search(self, request: Request) -> Response:
        query = request.query_params.get("q", "").strip()
        hits: tuple[Hit, ...] = await run_in_threadpool(lambda: found(self._passages(), query))
        return await self._page(
            request,
            "docs/search.html",
            title="Search the documentation",
            is_indexed=False,
            fragment="docs/results.html",
            query=query,
            hits=hits,
            is_cut=len(hits) == HITS_MAX,
        )

    async def page(self, request: Request) -> Response:
        page = self._shelf.pages.get(request.path_params["page"])
        if page is None:
            raise NotFound("The documentation has no such page.")
        one = await run_in_threadpool(self._rendered, page.name)
        before, after = self._shelf.beside(page)
        body = here(one.body, self._site.origin(request)) if page.about_calls else one.body
        reading = Reading(page, body, one.headings, before, after)
        return await self._page(
            request, "docs/page.html", title=page.title, current=page.name, reading=reading
        )

    async def image(self, request: Request) -> Response:
        body = self._shelf.images.get(request.path_params["name"])
        if body is None:
            raise NotFound("There is no such picture.")
        return Response(body, headers=_IMAGE_HEADERS, media_type="image/png")

    async def _page(
        self,
        request: Request,
        template: str,
        *,
        title: str,
        current: str = "",
        **shown: Any,  # noqa: ANN401 - as `Site.page` takes it
    ) -> Response:
        """current: the name of the page that is read."""
        visitor = await self._site.visitor(request)
        return await self._site.page(
            request, template, visitor, title=title, section="docs", shelf=self._shelf,
            current=current, **shown,
        )  # fmt: skip


def _reading_passages(shelf: Shelf) -> Callable[[], tuple[Passage, ...]]:
    """What is searched, read once."""

    @lru_cache(maxsize=1)
    def passages() -> tuple[Passage, ...]:
        return passages_of(page for section in shelf.sections for page in section.pages)

    return passages


def _rendering(shelf: Shelf) -> Callable[[str], Rendered]:
    """Renders a page by its name, once."""

    @lru_cache(maxsize=PAGES_MAX)
    def rendered(name: str) -> Rendered:
        return render(shelf.pages[name], shelf)

    return rendered
