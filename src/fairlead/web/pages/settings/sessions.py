"""`/settings/sessions`: where somebody is signed in, and how to end that."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.people.types import Session
from fairlead.core.errors import NotFound
from fairlead.web.pages import shown
from fairlead.web.pages.settings.desk import SettingsDesk
from fairlead.web.reading import is_keepable

__all__ = ["device", "session_pages"]

_PATH = "/settings/sessions"
_METHODS = {"password": "Password", "link": "Link by mail"}
# What is named first in a list is told apart by it: nearly everything says that it is a Mozilla, or a Safari.
_PROGRAMS = (
    ("edg/", "Edge"), ("opr/", "Opera"), ("firefox/", "Firefox"), ("fxios/", "Firefox"), ("crios/", "Chrome"),
    ("chrome/", "Chrome"), ("safari/", "Safari"), ("curl/", "curl"), ("python", "Python"),
)  # fmt: skip
_SYSTEMS = (
    ("iphone", "iPhone"), ("ipad", "iPad"), ("android", "Android"), ("windows", "Windows"), ("mac os", "macOS"),
    ("cros", "ChromeOS"), ("linux", "Linux"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    device: str
    address: str
    method: str
    created_s: float
    used: str
    used_s: float
    is_current: bool


def session_pages(desk: SettingsDesk) -> list[Route]:
    sign_in = desk.auth.sign_in

    async def listed(request: Request) -> Response:
        member = await desk.site.member(request)
        now_s = desk.site.services.clock.now_s()
        found = await sign_in.sessions(member)
        rows = [_row(one, member.session.id, now_s) for one in found]
        rows.sort(key=lambda row: not row.is_current)
        return await desk.page(request, "sessions", member, title="Sessions", sessions=rows)

    async def end(request: Request) -> Response:
        member, _ = await desk.site.posted(request)
        session = request.path_params["session"]
        if not is_keepable(session) or not await sign_in.revoke_session(
            member, session, desk.place(request)
        ):
            raise NotFound("You have no such session.")
        if session == member.session.id:
            response = desk.site.go("/", notice="signed-out")
            desk.auth.sessions.drop(response)
            return response
        return desk.site.go(_PATH, notice="session-ended")

    async def end_others(request: Request) -> Response:
        member, _ = await desk.site.posted(request)
        await sign_in.revoke_other_sessions(member, desk.place(request))
        return desk.site.go(_PATH, notice="sessions-ended")

    return [
        Route("/settings/sessions", listed),
        Route("/settings/sessions/end-others", end_others, methods=["POST"]),
        Route("/settings/sessions/{session}/end", end, methods=["POST"]),
    ]


def device(user_agent: str) -> str:
    """In two words what calls itself that: "Firefox on Linux". Pure."""
    said = user_agent.lower()
    program = next((name for part, name in _PROGRAMS if part in said), None)
    system = next((name for part, name in _SYSTEMS if part in said), None)
    if program and system:
        return f"{program} on {system}"
    return program or system or (f"{user_agent[:40]}" or "Unknown device")


def _row(session: Session, current: str, now_s: float) -> _Row:
    method = _METHODS.get(session.method) or session.method.removeprefix("oidc:")
    return _Row(
        id=session.id,
        device=device(session.place.user_agent),
        address=session.place.address or shown.UNKNOWN,
        method=method,
        created_s=session.created_ms / 1000,
        used=shown.ago(session.used_ms / 1000, now_s),
        used_s=session.used_ms / 1000,
        is_current=session.id == current,
    )
