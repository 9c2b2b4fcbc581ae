"""`/admin/endpoints`: every offer of the catalogue: whether calls may go there, its price, how it does; off and
on, and back to the catalogue. Its own prices: `endpoint_prices.py`.

What was changed comes from the database, and this process looks at it first: so the page is right in whichever
process answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.catalog.types import Noted
from fairlead.core.catalog import Endpoint, EndpointStatus, Snapshot
from fairlead.core.catalog_amendments import (
    AS_LISTED,
    EndpointAmendment,
    amendable,
    amended_endpoint,
)
from fairlead.core.ids import EndpointId
from fairlead.core.routing.facts import Standing
from fairlead.web.pages.admin.amending import Listing, amend, told
from fairlead.web.pages.admin.desk import AdminDesk
from fairlead.web.services import EndpointHealth

__all__ = ["endpoint_pages"]

PATH: Final = "/admin/endpoints"
STATES: Final = (
    ("", "All"),
    ("usable", "Used for calls"),
    ("off", "Switched off"),
    ("changed", "Changed by the operator"),
    ("own", "Changed by the configuration"),
    ("closed", "No credential"),
    ("unpriced", "Without a price"),
    ("deprecated", "Deprecated"),
    ("trouble", "In trouble"),
)
_OFF: Final = "Switched off"
_HIDDEN: Final = "Model hidden"
_NOT_USED: Final = ("No credential", "No price", _OFF, _HIDDEN)
STRAYS_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """endpoint: at its prices now. listed: as it is in the catalogue.

    amendment: what the operator changed; None: it follows another endpoint, and cannot be changed alone.
    is_own: a `[[models]]` table says something of it.
    """

    endpoint: Endpoint
    listed: Endpoint
    amendment: EndpointAmendment | None
    standing: Standing
    state: str
    tone: str
    is_own: bool

    @property
    def is_changed(self) -> bool:
        return self.amendment is not None and self.amendment != AS_LISTED


def endpoint_pages(desk: AdminDesk) -> list[Route]:
    it = _Endpoints(desk)
    return [
        Route("/admin/endpoints", it.listed),
        Route("/admin/endpoints/switch", it.switched, methods=["POST"]),
        Route("/admin/endpoints/reset", it.reset, methods=["POST"]),
    ]


class _Endpoints:
    def __init__(self, desk: AdminDesk) -> None:
        self._desk = desk
        self._catalogue = desk.administration.catalogue

    async def listed(self, request: Request) -> Response:
        member = await self._desk.owner(request)
        listing = _listing(request.query_params)
        services, catalogue = self._desk.site.services, self._catalogue
        await catalogue.look()
        noted = await self._desk.administration.do(catalogue.amendments.noted)
        rows = await run_in_threadpool(
            self._rows, listing, noted, self._configured(), services.health.in_trouble()
        )
        here, pages = listing.cut(rows)
        strays = sorted(noted.endpoints.keys() - _ids(catalogue.unamended()))[:STRAYS_SHOWN]
        shown = {one.listed.id for one in here} | set(strays)
        changes = {one: change for one, change in noted.endpoints.items() if one in shown}
        return await self._desk.page(
            request, "endpoints", member, title="Endpoints",
            fragment="admin/endpoint_rows.html",
            rows=here, total=len(rows), listing=listing, states=STATES,
            figures={one.listed.id: services.health.figures(one.listed.id) for one in here},
            strays=strays, now_s=services.clock.now_s(),
            changes=await told(self._desk, changes),
            pages=pages,
        )  # fmt: skip

    async def switched(self, request: Request) -> Response:
        member, form = await self._desk.posted(request)
        is_off = form.fields.get("to") == "off"
        endpoint = EndpointId(form.fields.get("endpoint", ""))
        switch = partial(self._catalogue.amendments.switch, endpoint, is_off=is_off)
        await amend(self._desk, request, member, switch)
        notice = "endpoint-off" if is_off else "endpoint-on"
        return self._desk.site.go(_listing(form.fields).address, notice=notice)

    async def reset(self, request: Request) -> Response:
        member, form = await self._desk.posted(request)
        endpoint = EndpointId(form.fields.get("endpoint", ""))
        await amend(
            self._desk, request, member, partial(self._catalogue.amendments.reset, endpoint)
        )
        return self._desk.site.go(_listing(form.fields).address, notice="endpoint-reset")

    def _configured(self) -> set[tuple[str, str]]:
        """Of which models and providers the configuration says something of its own."""
        return {
            (str(table.get("id")), str(table.get("provider") or ""))
            for table in self._desk.administration.settings().models
        }

    def _rows(
        self,
        listing: Listing,
        noted: Noted,
        own: set[tuple[str, str]],
        in_trouble: Mapping[EndpointId, Standing],
    ) -> list[EndpointRow]:
        """What calls may go to comes first. Blocks."""
        services = self._desk.site.services
        offers = _Offers(self._catalogue.unamended(), services.catalog.snapshot, noted)
        rows = [
            row
            for row in offers.rows(services.health, in_trouble, own)
            if _matches(row, listing.q) and _is_in(row, listing.state)
        ]
        return sorted(rows, key=lambda row: row.state in _NOT_USED)


def _listing(fields: Mapping[str, str]) -> Listing:
    return Listing.read(PATH, dict(STATES), fields)


def _ids(snapshot: Snapshot) -> set[EndpointId]:
    return {one.id for model in snapshot.models.values() for one in model.endpoints}


class _Offers:
    """All that could be offered. unamended: without what the operator changed. in_force: with it."""

    def __init__(self, unamended: Snapshot, in_force: Snapshot, noted: Noted) -> None:
        self._unamended = unamended
        self._in_force = {
            one.id: one for model in in_force.models.values() for one in model.endpoints
        }
        self._amendments = noted.amendments

    def rows(
        self,
        health: EndpointHealth,
        in_trouble: Mapping[EndpointId, Standing],
        own: set[tuple[str, str]],
    ) -> Iterator[EndpointRow]:
        for model in self._unamended.models.values():
            is_hidden = model.id in self._amendments.hidden
            leading = {one.id for one in amendable(model)}
            for listed in model.endpoints:
                amendment = None
                if listed.id in leading:
                    amendment = self._amendments.endpoints.get(listed.id, AS_LISTED)
                    endpoint, is_off = (
                        amended_endpoint(listed, model.kind, amendment),
                        amendment.is_off,
                    )
                else:
                    endpoint = self._in_force.get(listed.id, listed)
                    is_off = listed.id not in self._in_force
                standing = in_trouble.get(listed.id, Standing.GOOD)
                if is_hidden or is_off:
                    state, tone = _HIDDEN if is_hidden else _OFF, "warning"
                else:
                    can_serve = health.can_serve(endpoint.provider)
                    state, tone = _state(endpoint, standing, can_serve=can_serve)
                is_own = (model.id, endpoint.provider) in own or (model.id, "") in own
                yield EndpointRow(endpoint, listed, amendment, standing, state, tone, is_own)


def _state(endpoint: Endpoint, standing: Standing, *, can_serve: bool) -> tuple[str, str]:
    """In words, and their tone. Pure."""
    if endpoint.status is EndpointStatus.UNPRICED:
        return "No price", ""
    if not can_serve:
        return "No credential", ""
    if standing is not Standing.GOOD:
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
            return row.state not in _NOT_USED
        case "off":
            return row.state == _OFF
        case "changed":
            return row.is_changed
        case "own":
            return row.is_own
        case "closed":
            return row.state == "No credential"
        case "unpriced":
            return row.state == "No price"
        case "deprecated":
            return row.endpoint.status is EndpointStatus.DEPRECATED
        case "trouble":
            return row.standing is not Standing.GOOD
        case _:
            return True
