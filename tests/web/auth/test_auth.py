"""The endpoints of signing in: what each answers, and what each refuses."""

from __future__ import annotations

import logging

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request

from fairlead.control.accounts.types import Billing
from fairlead.settings import Settings
from fairlead.store.database import Database
from fairlead.web.sessions import COOKIE, Doorway, local_path
from tests.control.people.conftest import GENEROUS
from tests.control.people.test_pace import PACED
from tests.control.people.world import ADDRESS, PASSWORD, World, make_world
from tests.web.auth.conftest import app_of, browser_of

pytestmark = pytest.mark.anyio

# What the database has no part in is shown on one of them.
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])

ADA = "ada@example.com"
HTML = {"accept": "text/html,application/xhtml+xml"}


async def signed_up(browser: httpx.AsyncClient, world: World, email: str = ADA) -> str:
    """Returns the token for forms."""
    assert (await browser.post("/auth/sign-up", data={"email": email})).status_code == 202
    token = await world.link()
    answer = await browser.post(f"/auth/link/{token}", data={"name": "Ada", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return await csrf_of(browser)


async def csrf_of(browser: httpx.AsyncClient) -> str:
    session = (await browser.get("/auth/session")).json()["data"]
    return str(session["csrf"])


async def test_signing_up_in_and_out(browser: httpx.AsyncClient, world: World):
    assert (await browser.get("/auth/session")).json() == {"data": None}
    csrf = await signed_up(browser, world)
    session = (await browser.get("/auth/session")).json()["data"]
    assert session["user"]["email"] == ADA
    assert session["user"]["name"] == "Ada"
    assert session["role"] == "admin"
    out = await browser.post("/auth/sign-out", data={"csrf": csrf})
    assert out.status_code == 200
    assert (await browser.get("/auth/session")).json() == {"data": None}
    into = await browser.post("/auth/sign-in", json={"email": ADA, "password": PASSWORD})
    assert into.status_code == 200
    assert into.headers["cache-control"] == "no-store"
    assert (await browser.get("/auth/session")).json()["data"]["user"]["email"] == ADA


@ON_SQLITE
async def test_the_cookie_is_for_us_alone_and_new_at_every_sign_in(
    browser: httpx.AsyncClient, world: World
):
    await signed_up(browser, world)
    planted = browser.cookies[COOKIE]
    into = await browser.post("/auth/sign-in", data={"email": ADA, "password": PASSWORD})
    said = into.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=lax", "Secure", "Path=/", "Max-Age=7776000"):
        assert part in said
    assert "Domain" not in said
    assert browser.cookies[COOKIE] != planted
    assert await world.sign_in.find(planted) is None, "the one before is over"


@ON_SQLITE
async def test_over_plain_http_the_cookie_is_sent_all_the_same(database: Database):
    settings = msgspec.structs.replace(Settings(), sign_in=GENEROUS)
    world = make_world(database, settings)
    async with browser_of(app_of(world, settings)) as browser:
        await world.newcomer(ADA)
        into = await browser.post("/auth/sign-in", data={"email": ADA, "password": PASSWORD})
        assert "Secure" not in into.headers["set-cookie"]


@ON_SQLITE
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": ADDRESS},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"{ADDRESS}.evil.example"},
        {"origin": "http://gate.example.com"},
        {},
    ],
)
async def test_what_comes_from_elsewhere_changes_nothing(
    browser: httpx.AsyncClient, world: World, headers: dict[str, str]
):
    csrf = await signed_up(browser, world)
    if headers:  # the token may have leaked, and still nothing happens
        form = {"csrf": csrf, "name": "Eve"}
        refused = await browser.post("/auth/name", data=form, headers=headers)
        assert refused.status_code == 403
        for path in ("/auth/sign-in", "/auth/sign-up", "/auth/link", "/auth/reset"):
            data = {"email": ADA, "password": PASSWORD}
            assert (await browser.post(path, data=data, headers=headers)).status_code == 403
    for token in ("", "wrong", csrf[:-1], browser.cookies[COOKIE]):
        refused = await browser.post("/auth/name", data={"csrf": token, "name": "Eve"})
        assert refused.status_code == 403
        assert csrf not in refused.text
    assert (await browser.post("/auth/name", json={"name": "Eve"})).status_code == 403
    assert (await browser.get("/auth/session")).json()["data"]["user"]["name"] == "Ada"
    for how in ({"x-csrf-token": csrf}, {"x-csrf-token": csrf, "origin": ADDRESS}):
        ours = await browser.post("/auth/name", json={"name": "Ada L."}, headers=how)
        assert ours.status_code == 200


@ON_SQLITE
@pytest.mark.parametrize(
    ("path", "form", "status", "said"),
    [
        ("/auth/sign-in", {"email": ADA, "password": "wrong"}, 401, "did not fit"),
        ("/auth/sign-in", {"email": "nobody@example.com", "password": "x"}, 401, "did not fit"),
        ("/auth/sign-in", {"email": ADA}, 400, "password is missing"),
        ("/auth/sign-in", {}, 400, "email is missing"),
        ("/auth/sign-in", {"email": "a\x00@b", "password": "x"}, 400, "cannot be"),
        ("/auth/sign-up", {"email": "no address"}, 400, "not an email"),
        ("/auth/link/" + "x" * 43, {}, 410, "was used"),
        ("/auth/link/short", {}, 410, "was used"),
        ("/auth/reset/" + "x" * 43, {"password": PASSWORD}, 410, "was used"),
        ("/auth/invitations/" + "x" * 43, {}, 410, "was used"),
        ("/auth/name", {"name": "x"}, 401, "Sign in first"),
        ("/auth/password", {"password": PASSWORD}, 401, "Sign in first"),
        ("/auth/account/delete", {"confirm": ADA}, 401, "Sign in first"),
        ("/auth/organisations", {"name": "x"}, 401, "Sign in first"),
        ("/auth/sessions/session-1/revoke", {}, 401, "Sign in first"),
        ("/auth/verify/" + "x" * 43, {}, 401, "Sign in first"),
        ("/auth/nothing", {}, 404, "nothing at"),
    ],
)
async def test_each_refusal_says_what_was_wrong_and_no_more(
    browser: httpx.AsyncClient,
    world: World,
    path: str,
    form: dict[str, str],
    status: int,
    said: str,
):
    await world.newcomer(ADA)
    refused = await browser.post(path, data=form)
    assert refused.status_code == status, refused.text
    message = refused.json()["error"]["message"]
    assert said in message
    assert PASSWORD not in message
    assert ADA not in message


@ON_SQLITE
@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"x=" + b"y" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"{" * 5000, "application/json", 400),
        (b'["a"]', "application/json", 400),
        (b'{"email": {"a": 1}}', "application/json", 400),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a%d=1" % n for n in range(60)), "application/x-www-form-urlencoded", 400),
        (b"email=%ff", "application/x-www-form-urlencoded", 400),
        (b"email=a", "text/plain", 400),
    ],
)
async def test_a_body_that_is_no_form_is_refused(
    browser: httpx.AsyncClient, content: bytes, kind: str, status: int
):
    answer = await browser.post("/auth/sign-in", content=content, headers={"content-type": kind})
    assert answer.status_code == status


@ON_SQLITE
async def test_a_browser_is_sent_on_to_a_place_of_ours_alone(
    browser: httpx.AsyncClient, world: World
):
    await world.newcomer(ADA)
    for wanted, there in (
        ("/chat?model=a", "/chat?model=a"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/\tevil", "/"),
        ("", "/"),
    ):
        answer = await browser.post(
            "/auth/sign-in",
            data={"email": ADA, "password": PASSWORD, "return_to": wanted},
            headers=HTML,
        )
        assert (answer.status_code, answer.headers["location"]) == (303, there)


@given(st.text(max_size=60))
def test_whatever_it_is_one_stays_here(text: str):
    from urllib.parse import urljoin, urlsplit

    for wanted in (text, "/" + text, "//" + text, "/\\" + text):
        there = local_path(wanted)
        assert urlsplit(urljoin(ADDRESS, there)).netloc == "gate.example.com"
        assert there.startswith("/")
        assert not there.startswith("//")
        assert "\\" not in there


@ON_SQLITE
async def test_following_a_link_only_looks_until_a_button_is_pressed(
    browser: httpx.AsyncClient, world: World
):
    await world.newcomer(ADA)
    await browser.post("/auth/link", data={"email": ADA})
    token = await world.link()
    for _ in range(3):  # a mail scanner, a preview, and a person
        looked = await browser.get(f"/auth/link/{token}", headers=HTML)
        assert (looked.status_code, looked.headers["location"]) == (303, f"/sign-in/{token}")
        assert "set-cookie" not in looked.headers
        assert looked.headers["referrer-policy"] == "same-origin"
    assert (await browser.head(f"/auth/link/{token}")).status_code == 200
    pressed = await browser.post(f"/auth/link/{token}", headers=HTML)
    assert pressed.status_code == 303
    again = await browser.post(f"/auth/link/{token}", headers=HTML)
    assert again.status_code == 410
    assert again.headers["content-type"].startswith("text/html")


async def test_sessions_are_listed_and_ended(app: Starlette, world: World):
    async with browser_of(app) as here, browser_of(app, "198.51.100.1") as there:
        csrf = await signed_up(here, world)
        await there.post("/auth/sign-in", data={"email": ADA, "password": PASSWORD})
        world.clock.ms += 120_000
        found = (await here.get("/auth/sessions")).json()["data"]
        assert sorted((one["address"], one["is_current"]) for one in found) == [
            ("192.0.2.7", True),
            ("198.51.100.1", False),
        ]
        (other,) = [one["id"] for one in found if not one["is_current"]]
        path = f"/auth/sessions/{other}/revoke"
        assert (await here.post(path, data={"csrf": csrf})).status_code == 200
        assert (await here.post(path, data={"csrf": csrf})).status_code == 404
        assert (await there.get("/auth/session")).json() == {"data": None}
        assert (await there.get("/auth/sessions")).status_code == 401

        async with browser_of(app) as stranger:
            csrf = await signed_up(stranger, world, "eve@example.com")
            mine = next(one["id"] for one in found if one["is_current"])
            refused = await stranger.post(f"/auth/sessions/{mine}/revoke", data={"csrf": csrf})
            assert refused.status_code == 404
        await there.post("/auth/sign-in", data={"email": ADA, "password": PASSWORD})
        csrf = await csrf_of(here)
        ended = await here.post("/auth/sessions/revoke-others", data={"csrf": csrf})
        assert ended.json()["data"] == {"revoked": 1}
        assert (await here.get("/auth/session")).json()["data"] is not None


@ON_SQLITE
async def test_two_hundred_attempts_a_minute_get_429_and_when_to_come_again(database: Database):
    settings = msgspec.structs.replace(Settings(), sign_in=PACED)
    world = make_world(database, settings)
    async with browser_of(app_of(world, settings)) as browser:
        statuses, limited = [], []
        for attempt in range(200):
            answer = await browser.post(
                "/auth/sign-in", data={"email": ADA, "password": f"guess {attempt}"}
            )
            statuses.append(answer.status_code)
            if answer.status_code == 429:
                limited.append(answer.headers)
            world.clock.ms += 300
        assert statuses[:11] == [401] * 10 + [429]
        assert statuses.count(429) >= 180
        assert {1 <= int(one["retry-after"]) <= 6 for one in limited} == {True}
        assert {one["x-ratelimit-limit"] for one in limited} == {"10"}
        await browser.post("/auth/sign-in", data={"email": ADA, "password": "x"})  # the one it has
        as_page = await browser.post(
            "/auth/sign-in", data={"email": ADA, "password": "x"}, headers=HTML
        )
        assert (as_page.status_code, "retry-after" in as_page.headers) == (429, True)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "198.51.100.9", "192.0.2.7"),
        (1, "198.51.100.9", "198.51.100.9"),
        (1, "6.6.6.6, 198.51.100.9", "198.51.100.9"),
        (2, "6.6.6.6, 198.51.100.9, 10.0.0.1", "198.51.100.9"),
        (2, "198.51.100.9", "192.0.2.7"),
        (1, "", "192.0.2.7"),
        (1, "198.51.100.9:5555", "198.51.100.9"),
        (1, "[2001:DB8::1]:443", "2001:db8::1"),
        (1, "2001:db8:0::1", "2001:db8::1"),
        (1, "198.51.100.9, unknown", "192.0.2.7"),
        (1, "1:2", "192.0.2.7"),
    ],
)
def test_the_address_that_counts_is_the_one_that_our_own_proxy_saw(
    proxies: int, forwarded: str, address: str
):
    request = Request(
        {
            "type": "http",
            "client": ("192.0.2.7", 1),
            "headers": [(b"x-forwarded-for", forwarded.encode())] if forwarded else [],
        }
    )
    assert Doorway(proxies=proxies).place(request).address == address


async def test_an_organisation_from_its_beginning_to_its_end(app: Starlette, world: World):
    async with browser_of(app) as ada, browser_of(app) as bob:
        csrf = await signed_up(ada, world)
        made = await ada.post("/auth/organisations", data={"csrf": csrf, "name": "Acme"})
        world.clock.ms += 1
        acme = made.json()["data"]["id"]
        base = f"/auth/organisations/{acme}"
        invited = await ada.post(
            f"{base}/invitations", data={"csrf": csrf, "email": "bob@example.com", "role": "member"}
        )
        assert (invited.status_code, invited.json()["data"]["role"]) == (201, "member")
        world.clock.ms += 1
        token = await world.link()
        looked = (await bob.get(f"/auth/invitations/{token}")).json()["data"]
        assert (looked["organisation"], looked["email"]) == ("Acme", "bob@example.com")
        joined = await bob.post(f"/auth/invitations/{token}", data={"name": "Bob"})
        assert joined.status_code == 200, joined.text
        world.clock.ms += 1
        session = (await bob.get("/auth/session")).json()["data"]
        assert [one["account"]["name"] for one in session["organisations"]] == ["Acme"]
        bob_csrf = session["csrf"]
        chosen = await bob.post("/auth/session/account", data={"csrf": bob_csrf, "account": acme})
        assert chosen.status_code == 200
        session = (await bob.get("/auth/session")).json()["data"]
        assert (session["account"]["id"], session["role"]) == (acme, "member")
        for path, form in (
            (f"{base}/invitations", {"email": "eve@example.com", "role": "admin"}),
            (f"{base}/name", {"name": "Bobs"}),
            (f"{base}/members/{session['user']['id']}/role", {"role": "admin"}),
        ):
            refused = await bob.post(path, data={"csrf": bob_csrf, **form})
            assert refused.status_code == 403, path
        assert (await bob.get("/auth/audit")).status_code == 403
        bob_id = session["user"]["id"]
        for absurd in ("99999999999", "1e30", "1e999999", "-1", "NaN"):
            refused = await ada.post(
                f"{base}/members/{bob_id}/limit", data={"csrf": csrf, "limit": absurd}
            )
            assert (refused.status_code, "limit" in refused.text) == (400, True), absurd
        limited = await ada.post(
            f"{base}/members/{bob_id}/limit",
            data={"csrf": csrf, "limit": "12.50", "limit_reset": "monthly"},
        )
        assert limited.status_code == 200, limited.text
        world.clock.ms += 1
        assert world.limits.limits == {f"member:{acme}:{bob_id}": (12_500_000_000, "monthly")}
        found = (await ada.get(f"{base}/members")).json()["data"]
        assert [(one["email"], one["limit"]) for one in found["members"]] == [
            (ADA, None),
            ("bob@example.com", 12.5),
        ]
        await ada.post("/auth/session/account", data={"csrf": csrf, "account": acme})
        left = await ada.post(f"{base}/leave", data={"csrf": csrf})
        assert left.status_code == 409
        gone = await ada.post(f"{base}/members/{bob_id}/remove", data={"csrf": csrf})
        assert gone.status_code == 200
        session = (await bob.get("/auth/session")).json()["data"]
        assert session["account"]["id"] == session["user"]["account_id"], "their own again"
        assert (await bob.get(f"{base}/members")).status_code == 403
        refused = await bob.post("/auth/session/account", data={"csrf": bob_csrf, "account": acme})
        assert refused.status_code == 404
        entries = (await ada.get("/auth/audit")).json()["data"]
        assert [one["action"] for one in entries] == [
            "member.remove",
            "member.limit",
            "invitation.accept",
            "invitation.create",
            "organisation.create",
        ]
        assert {one["address"] for one in entries} == {"192.0.2.7"}


async def test_who_has_an_account_signs_in_before_they_join(app: Starlette, world: World):
    async with browser_of(app) as ada, browser_of(app) as bob, browser_of(app) as thief:
        csrf = await signed_up(ada, world)
        world.clock.ms += 1
        await signed_up(bob, world, "bob@example.com")
        made = await ada.post("/auth/organisations", data={"csrf": csrf, "name": "Acme"})
        acme = made.json()["data"]["id"]
        await ada.post(
            f"/auth/organisations/{acme}/invitations",
            data={"csrf": csrf, "email": "bob@example.com", "role": "member"},
        )
        token = await world.link()
        refused = await thief.post(f"/auth/invitations/{token}", data={})
        assert (refused.status_code, "sign in to it first" in refused.text) == (401, True)
        assert "set-cookie" not in refused.headers
        assert (await bob.post(f"/auth/invitations/{token}", data={})).status_code == 200


async def test_who_deletes_their_account_is_gone_and_their_address_is_free(
    browser: httpx.AsyncClient, world: World
):
    csrf = await signed_up(browser, world)
    session = (await browser.get("/auth/session")).json()["data"]
    key = world.keys.create(session["account"]["id"], name="laptop").key
    made = await browser.post("/auth/organisations", data={"csrf": csrf, "name": "Acme"})
    acme = made.json()["data"]["id"]
    refused = await browser.post("/auth/account/delete", data={"csrf": csrf, "confirm": "yes"})
    assert refused.status_code == 401
    deleted = await browser.post("/auth/account/delete", data={"csrf": csrf, "confirm": ADA})
    assert deleted.status_code == 200
    assert (await browser.get("/auth/session")).json() == {"data": None}
    assert world.keys.by_digests([key.digest])[key.digest].key.revoked_ms is not None
    assert sorted(world.forgotten) == sorted([session["account"]["id"], acme])
    with world.database.read() as connection:
        import sqlalchemy as sa

        for table in ("users", "accounts", "identities", "sessions", "one_time_tokens"):
            rows = connection.execute(sa.text(f"SELECT * FROM {table}")).all()
            assert ADA not in repr(rows)
    world.accounts.create(email=ADA, billing=Billing.PREPAID)


async def test_nothing_that_opens_anything_is_in_a_log_or_in_the_database(
    browser: httpx.AsyncClient, world: World, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    await browser.post("/auth/sign-up", data={"email": ADA})
    token = await world.link()
    await browser.get(f"/auth/link/{token}")
    await browser.post(f"/auth/link/{token}", data={"password": PASSWORD})
    session, csrf = browser.cookies[COOKIE], await csrf_of(browser)
    await browser.post("/auth/sign-in", data={"email": ADA, "password": "a wrong password"})
    await browser.post("/auth/reset", data={"email": ADA})
    reset = await world.link()
    ours = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith("fairlead")
    )
    with world.database.read() as connection:
        import sqlalchemy as sa

        kept = [
            repr(connection.execute(sa.text(f"SELECT * FROM {table}")).all())
            for table in ("users", "sessions", "one_time_tokens", "mails", "audit_entries")
        ]
    for secret in (token, session, csrf, reset, PASSWORD, "a wrong password"):
        assert secret not in ours
        assert not any(secret in table for table in kept)


@ON_SQLITE
async def test_invitations_do_not_flood_a_mailbox(database: Database):
    settings = msgspec.structs.replace(Settings(), sign_in=PACED)
    world = make_world(database, settings)
    async with browser_of(app_of(world, settings)) as browser:
        csrf = await signed_up(browser, world)
        made = await browser.post("/auth/organisations", data={"csrf": csrf, "name": "Acme"})
        base = f"/auth/organisations/{made.json()['data']['id']}/invitations"
        form = {"csrf": csrf, "email": "bob@example.com", "role": "member"}
        statuses = []
        for _ in range(4):
            answer = await browser.post(base, data=form)
            statuses.append(answer.status_code)
            world.clock.ms += 60_000
        assert statuses == [201, 201, 201, 429]
        (sent,) = (await browser.get(base)).json()["data"]
        again = [
            (await browser.post(f"{base}/{sent['id']}/resend", data={"csrf": csrf})).status_code
            for _ in range(4)
        ]
        assert again == [200, 200, 200, 429]
