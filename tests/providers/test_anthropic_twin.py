"""A server that speaks the Messages format, asked by the adapter and understood, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fairlead.core.answer import Answer, collect
from fairlead.core.chat import FinishReason
from fairlead.core.errors import FailureKind
from fairlead.providers.anthropic import AnthropicChat
from fairlead.providers.base import Credential
from fairlead.testing.twin import RunningTwin, running_twin
from tests.providers.anthropic_asking import BUDGETED, TOOL, asked, endpoint, user

CHAT = AnthropicChat()
EARLY, LATER = "anthropic/claude-3.7-sonnet", "anthropic/claude-sonnet-4.5"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin(key="right") as running:
        yield running


def post(twin: RunningTwin, *, model: str, key: str = "right", **fields: Any) -> httpx.Response:
    request = asked(user("What is 4200 + 42?"), **fields)
    credential = Credential(f"{twin.url}/v1", key, {})
    upstream = CHAT.encode(request, endpoint(model, reasoning=BUDGETED), credential)
    return httpx.post(upstream.url, headers=list(upstream.headers), content=upstream.body)


def answer(twin: RunningTwin, *, stream: bool, model: str = LATER, **fields: Any) -> Answer:
    response = post(twin, model=model, stream=stream, **fields)
    assert response.status_code == 200, response.text
    decoder = CHAT.decoder(streamed=stream)
    return collect(decoder.feed(response.content) + decoder.finish())


@pytest.mark.parametrize("stream", [False, True])
def test_text_is_understood(twin: RunningTwin, *, stream: bool) -> None:
    found = answer(twin, stream=stream)
    assert found.choices[0].text
    assert found.choices[0].finish is FinishReason.STOP
    assert found.usage is not None
    assert found.usage.usage.prompt_tokens > 0
    assert found.usage.usage.completion_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called(twin: RunningTwin, *, stream: bool) -> None:
    (choice,) = answer(twin, stream=stream, tools=[TOOL], tool_choice="required").choices
    assert [call.name for call in choice.calls] == ["add"]
    assert choice.finish is FinishReason.TOOL_CALLS


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_told_and_signed(twin: RunningTwin, *, stream: bool) -> None:
    wish = {"reasoning": {"effort": "high"}, "max_tokens": 4000}
    (choice,) = answer(twin, stream=stream, **wish).choices
    assert choice.reasoning
    assert choice.reasoning_details[0]["signature"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [EARLY, LATER])
def test_a_schema_is_followed_natively_or_by_a_tool(
    twin: RunningTwin, model: str, *, stream: bool
) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    (choice,) = answer(twin, stream=stream, model=model, response_format=wanted).choices
    assert choice.text == '{"a":0}'
    assert (choice.calls, choice.finish) == ([], FinishReason.STOP)


def test_a_wrong_key_is_our_credentials_fault(twin: RunningTwin) -> None:
    response = post(twin, model=LATER, key="wrong")
    failure = CHAT.failure(response.status_code, response.headers, response.content)
    assert failure.kind is FailureKind.AUTHENTICATION
