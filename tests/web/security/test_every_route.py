"""Whom each route is for: nobody, a stranger, a member, another site, and what each of them is told.

The lists below say what is open, and to whom. Everything else is refused, whatever it is.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

import httpx
import pytest

from fairlead.control.people.rules import Purpose
from tests.web.pages.visits import HTML, Visit
from tests.web.security.house import House, parted

# What anybody may look at.
OPEN = frozenset(
    {
        "/", "/models", "/models/feed.xml", "/compare", "/providers", "/providers/{slug}", "/rankings", "/apps",
        "/data", "/status", "/status/feed.xml", "/docs", "/docs/search", "/docs/api", "/docs/api/{group}",
        "/docs/design-system", "/docs/images/{name}", "/docs/{page:path}", "/request-builder", "/chat",
        "/chat/models.json", "/pricing", "/openapi.json", "/openapi.yaml", "/{author}/{slug:path}",
        "/static/built/{name}", "/favicon.ico", "/healthz", "/readyz", "/metrics",
    }
)  # fmt: skip
# The ways in: they are for who is nobody yet. The links among them are looked at with GET.
DOORS = frozenset(
    {
        "/sign-in", "/sign-up", "/reset", "/sign-in/{token}", "/sign-up/{token}", "/reset/{token}",
        "/join/{token}", "/auth/link/{token}", "/auth/reset/{token}", "/auth/invitations/{token}",
    }
)  # fmt: skip
DOORS_ASKED = frozenset(
    {
        "/auth/session",
        "/auth/oidc",
        "/auth/oidc/{name}",
        "/auth/oidc/{name}/callback",
        "/auth/verify/{token}",
    }
)
DOORS_SENT = frozenset(
    {
        "/sign-in/link",
        "/auth/sign-in",
        "/auth/sign-up",
        "/auth/link",
        "/auth/reset",
        "/auth/sign-out",
    }
)
# Signed by who sends it, see tests/control/billing.
SIGNED = frozenset({"/hooks/stripe"})

# What a member of an organisation may do in it without being an admin: what is their own.
MEMBERS_MAY = frozenset(
    {
        "/sign-out", "/auth", "/verify/{token}", "/settings/keys", "/activity/{generation}/feedback",
        "/settings/profile/name", "/settings/profile/email", "/settings/profile/email/verify",
        "/settings/profile/password", "/settings/sessions/end-others", "/settings/sessions/{session}/end",
        "/settings/organisation/create", "/settings/organisation/switch", "/settings/organisation/leave",
        "/settings/notifications/test",
        "/auth/session/account", "/auth/sessions/revoke-others", "/auth/sessions/{session}/revoke",
        "/auth/name", "/auth/password", "/auth/verify", "/auth/verify/{token}", "/auth/account/delete",
        "/auth/organisations", "/auth/organisations/{account}/leave",
        "/settings/presets/new", "/settings/presets/{name}", "/settings/presets/{name}/designate",
        "/settings/presets/{name}/status", "/settings/presets/{name}/delete",
    }
)  # fmt: skip
# What they may look at.
MEMBERS_SEE = frozenset(
    {
        "/auth", "/sign-out", "/verify/{token}", "/settings", "/settings/profile", "/settings/sessions",
        "/settings/routing", "/settings/presets", "/settings/presets/new", "/settings/presets/{name}",
        "/settings/privacy", "/settings/notifications", "/settings/organisation", "/settings/workspaces",
        "/settings/account", "/settings/keys", "/settings/keys/new",
        "/activity", "/activity/{generation}", "/activity/summary.csv", "/activity/summary.pdf",
        "/activity/calls.csv", "/activity/over-time.csv", "/activity/sessions",
        "/auth/sessions", "/auth/organisations/{account}/members",
    }
)  # fmt: skip

ELSEWHERE = ({"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"})
FORM = {"content-type": "application/x-www-form-urlencoded"}


def private(house: House, method: str) -> list[str]:
    """Those for who is signed in."""
    others = DOORS | (OPEN | DOORS_ASKED if method == "GET" else DOORS_SENT | SIGNED)
    return [template for template in house.routes(method) if template not in others]


def ask(house: House, visit: Visit, method: str, path: str, **headers: str) -> httpx.Response:
    if method == "GET":
        return visit.get(path, **headers)
    return visit.post(path, **house.form())


def test_the_lists_name_routes_that_there_are(house: House) -> None:
    asked, sent = set(house.routes("GET")), set(house.routes("POST"))
    assert len(asked | sent) > 120
    assert asked >= OPEN | DOORS | DOORS_ASKED | MEMBERS_SEE
    assert sent >= DOORS | DOORS_SENT | SIGNED | MEMBERS_MAY
    assert not house.routes("PUT") + house.routes("PATCH") + house.routes("DELETE")
    for template in asked | sent:
        assert house.place(template), "its part needs a line in House.things"


def test_nobody_is_shown_nothing_and_changes_nothing(house: House) -> None:
    for method, part in (("GET", {}), ("GET", {"hx-request": "true"}), ("POST", {})):
        for template in private(house, method):
            path = house.place(template)
            answer = house.send(method, path, headers=HTML | part)
            if template.startswith("/auth/"):
                assert answer.status_code == 401, (method, path)
                continue
            there = (
                f"/sign-in?next={quote(path)}" if method == "GET" else "/sign-in?notice=form-lost"
            )
            assert answer.headers.get("location") == there, (method, path)


def test_nothing_changes_without_the_sessions_token(house: House) -> None:
    """By who may do everything, so that nothing else can be why."""
    operator = house.operator()
    for number, template in enumerate(private(house, "POST")):
        path, token = house.place(template), "A" * 43 if number % 2 else ""
        answer = operator.post(path, csrf=token, **house.form())
        assert answer.status_code == 403, path
        assert operator.csrf not in answer.text


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=lambda said: " ".join(said.values()))
def test_nothing_changes_from_another_site(house: House, elsewhere: dict[str, str]) -> None:
    """Although the token may have leaked. And no other site signs anybody in, or out."""
    things = house.things
    eve = "eve@example.com"
    links = {
        "/sign-in/": house.link(Purpose.SIGN_IN, house.eve.user, eve),
        "/sign-up/": house.link(Purpose.SIGN_UP, "", "new@example.com"),
        "/reset/": house.link(Purpose.RESET_PASSWORD, house.eve.user, eve),
        "/join/": house.link(
            Purpose.INVITATION, things["/settings/organisation/invitations/"], "zoe@example.com"
        ),
    }
    links |= {
        "/auth/link/": links["/sign-in/"],
        "/auth/reset/": links["/reset/"],
        "/auth/invitations/": links["/join/"],
    }
    said = house.signed_in(house.owner.user)
    headers = HTML | elsewhere | {"cookie": said["cookie"]} | FORM
    form = urlencode(
        house.form() | {"csrf": said["x-csrf-token"], "password": "a sentence of hers"}
    )
    for template in house.routes("POST"):
        if template in SIGNED:
            continue
        before = template.partition("{")[0]
        path = before + links[before] if before in links else house.place(template)
        answer = house.send("POST", path, headers=headers, content=form.encode())
        assert answer.status_code == 403, path
        assert "set-cookie" not in answer.headers, path


# Forms with a long text in them.
LONG = frozenset({"/settings/presets/new", "/settings/presets/{name}"})


def test_no_form_is_read_without_end(house: House) -> None:
    """Whoever sends it, and before it is known who that is."""
    said = house.signed_in(house.owner.user)
    for template in house.routes("POST"):
        if template in SIGNED:
            continue
        for headers in ({}, said):
            content = b"name=" + b"x" * (600_000 if template in LONG else 20_000)
            answer = house.send(
                "POST", house.place(template), headers=HTML | FORM | headers, content=content
            )
            # A link that opens nothing says so first.
            assert answer.status_code == 413 or (template in DOORS and answer.status_code == 410), (
                template,
                answer.status_code,
            )


def test_the_operators_pages_are_not_there_for_others(house: House) -> None:
    operator, others = house.operator(), (house.admin(), house.stranger())
    house.probes.asked.clear()
    for method in ("GET", "POST"):
        templates = [one for one in house.routes(method) if one.startswith("/admin")]
        assert len(templates) > 3
        for path in map(house.place, templates):
            for visit in others:
                assert ask(house, visit, method, path).status_code == 404, (method, path)
                if method == "GET":
                    part = visit.get(path, **{"hx-request": "true"})
                    assert part.status_code == 404, path
            if method == "GET":
                assert operator.get(path).status_code == 200, path
    assert not house.probes.asked


def test_members_change_nothing_that_is_for_admins(house: House) -> None:
    member = house.member()
    for template in private(house, "POST"):
        if template not in MEMBERS_MAY:
            path = house.place(template)
            answer = ask(house, member, "POST", path)
            assert answer.status_code in (403, 404), (path, answer.status_code)
    everything_is_there(house)


def test_members_see_nothing_that_is_for_admins(house: House) -> None:
    member = house.member()
    for template in private(house, "GET"):
        path = house.place(template)
        status = member.get(path).status_code
        if template in MEMBERS_SEE:
            assert status in (200, 303), (path, status)
        else:
            assert status in (403, 404), (path, status)
    everything_is_there(house)


def test_members_see_the_workspaces_in_which_they_work(house: House) -> None:
    member, lab = house.member(), "/settings/workspaces/lab"
    assert member.get("/settings/workspaces/default").status_code == 200
    assert member.get(lab).status_code == 404
    assert lab not in member.get("/settings/workspaces").text
    assert member.get("/settings/privacy?workspace=lab").status_code == 404
    house.admin().post(f"{lab}/members/add", user=house.bob.user)
    try:
        assert member.get(lab).status_code == 200
        assert lab in member.get("/settings/workspaces").text
    finally:
        house.admin().post(f"{lab}/members/remove", user=house.bob.user)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_another_accounts_is_told_like_what_there_is_not(house: House, method: str) -> None:
    eve = house.stranger()
    for template in parted(private(house, method)):
        if template in ("/verify/{token}", "/auth/verify/{token}"):
            continue  # a link, for who has it
        theirs = ask(house, eve, method, house.place(template))
        nobodys = ask(house, eve, method, house.place(template, is_made_up=True))
        assert theirs.status_code == nobodys.status_code, (template, nobodys.status_code)
        assert theirs.status_code in (403, 404), (template, theirs.status_code)
        assert len(theirs.text) == len(nobodys.text), template
    everything_is_there(house)


def everything_is_there(house: House) -> None:
    """For who may see it: what was refused to others is nothing that is missing anyway."""
    admin = house.admin()
    for template in parted(private(house, "GET")):
        if not template.startswith("/admin"):
            assert admin.get(house.place(template)).status_code in (200, 303), template
