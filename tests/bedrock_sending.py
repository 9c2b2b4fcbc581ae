"""What is sent to Bedrock for a request in the OpenAI dialect, and small things to send."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from fairlead.core.catalog import Endpoint, Reasoning
from fairlead.core.errors import RequestInvalid
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.base import Credential, UpstreamRequest
from fairlead.providers.bedrock import BedrockChat
from fairlead.testing.builders import an_endpoint

BASE = "https://bedrock-runtime.eu-west-1.amazonaws.com"
WITH_KEY = Credential(BASE, "api-key", {})
SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
SONNET_4 = "us.anthropic.claude-sonnet-4-20250514-v1:0"
NEWEST = "global.anthropic.claude-opus-5"
NOVA = "us.amazon.nova-pro-v1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"
PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
WANTED = {"type": "json_schema", "json_schema": {"name": "Thing", "schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def an_offer(
    model: str = SONNET,
    *,
    supported: frozenset[str] = frozenset(),
    reasoning: Reasoning | None = None,
    limit: int | None = None,
) -> Endpoint:
    endpoint = an_endpoint(
        "amazon-bedrock",
        model=f"author/{model}",
        supported=supported,
        max_completion_tokens=limit,
    )
    return msgspec.structs.replace(endpoint, reasoning=reasoning or Reasoning())


def encode(
    fields: dict[str, Any], endpoint: Endpoint, credential: Credential = WITH_KEY
) -> UpstreamRequest:
    fields = {"messages": [{"role": "user", "content": "Hello"}], **fields}
    return BedrockChat().encode(
        OpenAIChat().decode(msgspec.json.encode(fields)), endpoint, credential
    )


def sent(fields: dict[str, Any], model: str = SONNET, **about: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode(fields, an_offer(model, **about)).body)
    return body


def blocks(*parts: dict[str, Any], model: str = SONNET) -> Any:
    body = sent({"messages": [{"role": "user", "content": list(parts)}]}, model)
    return body["messages"][0]["content"]


def file(data: str, name: str | None = None) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data, "filename": name}}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def refused(fields: dict[str, Any], model: str = SONNET, **about: Any) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        sent(fields, model, **about)
    return caught.value
