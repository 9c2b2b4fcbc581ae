"""`/credits/buy`: what it would cost, and the way to where it is paid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.billing.types import NANO_PER_CENT, Method
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import RequestInvalid
from fairlead.web.pages.credits.desk import CreditsDesk, method
from fairlead.web.pages.credits.view import BuyForm, QuoteView, buy_form, quote_view
from fairlead.web.pages.form_fields import cents, typed_dollars
from fairlead.web.pages.site import is_fragment_request

__all__ = ["buying_pages", "proposed"]

_PROPOSED_CENTS: Final = 2_000  # or the nearest amount that is sold


def buying_pages(desk: CreditsDesk) -> list[Route]:
    pages = _Pages(desk)
    return [
        Route("/credits/buy", pages.quoted, methods=["GET"]),
        Route("/credits/buy", pages.buy, methods=["POST"]),
    ]


class _Pages:
    def __init__(self, desk: CreditsDesk) -> None:
        self._desk = desk
        self._edge = desk.edge

    async def quoted(self, request: Request) -> Response:
        """What it would cost. The same part is in `/credits`, where it follows what is typed."""
        member = await self._desk.admin(request)
        typed: Mapping[str, str] = request.query_params
        if not typed and not is_fragment_request(request):
            typed = _proposal(self._desk)
        form, quote = await _quote(self._desk, member, typed)
        return await self._page(request, member, form, quote)

    async def buy(self, request: Request) -> Response:
        member, posted = await self._desk.posted(request)
        form, quote = await _quote(self._desk, member, posted.fields)
        if quote is None:
            return await self._page(request, member, form, None)
        try:
            begin = partial(
                self._edge.billing.start,
                self._desk.buyer(request, member),
                amount_cents=cents(form.amount, "amount"),
                method=Method(form.method),
                key=form.key,
            )
            purchase = await self._edge.do(begin)
        except RequestInvalid as error:
            form = replace(form, problems={error.param or "": error.message})
            return await self._page(request, member, form, None)
        return self._desk.onwards(purchase)

    async def _page(
        self, request: Request, member: SignedIn, form: BuyForm, quote: QuoteView | None
    ) -> Response:
        # Who only asks where nothing is sold is told so. htmx takes no answer in that says of itself
        # that it is a refusal.
        is_refused = quote is None and (bool(form.problems) or request.method == "POST")
        is_refused = is_refused and not is_fragment_request(request)
        return await self._desk.page(
            request, member, "credits", "credits/buy.html", title="Buy credits",
            fragment="credits/quote.html", status=422 if is_refused else 200,
            form=form, quote=quote,
        )  # fmt: skip


async def proposed(desk: CreditsDesk, member: SignedIn) -> tuple[BuyForm, QuoteView | None]:
    """Before anything is typed."""
    return await _quote(desk, member, _proposal(desk))


def _proposal(desk: CreditsDesk) -> Mapping[str, str]:
    """As it could have been typed."""
    terms = desk.edge.billing.terms
    amount = min(max(_PROPOSED_CENTS, terms.purchase_cents_min), terms.purchase_cents_max)
    return {"amount": typed_dollars(amount * NANO_PER_CENT)}


async def _quote(
    desk: CreditsDesk, member: SignedIn, typed: Mapping[str, str]
) -> tuple[BuyForm, QuoteView | None]:
    """None: nothing can be bought here, or not so, which the form then says."""
    company, methods = desk.edge.billing.payments, desk.methods
    # Of this page: sent twice, it is one purchase.
    key = typed.get("key") or f"page:{member.session.id}:{desk.site.now_ms()}"
    chosen = typed.get("method") or (methods[0].value if methods else "")
    amount = typed.get("amount", "").strip()
    form = buy_form(amount, chosen, methods, key, {})
    if company is None:
        return form, None
    try:
        ask = partial(desk.edge.billing.quote, cents(amount, "amount"), method(chosen))
        quote = await desk.edge.do(ask)
    except RequestInvalid as error:
        name = error.param if error.param in ("amount", "method") else ""
        return replace(form, problems={name or "": error.message}), None
    return form, quote_view(quote, is_test=company.is_pretended)
