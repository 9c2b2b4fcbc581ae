"""`/settings/account`: take everything away that there is of an account, or end it."""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from fairlead.control.people.types import SignedIn
from fairlead.core.errors import NotFound, Overloaded, PermissionDenied
from fairlead.web.pages.attempts import Refused, attempted, refused
from fairlead.web.pages.settings.desk import SettingsDesk, check_admin

__all__ = ["leaving_pages"]

_PATH = "/settings/account"


def leaving_pages(desk: SettingsDesk) -> list[Route]:
    auth, privacy = desk.auth, desk.site.services.privacy
    writing = asyncio.Semaphore(
        1
    )  # an export reads everything; one at a time is enough for a process

    async def show(request: Request, member: SignedIn, problem: Refused | None = None) -> Response:
        return await desk.page(
            request,
            "account",
            member,
            title="Export and deletion",
            refused=problem,
            can_export=privacy is not None and member.is_admin,
            confirm=_confirmation(member),
            is_own=member.account.id == member.user.account,
        )

    async def account(request: Request) -> Response:
        return await show(request, await desk.site.member(request))

    async def export(request: Request) -> Response:
        member, _ = await desk.site.posted(request)
        check_admin(member)
        if privacy is None:
            raise NotFound("Nothing can be exported here.")
        if writing.locked():
            raise Overloaded("Another export is being written. Try again in a minute.")
        async with writing:
            place = Path(tempfile.mkdtemp(prefix="fairlead-export-"))
            file = place / "export.zip"
            try:
                await privacy.do(partial(privacy.service.export, member.account.id, file))
            except BaseException:
                _forget(file)
                raise
        return FileResponse(
            file,
            media_type="application/zip",
            filename=f"fairlead-{member.account.id}.zip",
            headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
            background=BackgroundTask(_forget, file),
        )

    async def delete(request: Request) -> Response:
        member, form = await desk.site.posted(request)
        if member.account.id != member.user.account:
            raise PermissionDenied("Switch to your own account first: this ends it.")
        if form.fields.get("confirm", "").strip() != _confirmation(member):
            wrong = refused(f"Type {_confirmation(member)} to confirm.", "confirm")
            return await show(request, member, wrong)
        done = await attempted(
            auth.in_thread(partial(auth.leaving.delete, member.user, desk.place(request)))
        )
        if isinstance(done, Refused):
            return await show(request, member, done)
        response = desk.site.go("/", notice="account-deleted")
        auth.sessions.drop(response)
        return response

    return [
        Route("/settings/account", account),
        Route("/settings/account/export", export, methods=["POST"]),
        Route("/settings/account/delete", delete, methods=["POST"]),
    ]


def _confirmation(member: SignedIn) -> str:
    """What somebody types, so that nobody does it by accident."""
    return member.user.email or member.user.account


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.parent.rmdir()
