"""Settings are changed without scripts, and fold on a phone."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.browser.stage import PHONE, Served, Watched, window


def test_settings_are_changed_by_keyboard_and_without_scripts(
    browser: Browser, served: Served, owner_state: Any
) -> None:
    with window(browser, served.url, state=owner_state, scripts=False) as (page, watched):
        page.goto("/settings")
        expect(page).to_have_url(re.compile("/settings/profile$"))
        page.get_by_label("Name", exact=False).first.fill("Ada Lovelace")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Saved.")).to_be_visible()
        page.goto("/settings/workspaces")
        page.get_by_label("Name", exact=True).fill("Back office")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Back office")).to_be_visible()
        page.get_by_label("Each month").fill("much")
        page.keyboard.press("Enter")
        expect(page.get_by_text("This is an amount in dollars, as 12.50.")).to_be_visible()
        watched.expect("422")
        page.goto("/settings/byok/new?provider=openai")
        page.get_by_label("Key", exact=True).fill("sk-proj-0123456789abcdefabcd")
        page.get_by_role("button", name="Add key").press("Enter")
        expect(page.get_by_text("sk-...abcd")).to_be_visible()
        assert watched.unexpected == []


def test_the_settings_of_a_phone_fold(browser: Browser, served: Served, owner_state: Any) -> None:
    with window(browser, served.url, size=PHONE, state=owner_state) as (page, watched):
        page.goto("/settings/privacy")
        page.locator(".settings-fold > summary").click()
        page.locator(".settings-fold").get_by_role("link", name="Sessions").click()
        expect(page.get_by_role("heading", level=1, name="Sessions")).to_be_visible()
        assert watched.unexpected == []


def test_a_worn_out_link_says_what_to_do(watched_page: tuple[Page, Watched]) -> None:
    page, watched = watched_page
    watched.expect("410")
    page.goto("/reset/" + "x" * 43)
    page.get_by_role("link", name="Ask for a new link").click()
    expect(page.get_by_role("heading", name="Choose a new password")).to_be_visible()
