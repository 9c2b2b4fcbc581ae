"""What a person sees: a running `fairlead serve`, a browser window on it, and what must never happen in one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request, ViewportSize

from tests.browser.chromium import AXE
from tests.forked import forked_program

Theme = Literal["light", "dark"]
TEST_PAYMENTS = {"FAIRLEAD_BILLING__TEST_PAYMENTS": "true"}
OPEN_TO_ALL = {**TEST_PAYMENTS, "FAIRLEAD_SIGN_IN__SIGN_UP": "open"}
DESKTOP = ViewportSize(width=1280, height=860)
PHONE = ViewportSize(width=390, height=844)
WAIT_MS = 5_000
MAIL_S = 10.0  # until what was mailed is printed, on a busy machine
LOOK_S = 0.02
_LINK = re.compile(r"Sign in, once and within 24 hours: (http://\S+)")
_ADDRESS = re.compile(r"ready at (http://\S+)")
_KEY = re.compile(r"shown this once: (\S+)")
_SERIOUS = ("serious", "critical")
# WCAG 2.2 up to AA, and what axe's authors advise; nothing that is experimental.
_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# What a theme and a size can change of the same page.
LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")


@dataclass(frozen=True)
class Served:
    """url: `http://127.0.0.1:port`. link: signs the owner in, once. key: of the owner. log: what it says while
    it runs, mail among it."""

    url: str
    link: str = field(repr=False)
    key: str = field(repr=False)
    data: Path
    log: Path


@contextmanager
def serving(place: Path, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """An empty installation, until the block ends. environment: its settings."""
    data = place / "data"
    arguments = ["serve", "--port", "0", "--data", str(data)]
    with forked_program(arguments, place / "serve.log", environment) as program:
        url = program.wait_for(_ADDRESS)
        said = {}
        for _ in range(2):  # in whichever order they are printed
            line = program.wait_for(re.compile(rf"({_LINK.pattern}|{_KEY.pattern})"))
            for name, pattern in (("link", _LINK), ("key", _KEY)):
                if found := pattern.search(line):
                    said[name] = found[1]
        yield Served(url, said["link"], said["key"], data, place / "serve.log")


def mailed_link(served: Served, recipient: str, path: str) -> str:
    """The link to somewhere below `path` in mail to somebody, as the installation prints it."""
    mail = re.compile(
        rf"MAIL that would have gone to {re.escape(recipient)} (?:(?!-----).)*?"
        rf"https?://[^/\s]+({re.escape(path)}/\S+)",
        re.DOTALL,
    )
    deadline_s = time.monotonic() + MAIL_S
    while not (found := mail.search(served.log.read_text("utf-8"))):
        assert time.monotonic() < deadline_s, f"no mail to {recipient}"
        time.sleep(LOOK_S)
    return served.url + found[1]


@dataclass
class Watched:
    """Wrongs that a page did: messages on its console, requests to other hosts."""

    wrongs: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def expect(self, part: str) -> None:
        """A wrong with this in it is what the test is about."""
        self.allowed.append(part)

    @property
    def unexpected(self) -> list[str]:
        return [one for one in self.wrongs if not any(part in one for part in self.allowed)]


@contextmanager
def window(
    browser: Browser,
    url: str,
    *,
    size: ViewportSize = DESKTOP,
    theme: Theme = "light",
    scripts: bool = True,
    state: Any = None,
) -> Iterator[tuple[Page, Watched]]:
    """A fresh browser profile with one page. state: cookies of an earlier one (`context.storage_state()`)."""
    context = browser.new_context(
        base_url=url,
        viewport=size,
        color_scheme=theme,
        java_script_enabled=scripts,
        locale="en-US",
        reduced_motion="reduce",
        storage_state=state,
        has_touch=size["width"] < 600,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(WAIT_MS)
    watched = Watched()
    host = urlsplit(url).netloc

    def on_request(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != host:
            watched.wrongs.append(f"request to another host: {request.url}")

    context.on("request", on_request)
    context.on(
        "console",
        lambda message: (
            watched.wrongs.append(f"console {message.type}: {message.text}")
            if message.type in ("error", "warning")
            else None
        ),
    )
    context.on("weberror", lambda error: watched.wrongs.append(f"uncaught: {error.error}"))
    try:
        yield context.new_page(), watched
    finally:
        context.close()


def sign_in(page: Page, link: str) -> None:
    """By a link from the program; it works once, so keep `page.context.storage_state()`."""
    page.goto(link)
    page.locator("main").get_by_role("button").first.click()
    page.get_by_text(re.compile("^Account: ")).wait_for()


def serious_findings(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """What axe finds wrong and serious, one line each. rules: those of axe alone; else all that count."""
    if page.evaluate("typeof axe === 'undefined'"):
        # Not as a script tag: the page's policy refuses those, as it should.
        page.evaluate(AXE.read_text("utf-8"))
    options = {
        "runOnly": {"type": "rule", "values": rules} if rules else {"type": "tag", "values": _TAGS},
        "resultTypes": ["violations"],
        "preload": False,  # it would fetch style sheets again, for rules that do not count
        "iframes": False,
    }
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:160]} | {node['failureSummary'][:300]}"
        for one in found["violations"]
        if one["impact"] in _SERIOUS
        for node in one["nodes"]
    ]
