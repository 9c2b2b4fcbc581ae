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
    sign_in = desk.auth.sign_in

    async def show(
        request: Request,
        member: SignedIn | None = None,
        *,
        form: Form | None = None,
        problem: Refused | None = None,
    ) -> Response:
        least = desk.auth.rules.password_characters_min
        return await desk.page(
            request,
            "profile",
            member or await desk.site.member(request),
            title="Profile",
            refused=problem,
            values=None if form is None else form.fields,
            password_hint=f"At least {least} characters; a sentence is a good one.",
        )

    async def profile(request: Request) -> Response:
        return await show(request)

    async def change_name(request: Request) -> Response:
        member, form = await desk.site.posted(request)
        done = await attempted(sign_in.rename(member, form.fields.get("name", "")))
        if isinstance(done, Refused):
            return await show(request, member, form=form, problem=done)
        return desk.site.go(_PATH, notice="saved")

    async def change_email(request: Request) -> Response:
        """Nothing changes until the link in the mail is followed."""
        member, form = await desk.site.posted(request)
        done = await attempted(
            sign_in.ask_for_verification(
                member,
                form.fields.get("email", ""),
                desk.place(request),
                present=form.text_or_none("email_password"),
            )
        )
        if isinstance(done, Refused):
            field = "email_password" if member.user.has_password else "email"
            return await show(request, member, form=form, problem=_told(done, member, field))
        return desk.site.go(_PATH, notice="link-sent")

    async def verify_email(request: Request) -> Response:
        member, form = await desk.site.posted(request)
        done = await attempted(
            sign_in.ask_for_verification(member, member.user.email or "", desk.place(request))
        )
        if isinstance(done, Refused):
            return await show(request, member, form=form, problem=done)
        return desk.site.go(_PATH, notice="link-sent")

    async def change_password(request: Request) -> Response:
        """In place of every session; this browser gets a new one."""
        member, form = await desk.site.posted(request)
        made = await attempted(
            sign_in.change_password(
                member,
                present=form.text_or_none("present_password"),
                wanted=form.fields.get("password", ""),
                place=desk.place(request),
            )
        )
        if isinstance(made, Refused):
            field = "present_password" if member.user.has_password else "password"
            return await show(request, member, form=form, problem=_told(made, member, field))
        response = desk.site.go(_PATH, notice="password-changed")
        desk.auth.sessions.keep(request, response, made)
        return response

    return [
        Route("/settings/profile", profile),
        Route("/settings/profile/name", change_name, methods=["POST"]),
        Route("/settings/profile/email", change_email, methods=["POST"]),
        Route("/settings/profile/email/verify", verify_email, methods=["POST"]),
        Route("/settings/profile/password", change_password, methods=["POST"]),
    ]


def _told(problem: Refused, member: SignedIn, field: str) -> Refused:
    """A refusal that names no field is about who they are: said where they prove it."""
    if WHOLE not in problem.problems or problem.status != 422:
        return problem
    if member.user.has_password:
        return refused("This is not your password.", field)
    return refused("Sign in again first: you have no password to prove that it is you.", field)
