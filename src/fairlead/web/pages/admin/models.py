"""`/admin/models`: which models people see and can call, and hiding them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.catalog.types import Noted
from fairlead.core.catalog import EndpointStatus, Model, Snapshot
from fairlead.core.ids import ModelId
from fairlead.web.pages.admin.amending import Listing, amend, told
from fairlead.web.pages.admin.desk import AdminDesk
from fairlead.web.services import EndpointHealth

__all__ = ["model_visibility_pages"]

PATH: Final = "/admin/models"
STATES: Final = (
    ("", "All"),
    ("visible", "Visible"),
    ("hidden", "Hidden"),
    ("empty", "No endpoint left"),
)
STRAYS_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class ModelRow:
    """state: one of STATES, but for the first. endpoints: how many the catalogue has; usable: to how many calls
    may go now."""

    model: Model
    state: str
    endpoints: int
    usable: int


def model_visibility_pages(desk: AdminDesk) -> list[Route]:
    catalogue = desk.administration.catalogue

    async def listed(request: Request) -> Response:
        member = await desk.owner(request)
        listing = _listing(request.query_params)
        services = desk.site.services
        await catalogue.look()
        noted = await desk.administration.do(catalogue.amendments.noted)

        def read() -> list[ModelRow]:
            return [
                row
                for row in _rows(
                    catalogue.unamended(), services.catalog.snapshot, services.health, noted
                )
                if (listing.q in row.model.id.lower() or listing.q in row.model.name.lower())
                and listing.state in ("", row.state)
            ]

        rows = await run_in_threadpool(read)
        here, pages = listing.cut(rows)
        strays = sorted(noted.hidden.keys() - catalogue.unamended().models.keys())[:STRAYS_SHOWN]
        shown = {one.model.id for one in here} | set(strays)
        return await desk.page(
            request, "models", member, title="Models",
            fragment="admin/model_rows.html",
            rows=here, total=len(rows), listing=listing, states=STATES,
            strays=strays, now_s=services.clock.now_s(),
            changes=await told(
                desk, {one: change for one, change in noted.hidden.items() if one in shown}
            ),
            pages=pages,
        )  # fmt: skip

    async def switched(request: Request) -> Response:
        member, form = await desk.posted(request)
        model = ModelId(form.fields.get("model", ""))
        hides = form.fields.get("to") == "hidden"
        change = catalogue.amendments.hide if hides else catalogue.amendments.show
        await amend(desk, request, member, partial(change, model))
        return desk.site.go(
            _listing(form.fields).address, notice="model-hidden" if hides else "model-shown"
        )

    return [
        Route("/admin/models", listed),
        Route("/admin/models/switch", switched, methods=["POST"]),
    ]


def _listing(fields: Mapping[str, str]) -> Listing:
    return Listing.read(PATH, dict(STATES), fields)


def _rows(
    unamended: Snapshot, in_force: Snapshot, health: EndpointHealth, noted: Noted
) -> list[ModelRow]:
    """Hidden ones first, for they are few; then those that can be called."""
    hidden = noted.amendments.hidden
    rows = []
    for model in unamended.models.values():
        now = in_force.models.get(model.id)
        state = "hidden" if model.id in hidden else "empty" if now is None else "visible"
        usable = sum(
            one.status is not EndpointStatus.UNPRICED and health.can_serve(one.provider)
            for one in (() if now is None else now.usual_endpoints)
        )
        rows.append(ModelRow(model, state, len(model.usual_endpoints), usable))
    return sorted(rows, key=lambda row: (row.state != "hidden", not row.usable, row.model.id))
