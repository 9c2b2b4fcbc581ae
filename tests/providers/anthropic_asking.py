"""Requests for tests of what is sent in the Messages format, and what became of them."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from fairlead.core.catalog import Endpoint, Reasoning
from fairlead.core.chat import ChatRequest
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.anthropic_encoder import Platform, anthropic_body
from fairlead.testing.builders import an_endpoint

__all__ = [
    "ADAPTIVE",
    "BUDGETED",
    "CALL",
    "PNG",
    "TOOL",
    "asked",
    "assistant",
    "body_of",
    "endpoint",
    "result",
    "sent",
    "text",
    "user",
]

BUDGETED = Reasoning(supported=True, budget_min=1024)
ADAPTIVE = Reasoning(supported=True, efforts=("max", "xhigh", "high", "medium", "low"))
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
PNG = "data:image/png;base64,aGk="


def endpoint(
    model: str = "anthropic/claude-sonnet-4.5",
    *,
    supported: frozenset[str] = frozenset(),
    reasoning: Reasoning = Reasoning(),  # noqa: B008 - immutable
    max_completion_tokens: int | None = 64_000,
    context_length: int = 200_000,
) -> Endpoint:
    found = an_endpoint(
        "anthropic",
        model=model,
        supported=supported,
        max_completion_tokens=max_completion_tokens,
        context_length=context_length,
    )
    return msgspec.structs.replace(found, reasoning=reasoning)


def asked(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    fields["messages"] = list(messages) or [user("Hello")]
    return OpenAIChat().decode(msgspec.json.encode(fields))


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any = None, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


def result(content: Any, call_id: str = "c1", **fields: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **fields}


def text(content: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": content, **fields}


def body_of(
    request: ChatRequest, to: Endpoint | None = None, platform: Platform | None = None
) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        msgspec.json.encode(anthropic_body(request, to or endpoint(), platform or Platform()))
    )
    return body


def sent(*messages: dict[str, Any], to: Endpoint | None = None, **fields: Any) -> dict[str, Any]:
    return body_of(asked(*messages, **fields), to)
