"""What every page has: the way to its content, its theme, copying, charts, and errors as pages."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect


def test_the_keyboard_reaches_the_content_first_and_the_search_by_a_slash(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox").first).to_be_focused()


def test_a_chosen_theme_stays(page: Page) -> None:
    page.goto("/")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    button = page.get_by_role("button", name="Theme")
    button.click()
    button.click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.goto("/models")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_code_is_copied(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Copy code").first.click()
    expect(page.locator("#status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()").startswith("curl http")


def test_charts_are_drawn_from_their_tables(page: Page) -> None:
    page.goto("/docs/design-system")
    expect(page.locator(".chart-plot canvas")).to_have_count(3)
    page.get_by_text("Show as a table").first.click()
    expect(page.get_by_role("columnheader", name="sandbox/echo").first).to_be_visible()


def test_a_dialog_opens_closes_and_gives_the_focus_back(page: Page) -> None:
    page.goto("/docs/design-system")
    opener = page.get_by_role("link", name="Open a dialog")
    opener.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(opener).to_be_focused()


def test_nothing_moves_while_a_page_loads(page: Page) -> None:
    page.goto("/models")
    shift = page.evaluate(
        """() => new Promise(done => {
            let sum = 0;
            new PerformanceObserver(list => { for (const one of list.getEntries()) sum += one.value; })
                .observe({type: "layout-shift", buffered: true});
            requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));
        })"""
    )
    assert shift < 0.01


def test_the_owner_finds_the_operators_pages_in_the_menu(owner_page: Page) -> None:
    owner_page.goto("/models")
    owner_page.locator("summary", has_text="Account: ").click()
    expect(owner_page.get_by_role("link", name="Administration")).to_be_visible()
    assert owner_page.get_by_role("link", name="Sign in").count() == 0


def test_every_component_is_accessible(check_accessible: Any) -> None:
    check_accessible("/docs/design-system")
    check_accessible("/")


def test_what_is_not_there_is_a_page_too(watched_page: Any) -> None:
    page, watched = watched_page
    watched.expect("404")
    answer = page.goto("/nobody-has-this")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
