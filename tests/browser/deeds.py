"""What people do on pages again and again, for tests that are about something else or about all of it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

PASSWORD = "correct horse battery staple"


def open_chat(page: Page, path: str = "/chat") -> None:
    page.goto(path)
    page.locator("[data-chat][data-ready]").wait_for()


def ask(page: Page, text: str, *, model: str = "") -> None:
    if model:
        open_chat(page, f"/chat?model={model}")
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def open_account_menu(page: Page) -> Locator:
    """What stands in it."""
    page.locator("summary", has_text="Account: ").click()
    return page.locator(".menu-panel:visible")


def make_key(page: Page, name: str, **fields: str) -> str:
    """Its secret, as it is shown. fields: others of the form, by their labels."""
    page.goto("/settings/keys/new")
    page.get_by_label("Name").fill(name)
    for label, value in fields.items():
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_text("This is the only time you see it.")).to_be_visible()
    return page.locator("#new-key").inner_text()


def shown_in_activity(page: Page, call: str) -> Locator:
    """The link to a call in the list of calls, where it is added up a moment after it ended."""
    link = page.locator(f'a[href="/activity/{call}"]')
    for _ in range(100):
        page.goto("/activity?period=day")
        if link.count():
            break
    expect(link).to_be_visible()
    return link


def is_dark(page: Page) -> bool:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) < 3 * 128
