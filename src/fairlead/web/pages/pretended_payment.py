"""`/billing/test-payment/{id}`: TEST PAYMENT, NO MONEY MOVES. Where a purchase is paid if no payment company is
configured; instead of that company's page."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.billing.types import Purchase, PurchaseId
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import NotFound, PermissionDenied, RequestInvalid
from fairlead.web.pages.credits.view import purchase_row
from fairlead.web.pages.site import Site
from fairlead.web.reading import is_keepable

__all__ = ["pretended_payment_pages"]


def pretended_payment_pages(site: Site) -> list[Route]:
    edge = site.services.billing
    if edge is None or edge.pretended is None or site.services.auth is None:
        return []
    pretended = edge.pretended

    async def show(request: Request) -> Response:
        member = _checked(await site.member(request))
        found = await edge.do(partial(edge.billing.find, member.account.id, _name(request)))
        return await site.page(
            request,
            "credits/test_payment.html",
            member,
            title="Test payment, no money moves",
            member=member,
            purchase=purchase_row(found),
        )

    async def decide(request: Request) -> Response:
        member, form = await site.posted(request)
        _checked(member)
        outcome = form.text("outcome")
        if outcome not in ("pay", "decline"):
            raise RequestInvalid("`outcome` is pay or decline.", param="outcome")
        account, name = member.account.id, _name(request)

        def decided() -> Purchase:
            found = edge.billing.find(account, name)
            return edge.billing.apply(pretended.decide(found, is_paid=outcome == "pay"))

        after = await edge.do(decided)
        return site.go(f"/credits?purchase={after.id}")

    return [
        Route("/billing/test-payment/{id}", show, methods=["GET"]),
        Route("/billing/test-payment/{id}", decide, methods=["POST"]),
    ]


def _checked(member: SignedIn) -> SignedIn:
    if not member.is_admin:
        raise PermissionDenied("Credits and invoices are for admins of this account.")
    return member


def _name(request: Request) -> PurchaseId:
    name = request.path_params["id"]
    if not is_keepable(name):
        raise NotFound("There is nothing of that name.")
    return PurchaseId(name)
