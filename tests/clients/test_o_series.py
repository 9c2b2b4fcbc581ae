"""OpenAI's o-series, from what callers write to what the provider receives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from fairlead.testing.serving import RunningFairlead, RunningTwinProcess
from tests.clients.conftest import Prompt

TIMEOUT_S = 30
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
NEVER_FORWARDED = {
    "provider": {"allow_fallbacks": True},
    "models": ["openai/o3-mini"],
    "plugins": [{"id": "web", "enabled": False}],
    "transforms": ["middle-out"],
    "route": "fallback",
    "session_id": "session-1",
    "trace": {"trace_id": "t-1"},
    "usage": {"include": True},
    "include_reasoning": True,
}


@pytest.fixture
def hello(prompt: Prompt) -> list[dict[str, str]]:
    """Messages that are answered at once, however long the model thinks."""
    return prompt.messages("Hi", delay_first_ms=0, delay_between_ms=0)


@pytest.fixture
def ask(fairlead: RunningFairlead, hello) -> Callable[..., requests.Response]:
    def ask(model: str = "openai/o1", **fields: Any) -> requests.Response:
        return requests.post(
            f"{fairlead.openrouter_url}/chat/completions",
            headers={"Authorization": f"Bearer {fairlead.key}"},
            json={"model": model, "messages": hello, **fields},
            timeout=TIMEOUT_S,
        )

    return ask


@pytest.fixture
def sent(ask, twin: RunningTwinProcess, prompt: Prompt) -> Callable[..., dict[str, Any]]:
    """What the provider received for a call with these fields."""

    def sent(model: str = "openai/o1", **fields: Any) -> dict[str, Any]:
        before = len(twin.requests(prompt.tag))
        response = ask(model, **fields)
        assert response.status_code == 200, response.text
        (received,) = twin.requests(prompt.tag)[before:]
        return received

    return sent


def test_the_name_is_the_providers_and_nothing_is_added(sent, hello):
    assert sent() == {"model": "o1", "messages": hello}


def test_limits_go_under_the_name_that_the_models_take(sent):
    assert sent(max_tokens=500)["max_completion_tokens"] == 500
    assert "max_tokens" not in sent(max_tokens=500)
    assert sent(max_completion_tokens=400)["max_completion_tokens"] == 400
    both = sent(max_tokens=500, max_completion_tokens=400)
    assert (both["max_completion_tokens"], "max_tokens" in both) == (400, False)


def test_what_the_models_do_not_take_is_dropped_not_refused(sent):
    dropped = {
        "temperature": 0.3,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "top_a": 0.1,
        "frequency_penalty": 0.5,
        "presence_penalty": 0.5,
        "repetition_penalty": 1.1,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "top_logprobs": 3,
        "stop": ["END"],
    }
    assert not sent(**dropped).keys() & dropped.keys()


def test_what_the_models_take_arrives(sent):
    kept: dict[str, Any] = {
        "seed": 7,
        "response_format": {"type": "json_object"},
        "tools": [TOOL],
        "tool_choice": "auto",
    }
    received = sent(**kept)
    assert {name: received[name] for name in kept} == kept


@pytest.mark.parametrize("model", ["openai/o3-mini-high", "o3-mini-high"])
def test_o3_mini_high_is_o3_mini_with_high_effort(sent, model: str):
    received = sent(model)
    assert (received["model"], received["reasoning_effort"]) == ("o3-mini", "high")


def test_the_callers_effort_goes_before_the_names(sent):
    assert sent("openai/o3-mini-high", reasoning={"effort": "low"})["reasoning_effort"] == "low"


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
def test_every_spelling_of_effort_is_the_same(sent, effort: str):
    for fields in ({"reasoning_effort": effort}, {"reasoning": {"effort": effort}}):
        received = sent("openai/o4-mini", **fields)
        assert received["reasoning_effort"] == effort
        assert "reasoning" not in received


@pytest.mark.parametrize(
    ("asked", "nearest"), [("minimal", "low"), ("xhigh", "high"), ("max", "high")]
)
def test_efforts_that_the_models_lack_become_the_nearest(sent, asked: str, nearest: str):
    assert sent(reasoning={"effort": asked})["reasoning_effort"] == nearest


def test_a_budget_becomes_an_effort(sent):
    received = sent(reasoning={"max_tokens": 8000}, max_tokens=10_000)
    assert received["reasoning_effort"] == "high"
    assert sent(reasoning={"max_tokens": 2000}, max_tokens=10_000)["reasoning_effort"] == "low"


def test_excluded_reasoning_is_withheld_and_still_counted(ask, prompt: Prompt):
    for fields in ({"reasoning": {"exclude": True}}, {"include_reasoning": False}):
        messages = prompt.messages("Hi", reasoning_tokens=9, tokens=2)
        answer = ask(messages=messages, **fields).json()
        message = answer["choices"][0]["message"]
        assert not message.get("reasoning")
        assert not message.get("reasoning_details")
        assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 9
        streamed = ask(messages=messages, stream=True, **fields)
        assert "reasoning_details" not in streamed.text
        assert '"reasoning_tokens":9' in streamed.text


def test_reasoning_cannot_be_switched_off(ask):
    for fields in (
        {"reasoning": {"effort": "none"}},
        {"reasoning_effort": "none"},
        {"reasoning": {"enabled": False}},
    ):
        response = ask(**fields)
        assert response.status_code == 400, fields
        assert response.json()["error"]["metadata"]["error_type"] == "invalid_request"


def test_two_different_efforts_are_refused(ask):
    assert ask(reasoning={"effort": "low"}, reasoning_effort="high").status_code == 400


def test_who_the_user_is_stays_here(sent):
    received = sent(user="alice@example.com")
    assert "alice@example.com" not in str(received)


def test_what_is_meant_for_the_gateway_is_not_forwarded(sent):
    assert not sent(**NEVER_FORWARDED).keys() & NEVER_FORWARDED.keys()


def test_fields_that_nobody_knows_are_passed_on(sent):
    assert sent(brand_new_switch={"on": True})["brand_new_switch"] == {"on": True}
