"""The ways in, as pages: what each shows, where it leads, and what it refuses."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest

from fairlead.compose.control_plane import DatabaseThreads
from fairlead.compose.people import build_auth
from fairlead.control.people.types import Role
from fairlead.settings import Server, Settings
from fairlead.store.database import Database
from fairlead.web.app import build_web_app
from fairlead.web.auth.services import AuthServices
from fairlead.web.services import WebServices
from fairlead.web.sessions import COOKIE
from tests.control.people.conftest import GENEROUS
from tests.control.people.world import ADDRESS, PASSWORD, PLACE, World, make_world

# What the database has no part in is shown on one of them.
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_kind", ["sqlite"])]

ADA = "ada@example.com"
BOB = "bob@example.com"
HTML = {"accept": "text/html,application/xhtml+xml"}
SCRIPT = "<script>alert(1)</script>"

Browse = Callable[..., httpx.AsyncClient]


@pytest.fixture
def sign_in_settings() -> dict[str, Any]:
    return {}


@pytest.fixture
def settings(sign_in_settings: dict[str, Any]) -> Settings:
    rules = msgspec.structs.replace(GENEROUS, **sign_in_settings)
    return msgspec.structs.replace(Settings(), sign_in=rules, server=Server(public_url=ADDRESS))


@pytest.fixture
def world(database: Database, settings: Settings) -> World:
    return make_world(database, settings)


@pytest.fixture
def auth(world: World, settings: Settings) -> AuthServices:
    return build_auth(
        DatabaseThreads(world.database),
        world.services,
        world.audit,
        settings,
        sign_in=world.sign_in,
        address=ADDRESS,
        now_s=world.clock.now_s,
        entropy=os.urandom,
    )


@pytest.fixture
def browsers(services: WebServices, world: World, auth: AuthServices) -> Browse:
    """Makes a browser; changed: what of `AuthServices` is another."""

    def make(**changed: Any) -> httpx.AsyncClient:
        ours = replace(auth, **changed)
        app = build_web_app(replace(services, auth=ours, sessions=ours.sessions, clock=world.clock))
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url=ADDRESS,
            headers=HTML,
        )

    return make


@pytest.fixture
async def browser(browsers: Browse) -> AsyncIterator[httpx.AsyncClient]:
    async with browsers() as client:
        yield client


async def enter(browser: httpx.AsyncClient, email: str = ADA) -> httpx.Response:
    return await browser.post("/sign-in", data={"email": email, "password": PASSWORD})


async def linked(world: World) -> str:
    """The address in the mail that was sent last."""
    mail = (await world.mail())[-1]
    (link,) = [line for line in mail.text.splitlines() if line.startswith(ADDRESS)]
    return link


async def csrf(browser: httpx.AsyncClient) -> str:
    found = await browser.get("/auth/session", headers={"accept": "application/json"})
    return str(found.json()["data"]["csrf"])


async def test_a_password_signs_in_with_a_session_that_nobody_knew_before(
    browser: httpx.AsyncClient, world: World
) -> None:
    before = await world.newcomer(ADA)
    browser.cookies.set(COOKIE, before.token, domain="gate.example.com")
    wrong = await browser.post("/sign-in", data={"email": ADA, "password": "not the one at all"})
    assert wrong.status_code == 422
    assert "check the address and the password" in wrong.text
    assert ADA in wrong.text
    assert "not the one at all" not in wrong.text
    right = await browser.post(
        "/sign-in", data={"email": ADA, "password": PASSWORD, "next": "/credits?a=b"}
    )
    assert (right.status_code, right.headers["location"]) == (303, "/credits?a=b")
    (cookie,) = [one.value for one in browser.cookies.jar if one.name == COOKIE][-1:]
    assert cookie != before.token
    assert await world.sign_in.find(before.token) is None
    assert "no-store" in right.headers["cache-control"]


async def test_a_planted_cookie_of_nobody_is_replaced(
    browser: httpx.AsyncClient, world: World
) -> None:
    await world.newcomer(ADA)
    browser.cookies.set(COOKIE, "A" * 43, domain="gate.example.com")
    answer = await enter(browser)
    assert answer.headers["set-cookie"].startswith(f"{COOKIE}=")
    assert "A" * 43 not in answer.headers["set-cookie"]


async def test_one_goes_on_to_our_own_pages_only(browser: httpx.AsyncClient, world: World) -> None:
    await world.newcomer(ADA)
    theirs = (
        "https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil",
        "/sign-in?next=/x", " /x", "/\tx", "https:/evil.example", "/" + "a" * 2000,
    )  # fmt: skip
    for there in theirs:
        shown = await browser.get("/sign-in", params={"next": there})
        assert 'name="next" value="/"' in shown.text, there
    fields = {"email": ADA, "password": PASSWORD}
    answer = await browser.post("/sign-in", data={**fields, "next": theirs[0]})
    assert answer.headers["location"] == "/"
    # Who is signed in already is sent on at once, and as carefully.
    for there in theirs:
        again = await browser.get("/sign-in", params={"next": there})
        assert (again.status_code, again.headers["location"]) == (303, "/"), there
    assert (await browser.get("/sign-in?next=/credits")).headers["location"] == "/credits"


async def test_a_link_of_a_mail_only_looks_until_its_button_is_pressed(
    browser: httpx.AsyncClient, world: World
) -> None:
    await world.newcomer(ADA)
    sent = await browser.post("/sign-in/link", data={"email": ADA})
    assert "Look into your mailbox" in sent.text
    link = await linked(world)
    assert link.startswith(f"{ADDRESS}/sign-in/")
    for _ in range(2):
        looked = await browser.get(link)
        assert looked.status_code == 200
        assert ADA in looked.text
        assert "set-cookie" not in looked.headers
        assert looked.headers["cache-control"] == "no-store"
        assert looked.headers["referrer-policy"] == "same-origin"
    pressed = await browser.post(link)
    assert (pressed.status_code, pressed.headers["location"]) == (303, "/")
    for again in (await browser.get(link), await browser.post(link)):
        assert again.status_code == 410
        assert "does not work any more" in again.text


@pytest.mark.parametrize("way", ["/sign-in/link", "/sign-up"])
async def test_a_link_of_a_mail_goes_on_to_where_somebody_wanted(
    browser: httpx.AsyncClient, world: World, way: str
) -> None:
    if way == "/sign-in/link":
        await world.newcomer(ADA)
    await browser.post(way, data={"email": ADA, "next": "/auth?a=b&c=%2F"})
    link = await linked(world)
    shown = await browser.get(link)
    assert shown.status_code == 200
    opened = await browser.post(link, data={"name": "Ada"})
    assert (opened.status_code, opened.headers["location"]) == (303, "/auth?a=b&c=%2F")
    # The address of a mail may have been changed on the way.
    await browser.post(way, data={"email": ADA, "next": "https://evil.example/"})
    link = await linked(world)
    assert "?" not in link
    opened = await browser.post(f"{link}?next=//evil.example")
    assert (opened.status_code, opened.headers["location"]) == (303, "/")


async def test_nobody_learns_who_has_an_account(browser: httpx.AsyncClient, world: World) -> None:
    await world.newcomer(ADA)
    for path in ("/sign-in/link", "/sign-up", "/reset"):
        known = await browser.post(path, data={"email": ADA})
        unknown = await browser.post(path, data={"email": "eve@example.com"})
        assert known.status_code == unknown.status_code == 200
        assert known.text.replace(ADA, "") == unknown.text.replace("eve@example.com", "")


async def test_an_address_that_is_none_is_said_at_its_field(browser: httpx.AsyncClient) -> None:
    for path in ("/sign-in/link", "/sign-up", "/reset"):
        answer = await browser.post(path, data={"email": f'"><img onerror={SCRIPT}'})
        assert answer.status_code == 422
        assert 'aria-invalid="true"' in answer.text
        assert "This is not an email address." in answer.text
        assert "<img onerror" not in answer.text
        assert SCRIPT not in answer.text


async def test_signing_up_makes_an_account_from_the_link(
    browser: httpx.AsyncClient, world: World
) -> None:
    await browser.post("/sign-up", data={"email": ADA})
    path = f"/sign-up/{await world.link()}"
    assert "Create your account" in (await browser.get(path)).text
    short = await browser.post(path, data={"name": "Ada", "password": "short"})
    assert short.status_code == 422
    assert "at least 10 characters" in short.text
    assert 'value="Ada"' in short.text
    made = await browser.post(path, data={"name": "Ada", "password": PASSWORD})
    assert made.status_code == 303
    assert (await enter(browser)).status_code == 303


@pytest.mark.parametrize(
    ("sign_in_settings", "words", "status"),
    [
        ({"sign_up": "invited"}, "by invitation", 200),
        ({"sign_up": "closed"}, "No new accounts", 403),
    ],
)
async def test_the_page_says_who_may_have_an_account(
    browser: httpx.AsyncClient, words: str, status: int
) -> None:
    shown = await browser.get("/sign-up")
    assert words in shown.text
    assert ('<form class="form"' in shown.text) == (status == 200)
    assert (await browser.post("/sign-up", data={"email": ADA})).status_code == status


async def test_a_new_password_ends_every_session(browser: httpx.AsyncClient, world: World) -> None:
    before = await world.newcomer(ADA)
    await browser.post("/reset", data={"email": ADA})
    (mail,) = await world.mail()
    (link,) = [line for line in mail.text.splitlines() if line.startswith(ADDRESS)]
    assert link.startswith(f"{ADDRESS}/reset/")
    weak = await browser.post(link, data={"password": "a"})
    assert weak.status_code == 422
    assert 'id="field-password-problem"' in weak.text
    done = await browser.post(link, data={"password": "another sentence of mine"})
    assert done.headers["location"] == "/settings/profile?notice=password-changed"
    assert await world.sign_in.find(before.token) is None
    assert (await browser.post(link, data={"password": PASSWORD})).status_code == 410
    (told,) = await world.mail()
    assert f"{ADDRESS}/reset\n" in told.text


async def test_an_address_is_confirmed_by_whoever_asked_for_it(
    browsers: Browse, world: World
) -> None:
    await world.newcomer(ADA)
    await world.newcomer(BOB)
    async with browsers() as ada, browsers() as bob:
        await enter(ada)
        await enter(bob, BOB)
        found = await world.sign_in.find(
            next(one.value or "" for one in ada.cookies.jar if one.name == COOKIE)
        )
        assert found is not None
        await world.sign_in.ask_for_verification(found, "ada@new.example", PLACE, present=PASSWORD)
        path = f"/verify/{await world.link()}"
        async with browsers() as nobody:
            sent = await nobody.get(path)
            assert sent.headers["location"].startswith("/sign-in?next=/verify/")
        assert (await bob.post(path, data={"csrf": await csrf(bob)})).status_code == 410
        assert (await ada.get(path)).status_code == 200
        assert (await ada.post(path)).status_code == 403, "without the session's token"
        done = await ada.post(path, data={"csrf": await csrf(ada)})
        assert done.headers["location"] == "/settings/profile?notice=email-verified"


async def test_an_invitation_opens_no_account_that_is_there(browsers: Browse, world: World) -> None:
    session = await world.newcomer(ADA)
    await world.newcomer(BOB)
    owner = await world.sign_in.find(session.token)
    assert owner is not None
    organisations = world.services.organisations
    crew = organisations.create(owner.user, f"Crew {SCRIPT}", PLACE)
    organisations.invite(owner.user.id, crew.id, BOB, Role.MEMBER, PLACE)
    path = f"/join/{await world.link()}"
    async with browsers() as bob:
        shown = await bob.get(path)
        assert BOB in shown.text
        assert SCRIPT not in shown.text
        assert "&lt;script&gt;" in shown.text
        refused = await bob.post(path, data={})
        assert "Sign in to it, then join" in refused.text
        assert "set-cookie" not in refused.headers
        await enter(bob, BOB)
        joined = await bob.post(path, data={})
        assert joined.headers["location"] == "/settings/organisation?notice=joined"
        assert (await bob.get(path)).status_code == 410
        assert [one.account.id for one in organisations.of_user(owner.user.id)] == [crew.id]


async def test_forms_of_other_sites_are_refused(browser: httpx.AsyncClient, world: World) -> None:
    await world.newcomer(ADA)
    elsewhere = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    for path in ("/sign-in", "/sign-in/link", "/sign-up", "/reset"):
        answer = await browser.post(
            path, data={"email": ADA, "password": PASSWORD}, headers=elsewhere
        )
        assert answer.status_code == 403, path
        assert "set-cookie" not in answer.headers
    assert await world.mail() == []


async def test_signing_out_needs_the_token_and_ends_the_session(
    browser: httpx.AsyncClient, world: World
) -> None:
    await world.newcomer(ADA)
    await enter(browser)
    token = next(one.value or "" for one in browser.cookies.jar if one.name == COOKIE)
    assert (await browser.post("/sign-out")).status_code == 403
    assert await world.sign_in.find(token) is not None
    out = await browser.post("/sign-out", data={"csrf": await csrf(browser)})
    assert out.headers["location"] == "/?notice=signed-out"
    assert await world.sign_in.find(token) is None
    assert (await browser.get("/sign-out")).headers["location"].startswith("/sign-in")


async def test_other_providers_are_buttons_that_keep_the_way(browsers: Browse) -> None:
    providers = {"acme": SimpleNamespace(name="acme", title=f"Acme {SCRIPT}")}
    async with browsers(openid=SimpleNamespace(providers=providers)) as browser:
        shown = await browser.get("/sign-in", params={"next": "/credits?a=1"})
    assert "Continue with Acme &lt;script&gt;" in shown.text
    assert 'href="/auth/oidc/acme?return_to=%2Fcredits%3Fa%3D1"' in shown.text
    assert SCRIPT not in shown.text


async def test_too_many_tries_are_told_on_the_page(
    services: WebServices, database: Database, settings: Settings
) -> None:
    paced = msgspec.structs.replace(
        settings, sign_in=msgspec.structs.replace(GENEROUS, attempts_per_minute_from=1)
    )
    world = make_world(database, paced)
    auth = build_auth(
        DatabaseThreads(database),
        world.services,
        world.audit,
        paced,
        sign_in=world.sign_in,
        address=ADDRESS,
        now_s=world.clock.now_s,
        entropy=os.urandom,
    )
    app = build_web_app(replace(services, auth=auth, sessions=auth.sessions))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS, headers=HTML) as browser:
        assert (await enter(browser)).status_code == 422
        again = await enter(browser)
    assert again.status_code == 429
    assert '<form class="form" method="post" action="/sign-in">' in again.text
