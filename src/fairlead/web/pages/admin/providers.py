"""`/admin/providers`: which can be used, with what, and whether they answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.catalog import Snapshot
from fairlead.core.errors import NotFound, Overloaded
from fairlead.core.ids import ProviderSlug
from fairlead.web.administration import ProviderFound
from fairlead.web.pages.admin.desk import AdminDesk

__all__ = ["provider_pages"]

PATH: Final = "/admin/providers"


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """models: that the catalogue has of it."""

    found: ProviderFound
    name: str
    models: int


@dataclass(frozen=True, slots=True)
class CheckResult:
    slug: ProviderSlug
    is_ok: bool
    text: str


def provider_pages(desk: AdminDesk) -> list[Route]:
    checks = desk.administration.providers

    async def listed(request: Request) -> Response:
        member = await desk.owner(request)
        return await page(request, member)

    async def page(request: Request, member: object, result: CheckResult | None = None) -> Response:
        wants_all = request.query_params.get("show") == "all"
        found = [] if checks is None else await run_in_threadpool(checks.found)
        rows = _rows(found, desk.site.services.catalog.snapshot)
        return await desk.page(
            request, "providers", member, title="Providers",  # type: ignore[arg-type]
            ready=[row for row in rows if row.found.lacking is None],
            others=[row for row in rows if row.found.lacking is not None],
            wants_all=wants_all, result=result, can_check=checks is not None,
        )  # fmt: skip

    async def check(request: Request) -> Response:
        """Answers the page itself: what it found is of this moment."""
        member, _ = await desk.posted(request)
        slug = ProviderSlug(request.path_params["slug"])
        if checks is None or slug not in desk.site.services.catalog.snapshot.providers:
            raise NotFound("There is no such provider.")
        try:
            is_ok, text = await checks.check(slug)
        except Overloaded as error:
            is_ok, text = False, error.message
        note = partial(
            desk.administration.oversight.note,
            member.account.id, desk.actor(request, member), "provider.check", slug,
        )  # fmt: skip
        await desk.administration.do(note)
        return await page(request, member, CheckResult(slug, is_ok, text))

    return [
        Route("/admin/providers", listed),
        Route("/admin/providers/{slug}/check", check, methods=["POST"]),
    ]


def _rows(found: list[ProviderFound], snapshot: Snapshot) -> list[ProviderRow]:
    models: dict[str, set[str]] = {}
    for model in snapshot.models.values():
        for endpoint in model.endpoints:
            models.setdefault(endpoint.provider, set()).add(model.id)
    rows = [
        ProviderRow(one, snapshot.providers[one.slug].name, len(models.get(one.slug, ())))
        for one in found
    ]
    return sorted(rows, key=lambda row: row.name.lower())
