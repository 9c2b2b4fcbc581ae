"""All of `/credits`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.routing import Route

from fairlead.web.pages.credits.buying import buying_pages
from fairlead.web.pages.credits.desk import CreditsDesk
from fairlead.web.pages.credits.invoices import invoice_pages
from fairlead.web.pages.credits.overview import overview_pages
from fairlead.web.pages.credits.purchases import purchase_pages
from fairlead.web.pages.credits.top_up import top_up_pages
from fairlead.web.pages.site import Site

__all__ = ["credits_pages"]

_PAGES: Final[tuple[Callable[[CreditsDesk], list[Route]], ...]] = (
    overview_pages,
    buying_pages,
    purchase_pages,
    top_up_pages,
    invoice_pages,
)


def credits_pages(site: Site) -> list[Route]:
    edge = site.services.billing
    if edge is None or site.services.auth is None:
        return []
    desk = CreditsDesk(site, edge)
    return [route for pages in _PAGES for route in pages(desk)]
