"""What all pages of settings share: their frame, who may change what, lists in text fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from fairlead.control.audit.types import Actor
from fairlead.control.people.types import Place, SignedIn
from fairlead.core.errors import PermissionDenied
from fairlead.web.auth.services import AuthServices
from fairlead.web.management import Management
from fairlead.web.pages.attempts import NO_PROBLEMS, Refused
from fairlead.web.pages.site import Site
from fairlead.web.pages.workspace_choice import WorkspaceChoice, chosen_workspace

__all__ = ["SettingsDesk", "check_admin", "lines"]

_SECRET: Final = frozenset({"csrf", "password", "present_password", "email_password", "key"})
_BETWEEN: Final = re.compile(r"[,\s]+")


@dataclass(frozen=True, slots=True)
class SettingsDesk:
    site: Site
    auth: AuthServices
    management: Management

    @classmethod
    def of(cls, site: Site) -> SettingsDesk | None:
        """None: nobody can sign in here."""
        auth, management = site.services.auth, site.services.management
        return None if auth is None or management is None else cls(site, auth, management)

    def place(self, request: Request) -> Place:
        return self.auth.doorway.place(request)

    def actor(self, request: Request, member: SignedIn) -> Actor:
        """As the audit log knows them."""
        return Actor.user(member.user.id, self.place(request).address)

    async def workspace(self, member: SignedIn, wanted: str | None) -> WorkspaceChoice:
        """The one that a page is about, among those that they work in. wanted: a slug or an id; None: the
        default one."""
        service = self.management.workspaces
        return await self.management.do(partial(chosen_workspace, service, member, wanted))

    async def page(
        self,
        request: Request,
        template: str,
        member: SignedIn,
        *,
        title: str,
        refused: Refused | None = None,
        values: Mapping[str, str] | None = None,
        **shown: Any,  # noqa: ANN401 - whatever the template shows
    ) -> Response:
        """refused: what was wrong with the form that was sent. values: its fields; none that are secret are
        written back."""
        kept = {name: said for name, said in (values or {}).items() if name not in _SECRET}
        return await self.site.page(
            request,
            f"settings/{template}.html",
            member,
            title=title,
            is_indexed=False,
            status=200 if refused is None else refused.status,
            problems=NO_PROBLEMS if refused is None else refused.problems,
            values=kept,
            member=member,
            **shown,
        )


def check_admin(member: SignedIn) -> None:
    """Raises PermissionDenied for who only belongs to an organisation."""
    if not member.is_admin:
        raise PermissionDenied(f"Only admins of {member.account.name} can change this.")


def lines(text: str) -> tuple[str, ...]:
    """The words of a field that takes one on each line, or with commas between them."""
    return tuple(word for word in _BETWEEN.split(text) if word)
