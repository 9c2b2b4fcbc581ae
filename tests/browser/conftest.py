"""A real browser on a real server.

Both belong to a module: Playwright keeps an event loop in this thread, which tests of other folders that share
the process could not bear.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import running_chromium
from tests.browser.stage import PHONE, Served, Watched, serving, sign_in, window


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture(scope="module")
def owner_state(browser: Browser, served: Served) -> Any:
    """Cookies of the owner, signed in."""
    with window(browser, served.url) as (page, _):
        sign_in(page, served.link)
        page.wait_for_url(f"{served.url}/**")
        return page.context.storage_state()


@pytest.fixture
def watched_page(browser: Browser, served: Served) -> Iterator[tuple[Page, Watched]]:
    """Nobody's page, with what it did wrong; a test ends well only if that was expected."""
    with window(browser, served.url) as (page, watched):
        yield page, watched
        assert watched.unexpected == []


@pytest.fixture
def page(watched_page: tuple[Page, Watched]) -> Page:
    """Of nobody in particular, on a desktop."""
    return watched_page[0]


@pytest.fixture
def phone(browser: Browser, served: Served) -> Iterator[Page]:
    with window(browser, served.url, size=PHONE) as (page, watched):
        yield page
        assert watched.unexpected == []


@pytest.fixture
def owner_page(browser: Browser, served: Served, owner_state: Any) -> Iterator[Page]:
    """Of the owner, signed in, on a desktop."""
    with window(browser, served.url, state=owner_state) as (page, watched):
        yield page
        assert watched.unexpected == []


@pytest.fixture
def unscripted(browser: Browser, served: Served) -> Iterator[Page]:
    """A browser without JavaScript."""
    with window(browser, served.url, scripts=False) as (page, watched):
        yield page
        assert watched.unexpected == []
