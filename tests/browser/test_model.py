"""One reads a model's tabs, works out a cost, copies code, and compares: with scripts and without."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def test_tabs_change_in_place_and_the_address_follows(page: Page) -> None:
    page.goto("/openai/o1")
    expect(page.get_by_role("heading", level=1)).to_have_text("OpenAI: o1")
    for tab, heading in (("Providers", "Providers"), ("Benchmarks", "Benchmarks"), ("API", "API")):
        page.get_by_label("About this model").get_by_role("link", name=tab, exact=True).click()
        expect(page).to_have_url(re.compile(rf"/openai/o1\?tab={tab.lower()}$"))
        expect(page.get_by_role("heading", level=2, name=heading)).to_be_visible()
        expect(page.locator("[aria-current=page]", has_text=tab)).to_be_focused()
        expect(page).to_have_title(f"OpenAI: o1: {tab} · Fairlead")
    page.get_by_role("link", name="curl", exact=True).click()
    expect(page.locator("#code-first")).to_contain_text("curl http://127.0.0.1:")
    page.go_back()
    expect(page.locator("#code-first")).to_contain_text("from openai import OpenAI")
    page.get_by_role("button", name="Copy code").first.click()
    expect(page.locator("#status")).to_have_text("Copied.")


def test_the_calculator_answers_while_one_types(page: Page) -> None:
    page.goto("/openai/o1?tab=pricing")
    page.get_by_label("Input tokens").fill("1000000")
    expect(page.locator("#cost")).to_contain_text("1,000,000 input tokens at $15")
    page.get_by_label("Calls").fill("1")
    expect(page.locator(".model-total")).to_have_text("$15.03")
    expect(page).to_have_url(re.compile(r"prompt=1000000.*calls=1$"))
    page.get_by_label("Calls").fill("many")
    expect(page.locator("#cost")).to_contain_text("A whole number")


def test_a_model_is_read_and_priced_without_scripts(unscripted: Page) -> None:
    unscripted.goto("/openai/o4-mini")
    unscripted.get_by_label("About this model").get_by_role("link", name="Pricing").click()
    unscripted.get_by_label("Output tokens").fill("1000000")
    unscripted.get_by_label("Calls").fill("2")
    unscripted.get_by_role("button", name="Work it out").click()
    expect(unscripted.locator(".model-total")).to_have_text("$8.8022")
    for tab in ("Performance", "Apps", "Activity", "Uptime"):
        unscripted.get_by_label("About this model").get_by_role("link", name=tab).click()
        expect(unscripted.locator(".empty")).to_be_visible()


def test_models_are_chosen_and_compared(page: Page) -> None:
    page.goto("/openai/o1")
    page.get_by_role("link", name="Compare", exact=True).click()
    page.get_by_label("Search models to compare").fill("o3-mini")
    page.get_by_text("openai/o3-mini", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?models=openai/o1,openai/o3-mini$"))
    expect(page.get_by_role("columnheader", name=re.compile("^o3-mini"))).to_be_visible()
    page.get_by_role("link", name="Take o1 away").click()
    expect(page).to_have_url(re.compile(r"\?models=openai/o3-mini$"))


def test_models_are_compared_without_scripts(unscripted: Page) -> None:
    unscripted.goto("/compare?models=openai/o1")
    unscripted.get_by_label("Search models to compare").fill("o4-mini")
    unscripted.get_by_role("button", name="Search").click()
    unscripted.get_by_text("openai/o4-mini", exact=True).click()
    expect(unscripted.get_by_role("columnheader", name=re.compile("^o4-mini"))).to_be_visible()
