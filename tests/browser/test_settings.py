"""Somebody enters, changes settings, allows an app a key, and leaves: in a real browser, by keyboard too."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from fairlead.cli.main import run
from tests.browser.stage import PHONE, Served, Theme, Watched, serious_findings, window

PASSWORD = "correct horse battery staple"
ADA = "ada@example.com"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PAGES = (
    "/sign-in",
    "/sign-up",
    "/reset",
    "/auth?callback_url=https://editor.example/back",
    "/settings/profile",
    "/settings/sessions",
    "/settings/byok",
    "/settings/byok/new?provider=azure",
    "/settings/routing",
    "/settings/presets/new",
    "/settings/privacy",
    "/settings/notifications",
    "/settings/organisation",
    "/settings/workspaces",
    "/settings/workspaces/default",
    "/settings/account",
)


@pytest.fixture(scope="module")
def app() -> Iterator[str]:
    """An app's address; it greets whoever comes."""

    class Greeting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Editor</title><link rel=icon href='data:,'>")

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = HTTPServer(("127.0.0.1", 0), Greeting)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def newcomer(served: Served, capsys: pytest.CaptureFixture[str]) -> str:
    """A link that signs somebody in who has an account, and no password yet."""
    for arguments in (("create", ADA), ("link", ADA)):
        capsys.readouterr()
        assert run(["accounts", *arguments, "--data", str(served.data)]) == 0
    return served.url + urlsplit(capsys.readouterr().out.strip()).path


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


def test_a_person_chooses_a_password_signs_in_with_it_and_leaves_for_good(
    page: Page, newcomer: str
) -> None:
    page.goto(newcomer)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.goto("/settings/profile")
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_text("Your password is changed")).to_be_visible()
    page.locator("summary", has_text="Account: ").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/settings/account")
    expect(page).to_have_url(re.compile("/sign-in\\?next=/settings/account$"))
    page.get_by_label("Email", exact=True).fill(ADA)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/settings/account$"))
    page.get_by_label(f"Type {ADA} to confirm").fill(ADA)
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_text("Your account is deleted.")).to_be_visible()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


def test_an_app_is_allowed_a_key_and_denied_another(
    browser: Browser, served: Served, owner_state: Any, app: str
) -> None:
    question = (
        f"/auth?callback_url={app}/back&code_challenge={CHALLENGE}&code_challenge_method=S256"
    )
    with window(browser, served.url, state=owner_state) as (page, watched):
        watched.expect(f"request to another host: {app}/back?")
        page.goto(question)
        page.get_by_label("It may spend at most").fill("5")
        page.get_by_role("button", name="Deny").click()
        expect(page).to_have_url(f"{app}/back?error=access_denied")
        page.goto(question)
        page.get_by_role("button", name="Allow").click()
        expect(page).to_have_url(re.compile(re.escape(app) + r"/back\?code=ac-v1-[0-9a-f]{64}$"))
        assert watched.unexpected == []


def test_the_settings_of_a_phone_fold(browser: Browser, served: Served, owner_state: Any) -> None:
    with window(browser, served.url, size=PHONE, state=owner_state) as (page, watched):
        page.goto("/settings/privacy")
        page.locator(".settings-fold > summary").click()
        page.locator(".settings-fold").get_by_role("link", name="Sessions").click()
        expect(page.get_by_role("heading", level=1, name="Sessions")).to_be_visible()
        assert watched.unexpected == []


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_no_page_has_a_serious_finding_or_is_wider_than_a_phone(
    browser: Browser, served: Served, owner_state: Any, first: int
) -> None:
    """A quarter of the pages at a time, half of them dark: colours are tokens, which all pages share."""
    theme: Theme = "dark" if first % 2 else "light"
    with (
        window(browser, served.url, size=PHONE, theme=theme) as (nobody, watched),
        window(browser, served.url, size=PHONE, theme=theme, state=owner_state) as (page, seen),
    ):
        for path in PAGES[first::4]:
            one = page if path.startswith(("/settings", "/auth")) else nobody
            one.goto(path)
            assert serious_findings(one) == [], path
            assert one.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        assert watched.unexpected == []
        assert seen.unexpected == []


def test_a_worn_out_link_says_what_to_do(watched_page: tuple[Page, Watched]) -> None:
    page, watched = watched_page
    watched.expect("410")
    page.goto("/reset/" + "x" * 43)
    page.get_by_role("link", name="Ask for a new link").click()
    expect(page.get_by_role("heading", name="Choose a new password")).to_be_visible()
