"""`/admin/ledger`: have the ledger checked, see how far that is and what it found."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.errors import NotFound
from fairlead.web.pages.admin.desk import AdminDesk

__all__ = ["ledger_pages"]

PATH: Final = "/admin/ledger"


def ledger_pages(desk: AdminDesk) -> list[Route]:
    checks = desk.administration.ledger_checks

    async def show(request: Request) -> Response:
        member = await desk.owner(request)
        standing = None if checks is None else await desk.administration.do(checks.standing)
        return await desk.page(
            request, "ledger", member, title="Ledger", fragment="admin/ledger_standing.html",
            can_check=checks is not None, standing=standing,
            is_running=standing is not None and standing.is_running(desk.now_ms()),
        )  # fmt: skip

    async def begin(request: Request) -> Response:
        member, _ = await desk.posted(request)
        if checks is None:
            raise NotFound("The ledger cannot be checked here.")
        actor = desk.actor(request, member)

        def start() -> bool:
            is_new = checks.begin()
            if is_new:
                desk.administration.oversight.note(
                    member.account.id, actor, "ledger.check", "ledger"
                )
            return is_new

        is_new = await desk.administration.do(start)
        return desk.site.go(PATH, notice="ledger-check-begun" if is_new else "ledger-check-runs")

    return [
        Route("/admin/ledger", show, methods=["GET"]),
        Route("/admin/ledger", begin, methods=["POST"]),
    ]
