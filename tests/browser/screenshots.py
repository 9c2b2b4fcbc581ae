"""`make screenshots`: every page, desktop and phone, light and dark, into `.screenshots/`, to be looked at.

A new page is one line in `PAGES`. `ARGS="models"` takes only the pages with that in their name.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser

from tests.browser.chromium import running_chromium
from tests.browser.stage import DESKTOP, PHONE, TEST_PAYMENTS, Served, serving, sign_in, window

OUT = Path(".screenshots")
SIZES = (("desktop", DESKTOP), ("phone", PHONE))
THEMES = ("light", "dark")
DEMO = "northwind@demo.invalid"


@dataclass(frozen=True)
class Shot:
    """name: of the file. as_owner: signed in as the owner. has_demo: among
    made-up calls; as_demo: and signed in to an account that made them. follow: a link on that page, which
    leads to the one that is wanted."""

    name: str
    path: str
    as_owner: bool = False
    has_demo: bool = False
    as_demo: bool = False
    follow: str = ""


PAGES = (
    Shot("home", "/"),
    Shot("models", "/models"),
    Shot("models-table", "/models?view=table"),
    Shot("models-none", "/models?q=nothing-is-called-that"),
    Shot("not-found", "/nothing/here"),
    Shot("chat", "/chat", as_owner=True),
    Shot("chat-nobody", "/chat"),
    Shot(
        "request-builder",
        "/request-builder?model=openai/o1&max_tokens=500&stream=true",
        as_owner=True,
    ),
    Shot("design-system", "/docs/design-system"),
    Shot("sign-in", "/sign-in"),
    Shot("sign-up", "/sign-up"),
    Shot("reset", "/reset"),
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
            "endpoints",
            "accounts",
            "payments",
            "ledger",
            "configuration",
            "audit",
        )
    ),
    Shot(
        "admin-account",
        "/admin/accounts?q=northwind",
        as_owner=True,
        has_demo=True,
        follow="tbody th a",
    ),
    Shot("docs", "/docs"),
    Shot("docs-quickstart", "/docs/quickstart"),
    Shot("docs-errors", "/docs/errors"),
    Shot("docs-search", "/docs/search?q=retry+after"),
    Shot("docs-api", "/docs/api"),
    Shot("docs-api-keys", "/docs/api/keys"),
    Shot("model-overview", "/openai/o4-mini?tab=overview"),
    Shot("model-providers", "/openai/o4-mini?tab=providers"),
    Shot("model-performance", "/openai/o4-mini?tab=performance"),
    Shot("model-pricing", "/openai/o4-mini?tab=pricing"),
    Shot("model-benchmarks", "/openai/o4-mini?tab=benchmarks"),
    Shot("model-apps", "/openai/o4-mini?tab=apps"),
    Shot("model-activity", "/openai/o4-mini?tab=activity"),
    Shot("model-uptime", "/openai/o4-mini?tab=uptime"),
    Shot("model-api", "/openai/o4-mini?tab=api"),
    Shot("model-unknown", "/openai/o3-minni"),
    Shot("model-router", "/fairlead/auto"),
    Shot("compare", "/compare?models=openai/o1,openai/o3-mini,openai/o4-mini"),
    Shot("compare-none", "/compare"),
    Shot("providers", "/providers", has_demo=True),
    Shot("providers-none", "/providers?q=nobody"),
    Shot("provider", "/providers/anthropic", has_demo=True),
    Shot("provider-empty", "/providers/openai"),
    Shot("rankings", "/rankings", has_demo=True),
    Shot("rankings-apps", "/rankings?by=app&period=month&chart=tokens", has_demo=True),
    Shot("rankings-empty", "/rankings"),
    Shot("apps", "/apps?period=month", has_demo=True),
    Shot("apps-empty", "/apps"),
    Shot("app", "/apps?url=https://code-pilot.demo.invalid", has_demo=True),
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
    Shot("credits", "/credits", has_demo=True, as_demo=True),
    Shot("credits-empty", "/credits", as_owner=True),
    Shot("credits-buy", "/credits/buy?amount=3&method=card", as_owner=True),
    Shot("credits-top-up", "/credits/top-up", has_demo=True, as_demo=True),
    Shot("credits-invoices", "/credits/invoices", has_demo=True, as_demo=True),
    Shot("credits-ledger", "/credits/history", has_demo=True, as_demo=True),
    Shot("keys", "/settings/keys", has_demo=True, as_demo=True),
    Shot("keys-new", "/settings/keys/new", as_owner=True),
    Shot("keys-one", "/settings/keys", as_owner=True, follow="tbody th a"),
    Shot("keys-management", "/settings/keys?kind=management", as_owner=True),
)


def main(wanted: str = "") -> None:
    OUT.mkdir(exist_ok=True)
    shots = [shot for shot in PAGES if wanted in shot.name]
    with (
        tempfile.TemporaryDirectory() as place,
        serving(Path(place), TEST_PAYMENTS) as served,
        running_chromium(Path(place)) as browser,
    ):
        owner = signed_in(browser, served, served.link)
        take(browser, served, [shot for shot in shots if not shot.has_demo], owner)
        if any(shot.has_demo for shot in shots):
            fairlead("demo", served)
            demo = signed_in(browser, served, fairlead("accounts", served, "link", DEMO))
            take(browser, served, [shot for shot in shots if shot.has_demo], owner, demo)


def fairlead(command: str, served: Served, *more: str) -> str:
    """What it prints."""
    words = (sys.executable, "-m", "fairlead", command, *more, "--data", str(served.data))
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def signed_in(browser: Browser, served: Served, link: str) -> Any:
    with window(browser, served.url) as (page, _):
        sign_in(page, served.url + urlsplit(link).path)
        return page.context.storage_state()


def take(
    browser: Browser, served: Served, shots: Sequence[Shot], owner: Any, demo: Any = None
) -> None:
    for size_name, size in SIZES:
        for theme in THEMES:
            for shot in shots:
                kept = demo if shot.as_demo else owner if shot.as_owner else None
                with window(browser, served.url, size=size, theme=theme, state=kept) as (
                    page,
                    watched,
                ):
                    page.goto(shot.path, wait_until="networkidle")
                    if shot.follow:
                        page.locator(shot.follow).first.click()
                        page.wait_for_load_state("networkidle")
                    path = OUT / f"{shot.name}-{size_name}-{theme}.png"
                    page.screenshot(path=path, full_page=True)
                    print(path, *watched.wrongs, sep="\n  ")


if __name__ == "__main__":
    main(*sys.argv[1:2])
