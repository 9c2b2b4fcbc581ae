"""One makes a key, calls with it and sees what it cost; buys credit and is paid back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.stage import TEST_PAYMENTS, Served, serving, sign_in, window

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
    command = (sys.executable, "-m", "fairlead", *words, "--data", str(served.data))
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip().splitlines()[-1]


def call(served: Served, key: str) -> str:
    """The id of a call that was made with the key."""
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "Hello"}]}
    request = urllib.request.Request(
        f"{served.url}/api/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "http-referer": "https://app.example",
            "x-title": "The <b>App</b>",
        },
    )
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["id"])


def test_a_key_is_made_used_and_seen_at_work(ada: Page, served: Served) -> None:
    ada.goto("/settings/keys")
    ada.get_by_role("link", name="New key").first.click()
    expect(ada.get_by_label("Name")).to_be_focused()
    ada.get_by_label("Name").fill("laptop")
    ada.get_by_label("Spending limit").fill("25")
    ada.get_by_label("The limit begins again").select_option("monthly")
    ada.get_by_role("button", name="Create key").click()
    expect(ada.get_by_text("This is the only time you see it.")).to_be_visible()
    ada.get_by_role("button", name="Copy code").first.click()
    key = ada.evaluate("navigator.clipboard.readText()")
    assert key == ada.locator("#new-key").inner_text()
    name = call(served, key)

    ada.goto(f"/activity/{name}")
    expect(ada.get_by_role("heading", level=1)).to_have_text("sandbox/echo")
    expect(ada.get_by_role("heading", name="Why it went there")).to_be_visible()
    expect(ada.get_by_text("The <b>App</b>", exact=True)).to_be_visible()

    for _ in range(100):  # it is added up a moment later
        ada.goto("/activity?period=day")
        if ada.get_by_role("table", name="Calls, the newest first").count():
            break
    ada.get_by_label("Group by").focus()
    ada.get_by_label("Group by").select_option("key")
    expect(ada).to_have_url(re.compile(r"/activity\?period=day&by=key$"))
    expect(ada.get_by_label("Group by")).to_be_focused()
    expect(ada.locator("figure canvas").first).to_be_visible()
    ada.get_by_label("App", exact=True).select_option(label="The <b>App</b>")
    expect(ada).to_have_url(re.compile(r"by=key&app=\d+$"))
    expect(ada.locator(f'a[href="/activity/{name}"]')).to_be_visible()
    ada.go_back()
    expect(ada.get_by_label("App", exact=True)).to_have_value("")

    ada.goto("/settings/keys")
    ada.get_by_role("link", name="laptop").click()
    ada.get_by_role("link", name="Delete", exact=True).click()
    dialog = ada.get_by_role("dialog", name="Delete this key?")
    expect(dialog).to_be_visible()
    ada.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    ada.get_by_role("link", name="Delete", exact=True).click()
    dialog.get_by_role("button", name="Delete key").click()
    expect(ada.get_by_text("The key is deleted.")).to_be_visible()


def test_credit_is_bought_with_its_fee_known_and_paid_back(ada: Page) -> None:
    ada.goto("/credits")
    ada.get_by_label("Amount of credit").fill("200")
    expect(ada.get_by_role("button", name="Go on to pay $211.00 (test)")).to_be_visible()
    ada.get_by_label("Pay by").select_option("crypto")
    expect(ada.get_by_role("button", name="Go on to pay $210.00 (test)")).to_be_visible()
    ada.get_by_label("Amount of credit").fill("1")
    expect(ada.locator("#credits-quote .problem")).to_contain_text("A purchase is from $5.00")
    ada.get_by_label("Amount of credit").fill("40")
    ada.get_by_label("Pay by").select_option("card")
    ada.get_by_role("button", name="Go on to pay $42.20 (test)").click()
    expect(ada).to_have_url(re.compile("/billing/test-payment/pay-"))
    ada.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(ada.get_by_role("heading", level=1)).to_have_text("Credit of $40.00")
    ada.get_by_role("link", name="Pay back $40.00").click()
    dialog = ada.get_by_role("dialog", name="Be paid back?")
    expect(dialog).to_contain_text("The fee of $2.20 is not.")
    dialog.get_by_role("button", name="Pay back $40.00").click()
    expect(ada.get_by_text("It is on its way back")).to_be_visible()
    expect(ada.get_by_text("Nothing of this purchase is left.")).to_be_visible()


def test_all_of_it_works_without_scripts(plain_ada: Page) -> None:
    page = plain_ada
    page.goto("/credits")
    page.get_by_label("Amount of credit").fill("10")
    page.get_by_role("button", name="Show the fee").click()
    page.get_by_role("button", name="Go on to pay $10.80 (test)").click()
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    page.get_by_role("link", name="Pay back $10.00").click()
    page.get_by_role("button", name="Pay back $10.00").click()
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


@pytest.mark.parametrize(
    "path",
    [
        "/activity", "/credits", "/credits/top-up", "/credits/invoices", "/credits/history",
        "/settings/keys", "/settings/keys/new",
    ],
)  # fmt: skip
def test_everybody_can_read_these_pages(
    check_accessible: Callable[..., None], ada_state: Any, path: str
) -> None:
    check_accessible(path, state=ada_state)
