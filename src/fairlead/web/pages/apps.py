"""`/apps`: the apps that say who they are, those with the most tokens or those that grow most.
`/apps?url=`: one of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.standings.service import Standings
from fairlead.control.standings.types import AppStanding, Rankings, Subject
from fairlead.control.usage.apps import claim
from fairlead.core.errors import NotFound
from fairlead.core.generation import Attribution
from fairlead.web.pages import apps_view, ranking_view
from fairlead.web.pages.apps_view import AppQuestion
from fairlead.web.pages.rankings import standings_desk
from fairlead.web.pages.site import Site
from fairlead.web.remembered import Remembered

__all__ = ["apps_pages"]


def apps_pages(site: Site) -> list[Route]:
    pages = _Pages(site)
    return [Route("/apps", pages.apps)]


class _Pages:
    def __init__(self, site: Site) -> None:
        self._site = site
        clock = site.services.clock
        self._listed: Remembered[Rankings] = Remembered(clock)
        self._standings: Remembered[AppStanding | None] = Remembered(clock)

    async def apps(self, request: Request) -> Response:
        question = apps_view.app_question(request.query_params)
        if "url" in request.query_params:
            return await self._one_app(request, question)
        return await self._all_apps(request, question)

    async def _all_apps(self, request: Request, question: AppQuestion) -> Response:
        visitor = await self._site.visitor(request)
        desk = standings_desk(self._site)
        counted = await self._listed.get(
            (question.period, question.category, question.is_trending),
            lambda: desk.do(partial(_ranked, desk.service, question)),
        )
        return await self._site.page(
            request,
            "apps/list.html",
            visitor,
            title="Apps",
            description="Apps that call models here, by the tokens that they use.",
            section="apps",
            is_indexed=not request.query_params,
            question=question,
            lines=apps_view.app_lines(counted),
            cut=ranking_view.left_out(counted),
            origin=self._site.origin(request),
        )

    async def _one_app(self, request: Request, question: AppQuestion) -> Response:
        visitor = await self._site.visitor(request)
        claimed = claim(Attribution(referer=question.url))
        standing = None
        if claimed is not None and claimed.is_public:
            desk = standings_desk(self._site)
            standing = await self._standings.get(
                (claimed.identity, question.period),
                lambda: desk.do(partial(desk.service.app, claimed.identity, question.period)),
            )
        if standing is None:
            raise NotFound("No app of that address has called models here.")
        return await self._site.page(
            request,
            "apps/app.html",
            visitor,
            title=standing.app.title,
            description="What an app calls here.",
            section="apps",
            scripts=("charts",),
            standing=standing,
            host=ranking_view.app_host(standing.app),
            categories=apps_view.categories_of(standing.app.categories),
            chart=ranking_view.days_chart(standing),
            lines=ranking_view.model_lines(standing.models, self._site.services.catalog.snapshot),
            question=replace(question, url=standing.app.address, category=""),
        )


def _ranked(standings: Standings, question: AppQuestion) -> Rankings:
    category = question.category or None
    if question.is_trending:
        return standings.trending_apps(question.period, category=category)
    return standings.rankings(Subject.APP, question.period, category=category)
