"""For Node, unmodified: Anthropic's official client, and the Responses side of OpenAI's.

Each runs once (`node/anthropic.mjs`, `node/responses.mjs`); the tests here judge it, case by case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fairlead.testing.serving import RunningFairlead, RunningTwinProcess
from tests.clients.node_runs import run_node, value_of

MODELS = {"claude": "anthropic/claude-sonnet-4.5", "gpt": "openai/gpt-4o-mini"}


@pytest.fixture(scope="module", params=["anthropic", "responses"])
def ran(request, fairlead: RunningFairlead) -> tuple[str, dict[str, Any]]:
    """(client, what each of its cases came to)."""
    return request.param, run_node(f"{request.param}.mjs", fairlead, f"node-{request.param}")


@pytest.fixture
def client(ran) -> str:
    return ran[0]


@pytest.fixture
def result(ran) -> Callable[[str], Any]:
    def result(case: str) -> Any:
        return value_of(ran[1], case)

    return result


def prompt(client: str, case: str) -> str:
    return f"Hello twin:tag=node-{client}-{case}"


def word(client: str, *, anthropic: str, responses: str) -> str:
    return anthropic if client == "anthropic" else responses


@pytest.mark.parametrize("author", MODELS)
def test_create(client, result, author: str):
    answer = result("create")[author]
    assert answer.pop("id").startswith("gen-")
    assert answer.pop("cost") > 0
    assert answer == {
        "model": MODELS[author],
        "text": prompt(client, "create"),
        "reason": word(client, anthropic="end_turn", responses="completed"),
    }


@pytest.mark.parametrize("author", MODELS)
def test_stream(client, result, author: str):
    streamed = result("stream")[author]
    assert streamed["text"] == streamed["final"] == prompt(client, "stream")
    assert streamed["reason"] == word(client, anthropic="end_turn", responses="completed")


@pytest.mark.parametrize("author", MODELS)
def test_tools_round_trip(client, result, author: str):
    tools = result("tools")[author]
    assert isinstance(tools.pop("city"), str)
    assert tools == {
        "reason": word(client, anthropic="tool_use", responses="completed"),
        "name": "get_weather",
        "text": "The tools say: sunny, 21 degrees",
    }


@pytest.mark.parametrize("author", MODELS)
def test_stream_with_tools(client, result, author: str):
    tools = result("streamed_tools")[author]
    assert isinstance(tools.pop("city"), str)
    assert tools == {
        "reason": word(client, anthropic="tool_use", responses="completed"),
        "name": "get_weather",
    }


@pytest.mark.parametrize("author", MODELS)
def test_structured_output_through_parse(result, author: str):
    verdict = result("parse")[author]
    assert verdict["mood"] in ("good", "bad")
    assert isinstance(verdict["score"], int)


@pytest.mark.parametrize("ran", ["anthropic"], indirect=True)
def test_thinking_comes_signed_and_can_be_handed_back(result):
    assert result("thinking") == {"signed": True, "same": True, "tokens": 8, "again": "text"}


@pytest.mark.parametrize("ran", ["responses"], indirect=True)
def test_reasoning_comes_in_items_that_can_be_handed_back(result):
    assert result("reasoning") == {
        "types": ["reasoning", "message"],
        "same": True,
        "tokens": 8,
        "again": "completed",
    }


@pytest.mark.parametrize("ran", ["anthropic"], indirect=True)
def test_tokens_are_counted(result):
    assert all(count > 0 for count in result("count_tokens").values())


@pytest.mark.parametrize(
    ("case", "status", "name", "kind"),
    [
        ("bad_request", 400, "BadRequestError", "invalid_request_error"),
        ("unknown_model", 400, "BadRequestError", "invalid_request_error"),
        ("unknown_key", 401, "AuthenticationError", "authentication_error"),
        ("unprovided", 404, "NotFoundError", "not_found_error"),
        ("rate_limit", 429, "RateLimitError", "rate_limit_error"),
    ],
)
def test_errors_are_typed(client, result, case, status, name, kind):
    refused = result(case)
    assert (refused["type"], refused["status"]) == (name, status)
    assert refused["kind"] == (kind if client == "anthropic" else status)
    assert refused["message"]


def test_what_is_not_there_is_typed(result):
    refused = result("unknown_path")
    assert (refused["type"], refused["status"]) == ("NotFoundError", 404)


def test_a_broken_stream_says_so(result):
    broken = result("broken_stream")
    assert broken["texts"] > 0
    assert broken["type"] == "APIError"


def test_cancelling_in_mid_stream_reaches_the_upstream(client, result, twin: RunningTwinProcess):
    assert result("cancel") > 3
    (call,) = twin.calls(f"node-{client}-cancel")
    assert call["state"] == "cancelled"
    assert call["chunks"] < 2000
