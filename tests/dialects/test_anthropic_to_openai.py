"""A Messages request at a provider of the OpenAI format: the same meaning, nothing that it would refuse."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pydantic
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from fairlead.core.catalog import Endpoint
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.pricing import PriceSheet
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS
from tests.recordings import Recording, load_native

DIALECT = AnthropicMessages()
KEY = Credential("https://example.test/v1", "secret", {})
RECORDED = load_native("anthropic")
MARK = {"type": "ephemeral"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}

PDF = {
    "type": "document",
    "title": "a.pdf",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
}

MESSAGES: Any = pydantic.TypeAdapter(list[ChatCompletionMessageParam])
TOOLS: Any = pydantic.TypeAdapter(list[ChatCompletionToolParam])
# The client's types say what a value is like; that no other key may be there, they leave to the server.
KEYS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}


def sent(fields: dict[str, Any], provider: str = "openai", model: str = "openai/gpt-4o") -> Any:
    """The body that the provider gets."""
    given = {"model": model, "max_tokens": 100, **fields}
    endpoint = Endpoint(
        id=EndpointId("e"),
        model=ModelId(model),
        provider=ProviderSlug(provider),
        tag=provider,
        provider_model_id="their-name",
        context_length=100_000,
        max_completion_tokens=None,
        max_prompt_tokens=None,
        quantization="unknown",
        prices=PriceSheet(),
        price_version="v1",
        supported_parameters=frozenset(),
    )
    chat = PROVIDERS[provider].chat
    assert chat is not None
    return json.loads(chat.encode(DIALECT.decode(json.dumps(given).encode()), endpoint, KEY).body)


def test_a_conversation_with_tools_keeps_its_meaning() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1"}
    body = sent(
        {
            "system": [{"type": "text", "text": "Be"}, {"type": "text", "text": "kind."}],
            "messages": [
                {"role": "user", "content": [IMAGE, PDF, {"type": "text", "text": "What?"}]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "I "}, {"type": "text", "text": "look."},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"z": 1, "a": 2}},
                    {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
                ]},
                {"role": "user", "content": [
                    {**result, "content": [{"type": "text", "text": "see"}, IMAGE]},
                    {**result, "tool_use_id": "t2", "content": [IMAGE], "is_error": True},
                    {"type": "text", "text": "And?"},
                ]},
            ],
            "tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": MARK}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            "stop_sequences": ["END"],
            "metadata": {"user_id": "u"},
        }
    )  # fmt: skip
    data = "data:application/pdf;base64,AAAA"
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": data}}
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert body == {
        "model": "their-name",
        "max_completion_tokens": 100,
        "messages": [
            {"role": "system", "content": "Be\n\nkind."},
            {"role": "user", "content": [url, file, {"type": "text", "text": "What?"}]},
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {"id": "t1", "type": "function",
                     "function": {"name": "f", "arguments": '{"z": 1, "a": 2}'}},
                    {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "see"},
            {
                "role": "tool",
                "tool_call_id": "t2",
                "content": "(The result is attached to the next message.)",
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Result of the call t1:"}, url,
                    {"type": "text", "text": "Result of the call t2:"}, url,
                ],
            },
            {"role": "user", "content": "And?"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "stop": ["END"],
    }  # fmt: skip


def test_marks_for_caching_reach_those_who_take_them() -> None:
    marked = {"type": "text", "text": "a", "cache_control": MARK}
    fields = {
        "system": [marked],
        "messages": [{"role": "user", "content": [marked]}],
        "tools": [{"name": "f", "input_schema": {}, "cache_control": MARK}],
    }
    takes = sent(fields, "openrouter", "anthropic/claude")
    assert [message["content"] for message in takes["messages"]] == [[marked], [marked]]
    assert takes["tools"][0]["cache_control"] == MARK
    assert "cache_control" not in json.dumps(sent(fields))


def test_thinking_becomes_the_providers_own_wish() -> None:
    hello = [{"role": "user", "content": "hello"}]
    adaptive = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}
    assert sent({"messages": hello, **adaptive})["reasoning_effort"] == "low"
    budget = {"thinking": {"type": "enabled", "budget_tokens": 50}}
    assert sent({"messages": hello, **budget})["reasoning_effort"] == "medium"


def test_a_schema_becomes_a_response_format() -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {}}}}
    body = sent(
        {"messages": [{"role": "user", "content": "a"}], "output_config": {"format": wanted}}
    )
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": wanted["schema"]},
    }


def test_what_only_one_format_knows_is_not_sent() -> None:
    body = sent(
        {
            "messages": [
                {"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]},
                {"role": "system", "content": [{"type": "tool_addition", "tool": {}}]},
            ],
            "tools": [{"type": "web_search_20250305", "name": "web_search"}],
            "tool_choice": {"type": "auto"},
            "context_management": {"edits": []},
        }
    )
    assert body["messages"] == [{"role": "user", "content": ""}]
    assert not body.keys() & {"tools", "tool_choice", "context_management"}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in RECORDED])
def test_recorded_requests_are_accepted_by_the_official_types(case: Recording) -> None:
    body = sent(case.request)
    exhaust(MESSAGES.validate_python(body["messages"]))
    exhaust(TOOLS.validate_python(body.get("tools", [])))
    for message in body["messages"]:
        assert message.keys() <= KEYS[message["role"]]
        if message["role"] in ("system", "assistant", "tool"):
            assert isinstance(message.get("content"), str | None)
    assert_results_follow_their_calls(body["messages"])


def exhaust(value: object) -> None:
    """Lists inside are checked only as they are read."""
    if isinstance(value, dict):
        for inner in value.values():
            exhaust(inner)
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for inner in value:
            exhaust(inner)


def assert_results_follow_their_calls(messages: list[dict[str, Any]]) -> None:
    """Wherever the caller's own history had them so."""
    waiting: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            waiting.discard(message["tool_call_id"])
        elif message["role"] == "assistant":
            waiting = {call["id"] for call in message.get("tool_calls") or ()}
        else:
            assert not waiting, "a message between a call and its result"


def test_the_types_do_refuse_something() -> None:
    with pytest.raises(pydantic.ValidationError):
        MESSAGES.validate_python([{"role": "tool", "content": "a"}])
    with pytest.raises(pydantic.ValidationError):
        TOOLS.validate_python([{"type": "function"}])
    odd = {"role": "user", "content": [{"type": "text", "text": 1}]}
    with pytest.raises(pydantic.ValidationError):
        exhaust(MESSAGES.validate_python([odd]))
