"""One reads the documentation: from page to page, by searching, on a phone, without scripts."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def test_one_reads_on_from_page_to_page(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Docs", exact=True).click()
    page.get_by_role("link", name="Quick start A key").click()
    expect(page.get_by_role("heading", level=1, name="Quick start")).to_be_visible()
    page.get_by_role("navigation", name="On this page").get_by_text("Streaming").click()
    expect(page).to_have_url(re.compile(r"#streaming$"))
    page.get_by_role("link", name="Next").click()
    expect(page).to_have_url(re.compile(r"/docs/web-app$"))


def test_an_operation_is_found_by_its_path_and_shows_its_call(page: Page) -> None:
    page.goto("/docs/api")
    page.get_by_role("link", name="/keys/{hash}").first.click()
    expect(page).to_have_url(re.compile(r"/docs/api/keys#get-keys-hash$"))
    operation = page.get_by_role("region", name="Find a key", exact=True)
    expect(operation).to_be_in_viewport()
    expect(operation.get_by_label("curl")).to_contain_text("/api/v1/keys/HASH")
    assert page.evaluate("getComputedStyle(document.querySelector('.hl-s2')).color") != (
        page.evaluate("getComputedStyle(document.querySelector('.code pre')).color")
    )


def test_the_documentation_is_searched_without_scripts(unscripted: Page) -> None:
    unscripted.goto("/docs")
    unscripted.get_by_role("searchbox", name="Search the documentation").fill("Retry-After")
    unscripted.keyboard.press("Enter")
    unscripted.get_by_role("link", name="Too many").click()
    expect(unscripted).to_have_url(re.compile(r"/docs/limits#too-many$"))


def test_on_a_phone_the_pages_are_folded_and_nothing_sticks_out(phone: Page) -> None:
    for path in ("/docs/errors", "/docs/api/chat", "/docs/quickstart", "/docs/operate/settings"):
        phone.goto(path)
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    phone.get_by_text("All pages of the documentation").click()
    phone.get_by_role("link", name="FAQ").click()
    expect(phone).to_have_url(re.compile(r"/docs/faq$"))
