"""Real servers, real files: nothing of a prompt, an answer or a key lies about in the clear.

A canary is put into everything that is private, and every byte that the server has left behind is searched
for it.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.testing.serving import Pair, running_pair
from tests.forked import forked_command, forked_program

OWN_KEY = "sk-proj-kestrel0123456789"
PROMPT = "the kestrel hovers"
CANARY = b"kestrel"
WAIT_S = 20.0


def ask(
    pair: Pair, method: str, path: str, key: str, body: object = None
) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{pair.fairlead.openrouter_url}{path}",
        method=method,
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        data=None if body is None else json.dumps(body).encode(),
    )
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def management_key(data: Path) -> str:
    command = ["keys", "create", "--name", "m", "--management", "--data", str(data)]
    return forked_command(command, data.with_name("command.log")).strip()


def until(happened: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline_s, "it did not happen"


def chat(pair: Pair, **more: object) -> tuple[int, dict[str, Any]]:
    body = {
        "model": "openai/gpt-4o-mini",
        "messages": [{"role": "user", "content": PROMPT}],
        "user": "an end user",
    }
    return ask(pair, "POST", "/chat/completions", pair.fairlead.key, body | more)


def files(place: Path) -> list[Path]:
    return [one for one in place.rglob("*") if one.is_file() and "twin" not in one.name]


@pytest.mark.timeout(150)
def test_nothing_private_lies_about(tmp_path: Path) -> None:
    with running_pair(tmp_path, run=forked_program) as pair:
        manager = management_key(pair.fairlead.data)
        wrong = {"provider": "openai", "key": f"{OWN_KEY} two words"}
        status, told = ask(pair, "POST", "/byok", manager, wrong)
        assert status == 400
        assert CANARY.decode() not in json.dumps(told)
        made = {"provider": "openai", "key": OWN_KEY, "name": "mine"}
        status, told = ask(pair, "POST", "/byok", manager, made)
        assert status == 201
        assert CANARY.decode() not in json.dumps(told)

        def is_own() -> bool:
            status, answer = chat(pair)
            assert status == 200, answer
            return bool(answer["usage"]["is_byok"])

        until(is_own)
        _, answer = chat(pair)
        missing, _ = ask(pair, "GET", f"/generation/content?id={answer['id']}", pair.fairlead.key)
        assert missing == 404  # nobody wanted it kept

        workspace = told["data"]["workspace_id"]
        wish = {"is_observability_io_logging_enabled": True}
        status, told = ask(pair, "PATCH", f"/workspaces/{workspace}", manager, wish)
        assert status == 200, told

        def is_kept() -> bool:
            _, answer = chat(pair)
            path = f"/generation/content?id={answer['id']}"
            for _ in range(20):
                status, told = ask(pair, "GET", path, pair.fairlead.key)
                if status == 200:
                    assert told["data"]["input"]["messages"][0]["content"] == PROMPT
                    return True
            return False

        until(is_kept)
        for wrong_call in ({"temperature": "kestrel"}, {"model": "kestrel/none"}):
            assert chat(pair, **wrong_call)[0] in (400, 404)
        searched = [one for one in files(tmp_path) if CANARY in one.read_bytes()]
        assert not searched, "while it runs"
    searched = files(tmp_path)
    assert any(one.name == "fairlead.db" for one in searched)
    assert not [one for one in searched if CANARY in one.read_bytes()], "after it has ended"
