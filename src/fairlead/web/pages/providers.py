"""`/providers`: who can be asked, and what they do with prompts. `/providers/{slug}`: one of them, with its
models, prices and how it did here."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.standings.service import Standings
from fairlead.control.standings.types import ProviderHistory, ProviderUptimes, Window
from fairlead.control.usage.endpoints import EndpointSpan
from fairlead.core.errors import NotFound, Overloaded
from fairlead.core.ids import ProviderSlug
from fairlead.web.pages import provider_view
from fairlead.web.pages.held import OfSnapshot
from fairlead.web.pages.site import Site
from fairlead.web.remembered import Remembered

__all__ = ["providers_pages"]

_Answer = TypeVar("_Answer")


def providers_pages(site: Site) -> list[Route]:
    pages = _Pages(site)
    return [Route("/providers", pages.listed), Route("/providers/{slug}", pages.provider)]


class _Pages:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._catalogue = OfSnapshot(site.services.catalog, provider_view.catalogue_of)
        clock = site.services.clock
        self._uptimes: Remembered[ProviderUptimes] = Remembered(clock)
        self._histories: Remembered[ProviderHistory] = Remembered(clock)
        self._wholes: Remembered[Mapping[str, EndpointSpan]] = Remembered(clock)

    async def listed(self, request: Request) -> Response:
        visitor = await self._site.visitor(request)
        catalogue = await self._catalogue.current()
        health = self._site.services.health
        usable = frozenset(slug for slug in catalogue.snapshot.providers if health.can_serve(slug))
        return await self._site.page(
            request,
            "providers/list.html",
            visitor,
            title="Providers",
            description="Who serves the models: what they do with prompts, where they are, how they do.",
            section="providers",
            fragment="providers/results.html",
            is_indexed=not request.query_params,
            listing=provider_view.listing(
                catalogue, usable, await self._today(), request.query_params
            ),
            policies=provider_view.POLICIES,
            sorts=provider_view.SORTS,
        )

    async def provider(self, request: Request) -> Response:
        visitor = await self._site.visitor(request)
        catalogue = await self._catalogue.current()
        slug = ProviderSlug(request.path_params["slug"])
        info = catalogue.snapshot.providers.get(slug)
        if info is None:
            raise NotFound("There is no provider of that name.")
        history, today = await self._month(slug), await self._today()
        offered = catalogue.offered.get(slug, ())
        # Which ones a page shows decides whose figures are asked for: some providers have hundreds.
        asked, now_s = request.query_params, self._site.services.clock.now_s()
        listed = provider_view.offers(info, offered, {}, asked, now_s=now_s).rows
        measured = await self._endpoints(slug, tuple(dict.fromkeys(one.id for one in listed)))
        training, keeping = provider_view.policy_facts(info.data_policy)
        return await self._site.page(
            request,
            "providers/provider.html",
            visitor,
            title=info.name,
            description=f"Models, prices, data policy and uptime of {info.name}.",
            section="providers",
            fragment="providers/offers.html",
            scripts=("charts",),
            is_indexed=not request.query_params,
            info=info,
            path=provider_view.provider_path(slug),
            kind=provider_view.kind_of(info),
            headquarters=provider_view.headquarters_of(info),
            regions=sorted({one.data_region.upper() for _, one in offered if one.data_region}),
            model_count=len({model.id for model, _ in offered}),
            training=training,
            keeping=keeping,
            is_usable=self._site.services.health.can_serve(slug),
            uptime=next((one.uptime for one in today.providers if one.provider == slug), None)
            if today is not None
            else None,
            performance=None
            if history is None
            else await run_in_threadpool(provider_view.performance, history),
            offers=provider_view.offers(info, offered, measured, asked, now_s=now_s),
        )

    # --- what was measured; None where nobody can tell: the catalogue is worth showing without it ---

    async def _today(self) -> ProviderUptimes | None:
        return await self._asked(self._uptimes, (), lambda of: of.provider_uptimes(Window.DAY))

    async def _month(self, slug: str) -> ProviderHistory | None:
        return await self._asked(
            self._histories, slug, lambda of: of.provider_history(slug, Window.MONTH)
        )

    async def _endpoints(self, slug: str, models: tuple[str, ...]) -> Mapping[str, EndpointSpan]:
        """How a provider's endpoints of these models did in this month."""
        found = await self._asked(
            self._wholes, (slug, models), lambda of: of.wholes_at(slug, models, Window.MONTH)
        )
        return found or {}

    async def _asked(
        self,
        answers: Remembered[_Answer],
        question: Hashable,
        ask: Callable[[Standings], _Answer],
    ) -> _Answer | None:
        desk = self._site.services.standings
        if desk is None:
            return None
        try:
            return await answers.get(question, lambda: desk.do(partial(ask, desk.service)))
        except Overloaded:
            return None
