"""`make screenshots`: every page, desktop and phone, light and dark, into `.screenshots/`, to be looked at.

A new page is one line in `PAGES`. `ARGS="models"` takes only the pages with that in their name.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as PlaywrightError

from tests.browser import scenes
from tests.browser.chromium import running_chromium
from tests.browser.scenes import (
    Act,
    asking,
    checking,
    clicking,
    entered,
    fairlead,
    filling,
    going,
    unfolding,
)
from tests.browser.stage import (
    DESKTOP,
    PHONE,
    TEST_PAYMENTS,
    Served,
    Theme,
    serving,
    sign_in,
    window,
)
from tests.browser.understudy import EXPLAINS, FAILS, QUESTION, understudy

OUT = Path(".screenshots")
SHOT_MS = 30_000  # a page may be 20,000 pixels high
SIZES = (("desktop", DESKTOP), ("phone", PHONE))
THEMES: Sequence[Theme] = ("light", "dark")
DEMO = "northwind@demo.invalid"
CALLED = "/anthropic/claude-sonnet-5.5"  # by the demonstration
FIVE = (
    "openai/gpt-6-sol,anthropic/claude-sonnet-5.5,google/gemini-3.8-flash,"
    "deepseek/deepseek-v4.1-flash,openai/o4-mini"
)
MODEL_TABS = (
    "providers", "performance", "pricing", "benchmarks", "apps", "activity", "uptime", "api"
)  # fmt: skip
_NOBODY = {"Email": "nobody@example.com"}


@dataclass(frozen=True)
class Shot:
    """name: of the file. as_owner: signed in as the owner. has_demo: among made-up calls and in a furnished
    installation; as_demo: and signed in to an account that made them; as_ada, as_team: to one whose settings
    are full, to its organisation, or to a member's. follow: a link on that page, which leads to the one that is
    wanted. act: what is clicked before. calls: that calls models or shows such calls, so it is taken after
    those that show how it is when nothing was called. is_window: what a window holds, not the whole page."""

    name: str
    path: str
    as_owner: bool = False
    has_demo: bool = False
    as_demo: bool = False
    as_ada: bool = False
    as_team: bool = False
    as_member: bool = False
    follow: str = ""
    act: Act | None = None
    calls: bool = False
    is_window: bool = False

    @property
    def who(self) -> str:
        """Whose cookies it takes."""
        for name, is_it in (
            ("demo", self.as_demo),
            ("ada", self.as_ada),
            ("team", self.as_team),
            ("member", self.as_member),
            ("owner", self.as_owner),
        ):
            if is_it:
                return name
        return ""


PAGES = (
    Shot("home", "/", has_demo=True),
    Shot("home-empty", "/"),
    Shot("models", "/models"),
    Shot("models-table", "/models?view=table"),
    Shot("models-popular", "/models?sort=most-popular", has_demo=True),
    Shot("models-fastest", "/models?sort=throughput-high-to-low&view=table", has_demo=True),
    Shot(
        "models-filtered",
        "/models?output_modalities=speech&output_modalities=rerank&model_authors=openai,cohere",
        act=scenes.filtering,
    ),
    Shot("models-uncategorised", "/models?category=legal"),
    Shot("models-none", "/models?q=nothing-is-called-that"),
    Shot("not-found", "/nothing/here"),
    Shot("refused", "/models?sort=nonsense"),
    Shot("crashed", "/status", act=scenes.crashing),
    Shot("chat", "/chat", as_owner=True, is_window=True),
    Shot("chat-nobody", "/chat"),
    Shot(
        "chat-list",
        f"/chat?model={EXPLAINS}",
        has_demo=True,
        as_ada=True,
        act=scenes.listing,
        is_window=True,
    ),
    *(
        Shot(
            f"chat-{name}",
            f"/chat?model={model}",
            as_owner=True,
            act=act,
            calls=True,
            is_window=True,
        )
        for name, model, act in (
            ("full", EXPLAINS, scenes.comparing),
            ("one", EXPLAINS, asking(QUESTION)),
            ("why", EXPLAINS, scenes.explaining),
            ("error", FAILS, asking(QUESTION)),
            ("flag", EXPLAINS, scenes.flagging),
            ("models", EXPLAINS, scenes.searching),
            ("settings", EXPLAINS, scenes.setting),
        )
    ),
    Shot(
        "request-builder",
        "/request-builder?model=openai/o1&max_tokens=500&stream=true",
        as_owner=True,
    ),
    Shot(
        "request-builder-run",
        f"/request-builder?model={EXPLAINS}&message=How+big+is+a+Bloom+filter%3F&language=curl",
        as_owner=True,
        act=scenes.running,
        calls=True,
    ),
    Shot("request-builder-wrong", "/request-builder?temperature=9&sort=price", as_owner=True),
    Shot("design-system", "/docs/design-system"),
    Shot("sign-in", "/sign-in"),
    Shot("sign-in-wrong", "/sign-in", act=filling(_NOBODY | {"Password": "guess"}, "Sign in")),
    Shot("sign-in-worn-out", "/sign-in/never-sent"),
    Shot("sign-up", "/sign-up"),
    Shot("sign-up-sent", "/sign-up", act=filling(_NOBODY, "Send the link")),
    Shot("reset", "/reset"),
    Shot("reset-sent", "/reset", act=filling(_NOBODY, "Send the link")),
    Shot("consent", "/auth?callback_url=https://editor.example/back&limit=5", as_owner=True),
    *(
        Shot(f"settings-{name}", f"/settings/{name}", as_owner=True)
        for name in (
            "profile",
            "sessions",
            "byok",
            "routing",
            "presets",
            "privacy",
            "notifications",
            "organisation",
            "workspaces",
            "account",
        )
    ),
    Shot("settings-byok-new", "/settings/byok/new?provider=azure", as_owner=True),
    Shot("settings-preset-new", "/settings/presets/new", as_owner=True),
    *(
        Shot(f"settings-{name}-full", f"/settings/{name}", has_demo=True, as_ada=True)
        for name in (
            "profile",
            "sessions",
            "byok",
            "routing",
            "presets",
            "privacy",
            "notifications",
            "workspaces",
            "account",
        )
    ),
    Shot("settings-byok-one", "/settings/byok", has_demo=True, as_ada=True, follow="td a"),
    Shot("settings-preset-one", "/settings/presets/careful", has_demo=True, as_ada=True),
    Shot("settings-workspace", "/settings/workspaces/default", has_demo=True, as_ada=True),
    Shot("settings-workspace-more", "/settings/workspaces/research", has_demo=True, as_ada=True),
    Shot("settings-organisation-full", "/settings/organisation", has_demo=True, as_team=True),
    Shot("settings-notifications-shared", "/settings/notifications", has_demo=True, as_team=True),
    Shot("settings-workspace-shared", "/settings/workspaces/default", has_demo=True, as_team=True),
    *(
        Shot(
            f"admin-{name or 'overview'}",
            f"/admin/{name}".rstrip("/"),
            as_owner=True,
            has_demo=True,
        )
        for name in (
            "",
            "providers",
            "models",
            "endpoints",
            "accounts",
            "payments",
            "feedback",
            "ledger",
            "configuration",
            "audit",
        )
    ),
    *(
        Shot(name, path, as_owner=True, has_demo=True, follow=follow, act=act)
        for name, path, follow, act in (
            ("admin-account", "/admin/accounts?q=northwind", "tbody th a", None),
            ("admin-account-full", "/admin/accounts?q=ada", "tbody th a", None),
            ("admin-providers-all", "/admin/providers?show=all", "", None),
            ("admin-providers-good", "/admin/providers", "", checking("OpenAI")),
            ("admin-providers-bad", "/admin/providers", "", checking("Groq")),
            ("admin-prices", "/admin/endpoints?q=openai/gpt-5", "tbody td a", None),
            ("admin-refunds", "/admin/payments/refunds", "", None),
            ("admin-events", "/admin/payments/events", "", None),
            ("admin-ledger-running", "/admin/ledger", "", scenes.beginning_an_audit),
            ("admin-ledger-done", "/admin/ledger", "", scenes.auditing),
            ("admin-audit-some", "/admin/audit?action=key", "", None),
        )
    ),
    Shot("docs", "/docs"),
    Shot("docs-quickstart", "/docs/quickstart"),
    Shot("docs-errors", "/docs/errors"),
    Shot("docs-search", "/docs/search?q=retry+after"),
    Shot("docs-api", "/docs/api"),
    Shot("data", "/data"),
    Shot("docs-api-keys", "/docs/api/keys"),
    Shot("docs-routing", "/docs/routing"),
    Shot("docs-search-none", "/docs/search?q=xyzzy"),
    *(
        Shot(f"model-{tab}", f"{CALLED}?tab={tab}", has_demo=True)
        for tab in ("overview", *MODEL_TABS)
    ),
    *(Shot(f"model-{tab}-empty", f"{CALLED}?tab={tab}") for tab in ("overview", *MODEL_TABS)),
    Shot("model-benchmarked", "/openai/o4-mini?tab=benchmarks"),
    Shot("model-tiers", "/openai/o4-mini?tab=pricing"),
    Shot("model-deprecated", "/openai/o4-mini", has_demo=True),
    Shot("model-long", "/cognitivecomputations/dolphin-mistral-24b-venice-edition:nitro"),
    Shot("model-free", "/fairlead/free"),
    Shot("model-router", "/fairlead/auto"),
    Shot("model-alias", "/~anthropic/claude-sonnet-latest"),
    Shot("model-not-served", "/openai/tts-1?tab=api"),
    Shot("model-by-the-second", "/openai/whisper-1?tab=pricing"),
    Shot("model-embedding", "/openai/text-embedding-3-small?tab=api"),
    Shot("model-unknown", "/openai/o3-minni"),
    Shot("compare", "/compare?models=openai/o1,openai/o3-mini,openai/o4-mini"),
    Shot(
        "compare-two", "/compare?models=openai/gpt-6-sol,anthropic/claude-sonnet-5.5", has_demo=True
    ),
    Shot("compare-five", f"/compare?models={FIVE}", has_demo=True),
    Shot("compare-one", "/compare?models=openai/o1,nobody/nothing"),
    Shot("compare-units", "/compare?models=cohere/rerank-v3.5,openai/tts-1"),
    Shot("compare-none", "/compare"),
    Shot("compare-found-none", "/compare?q=nothing-is-called-that"),
    Shot("pricing", "/pricing"),
    Shot("pricing-used", "/pricing", has_demo=True),
    Shot("providers", "/providers", has_demo=True),
    Shot("providers-some", "/providers?policy=no-training&sort=uptime", has_demo=True),
    Shot("providers-none", "/providers?q=nobody"),
    Shot("provider", "/providers/anthropic", has_demo=True),
    Shot("provider-troubled", "/providers/deepinfra", has_demo=True),
    Shot("provider-empty", "/providers/openai"),
    *(
        Shot(f"rankings-{by}-{period}", f"/rankings?by={by}&period={period}", has_demo=True)
        for by in ("model", "author", "app", "category")
        for period in ("day", "week", "month")
    ),
    Shot("rankings-tokens", "/rankings?chart=tokens&period=month", has_demo=True),
    Shot("rankings-coding", "/rankings?category=coding&all=true", has_demo=True),
    Shot("rankings-empty", "/rankings"),
    Shot("rankings-coding-empty", "/rankings?category=coding"),
    Shot("apps", "/apps?period=month", has_demo=True),
    Shot("apps-creative", "/apps?category=creative", has_demo=True),
    Shot("apps-category", "/apps?category=cli-agent", has_demo=True),
    Shot("apps-trending", "/apps?sort=trending", has_demo=True),
    Shot("apps-empty", "/apps"),
    Shot("app", "/apps?url=https://code-pilot.demo.invalid", has_demo=True),
    Shot("app-long", "/apps?url=https://clause-by-clause.demo.invalid&period=day", has_demo=True),
    Shot("status", "/status", has_demo=True),
    Shot("status-empty", "/status"),
    Shot("activity", "/activity", has_demo=True, as_demo=True),
    Shot("activity-keys", "/activity?by=key&period=week", has_demo=True, as_demo=True),
    Shot(
        "activity-call",
        "/activity",
        has_demo=True,
        as_demo=True,
        follow="tbody th a[href^='/activity/']",
    ),
    Shot("activity-empty", "/activity", as_owner=True),
    Shot("activity-few", "/activity", as_owner=True, calls=True),
    Shot(
        "activity-filtered",
        "/activity?by=provider&model=openai/gpt-6-sol&period=week",
        has_demo=True,
        as_demo=True,
    ),
    Shot("activity-none", "/activity?model=nobody/nothing", has_demo=True, as_demo=True),
    Shot("activity-chosen", "/activity?cache=read&period=week", has_demo=True, as_demo=True),
    Shot("activity-sessions", "/activity/sessions", has_demo=True, as_demo=True),
    Shot("activity-sessions-empty", "/activity/sessions", as_owner=True),
    Shot(
        "activity-session",
        "/activity/sessions",
        has_demo=True,
        as_demo=True,
        follow="tbody th a",
    ),
    Shot(
        "activity-export",
        "/activity",
        has_demo=True,
        as_demo=True,
        act=unfolding("Export"),
        is_window=True,
    ),
    Shot(
        "activity-fallback",
        "/activity",
        has_demo=True,
        as_ada=True,
        follow="tr:has-text('deepseek'):has-text('production') th a[href^='/activity/']",
    ),
    Shot("credits", "/credits", has_demo=True, as_demo=True),
    Shot("credits-empty", "/credits", as_owner=True),
    Shot("credits-full", "/credits", has_demo=True, as_ada=True),
    Shot(
        "credits-purchase", "/credits", has_demo=True, as_ada=True, follow="tr:has-text('$1,500') a"
    ),
    Shot("credits-open", "/credits", has_demo=True, as_ada=True, follow="tr:has-text('$35.00') a"),
    Shot(
        "credits-refunded", "/credits", has_demo=True, as_ada=True, follow="tr:has-text('$20.00') a"
    ),
    Shot(
        "credits-refund",
        "/credits",
        has_demo=True,
        as_ada=True,
        follow="tr:has-text('$1,500') a",
        act=clicking("link", "Refund", exact=False),
        is_window=True,
    ),
    Shot(
        "credits-test-payment",
        "/credits",
        has_demo=True,
        as_ada=True,
        follow="tr:has-text('$35.00') a",
        act=clicking("link", "Pay now"),
    ),
    Shot(
        "credits-failed", "/credits", has_demo=True, as_ada=True, follow="tr:has-text('$50.00') a"
    ),
    Shot(
        "credits-refund-page",
        "/credits",
        has_demo=True,
        as_ada=True,
        follow="tr:has-text('$1,500') a",
        act=going("/refund"),
    ),
    Shot("credits-buy", "/credits/buy?amount=3&method=card", as_owner=True),
    Shot("credits-buy-quote", "/credits/buy?amount=1250&method=card", as_owner=True),
    Shot("credits-top-up", "/credits/top-up", has_demo=True, as_demo=True),
    Shot("credits-top-up-full", "/credits/top-up", has_demo=True, as_ada=True),
    Shot("credits-invoices", "/credits/invoices", has_demo=True, as_demo=True),
    Shot("credits-invoices-full", "/credits/invoices", has_demo=True, as_ada=True),
    Shot("credits-ledger-full", "/credits/history", has_demo=True, as_ada=True),
    Shot("credits-ledger", "/credits/history", has_demo=True, as_demo=True),
    Shot("keys", "/settings/keys", has_demo=True, as_demo=True),
    Shot("keys-new", "/settings/keys/new", as_owner=True),
    Shot("keys-one", "/settings/keys", as_owner=True, follow="tbody th a"),
    Shot("keys-management", "/settings/keys?kind=management", as_owner=True),
    *(
        Shot(f"member-{path.rpartition('/')[2]}", path, has_demo=True, as_member=True)
        for path in (
            "/settings/organisation",
            "/settings/privacy",
            "/settings/workspaces",
            "/settings/keys",
            "/settings/byok",
            "/activity",
            "/credits",
        )
    ),
    Shot("sign-out", "/sign-out", as_owner=True),
    Shot(
        "keys-delete-page",
        "/settings/keys",
        has_demo=True,
        as_ada=True,
        follow="tbody a:has-text('website')",
        act=going("/delete"),
    ),
    Shot("keys-full", "/settings/keys", has_demo=True, as_ada=True),
    Shot("keys-management-full", "/settings/keys?kind=management", has_demo=True, as_ada=True),
    Shot(
        "keys-limited",
        "/settings/keys",
        has_demo=True,
        as_ada=True,
        follow="tbody a:has-text('workshop')",
    ),
    Shot(
        "keys-long",
        "/settings/keys",
        has_demo=True,
        as_ada=True,
        follow="tbody a:has-text('nightly')",
    ),
    Shot(
        "keys-disabled",
        "/settings/keys",
        has_demo=True,
        as_ada=True,
        follow="tbody a:has-text('website')",
    ),
    *(
        Shot(
            f"keys-{name.lower()}",
            "/settings/keys",
            has_demo=True,
            as_ada=True,
            follow="tbody a:has-text('production')",
            act=clicking("link", name),
            is_window=True,
        )
        for name in ("Rotate", "Delete")
    ),
    Shot(
        "keys-secret",
        "/settings/keys/new",
        as_owner=True,
        act=filling({"Name": "laptop"}, "Create key"),
    ),
    Shot(
        "keys-wrong",
        "/settings/keys/new",
        as_owner=True,
        act=filling({"Name": "laptop", "Spending limit": "a lot"}, "Create key"),
    ),
)


def main(wanted: str = "") -> None:
    OUT.mkdir(exist_ok=True)
    shots = [shot for shot in PAGES if wanted in shot.name]
    with (
        tempfile.TemporaryDirectory() as place,
        understudy() as providers,
        serving(Path(place), {**TEST_PAYMENTS, **providers}) as served,
        running_chromium(Path(place)) as browser,
    ):
        with window(browser, served.url) as (page, _):
            sign_in(page, served.link)
            cookies = {"owner": page.context.storage_state()}
        plain = [shot for shot in shots if not shot.has_demo]
        take(browser, served, [shot for shot in plain if not shot.calls], cookies)
        take(browser, served, [shot for shot in plain if shot.calls], cookies)
        if any(shot.has_demo for shot in shots):
            fairlead(served, "demo", "--yes")  # the chat has called already
            cookies["demo"] = entered(browser, served, DEMO)
            furnished = scenes.furnish(browser, served)
            cookies |= {"ada": furnished.ada, "team": furnished.team, "member": furnished.member}
            take(browser, served, [shot for shot in shots if shot.has_demo], cookies)


def take(
    browser: Browser, served: Served, shots: Sequence[Shot], cookies: Mapping[str, Any]
) -> None:
    """cookies: of those who are signed in, by their names in `Shot.who`."""
    for size_name, size in SIZES:
        for theme in THEMES:
            for shot in shots:
                kept = cookies.get(shot.who)
                with window(browser, served.url, size=size, theme=theme, state=kept) as (
                    page,
                    watched,
                ):
                    try:
                        arrange(page, shot)
                    except (AssertionError, PlaywrightError) as error:
                        watched.wrongs.append(f"not as it should be: {error}")
                    path = OUT / f"{shot.name}-{size_name}-{theme}.png"
                    try:
                        picture(page, path, shot)
                    except PlaywrightError as error:
                        watched.wrongs.append(f"no picture: {error.message}")
                    print(path, *watched.wrongs, sep="\n  ")


def picture(page: Page, path: Path, shot: Shot) -> None:
    """Once more where Chromium could not: on a busy machine it sometimes has no frame to take."""
    take = partial(page.screenshot, path=path, full_page=not shot.is_window, timeout=SHOT_MS)
    try:
        take()
    except PlaywrightError:
        take()


def arrange(page: Page, shot: Shot) -> None:
    """Until the page is as it is to be seen."""
    page.goto(shot.path, wait_until="networkidle")
    if shot.follow:
        page.locator(shot.follow).first.click()
        page.wait_for_load_state("networkidle")
    if shot.act is not None:
        shot.act(page)


if __name__ == "__main__":
    main(*sys.argv[1:2])
