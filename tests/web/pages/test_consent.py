"""The page on which a person allows or denies an app a key, and where it sends them."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from fairlead.core.ids import KeyId
from tests.web.management.stage import Stage
from tests.web.pages.test_settings import HTML, SCRIPT, Window, problem_at

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
BACK = "https://app.example/back?x=1"


@pytest.fixture
def ada(stage: Stage) -> Window:
    return Window(stage, stage.ada)


def question(**changed: str) -> dict[str, str]:
    return {
        "callback_url": BACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changed,
    }


def address(**changed: str) -> str:
    return f"/auth?{urlencode(question(**changed))}"


def allowed(window: Window, **changed: str) -> httpx.Response:
    return window.post("/auth", answer="allow", **question(**changed))


def code_of(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    (code,) = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
    return code


def test_the_page_says_who_asks_for_what(ada: Window) -> None:
    shown = ada.get(address(key_label=f"Editor {SCRIPT}", limit="5", usage_limit_type="weekly"))
    assert shown.status_code == 200
    assert "https://app.example" in shown.text
    assert SCRIPT not in shown.text
    assert "Editor &lt;script&gt;" in shown.text
    assert 'name="limit" type="text" value="5"' in shown.text
    policy = shown.headers["content-security-policy"]
    assert policy.endswith("form-action 'self' https://app.example")
    assert "frame-ancestors 'none'" in policy


def test_who_is_not_signed_in_comes_back_to_the_question(stage: Stage) -> None:
    answer = stage.send("GET", address(), headers=HTML)
    assert answer.status_code == 303
    (back,) = parse_qs(urlsplit(answer.headers["location"]).query)["next"]
    assert back == address()
    told = stage.send("GET", address()).json()["data"]
    assert (told["app"]["title"], told["is_signed_in"]) == ("app.example", False)


@pytest.mark.parametrize(
    "callback",
    [
        "http://app.example/back", "javascript:alert(1)", "//app.example", "https://ada@app.example/",
        "https://app.example/#part", "https://app.example\\@evil.example", "data:text/html,x", "/settings",
        "https://app.example; script-src *",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_a_callback_that_is_none(ada: Window, callback: str) -> None:
    for answer in (
        ada.get(address(callback_url=callback)),
        allowed(ada, callback_url=callback),
        ada.post("/auth", answer="deny", **question(callback_url=callback)),
    ):
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "script-src *" not in answer.headers["content-security-policy"]


def test_allowing_gives_the_app_a_key_within_the_chosen_bounds(stage: Stage, ada: Window) -> None:
    answer = allowed(ada, limit="2.50", usage_limit_type="daily", lifetime="7", key_label="Editor")
    there = urlsplit(answer.headers["location"])
    assert (there.scheme, there.netloc, there.path) == ("https", "app.example", "/back")
    assert parse_qs(there.query)["x"] == ["1"]
    body = {"code": code_of(answer), "code_verifier": VERIFIER}
    made = stage.ask("POST /auth/keys", body=body).json()
    assert made["user_id"] == stage.ada.user
    key = stage.ask("GET /key", key=made["key"]).json()["data"]
    assert (key["limit"], key["limit_reset"]) == (2.5, "daily")
    assert key["expires_at"] is not None
    assert stage.ask("POST /auth/keys", body=body).status_code == 403, "a code works once"


def test_what_does_not_fit_is_said_at_its_field(ada: Window) -> None:
    assert problem_at(allowed(ada, limit="much"), "limit")
    assert problem_at(allowed(ada, lifetime="1000"), "lifetime")
    assert problem_at(allowed(ada, usage_limit_type="hourly", limit="1"), "usage_limit_type")


def test_denying_tells_the_app_and_makes_nothing(stage: Stage, ada: Window) -> None:
    before = stage.control.keys.page(stage.ada.account, after=KeyId(""))
    answer = ada.post("/auth", answer="deny", **question())
    assert answer.headers["location"] == "https://app.example/back?x=1&error=access_denied"
    assert stage.control.keys.page(stage.ada.account, after=KeyId("")) == before


def test_an_app_without_an_address_is_given_a_code_to_copy(stage: Stage, ada: Window) -> None:
    headless = {"callback_url": ""}
    assert "no address of its own" in ada.get(address(**headless)).text
    shown = allowed(ada, **headless)
    (code,) = re.findall(r"ac-v1-[0-9a-f]{64}", shown.text)
    assert shown.headers["cache-control"] == "no-store"
    made = stage.ask("POST /auth/keys", body={"code": code, "code_verifier": VERIFIER})
    assert made.status_code == 200
    assert "gets no key" in ada.post("/auth", answer="deny", **question(**headless)).text


def test_the_answer_must_come_from_our_own_page(stage: Stage, ada: Window) -> None:
    forged = {"answer": "allow", **question()}
    assert ada.send("/auth", forged).status_code == 403
    assert ada.send("/auth", {**forged, "csrf": "A" * 43}).status_code == 403
    answer = stage.send("POST", "/auth", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?notice=form-lost")


def test_a_workspace_is_ones_own(stage: Stage, ada: Window) -> None:
    theirs = stage.control.workspaces.default_of(stage.bob.account)
    answer = allowed(ada, workspace_id=theirs)
    assert answer.status_code == 404
    assert "location" not in answer.headers
    crew = stage.organisation(stage.ada, stage.bob)
    admin, member = Window(stage, stage.ada, crew), Window(stage, stage.bob, crew)
    admin.post("/settings/workspaces", name="Lab")
    lab = stage.control.workspaces.find(crew, "lab").id
    assert allowed(member, workspace_id=lab).status_code == 403
    assert allowed(admin, workspace_id=lab).status_code == 303
