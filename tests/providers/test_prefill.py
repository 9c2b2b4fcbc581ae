"""Who goes on with a begun answer, and how it is marked for him."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from fairlead.core.catalog import Endpoint, Reasoning
from fairlead.core.chat import ChatRequest
from fairlead.core.continuation import Prefill
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS
from fairlead.testing.builders import an_endpoint

USER = {"role": "user", "content": 'Say "role": "assistant"'}
BEGUN = {"role": "assistant", "content": "Once"}
CREDENTIAL = Credential("https://example.invalid/v1", "key", {})


def endpoint(model: str = "meta/llama", *, thinks: bool = False) -> Endpoint:
    made = an_endpoint("somewhere", model=model, supported=frozenset())
    return msgspec.structs.replace(made, reasoning=Reasoning(supported=thinks))


def asked(*messages: dict[str, Any], **fields: object) -> ChatRequest:
    body = {"model": "m", "messages": [USER, *messages], **fields}
    return OpenAIChat().decode(json.dumps(body).encode())


def sent(provider: str, request: ChatRequest) -> dict[str, Any]:
    adapter = PROVIDERS[provider].chat
    assert adapter is not None
    body: dict[str, Any] = json.loads(adapter.encode(request, endpoint(), CREDENTIAL).body)
    return body


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "openai/gpt-4o", Prefill.NONE),
        ("azure", "openai/gpt-4o", Prefill.NONE),
        ("together", "meta/llama", Prefill.NONE),
        ("groq", "meta/llama", Prefill.CONTINUES),
        ("mistral", "mistralai/mistral-large", Prefill.ECHOES),
        ("vllm", "meta/llama", Prefill.CONTINUES),
        ("google-ai-studio", "google/gemini-2.5-pro", Prefill.NONE),
        ("anthropic", "anthropic/claude-3-haiku", Prefill.CONTINUES),
        ("anthropic", "anthropic/claude-sonnet-4", Prefill.CONTINUES),
        ("anthropic", "anthropic/claude-opus-4.1", Prefill.CONTINUES),
        ("anthropic", "anthropic/claude-haiku-4.5", Prefill.CONTINUES),
        ("amazon-bedrock", "anthropic/claude-haiku-4.5", Prefill.CONTINUES),
        ("amazon-bedrock", "meta/llama", Prefill.NONE),
        ("google-vertex", "anthropic/claude-haiku-4.5", Prefill.CONTINUES),
        ("google-vertex", "google/gemini-2.5-pro", Prefill.NONE),
        ("anthropic", "anthropic/claude-opus-4.6", Prefill.NONE),
        ("anthropic", "anthropic/claude-sonnet-4.6", Prefill.NONE),
        ("anthropic", "anthropic/claude-opus-4.7", Prefill.NONE),
        ("anthropic", "anthropic/claude-sonnet-5", Prefill.NONE),
    ],
)
def test_only_those_who_say_so_continue(provider: str, model: str, expected: Prefill) -> None:
    assert PROVIDERS[provider].prefill(asked(), endpoint(model)) is expected


def test_models_that_think_are_asked_in_words() -> None:
    for provider in ("groq", "mistral", "vllm", "moonshotai", "llama.cpp"):
        assert PROVIDERS[provider].prefill(asked(), endpoint(thinks=True)) is Prefill.NONE


def test_claude_does_not_go_on_while_it_is_told_to_think() -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [USER], "thinking": {"type": "adaptive"}}
    thinking = AnthropicMessages().decode(json.dumps(body).encode())
    ability = PROVIDERS["anthropic"].prefill
    assert ability(thinking, endpoint("anthropic/claude-haiku-4.5")) is Prefill.NONE
    thoughtful = asked(reasoning={"effort": "low"})
    claude = endpoint("anthropic/claude-haiku-4.5")
    assert ability(thoughtful, claude) is Prefill.CONTINUES  # and is written without thinking
    assert PROVIDERS["amazon-bedrock"].prefill(thoughtful, claude) is Prefill.NONE


@pytest.mark.parametrize(("provider", "mark"), [("mistral", "prefix"), ("moonshotai", "partial")])
def test_a_begun_answer_is_marked_and_nothing_else(provider: str, mark: str) -> None:
    assert sent(provider, asked(BEGUN))["messages"] == [USER, {**BEGUN, mark: True}]
    assert sent(provider, asked(BEGUN, USER))["messages"] == [USER, BEGUN, USER]
    assert sent(provider, asked())["messages"] == [USER]
    named = {**BEGUN, "refusal": None}
    assert sent(provider, asked(named))["messages"][-1][mark] is True


def test_vllm_is_told_in_the_request() -> None:
    body = sent("vllm", asked(BEGUN))
    assert body["continue_final_message"] is True
    assert body["add_generation_prompt"] is False
    assert "continue_final_message" not in sent("vllm", asked(BEGUN, USER))
    assert "continue_final_message" not in sent("vllm", asked())
