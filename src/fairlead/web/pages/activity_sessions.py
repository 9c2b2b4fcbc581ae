"""`/activity/sessions`: calls that belong together, as callers say it; and `/activity/session`, one of them.

As of calls, admins see the sessions of all of an account, others what of them was made with their own keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.generations.listing import GenerationList
from fairlead.control.generations.sessions import SessionList
from fairlead.control.generations.types import Wanted
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import NotFound
from fairlead.core.ids import UserId
from fairlead.web.asking import Desk
from fairlead.web.pages.activity_view import PERIODS, Asked, Period, asked_of, stretch
from fairlead.web.pages.call_facts import session_path
from fairlead.web.pages.call_rows import call_row, cursor_of, names_of_calls
from fairlead.web.pages.paging import addressed
from fairlead.web.pages.session_view import (
    SessionsView,
    SessionView,
    session_cursor,
    session_row,
    shown_name,
)
from fairlead.web.pages.site import Site
from fairlead.web.usage_desk import UsageDesk

__all__ = ["session_pages", "tabs"]

SESSIONS_SHOWN: Final = 25
CALLS_SHOWN: Final = 50
_LIST: Final = "/activity/sessions"


def tabs(period: Period) -> tuple[tuple[str, str, str], ...]:
    """The ways to look at activity: name, label and address, all of the same time."""
    return (
        ("usage", "Usage and calls", Asked(period).address()),
        ("sessions", "Sessions", Asked(period).address(_LIST)),
    )


def session_pages(site: Site) -> list[Route]:
    services = site.services
    usage, calls, sessions = services.usage, services.generation_list, services.session_list
    if usage is None or calls is None or sessions is None:
        return []
    pages = _Pages(site, usage, calls, sessions)
    return [
        Route("/activity/sessions", pages.sessions),
        Route("/activity/session", pages.session),
    ]


class _Pages:
    def __init__(
        self,
        site: Site,
        usage: UsageDesk,
        calls: Desk[GenerationList],
        sessions: Desk[SessionList],
    ) -> None:
        self._site = site
        self._usage = usage
        self._calls = calls
        self._sessions = sessions

    async def sessions(self, request: Request) -> Response:
        member = await self._site.member(request)
        period = asked_of(request.query_params).period
        time = stretch(period, self._site.now_ms())
        behind = session_cursor(request.query_params.get("before", ""))
        page = await self._sessions.do(
            partial(
                self._sessions.service.page,
                member.account.id,
                start_ms=time.start_ms,
                end_ms=time.end_ms,
                user=_only(member),
                behind=behind,
                limit=SESSIONS_SHOWN,
            )
        )
        first = Asked(period).address(_LIST)
        older = None
        if page.after is not None:
            before = f"{page.after.last_ms}-{page.after.id}"
            older = addressed(_LIST, {**_chosen(period), "before": before})
        view = SessionsView(
            period=period,
            said=time.said,
            periods=tuple((one.value, said, Asked(one).address(_LIST)) for one, said in PERIODS),
            rows=tuple(map(session_row, page.sessions)),
            is_own=not member.is_admin,
            newest=None if behind is None else first,
            older=older,
        )
        return await self._site.page(
            request,
            "activity/sessions.html",
            member,
            title="Sessions",
            view=view,
            tabs=tabs(period),
        )

    async def session(self, request: Request) -> Response:
        member = await self._site.member(request)
        account, wanted = member.account.id, request.query_params.get("id", "")
        found = None
        if wanted:
            find = partial(self._sessions.service.find, account, wanted, user=_only(member))
            found = await self._sessions.do(find)
        if found is None:
            raise NotFound("This account has no such session.")
        behind = cursor_of(request.query_params.get("before", ""))
        page = await self._calls.do(
            partial(
                self._calls.service.page,
                account,
                Wanted(found.first_ms, found.last_ms + 1, user=_only(member), session=found.id),
                behind=behind,
                limit=CALLS_SHOWN,
            )
        )
        names = await self._usage.ask(partial(names_of_calls, account=account, page=page))
        path, older = session_path(found.id), None
        if page.after is not None:
            before = f"{page.after.created_ms}-{page.after.id}"
            older = addressed("/activity/session", {"id": found.id, "before": before})
        snapshot = self._site.services.catalog.snapshot
        return await self._site.page(
            request,
            "activity/session.html",
            member,
            title=f"Session {shown_name(found.id)}",
            session=SessionView(
                found,
                rows=tuple(call_row(one, names, snapshot) for one in page.generations),
                newest=None if behind is None else path,
                older=older,
            ),
        )


def _only(member: SignedIn) -> UserId | None:
    """Whose calls they may see; None: everybody's."""
    return None if member.is_admin else member.user.id


def _chosen(period: Period) -> Mapping[str, str]:
    return {"period": period.value if period is not Asked().period else ""}
