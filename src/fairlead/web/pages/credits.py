"""`/credits`: what an account has, buying more of it, being paid back, and every document of that.

For admins, as in the API. The page on which one pays is the payment company's, or says of itself that no money
moves there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from fairlead.control.accounts.types import Billing as BillingKind
from fairlead.control.billing.pretended import PAGE as PRETENDED_PAGE
from fairlead.control.billing.service import Buyer
from fairlead.control.billing.types import (
    Method,
    Purchase,
    PurchaseId,
    Refund,
    RefundRefused,
    RefusedBecause,
)
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import Conflict, NotFound, PermissionDenied, RequestInvalid
from fairlead.web.auth.exchange import Form
from fairlead.web.billing import BillingEdge
from fairlead.web.pages.credits_view import (
    TABS,
    BuyForm,
    DetailsForm,
    QuoteView,
    TopUpForm,
    balance_of,
    buy_form,
    details_of,
    document_row,
    fees_of,
    lot_row,
    posting_row,
    purchase_row,
    quote_view,
    refund_row,
    top_up_form,
    top_up_view,
)
from fairlead.web.pages.form_fields import actor_of, cents
from fairlead.web.pages.site import Site, is_fragment_request
from fairlead.web.reading import is_keepable, sentence

__all__ = ["credits_pages"]

PURCHASES_SHOWN: Final = 10
DOCUMENTS_SHOWN: Final = 25
ENTRIES_SHOWN: Final = 50
AMOUNT_PROPOSED: Final = "20"  # dollars
REFUND_TRIES: Final = 8
GIVING_BACK_S: Final = 0.4  # of two seconds, in which processes give back what is wanted
_NUMBER_DIGITS: Final = 15
_NAME_CHARACTERS_MAX: Final = 100


def credits_pages(site: Site) -> list[Route]:
    edge = site.services.billing
    if edge is None or site.services.auth is None:
        return []
    pages = _Pages(site, edge)
    return [
        Route("/credits", pages.credits),
        Route("/credits/buy", pages.quoted, methods=["GET"]),
        Route("/credits/buy", pages.buy, methods=["POST"]),
        Route("/credits/purchases/{id}", pages.purchase, methods=["GET"]),
        Route("/credits/purchases/{id}/look", pages.look, methods=["POST"]),
        Route("/credits/purchases/{id}/refund", pages.refund_asked, methods=["GET"]),
        Route("/credits/purchases/{id}/refund", pages.refund, methods=["POST"]),
        Route("/credits/purchases/{id}/receipt", pages.receipt, methods=["GET"]),
        Route("/credits/top-up", pages.top_up, methods=["GET"]),
        Route("/credits/top-up", pages.set_top_up, methods=["POST"]),
        Route("/credits/card", pages.save_card, methods=["POST"]),
        Route("/credits/card/forget", pages.forget_card, methods=["POST"]),
        Route("/credits/invoices", pages.invoices, methods=["GET"]),
        Route("/credits/details", pages.describe, methods=["POST"]),
        Route("/credits/documents/{number}", pages.document, methods=["GET"]),
        Route("/credits/documents/{number}/pay", pages.pay_invoice, methods=["POST"]),
        Route("/credits/history", pages.history, methods=["GET"]),
    ]


class _Pages:
    def __init__(self, site: Site, edge: BillingEdge) -> None:
        self._site = site
        self._edge = edge

    # --- what there is ---

    async def credits(self, request: Request) -> Response:
        member = await self._admin(request)
        query = request.query_params
        if query.get("purchase"):  # back from where one pays
            return self._site.go(f"/credits/purchases/{self._name(query['purchase'])}")
        if query.get("saved"):  # back from where a card is saved
            return await self._card_was_saved(member, is_saved=query["saved"] == "1")
        before = query.get("before") or None
        if before is not None:
            before = self._name(before)
        account, edge = member.account.id, self._edge

        def read() -> Mapping[str, Any]:
            found = edge.billing.page(account, before=before, limit=PURCHASES_SHOWN + 1)
            book, profile = edge.ledger.book(account), edge.profiles.find(account)
            now_s = self._site.services.clock.now_s()
            return {
                "balance": balance_of(
                    book, profile, edge.billing.terms, is_prepaid=_is_prepaid(member)
                ),
                "lots": [lot_row(lot, now_s=now_s) for lot in book.lots],
                "purchases": [purchase_row(one) for one in found[:PURCHASES_SHOWN]],
                "newest": "/credits#purchases" if before else None,
                "older": f"/credits?before={found[PURCHASES_SHOWN - 1].id}#purchases"
                if len(found) > PURCHASES_SHOWN
                else None,
                "top_up": edge.profiles.top_up(account).state.value,
                "documents": [document_row(one) for one in edge.documents.unpaid(account)],
            }

        shown = await edge.do(read)
        form, quote = await self._quote(member, {"amount": AMOUNT_PROPOSED})
        return await self._page(
            request, member, "credits", "credits/credits.html", title="Credits",
            form=form, quote=quote, is_prepaid=_is_prepaid(member), **shown,
        )  # fmt: skip

    async def history(self, request: Request) -> Response:
        member = await self._admin(request)
        before = request.query_params.get("before")
        number = self._number(before) if before else None
        read = partial(
            self._edge.ledger.entries, member.account.id, before=number, limit=ENTRIES_SHOWN + 1
        )
        found = await self._edge.do(read)
        rows = [posting_row(one) for one in found[:ENTRIES_SHOWN]]
        return await self._page(
            request, member, "history", "credits/history.html", title="Ledger", rows=rows,
            newest="/credits/history" if number is not None else None,
            older=f"/credits/history?before={rows[-1].number}"
            if len(found) > ENTRIES_SHOWN else None,
        )  # fmt: skip

    # --- buying ---

    async def quoted(self, request: Request) -> Response:
        """What it would cost. The same part is in `/credits`, where it follows what is typed."""
        member = await self._admin(request)
        typed: Mapping[str, str] = request.query_params
        if not typed and not is_fragment_request(request):
            typed = {"amount": AMOUNT_PROPOSED}
        form, quote = await self._quote(member, typed)
        return await self._buy_page(request, member, form, quote)

    async def buy(self, request: Request) -> Response:
        member, posted = await self._posted(request)
        form, quote = await self._quote(member, posted.fields)
        if quote is None:
            return await self._buy_page(request, member, form, None)
        try:
            begin = partial(
                self._edge.billing.start,
                self._buyer(request, member),
                amount_cents=cents(form.amount, "amount"),
                method=Method(form.method),
                key=form.key,
            )
            purchase = await self._edge.do(begin)
        except RequestInvalid as error:
            form = replace(form, problems={error.param or "": error.message})
            return await self._buy_page(request, member, form, None)
        return self._onwards(purchase)

    async def pay_invoice(self, request: Request) -> Response:
        member, posted = await self._posted(request)
        number = self._number(request.path_params["number"])
        method = _method(posted.fields.get("method", ""))
        begin = partial(
            self._edge.billing.pay_invoice, self._buyer(request, member), number, method=method
        )
        return self._onwards(await self._edge.do(begin))

    async def _quote(
        self, member: SignedIn, typed: Mapping[str, str]
    ) -> tuple[BuyForm, QuoteView | None]:
        company = self._edge.billing.payments
        methods = () if company is None else company.methods
        now_ms = self._site.now_ms()
        # Of this page: sent twice, it is one purchase.
        key = typed.get("key") or f"page:{member.session.id}:{now_ms}"
        method = typed.get("method") or (methods[0].value if methods else "")
        amount = typed.get("amount", "").strip()
        form = buy_form(amount, method, methods, key, {})
        if company is None:
            return form, None
        try:
            ask = partial(self._edge.billing.quote, cents(amount, "amount"), _method(method))
            quote = await self._edge.do(ask)
        except RequestInvalid as error:
            name = error.param if error.param in ("amount", "method") else ""
            return replace(form, problems={name or "": error.message}), None
        return form, quote_view(quote, is_test=company.is_pretended)

    async def _buy_page(
        self, request: Request, member: SignedIn, form: BuyForm, quote: QuoteView | None
    ) -> Response:
        # Who only asks where nothing is sold is told so. htmx takes no answer in that says of itself
        # that it is a refusal.
        is_refused = quote is None and (bool(form.problems) or request.method == "POST")
        is_refused = is_refused and not is_fragment_request(request)
        return await self._page(
            request, member, "credits", "credits/buy.html", title="Buy credits",
            fragment="credits/quote.html", status=422 if is_refused else 200,
            form=form, quote=quote,
        )  # fmt: skip

    def _onwards(self, purchase: Purchase) -> Response:
        """To where it is paid; else to its own page, from which a link leads there."""
        address = urlsplit(purchase.url or "")
        if self._edge.pretended is not None and address.path.startswith(PRETENDED_PAGE):
            return self._site.go(address.path)
        if f"{address.scheme}://{address.netloc}" in self._pages_at:
            return RedirectResponse(purchase.url or "", 303, {"cache-control": "no-store"})
        return self._site.go(f"/credits/purchases/{purchase.id}")

    @property
    def _pages_at(self) -> tuple[str, ...]:
        company = self._edge.billing.payments
        return () if company is None else company.pages_at

    # --- one purchase ---

    async def purchase(self, request: Request) -> Response:
        member = await self._admin(request)
        return await self._purchase_page(request, member, self._purchase(request))

    async def look(self, request: Request) -> Response:
        """Ask the company now, instead of waiting until it says something."""
        member, _ = await self._posted(request)
        name, billing = self._purchase(request), self._edge.billing

        def look() -> Purchase:
            return billing.look(billing.find(member.account.id, name))

        found = await self._edge.do(look)
        return self._site.go(f"/credits/purchases/{found.id}")

    async def refund_asked(self, request: Request) -> Response:
        member = await self._admin(request)
        return await self._purchase_page(
            request, member, self._purchase(request), template="credits/refund.html"
        )

    async def refund(self, request: Request) -> Response:
        member, _ = await self._posted(request)
        name = self._purchase(request)
        give: partial[Refund] = partial(
            self._edge.billing.refund, self._buyer(request, member), name
        )
        try:
            await self._paid_back(give)
        except Conflict as error:
            return await self._purchase_page(request, member, name, problem=error.message)
        return self._site.go(f"/credits/purchases/{name}", notice="refunded")

    async def _paid_back(self, give: Callable[[], Refund]) -> None:
        """Right after a call, processes have set some of the credit aside. A refusal asks for it back, so
        whoever presses the button need not press it again."""

        def given() -> bool:
            try:
                give()
            except RefundRefused as error:
                if error.reason is not RefusedBecause.IN_USE:
                    raise
                return False
            return True

        for _ in range(REFUND_TRIES - 1):
            if await self._edge.do(given):
                return
            await asyncio.sleep(GIVING_BACK_S)
        await self._edge.do(give)

    async def receipt(self, request: Request) -> Response:
        member = await self._admin(request)
        name = self._purchase(request)
        find = partial(self._edge.documents.receipt, member.account.id, name)
        return _pdf(await self._edge.pdf(find), f"receipt-{name}")

    async def _purchase_page(
        self,
        request: Request,
        member: SignedIn,
        name: PurchaseId,
        *,
        template: str = "credits/purchase.html",
        problem: str = "",
    ) -> Response:
        billing = self._edge.billing

        def read() -> Mapping[str, Any]:
            found = billing.find(member.account.id, name)
            refundable, why_not = 0, ""
            try:
                refundable = billing.refund_offer(found)
            except RefundRefused as error:
                why_not = sentence(error)
            return {
                "purchase": purchase_row(found),
                "refunds": [refund_row(one) for one in billing.refunds(found.id)],
                "refundable_cents": refundable,
                "why_not": why_not,
            }

        shown = await self._edge.do(read)
        return await self._page(
            request, member, "credits", template, title="Purchase", problem=problem,
            status=409 if problem else 200, **shown,
        )  # fmt: skip

    # --- topping up ---

    async def top_up(self, request: Request) -> Response:
        return await self._top_up_page(request, await self._admin(request))

    async def set_top_up(self, request: Request) -> Response:
        member, posted = await self._posted(request)
        fields = posted.fields
        form = TopUpForm(
            "enabled" in fields,
            fields.get("threshold", ""),
            fields.get("amount", ""),
            fields.get("monthly_max", ""),
        )
        try:
            change = partial(
                self._edge.profiles.set_top_up,
                member.account.id,
                actor_of(self._site, request, member),
                is_on=form.is_on,
                threshold_cents=cents(form.threshold, "threshold"),
                amount_cents=cents(form.amount, "amount"),
                month_cents_max=cents(form.monthly_max, "monthly_max"),
            )
            await self._edge.do(change)
        except RequestInvalid as error:
            form = replace(form, problems={error.param or "": error.message})
            return await self._top_up_page(request, member, form)
        return self._site.go("/credits/top-up", notice="saved")

    async def _top_up_page(
        self, request: Request, member: SignedIn, form: TopUpForm | None = None
    ) -> Response:
        account, profiles = member.account.id, self._edge.profiles
        top_up, profile = await self._edge.do(
            lambda: (profiles.top_up(account), profiles.find(account))
        )
        return await self._page(
            request, member, "top-up", "credits/top_up.html", title="Auto top-up",
            status=422 if form is not None else 200,
            form=form or top_up_form(top_up), top_up=top_up_view(top_up, profile),
        )  # fmt: skip

    async def save_card(self, request: Request) -> Response:
        member, _ = await self._posted(request)
        account, actor = member.account.id, actor_of(self._site, request, member)
        begin = partial(self._edge.profiles.begin_saving, account, actor, member.user.email)
        hosted = await self._edge.do(begin)
        if self._edge.pretended is not None:
            return await self._card_was_saved(member, is_saved=True)
        return RedirectResponse(hosted.url, 303, {"cache-control": "no-store"})

    async def _card_was_saved(self, member: SignedIn, *, is_saved: bool) -> Response:
        found = None
        if is_saved:
            look = partial(self._edge.profiles.look_for_saved, member.account.id)
            found = await self._edge.do(look)
        return self._site.go("/credits/top-up", notice=None if found is None else "card-saved")

    async def forget_card(self, request: Request) -> Response:
        member, _ = await self._posted(request)
        account, actor = member.account.id, actor_of(self._site, request, member)
        await self._edge.do(partial(self._edge.profiles.forget_saved, account, actor))
        return self._site.go("/credits/top-up", notice="card-forgotten")

    # --- documents ---

    async def invoices(self, request: Request) -> Response:
        return await self._invoices_page(request, await self._admin(request))

    async def describe(self, request: Request) -> Response:
        member, posted = await self._posted(request)
        fields = posted.fields
        form = DetailsForm(
            fields.get("name", ""),
            fields.get("address", ""),
            fields.get("tax_ids", ""),
        )
        tax_ids = tuple(line.strip() for line in form.tax_ids.splitlines() if line.strip())
        account, profiles = member.account.id, self._edge.profiles
        actor = actor_of(self._site, request, member)

        def change() -> None:
            profiles.describe(
                account,
                actor,
                name=form.name,
                address=form.address,
                tax_ids=tax_ids,
                # Chosen under notifications.
                low_balance_cents=profiles.find(account).low_balance_cents,
            )

        try:
            await self._edge.do(change)
        except RequestInvalid as error:
            form = replace(form, problems={error.param or "": error.message})
            return await self._invoices_page(request, member, form)
        return self._site.go("/credits/invoices", notice="saved")

    async def _invoices_page(
        self, request: Request, member: SignedIn, form: DetailsForm | None = None
    ) -> Response:
        account, edge = member.account.id, self._edge
        text = request.query_params.get("before")
        before = self._number(text) if text else None
        found, profile = await edge.do(
            lambda: (
                edge.documents.page(account, before=before, limit=DOCUMENTS_SHOWN + 1),
                edge.profiles.find(account),
            )
        )
        rows = [document_row(one) for one in found[:DOCUMENTS_SHOWN]]
        company = edge.billing.payments
        pay = buy_form("", "", () if company is None else company.methods, "", {})
        return await self._page(
            request, member, "invoices", "credits/invoices.html", title="Invoices",
            status=422 if form is not None else 200,
            rows=rows, form=form or details_of(profile), methods=pay.methods,
            newest="/credits/invoices" if before is not None else None,
            older=f"/credits/invoices?before={rows[-1].number}"
            if len(found) > DOCUMENTS_SHOWN else None,
        )  # fmt: skip

    async def document(self, request: Request) -> Response:
        member = await self._admin(request)
        number = self._number(request.path_params["number"])
        find = partial(self._edge.documents.find, member.account.id, number)
        return _pdf(await self._edge.pdf(find), f"document-{number}")

    # --- what all of them need ---

    async def _page(
        self,
        request: Request,
        member: SignedIn,
        tab: str,
        template: str,
        *,
        title: str,
        status: int = 200,
        fragment: str | None = None,
        **shown: Any,  # noqa: ANN401 - for the template
    ) -> Response:
        billing = self._edge.billing
        company = billing.payments
        methods = () if company is None else company.methods
        return await self._site.page(
            request,
            template,
            member,
            title=title,
            status=status,
            fragment=fragment,
            goes_to=self._pages_at,
            member=member,
            tabs=TABS,
            tab=tab,
            fees=fees_of(billing.terms, methods),
            can_buy=company is not None,
            is_test=company is not None and company.is_pretended,
            **shown,
        )

    async def _admin(self, request: Request) -> SignedIn:
        member = await self._site.member(request)
        return _checked(member)

    async def _posted(self, request: Request) -> tuple[SignedIn, Form]:
        member, form = await self._site.posted(request)
        return _checked(member), form

    def _buyer(self, request: Request, member: SignedIn) -> Buyer:
        actor = actor_of(self._site, request, member)
        return Buyer(member.account.id, actor, member.user.email)

    def _purchase(self, request: Request) -> PurchaseId:
        return PurchaseId(self._name(request.path_params["id"]))

    def _name(self, text: str) -> str:
        """One that could be a purchase's. Raises NotFound."""
        if len(text) > _NAME_CHARACTERS_MAX or not text.startswith("pay-") or not is_keepable(text):
            raise NotFound("There is no such purchase.")
        if not text.isascii() or not text.replace("-", "").isalnum():
            raise NotFound("There is no such purchase.")
        return text

    def _number(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS):
            raise NotFound("There is nothing of that number.")
        return int(text)


def _checked(member: SignedIn) -> SignedIn:
    if not member.is_admin:
        raise PermissionDenied("Credits and invoices are for admins of this account.")
    return member


def _is_prepaid(member: SignedIn) -> bool:
    return member.account.billing is BillingKind.PREPAID


def _method(text: str) -> Method:
    try:
        return Method(text)
    except ValueError:
        raise RequestInvalid("Choose one of these.", param="method") from None


def _pdf(content: bytes, name: str) -> Response:
    return Response(
        content,
        media_type="application/pdf",
        headers={
            "content-disposition": f'attachment; filename="{name}.pdf"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )
