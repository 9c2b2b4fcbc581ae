"""An app's way to a key, over HTTP: consent, code, exchange; and each refusal of the documented table."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import pytest

from fairlead.core.content import Content
from fairlead.core.ids import WorkspaceId
from tests.api_document import check_answer
from tests.web.management.stage import Stage

VERIFIER = "a-verifier_of.enough~characters-0123456789-abcdef"
S256 = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CONSENT = {
    "callback_url": "https://app.example/back",
    "code_challenge": S256,
    "code_challenge_method": "S256",
}


def code(stage: Stage, *, key: str | None = None, **changed: Any) -> dict[str, Any]:
    secret = key or stage.ada.key.secret
    answer = stage.ask("POST /auth/keys/code", key=secret, body=CONSENT | changed)
    assert answer.status_code == 200, answer.text
    return check_answer(answer, "POST /auth/keys/code")["data"]


def exchange(stage: Stage, **body: Any) -> Any:
    answer = stage.ask("POST /auth/keys", body=body)
    check_answer(answer, "POST /auth/keys")
    return answer


@pytest.mark.parametrize("by", ["key", "management"])
def test_an_app_gets_its_key(stage: Stage, by: str):
    secret = getattr(stage.ada, by).secret
    body = {
        "key_label": "Agent", "limit": 10, "usage_limit_type": "monthly",
        "expires_at": "2999-01-01T00:00:00Z", "spawn_agent": "a", "spawn_cloud": "b",
    }  # fmt: skip
    made = code(stage, key=secret, **body)
    assert made["redirect_to"] == f"https://app.example/back?code={made['id']}"
    got = exchange(
        stage, code=made["id"], code_verifier=VERIFIER, code_challenge_method="S256"
    ).json()
    assert got["user_id"] == stage.ada.user
    shown = check_answer(stage.ask("GET /key", key=got["key"]), "GET /key")["data"]
    assert (shown["limit"], shown["limit_reset"]) == (10.0, "monthly")
    listed = stage.ask("GET /keys", key=stage.ada.management.secret).json()["data"]
    assert (listed[0]["name"], listed[0]["app_id"]) == ("Agent", made["app_id"])


def test_the_documented_refusals(stage: Stage):
    good = code(stage)["id"]
    assert exchange(stage, code="ac-v1-nothing").status_code == 403
    assert exchange(stage, code=good, code_verifier="x" * 43).status_code == 403
    assert exchange(stage, code=good, code_challenge_method="MD5").status_code == 400
    assert exchange(stage, code=good, code_challenge_method="plain").status_code == 400
    assert stage.send("GET", "/api/v1/auth/keys").status_code == 405
    stage.execute("UPDATE authorization_codes SET expires_ms = 1")
    late = exchange(stage, code=good, code_verifier=VERIFIER)
    assert (late.status_code, "expired" in late.text) == (403, True)


def test_too_many_codes_are_a_conflict(stage: Stage):
    for _ in range(100):
        code(stage)
    answer = stage.ask("POST /auth/keys/code", key=stage.ada.key.secret, body=CONSENT)
    assert answer.status_code == 409
    check_answer(answer, "POST /auth/keys/code")
    assert code(stage, key=stage.bob.key.secret), "others are not in its way"


@pytest.mark.parametrize(
    "limits", [{"limit": 1}, {"expires_ms": 4_000_000_000_000}, {"requests_per_minute": 5}]
)
def test_a_key_with_limits_cannot_give_away_one_without(stage: Stage, limits: dict[str, Any]):
    new = stage.control.keys.create(stage.ada.account, name="limited", **limits)
    answer = stage.ask("POST /auth/keys/code", key=new.secret, body=CONSENT)
    assert answer.status_code == 403
    check_answer(answer, "POST /auth/keys/code")


def test_a_key_gives_away_keys_of_its_own_workspace_only(stage: Stage):
    management = stage.ada.management.secret
    made = stage.ask("POST /workspaces", key=management, body={"name": "W", "slug": "w"}).json()
    workspace = made["data"]["id"]
    body = CONSENT | {"workspace_id": workspace}
    refused = stage.ask("POST /auth/keys/code", key=stage.ada.key.secret, body=body)
    assert refused.status_code == 403
    assert code(stage, key=management, workspace_id=workspace)
    inside = stage.control.keys.create(stage.ada.account, name="in", workspace=workspace)
    got = exchange(stage, code=code(stage, key=inside.secret)["id"], code_verifier=VERIFIER)
    listed = stage.ask("GET /keys", key=management, query={"workspace_id": workspace}).json()
    assert len(listed["data"]) == 2
    assert got.status_code == 200


def test_the_consent_page_learns_who_asks_for_what(stage: Stage):
    query = {"callback_url": "http://localhost:3000/back", "code_challenge": S256,
             "code_challenge_method": "S256", "key_label": "My agent", "limit": "5",
             "usage_limit_type": "weekly", "expires_at": "2999-01-01T00:00:00Z"}  # fmt: skip
    answer = stage.send("GET", "/auth", query=query, headers={"accept": "application/json"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers
    data = answer.json()["data"]
    assert data["app"] == {
        "title": "localhost:3000", "origin": "http://localhost:3000", "is_local": True,
    }  # fmt: skip
    assert data["wants"] == {
        "key_label": "My agent", "limit": 5.0, "usage_limit_type": "weekly",
        "expires_at": "2999-01-01T00:00:00.000Z", "workspace_id": None,
    }  # fmt: skip
    assert (data["is_headless"], data["is_signed_in"], data["account"]) == (False, False, None)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({}, "code_challenge"),
        ({"callback_url": "http://app.example/"}, "callback_url"),
        ({"callback_url": "https://app.example/", "code_challenge_method": "MD5"},
         "code_challenge_method"),
        ({"callback_url": "https://app.example/", "limit": "much"}, "limit"),
        ({"callback_url": "https://app.example/", "limit": "nan"}, "limit"),
        ({"callback_url": "https://app.example/", "expires_at": "soon"}, "expires_at"),
        ({"callback_url": "https://app.example/", "expires_at": "2999-01-01T00:00:00+02:00"},
         "expires_at"),
        ({"callback_url": "https://app.example/", "expires_at": "2001-01-01T00:00:00Z"},
         "expires_at"),
        ({"callback_url": "https://app.example/", "workspace_id": "w"}, "workspace_id"),
        ({"callback_url": "https://app.example/", "key_label": "x" * 101}, "key_label"),
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused_here(
    stage: Stage, query: dict[str, str], param: str
):
    answer = stage.send("GET", "/auth", query=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert "location" not in answer.headers


@pytest.mark.parametrize("callback", ["https://app.example/back", None])
def test_an_app_gives_keys_to_no_others(stage: Stage, callback: str | None):
    body = CONSENT | {"callback_url": callback}
    if callback is None:
        del body["callback_url"]
    made = stage.ask("POST /auth/keys/code", key=stage.ada.key.secret, body=body).json()["data"]
    got = exchange(stage, code=made["id"], code_verifier=VERIFIER).json()["key"]
    answer = stage.ask("POST /auth/keys/code", key=got, body=CONSENT)
    assert (answer.status_code, "app" in answer.json()["error"]["message"]) == (403, True)
    listed = stage.ask("GET /keys", key=stage.ada.management.secret).json()["data"]
    assert listed[0]["app_id"] == (made["app_id"] or None)


def test_an_app_reads_kept_contents_of_its_own_calls_alone(stage: Stage):
    got = exchange(stage, code=code(stage)["id"], code_verifier=VERIFIER).json()["key"]
    digest = sha256(got.encode()).digest()
    app_key = stage.control.keys.find_by_digest(stage.ada.account, digest).id
    hers = stage.settle(stage.ada)
    its = stage.settle(stage.ada, cost=1, key=app_key)
    stage.control.private.contents.keep(
        [
            Content(
                generation=one.id,
                account=stage.ada.account,
                workspace=WorkspaceId(one.workspace),
                created_ms=stage.clock.now_ms(),
                messages=None,
                prompt="a prompt",
                completion="an answer",
                reasoning=None,
                error=None,
            )
            for one in (hers, its)
        ]
    )

    def statuses(key: str) -> list[int]:
        return [
            stage.ask("GET /generation/content", key=key, query={"id": one.id}).status_code
            for one in (hers, its)
        ]

    assert statuses(got) == [404, 200]
    assert statuses(stage.ada.key.secret) == [200, 200]
