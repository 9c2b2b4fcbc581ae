"""`/admin/endpoints`: every offer of the catalogue: whether calls may go there, its price, how it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.catalog import Endpoint, EndpointStatus, Snapshot
from fairlead.core.health import EndpointFigures
from fairlead.core.routing.facts import Standing
from fairlead.web.pages.admin.desk import PAGE_ROWS, AdminDesk, addressed, paging
from fairlead.web.pages.form_fields import page_number
from fairlead.web.services import EndpointHealth

__all__ = ["endpoint_pages"]

PATH: Final = "/admin/endpoints"
STATES: Final = (
    ("", "All"),
    ("usable", "Used for calls"),
    ("closed", "No credential"),
    ("unpriced", "Without a price"),
    ("deprecated", "Deprecated"),
    ("trouble", "In trouble"),
    ("own", "Changed by the configuration"),
)
_CLOSED: Final = ("No credential", "No price")
QUERY_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """is_own: a `[[models]]` table says something of it."""

    endpoint: Endpoint
    figures: EndpointFigures
    state: str
    tone: str
    is_own: bool


def endpoint_pages(desk: AdminDesk) -> list[Route]:
    async def listed(request: Request) -> Response:
        member = await desk.owner(request)
        query = request.query_params
        q = query.get("q", "").strip().lower()[:QUERY_CHARACTERS_MAX]
        state = query.get("state", "")
        state = state if state in dict(STATES) else ""
        number = page_number(query.get("page"))
        services = desk.site.services
        own = {
            (str(table.get("id")), str(table.get("provider") or ""))
            for table in desk.administration.settings().models
        }

        def read() -> list[EndpointRow]:
            """What calls may go to comes first."""
            snapshot = services.catalog.snapshot
            rows = [
                row
                for row in _rows(snapshot, services.health, own)
                if _matches(row, q) and _is_in(row, state)
            ]
            return sorted(rows, key=lambda row: row.state in _CLOSED)

        rows = await run_in_threadpool(read)

        def address(page: int) -> str:
            chosen = {"q": q, "state": state, "page": str(page) if page > 1 else ""}
            return addressed(PATH, chosen)

        first = (number - 1) * PAGE_ROWS
        here = rows[first : first + PAGE_ROWS]
        has_more = len(rows) > first + PAGE_ROWS
        return await desk.page(
            request, "endpoints", member, title="Models and endpoints",
            fragment="admin/endpoint_rows.html",
            rows=here, total=len(rows), q=q, state=state, states=STATES,
            pages=paging(number, len(here), has_more=has_more, address=address),
        )  # fmt: skip

    return [Route("/admin/endpoints", listed)]


def _rows(
    snapshot: Snapshot, health: EndpointHealth, own: set[tuple[str, str]]
) -> Iterator[EndpointRow]:
    for model in snapshot.models.values():
        for endpoint in model.endpoints:
            figures = health.figures(endpoint.id)
            state, tone = _state(endpoint, figures, can_serve=health.can_serve(endpoint.provider))
            is_own = (model.id, endpoint.provider) in own or (model.id, "") in own
            yield EndpointRow(endpoint, figures, state, tone, is_own)


def _state(endpoint: Endpoint, figures: EndpointFigures, *, can_serve: bool) -> tuple[str, str]:
    """In words, and their tone. Pure."""
    if endpoint.status is EndpointStatus.UNPRICED:
        return "No price", ""
    if not can_serve:
        return "No credential", ""
    if figures.standing is not Standing.GOOD:
        return "In trouble", "danger"
    if endpoint.status is EndpointStatus.DEPRECATED:
        return "Deprecated", "warning"
    return "On", "success"


def _matches(row: EndpointRow, q: str) -> bool:
    endpoint = row.endpoint
    return not q or q in endpoint.model.lower() or q in endpoint.tag.lower()


def _is_in(row: EndpointRow, state: str) -> bool:
    match state:
        case "usable":
            return row.state in ("On", "Deprecated", "In trouble")
        case "closed":
            return row.state == "No credential"
        case "unpriced":
            return row.state == "No price"
        case "deprecated":
            return row.endpoint.status is EndpointStatus.DEPRECATED
        case "trouble":
            return row.figures.standing is not Standing.GOOD
        case "own":
            return row.is_own
        case _:
            return True
