"""`/admin/payments`: purchases, refunds and what the payment company tells us, of all accounts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.billing import rules
from fairlead.control.billing.types import Purchase, PurchaseState, RefundState
from fairlead.web.pages.admin.desk import AdminDesk
from fairlead.web.pages.paging import PAGE_ROWS, addressed, page_number, paging

__all__ = ["payment_pages"]

PATH: Final = "/admin/payments"
DISPUTES: Final = "disputes"
_DISPUTED: Final = (
    PurchaseState.DISPUTED.value,
    PurchaseState.DISPUTE_WON.value,
    PurchaseState.DISPUTE_LOST.value,
)
_STATES: Final = {
    PurchaseState.CREATED: ("Not paid yet", ""),
    PurchaseState.FAILED: ("Failed", "danger"),
    PurchaseState.STRANGE: ("Another sum", "warning"),
    PurchaseState.PAID: ("Paid", "success"),
    PurchaseState.PARTLY_REFUNDED: ("Partly refunded", ""),
    PurchaseState.REFUNDED: ("Refunded", ""),
    PurchaseState.DISPUTED: ("Disputed", "warning"),
    PurchaseState.DISPUTE_WON: ("Dispute won", "success"),
    PurchaseState.DISPUTE_LOST: ("Dispute lost", "danger"),
}
_REFUNDS: Final = {
    RefundState.OWED: ("On its way", ""),
    RefundState.SENT: ("Sent", "success"),
    RefundState.FAILED: ("Failed, the credit is back", "danger"),
}
_Row = TypeVar("_Row", covariant=True)  # noqa: PLC0105 - rows of one kind
_Item = TypeVar("_Item")


class _Reads(Protocol[_Row]):
    def __call__(self, *, offset: int, limit: int) -> Sequence[_Row]: ...


def payment_pages(desk: AdminDesk) -> list[Route]:
    oversight = desk.administration.oversight

    async def page(
        request: Request,
        tab: str,
        read: _Reads[_Item],
        whose: Callable[[_Item], str],
        chosen: dict[str, str],
        **shown: object,
    ) -> Response:
        member = await desk.owner(request)
        number = page_number(request.query_params.get("page"))
        found: Sequence[_Item] = await desk.administration.do(
            partial(read, offset=(number - 1) * PAGE_ROWS, limit=PAGE_ROWS + 1)
        )
        rows = found[:PAGE_ROWS]
        ids = {name for row in rows if (name := whose(row))}
        names = await desk.administration.do(partial(oversight.names, ids))

        def address(page: int) -> str:
            return addressed(request.url.path, chosen | {"page": str(page) if page > 1 else ""})

        return await desk.page(
            request, "payments", member, title="Payments", tab=tab, rows=rows, names=names,
            pages=paging(number, len(rows), has_more=len(found) > PAGE_ROWS, address=address),
            **shown,
        )  # fmt: skip

    async def purchases(request: Request) -> Response:
        wanted = request.query_params.get("state", "")
        if wanted == DISPUTES:
            states: tuple[str, ...] = _DISPUTED
        else:
            states = (wanted,) if wanted in _STATES else ()
        options = [("", "All")] + [(state.value, said) for state, (said, _) in _STATES.items()]
        options.append((DISPUTES, "Every dispute"))
        return await page(
            request, "purchases", partial(oversight.purchases, states), lambda one: one.account,
            {"state": wanted if states else ""},
            state=wanted if states else "", options=options, state_of=_state,
        )  # fmt: skip

    async def refunds(request: Request) -> Response:
        return await page(
            request, "refunds", oversight.refunds, lambda one: one.account, {}, states=_REFUNDS
        )

    async def events(request: Request) -> Response:
        return await page(request, "events", oversight.events, lambda _: "", {})

    return [
        Route("/admin/payments", purchases),
        Route("/admin/payments/refunds", refunds),
        Route("/admin/payments/events", events),
    ]


def _state(purchase: Purchase) -> tuple[str, str]:
    """In words, and their tone."""
    return _STATES[rules.state(purchase)]
