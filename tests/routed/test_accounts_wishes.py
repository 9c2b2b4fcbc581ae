"""What an account wishes, and what a workspace keeps of requests, changes where calls go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rest import wait_until
from tests.faults.stage import FIRST, MODEL, OTHER_MODEL, SECOND, STREAMS, ask
from tests.replay.caller import CHAT
from tests.replay.replay_server import ReplayServer
from tests.routed.stage import Installation, Server, installed


@pytest.fixture
def installation(upstream: ReplayServer, tmp_path: Path) -> Installation:
    return installed(tmp_path / "one", upstream)


@pytest.fixture
def server(installation: Installation) -> Iterator[Server]:
    with installation.serving() as running:
        yield running


def wish(installation: Installation, wishes: dict[str, Any]) -> None:
    file = installation.directory / "wishes.json"
    file.write_text(json.dumps(wishes))
    assert json.loads(installation.command("accounts", "routing", "--set", str(file))) == wishes


def went_to(server: Server, upstream: ReplayServer, body: dict[str, Any]) -> list[tuple[str, str]]:
    """(provider, model) of each attempt of one call, which is answered."""
    count = len(upstream.received)
    assert server.post(CHAT, body).status == 200
    return [(asked.provider, asked.body["model"]) for asked in upstream.received[count:]]


def reasons(explained: dict[str, Any]) -> dict[str, str]:
    """Why endpoints were left out, by tag."""
    return {one["tag"]: one["reason"] for one in explained["removed"]}


def test_a_provider_that_the_account_ignores_gets_no_more_calls(
    installation: Installation, server: Server, upstream: ReplayServer
) -> None:
    body = ask(FIRST, SECOND, streamed=True)
    assert went_to(server, upstream, body) == [(FIRST, MODEL)]
    assert reasons(server.explained(body)) == {}
    wish(installation, {"ignored_providers": [FIRST]})
    wait_until(lambda: reasons(server.explained(body)) == {FIRST: "account_providers"})
    assert went_to(server, upstream, body) == [(SECOND, MODEL)]
    refused = server.post(CHAT, ask(FIRST, streamed=True))
    assert refused.status == 404
    installation.command("accounts", "routing", "--clear")
    wait_until(lambda: reasons(server.explained(body)) == {})
    assert went_to(server, upstream, body) == [(FIRST, MODEL)]


def test_a_preset_is_called_by_its_name(server: Server, upstream: ReplayServer) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    body = {"model": "@preset/quick", "messages": messages, "stream": True}
    assert server.post(CHAT, body).status == 400
    assert upstream.received == []
    kept = {"models": [OTHER_MODEL, MODEL], "provider": {"only": [SECOND]}}
    assert server.post("/api/v1/presets/quick/chat/completions", kept).status == 200
    explained = server.explained(body)
    assert explained["requested"] == "@preset/quick"
    assert [(one["model"], one["tag"]) for one in explained["candidates"]] == [
        (OTHER_MODEL, SECOND),
        (MODEL, SECOND),
    ]
    assert reasons(explained) == {FIRST: "not_allowed"}
    assert went_to(server, upstream, body) == [(SECOND, OTHER_MODEL)]
    upstream.on(model=OTHER_MODEL, answer=STREAMS["text"], fault="status=503")
    assert went_to(server, upstream, body) == [(SECOND, OTHER_MODEL), (SECOND, MODEL)]
