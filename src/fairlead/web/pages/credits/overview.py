"""`/credits` and `/credits/history`: what an account has, and how it came to that."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.billing.types import PurchaseId
from fairlead.control.people.types import SignedIn
from fairlead.web.pages.credits.buying import proposed
from fairlead.web.pages.credits.desk import CreditsDesk, is_prepaid, number, purchase_id
from fairlead.web.pages.credits.top_up import card_was_saved
from fairlead.web.pages.credits.view import (
    balance_of,
    document_row,
    lot_row,
    posting_row,
    purchase_row,
)

__all__ = ["overview_pages"]

PURCHASES_SHOWN: Final = 10
ENTRIES_SHOWN: Final = 50


def overview_pages(desk: CreditsDesk) -> list[Route]:
    pages = _Pages(desk)
    return [
        Route("/credits", pages.credits),
        Route("/credits/history", pages.history, methods=["GET"]),
    ]


class _Pages:
    def __init__(self, desk: CreditsDesk) -> None:
        self._desk = desk
        self._edge = desk.edge

    async def credits(self, request: Request) -> Response:
        member = await self._desk.admin(request)
        query = request.query_params
        if query.get("purchase"):  # back from where one pays
            return self._desk.site.go(f"/credits/purchases/{purchase_id(query['purchase'])}")
        if query.get("saved"):  # back from where a card is saved
            return await card_was_saved(self._desk, member, is_saved=query["saved"] == "1")
        before = purchase_id(query["before"]) if query.get("before") else None
        shown = await self._edge.do(partial(self._shown, member, before))
        form, quote = await proposed(self._desk, member)
        return await self._desk.page(
            request, member, "credits", "credits/credits.html", title="Credits",
            form=form, quote=quote, is_prepaid=is_prepaid(member), **shown,
        )  # fmt: skip

    def _shown(self, member: SignedIn, before: PurchaseId | None) -> Mapping[str, Any]:
        """before: the last purchase of the page before. Blocks."""
        account, edge = member.account.id, self._edge
        found = edge.billing.page(account, before=before, limit=PURCHASES_SHOWN + 1)
        book, profile = edge.ledger.book(account), edge.profiles.find(account)
        terms, now_s = edge.billing.terms, self._desk.site.services.clock.now_s()
        return {
            "balance": balance_of(book, profile, terms, is_prepaid=is_prepaid(member)),
            "lots": [lot_row(lot, now_s=now_s) for lot in book.lots],
            "purchases": [purchase_row(one) for one in found[:PURCHASES_SHOWN]],
            "newest": "/credits#purchases" if before else None,
            "older": f"/credits?before={found[PURCHASES_SHOWN - 1].id}#purchases"
            if len(found) > PURCHASES_SHOWN
            else None,
            "top_up": edge.profiles.top_up(account).state.value,
            "documents": [document_row(one) for one in edge.documents.unpaid(account)],
        }

    async def history(self, request: Request) -> Response:
        member = await self._desk.admin(request)
        text = request.query_params.get("before")
        before = number(text) if text else None
        read = partial(
            self._edge.ledger.entries, member.account.id, before=before, limit=ENTRIES_SHOWN + 1
        )
        found = await self._edge.do(read)
        rows = [posting_row(one) for one in found[:ENTRIES_SHOWN]]
        return await self._desk.page(
            request, member, "history", "credits/history.html", title="Ledger", rows=rows,
            newest="/credits/history" if before is not None else None,
            older=f"/credits/history?before={rows[-1].number}"
            if len(found) > ENTRIES_SHOWN else None,
        )  # fmt: skip
