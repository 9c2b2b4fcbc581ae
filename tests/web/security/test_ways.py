"""Where one is led, and as whom: no other site's place, no session that somebody else knew before."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, urlencode, urljoin, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from fairlead.control.people.rules import Purpose
from fairlead.control.people.types import Place, Role
from fairlead.core.ids import UserId
from fairlead.web.auth.entering import entering_routes
from fairlead.web.sessions import COOKIE, BrowserSessions, Doorway
from tests.web.management.stage import ADDRESS, Person
from tests.web.pages.visits import HTML, Visit
from tests.web.security.house import House

OURS = "http://fairlead.test"
THEIRS = (
    "https://evil.example/", "//evil.example/", "/\\evil.example/", "\\\\evil.example/", "/\t/evil.example/",
    "/%5cevil.example/", "https:evil.example", "http:///evil.example", "javascript:alert(1)",
    "/..//evil.example/", "////evil.example", "/@evil.example", "evil.example", "\u2215\u2215evil.example",
    "%2f%2fevil.example",
)  # fmt: skip
LEADING = (
    "next",
    "return_to",
    "url",
    "to",
    "purchase",
    "saved",
    "redirect",
    "redirect_uri",
    "back",
    "workspace",
)
FORM = {"content-type": "application/x-www-form-urlencoded"}
PASSWORD = "a sentence that nobody guesses"


def leads_away(answer: httpx.Response) -> bool:
    there = answer.headers.get("location")
    return there is not None and urlsplit(urljoin(OURS, there)).netloc != "fairlead.test"


@pytest.mark.parametrize("host", ["fairlead.test", "evil.example"])
def test_no_path_and_no_host_leads_away(house: House, host: str) -> None:
    for there in THEIRS:
        query = urlencode(dict.fromkeys(LEADING, there))
        for path in (f"/sign-in?{query}", f"/settings/{there}", f"/OpenAI/{there}", f"/{there}"):
            url = OURS + quote(path, safe="/?=&%")
            answer = house.send("GET", url, headers=HTML | {"host": host})
            assert answer.headers.get("location", "/").startswith("/"), path
            assert not leads_away(answer), path


def test_no_way_in_and_none_out_leads_away(house: House) -> None:
    person, email = newcomer(house, "led")
    for there in THEIRS:
        for way in ("password", "link", "link of programs"):
            answer = enter(house, way, person, email, next=there, return_to=there)
            assert answer.status_code == 303, (way, answer.text)
            assert not leads_away(answer), (way, there)
        out = Visit(house, person).post("/auth/sign-out", next=there, return_to=there)
        assert out.status_code == 303
        assert not leads_away(out), there
    for way in WAYS:
        answer = enter(
            house, way, person, f"{way[:3]}.{email}", next=THEIRS[0], return_to=THEIRS[0]
        )
        assert not leads_away(answer), way


def test_whoever_enters_has_a_session_that_nobody_knew(house: House) -> None:
    """Neither one that somebody made up, nor one of their own that somebody planted in another's browser."""
    for way in WAYS:
        person, email = newcomer(house, way)
        planted = session(house, house.eve)
        for cookie in (planted, "A" * 43, "", "\x00"):
            answer = enter(house, way, person, email, cookie=cookie)
            assert answer.status_code == 303, (way, answer.text)
            (said,) = answer.headers.get_list("set-cookie")
            token = said.partition("=")[2].partition(";")[0]
            assert token not in (cookie, ""), way
            found = house.people.services.sessions.find(token)
            assert found is not None
            assert found.user.id != house.eve.user
            assert "HttpOnly" in said
            assert "SameSite=lax" in said
            assert "Path=/" in said
            assert "Domain" not in said
        assert house.people.services.sessions.find(planted) is None, way


@pytest.mark.parametrize(
    ("doorway", "said", "is_secure"),
    [
        (Doorway("https://gate.example"), "http", True),
        (Doorway("http://gate.example", 1), "https", False),
        (Doorway(proxies=1), "https", True),
        (Doorway(proxies=2), "HTTPS, http", True),
        (Doorway(proxies=1), "http", False),
        (Doorway(proxies=1), "", False),
        (Doorway(), "https", False),
    ],
)
def test_the_cookie_of_who_comes_by_tls_leaves_by_nothing_else(
    house: House, doorway: Doorway, said: str, is_secure: bool
) -> None:
    person, email = newcomer(house, f"{doorway} {said}")
    sessions = BrowserSessions(house.people.auth.sign_in, doorway, session_max_s=60)
    auth = replace(house.people.auth, doorway=doorway, sessions=sessions)
    before, house.app = house.app, Starlette(routes=entering_routes(auth))
    try:
        answer = enter(house, "password of programs", person, email, proto=said)
    finally:
        house.app = before
    assert ("Secure" in answer.headers["set-cookie"]) == is_secure


def test_a_new_password_is_a_new_session(house: House) -> None:
    person, _ = newcomer(house, "change")
    known = session(house, person)
    csrf = house.people.services.sessions.find(known)
    assert csrf is not None
    form = urlencode(
        {"csrf": csrf.csrf, "present_password": PASSWORD, "password": "another sentence"}
    )
    answer = house.send(
        "POST",
        "/settings/profile/password",
        headers=HTML | FORM | {"cookie": f"{COOKIE}={known}"},
        content=form.encode(),
    )
    assert answer.status_code == 303, answer.text
    assert known not in answer.headers["set-cookie"]
    assert house.people.services.sessions.find(known) is None


def test_a_session_is_only_what_came_in_its_cookie(house: House) -> None:
    token = session(house, house.ada)
    for path in (
        f"/settings/profile?{COOKIE}={token}",
        f"/settings/profile;{COOKIE}={token}",
    ):
        answer = house.send("GET", path, headers=HTML)
        assert "Ada" not in answer.text
    bearer = house.send(
        "GET", "/settings/profile", headers=HTML | {"authorization": f"Bearer {token}"}
    )
    assert bearer.status_code == 303


def newcomer(house: House, about: str) -> tuple[Person, str]:
    """Somebody with a password."""
    email = f"way.{abs(hash(about))}@example.com"
    person = house.person(email)
    kept = house.run(house.people.auth.sign_in._passwords.hash(PASSWORD))
    house.execute(
        "UPDATE users SET password_hash = :kept, email_verified_ms = 1 WHERE id = :id",
        kept=kept,
        id=person.user,
    )
    return person, email


def session(house: House, person: Person) -> str:
    found = house.people.services.people.find(UserId(person.user))
    assert found is not None
    with house.control.database.begin() as connection:
        return house.people.services.sessions.begin(
            connection, found, method="link", place=Place(ADDRESS)
        ).token


def _password(house: House, person: Person, email: str) -> tuple[str, dict[str, str]]:
    return "/sign-in", {"email": email, "password": PASSWORD}


def _password_of_programs(house: House, person: Person, email: str) -> tuple[str, dict[str, str]]:
    return "/auth/sign-in", {"email": email, "password": PASSWORD}


def _link(house: House, person: Person, email: str) -> tuple[str, dict[str, str]]:
    return f"/sign-in/{house.link(Purpose.SIGN_IN, person.user, email)}", {}


def _link_of_programs(house: House, person: Person, email: str) -> tuple[str, dict[str, str]]:
    return f"/auth/link/{house.link(Purpose.SIGN_IN, person.user, email)}", {}


def _new_account(house: House, person: Person, email: str) -> tuple[str, dict[str, str]]:
    token = house.link(Purpose.SIGN_UP, "", f"new.{email}")
    return f"/sign-up/{token}", {"name": "New", "password": PASSWORD}


def _reset(house: House, person: Person, email: str) -> tuple[str, dict[str, str]]:
    token = house.link(Purpose.RESET_PASSWORD, person.user, email)
    return f"/reset/{token}", {"password": PASSWORD}


def _reset_of_programs(house: House, person: Person, email: str) -> tuple[str, dict[str, str]]:
    token = house.link(Purpose.RESET_PASSWORD, person.user, email)
    return f"/auth/reset/{token}", {"password": PASSWORD}


def _join(house: House, person: Person, email: str) -> tuple[str, dict[str, str]]:
    """Somebody new, whom they invite."""
    crew = house.organisation(person, house.eve)
    invited = f"{crew}@example.com"
    invitation = house.people.services.organisations.invite(
        UserId(person.user), crew, invited, Role.MEMBER, Place(ADDRESS)
    )
    return f"/join/{house.link(Purpose.INVITATION, invitation.id, invited)}", {"name": "New"}


WAYS = {
    "password": _password,
    "password of programs": _password_of_programs,
    "link": _link,
    "link of programs": _link_of_programs,
    "new account": _new_account,
    "reset": _reset,
    "reset of programs": _reset_of_programs,
    "invitation": _join,
}


def enter(
    house: House,
    way: str,
    person: Person,
    email: str,
    *,
    cookie: str | None = None,
    proto: str = "",
    **more: str,
) -> httpx.Response:
    """more: also in the address, where a link of a mail has it."""
    path, fields = WAYS[way](house, person, email)
    path = f"{path}?{urlencode(more)}" if more else path
    headers = HTML | FORM | ({} if cookie is None else {"cookie": f"{COOKIE}={cookie}"})
    headers |= {"x-forwarded-proto": proto} if proto else {}
    return house.send("POST", path, headers=headers, content=urlencode({**fields, **more}).encode())
