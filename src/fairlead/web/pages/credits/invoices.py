"""`/credits/invoices`: every document, paying one, and what is written on them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.people.types import SignedIn
from fairlead.core.errors import RequestInvalid
from fairlead.web.pages.credits.desk import CreditsDesk, method, number
from fairlead.web.pages.credits.view import DetailsForm, buy_form, details_of, document_row
from fairlead.web.pdf_export import pdf_answer

__all__ = ["invoice_pages"]

DOCUMENTS_SHOWN: Final = 25


def invoice_pages(desk: CreditsDesk) -> list[Route]:
    pages = _Pages(desk)
    return [
        Route("/credits/invoices", pages.invoices, methods=["GET"]),
        Route("/credits/details", pages.describe, methods=["POST"]),
        Route("/credits/documents/{number}", pages.document, methods=["GET"]),
        Route("/credits/documents/{number}/pay", pages.pay, methods=["POST"]),
    ]


class _Pages:
    def __init__(self, desk: CreditsDesk) -> None:
        self._desk = desk
        self._edge = desk.edge

    async def invoices(self, request: Request) -> Response:
        return await self._page(request, await self._desk.admin(request))

    async def describe(self, request: Request) -> Response:
        member, posted = await self._desk.posted(request)
        fields = posted.fields
        form = DetailsForm(
            fields.get("name", ""),
            fields.get("address", ""),
            fields.get("tax_ids", ""),
        )
        tax_ids = tuple(line.strip() for line in form.tax_ids.splitlines() if line.strip())
        account, profiles = member.account.id, self._edge.profiles
        actor = self._desk.actor(request, member)

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
            return await self._page(request, member, form)
        return self._desk.site.go("/credits/invoices", notice="saved")

    async def document(self, request: Request) -> Response:
        member = await self._desk.admin(request)
        wanted = number(request.path_params["number"])
        find = partial(self._edge.documents.find, member.account.id, wanted)
        return pdf_answer(f"document-{wanted}", await self._edge.pdf(find))

    async def pay(self, request: Request) -> Response:
        member, posted = await self._desk.posted(request)
        begin = partial(
            self._edge.billing.pay_invoice,
            self._desk.buyer(request, member),
            number(request.path_params["number"]),
            method=method(posted.fields.get("method", "")),
        )
        return self._desk.onwards(await self._edge.do(begin))

    async def _page(
        self, request: Request, member: SignedIn, form: DetailsForm | None = None
    ) -> Response:
        account, edge = member.account.id, self._edge
        text = request.query_params.get("before")
        before = number(text) if text else None
        found, profile = await edge.do(
            lambda: (
                edge.documents.page(account, before=before, limit=DOCUMENTS_SHOWN + 1),
                edge.profiles.find(account),
            )
        )
        rows = [document_row(one) for one in found[:DOCUMENTS_SHOWN]]
        pay = buy_form("", "", self._desk.methods, "", {})
        return await self._desk.page(
            request, member, "invoices", "credits/invoices.html", title="Invoices",
            status=422 if form is not None else 200,
            rows=rows, form=form or details_of(profile), methods=pay.methods,
            newest="/credits/invoices" if before is not None else None,
            older=f"/credits/invoices?before={rows[-1].number}"
            if len(found) > DOCUMENTS_SHOWN else None,
        )  # fmt: skip
