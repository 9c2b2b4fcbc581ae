"""`/credits/purchases/{id}`: one purchase, its receipt, and refunds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.billing.types import (
    Purchase,
    PurchaseId,
    Refund,
    RefundRefused,
    RefusedBecause,
)
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import Conflict
from fairlead.core.ids import AccountId
from fairlead.web.pages.credits.desk import CreditsDesk, purchase_id
from fairlead.web.pages.credits.view import purchase_row, refund_row
from fairlead.web.pdf_export import pdf_answer
from fairlead.web.reading import sentence

__all__ = ["purchase_pages"]

REFUND_TRIES: Final = 8
GIVING_BACK_S: Final = 0.4  # of two seconds, in which processes give back what is wanted


def purchase_pages(desk: CreditsDesk) -> list[Route]:
    pages = _Pages(desk)
    return [
        Route("/credits/purchases/{id}", pages.purchase, methods=["GET"]),
        Route("/credits/purchases/{id}/look", pages.look, methods=["POST"]),
        Route("/credits/purchases/{id}/refund", pages.refund_asked, methods=["GET"]),
        Route("/credits/purchases/{id}/refund", pages.refund, methods=["POST"]),
        Route("/credits/purchases/{id}/receipt", pages.receipt, methods=["GET"]),
    ]


class _Pages:
    def __init__(self, desk: CreditsDesk) -> None:
        self._desk = desk
        self._edge = desk.edge

    async def purchase(self, request: Request) -> Response:
        member = await self._desk.admin(request)
        return await self._page(request, member, _named(request))

    async def look(self, request: Request) -> Response:
        """Ask the company now, instead of waiting until it says something."""
        member, _ = await self._desk.posted(request)
        name, billing = _named(request), self._edge.billing

        def look() -> Purchase:
            return billing.look(billing.find(member.account.id, name))

        found = await self._edge.do(look)
        return self._desk.site.go(f"/credits/purchases/{found.id}")

    async def refund_asked(self, request: Request) -> Response:
        member = await self._desk.admin(request)
        return await self._page(request, member, _named(request), template="credits/refund.html")

    async def refund(self, request: Request) -> Response:
        member, _ = await self._desk.posted(request)
        name, buyer = _named(request), self._desk.buyer(request, member)
        give: partial[Refund] = partial(self._edge.billing.refund, buyer, name)
        try:
            await self._paid_back(give)
        except Conflict as error:
            return await self._page(request, member, name, problem=error.message)
        return self._desk.site.go(f"/credits/purchases/{name}", notice="refunded")

    async def receipt(self, request: Request) -> Response:
        member = await self._desk.admin(request)
        name = _named(request)
        find = partial(self._edge.documents.receipt, member.account.id, name)
        return pdf_answer(f"receipt-{name}", await self._edge.pdf(find))

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

    async def _page(
        self,
        request: Request,
        member: SignedIn,
        name: PurchaseId,
        *,
        template: str = "credits/purchase.html",
        problem: str = "",
    ) -> Response:
        shown = await self._edge.do(partial(self._shown, member.account.id, name))
        return await self._desk.page(
            request, member, "credits", template, title="Purchase", problem=problem,
            status=409 if problem else 200, **shown,
        )  # fmt: skip

    def _shown(self, account: AccountId, name: PurchaseId) -> Mapping[str, Any]:
        """Blocks."""
        billing = self._edge.billing
        found = billing.find(account, name)
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


def _named(request: Request) -> PurchaseId:
    return purchase_id(request.path_params["id"])
