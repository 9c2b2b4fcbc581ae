"""`/billing/test-payment/{id}`: TEST PAYMENT, NO MONEY MOVES. Where a purchase is paid if no payment company is
configured; instead of that company's page."""

from __future__ import annotations

from functools import partial
from html import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.billing import rules
from fairlead.control.billing.letters import dollars
from fairlead.control.billing.types import Purchase, PurchaseId, PurchaseState
from fairlead.core.errors import NotFound, PermissionDenied, RequestInvalid
from fairlead.web.auth.exchange import answering, done, page, read_form
from fairlead.web.auth.services import AuthServices
from fairlead.web.billing import BillingEdge
from fairlead.web.reading import is_keepable

__all__ = ["pretended_payment_routes"]

_TITLE = "TEST PAYMENT, NO MONEY MOVES"
_FORM = """\
<p>Credit of {amount}, with a fee of {fee}: {total}.</p>
<form method="post"><input type="hidden" name="csrf" value="{csrf}">
<button name="outcome" value="pay">Pay {total} of nobody's money</button>
<button name="outcome" value="decline">Have it declined</button></form>"""


def pretended_payment_routes(edge: BillingEdge | None, auth: AuthServices | None) -> list[Route]:
    if edge is None or edge.pretended is None or auth is None:
        return []
    pretended, sessions = edge.pretended, auth.sessions

    async def show(request: Request) -> Response:
        signed_in = await sessions.required(request)
        found = await edge.do(partial(edge.billing.find, signed_in.account.id, _name(request)))
        if rules.state(found) is not PurchaseState.CREATED:
            return page(_TITLE, f"<p>This purchase is {escape(rules.state(found).value)}.</p>")
        body = _FORM.format(
            amount=dollars(found.amount_cents),
            fee=dollars(found.fee_cents),
            total=dollars(found.total_cents),
            csrf=escape(signed_in.csrf),
        )
        return page(_TITLE, body)

    async def decide(request: Request) -> Response:
        form = await read_form(request)
        signed_in = await sessions.required(request, form.fields)
        if not signed_in.is_admin:
            raise PermissionDenied("Only admins of this account can do this.")
        outcome = form.text("outcome")
        if outcome not in ("pay", "decline"):
            raise RequestInvalid("`outcome` is pay or decline.", param="outcome")
        account, name = signed_in.account.id, _name(request)

        def decided() -> Purchase:
            found = edge.billing.find(account, name)
            return edge.billing.apply(pretended.decide(found, is_paid=outcome == "pay"))

        after = await edge.do(decided)
        shown = {"id": after.id, "state": rules.state(after).value}
        return done(request, shown, to=f"/credits?purchase={after.id}")

    async def serve(request: Request) -> Response:
        return await (decide(request) if request.method == "POST" else show(request))

    return [Route("/billing/test-payment/{id}", answering(serve), methods=["GET", "POST"])]


def _name(request: Request) -> PurchaseId:
    name = request.path_params["id"]
    if not is_keepable(name):
        raise NotFound("There is nothing of that name.")
    return PurchaseId(name)
