"""What all pages of the operator share: whom they are for, and their frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fairlead.control.audit.types import Actor
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import NotFound
from fairlead.web.administration import Administration
from fairlead.web.auth.exchange import Form
from fairlead.web.management import Management
from fairlead.web.pages.form_fields import actor_of
from fairlead.web.pages.site import Site

__all__ = ["AdminDesk"]


@dataclass(frozen=True, slots=True)
class AdminDesk:
    site: Site
    administration: Administration
    management: Management

    @classmethod
    def of(cls, site: Site) -> AdminDesk | None:
        """None: nobody operates this process from pages."""
        services = site.services
        administration, management = services.administration, services.management
        if administration is None or management is None or services.auth is None:
            return None
        return cls(site, administration, management)

    async def owner(self, request: Request) -> SignedIn:
        """Raises NotAuthenticated; NotFound for everybody else, who need not know that there is anything."""
        return _checked(await self.site.member(request))

    async def posted(self, request: Request) -> tuple[SignedIn, Form]:
        """The same for a form."""
        member, form = await self.site.posted(request)
        return _checked(member), form

    def actor(self, request: Request, member: SignedIn) -> Actor:
        return actor_of(self.site, request, member)

    def now_ms(self) -> int:
        return self.site.now_ms()

    async def page(
        self,
        request: Request,
        template: str,
        member: SignedIn,
        *,
        title: str,
        **shown: Any,  # noqa: ANN401 - whatever the template shows
    ) -> Response:
        return await self.site.page(
            request,
            f"admin/{template}.html",
            member,
            title=title,
            is_indexed=False,
            member=member,
            **shown,
        )


def _checked(member: SignedIn) -> SignedIn:
    if not member.is_owner:
        raise NotFound("There is no such page.")
    return member
