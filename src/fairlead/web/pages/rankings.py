"""`/rankings`: which models, authors, apps and categories are used most, and how that changed."""

from __future__ import annotations

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.standings.service import Standings
from fairlead.control.standings.types import Rankings, Shares
from fairlead.core.errors import NotFound
from fairlead.web.asking import Desk
from fairlead.web.pages import ranking_view
from fairlead.web.pages.ranking_view import Question
from fairlead.web.pages.site import Site
from fairlead.web.remembered import Remembered

__all__ = ["rankings_pages", "standings_desk"]


def rankings_pages(site: Site) -> list[Route]:
    pages = _Pages(site)
    return [Route("/rankings", pages.rankings)]


class _Pages:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._boards: Remembered[tuple[Rankings, Shares]] = Remembered(site.services.clock)

    async def rankings(self, request: Request) -> Response:
        visitor = await self._site.visitor(request)
        desk = standings_desk(self._site)
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


def standings_desk(site: Site) -> Desk[Standings]:
    """Raises NotFound where nothing is counted."""
    found = site.services.standings
    if found is None:
        raise NotFound("Nothing is counted here.")
    return found


def _asked(standings: Standings, question: Question) -> tuple[Rankings, Shares]:
    return standings.rankings_and_shares(
        question.subject,
        question.period,
        shown=ranking_view.SERIES_SHOWN - 1,  # and all others
        category=question.category or None,
    )
