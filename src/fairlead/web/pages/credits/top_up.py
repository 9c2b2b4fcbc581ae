"""`/credits/top-up`: buying by itself when the balance is low, and the card that pays for it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.people.types import SignedIn
from fairlead.core.errors import RequestInvalid
from fairlead.web.pages.credits.desk import CreditsDesk, hosted
from fairlead.web.pages.credits.view import TopUpForm, top_up_form, top_up_view
from fairlead.web.pages.form_fields import cents

__all__ = ["card_was_saved", "top_up_pages"]


def top_up_pages(desk: CreditsDesk) -> list[Route]:
    pages = _Pages(desk)
    return [
        Route("/credits/top-up", pages.top_up, methods=["GET"]),
        Route("/credits/top-up", pages.set_top_up, methods=["POST"]),
        Route("/credits/card", pages.save_card, methods=["POST"]),
        Route("/credits/card/forget", pages.forget_card, methods=["POST"]),
    ]


class _Pages:
    def __init__(self, desk: CreditsDesk) -> None:
        self._desk = desk
        self._edge = desk.edge

    async def top_up(self, request: Request) -> Response:
        return await self._page(request, await self._desk.admin(request))

    async def set_top_up(self, request: Request) -> Response:
        member, posted = await self._desk.posted(request)
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
                self._desk.actor(request, member),
                is_on=form.is_on,
                threshold_cents=cents(form.threshold, "threshold"),
                amount_cents=cents(form.amount, "amount"),
                month_cents_max=cents(form.monthly_max, "monthly_max"),
            )
            await self._edge.do(change)
        except RequestInvalid as error:
            form = replace(form, problems={error.param or "": error.message})
            return await self._page(request, member, form)
        return self._desk.site.go("/credits/top-up", notice="saved")

    async def save_card(self, request: Request) -> Response:
        member, _ = await self._desk.posted(request)
        account, actor = member.account.id, self._desk.actor(request, member)
        begin = partial(self._edge.profiles.begin_saving, account, actor, member.user.email)
        begun = await self._edge.do(begin)
        if self._edge.pretended is not None:
            return await card_was_saved(self._desk, member, is_saved=True)
        return hosted(begun.url)

    async def forget_card(self, request: Request) -> Response:
        member, _ = await self._desk.posted(request)
        account, actor = member.account.id, self._desk.actor(request, member)
        await self._edge.do(partial(self._edge.profiles.forget_saved, account, actor))
        return self._desk.site.go("/credits/top-up", notice="card-forgotten")

    async def _page(
        self, request: Request, member: SignedIn, form: TopUpForm | None = None
    ) -> Response:
        account, profiles = member.account.id, self._edge.profiles
        top_up, profile = await self._edge.do(
            lambda: (profiles.top_up(account), profiles.find(account))
        )
        return await self._desk.page(
            request, member, "top-up", "credits/top_up.html", title="Auto top-up",
            status=422 if form is not None else 200,
            form=form or top_up_form(top_up), top_up=top_up_view(top_up, profile),
        )  # fmt: skip


async def card_was_saved(desk: CreditsDesk, member: SignedIn, *, is_saved: bool) -> Response:
    """Back from where that is done."""
    found = None
    if is_saved:
        found = await desk.edge.do(partial(desk.edge.profiles.look_for_saved, member.account.id))
    return desk.site.go("/credits/top-up", notice=None if found is None else "card-saved")
