"""`/admin/endpoints/prices`: what calls cost at one endpoint: prices of its own in place of the catalogue's.

Typed in dollars, for a million tokens or for each; kept in picodollars, exactly or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.audit.types import Actor
from fairlead.control.catalog.types import AmendmentInvalid
from fairlead.control.people.types import SignedIn
from fairlead.core.catalog import Endpoint, EndpointStatus, Model, ModelKind
from fairlead.core.catalog_amendments import AS_LISTED, EndpointAmendment
from fairlead.core.ids import AccountId, EndpointId
from fairlead.core.money import PicoUSD, PriceInvalid, parse_price, price_text
from fairlead.core.service_tiers import TIERS
from fairlead.web.auth.exchange import Form
from fairlead.web.pages.admin.amending import amend, told
from fairlead.web.pages.admin.desk import AdminDesk
from fairlead.web.pages.model_prices import PRICE_COLUMNS, priced_text
from fairlead.web.pages.paging import addressed

__all__ = ["endpoint_price_pages", "pico_price"]

PATH: Final = "/admin/endpoints/prices"
_TYPED_MAX: Final = 40
_TOKENS: Final = 10**6
_PLACES_MAX: Final = 12  # of a dollar: a picodollar
_IS_PER_MILLION: Final = {name: is_per_million for name, _, is_per_million in PRICE_COLUMNS}


@dataclass(frozen=True, slots=True)
class PriceField:
    """value: as somebody typed it, or would; "": the catalogue's. listed: the catalogue's, as it is shown."""

    name: str
    label: str
    unit: str
    value: str
    listed: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class PricesView:
    """fields: those of which the catalogue or the operator says something, or that every call has. others: all
    others. ends: what of the list price ends with a price of one's own."""

    model: Model
    endpoint: Endpoint
    is_off: bool
    is_changed: bool
    fields: tuple[PriceField, ...]
    others: tuple[PriceField, ...]
    ends: tuple[str, ...]


def endpoint_price_pages(desk: AdminDesk) -> list[Route]:
    it = _EndpointPrices(desk)
    return [
        Route("/admin/endpoints/prices", it.shown),
        Route("/admin/endpoints/prices", it.saved, methods=["POST"]),
    ]


class _EndpointPrices:
    def __init__(self, desk: AdminDesk) -> None:
        self._desk = desk
        self._amendments = desk.administration.catalogue.amendments

    async def shown(self, request: Request) -> Response:
        member = await self._desk.owner(request)
        endpoint = EndpointId(request.query_params.get("endpoint", ""))
        return await self._page(request, member, endpoint, None, {})

    async def saved(self, request: Request) -> Response:
        member, form = await self._desk.posted(request)
        endpoint = EndpointId(form.fields.get("endpoint", ""))
        typed = {name: form.fields.get(name, "")[:_TYPED_MAX] for name, _, _ in PRICE_COLUMNS}
        prices, problems = _read(form)

        def save(*, account: AccountId, actor: Actor) -> Mapping[str, str]:
            try:
                self._amendments.price(endpoint, prices, account=account, actor=actor)
            except AmendmentInvalid as error:
                return error.problems
            return {}

        if not problems:
            problems = dict(await amend(self._desk, request, member, save))
        if problems:
            return await self._page(request, member, endpoint, typed, problems)
        return self._desk.site.go(addressed(PATH, {"endpoint": endpoint}), notice="prices-saved")

    async def _page(
        self,
        request: Request,
        member: SignedIn,
        wanted: EndpointId,
        typed: Mapping[str, str] | None,
        problems: Mapping[str, str],
    ) -> Response:
        """typed: None: as they are kept."""
        administration = self._desk.administration
        model, endpoint = await administration.do(partial(self._amendments.find, wanted))
        noted = await administration.do(self._amendments.noted)
        amendment = noted.amendments.endpoints.get(endpoint.id, AS_LISTED)
        change = noted.endpoints.get(endpoint.id)
        view = _view(
            model,
            endpoint,
            _kept(amendment) if typed is None else typed,
            problems,
            is_off=amendment.is_off,
            is_changed=change is not None,
        )
        changes = await told(self._desk, {} if change is None else {endpoint.id: change})
        return await self._desk.page(
            request, "endpoint_prices", member, title=f"Prices of {model.id} at {endpoint.tag}",
            status=422 if problems else 200,
            view=view, problems=problems, changed=changes.get(endpoint.id),
            now_s=self._desk.site.services.clock.now_s(),
        )  # fmt: skip


# --- what is shown ---------------------------------------------------------------------------------------


def _view(
    model: Model,
    endpoint: Endpoint,
    typed: Mapping[str, str],
    problems: Mapping[str, str],
    *,
    is_off: bool,
    is_changed: bool,
) -> PricesView:
    has_list = endpoint.status is not EndpointStatus.UNPRICED
    first: list[PriceField] = []
    others: list[PriceField] = []
    for name, label, is_per_million in PRICE_COLUMNS:
        price: PicoUSD | None = getattr(endpoint.prices, name) if has_list else None
        field = PriceField(
            name=name,
            label=label,
            unit=_unit(name, is_per_million=is_per_million),
            value=typed.get(name, ""),
            listed=priced_text(name, price),
            problem=problems.get(name),
        )
        is_asked = name == "prompt" or (name == "completion" and model.kind is ModelKind.CHAT)
        said = is_asked or bool(price) or field.value or field.problem
        (first if said else others).append(field)
    return PricesView(
        model=model,
        endpoint=endpoint,
        is_off=is_off,
        is_changed=is_changed,
        fields=tuple(first),
        others=tuple(others),
        ends=tuple(_ending(endpoint)),
    )


def _unit(name: str, *, is_per_million: bool) -> str:
    if not is_per_million:
        return "each"
    return f"for a million {'characters' if name == 'character' else 'tokens'}"


def _ending(endpoint: Endpoint) -> list[str]:
    ends = []
    if endpoint.prices.overrides:
        ends.append("prices for long prompts or certain hours")
    tiers = [one.tier for one in endpoint.service_tiers if one.tier in TIERS]
    if tiers:
        ends.append(f"the service {'tier' if len(tiers) == 1 else 'tiers'} {' and '.join(tiers)}")
    return ends


# --- what is typed ---------------------------------------------------------------------------------------


def _read(form: Form) -> tuple[dict[str, PicoUSD], dict[str, str]]:
    """The prices that somebody typed, and what is wrong with the others."""
    prices: dict[str, PicoUSD] = {}
    problems: dict[str, str] = {}
    for name, _, is_per_million in PRICE_COLUMNS:
        text = form.fields.get(name, "").strip()
        if text:
            try:
                prices[name] = pico_price(text, is_per_million=is_per_million)
            except PriceInvalid as error:
                problems[name] = str(error)
    return prices, problems


def pico_price(text: str, *, is_per_million: bool) -> PicoUSD:
    """ "2.50", "$0.075": dollars for a million, or for each, to picodollars for each. Raises PriceInvalid."""
    plain = text.strip().removeprefix("$").replace(",", "").strip()
    if not plain or len(plain) > _TYPED_MAX or not set(plain) <= set("0123456789."):
        raise PriceInvalid("This is a price in dollars, as 2.50; 0 means free.")
    places = 6 if is_per_million else _PLACES_MAX
    too_fine = PriceInvalid(f"At most {places} digits after the point.")
    try:
        price = parse_price(plain)
    except PriceInvalid:
        if len(plain.partition(".")[2].rstrip("0")) > _PLACES_MAX:
            raise too_fine from None
        raise PriceInvalid("This is a price in dollars, as 2.50; 0 means free.") from None
    if not is_per_million:
        return price
    whole, rest = divmod(price, _TOKENS)
    if rest:
        raise too_fine
    return PicoUSD(whole)


def _kept(amendment: EndpointAmendment) -> dict[str, str]:
    """As somebody would type them."""
    return {
        name: _typed(name, price)
        for name, price in amendment.prices.items()
        if name in _IS_PER_MILLION
    }


def _typed(name: str, price: PicoUSD) -> str:
    return price_text(PicoUSD(price * _TOKENS) if _IS_PER_MILLION[name] else price)
