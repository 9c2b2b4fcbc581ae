"""One story from the first look to the last: somebody finds a model, pays for it, uses it, and leaves."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from openai import AuthenticationError, OpenAI
from openai.types.chat import ChatCompletion
from playwright.sync_api import Browser, Page, expect

from tests.browser.deeds import (
    PASSWORD,
    ask,
    make_key,
    open_account_menu,
    open_chat,
    shown_in_activity,
)
from tests.browser.stage import OPEN_TO_ALL, Served, Watched, mailed_link, serving, window

pytestmark = pytest.mark.heavy

EMAIL = "ada@example.com"
MODEL = "sandbox/echo"
OTHER = "sandbox/reasoner"
REFUSED_S = 10  # "within two seconds", on a busy machine


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("story"), OPEN_TO_ALL) as served:
        yield served


@dataclass(frozen=True)
class App:
    """Another program on this machine, which asks people for a key. codes: that browsers brought it."""

    url: str
    codes: list[str] = field(default_factory=list)


@contextmanager
def running_app() -> Iterator[App]:
    class Callback(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            app.codes.extend(parse_qs(urlsplit(self.path).query).get("code", []))
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Editor</title><link rel=icon href='data:,'>")

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = HTTPServer(("127.0.0.1", 0), Callback)
    app = App(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_whole_story(browser: Browser, served: Served, tmp_path: Path) -> None:
    with window(browser, served.url) as (page, watched):
        find_the_model(page)
        read_its_tabs(page)
        compare_it(page)
        sign_up(page, served)
        purchase = buy_credit(page)
        key = make_key(page, "laptop")
        keep_it_to_yourself(page, key)
        answer = call_it(served, key)
        see_what_it_cost(page, answer)
        chat_with_both(page)
        take_the_conversation_along(page, tmp_path / "chat.json")
        be_paid_back(page, purchase)
        given = let_an_app_in(page, watched, served)
        session = page.context.storage_state()
        leave(page)
        assert watched.unexpected == []
    with window(browser, served.url, state=session) as (page, _):
        page.goto("/settings/account")
        expect(page).to_have_url(re.compile("/sign-in\\?next=/settings/account$"))
    for one in (key, given):
        assert is_refused(served, one)


def find_the_model(page: Page) -> None:
    page.goto("/")
    page.get_by_role("searchbox", name="Search models").first.fill("sandbox echo")
    page.keyboard.press("Enter")
    page.get_by_role("main").get_by_role("link", name="Echo", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sandbox: Echo")


def read_its_tabs(page: Page) -> None:
    tabs = page.get_by_label("About this model").get_by_role("link")
    names = tabs.all_inner_texts()
    assert names == [
        "Overview", "Providers", "Performance", "Pricing", "Benchmarks", "Apps", "Activity", "Uptime", "API",
    ]  # fmt: skip
    for name in names[1:]:
        tabs.get_by_text(name, exact=True).click()
        expect(page.get_by_role("heading", level=2, name=name, exact=True)).to_be_visible()
        expect(page).to_have_url(re.compile(rf"/{MODEL}\?tab={name.lower()}$"))
    expect(page.locator("#code-first")).to_contain_text("from openai import OpenAI")


def compare_it(page: Page) -> None:
    page.get_by_role("link", name="Compare", exact=True).click()
    page.get_by_label("Search models to compare").fill("reasoner")
    page.get_by_text(OTHER, exact=True).click()
    expect(page).to_have_url(re.compile(rf"\?models={MODEL},{OTHER}$"))
    for name in ("Echo", "Reasoner"):
        expect(page.get_by_role("columnheader", name=re.compile(f"^{name}"))).to_be_visible()


def sign_up(page: Page, served: Served) -> None:
    page.get_by_role("banner").get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Create one").click()
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mailbox")
    page.goto(mailed_link(served, EMAIL, "/sign-up"))
    page.get_by_label("Your name").fill("Ada Lovelace")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_text("Account: Ada Lovelace")).to_be_attached()


def buy_credit(page: Page) -> str:
    """The address of the purchase."""
    open_account_menu(page).get_by_role("link", name="Credits").click()
    page.get_by_label("Amount of credit").fill("200")
    expect(page.get_by_role("button", name="Go on to pay $211.00 (test)")).to_be_visible()
    page.get_by_label("Pay by").select_option("crypto")
    expect(page.get_by_role("button", name="Go on to pay $210.00 (test)")).to_be_visible()
    page.get_by_label("Amount of credit").fill("1")
    expect(page.locator("#credits-quote .problem")).to_contain_text("A purchase is from $5.00")
    page.get_by_label("Amount of credit").fill("40")
    page.get_by_label("Pay by").select_option("card")
    page.get_by_role("button", name="Go on to pay $42.20 (test)").click()
    expect(page).to_have_url(re.compile("/billing/test-payment/pay-"))
    page.get_by_role("button", name="Pay $42.20").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Credit of $40.00")
    return page.url


def keep_it_to_yourself(page: Page, key: str) -> None:
    """It was shown this once."""
    page.get_by_role("button", name="Copy code").first.click()
    expect(page.locator("#status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("laptop")
    assert key not in page.content()


def call_it(served: Served, key: str) -> ChatCompletion:
    """By the SDK that everybody has, which knows nothing of us but an address and a key."""
    with OpenAI(base_url=f"{served.url}/api/v1", api_key=key, max_retries=0) as client:
        answer = client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "Hello from the SDK"}],
            max_tokens=100,
            extra_headers={"http-referer": "https://app.example", "x-title": "The <b>App</b>"},
        )
    assert answer.choices[0].message.content == "Hello from the SDK"
    return answer


def is_refused(served: Served, key: str) -> bool:
    deadline = threading.Event()
    timer = threading.Timer(REFUSED_S, deadline.set)
    timer.start()
    try:
        while not deadline.is_set():
            try:
                call_it(served, key)
            except AuthenticationError:
                return True
    finally:
        timer.cancel()
    return False


def see_what_it_cost(page: Page, answer: ChatCompletion) -> None:
    shown_in_activity(page, answer.id).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(MODEL)
    expect(page.get_by_text("The <b>App</b>", exact=True)).to_be_visible()
    bill = page.get_by_role("table", name="The cost, line by line")
    assert answer.usage is not None
    costs = []
    for name, count, price in (
        ("Prompt", answer.usage.prompt_tokens, Decimal("0.10")),
        ("Answer", answer.usage.completion_tokens, Decimal("0.40")),
    ):
        costs.append(cost := (count * price / 1_000_000).normalize())
        line = f"{name} {count} tokens × ${price} per million ${cost:f}"  # noqa: RUF001
        expect(bill.get_by_role("row", name=line, exact=True)).to_be_visible()
    expect(bill.get_by_role("row", name=f"Charged ${sum(costs, Decimal()):f}")).to_be_visible()
    expect(page.get_by_role("table", name="Attempts, in order")).to_contain_text("Sandbox")
    expect(page.get_by_role("heading", name="Why it went there")).to_be_visible()


def chat_with_both(page: Page) -> None:
    open_chat(page, f"/chat?model={MODEL}")
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Name or id").fill("sandbox reasoner")
    page.get_by_placeholder("Name or id").press("Enter")
    expect(page.get_by_text("2 chosen.")).to_be_visible()
    page.keyboard.press("Escape")
    ask(page, "Hello, you two")
    answers = page.get_by_role("article")
    expect(answers).to_have_count(2)
    expect(answers.first.get_by_text("Hello, you two")).to_be_visible()
    for answer in (answers.first, answers.last):
        expect(answer.get_by_text(re.compile(r"^\$0\.\d+$"))).to_be_visible()
        expect(answer.get_by_text(re.compile(r"\d+ in · \d+ out"))).to_be_visible()
    answers.last.get_by_text("Reasoning", exact=True).click()
    expect(answers.last.locator("[data-reasoning-text]")).not_to_be_empty()
    answers.first.get_by_role("button", name="Why this provider?").click()
    expect(answers.first.get_by_text("answered", exact=True)).to_be_visible()


def take_the_conversation_along(page: Page, file: Path) -> None:
    expect(page.get_by_role("button", name="Delete Hello, you two")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    download.value.save_as(file)
    assert len(json.loads(file.read_text("utf-8"))["conversations"]) == 1
    page.get_by_role("button", name="Clear all").click()
    page.get_by_role("button", name="Delete all").click()
    expect(page.get_by_text("What do you want to ask?")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Hello, you two")).to_have_count(0)
    page.get_by_label("File with conversations").set_input_files(file)
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_role("article").first.get_by_text("Hello, you two")).to_be_visible()


def be_paid_back(page: Page, purchase: str) -> None:
    """What is unused, without the fee."""
    page.goto(purchase)
    page.get_by_role("link", name="Refund $39.99").click()
    dialog = page.get_by_role("dialog", name="Refund this purchase?")
    expect(dialog).to_contain_text("the fee of $2.20 stays with us.")
    dialog.get_by_role("button", name="Refund $39.99").click()
    expect(page.get_by_text("It is on its way back")).to_be_visible()
    expect(page.get_by_role("table", name="Refunds of this purchase")).to_contain_text("$39.99")


def let_an_app_in(page: Page, watched: Watched, served: Served) -> str:
    """The key that the app has got for the code, with a challenge that only it can meet. It works."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    with running_app() as app:
        watched.expect(f"request to another host: {app.url}/back?code=")
        page.goto(
            f"/auth?callback_url={app.url}/back&code_challenge={challenge.decode()}"
            "&code_challenge_method=S256"
        )
        expect(page.get_by_text("a program on this device")).to_be_visible()
        page.get_by_label("Spending limit").fill("5")
        page.get_by_role("button", name="Allow").click()
        expect(page).to_have_title("Editor")
        (code,) = app.codes
    wanted = {"code": code, "code_verifier": verifier, "code_challenge_method": "S256"}
    request = urllib.request.Request(
        f"{served.url}/api/v1/auth/keys",
        data=json.dumps(wanted).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        key = str(json.load(answer)["key"])
    call_it(served, key)
    return key


def leave(page: Page) -> None:
    page.goto("/settings/account")
    page.get_by_label(f"Type {EMAIL} to confirm").fill(EMAIL)
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_text("Your account is deleted.")).to_be_visible()
    expect(page.get_by_role("banner").get_by_role("link", name="Sign in")).to_be_visible()
