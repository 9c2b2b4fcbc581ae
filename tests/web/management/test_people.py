"""The same operations for people who are signed in: admins manage, members have what is their own."""

from __future__ import annotations

import os
from typing import Any

import pytest
import sqlalchemy as sa

from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.people.types import Place
from fairlead.core.content import Content
from fairlead.core.ids import AccountId, UserId
from fairlead.store.tables.apps import authorization_codes
from tests.api_document import check_answer
from tests.web.management.stage import ADDRESS, Stage

CREDENTIAL = {"provider": "openai", "key": "sk-proj-canary-0123456789"}


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


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("POST /keys", {"name": "k"}),
        ("POST /byok", CREDENTIAL),
        ("PUT /preferences", {"hedge": True}),
    ],
)
def test_another_page_cannot_manage_in_their_name(stage: Stage, name: str, body: dict[str, Any]):
    ada = stage.signed_in(stage.ada.user)
    _, _, path = name.partition(" ")
    before = asked(stage, f"GET {path}", ada)
    cookie = {"cookie": ada["cookie"]}
    asked(stage, name, cookie, status=403, body=body)
    wrong = cookie | {"x-csrf-token": "x" * 43}
    asked(stage, name, wrong, status=403, body=body)
    evil = ada | {"origin": "https://evil.example"}
    asked(stage, name, evil, status=403, body=body)
    assert asked(stage, f"GET {path}", ada) == before
    assert stage.ask(name, headers=ada, body=body).status_code in (200, 201)
    assert asked(stage, f"GET {path}", ada) != before


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
    for name in ("GET /credits", "GET /workspaces", "GET /organization/members", "GET /byok"):
        asked(stage, name, member, status=403)
    asked(stage, "POST /byok", member, status=403, body=CREDENTIAL)
    asked(stage, "PUT /preferences", member, status=403, body={"hedge": True})
    assert asked(stage, "GET /preferences", member) == {"data": {}}
    people = asked(stage, "GET /organization/members", admin)
    check_answer(stage.ask("GET /organization/members", headers=admin), "GET /organization/members")
    assert {one["role"] for one in people["data"]} == {"org:admin", "org:member"}
    assert people["total_count"] == 2
    owned = asked(
        stage, "POST /keys", admin, status=201, body=other | {"creator_user_id": stage.bob.user}
    )
    assert owned["data"]["creator_user_id"] == stage.bob.user


def test_an_admin_keeps_credentials_and_the_log_tells_who_and_from_where(stage: Stage):
    crew = stage.organisation(stage.ada, stage.bob)
    admin = stage.signed_in(stage.ada.user, crew)
    path = {"id": asked(stage, "POST /byok", admin, status=201, body=CREDENTIAL)["data"]["id"]}
    asked(stage, "PATCH /byok/{id}", admin, path=path, body={"name": "ours"})
    assert asked(stage, "GET /byok/{id}", admin, path=path)["data"]["name"] == "ours"
    asked(stage, "DELETE /byok/{id}", admin, path=path)
    made_by = {"now_ms": stage.clock.now_ms, "entropy": os.urandom}
    entries = Audit(stage.control.database, **made_by).page(crew)
    noted = [one.actor for one in entries if one.action.startswith("credential.")]
    assert noted == [Actor.user(UserId(stage.ada.user), ADDRESS)] * 3


def test_every_member_sees_calls_and_admins_alone_what_was_said(stage: Stage):
    crew = stage.organisation(stage.ada, stage.bob)
    admin = stage.signed_in(stage.ada.user, crew)
    member = stage.signed_in(stage.bob.user, crew)
    made = stage.settle(stage.ada, account=crew)
    stage.control.private.contents.keep(
        [
            Content(
                generation=made.id, account=crew, workspace=made.workspace,
                created_ms=stage.clock.now_ms(), messages=None, prompt="asked", completion="said",
                reasoning=None, error=None,
            )
        ]
    )  # fmt: skip
    query = {"id": made.id}
    for who in (admin, member):
        assert asked(stage, "GET /generation", who, query=query)["data"]["id"] == made.id
    told = asked(stage, "GET /generation/content", admin, query=query)
    assert told["data"]["output"]["completion"] == "said"
    asked(stage, "GET /generation/content", member, status=403, query=query)
    asked(stage, "GET /generation", stage.signed_in(stage.bob.user), status=404, query=query)


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


CONSENT = {"callback_url": "https://app.example/"}


def code_of_member(stage: Stage, crew: AccountId, **wanted: str) -> str:
    member = stage.signed_in(stage.bob.user, crew)
    return asked(stage, "POST /auth/keys/code", member, body=CONSENT | wanted)["data"]["id"]


def test_who_was_removed_gives_no_app_a_key_any_more(stage: Stage):
    crew = stage.organisation(stage.ada, stage.bob)
    code = code_of_member(stage, crew)
    stage.people.services.organisations.remove(
        UserId(stage.ada.user), crew, UserId(stage.bob.user), Place("198.51.100.7")
    )
    assert stage.ask("POST /auth/keys", body={"code": code}).status_code == 403
    theirs = sa.select(sa.func.count()).where(authorization_codes.c.account_id == crew)
    with stage.control.database.read() as connection:
        assert connection.scalar(theirs) == 0


@pytest.mark.parametrize("left", ["the account", "the workspace"])
def test_a_code_is_worth_what_its_person_may_do_when_it_is_exchanged(stage: Stage, left: str):
    crew = stage.organisation(stage.ada, stage.bob)
    admin = stage.signed_in(stage.ada.user, crew)
    made = asked(stage, "POST /workspaces", admin, status=201, body={"name": "W", "slug": "w"})
    place = made["data"]["id"]
    people = {"user_ids": [stage.bob.user]}
    asked(stage, "POST /workspaces/{id}/members/add", admin, path={"id": "w"}, body=people)
    good, late = (code_of_member(stage, crew, workspace_id=place) for _ in range(2))
    assert stage.ask("POST /auth/keys", body={"code": good}).status_code == 200
    table = {"the account": "memberships", "the workspace": "workspace_members"}[left]
    stage.execute(f"DELETE FROM {table} WHERE user_id = :user", user=stage.bob.user)
    assert stage.ask("POST /auth/keys", body={"code": late}).status_code == 403


def test_a_member_undoes_nothing_that_an_admin_did_to_their_key(stage: Stage):
    crew = stage.organisation(stage.ada, stage.bob)
    admin = stage.signed_in(stage.ada.user, crew)
    member = stage.signed_in(stage.bob.user, crew)
    made = asked(stage, "POST /keys", member, status=201, body={"name": "his"})
    path = {"hash": made["data"]["hash"]}

    def change(who: dict[str, str], body: dict[str, Any], status: int = 200) -> Any:
        return asked(stage, "PATCH /keys/{hash}", who, status=status, path=path, body=body)

    change(member, {"limit": 9, "limit_reset": "monthly"})
    set_by_admin = {"limit": 5, "limit_reset": "monthly", "include_byok_in_limit": True}
    change(admin, set_by_admin | {"disabled": True})
    for undone in (
        {"disabled": False},
        {"limit": 6},
        {"limit": None},
        {"limit_reset": "daily"},
        {"limit_reset": None},
        {"include_byok_in_limit": False},
    ):
        refused = change(member, {"name": "changed"} | undone, 400)
        assert "admin" in refused["error"]["message"]
    change(member, set_by_admin | {"name": "mine", "disabled": True, "limit": 4})
    now = change(admin, {"disabled": False, "limit": 100})["data"]
    assert (now["name"], now["disabled"], now["limit"]) == ("mine", False, 100.0)
    change(member, {"disabled": True})
