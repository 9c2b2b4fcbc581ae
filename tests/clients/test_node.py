"""The official clients for Node, unmodified but for base URL and key: OpenAI's and OpenRouter's.

Each runs once, all its cases at the same time (`node/openai.mjs`, `node/openrouter.mjs`), and prints what
they came to; the tests here judge it, case by case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fairlead.testing.serving import RunningFairlead, RunningTwinProcess
from tests.clients.node_runs import run_node, value_of

MODEL = "openai/gpt-4o-mini"


@pytest.fixture(scope="module", params=["openai", "openrouter"])
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


def test_chat(client, result):
    answer = result("chat")
    assert answer.pop("id").startswith("gen-")
    assert answer == {"model": MODEL, "text": prompt(client, "chat"), "reason": "stop"}


def test_usage_and_cost_are_readable(result):
    usage = result("usage")
    assert usage.pop("cost") > 0
    assert usage == {"completion": 7, "cached": 4}


def test_stream(client, result):
    streamed = result("stream")
    assert streamed["text"] == prompt(client, "stream")
    assert streamed["reasons"] == ["stop"]
    assert streamed["usages"] == [False] * (len(streamed["usages"]) - 1) + [True]
    assert streamed["cost"] > 0


def test_tools_round_trip(result):
    tools = result("tools")
    assert isinstance(tools.pop("arguments")["city"], str)
    assert tools == {
        "reason": "tool_calls",
        "name": "get_weather",
        "text": "The tools say: sunny, 21 degrees",
    }


def test_stream_with_tools(result):
    tools = result("streamed_tools")
    assert isinstance(tools.pop("arguments")["city"], str)
    assert tools == {"reason": "tool_calls", "name": "get_weather"}


def test_structured_output_through_parse(result):
    verdict = result("parse")
    assert verdict["mood"] in ("good", "bad")
    assert isinstance(verdict["score"], int)


def test_reasoning_is_readable(result):
    reasoning = result("reasoning")
    assert reasoning["text"]
    assert reasoning["details"] == reasoning["streamed"] == reasoning["text"]
    assert reasoning["tokens"] == 8


def test_models_list_and_retrieve(result):
    models = result("models")
    assert models.pop("count") > 400
    assert models == {"has_o1": True, "one": "openai/o1"}


@pytest.mark.parametrize("ran", ["openai"], indirect=True)
def test_legacy_completions(result):
    answer = result("completions")
    assert answer["text"] == answer["streamed"] == answer["prompt"]
    assert answer["cost"] > 0


@pytest.mark.parametrize("ran", ["openrouter"], indirect=True)
def test_a_generation_is_found_as_soon_as_it_has_ended(result):
    assert result("generation") == {"same_id": True, "same_cost": True}


@pytest.mark.parametrize(
    ("case", "status", "openai_type", "openrouter_type"),
    [
        ("bad_request", 400, "BadRequestError", "BadRequestResponseError"),
        ("unknown_model", 400, "BadRequestError", "BadRequestResponseError"),
        ("unknown_key", 401, "AuthenticationError", "UnauthorizedResponseError"),
        ("unprovided", 404, "NotFoundError", "NotFoundResponseError"),
        ("unknown_path", 404, "NotFoundError", "NotFoundResponseError"),
        ("rate_limit", 429, "RateLimitError", "TooManyRequestsResponseError"),
    ],
)
def test_errors_are_typed(client, result, case, status, openai_type, openrouter_type):
    refused = result(case)
    expected = openai_type if client == "openai" else openrouter_type
    assert (refused["type"], refused["status"], refused["code"]) == (expected, status, status)
    assert refused["message"]


def test_a_broken_stream_says_so(result):
    broken = result("broken_stream")
    assert broken["texts"] > 0
    assert broken["failed"]


def test_cancelling_in_mid_stream_reaches_the_upstream(client, result, twin: RunningTwinProcess):
    assert result("cancel") == 3
    (call,) = twin.calls(f"node-{client}-cancel")
    assert call["state"] == "cancelled"
    assert call["chunks"] < 2000
