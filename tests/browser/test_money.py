"""What was used is told apart; without scripts, credit is bought and refunded, and a key made and renewed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from openai import OpenAI
from playwright.sync_api import Browser, Page, expect

from tests.browser.deeds import make_key, shown_in_activity
from tests.browser.stage import TEST_PAYMENTS, Served, serving, sign_in, window
from tests.forked import forked_command

EMAIL = "ada@example.com"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place: Path = tmp_path_factory.mktemp("shop")
    with serving(place, TEST_PAYMENTS) as served:
        yield served


@pytest.fixture(scope="module")
def ada_state(browser: Browser, served: Served) -> Any:
    """Cookies of somebody who pays before she calls."""
    fairlead(served, "accounts", "create", EMAIL)
    fairlead(served, "credits", "grant", EMAIL, "5", "--reason", "to begin with")
    link = fairlead(served, "accounts", "link", EMAIL)
    with window(browser, served.url) as (page, _):
        sign_in(page, served.url + urlsplit(link).path)
        page.wait_for_url(f"{served.url}/**")
        return page.context.storage_state()


@pytest.fixture
def ada(browser: Browser, served: Served, ada_state: Any) -> Iterator[Page]:
    with window(browser, served.url, state=ada_state) as (page, watched):
        yield page
        assert watched.unexpected == []


@pytest.fixture
def plain_ada(browser: Browser, served: Served, ada_state: Any) -> Iterator[Page]:
    """Without scripts."""
    with window(browser, served.url, state=ada_state, scripts=False) as (page, watched):
        yield page
        assert watched.unexpected == []


def fairlead(served: Served, *words: str) -> str:
    """What a command prints last."""
    log = served.data.with_name("command.log")
    printed = forked_command([*words, "--data", str(served.data)], log)
    return printed.strip().splitlines()[-1]


def test_activity_is_told_apart(ada: Page, served: Served) -> None:
    key = make_key(ada, "laptop")
    name = call(served, key)
    shown_in_activity(ada, name)
    ada.get_by_label("Group by").focus()
    ada.get_by_label("Group by").select_option("key")
    expect(ada).to_have_url(re.compile(r"/activity\?period=day&by=key$"))
    expect(ada.get_by_label("Group by")).to_be_focused()
    expect(ada.locator("figure canvas").first).to_be_visible()
    ada.get_by_label("App", exact=True).select_option(label="The <b>App</b>")
    expect(ada).to_have_url(re.compile(r"by=key&app=\d+$"))
    expect(ada.locator(f'a[href="/activity/{name}"]')).to_be_visible()
    ada.get_by_label("Result").select_option("failed")
    expect(ada).to_have_url(re.compile(r"by=key&app=\d+&result=failed$"))
    expect(ada.get_by_text("No call is like that")).to_be_visible()
    ada.go_back()
    expect(ada.locator(f'a[href="/activity/{name}"]')).to_be_visible()
    ada.go_back()
    expect(ada.get_by_label("App", exact=True)).to_have_value("")
    ada.get_by_role("link", name="Sessions").click()
    ada.get_by_role("link", name="run 7").click()
    expect(ada.locator(f'a[href="/activity/{name}"]')).to_be_visible()


def call(served: Served, key: str) -> str:
    """The id of a call that was made with the key."""
    with OpenAI(base_url=f"{served.url}/api/v1", api_key=key, max_retries=0) as client:
        answer = client.chat.completions.create(
            model="sandbox/echo",
            messages=[{"role": "user", "content": "Hello"}],
            extra_body={"session_id": "run 7"},
            extra_headers={"http-referer": "https://app.example", "x-title": "The <b>App</b>"},
        )
    return answer.id


def test_all_of_it_works_without_scripts(plain_ada: Page) -> None:
    page = plain_ada
    page.goto("/credits")
    page.get_by_label("Amount of credit").fill("10")
    page.get_by_role("button", name="Show the fee").click()
    page.get_by_role("button", name="Go on to pay $10.80 (test)").click()
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    page.get_by_role("link", name="Refund $10.00").click()
    page.get_by_role("button", name="Refund $10.00").click()
    expect(page.get_by_text("It is on its way back")).to_be_visible()
    page.goto("/settings/keys/new")
    page.get_by_label("Name").fill("server")
    page.get_by_role("button", name="Create key").click()
    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Rotate").click()
    page.get_by_role("button", name="Rotate key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The new secret")
    page.goto("/activity")
    page.get_by_label("Group by").select_option("provider")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("by=provider"))
