"""`/rankings`: which models, authors, apps and categories are used most, and how that changed.
`/apps`: the apps that say who they are; `/apps?url=`: one of them."""

from __future__ import annotations

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.standings.service import Standings
from fairlead.control.standings.types import AppStanding, Rankings, Shares, Subject
from fairlead.control.usage.apps import CATEGORIES, CATEGORY_GROUPS, claim
from fairlead.core.errors import NotFound
from fairlead.core.generation import Attribution
from fairlead.web.asking import Desk
from fairlead.web.pages import ranking_view
from fairlead.web.pages.ranking_view import Question
from fairlead.web.pages.remembered import Remembered
from fairlead.web.pages.site import Site

__all__ = ["rankings_pages"]


def rankings_pages(site: Site) -> list[Route]:
    pages = _Pages(site)
    return [Route("/rankings", pages.rankings), Route("/apps", pages.apps)]


class _Pages:
    def __init__(self, site: Site) -> None:
        self._site = site
        clock = site.services.clock
        self._boards: Remembered[tuple[Rankings, Shares]] = Remembered(clock)
        self._listed: Remembered[Rankings] = Remembered(clock)
        self._standings: Remembered[AppStanding | None] = Remembered(clock)

    async def rankings(self, request: Request) -> Response:
        visitor = await self._site.visitor(request)
        desk = self._desk()
        question = ranking_view.question_of(request.query_params)
        counted, over_time = await self._boards.get(
            (question.subject, question.period, question.category),
            lambda: desk.do(partial(_asked, desk.service, question)),
        )
        snapshot = self._site.services.catalog.snapshot
        chart, summary = ranking_view.shares_chart(question, over_time, snapshot)
        return await self._site.page(
            request,
            "rankings/rankings.html",
            visitor,
            title="Rankings",
            description="Tokens by model, author, app and category, and their shares over time.",
            section="rankings",
            scripts=("charts",),
            is_indexed=not request.query_params,
            question=question,
            board=await run_in_threadpool(ranking_view.board, question, counted, snapshot),
            chart=chart,
            summary=summary,
            categories=ranking_view.CATEGORY_OPTIONS,
        )

    async def apps(self, request: Request) -> Response:
        address = request.query_params.get("url")
        return await (
            self._all_apps(request) if address is None else self._one_app(request, address)
        )

    async def _all_apps(self, request: Request) -> Response:
        visitor = await self._site.visitor(request)
        desk = self._desk()
        question = _about_apps(request.query_params)
        counted = await self._listed.get(
            (question.period, question.category),
            lambda: desk.do(
                partial(
                    desk.service.rankings,
                    Subject.APP,
                    question.period,
                    category=question.category or None,
                )
            ),
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
            rankings=counted,
            lines=ranking_view.app_lines(counted),
            cut=ranking_view.left_out(counted),
            periods=ranking_view.periods_at("/apps", question),
            groups=ranking_view.groups_at("/apps", question),
            origin=self._site.origin(request),
        )

    async def _one_app(self, request: Request, address: str) -> Response:
        visitor = await self._site.visitor(request)
        claimed = claim(Attribution(referer=address))
        question = _about_apps(request.query_params)
        standing = None
        if claimed is not None and claimed.is_public:
            desk = self._desk()
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
            categories=[
                (ranking_view.category_label(one), f"/apps?category={one}")
                for one in standing.app.categories
            ],
            chart=ranking_view.days_chart(standing),
            lines=ranking_view.model_lines(standing.models, self._site.services.catalog.snapshot),
            question=question,
            periods=ranking_view.periods_at("/apps", question, url=standing.app.address),
        )

    def _desk(self) -> Desk[Standings]:
        found = self._site.services.standings
        if found is None:
            raise NotFound("Nothing is counted here.")
        return found


def _asked(standings: Standings, question: Question) -> tuple[Rankings, Shares]:
    category = question.category or None
    return (
        standings.rankings(question.subject, question.period, category=category),
        standings.shares(
            question.subject,
            question.period,
            shown=ranking_view.SERIES_SHOWN - 1,  # and all others
            category=category,
        ),
    )


def _about_apps(query: QueryParams) -> Question:
    asked = ranking_view.question_of(query)
    category = query.get("category", "")
    return Question(
        Subject.APP,
        asked.period,
        category if category in CATEGORIES or category in CATEGORY_GROUPS else "",
        is_tokens=False,
        is_whole=True,
    )
