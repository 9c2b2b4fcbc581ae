"""A key with a limit of its own at a real server: what one request too many is told, in each format."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.faults.stage import MODEL, STREAMS, WHOLE
from tests.replay.replay_server import ReplayServer
from tests.routed.stage import NEW_KEY, Answer, Installation, Server, installed, replaying

MESSAGES = [{"role": "user", "content": "Hello"}]
CHAT, RESPONSES, ANTHROPIC = "/api/v1/chat/completions", "/api/v1/responses", "/api/v1/messages"
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": MESSAGES},
    RESPONSES: {"input": "Hello"},
    ANTHROPIC: {"messages": MESSAGES, "max_tokens": 100},
}
PER_MINUTE = 2
NEXT_S = 60 / PER_MINUTE
MESSAGE = "Rate limit exceeded: key-requests-per-min. "


@pytest.fixture(scope="module")
def upstream() -> Iterator[ReplayServer]:
    with replaying() as server:
        yield server


@pytest.fixture(scope="module")
def installation(upstream: ReplayServer, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return installed(tmp_path_factory.mktemp("limited") / "one", upstream)


@pytest.fixture(scope="module")
def server(installation: Installation) -> Iterator[Server]:
    with installation.serving() as running:
        yield running


@pytest.fixture
def key(installation: Installation) -> str:
    return installation.command(*NEW_KEY, "--requests-per-minute", str(PER_MINUTE))


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", BODIES)
def test_one_request_too_many_is_refused_in_the_callers_format(
    path: str, streamed: bool, server: Server, key: str, upstream: ReplayServer
) -> None:
    upstream.forget()
    upstream.on(answer=STREAMS["text" if streamed else WHOLE])
    body = {"model": MODEL, "stream": streamed, **BODIES[path]}
    began_s = time.time()
    answers = [server.post(path, body, key=key) for _ in range(PER_MINUTE + 1)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert len(upstream.received) == PER_MINUTE, "what is refused reaches no provider"
    assert_says_when(answers[-1], began_s)
    assert_in_format(answers[-1], path)
    assert not any("ratelimit" in name for name in answers[0].headers)
    assert server.post(path, body).status == 200, "only this key is limited"


def assert_says_when(refused: Answer, began_s: float) -> None:
    headers = refused.headers
    assert 0 < int(headers["retry-after"]) <= NEXT_S
    assert headers["x-ratelimit-limit"] == str(PER_MINUTE)
    assert headers["x-ratelimit-remaining"] == "0"
    reset_s = int(headers["x-ratelimit-reset"]) / 1000
    # The bucket began to fill again with the first request, which came after `began_s`.
    assert began_s < reset_s <= time.time() + NEXT_S


def assert_in_format(refused: Answer, path: str) -> None:
    assert refused.headers["content-type"] == "application/json"
    told, error = refused.json, refused.json["error"]
    assert error["message"].startswith(MESSAGE)
    if path == ANTHROPIC:
        assert (told["type"], error["type"]) == ("error", "rate_limit_error")
        assert told["request_id"] == refused.headers["request-id"]
        metadata = told["metadata"]
    else:
        assert (error["code"], error["type"]) == (429, "rate_limit_exceeded")
        metadata = error["metadata"]
        assert metadata["error_type"] == "rate_limit_exceeded"
    names = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    assert metadata["headers"] == {name: refused.headers[name.lower()] for name in names}


def test_official_clients_know_it_for_what_it_is(
    server: Server, key: str, upstream: ReplayServer
) -> None:
    upstream.forget()
    upstream.on(answer=STREAMS[WHOLE])
    for _ in range(PER_MINUTE):
        assert server.post(CHAT, {"model": MODEL, **BODIES[CHAT]}, key=key).status == 200
    ours = openai.OpenAI(base_url=f"{server.url}/api/v1", api_key=key, max_retries=0)
    with ours as client:
        with pytest.raises(openai.RateLimitError) as by_chat:
            client.chat.completions.create(model=MODEL, messages=MESSAGES)  # type: ignore[arg-type]
        with pytest.raises(openai.RateLimitError) as by_responses:
            client.responses.create(model=MODEL, input="Hello", stream=True)
    theirs = anthropic.Anthropic(base_url=f"{server.url}/api", api_key=key, max_retries=0)
    with theirs as client, pytest.raises(anthropic.RateLimitError) as by_messages:
        client.messages.create(model=MODEL, messages=MESSAGES, max_tokens=100)  # type: ignore[arg-type]
    for caught in (by_chat, by_responses, by_messages):
        assert MESSAGE in str(caught.value)
        assert 0 < int(caught.value.response.headers["retry-after"]) <= NEXT_S


def test_the_key_itself_says_what_limits_it(server: Server, key: str) -> None:
    limit = server.get("/api/v1/key", key=key)["data"]["rate_limit"]
    assert (limit["requests"], limit["interval"]) == (PER_MINUTE, "1m")
