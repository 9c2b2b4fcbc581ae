"""Nothing that opens anything is ever told: not in answers, not in the log, whatever was asked."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.testing.serving import RunningFairlead, running_pair
from tests.api_document import operations
from tests.forked import forked_command, forked_program
from tests.web.management.stage import ADDRESS, Stage
from tests.web.management.test_refusals import PARTS, SOUND

PROMPT = "the-prompt-that-nobody-else-may-read"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningFairlead, Path]]:
    directory = tmp_path_factory.mktemp("secrecy")
    with running_pair(directory, run=forked_program) as pair:
        yield pair.fairlead, directory / "serve.log"


def secret_part(key: str) -> str:
    """Without what every key begins with."""
    return key[key.rindex("-") + 1 :]


def key_from_the_shell(fairlead: RunningFairlead, *arguments: str) -> str:
    return command(fairlead, "keys", "create", "--name", "k", *arguments)


def command(fairlead: RunningFairlead, *words: str) -> str:
    log = fairlead.data.with_name("command.log")
    return forked_command([*words, "--data", str(fairlead.data)], log).strip()


def test_a_servers_log_and_its_refusals_hold_no_key_and_no_prompt(
    running: tuple[RunningFairlead, Path],
):
    fairlead, log = running
    management = key_from_the_shell(fairlead, "--management")
    revoked = key_from_the_shell(fairlead)
    command(fairlead, "keys", "revoke", revoked)
    unknown = "sk-fl-v1-" + "5ec2e7" * 10 + "abcd"
    byok = "sk-proj-" + "b10c" * 12
    keys = (fairlead.key, management, revoked, unknown)
    said: list[str] = []
    with httpx.Client(base_url=fairlead.openrouter_url, timeout=30) as client:

        def send(method: str, path: str, key: str, **asked: Any) -> None:
            headers = {"authorization": f"Bearer {key}", "x-api-key": key, "cookie": f"a={key}"}
            answer = client.request(method, path, headers=headers, **asked)
            if answer.status_code >= 400:
                said.append(answer.text)

        for name in sorted(operations()):
            method, _, template = name.partition(" ")
            path = template.format(**{**PARTS, "jobId": "j"})
            for key in keys:
                send(method, path, key, json=SOUND.get(name))
                send(method, path, key, content=f'{{"name": "{key}", "key": "{byok}"'.encode())
                send(method, path, key, json={"name": [key], "code": [byok], "metrics": [key]})
                send(method, path.replace(PARTS["hash"], key), key, params={"id": key})
        chat = {"model": "no/such", "messages": [{"role": "user", "content": PROMPT}]}
        for key in keys:
            send("POST", "/chat/completions", key, json=chat)
            kept = {"messages": [{"role": "system", "content": PROMPT}]}
            send("POST", "/presets/kept/chat/completions", key, json=kept)
            send("POST", "/chat/completions", key, json={**chat, "model": "@preset/kept"})
            send("POST", "/presets/kept/chat/completions", key, json={**kept, "seed": PROMPT})
            send("POST", "/chat/completions", key, content=b'{"messages": "' + PROMPT.encode())
            send("POST", "/messages", key, json={"model": PROMPT, "messages": [{"role": PROMPT}]})
    written = log.read_text("utf-8", "replace")
    assert len(said) > 300
    for key in keys:
        assert secret_part(key) not in written
    assert byok not in written
    assert PROMPT not in written
    told = "\n".join(said)
    for key in (*keys, byok):
        assert secret_part(key) not in told
    # And nothing is told of how we are made.
    assert not re.search(r"Traceback|File \"|sqlite3|sqlalchemy|SELECT .* FROM", told)


def test_whatever_is_logged_while_accounts_are_managed_holds_no_key(
    stage: Stage, caplog: pytest.LogCaptureFixture
):
    """Also at the level of debugging, where libraries tell more."""
    caplog.set_level(logging.DEBUG)
    ada = stage.ada
    made = stage.ask("POST /keys", key=ada.management.secret, body={"name": "k"}).json()
    body = {"callback_url": "https://app.example/back"}
    code = stage.ask("POST /auth/keys/code", key=ada.key.secret, body=body).json()["data"]["id"]
    got = stage.ask("POST /auth/keys", body={"code": code}).json()["key"]
    for name in sorted(SOUND):
        stage.ask(name, key=got, path=PARTS, body=SOUND[name])
        stage.ask(name, key=ada.management.secret, path=PARTS, content=got.encode())
    logged = "\n".join(f"{one.getMessage()} {one.args} {one.exc_text}" for one in caplog.records)
    for key in (made["key"], got, code, ada.key.secret, ada.management.secret):
        assert secret_part(key) not in logged


@pytest.mark.parametrize("name", ["POST /keys", "GET /keys", "GET /key"])
def test_nobody_on_the_way_keeps_an_answer(stage: Stage, name: str):
    key = stage.ada.key if name == "GET /key" else stage.ada.management
    body = {"name": "k"} if name == "POST /keys" else None
    assert stage.ask(name, key=key.secret, body=body).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "url", ["/generation?id=%00", "/generation/content?id=%00", "/byok?provider=%00"]
)
def test_what_no_database_keeps_is_not_asked_for(stage: Stage, url: str):
    answer = stage.send("GET", "/api/v1" + url, key=stage.ada.management.secret)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("field", [{"name": "a\0b"}, {"allowed_user_ids": ["\0"]}])
def test_what_no_database_keeps_is_in_no_credential(stage: Stage, field: dict[str, object]):
    body = {"provider": "openai", "key": "sk-proj-canary-0123456789"} | field
    answer = stage.ask("POST /byok", key=stage.ada.management.secret, body=body)
    assert (answer.status_code, "characters" in answer.text) == (400, True)


def test_what_is_done_to_credentials_is_in_the_log(stage: Stage):
    secret = "sk-proj-canary-0123456789"
    manage = {"key": stage.ada.management.secret}
    made = stage.ask("POST /byok", **manage, body={"provider": "openai", "key": secret})
    path = {"id": made.json()["data"]["id"]}
    stage.ask("PATCH /byok/{id}", **manage, path=path, body={"name": "ours"})
    stage.ask("DELETE /byok/{id}", **manage, path=path)
    assert stage.ask("DELETE /byok/{id}", **manage, path=path).status_code == 404
    made_by = {"now_ms": stage.clock.now_ms, "entropy": os.urandom}
    entries = Audit(stage.control.database, **made_by).page(stage.ada.account)
    noted = [one for one in entries if one.action.startswith("credential.")]
    assert [one.action.partition(".")[2] for one in noted] == ["delete", "update", "create"]
    key = stage.ada.management.key.id
    assert {(one.subject, one.actor) for one in noted} == {(path["id"], Actor.key(key, ADDRESS))}
    assert noted[1].details["name"] == "ours"
    assert secret not in repr(noted)
