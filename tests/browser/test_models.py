"""One finds a model: by typing, by filters, without scripts."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def test_a_model_is_found_by_typing_and_the_address_says_so(page: Page) -> None:
    page.goto("/models")
    page.get_by_role("searchbox", name="Search models").last.fill("openai o1")
    expect(page).to_have_url(re.compile(r"/models\?q=openai(\+|%20)o1$"))
    expect(page.get_by_role("link", name="o1", exact=True)).to_have_attribute("href", "/openai/o1")
    page.reload()
    expect(page.get_by_role("link", name="o1", exact=True)).to_be_visible()
    page.get_by_role("link", name="Clear filters").click()
    expect(page.get_by_text(re.compile(r"1.50 of \d+ models")).first).to_be_visible()


def test_filters_narrow_the_list_and_going_back_widens_it(page: Page) -> None:
    page.goto("/models")
    whole = page.get_by_role("status").first.inner_text()
    page.get_by_label("Input price").select_option("Free")
    expect(page).to_have_url(re.compile(r"max_price=0"))
    expect(page.get_by_role("status").first).not_to_have_text(whole)
    page.get_by_role("link", name="Table", exact=True).click()
    expect(page.get_by_role("columnheader", name="Context")).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.get_by_role("status").first).to_have_text(whole)


def test_the_list_is_read_and_filtered_without_scripts(unscripted: Page) -> None:
    unscripted.goto("/models")
    unscripted.get_by_role("checkbox", name=re.compile("^Image")).first.check()
    unscripted.get_by_role("button", name="Apply").click()
    expect(unscripted).to_have_url(re.compile(r"input_modalities=image"))
    unscripted.get_by_role("link", name="Next").click()
    expect(unscripted).to_have_url(re.compile(r"input_modalities=image&page=2"))
