"""Recorded requests, said again in OpenAI's chat format: what we make of that is what was recorded.

The conversion to OpenAI's format is written here, without the product. What we send is checked by the
official SDK's own types, and compared with the recorded request: the same turns, blocks, tools and settings.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import msgspec
import pytest
from pydantic import TypeAdapter

from fairlead.core.catalog import Endpoint, Reasoning
from fairlead.core.ids import GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.anthropic import AnthropicChat
from fairlead.providers.base import Credential
from fairlead.testing.builders import an_endpoint
from tests import anthropic_truth as truth
from tests.recordings import Recording, load_native

KEY = Credential("https://example.test/v1", "secret", {})

# Blocks of tools that run at the provider, and of features that OpenAI's format has no word for.
UNTRANSLATABLE = {
    "server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "tool_search_tool_result",
    "bash_code_execution_tool_result", "advisor_tool_result", "mcp_tool_use", "mcp_tool_result",
    "container_upload", "tool_addition", "tool_reference", "compaction",
}  # fmt: skip


@cache
def official() -> TypeAdapter[Any]:
    """Built when first needed: it takes seconds, and every worker collects every file."""
    from anthropic.types.message_create_params import MessageCreateParams

    return TypeAdapter(MessageCreateParams)


def blocks_in(value: Any) -> list[dict[str, Any]]:
    """Every object with a type, at any depth."""
    if isinstance(value, list):
        return [block for inner in value for block in blocks_in(inner)]
    if not isinstance(value, dict):
        return []
    own = [value] if isinstance(value.get("type"), str) else []
    return own + [block for inner in value.values() for block in blocks_in(inner)]


def is_translatable(case: Recording) -> bool:
    request = case.request
    kinds = {block["type"] for block in blocks_in([request["messages"], request.get("system")])}
    sources = [block.get("source") for block in blocks_in(request["messages"])]
    return not (
        kinds & UNTRANSLATABLE
        or any(isinstance(source, dict) and source["type"] == "content" for source in sources)
        or any(message["role"] == "system" for message in request["messages"])
        or any(block.get("citations") for block in blocks_in(request["messages"]))
    )


CASES = [
    case
    for case in load_native("anthropic")
    if case.status == 200 and "count_tokens" not in case.path and is_translatable(case)
]


def test_most_recordings_can_be_said_in_openais_format() -> None:
    answered = [
        c for c in load_native("anthropic") if c.status == 200 and "count_tokens" not in c.path
    ]
    assert len(CASES) > 0.88 * len(answered)
    assert len(CASES) > 375


# --- there: in OpenAI's format ------------------------------------------------------------------------


def spoken(request: dict[str, Any], *, streamed: bool) -> dict[str, Any]:
    """The request as an OpenAI caller would write it."""
    said: dict[str, Any] = {"model": "anthropic/claude", "messages": messages_of(request)}
    if streamed:
        said["stream"] = True
    for name in ("max_tokens", "temperature", "top_p", "top_k", "cache_control"):
        if request.get(name) is not None:
            said[name] = request[name]
    if request.get("stop_sequences"):
        said["stop"] = request["stop_sequences"]
    if request.get("service_tier"):
        said["service_tier"] = {"standard_only": "default"}[request["service_tier"]]
    if request.get("tools"):
        said["tools"] = [tool_of(tool) for tool in request["tools"]]
    if choice := request.get("tool_choice"):
        kinds = {"auto": "auto", "any": "required", "none": "none"}
        named = {"type": "function", "function": {"name": choice.get("name")}}
        said["tool_choice"] = kinds.get(choice["type"], named)
        if choice.get("disable_parallel_tool_use"):
            said["parallel_tool_calls"] = False
    output = request.get("output_config") or {}
    schema = (request.get("output_format") or output.get("format") or {}).get("schema")
    if schema:
        wanted = {"name": "answer", "schema": schema}
        said["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if output.get("effort"):
        said["verbosity"] = output["effort"]
    thinking = request.get("thinking") or {}
    if thinking.get("type") == "enabled":
        said["reasoning"] = {"max_tokens": thinking["budget_tokens"]}
    elif thinking.get("type") == "adaptive":
        said["reasoning"] = {"enabled": True}
    elif thinking.get("type") == "disabled":
        said["reasoning"] = {"enabled": False}
    return said


def tool_of(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        return tool
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    if "description" in tool:
        function["description"] = tool["description"]
    marked = {"cache_control": tool["cache_control"]} if tool.get("cache_control") else {}
    return {"type": "function", "function": function, **marked}


def messages_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if request.get("system"):
        messages.append({"role": "system", "content": parts_of(request["system"])})
    for message in request["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "assistant":
            messages.append(answer_of(blocks))
            continue
        for block in blocks:
            if block["type"] == "tool_result":
                result = {"role": "tool", "tool_call_id": block["tool_use_id"]}
                result["content"] = parts_of(block.get("content") or "", block.get("cache_control"))
                if block.get("is_error"):
                    result["is_error"] = True
                messages.append(result)
        if others := [block for block in blocks if block["type"] != "tool_result"]:
            messages.append({"role": "user", "content": parts_of(others)})
    return messages


def answer_of(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    answer: dict[str, Any] = {"role": "assistant", "content": None}
    if texts := [block for block in blocks if block["type"] == "text"]:
        answer["content"] = parts_of(texts)
    if calls := [block for block in blocks if block["type"] == "tool_use"]:
        answer["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["input"])},
            }
            for call in calls
        ]
    details: list[dict[str, Any]] = []
    for block in blocks:
        if block["type"] == "thinking":
            details.append(
                {
                    "type": "reasoning.text",
                    "text": block["thinking"],
                    "signature": block["signature"],
                }
            )
        elif block["type"] == "redacted_thinking":
            details.append({"type": "reasoning.encrypted", "data": block["data"]})
    if details:
        answer["reasoning_details"] = details
    return answer


def parts_of(content: Any, cache_control: Any = None) -> Any:
    if isinstance(content, str):
        if cache_control is None:
            return content
        return [{"type": "text", "text": content, "cache_control": cache_control}]
    parts = [part_of(block) for block in content]
    if cache_control is not None:
        parts[-1]["cache_control"] = cache_control
    return parts


def part_of(block: dict[str, Any]) -> dict[str, Any]:
    marked = {"cache_control": block["cache_control"]} if block.get("cache_control") else {}
    if block["type"] == "text":
        return {"type": "text", "text": block["text"], **marked}
    if block["type"] == "search_result":
        return block  # a block of the provider's own among the parts
    source = block["source"]
    if source["type"] == "file":
        named = {"filename": "picture.PNG"} if block["type"] == "image" else {}
        return {"type": "file", "file": {"file_id": source["file_id"], **named}, **marked}
    if source["type"] == "url":
        address = source["url"]
    elif source["type"] == "base64":
        address = f"data:{source['media_type']};base64,{source['data']}"
    else:
        address = "data:text/plain," + source["data"].replace("%", "%25")
    if block["type"] == "image":
        return {"type": "image_url", "image_url": {"url": address}, **marked}
    file = {"file_data": address}
    if block.get("title"):
        file["filename"] = block["title"]
    return {"type": "file", "file": file, **marked}


# --- and back: what is compared -----------------------------------------------------------------------


def normal(request: dict[str, Any]) -> dict[str, Any]:
    """A native request without the freedom of spelling that the format leaves."""
    output = request.get("output_config") or {}
    schema = (request.get("output_format") or output.get("format") or {}).get("schema")
    return {
        "system": normal_blocks(request.get("system") or []),
        "turns": normal_turns(request["messages"]),
        "tools": [normal_tool(tool) for tool in request.get("tools") or []],
        "tool_choice": {
            name: value for name, value in (request.get("tool_choice") or {}).items() if value
        },
        "stops": request.get("stop_sequences") or [],
        "service_tier": request.get("service_tier"),
        "cache_control": request.get("cache_control"),
        "schema": schema and sorted(schema.get("properties", {})),
        "stream": bool(request.get("stream")),
    }


def normal_turns(messages: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for message in messages:
        blocks = normal_blocks(message["content"])
        if message["role"] == "assistant":
            order = {"thinking": 0, "redacted_thinking": 0, "text": 1, "tool_use": 2}
            blocks.sort(key=lambda block: order[block["type"]])
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((message["role"], blocks))
    return turns


def normal_blocks(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    blocks = []
    for block in content:
        if block["type"] == "text" and not block["text"].strip():
            continue
        block = {name: value for name, value in block.items() if value}
        block.pop("caller", None)  # who called, where only the model can
        if block["type"] == "tool_use":
            block.setdefault("input", {})
        if isinstance(block.get("content"), str | list):
            block["content"] = normal_blocks(block["content"])
        if block["type"] == "document":
            block.pop("citations", None)
        blocks.append(block)
    blocks.sort(key=lambda block: block["type"] != "tool_result")
    return blocks


def normal_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        return tool
    kept = ("name", "description", "input_schema", "cache_control")
    normalised = {name: tool[name] for name in kept if tool.get(name)}
    normalised["input_schema"] = {**normalised["input_schema"], "type": "object"}
    return normalised


def endpoint_of(request: dict[str, Any]) -> Endpoint:
    """The endpoint that was called: what its model takes, in as far as the request shows it."""
    thinking = (request.get("thinking") or {}).get("type")
    effort = (request.get("output_config") or {}).get("effort")
    reasoning = Reasoning(
        supported=bool(thinking or effort),
        efforts=("max", "xhigh", "high", "medium", "low") if effort else (),
        budget_min=None if thinking == "adaptive" else 1024,
    )
    slug = re.sub(r"-(0|20[0-9]{6})$", "", request["model"])
    found = an_endpoint("anthropic", model=f"anthropic/{slug}", supported=frozenset())
    return msgspec.structs.replace(
        found, reasoning=reasoning, provider_model_id=request["model"], max_completion_tokens=32_000
    )


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_what_is_sent_is_what_was_recorded_and_what_the_official_types_take(
    case: Recording,
) -> None:
    recorded = case.request
    said = spoken(recorded, streamed=bool(recorded.get("stream")))
    request = OpenAIChat().decode(msgspec.json.encode(said))
    sent = json.loads(AnthropicChat().encode(request, endpoint_of(recorded), KEY).body)
    official().validate_python(sent, strict=True)
    assert normal(sent) == normal(recorded)
    assert sent["model"] == recorded["model"]
    assert sent["max_tokens"] == recorded.get("max_tokens", 32_000)
    thinking = recorded.get("thinking")
    if thinking is not None:
        expected = (
            {**thinking, "display": "summarized"} if thinking["type"] == "adaptive" else thinking
        )
        assert sent["thinking"] == expected
    else:
        assert "thinking" not in sent
    if effort := (recorded.get("output_config") or {}).get("effort"):
        assert sent["output_config"]["effort"] == effort
    for name in ("temperature", "top_p", "top_k"):
        assert sent.get(name) == recorded.get(name)


ALL = [case for case in load_native("anthropic") if "count_tokens" not in case.path]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in ALL])
def test_a_request_in_this_format_travels_as_it_was_written(case: Recording) -> None:
    request = AnthropicMessages().decode(msgspec.json.encode(case.request))
    sent = json.loads(AnthropicChat().encode(request, endpoint_of(case.request), KEY).body)
    expected = {"max_tokens": 32_000, **case.request}
    # It names an end user, of whom a digest is told; see core/end_user.py.
    expected.pop("metadata", None)
    for body in (sent, expected):
        if not body.get("stream"):
            body.pop("stream", None)
    assert sent == expected


THOUGHTFUL = [
    case
    for case in ALL
    if case.status == 200 and (b'"signature"' in case.body or b'"redacted_thinking"' in case.body)
]


def test_there_are_recorded_thoughts() -> None:
    assert len(THOUGHTFUL) > 40


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in THOUGHTFUL])
def test_a_caller_who_returns_our_answer_returns_claudes_thinking(case: Recording) -> None:
    """Signatures survive the way to a caller of OpenAI's format and back in his next request."""
    adapter, dialect = AnthropicChat(), OpenAIChat()
    decoder = adapter.decoder(streamed=case.is_sse)
    events = decoder.feed(case.body) + decoder.finish()
    closing = Closing(Usage(), Charge(NanoUSD(0), NanoUSD(0), NanoUSD(0)))
    head = AnswerHead(GenerationId("gen-1"), "anthropic/claude", "Anthropic", 0)
    answer = json.loads(dialect.whole(head, events, closing))["choices"][0]["message"]
    asked = {"role": "user", "content": "Go on."}
    request = dialect.decode(msgspec.json.encode({"messages": [asked, answer, asked]}))
    sent = json.loads(adapter.encode(request, endpoint_of(case.request), KEY).body)
    returned = [
        (block.get("thinking", ""), block.get("signature", ""), block.get("data", ""))
        for block in sent["messages"][1]["content"]
        if block["type"] in ("thinking", "redacted_thinking")
    ]
    said = truth.read(case.body, is_sse=case.is_sse)
    assert returned == [(t.text, t.signature, t.data) for t in said.thoughts]
