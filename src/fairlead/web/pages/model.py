"""`/{author}/{slug}`: one model, told in nine tabs, each with an address of its own (`?tab=pricing`).

Another name of a model leads to its own. A name that nobody knows is a 404 with those that were perhaps meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from fairlead.control.standings.types import ModelActivity, Window
from fairlead.core.catalog import UnknownModel
from fairlead.core.errors import NotFound, Overloaded
from fairlead.web.pages import model_history
from fairlead.web.pages.model_benchmarks import results_of
from fairlead.web.pages.model_calculator import calculator_of
from fairlead.web.pages.model_code import Calling, calling_of
from fairlead.web.pages.model_endpoints import EndpointRow, endpoint_rows, taken_by_endpoints
from fairlead.web.pages.model_list import Catalogue, model_path, row_of
from fairlead.web.pages.model_prices import pricing_of
from fairlead.web.pages.model_view import (
    TABS,
    Found,
    Head,
    Known,
    found_model,
    head_of,
    known_now,
    overview_of,
    tab_path,
)
from fairlead.web.pages.ranking_view import apps_in
from fairlead.web.pages.refusals import wants_page
from fairlead.web.pages.site import Site

__all__ = ["model_pages"]

WEEK_DAYS: Final = 7
MONTH_DAYS: Final = 30
OVERVIEW_APPS: Final = 5
OVERVIEW_ENDPOINTS: Final = 5
NAME_CHARACTERS_MAX: Final = 300
_PAST_TABS: Final = frozenset({"performance", "apps", "activity", "uptime"})
_TAB_NAMES: Final = frozenset(name for name, _ in TABS)


def model_pages(site: Site) -> list[Route]:
    page = _ModelPage(site)
    # A local engine's name of a model may have slashes of its own.
    return [Route("/{author}/{slug:path}", page.show)]


class _ModelPage:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: Request) -> Response:
        name = f"{request.path_params['author']}/{request.path_params['slug']}"
        catalogue = await self._site.catalogue.current()
        name = name[:NAME_CHARACTERS_MAX]
        found = found_model(catalogue.snapshot, name)
        if found is None:
            return await self._unknown(request, name, catalogue)
        if name != found.name:
            query = f"?{request.url.query}" if request.url.query else ""
            to = model_path(found.name) + query
            return RedirectResponse(to, 308, {"cache-control": "no-cache"})
        tab = request.query_params.get("tab", "overview")
        return await self._tab(request, found, catalogue, tab if tab in _TAB_NAMES else "overview")

    async def _tab(
        self, request: Request, found: Found, catalogue: Catalogue, tab: str
    ) -> Response:
        query = dict(request.query_params)
        now_s = self._site.services.clock.now_s()
        known = known_now(self._site.services.health, [found.model])
        activity, past = await self._past(found, catalogue, known, tab, query)
        head = head_of(found, catalogue.snapshot, known, activity, now_s=now_s)
        view, rows = await run_in_threadpool(
            self._view, found, catalogue, known, tab, query, self._site.origin(request), now_s
        )
        visitor = await self._site.visitor(request)
        label = dict(TABS)[tab]
        languages = view.languages if isinstance(view, Calling) else ()
        response = await self._site.page(
            request,
            "model/page.html",
            visitor,
            title=head.title if tab == "overview" else f"{head.title}: {label}",
            description=head.description,
            section="models",
            scripts=("charts",),
            fragment="model/part.html",
            # Its name without a variant is what is worth finding.
            is_indexed=not found.variants,
            head=head,
            tab=tab,
            tabs=[(name, label, tab_path(head, name)) for name, label in TABS],
            ways=_ways(head, tab, languages),
            past=past,
            view=view,
            rows=rows,
        )
        if found.variants or tab == "overview":
            own = self._site.origin(request) + model_path(found.model.id)
            response.headers["link"] = f'<{own}>; rel="canonical"'
        return response

    async def _past(
        self,
        found: Found,
        catalogue: Catalogue,
        known: Known,
        tab: str,
        query: Mapping[str, str],
    ) -> tuple[ModelActivity | None, object]:
        """What is counted: tokens for the head, and what the tab tells. One question to the database."""
        desk = self._site.services.standings
        if desk is None:
            return None, None
        standings, model = desk.service, found.meant
        snapshot = catalogue.snapshot
        days = MONTH_DAYS if tab == "overview" else WEEK_DAYS
        window = _window(query)
        if tab == "activity":
            days = _days(query)

        def asked() -> tuple[ModelActivity, object]:
            activity = standings.model_activity(model, days=days)
            match tab:
                case "overview":
                    apps = apps_in(standings.apps_of_model(model))[:OVERVIEW_APPS]
                    drawn = model_history.activity_of(activity)
                    return activity, {"activity": drawn, "apps": apps}
                case "performance":
                    histories = standings.histories(model, window)
                    view = model_history.performance_of(
                        histories, found.model, snapshot, known.health
                    )
                    return activity, {"view": view, "window": window.value}
                case "uptime":
                    uptimes = standings.uptimes(Window.QUARTER, model=model)
                    return activity, model_history.uptime_of(uptimes, found.model, snapshot)
                case "apps":
                    return activity, apps_in(standings.apps_of_model(model))
                case "activity":
                    return activity, {
                        "view": model_history.activity_of(activity),
                        "days": str(days),
                    }
                case _:
                    return activity, None

        try:
            return await desk.do(asked)
        except Overloaded:
            if tab in _PAST_TABS:
                raise
            return None, None  # what it is and costs can be told without a database

    def _view(
        self,
        found: Found,
        catalogue: Catalogue,
        known: Known,
        tab: str,
        query: Mapping[str, str],
        origin: str,
        now_s: float,
    ) -> tuple[object, tuple[EndpointRow, ...]]:
        """What a tab shows of the catalogue, and the rows of its providers."""
        model, snapshot = found.model, catalogue.snapshot
        match tab:
            case "overview":
                rows = endpoint_rows(model, snapshot, known, now_s=now_s)
                usual = tuple(row for row in rows if row.tier is None)[:OVERVIEW_ENDPOINTS]
                return overview_of(found, snapshot, catalogue.models), usual
            case "providers":
                rows = endpoint_rows(model, snapshot, known, now_s=now_s)
                return taken_by_endpoints(model, snapshot), rows
            case "pricing":
                return (
                    pricing_of(model, snapshot),
                    calculator_of(model, query, now_s=now_s),
                ), ()
            case "benchmarks":
                return results_of(self._site.services.benchmarks, found.meant), ()
            case "api":
                language = query.get("language", "")
                return calling_of(model, found.name, origin=origin, language=language), ()
            case _:
                return None, ()

    async def _unknown(self, request: Request, name: str, catalogue: Catalogue) -> Response:
        """Raises HTTPException for what does not even look like a model's name."""
        snapshot = catalogue.snapshot
        unknown = await run_in_threadpool(snapshot.resolve, name)
        if not isinstance(unknown, UnknownModel):
            raise HTTPException(404)
        author = name.partition("/")[0].lower()
        is_author = any(one.author == author for one in catalogue.models)
        if not unknown.near and not is_author:
            raise HTTPException(404)
        if not wants_page(request):
            near = f" Did you mean {', '.join(unknown.near)}?" if unknown.near else ""
            raise NotFound(f"There is no model {name!r}.{near}")
        return await self._site.page(
            request,
            "model/unknown.html",
            await self._site.visitor(request),
            title="There is no such model",
            section="models",
            is_indexed=False,
            status=404,
            name=name,
            author=author if is_author else None,
            near=[row_of(snapshot.models[one]) for one in unknown.near],
        )


def _ways(head: Head, tab: str, languages: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """What a tab can be switched between: value, label and address of each."""
    switched: dict[str, tuple[str, Iterable[tuple[str, str]]]] = {
        "performance": ("window", model_history.WINDOWS),
        "activity": ("days", model_history.ACTIVITY_DAYS),
        "api": ("language", languages),
    }
    name, ways = switched.get(tab, ("", ()))
    return [(value, label, tab_path(head, tab, **{name: value})) for value, label in ways]


def _window(query: Mapping[str, str]) -> Window:
    try:
        return Window(query.get("window", "month"))
    except ValueError:
        return Window.MONTH


def _days(query: Mapping[str, str]) -> int:
    days = query.get("days", "30")
    return int(days) if days in dict(model_history.ACTIVITY_DAYS) else MONTH_DAYS
