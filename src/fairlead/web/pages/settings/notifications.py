"""`/settings/notifications`: what an account is written about, and from which balance."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.billing.profiles import Profile
from fairlead.control.billing.types import NANO_PER_CENT
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import RequestInvalid
from fairlead.web.billing import BillingEdge
from fairlead.web.pages import shown
from fairlead.web.pages.attempts import Refused, attempted
from fairlead.web.pages.form_fields import cents, typed_dollars
from fairlead.web.pages.settings.desk import SettingsDesk, check_admin

__all__ = ["notification_pages"]

_PATH = "/settings/notifications"


def notification_pages(desk: SettingsDesk) -> list[Route]:
    edge = desk.site.services.billing

    async def show(
        request: Request,
        member: SignedIn,
        problem: Refused | None = None,
        values: dict[str, str] | None = None,
    ) -> Response:
        profile = await _profile(edge, member)
        low = None if profile is None else profile.low_balance_cents
        usual = 0 if edge is None else edge.billing.terms.low_balance_cents
        return await desk.page(
            request,
            "notifications",
            member,
            title="Notifications",
            refused=problem,
            values=values
            or {
                "when": "default" if low is None else "own" if low else "never",
                "low_balance": typed_dollars(low * NANO_PER_CENT) if low else "",
            },
            usual=shown.dollars_from_cents(usual) if usual else None,
            has_balance=profile is not None,
            email=member.user.email,
        )

    async def notifications(request: Request) -> Response:
        return await show(request, await desk.site.member(request))

    async def change(request: Request) -> Response:
        member, form = await desk.site.posted(request)
        check_admin(member)
        if edge is None:
            return desk.site.go(_PATH)
        actor, account = desk.actor(request, member), member.account.id

        def changed(low: int | None) -> None:
            before = edge.profiles.find(account)
            edge.profiles.describe(
                account,
                actor,
                name=before.name,
                address=before.address,
                tax_ids=before.tax_ids,
                low_balance_cents=low,
            )

        async def save() -> None:
            low = _wanted(form.fields)
            await edge.do(lambda: changed(low))

        done = await attempted(save())
        if isinstance(done, Refused):
            return await show(request, member, done, dict(form.fields))
        return desk.site.go(_PATH, notice="saved")

    return [
        Route("/settings/notifications", notifications),
        Route("/settings/notifications/balance", change, methods=["POST"]),
    ]


async def _profile(edge: BillingEdge | None, member: SignedIn) -> Profile | None:
    if edge is None:
        return None
    return await edge.do(lambda: edge.profiles.find(member.account.id))


def _wanted(fields: Mapping[str, str]) -> int | None:
    """The threshold in cents; None: the installation's; 0: never. Raises RequestInvalid."""
    match fields.get("when"):
        case "default":
            return None
        case "never":
            return 0
        case "own":
            low = cents(fields.get("low_balance", ""), "low_balance")
            if not low:
                raise RequestInvalid("More than nothing.", param="low_balance")
            return low
        case _:
            raise RequestInvalid("Choose one of these.", param="when")
