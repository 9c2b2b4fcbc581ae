"""All of `/settings`. A page of it is one line here, and one in the navigation of
`templates/settings/frame.html`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.web.pages.settings.desk import SettingsDesk
from fairlead.web.pages.settings.leaving import leaving_pages
from fairlead.web.pages.settings.notifications import notification_pages
from fairlead.web.pages.settings.organisation import organisation_pages
from fairlead.web.pages.settings.own_keys import own_key_pages
from fairlead.web.pages.settings.presets import preset_pages
from fairlead.web.pages.settings.privacy import privacy_pages
from fairlead.web.pages.settings.profile import profile_pages
from fairlead.web.pages.settings.routing import routing_pages
from fairlead.web.pages.settings.sessions import session_pages
from fairlead.web.pages.settings.workspaces import workspace_pages
from fairlead.web.pages.site import Site

__all__ = ["settings_pages"]

_PAGES: Final[tuple[Callable[[SettingsDesk], list[Route]], ...]] = (
    profile_pages,
    session_pages,
    own_key_pages,
    routing_pages,
    preset_pages,
    privacy_pages,
    notification_pages,
    organisation_pages,
    workspace_pages,
    leaving_pages,
)


def settings_pages(site: Site) -> list[Route]:
    desk = SettingsDesk.of(site)
    if desk is None:
        return []

    async def first(request: Request) -> Response:
        await site.member(request)
        return site.go("/settings/profile")

    return [Route("/settings", first), *(route for pages in _PAGES for route in pages(desk))]
