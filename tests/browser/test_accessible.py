"""Every page there is, as everybody may meet it: read by axe, listened to, weighed, and watched while it loads.

Which pages: those of `make screenshots`, and those of `OTHERS`. A route that is in neither fails.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Response, Route, ViewportSize
from starlette.routing import compile_path

from fairlead.web import pages as web_pages
from tests.browser.scenes import ADA, entered, fairlead, furnish
from tests.browser.screenshots import DEMO, PAGES
from tests.browser.stage import (
    DESKTOP,
    LOOKS,
    OPEN_TO_ALL,
    PHONE,
    Served,
    Theme,
    Watched,
    mailed_link,
    serious_findings,
    serving,
    sign_in,
    window,
)
from tests.browser.understudy import understudy

pytestmark = pytest.mark.heavy

BYTES_MAX = 250_000  # of a page with its styles, scripts and fonts, as they travel
SHIFT_MAX = 0.02
NOBODY_HAS = "x" * 43  # as long as a token of a link is
STATUS = {
    "not-found": 404,
    "model-unknown": 404,
    "refused": 400,
    "request-builder-wrong": 422,
    "credits-buy": 422,
    "worn-out": 410,
    "sign-in-worn-out": 410,
}
RICHEST_LAST = ("", "owner", "member", "demo", "team", "ada")  # by what they have on their pages
KINDS = ("tab", "view", "kind")  # of an address, that make another page of it
# What is served among the pages, and is none.
NO_PAGES = {
    "/favicon.ico",
    "/openapi.json",
    "/openapi.yaml",
    "/docs/images/{name}",
    "/models/feed.xml",
    "/status/feed.xml",
    "/chat/models.json",
    "/activity/summary.csv",
    "/activity/calls.csv",
    "/activity/summary.pdf",
    "/activity/over-time.csv",
    "/credits/purchases/{id}/receipt",
    "/credits/documents/{number}",
    "/settings",  # leads to the first of them
}


def routes() -> list[str]:
    """Of pages that one can look at, the most particular first."""
    places = {
        call.args[0].value
        for file in Path(web_pages.__path__[0]).rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == "Route"
        and isinstance(call.args[0], ast.Constant)
        and all("GET" in ast.unparse(one) for one in call.keywords if one.arg == "methods")
    }
    return sorted(places, key=lambda path: (-len(re.sub("{.*?}", "", path)), path))


PATTERNS = [(path, compile_path(path)[0]) for path in routes()]


@dataclass(frozen=True)
class Visit:
    """who: whose cookies; "": nobody's. follow: links from there, one after the other, to the page meant."""

    name: str
    path: str
    who: str = ""
    follow: tuple[str, ...] = ()


OTHERS = (
    Visit("not-found", "/nothing/here"),
    Visit("sign-out", "/sign-out", "owner"),
    Visit("verify", f"/verify/{NOBODY_HAS}", "owner"),
    Visit("worn-out", f"/reset/{NOBODY_HAS}"),
    Visit("credits-refund", "/credits", "ada", ("tr:has-text('$1,500') a", "a[href$='/refund']")),
    Visit("test-payment", "/credits", "ada", ("tr:has-text('$35.00') a", "a[href*='test-pay']")),
    Visit("keys-delete", "/settings/keys", "owner", ("tbody th a", "a[href$='/delete']")),
    Visit("admin-disable", "/admin/accounts?q=ada", "owner", ("th a", "a[href*='/disable']")),
)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with (
        understudy() as providers,
        serving(tmp_path_factory.mktemp("furnished"), {**OPEN_TO_ALL, **providers}) as served,
    ):
        fairlead(served, "demo", "--calls", "300", "--days", "40")
        yield served


@pytest.fixture(scope="module")
def people(browser: Browser, furnished: Served) -> Mapping[str, Any]:
    """Cookies of each, by the names in `Shot.who`."""
    made = furnish(browser, furnished)
    with window(browser, furnished.url) as (page, _):
        sign_in(page, furnished.link)
        owner = page.context.storage_state()
    demo = entered(browser, furnished, DEMO)
    return {"": None, "owner": owner, "demo": demo, **vars(made)}


def sent_by_mail(browser: Browser, served: Served) -> list[Visit]:
    """Pages to which links in mail lead."""
    found = [("/join", "katherine@example.com")]
    with window(browser, served.url) as (page, _):
        for path, way, address in (
            ("/sign-up", "/sign-up", "new@example.com"),
            ("/sign-in/link", "/sign-in", ADA),
            ("/reset", "/reset", ADA),
        ):
            page.request.post(path, form={"email": address})
            found.append((way, address))
    return [
        Visit(f"{way[1:]}-mailed", urlsplit(mailed_link(served, address, way)).path)
        for way, address in found
    ]


class Modules:
    """Scripts come only when a page was painted without them, as over a slow line."""

    def __init__(self, page: Page) -> None:
        self._held: list[Route] | None = None
        page.route(re.compile(r"/static/.*\.js$"), self._take)

    def _take(self, route: Route) -> None:
        # The theme is no module: nothing is painted before it, so that it comes in no wrong colour.
        if self._held is None or "/theme-" in route.request.url:
            route.continue_()
        else:
            self._held.append(route)

    def open(self, page: Page, address: str) -> Response:
        self._held = []
        response = page.goto(address, wait_until="commit")
        assert response is not None
        page.evaluate(PAINTED)
        held, self._held = self._held, None
        for route in held:
            route.continue_()
        page.wait_for_load_state("load")
        if page.locator("[data-chat]").count():
            page.locator("[data-chat][data-ready]").wait_for()
        return response


PAINTED = """() => new Promise(done => {
    new PerformanceObserver(() => done()).observe({type: "paint", buffered: true});
})"""
SHIFT = """() => new Promise(done => {
    let sum = 0;
    new PerformanceObserver(list => { for (const one of list.getEntries()) sum += one.value; })
        .observe({type: "layout-shift", buffered: true});
    requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));
})"""
SHIPPED = "performance.getEntries().reduce((sum, one) => sum + (one.encodedBodySize ?? 0), 0)"
TOO_WIDE = "document.documentElement.scrollWidth - innerWidth"


def wrongs_of(
    page: Page, watched: Watched, modules: Modules, visit: Visit, sizes: Sequence[ViewportSize]
) -> Iterator[str]:
    """sizes: of a light window in which it is loaded, and of a dark one, into which that is changed."""
    page.set_viewport_size(sizes[0])
    page.emulate_media(color_scheme="light")
    address = visit.path
    for link in visit.follow:
        page.goto(address)
        address = page.locator(link).first.get_attribute("href") or ""
    watched.wrongs.clear()
    response = modules.open(page, address)
    wanted = STATUS.get(visit.name, 200)
    if response.status != wanted:
        yield f"status {response.status}"
    if "unsafe" in (response.header_value("content-security-policy") or "unsafe: none"):
        yield "its policy allows what is inline"
    if (shift := page.evaluate(SHIFT)) > SHIFT_MAX:
        yield f"moves by {shift:.3f} while it loads"
    if (shipped := page.evaluate(SHIPPED)) > BYTES_MAX:
        yield f"ships {shipped} bytes"
    yield from looks_of(page, "light")
    page.set_viewport_size(sizes[1])
    page.emulate_media(color_scheme="dark")
    yield from looks_of(page, "dark", LOOKS)
    for wrong in watched.wrongs:
        if f"status of {wanted} " not in wrong:
            yield wrong


def looks_of(page: Page, theme: Theme, rules: Sequence[str] = ()) -> Iterator[str]:
    for wrong in serious_findings(page, rules):
        yield f"{theme}: {wrong}"
    if (too_wide := page.evaluate(TOO_WIDE)) > 0:
        yield f"{theme}: is {too_wide} px too wide"


def visits() -> list[Visit]:
    """Of pictures of the same page, that with most on it. Which page it is, its route says, and some words of
    its address; what was clicked on it is left out."""
    richest = sorted(PAGES, key=lambda shot: (shot.has_demo, RICHEST_LAST.index(shot.who)))
    found = {}
    for shot in richest:
        parts = urlsplit(shot.path)
        said = dict(parse_qsl(parts.query))
        kind = tuple(said.get(name) for name in KINDS)
        which = (route_of(parts.path), kind, bool(shot.who), bool(shot.follow))
        follow = (shot.follow,) if shot.follow else ()
        found[which] = Visit(shot.name, shot.path, shot.who, follow)
    return [*found.values(), *OTHERS]


def route_of(path: str) -> str:
    return next(route for route, pattern in PATTERNS if pattern.match(path))


@pytest.mark.timeout(600)  # a minute on a quiet machine
def test_every_page(browser: Browser, furnished: Served, people: Mapping[str, Any]) -> None:
    """Axe finds nothing serious, light and dark, on a desktop and a phone; nothing is on the console, comes
    from elsewhere, moves while it loads or sticks out; and little is shipped."""
    found, seen = [], set()
    wanted = [*visits(), *sent_by_mail(browser, furnished)]
    for who, state in people.items():
        with window(browser, furnished.url, state=state) as (page, watched):
            modules = Modules(page)
            for number, visit in enumerate(one for one in wanted if one.who == who):
                sizes = (DESKTOP, PHONE) if number % 2 else (PHONE, DESKTOP)
                wrongs = wrongs_of(page, watched, modules, visit, sizes)
                found += [f"{visit.name}: {wrong}" for wrong in wrongs]
                seen.add(urlsplit(page.url).path)
    assert found == []
    assert {route for route, _ in PATTERNS} - set(map(route_of, seen)) - NO_PAGES == set()
