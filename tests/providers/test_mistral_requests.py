"""What we send to Mistral is what its own client could have sent: its published types take every request."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from pydantic import TypeAdapter

from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS
from fairlead.testing.builders import an_endpoint
from tests.recordings import Recording, load

CREDENTIAL = Credential("https://example.test/v1", "secret", {})
# As the catalogue says of Mistral's own models.
SUPPORTED = frozenset(
    {
        "frequency_penalty", "max_tokens", "parallel_tool_calls", "presence_penalty", "reasoning_effort",
        "response_format", "seed", "stop", "structured_outputs", "temperature", "tool_choice", "tools", "top_p",
    }
)  # fmt: skip
CASES = [
    case
    for case in load("mistral")
    if case.status == 200 and case.path.startswith("/v1/chat/completions")
]


@cache
def official() -> tuple[TypeAdapter[Any], frozenset[str]]:
    """The published request, and the names of its fields. Built when first needed: it takes seconds."""
    from mistralai.client.models import ChatCompletionRequest

    fields = ChatCompletionRequest.model_fields
    names = frozenset(field.alias or name for name, field in fields.items())
    return TypeAdapter(ChatCompletionRequest), names


def sent(asked: dict[str, Any]) -> dict[str, Any]:
    adapter = PROVIDERS["mistral"].chat
    assert adapter is not None
    request = OpenAIChat().decode(json.dumps(asked).encode())
    body = adapter.encode(request, an_endpoint("mistral", supported=SUPPORTED), CREDENTIAL).body
    fields: dict[str, Any] = json.loads(body)
    return fields


def takes(fields: dict[str, Any]) -> None:
    adapter, names = official()
    assert fields.keys() <= names, fields.keys() - names
    adapter.validate_python(fields)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_its_types_take_what_we_send(case: Recording) -> None:
    takes(sent(case.request))


def test_its_types_take_what_callers_of_our_format_ask_for() -> None:
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    fields = sent(
        {
            "model": "mistralai/mistral-large",
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "name": "ann", "content": [{"type": "text", "text": "Hi"}]},
                {"role": "assistant", "content": None, "refusal": None, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "ok"},
            ],
            "tools": [{"type": "function", "function": function}],
            "tool_choice": "auto", "parallel_tool_calls": False, "seed": 7, "max_completion_tokens": 9,
            "temperature": 0.5, "top_p": 0.9, "stop": ["x"], "user": "u", "logit_bias": {"1": 2},
            "response_format": {"type": "json_object"}, "reasoning": {"effort": "high"},
            "stream": True, "stream_options": {"include_usage": True}, "metadata": {"a": "b"},
        }
    )  # fmt: skip
    takes(fields)
    assert (fields["random_seed"], fields["max_tokens"]) == (7, 9)
