"""Who may not do what, on every operation that the app declares: a new one is in this table by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.api_document import check_answer, operations
from tests.web.management.stage import Person, Stage

UUID: Final = "11111111-2222-4333-8444-555555555555"
# What stands for the parts of a path: somebody else's, or nobody's.
PARTS: Final = {"hash": "f" * 64, "id": UUID, "interval": "daily", "slug": "fast", "version": "1"}

INJECTIONS: Final = (
    "' OR '1'='1",
    "1; drop table api_keys; --",
    '" union select digest from api_keys --',
    "%27%20OR%201=1",
    "..%2f..%2fetc%2fpasswd",
    "a%0d%0aset-cookie:%20owned=1",
    "%00",
    "a%ff",
    "x" * 3000,
    "{{7*7}}${7*7}<script>alert(1)</script>",
)


@dataclass(frozen=True)
class Body:
    """One that an operation would take."""

    name: str
    content: dict[str, Any]


SOUND: Final = {
    "POST /analytics/query": {"metrics": ["request_count"]},
    "POST /keys": {"name": "k"},
    "PATCH /keys/{hash}": {"name": "k"},
    "POST /auth/keys": {"code": "ac-v1-nothing"},
    "POST /auth/keys/code": {"callback_url": "https://app.example/back"},
    "POST /workspaces": {"name": "W", "slug": "w"},
    "PATCH /workspaces/{id}": {"name": "W"},
    "PUT /workspaces/{id}/budgets/{interval}": {"limit_usd": 1},
    "POST /workspaces/{id}/members/add": {"user_ids": ["user-nobody"]},
    "POST /workspaces/{id}/members/remove": {"user_ids": ["user-nobody"]},
    "POST /generation/feedback": {"generation_id": "gen-nothing", "category": "other"},
    "POST /byok": {"provider": "openai", "key": "sk-proj-canary-0123456789"},
    "PATCH /byok/{id}": {"name": "ours"},
}


@pytest.fixture
def declared(stage: Stage) -> dict[str, str]:
    """Every operation, as "GET /keys", with who may ask."""
    return {f"{one.method} {one.path}": one.who.value for one in stage.operations()}


def each(declared: dict[str, str], *kinds: str) -> Iterator[str]:
    for name, who in declared.items():
        if not kinds or who.partition(",")[0] in kinds:
            yield name


def ask(stage: Stage, name: str, **asked: Any) -> Any:
    path = asked.pop("path", PARTS)
    if "content" not in asked and "body" not in asked and name in SOUND:
        asked["body"] = SOUND[name]
    return stage.ask(name, path=path, **asked)


def check(answer: Any, name: str) -> str:
    """That it is a refusal as documented. Returns its message."""
    if name in operations():
        check_answer(answer, name)
    else:  # one of our own
        assert answer.json()["error"]["code"] == answer.status_code
    return answer.json()["error"]["message"]


def test_every_operation_of_the_document_is_declared_with_its_kind(declared: dict[str, str]):
    """Those that others answer for (activity, analytics, ...) keep the same rules, see their own tests."""
    kinds = {"manager", "people"}
    for name, operation in operations().items():
        if name in declared:
            assert (declared[name].partition(",")[0] in kinds) == operation.is_management, name
            if operation.is_management:
                assert declared[name].endswith(str(operation.wrong_kind_status)), name
    assert set(SOUND) <= set(declared)
    documented = declared.keys() & operations().keys()
    bodies = {name for name in documented if operations()[name].has_body}
    assert bodies == set(SOUND), "a new operation with a body needs a sound one in this table"


def test_nobody_asks_without_a_key(stage: Stage, declared: dict[str, str]):
    for name in each(declared, "account", "manager", "people"):
        for headers in (
            {},
            {"authorization": ""},
            {"authorization": "Bearer"},
            {"authorization": "Basic YWRhOmxvdmVsYWNl"},
            {"authorization": "Bearer sk-fl-v1-" + "0" * 64},
            {"authorization": "Bearer " + "x" * 4000},
            {"authorization": "Bearer \xff\xfe"},
            {"cookie": "fairlead_session=guessed"},
        ):
            encoded = {key: value.encode("latin-1") for key, value in headers.items()}
            answer = ask(stage, name, headers=encoded)
            assert answer.status_code == 401, (name, headers)
            check(answer, name)


def test_an_ordinary_key_cannot_manage(stage: Stage, declared: dict[str, str]):
    for name in each(declared, "manager", "people"):
        answer = ask(stage, name, key=stage.ada.key.secret)
        assert answer.status_code == int(declared[name][-3:]), name
        assert "Only management keys" in check(answer, name)


def test_a_key_that_opens_nothing_is_told_why(stage: Stage, declared: dict[str, str]):
    keys, account = stage.control.keys, stage.ada.account
    made = [keys.create(account, name=str(n), is_management=True) for n in range(4)]
    revoked, disabled, expired, deleted = made
    keys.revoke(account, revoked.key.id)
    keys.disable(account, disabled.key.id)
    keys.delete(account, deleted.key.id)
    stage.execute("UPDATE api_keys SET expires_ms = 1 WHERE id = :id", id=expired.key.id)
    for new, reason in (
        (revoked, "revoked"),
        (disabled, "disabled"),
        (expired, "expired"),
        (deleted, "deleted"),
    ):
        for name in each(declared, "account", "manager", "people"):
            answer = ask(stage, name, key=new.secret)
            assert answer.status_code == 401, (name, reason)
            assert reason in check(answer, name), name


def test_what_another_account_has_is_told_like_what_there_is_not(
    stage: Stage, declared: dict[str, str]
):
    ada, bob = stage.ada, stage.bob
    workspaces = {"name": "Hers", "slug": "hers"}
    hers = stage.ask("POST /workspaces", key=ada.management.secret, body=workspaces).json()["data"]
    generation = stage.settle(ada)
    feedback = {"generation_id": generation.id, "category": "other"}
    credential = stage.ask("POST /byok", key=ada.management.secret, body=SOUND["POST /byok"])
    for name in declared.keys() & operations().keys():
        asked: dict[str, Any] = {"key": bob.management.secret}
        nobodys_is: dict[str, Any] = {"key": bob.management.secret}
        if "{hash}" in name:
            asked["path"] = {"hash": ada.hash}
        elif "/byok/{id}" in name:
            asked["path"] = {"id": credential.json()["data"]["id"]}
        elif name in ("GET /generation", "GET /generation/content"):
            asked["query"], nobodys_is["query"] = {"id": generation.id}, {"id": "gen-nothing"}
        elif "{id}" in name:
            asked["path"] = {"id": hers["id"], "interval": "daily"}
        elif name == "POST /generation/feedback":
            asked["body"] = feedback
        else:
            continue
        theirs = ask(stage, name, **asked)
        nobodys = ask(stage, name, **nobodys_is)
        assert theirs.status_code == nobodys.status_code == 404, name
        assert shape(theirs) == shape(nobodys), name
        check(theirs, name)
    kept = stage.ask("GET /workspaces/{id}", path={"id": hers["id"]}, key=ada.management.secret)
    assert kept.json()["data"] == hers
    for field, value in (("workspace_id", hers["id"]), ("creator_user_id", ada.user)):
        body = {"name": "k", field: value}
        answer = stage.ask("POST /keys", key=bob.management.secret, body=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)
    answer = stage.ask("GET /keys", key=bob.management.secret, query={"workspace_id": hers["id"]})
    assert answer.status_code == 400
    check(answer, "GET /keys")


def shape(answer: Any) -> str:
    """The message, without what was asked for."""
    return "".join(c for c in answer.json()["error"]["message"] if not c.isalnum())


def test_what_is_injected_is_taken_for_what_it_is(stage: Stage, declared: dict[str, str]):
    person = stage.ada
    before = known(stage, person)
    for name in each(declared):
        for text in INJECTIONS:
            query = {"offset": text, "limit": text, "workspace_id": text, "id": text}
            asked = [{"query": query, "body": SOUND.get(name)}]
            if "{" in name:
                path = dict.fromkeys(PARTS, text.replace("/", "%2f").replace("?", "%3f"))
                asked.append({"path": path})
            asked += [{"body": {**SOUND[name], field: text}} for field in SOUND.get(name, ())]
            for one in asked:
                answer = ask(stage, name, key=person.management.secret, **one)
                assert answer.status_code < 500, (name, one, answer.text)
                assert "set-cookie" not in answer.headers, name
                if answer.status_code >= 400:
                    error = answer.json()["error"]
                    assert len(error["message"]) < 500, (name, one)
                    assert not leaks(error["message"]), (name, error)
    after = known(stage, person)
    assert before.items() <= after.items()


def leaks(message: str) -> bool:
    words = ("SELECT ", "sqlite", "psycopg", "Traceback", "sqlalchemy", 'File "', "IntegrityError")
    return any(word in message for word in words)


def known(stage: Stage, person: Person) -> dict[str, Any]:
    """What Ada's keys are."""
    asked = {"key": person.management.secret, "query": {"include_disabled": "true"}}
    listed = stage.ask("GET /keys", **asked).json()["data"]
    return {one["hash"]: one["label"] for one in listed}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"name": "\\ud800"}',
        b'{"\\u0000": 1}',
        b'{"name": {"name": {"name": 1}}}',
        b"[" * 5000,
        b'{"name": ' + b"9" * 4000 + b"}",
    ],
    ids=range(11),
)
def test_a_malformed_body_is_400(stage: Stage, declared: dict[str, str], content: bytes):
    for name in SOUND:
        path = {**PARTS, "id": "default", "hash": stage.ada.hash}
        answer = ask(stage, name, key=stage.ada.management.secret, content=content, path=path)
        assert answer.status_code == 400, (name, content, answer.text)
        message = check(answer, name) if 400 in statuses(name) else answer.text
        assert not leaks(message), name


def statuses(name: str) -> frozenset[int]:
    return operations()[name].statuses


def test_an_oversized_body_is_413_whether_or_not_its_length_was_said(
    stage: Stage, declared: dict[str, str]
):
    content = b'{"name": "' + b"x" * 200_000 + b'"}'
    for name in SOUND:
        for headers in ({}, {"content-length": "7"}, {"content-length": str(10**30)}):
            answer = ask(
                stage, name, key=stage.ada.management.secret, content=content, headers=headers
            )
            assert answer.status_code == 413, (name, headers, answer.text)
            check(answer, name)


def test_a_wrong_method_is_told_the_right_ones(stage: Stage, declared: dict[str, str]):
    paths: dict[str, set[str]] = {}
    for name in declared:
        method, _, path = name.partition(" ")
        paths.setdefault(path, set()).add(method)
    for path, right in paths.items():
        allowed = right | ({"HEAD"} if "GET" in right else set())
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - right:
            answer = ask(stage, f"{method} {path}")
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["allow"].split(", ")) == allowed


def test_a_store_that_is_away_is_503_and_never_401(stage: Stage, declared: dict[str, str]):
    with stage.without_a_database():
        for name in each(declared, "account", "manager", "people"):
            answer = ask(stage, name, key=stage.bob.management.secret)
            assert answer.status_code == 503, (name, answer.text)
            check(answer, name)
