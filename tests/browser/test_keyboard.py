"""Every flow by keyboard alone: nothing is clicked here, and the focus is never lost from sight."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.deeds import PASSWORD, is_dark
from tests.browser.keyboard import Keyboard
from tests.browser.scenes import fairlead
from tests.browser.stage import (
    PHONE,
    TEST_PAYMENTS,
    Served,
    Watched,
    serious_findings,
    serving,
    window,
)

pytestmark = pytest.mark.heavy

ADA = "ada@example.com"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("keyboard"), TEST_PAYMENTS) as served:
        yield served


def test_one_looks_around(page: Page) -> None:
    keyboard = Keyboard(page)
    main, status = page.get_by_role("main"), page.locator("#status")
    page.goto("/")
    keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    keyboard.follow(page.get_by_role("button", name="Copy code").first)
    expect(status).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()").startswith("from openai import")
    keyboard.reach(page.get_by_role("button", name="Theme"), key="Shift+Tab")
    keyboard.press("Enter", "Enter")
    assert is_dark(page)
    keyboard.press("/")
    keyboard.write("o1")
    keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/models\?q=o1$"))
    assert is_dark(page)

    keyboard.reach(page.get_by_label("Input price"))
    keyboard.press("ArrowDown")
    expect(page).to_have_url(re.compile("max_price="))
    expect(page.get_by_label("Input price")).to_be_focused()
    expect(status).to_have_text(re.compile("models?"))
    keyboard.press("ArrowUp")
    keyboard.reach(main.get_by_role("checkbox", name=re.compile("^Image")).first)
    keyboard.press("Space")
    expect(page).to_have_url(re.compile("input_modalities=image"))
    keyboard.press("Space")
    keyboard.follow(main.locator("summary", has_text="Provider"))
    expect(main.get_by_role("checkbox", name=re.compile("^Anthropic"))).to_be_visible()
    keyboard.fill(main.get_by_label("Search models"), "")
    keyboard.reach(page.get_by_role("link", name="Next"), key="Shift+Tab")  # from the end
    keyboard.press("Enter")
    expect(page).to_have_url(re.compile("page=2"))
    expect(page.locator("#results")).to_be_focused()
    keyboard.reach(main.get_by_label("Search models"), key="Shift+Tab")
    keyboard.write("openai o1")
    keyboard.follow(main.get_by_role("link", name="o1", exact=True))

    expect(page.get_by_role("heading", level=1)).to_have_text("OpenAI: o1")
    tabs = page.get_by_label("About this model")
    for tab in ("Pricing", "API"):
        keyboard.follow(tabs.get_by_role("link", name=tab, exact=True))
        expect(page.get_by_role("heading", level=2, name=tab)).to_be_visible()
        expect(tabs.get_by_role("link", name=tab, exact=True)).to_be_focused()
    keyboard.follow(page.get_by_role("link", name="curl", exact=True))
    expect(page.locator("#code-first")).to_contain_text("curl http")
    expect(page.get_by_role("link", name="curl", exact=True)).to_be_focused()
    keyboard.reach(page.get_by_role("link", name="Compare", exact=True), key="Shift+Tab")
    keyboard.press("Enter")
    keyboard.fill(page.get_by_label("Search models to compare"), "o3-mini")
    other = page.get_by_text("openai/o3-mini", exact=True)
    keyboard.follow(page.locator("#found").get_by_role("link").filter(has=other))
    keyboard.follow(page.get_by_role("link", name="Take o1 away"))
    expect(page).to_have_url(re.compile(r"\?models=openai/o3-mini$"))


def test_no_page_holds_the_focus(page: Page) -> None:
    keyboard = Keyboard(page)
    for path in ("/openai/o1?tab=api", "/docs/design-system", "/request-builder"):
        page.goto(path)
        keyboard.walk_through()


def test_what_folds_on_a_phone_unfolds(phone: Page) -> None:
    keyboard = Keyboard(phone)
    phone.goto("/models")
    keyboard.follow(phone.locator("summary[aria-label=Menu]"))
    keyboard.reach(phone.get_by_role("link", name="Rankings").locator("visible=true"))
    keyboard.press("Escape")
    expect(phone.locator("summary[aria-label=Menu]")).to_be_focused()
    expect(phone.get_by_role("link", name="Rankings").locator("visible=true")).to_have_count(0)
    for _ in range(8):
        keyboard.step()
        if phone.evaluate("document.activeElement.id") == "show-filters":
            break
    keyboard.press("Space")
    keyboard.reach(phone.get_by_label("Input price"))


def test_somebody_enters_pays_and_leaves(
    watched_page: tuple[Page, Watched], served: Served
) -> None:
    page, watched = watched_page
    watched.expect("422")  # a password that is too short
    keyboard = Keyboard(page)
    fairlead(served, "accounts", "create", ADA)
    page.goto(
        served.url + re.sub(r"^https?://[^/]+", "", fairlead(served, "accounts", "link", ADA))
    )
    keyboard.follow(page.get_by_role("main").get_by_role("button", name="Sign in"))
    menu = page.locator("summary", has_text="Account: ")
    keyboard.follow(menu)
    keyboard.reach(page.get_by_role("link", name="Settings"))
    keyboard.press("Escape")
    expect(menu).to_be_focused()
    expect(page.get_by_role("link", name="Settings")).to_be_hidden()
    keyboard.press("Enter")
    keyboard.follow(page.get_by_role("link", name="Settings"))

    # A setting, with a mistake first.
    keyboard.fill(page.get_by_role("textbox", name="Password"), "short")
    keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Password")).to_be_focused()
    assert serious_findings(page) == []
    keyboard.write(PASSWORD)
    keyboard.press("Enter")
    expect(page.get_by_text("Your password is changed")).to_be_visible()
    keyboard.follow(menu)
    keyboard.follow(page.get_by_role("button", name="Sign out"))
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto("/settings/keys")
    keyboard.fill(page.get_by_label("Email", exact=True), ADA)
    keyboard.fill(page.get_by_role("textbox", name="Password"), PASSWORD)
    keyboard.press("Enter")

    # A key, once seen; a dialog, left and used.
    expect(page).to_have_url(re.compile("/settings/keys$"))
    keyboard.follow(page.get_by_role("link", name="New key").first)
    expect(page.get_by_label("Name")).to_be_focused()
    keyboard.write("laptop")
    keyboard.press("Enter")
    expect(page.get_by_text("This is the only time you see it.")).to_be_visible()
    assert serious_findings(page) == []
    keyboard.follow(page.get_by_role("button", name="Copy code").first)
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#new-key").inner_text()
    keyboard.follow(page.get_by_role("link", name="Done"))
    opener = page.get_by_role("link", name="Delete", exact=True)
    dialog = page.get_by_role("dialog", name="Delete this key?")
    keyboard.follow(opener)
    expect(dialog).to_be_visible()
    assert serious_findings(page) == []
    keyboard.reach(dialog.get_by_role("button", name="Delete key"))
    keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    keyboard.press("Enter")
    keyboard.follow(dialog.get_by_role("button", name="Delete key"))
    expect(page.get_by_text("The key is deleted.")).to_be_visible()

    page.goto("/credits")
    keyboard.fill(page.get_by_label("Amount of credit"), "40")
    keyboard.follow(page.get_by_role("button", name="Go on to pay $42.20 (test)"))
    keyboard.follow(page.get_by_role("button", name="Pay $42.20"))
    keyboard.follow(page.get_by_role("link", name="Refund $40.00"))
    keyboard.follow(page.get_by_role("dialog").get_by_role("button", name="Refund $40.00"))
    expect(page.get_by_text("It is on its way back")).to_be_visible()

    question = f"/auth?code_challenge={CHALLENGE}&code_challenge_method=S256"
    page.goto(question)
    keyboard.follow(page.get_by_role("button", name="Deny"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Denied")
    page.goto(question)
    keyboard.fill(page.get_by_label("Spending limit"), "5")
    keyboard.follow(page.get_by_role("button", name="Allow"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Your code")
    assert serious_findings(page) == []

    page.goto("/settings/account")
    keyboard.fill(page.get_by_label(f"Type {ADA} to confirm"), ADA)
    keyboard.press("Enter")
    expect(page.get_by_text("Your account is deleted.")).to_be_visible()


def test_one_chats(browser: Browser, served: Served, owner_state: Any) -> None:
    with window(browser, served.url, state=owner_state) as (page, watched):
        watched.expect("404")  # the record of what was stopped is there a moment later
        keyboard = Keyboard(page)
        chat(page, keyboard)
        assert watched.unexpected == []


def chat(page: Page, keyboard: Keyboard) -> None:
    page.goto("/chat?model=sandbox/echo")
    page.locator("[data-chat][data-ready]").wait_for()
    text, answer = page.get_by_label("Message", exact=True), page.get_by_role("article")
    add = page.get_by_role("button", name="Add model")

    # Models come and go.
    keyboard.follow(add)
    keyboard.write("sandbox slow")
    keyboard.press("Enter")
    expect(page.get_by_text("2 chosen.")).to_be_visible()
    assert serious_findings(page) == []
    keyboard.press("Escape")
    expect(add).to_be_focused()
    keyboard.reach(page.get_by_role("button", name="Remove sandbox/echo"), key="Shift+Tab")
    keyboard.press("Enter")
    expect(page.get_by_role("link", name="sandbox/slow")).to_be_focused()

    # Stopping.
    keyboard.reach(text)
    keyboard.write("Take your time")
    keyboard.follow(page.get_by_role("button", name="Send"))
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    expect(answer.locator("[data-prose] p")).to_be_visible()
    keyboard.press("Enter")
    expect(page.get_by_text("Stopped. What came till then is paid.")).to_be_visible()
    expect(text).to_be_focused()

    # Branches.
    page.goto("/chat?model=sandbox/echo")
    page.locator("[data-chat][data-ready]").wait_for()
    keyboard.reach(text)
    keyboard.write("First words")
    keyboard.press("Enter")
    expect(answer.get_by_text("First words")).to_be_visible()
    edit = page.get_by_role("button", name="Edit")
    expect(edit).to_be_enabled()
    keyboard.reach(edit, key="Shift+Tab")
    keyboard.press("Enter", "Escape")
    expect(edit).to_be_focused()
    keyboard.press("Enter")
    keyboard.write("Second words")
    keyboard.press("Enter")
    expect(answer.get_by_text("Second words")).to_be_visible()
    expect(page.get_by_text("2 / 2")).to_be_visible()
    again = page.get_by_role("button", name="Regenerate")
    expect(again).to_be_enabled()
    keyboard.follow(again)
    expect(page.get_by_text("3 / 3")).to_be_visible()
    expect(again).to_be_enabled()
    expect(answer).to_be_focused()
    before = page.get_by_role("button", name="Branch before")
    keyboard.reach(before, key="Shift+Tab")
    keyboard.press("Enter")
    expect(page.get_by_text("2 / 3")).to_be_visible()
    expect(before).to_be_focused()
    keyboard.press("Enter")
    expect(answer.get_by_text("First words")).to_be_visible()
    expect(page.get_by_role("button", name="Branch after")).to_be_focused()
    keyboard.follow(page.get_by_role("button", name="Why this provider?"))
    expect(answer.get_by_text("answered", exact=True)).to_be_visible()

    # Settings; and away with it.
    settings = page.get_by_role("button", name="Settings")
    keyboard.reach(settings, key="Shift+Tab")
    keyboard.press("Enter")
    assert serious_findings(page) == []
    keyboard.fill(page.get_by_label("System prompt"), "Be brief.")
    keyboard.follow(page.get_by_role("button", name="Done"))
    expect(settings).to_be_focused()
    expect(settings).to_contain_text("1")
    page.reload()
    page.locator("[data-chat][data-ready]").wait_for()
    expect(answer).to_have_count(1)
    keyboard.follow(page.get_by_role("button", name="Delete First words"))
    expect(page.get_by_role("button", name="Delete First words")).to_have_count(0)
    assert not keyboard.is_nowhere
    keyboard.follow(page.get_by_role("button", name="Clear all"))
    keyboard.follow(page.get_by_role("button", name="Delete all"))
    expect(page.get_by_text("What do you want to ask?")).to_be_visible()
    expect(page.get_by_role("button", name="Clear all")).to_be_focused()


def test_the_chats_side_lies_over_a_phone_and_goes_away(
    browser: Browser, served: Served, owner_state: Any
) -> None:
    with window(browser, served.url, size=PHONE, state=owner_state) as (page, watched):
        keyboard = Keyboard(page)
        page.goto("/chat")
        page.locator("[data-chat][data-ready]").wait_for()
        expect(page.get_by_role("button", name="New chat")).to_be_hidden()
        side = page.get_by_role("button", name="Conversations")
        keyboard.follow(side)
        expect(page.get_by_role("button", name="New chat")).to_be_focused()
        keyboard.press("Escape")
        expect(page.get_by_role("button", name="New chat")).to_be_hidden()
        expect(side).to_be_focused()
        assert watched.unexpected == []


def test_the_operator_works(owner_page: Page, served: Served) -> None:
    keyboard = Keyboard(owner_page)
    fairlead(served, "accounts", "create", "bob@example.com")
    owner_page.goto("/models")
    keyboard.follow(owner_page.locator("summary", has_text="Account: "))
    keyboard.follow(owner_page.get_by_role("link", name="Administration"))
    keyboard.follow(owner_page.get_by_role("link", name="Accounts", exact=True).first)
    keyboard.fill(owner_page.get_by_label("Search", exact=True).last, "bob")
    expect(owner_page).to_have_url(re.compile("q=bob"))
    keyboard.follow(owner_page.locator("tbody").get_by_role("link", name="bob@example.com"))
    keyboard.follow(owner_page.get_by_role("link", name="Disable"))
    keyboard.follow(owner_page.get_by_role("button", name="Disable"))
    expect(owner_page.get_by_text("They are shut out")).to_be_visible()
    keyboard.follow(owner_page.get_by_role("button", name="Enable"))
    expect(owner_page.get_by_text("They are let in again.")).to_be_visible()
    keyboard.fill(owner_page.get_by_label("Amount"), "12.50")
    keyboard.fill(owner_page.get_by_label("Reason"), "a present")
    keyboard.press("Enter")
    expect(owner_page.get_by_text("The credit is given.")).to_be_visible()
    keyboard.follow(owner_page.get_by_role("link", name="Ledger", exact=True).first)
    keyboard.follow(owner_page.get_by_role("button", name="Check now"))
    expect(owner_page.get_by_text("Everything is in order.")).to_be_visible()
    keyboard.follow(owner_page.get_by_role("link", name="Audit log").first)
    expect(owner_page.get_by_text("credits.grant")).to_be_visible()
