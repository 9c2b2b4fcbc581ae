"""What all pages of the operator share: whom they are for, their frame, who is who in a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

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

__all__ = ["PAGE_ROWS", "AdminDesk", "Paging", "addressed", "paging"]

PAGE_ROWS: Final = 50


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
        return int(self.site.services.clock.now_s() * 1000)

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


@dataclass(frozen=True, slots=True)
class Paging:
    """shown: as "1-50". before, after: addresses; None at the ends."""

    shown: str
    before: str | None
    after: str | None


def paging(number: int, rows: int, *, has_more: bool, address: Callable[[int], str]) -> Paging:
    """number: of the page, from 1. rows: on it. address: of a page."""
    first = (number - 1) * PAGE_ROWS + 1
    return Paging(
        shown=f"{first}\N{EN DASH}{first + rows - 1}" if rows else "",
        before=address(number - 1) if number > 1 else None,
        after=address(number + 1) if has_more else None,
    )


def addressed(path: str, chosen: Mapping[str, str]) -> str:
    """With those parameters that say something."""
    query = urlencode({name: value for name, value in chosen.items() if value})
    return f"{path}?{query}" if query else path
