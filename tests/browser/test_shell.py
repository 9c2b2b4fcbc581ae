"""What pages have in common: charts, and errors as pages."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect


def test_charts_are_drawn_from_their_tables(page: Page) -> None:
    page.goto("/docs/design-system")
    expect(page.locator(".chart-plot canvas")).to_have_count(3)
    page.get_by_text("Show as a table").first.click()
    expect(page.get_by_role("columnheader", name="sandbox/echo").first).to_be_visible()


def test_what_is_not_there_is_a_page_too(watched_page: Any) -> None:
    page, watched = watched_page
    watched.expect("404")
    answer = page.goto("/nobody-has-this")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
