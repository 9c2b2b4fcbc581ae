"""What pages show in pictures: an installation full of things, and what is clicked before a picture is taken.

`furnish` fills the accounts of Ada, who is alone, and of the organisation that she founded. Everything is made
the way people make it: by the forms of the pages, by calls with a key, by commands.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect

from tests.browser.stage import Served, mailed_link, sign_in, window
from tests.browser.understudy import EXPLAINS, FAILS, QUESTION, THINKS
from tests.forked import forked_command

ADA: Final = "ada@example.com"
LONG_NAME: Final = "nightly evaluation of the support assistant, second attempt, Frankfurt"
SOON: Final = "2027-03-31"
PHONE_AGENT: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1"
)
_CAREFUL: Final = {
    "title": "Careful answers",
    "description": "For questions about contracts.",
    "model": "anthropic/claude-opus-5.5",
    "zdr": "true",
    "order": "anthropic",
    "system_prompt": "You answer questions about contracts.\nQuote the clause that you rely on, and say"
    " so where there is none.",
    "temperature": "0.2",
    "effort": "high",
    "max_tokens": "2000",
    "tools": '[{"type": "function", "function": {"name": "find_clause", "parameters":'
    ' {"type": "object", "properties": {"words": {"type": "string"}}}}}]',
}
_SECRET: Final = re.compile(r'id="new-key"[^>]*><code>([^<]+)<')
_CSRF: Final = re.compile(r'name="csrf" value="([^"]+)"')


def fairlead(served: Served, *words: str) -> str:
    """What a command prints last; "" for one that prints nothing."""
    log = served.data.with_name("command.log")
    printed = forked_command([*words, "--data", str(served.data)], log)
    return (printed.strip().splitlines() or [""])[-1]


def entered(browser: Browser, served: Served, email: str) -> Any:
    """Cookies of somebody with an account."""
    link = fairlead(served, "accounts", "link", email)
    with window(browser, served.url) as (page, _):
        sign_in(page, served.url + urlsplit(link).path)
        return page.context.storage_state()


@dataclass(frozen=True)
class Furnished:
    """Cookies: of Ada for herself, of Ada for her organisation, and of one of its members, who is no admin."""

    ada: Any
    team: Any
    member: Any


class Hand:
    """Sends forms as the pages of somebody who is signed in do."""

    def __init__(self, page: Page, served: Served) -> None:
        self._request, self._url = page.request, served.url
        found = _CSRF.search(self.read("/settings/profile"))
        assert found is not None, "somebody is signed in"
        self._csrf = found[1]

    def read(self, path: str) -> str:
        answer = self._request.get(self._url + path)
        assert answer.ok, f"{path}: {answer.status}"
        return answer.text()

    def send(self, path: str, **fields: str) -> tuple[str, str]:
        """Where that led to, and the page there."""
        answer = self._request.post(
            self._url + path, form={"csrf": self._csrf, **fields}, headers={"origin": self._url}
        )
        assert answer.ok, f"{path} {fields}: {answer.status} {answer.text()[-3000:]}"
        return urlsplit(answer.url).path, answer.text()


def furnish(browser: Browser, served: Served) -> Furnished:
    fairlead(served, "accounts", "create", ADA)
    fairlead(served, "credits", "grant", ADA, "250", "--reason", "start-up programme")
    words = ("--reason", "for the outage of Tuesday", "--expires-in-days", "5")
    fairlead(served, "credits", "grant", ADA, "12.50", *words)
    ada = entered(browser, served, ADA)
    with window(browser, served.url, state=ada) as (page, _):
        hand = Hand(page, served)
        hand.send("/settings/profile/name", name="Ada Lovelace")
        hand.send("/settings/profile/email/verify")
        page.goto(mailed_link(served, ADA, "/verify"))
        page.locator("main").get_by_role("button").first.click()
        page.wait_for_load_state("networkidle")
        _workspaces(hand)
        _keys(hand, served)
        _settings(hand)
        _money(hand)
    team = entered(browser, served, ADA)
    with window(browser, served.url, state=team) as (page, _):
        member = _organisation(browser, served, Hand(page, served))
    _sessions(browser, served)
    return Furnished(ada, team, member)


def _workspaces(hand: Hand) -> None:
    for name, about in (
        ("Research", "Papers, notebooks and everything that is tried once"),
        ("Customer support", ""),
        ("Production, Frankfurt and Dublin regions", "What customers call"),
    ):
        hand.send("/settings/workspaces", name=name, slug="", description=about)
    budgets = {"daily": "5", "weekly": "25", "monthly": "80", "lifetime": "1500"}
    hand.send("/settings/workspaces/default/budgets", **budgets)


def _keys(hand: Hand, served: Served) -> None:
    secrets = {}
    for name, limit, reset, expires in (
        ("production", "", "", ""),
        ("laptop", "25", "monthly", ""),
        (LONG_NAME, "120", "weekly", SOON),
        ("workshop", "1", "", ""),
        ("staging", "10", "daily", ""),
        ("contractor", "50", "", SOON),
        ("old website", "", "", ""),
    ):
        fields = {"name": name, "limit": limit, "limit_reset": reset, "expires": expires}
        _, page = hand.send("/settings/keys", **fields)
        found = _SECRET.search(page)
        assert found is not None, "a new key is shown"
        secrets[name] = found[1]
    for name in ("Terraform", "billing export"):
        hand.send("/settings/keys", name=name, kind="management", limit="", limit_reset="")
    for name, models in (
        ("production", (EXPLAINS,)),
        ("production", (FAILS, THINKS)),
        ("laptop", (THINKS,)),
        ("workshop", (EXPLAINS,)),
        (LONG_NAME, ("sandbox/story",)),
        ("staging", ("sandbox/reasoner",)),
        ("production", (FAILS,)),
    ):
        _call(served, secrets[name], models)
    hand.send(_key_path(hand, "workshop"), name="workshop", limit="0.00005", limit_reset="")
    for name in ("old website", "contractor"):
        hand.send(_key_path(hand, name) + "/disable")


def _key_path(hand: Hand, name: str) -> str:
    found = re.search(
        rf'href="(/settings/keys/[0-9a-f]{{64}})">{re.escape(name)}<', hand.read("/settings/keys")
    )
    assert found is not None, name
    return found[1]


def _call(served: Served, key: str, models: Sequence[str]) -> None:
    """models: the first, and those after it if it fails."""
    body = {
        "models": list(models),
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 900,
    }
    request = urllib.request.Request(
        f"{served.url}/api/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "http-referer": "https://notebook.example",
            "x-title": "Notebook",
        },
    )
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError:
        assert models == (FAILS,), models


def _settings(hand: Hand) -> None:
    for provider, key, name, section in (
        ("openai", "sk-proj-0123456789abcdef0123456789abcdef", "team key", "first"),
        ("openai", "sk-proj-fedcba9876543210fedcba9876543210", "", "fallback"),
        ("anthropic", "sk-ant-0123456789abcdef0123456789abcdef", LONG_NAME, "exclusive"),
        ("groq", "gsk_0123456789abcdef0123456789abcdef0123", "fast lane", "required"),
    ):
        fields = {"provider": provider, "key": key, "name": name, "section": section}
        hand.send("/settings/byok/new", **fields, workspace="all", allowed_models="")
    for name, fields in (
        ("careful", {"model": "anthropic/claude-opus-5.5", "zdr": "true", "order": "anthropic"}),
        ("cheap-and-quick", {"model": "openai/gpt-6-luna", "sort": "price", "max_prompt": "0.50"}),
        ("translation-with-fallbacks-for-the-help-centre", {
            "model": "google/gemini-3.8-flash", "models": "openai/gpt-6-luna\ndeepseek/deepseek-v4.1-flash",
            "ignore": "groq", "data_collection": "deny",
        }),
    ):  # fmt: skip
        hand.send("/settings/presets/new", name=name, allow_fallbacks="true", **fields)
    hand.send("/settings/presets/careful", allow_fallbacks="true", **_CAREFUL)
    hand.send("/settings/presets/cheap-and-quick/status", status="disabled")
    hand.send(
        "/settings/routing",
        default_provider_sort="throughput",
        default_provider_order="anthropic\ngoogle-vertex",
        default_model="openai/gpt-6-luna",
        ignored_providers="novita\nnscale",
        ignored_models="x-ai/*",
    )
    policies = {"zdr": "true", "enforce_zdr_authors": "openai\nanthropic"}
    hand.send("/settings/privacy/policies", **policies, data_collection_deny="true")
    hand.send(
        "/settings/notifications",
        low_balance_on="true",
        when="own",
        low_balance="40",
        key_limit_on="true",
        workspace_budget_on="true",
    )


def _money(hand: Hand) -> None:
    for number, (amount, method, outcome) in enumerate(
        (
            ("20", "card", "pay"),
            ("1500", "card", "pay"),
            ("50", "card", "decline"),
            ("100", "crypto", "pay"),
            ("25", "alipay", "pay"),
            ("35", "card", ""),
        )
    ):
        fields = {"amount": amount, "method": method, "key": f"picture-{number}"}
        at, _ = hand.send("/credits/buy", **fields)
        if outcome:
            at, _ = hand.send(at, outcome=outcome)
        if number == 0:
            hand.send(f"{at}/refund")
    hand.send("/credits/card")
    hand.send("/credits/top-up", enabled="true", threshold="10", amount="50", monthly_max="400")
    hand.send(
        "/credits/details",
        name="Analytical Engines Ltd.",
        address="12 St James's Square\nLondon SW1Y 4JH\nUnited Kingdom",
        tax_ids="GB 123 4567 89",
    )


def _organisation(browser: Browser, served: Served, hand: Hand) -> Any:
    """Cookies of the last who joined it."""
    member: Any = None
    hand.send("/settings/organisation/create", new_name="Analytical Engines")
    for email, role, name in (
        ("charles@example.com", "admin", "Charles Babbage"),
        ("grace.brewster.murray.hopper@flow-matic.navy.example.com", "member", "Grace Hopper"),
        ("alan@example.com", "member", "Alan Turing"),
        ("katherine@example.com", "member", ""),
        ("dorothy.vaughan@west-computing.example.com", "member", ""),
    ):
        hand.send("/settings/organisation/invite", email=email, role=role)
        if name:
            member = _join(browser, served, mailed_link(served, email, "/join"), name)
    rows = re.findall(r'id="member-([^"]+)"', hand.read("/settings/organisation"))
    for user, (role, limit, reset) in zip(
        rows[1:], (("admin", "", ""), ("member", "50", "monthly"), ("member", "5", "daily")), strict=False
    ):  # fmt: skip
        path = f"/settings/organisation/members/{user}"
        hand.send(path, role=role, limit=limit, limit_reset=reset)
    return member


def _join(browser: Browser, served: Served, link: str, name: str) -> Any:
    """Cookies of who joined, and acts for the organisation now."""
    with window(browser, served.url) as (page, _):
        page.goto(link)
        page.get_by_label("Your name").fill(name)
        page.get_by_role("button", name="Join").click()
        page.wait_for_url("**/settings/organisation**")
        page.get_by_role("button", name="Switch").click()
        page.get_by_text("Members share credit").wait_for()
        return page.context.storage_state()


def _sessions(browser: Browser, served: Served) -> None:
    """Ada is signed in on a phone, too."""
    link = fairlead(served, "accounts", "link", ADA)
    context = browser.new_context(base_url=served.url, user_agent=PHONE_AGENT)
    try:
        sign_in(context.new_page(), served.url + urlsplit(link).path)
    finally:
        context.close()


# --- what is clicked before a picture ---------------------------------------------------------------------


Act = Callable[[Page], None]


def clicking(role: Any, name: str, *, exact: bool = True) -> Act:
    """The first of that name."""

    def act(page: Page) -> None:
        page.get_by_role(role, name=name, exact=exact).first.click()
        page.wait_for_load_state("networkidle")

    return act


def unfolding(text: str) -> Act:
    def act(page: Page) -> None:
        page.locator("summary", has_text=text).filter(visible=True).first.click()

    return act


def going(suffix: str) -> Act:
    """To a page below this one, as who has no scripts does."""

    def act(page: Page) -> None:
        page.goto(page.url + suffix, wait_until="networkidle")

    return act


def filling(fields: Mapping[str, str], button: str) -> Act:
    """A form, by its labels, and sends it."""

    def act(page: Page) -> None:
        for label, text in fields.items():
            page.get_by_label(label).first.fill(text)
        page.get_by_role("button", name=button, exact=True).first.click()
        page.wait_for_load_state("networkidle")

    return act


def remembering(page: Page) -> None:
    """Conversations of earlier days, from a file."""
    page.locator("[data-chat][data-ready]").wait_for()
    day_ms = 86_400_000
    now_ms = int(page.evaluate("Date.now()"))
    asked = (
        ("Compare SQLite and Postgres for a small service", 0),
        ("Why is the sky dark at night?", 1),
        ("Rewrite this release note so that customers understand what changes for them", 3),
        ("Regular expression for ISO dates", 9),
    )
    conversations = [
        {
            "id": f"picture-{number}", "title": title, "models": [EXPLAINS], "system": "",
            "createdMs": now_ms - age * day_ms, "changedMs": now_ms - age * day_ms - 1000 * number,
            "parameters": {}, "files": {}, "current": "one",
            "turns": [{"id": "one", "parent": None, "text": title, "files": [], "answers": []}],
        }
        for number, (title, age) in enumerate(asked)
    ]  # fmt: skip
    file = {"format": "fairlead-chat", "version": 1, "conversations": conversations}
    page.locator("[data-import-file]").set_input_files(
        {"name": "chat.json", "mimeType": "application/json", "buffer": json.dumps(file).encode()}
    )
    expect(page.locator("[data-heads] li")).to_have_count(len(asked))
    page.locator("[data-new]").evaluate("button => button.click()")


def choosing(*models: str) -> Act:
    """Besides the one of the address."""

    def act(page: Page) -> None:
        page.locator("[data-add]").click()
        search = page.get_by_placeholder("Name or id")
        for number, model in enumerate(models, 2):
            search.fill(model)
            search.press("Enter")
            expect(page.get_by_text(f"{number} chosen.")).to_be_visible()
        page.keyboard.press("Escape")

    return act


def asking(text: str, answers: int = 1) -> Act:
    def act(page: Page) -> None:
        page.locator("[data-chat][data-ready]").wait_for()
        page.get_by_label("Message", exact=True).fill(text)
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("article")).to_have_count(answers)
        expect(page.locator("[data-stop]")).to_be_hidden()
        page.wait_for_load_state("networkidle")

    return act


def comparing(page: Page) -> None:
    """Two models side by side, one with its reasoning open."""
    remembering(page)
    choosing(THINKS)(page)
    asking(QUESTION, 2)(page)
    page.locator("[data-reasoning]:visible summary").first.click()
    page.get_by_label("Message", exact=True).focus()


def explaining(page: Page) -> None:
    """Why the answer came from where it came."""
    asking(QUESTION)(page)
    page.get_by_role("button", name="Why this provider?").first.click()
    page.get_by_text("answered", exact=True).wait_for()
    page.locator("[data-why-place]").first.scroll_into_view_if_needed()


def flagging(page: Page) -> None:
    """What is wrong with an answer."""
    asking(QUESTION)(page)
    page.get_by_role("button", name="Flag").click()
    page.get_by_label("In your words").fill("The example does not run: a bracket is missing.")
    page.locator("[data-flag-place]").first.scroll_into_view_if_needed()


def listing(page: Page) -> None:
    """Conversations, and the workspaces that calls can go to; on a phone they are behind a button."""
    remembering(page)
    switch = page.locator("[data-side]")
    if switch.is_visible():
        switch.click()
        page.wait_for_function(
            "document.querySelector('.chat-side').getBoundingClientRect().x === 0"
        )


def searching(page: Page) -> None:
    page.locator("[data-chat][data-ready]").wait_for()
    page.locator("[data-add]").click()
    page.get_by_placeholder("Name or id").fill("claude")
    expect(page.get_by_text("1 chosen.")).to_be_visible()


def setting(page: Page) -> None:
    page.locator("[data-chat][data-ready]").wait_for()
    page.locator(".chat-settings-opener").click()
    page.get_by_label("System prompt").fill(
        "You are a careful engineer. Answer briefly, with numbers."
    )
    page.get_by_label("Temperature").fill("0.2")


def running(page: Page) -> None:
    """The request builder's call."""
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator("#builder-stop").wait_for(state="hidden")
    expect(page.locator("[data-run] [data-facts]")).to_contain_text("$")
    # Drawn by a part that is loaded late.
    expect(page.locator("[data-run] math").first).to_be_visible()


def checking(name: str) -> Act:
    """A provider's credential."""

    def act(page: Page) -> None:
        page.get_by_role("button", name=f"Check {name}").click()
        page.locator(".notice").filter(has_text=re.compile(".")).last.wait_for()
        page.wait_for_load_state("networkidle")

    return act


def auditing(page: Page) -> None:
    """The ledger's check, until it is done."""
    page.get_by_role("button", name="Check now").click()
    page.get_by_text("Everything is in order.").wait_for(timeout=60_000)


def beginning_an_audit(page: Page) -> None:
    """While it is under way."""
    page.get_by_role("button", name="Check now").click(no_wait_after=True)
    page.locator(".admin-progress, .notice.success").first.wait_for()


def filtering(page: Page) -> None:
    """Shows the filters where they are folded."""
    opener = page.get_by_text("Filters", exact=True)
    if opener.is_visible():
        opener.click()


def crashing(page: Page) -> None:
    """As if a page failed: no address does so by itself, so what another refusal says is replaced."""
    page.goto("/nothing/here")
    page.evaluate(
        """() => {
          document.querySelector(".refusal .number").textContent = "500";
          document.querySelector("h1").textContent = "Something went wrong here";
          document.querySelector(".refusal .soft").textContent =
            "It is not your fault, and it was logged. Try again in a moment.";
        }"""
    )
