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
from fairlead.control.privacy.service import Privacy
from fairlead.core.errors import NotFound, Overloaded, PermissionDenied
from fairlead.core.ids import AccountId
from fairlead.web.asking import Desk
from fairlead.web.pages.attempts import Refused, attempted, refused
from fairlead.web.pages.settings.desk import SettingsDesk, check_admin

__all__ = ["leaving_pages"]

_PATH = "/settings/account"


def leaving_pages(desk: SettingsDesk) -> list[Route]:
    it = _Leaving(desk)
    return [
        Route("/settings/account", it.account),
        Route("/settings/account/export", it.export, methods=["POST"]),
        Route("/settings/account/delete", it.delete, methods=["POST"]),
    ]


class _Leaving:
    def __init__(self, desk: SettingsDesk) -> None:
        self._desk = desk
        self._privacy = desk.site.services.privacy
        # An export reads everything; one at a time is enough for a process.
        self._writing = asyncio.Semaphore(1)

    async def account(self, request: Request) -> Response:
        return await self._show(request, await self._desk.site.member(request))

    async def export(self, request: Request) -> Response:
        member, _ = await self._desk.site.posted(request)
        check_admin(member)
        if self._privacy is None:
            raise NotFound("Nothing can be exported here.")
        if self._writing.locked():
            raise Overloaded("Another export is being written. Try again in a minute.")
        async with self._writing:
            file = await _written(self._privacy, member.account.id)
        return FileResponse(
            file,
            media_type="application/zip",
            filename=f"fairlead-{member.account.id}.zip",
            headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
            background=BackgroundTask(_forget, file),
        )

    async def delete(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        auth = self._desk.auth
        if member.account.id != member.user.account:
            raise PermissionDenied("Switch to your own account first: this ends it.")
        if form.fields.get("confirm", "").strip() != _confirmation(member):
            wrong = refused(f"Type {_confirmation(member)} to confirm.", "confirm")
            return await self._show(request, member, wrong)
        done = await attempted(
            auth.in_thread(partial(auth.leaving.delete, member.user, self._desk.place(request)))
        )
        if isinstance(done, Refused):
            return await self._show(request, member, done)
        response = self._desk.site.go("/", notice="account-deleted")
        auth.sessions.drop(response)
        return response

    async def _show(
        self, request: Request, member: SignedIn, problem: Refused | None = None
    ) -> Response:
        return await self._desk.page(
            request,
            "account",
            member,
            title="Export and deletion",
            refused=problem,
            can_export=self._privacy is not None and member.is_admin,
            confirm=_confirmation(member),
            is_own=member.account.id == member.user.account,
        )


async def _written(privacy: Desk[Privacy], account: AccountId) -> Path:
    """The export, in a folder of its own."""
    file = Path(tempfile.mkdtemp(prefix="fairlead-export-")) / "export.zip"
    try:
        await privacy.do(partial(privacy.service.export, account, file))
    except BaseException:
        _forget(file)
        raise
    return file


def _confirmation(member: SignedIn) -> str:
    """What somebody types, so that nobody does it by accident."""
    return member.user.email or member.user.account


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.parent.rmdir()
