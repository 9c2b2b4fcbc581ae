"""`/providers`: who can be asked, and what they do with prompts. `/providers/{slug}`: one of them, with its
models, prices and how it did here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.standings.types import ProviderHistory, ProviderUptimes, Window
from fairlead.control.usage.endpoints import EndpointSpan
from fairlead.core.errors import NotFound, Overloaded
from fairlead.core.ids import ProviderSlug
from fairlead.web.pages import provider_view
from fairlead.web.pages.held import OfSnapshot
from fairlead.web.pages.remembered import Remembered
from fairlead.web.pages.site import Site

__all__ = ["providers_pages"]


def providers_pages(site: Site) -> list[Route]:
    services = site.services
    uptimes: Remembered[ProviderUptimes] = Remembered(services.clock)
    histories: Remembered[ProviderHistory] = Remembered(services.clock)
    wholes: Remembered[Mapping[str, EndpointSpan]] = Remembered(services.clock)
    held = OfSnapshot(services.catalog, provider_view.catalogue_of)

    async def of_today() -> ProviderUptimes | None:
        desk = services.standings
        if desk is None:
            return None
        ask = partial(desk.service.provider_uptimes, Window.DAY)
        try:
            return await uptimes.get((), lambda: desk.do(ask))
        except Overloaded:  # what the catalogue says is worth showing without it
            return None

    async def of_month(slug: str) -> ProviderHistory | None:
        desk = services.standings
        if desk is None:
            return None
        ask = partial(desk.service.provider_history, slug, Window.MONTH)
        try:
            return await histories.get(slug, lambda: desk.do(ask))
        except Overloaded:
            return None

    async def of_endpoints(slug: str, models: tuple[str, ...]) -> Mapping[str, EndpointSpan]:
        """How a provider's endpoints of these models did in this month."""
        desk = services.standings
        if desk is None:
            return {}
        ask = partial(desk.service.wholes_at, slug, models, Window.MONTH)
        try:
            return await wholes.get((slug, models), lambda: desk.do(ask))
        except Overloaded:
            return {}

    async def providers(request: Request) -> Response:
        visitor = await site.visitor(request)
        catalogue = await held.current()
        usable = frozenset(
            slug for slug in catalogue.snapshot.providers if services.health.can_serve(slug)
        )
        return await site.page(
            request,
            "providers/list.html",
            visitor,
            title="Providers",
            description="Who serves the models: what they do with prompts, where they are, how they do.",
            section="providers",
            fragment="providers/results.html",
            is_indexed=not request.query_params,
            listing=provider_view.listing(
                catalogue, usable, await of_today(), request.query_params
            ),
            policies=provider_view.POLICIES,
            sorts=provider_view.SORTS,
        )

    async def provider(request: Request) -> Response:
        visitor = await site.visitor(request)
        catalogue = await held.current()
        slug = ProviderSlug(request.path_params["slug"])
        info = catalogue.snapshot.providers.get(slug)
        if info is None:
            raise NotFound("There is no provider of that name.")
        history, today = await of_month(slug), await of_today()
        offered = catalogue.offered.get(slug, ())
        # Which ones a page shows decides whose figures are asked for: some providers have hundreds.
        listed = provider_view.offers(info, offered, {}, request.query_params).rows
        measured = await of_endpoints(slug, tuple(dict.fromkeys(one.id for one in listed)))
        training, keeping = provider_view.policy_facts(info.data_policy)
        return await site.page(
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
            is_usable=services.health.can_serve(slug),
            uptime=next((one.uptime for one in today.providers if one.provider == slug), None)
            if today is not None
            else None,
            performance=None
            if history is None
            else await run_in_threadpool(provider_view.performance, history),
            offers=provider_view.offers(info, offered, measured, request.query_params),
        )

    return [Route("/providers", providers), Route("/providers/{slug}", provider)]
