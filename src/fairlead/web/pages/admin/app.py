"""All of `/admin`. A page of it is one line here, and one in the navigation of `templates/admin/frame.html`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.routing import Route

from fairlead.web.pages.admin.accounts import account_pages
from fairlead.web.pages.admin.audit import audit_pages
from fairlead.web.pages.admin.configuration import configuration_pages
from fairlead.web.pages.admin.desk import AdminDesk
from fairlead.web.pages.admin.endpoint_prices import endpoint_price_pages
from fairlead.web.pages.admin.endpoints import endpoint_pages
from fairlead.web.pages.admin.feedback import feedback_pages
from fairlead.web.pages.admin.ledger import ledger_pages
from fairlead.web.pages.admin.models import model_visibility_pages
from fairlead.web.pages.admin.overview import overview_pages
from fairlead.web.pages.admin.payments import payment_pages
from fairlead.web.pages.admin.providers import provider_pages
from fairlead.web.pages.site import Site

__all__ = ["admin_pages"]

_PAGES: Final[tuple[Callable[[AdminDesk], list[Route]], ...]] = (
    overview_pages,
    provider_pages,
    model_visibility_pages,
    endpoint_pages,
    endpoint_price_pages,
    account_pages,
    payment_pages,
    feedback_pages,
    ledger_pages,
    configuration_pages,
    audit_pages,
)


def admin_pages(site: Site) -> list[Route]:
    desk = AdminDesk.of(site)
    return [] if desk is None else [route for pages in _PAGES for route in pages(desk)]
