"""`/settings/profile`: name, address, password of whoever is signed in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.people.types import SignedIn
from fairlead.web.auth.exchange import Form
from fairlead.web.pages.attempts import WHOLE, Refused, attempted, refused
from fairlead.web.pages.settings.desk import SettingsDesk

__all__ = ["profile_pages"]

_PATH = "/settings/profile"


def profile_pages(desk: SettingsDesk) -> list[Route]:
    it = _Profile(desk)
    return [
        Route("/settings/profile", it.profile),
        Route("/settings/profile/name", it.change_name, methods=["POST"]),
        Route("/settings/profile/email", it.change_email, methods=["POST"]),
        Route("/settings/profile/email/verify", it.verify_email, methods=["POST"]),
        Route("/settings/profile/password", it.change_password, methods=["POST"]),
    ]


class _Profile:
    def __init__(self, desk: SettingsDesk) -> None:
        self._desk = desk
        self._sign_in = desk.auth.sign_in

    async def profile(self, request: Request) -> Response:
        return await self._show(request, await self._desk.site.member(request))

    async def change_name(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        done = await attempted(self._sign_in.rename(member, form.fields.get("name", "")))
        if isinstance(done, Refused):
            return await self._show(request, member, form, done)
        return self._desk.site.go(_PATH, notice="saved")

    async def change_email(self, request: Request) -> Response:
        """Nothing changes until the link in the mail is followed."""
        member, form = await self._desk.site.posted(request)
        done = await attempted(
            self._sign_in.ask_for_verification(
                member,
                form.fields.get("email", ""),
                self._desk.place(request),
                present=form.text_or_none("email_password"),
            )
        )
        if isinstance(done, Refused):
            field = "email_password" if member.user.has_password else "email"
            return await self._show(request, member, form, _told(done, member, field))
        return self._desk.site.go(_PATH, notice="link-sent")

    async def verify_email(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        place = self._desk.place(request)
        done = await attempted(
            self._sign_in.ask_for_verification(member, member.user.email or "", place)
        )
        if isinstance(done, Refused):
            return await self._show(request, member, form, done)
        return self._desk.site.go(_PATH, notice="link-sent")

    async def change_password(self, request: Request) -> Response:
        """In place of every session; this browser gets a new one."""
        member, form = await self._desk.site.posted(request)
        made = await attempted(
            self._sign_in.change_password(
                member,
                present=form.text_or_none("present_password"),
                wanted=form.fields.get("password", ""),
                place=self._desk.place(request),
            )
        )
        if isinstance(made, Refused):
            field = "present_password" if member.user.has_password else "password"
            return await self._show(request, member, form, _told(made, member, field))
        response = self._desk.site.go(_PATH, notice="password-changed")
        self._desk.auth.sessions.keep(request, response, made)
        return response

    async def _show(
        self,
        request: Request,
        member: SignedIn,
        form: Form | None = None,
        problem: Refused | None = None,
    ) -> Response:
        least = self._desk.auth.rules.password_characters_min
        return await self._desk.page(
            request,
            "profile",
            member,
            title="Profile",
            refused=problem,
            values=None if form is None else form.fields,
            password_hint=f"At least {least} characters; a sentence is a good one.",
        )


def _told(problem: Refused, member: SignedIn, field: str) -> Refused:
    """A refusal that names no field is about who they are: said where they prove it."""
    if WHOLE not in problem.problems or problem.status != 422:
        return problem
    if member.user.has_password:
        return refused("This is not your password.", field)
    return refused("Sign in again first: you have no password to prove that it is you.", field)
