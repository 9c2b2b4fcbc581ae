"""One looks at rankings, apps, providers and the status of a demonstration, with and without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stage import Served
from tests.forked import forked_command


@pytest.fixture(scope="module", autouse=True)
def _made_up(served: Served) -> None:
    words = ["demo", "--data", str(served.data), "--calls", "300", "--days", "40"]
    forked_command(words, served.data.with_name("demo.log"))


def test_rankings_change_with_what_is_asked_and_the_address_holds_it(page: Page) -> None:
    page.goto("/rankings")
    expect(page.get_by_text("Figures on this site are made up")).to_be_visible()
    expect(page.locator(".chart-plot canvas")).to_be_visible()
    page.get_by_label("Category of apps").select_option("Coding: all")
    expect(page).to_have_url(re.compile(r"/rankings\?category=coding$"))
    expect(page.locator(".chart-plot canvas")).to_be_visible()
    page.get_by_role("link", name="Apps", exact=True).last.click()
    page.get_by_role("link", name="This month").click()
    expect(page).to_have_url(re.compile(r"by=app&period=month&category=coding$"))
    page.get_by_role("link", name="Code Pilot (demo)").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Code Pilot (demo)")


def test_a_provider_is_found_and_its_models_searched(page: Page) -> None:
    page.goto("/providers")
    page.get_by_role("searchbox", name="Search providers").fill("azure")
    expect(page).to_have_url(re.compile(r"q=azure$"))
    expect(page.get_by_role("status").first).to_have_text(re.compile("^1 provider of"))
    page.get_by_role("link", name="Microsoft Azure").click()
    page.get_by_role("searchbox", name="Search its models").fill("o4-mini")
    expect(page).to_have_url(re.compile(r"/providers/azure\?q=o4-mini$"))
    expect(page.get_by_role("link", name="o4-mini", exact=True)).to_be_visible()


def test_all_of_it_is_read_without_scripts(unscripted: Page) -> None:
    unscripted.goto("/rankings?by=author")
    unscripted.get_by_text("Show as a table").click()
    expect(unscripted.get_by_role("columnheader", name="Others")).to_be_visible()
    unscripted.get_by_label("Category of apps").select_option("Coding: all")
    unscripted.get_by_role("button", name="Apply").click()
    expect(unscripted).to_have_url(re.compile(r"by=author&category=coding$"))
    unscripted.goto("/providers")
    unscripted.get_by_label("Headquarters").select_option("France")
    unscripted.get_by_role("button", name="Apply").click()
    expect(unscripted.get_by_role("link", name="Mistral")).to_be_visible()
    unscripted.goto("/status")
    expect(unscripted.get_by_role("img", name=re.compile("^Uptime by day")).first).to_be_visible()
