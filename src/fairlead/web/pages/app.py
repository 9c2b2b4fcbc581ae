"""All pages. A new subject is one line in `PAGES`.

Order matters in one way: `/{author}/{slug}`, a model's page, takes whatever two words are left, so it
comes after all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.routing import Route

from fairlead.web.pages.activity import activity_pages
from fairlead.web.pages.admin.app import admin_pages
from fairlead.web.pages.api_reference import api_reference_pages
from fairlead.web.pages.apps import apps_pages
from fairlead.web.pages.builder import builder_pages
from fairlead.web.pages.chat import chat_pages
from fairlead.web.pages.compare import compare_pages
from fairlead.web.pages.consent import consent_pages
from fairlead.web.pages.credits.app import credits_pages
from fairlead.web.pages.data import data_pages
from fairlead.web.pages.design_system import design_system_pages
from fairlead.web.pages.documentation import documentation_pages
from fairlead.web.pages.entering import entering_pages
from fairlead.web.pages.home import home_pages
from fairlead.web.pages.keys import key_pages
from fairlead.web.pages.model import model_pages
from fairlead.web.pages.models import models_pages
from fairlead.web.pages.pricing import pricing_pages
from fairlead.web.pages.providers import providers_pages
from fairlead.web.pages.rankings import rankings_pages
from fairlead.web.pages.settings.app import settings_pages
from fairlead.web.pages.site import Site
from fairlead.web.pages.static import static_routes
from fairlead.web.pages.status import status_pages

__all__ = ["PAGES", "page_routes"]

PAGES: Final[tuple[Callable[[Site], list[Route]], ...]] = (
    home_pages,
    entering_pages,
    consent_pages,
    settings_pages,
    key_pages,
    credits_pages,
    activity_pages,
    admin_pages,
    models_pages,
    providers_pages,
    rankings_pages,
    data_pages,
    apps_pages,
    status_pages,
    compare_pages,
    pricing_pages,
    chat_pages,
    builder_pages,
    design_system_pages,
    api_reference_pages,
    documentation_pages,  # `/docs/...`: after what is there by itself
)


def page_routes(site: Site) -> list[Route]:
    return [
        *static_routes(site.bundle),
        *(route for pages in PAGES for route in pages(site)),
        *model_pages(site),
    ]
