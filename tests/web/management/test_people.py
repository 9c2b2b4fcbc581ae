"""The same operations for people who are signed in: admins manage, members have what is their own."""

from __future__ import annotations

from typing import Any

from tests.api_document import check_answer
from tests.web.management.stage import Stage


def asked(stage: Stage, name: str, who: dict[str, str], *, status: int = 200, **more: Any) -> Any:
    answer = stage.ask(name, headers=who, **more)
    assert answer.status_code == status, (name, answer.text)
    return answer.json()


def test_who_is_alone_in_their_account_manages_it(stage: Stage):
    ada = stage.signed_in(stage.ada.user)
    listed = stage.ask("GET /keys", headers=ada)
    assert [one["name"] for one in check_answer(listed, "GET /keys")["data"]] == ["laptop"]
    made = asked(stage, "POST /keys", ada, status=201, body={"name": "from the page"})
    assert made["data"]["creator_user_id"] == stage.ada.user
    asked(stage, "DELETE /keys/{hash}", ada, path={"hash": made["data"]["hash"]})
    asked(stage, "GET /credits", ada)
    asked(stage, "GET /workspaces", ada)
    asked(stage, "GET /key", ada, status=401)


def test_another_page_cannot_manage_in_their_name(stage: Stage):
    ada = stage.signed_in(stage.ada.user)
    cookie = {"cookie": ada["cookie"]}
    body = {"name": "k"}
    asked(stage, "POST /keys", cookie, status=403, body=body)
    wrong = cookie | {"x-csrf-token": "x" * 43}
    asked(stage, "POST /keys", wrong, status=403, body=body)
    evil = ada | {"origin": "https://evil.example"}
    asked(stage, "POST /keys", evil, status=403, body=body)
    assert len(stage.ask("GET /keys", headers=ada).json()["data"]) == 1


def test_a_key_counts_before_the_session(stage: Stage):
    ada = stage.signed_in(stage.ada.user)
    answer = stage.ask("GET /keys", headers=ada, key=stage.ada.key.secret)
    assert answer.status_code == 401, "the ordinary key decides"


def test_members_have_their_own_keys_and_admins_everybodys(stage: Stage):
    crew = stage.organisation(stage.ada, stage.bob)
    admin = stage.signed_in(stage.ada.user, crew)
    member = stage.signed_in(stage.bob.user, crew)
    hers = asked(stage, "POST /keys", admin, status=201, body={"name": "hers"})["data"]["hash"]
    his = asked(stage, "POST /keys", member, status=201, body={"name": "his"})["data"]["hash"]

    def seen(who: dict[str, str]) -> list[str]:
        return [one["name"] for one in asked(stage, "GET /keys", who)["data"]]

    assert seen(admin) == ["his", "hers"]
    assert seen(member) == ["his"]
    for name in ("GET", "DELETE"):
        asked(stage, f"{name} /keys/{{hash}}", member, status=404, path={"hash": hers})
    asked(stage, "PATCH /keys/{hash}", member, path={"hash": his}, body={"name": "mine"})
    asked(stage, "PATCH /keys/{hash}", admin, path={"hash": his}, body={"disabled": True})
    other = {"name": "k", "creator_user_id": stage.ada.user}
    asked(stage, "POST /keys", member, status=400, body=other)
    for name in ("GET /credits", "GET /workspaces", "GET /organization/members"):
        asked(stage, name, member, status=403)
    people = asked(stage, "GET /organization/members", admin)
    check_answer(stage.ask("GET /organization/members", headers=admin), "GET /organization/members")
    assert {one["role"] for one in people["data"]} == {"org:admin", "org:member"}
    assert people["total_count"] == 2
    owned = asked(
        stage, "POST /keys", admin, status=201, body=other | {"creator_user_id": stage.bob.user}
    )
    assert owned["data"]["creator_user_id"] == stage.bob.user


def test_a_member_makes_keys_only_where_they_work(stage: Stage):
    crew = stage.organisation(stage.ada, stage.bob)
    admin = stage.signed_in(stage.ada.user, crew)
    member = stage.signed_in(stage.bob.user, crew)
    made = asked(stage, "POST /workspaces", admin, status=201, body={"name": "W", "slug": "w"})
    body = {"name": "k", "workspace_id": made["data"]["id"]}
    asked(stage, "POST /keys", member, status=400, body=body)
    consent = {"callback_url": "https://app.example/", "workspace_id": made["data"]["id"]}
    asked(stage, "POST /auth/keys/code", member, status=403, body=consent)
    asked(
        stage, "POST /workspaces/{id}/members/add", admin, path={"id": "w"},
        body={"user_ids": [stage.bob.user]},
    )  # fmt: skip
    asked(stage, "POST /keys", member, status=201, body=body)
    asked(stage, "POST /auth/keys/code", member, body=consent)


def test_the_consent_page_knows_who_is_asked_and_they_can_agree(stage: Stage):
    ada = stage.signed_in(stage.ada.user)
    url = {"callback_url": "https://app.example/back"}
    shown = stage.send("GET", "/auth", query=url, headers=ada).json()["data"]
    assert shown["is_signed_in"] is True
    assert [one["slug"] for one in shown["account"]["workspaces"]] == ["default"]
    code = asked(stage, "POST /auth/keys/code", ada, body=url)["data"]["id"]
    got = stage.ask("POST /auth/keys", body={"code": code}).json()
    assert got["user_id"] == stage.ada.user
