"""`/compare?models=openai/o1,openai/o3-mini`: two to five models beside each other.

The address is the state.
"""

from __future__ import annotations

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.web.pages.compare_view import COMPARED_MAX, chosen_models, comparison_of
from fairlead.web.pages.model_view import known_now
from fairlead.web.pages.site import Site

__all__ = ["compare_pages"]


def compare_pages(site: Site) -> list[Route]:
    services = site.services

    async def compare(request: Request) -> Response:
        visitor = await site.visitor(request)
        weekly = await site.measuring.weekly_tokens()
        catalogue = await site.catalogue.current()
        query = request.query_params
        chosen = chosen_models(catalogue.snapshot, query.getlist("models"))
        comparison = await run_in_threadpool(
            partial(
                comparison_of,
                catalogue,
                chosen,
                query.get("q", ""),
                known_now(services.health, chosen.models),
                services.benchmarks,
                weekly,
                now_s=services.clock.now_s(),
            )
        )
        names = " and ".join(one.name for one in comparison.columns)
        return await site.page(
            request,
            "compare/compare.html",
            visitor,
            title=f"Compare {names}" if names else "Compare models",
            description="Models beside each other: prices, limits, abilities, speed and benchmarks.",
            section="models",
            is_indexed="q" not in query,
            comparison=comparison,
            compared_max=COMPARED_MAX,
        )

    return [Route("/compare", compare)]
