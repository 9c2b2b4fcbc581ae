"""Recorded requests of Converse as a caller of the OpenAI dialect would write them.

What that dialect has no words for goes in Converse's own, as our callers may write it.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

__all__ = ["as_openai", "model_of"]

_MEDIA_TYPES = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "mp4": "video/mp4",
}
_OWN = (
    "guardrailConfig",
    "performanceConfig",
    "requestMetadata",
    "additionalModelResponseFieldPaths",
)
CACHED = {"cache_control": {"type": "ephemeral"}}


def model_of(path: str) -> str:
    """/model/<id>/converse"""
    return path.split("/")[2].replace("%3A", ":")


def as_openai(recorded: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {name: recorded[name] for name in _OWN if name in recorded}
    body["messages"] = []
    system = _parts(recorded.get("system") or [])
    if system:
        body["messages"].append({"role": "system", "content": system})
    for message in recorded["messages"]:
        body["messages"] += _messages(message)
    _inference(body, recorded.get("inferenceConfig") or {})
    _tools(body, recorded.get("toolConfig") or {})
    _model_fields(body, recorded.get("additionalModelRequestFields") or {})
    if "serviceTier" in recorded:
        body["service_tier"] = recorded["serviceTier"]["type"]
    if "outputConfig" in recorded:
        schema = recorded["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        schema = {**schema, "schema": json.loads(schema["schema"])}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _inference(body: dict[str, Any], given: dict[str, Any]) -> None:
    names = {
        "maxTokens": "max_tokens",
        "temperature": "temperature",
        "topP": "top_p",
        "stopSequences": "stop",
    }
    body.update({names[name]: value for name, value in given.items()})


def _tools(body: dict[str, Any], given: dict[str, Any]) -> None:
    if not given:
        return
    body["tools"] = []
    for tool in given["tools"]:
        if "cachePoint" in tool:
            body["tools"][-1].update(CACHED)
        elif "systemTool" in tool:
            body["tools"].append({"type": "systemTool", **tool})
        else:
            spec = dict(tool["toolSpec"])
            spec["parameters"] = spec.pop("inputSchema")["json"]
            body["tools"].append({"type": "function", "function": spec})
    choice = given.get("toolChoice") or {}
    if "tool" in choice:
        body["tool_choice"] = {"type": "function", "function": choice["tool"]}
    elif choice:
        body["tool_choice"] = "required" if "any" in choice else "auto"


def _model_fields(body: dict[str, Any], given: dict[str, Any]) -> None:
    left = dict(given)
    thinking = left.pop("thinking", None)
    if thinking and "budget_tokens" in thinking:
        body["reasoning"] = {"max_tokens": thinking["budget_tokens"]}
    elif thinking:
        effort = left.pop("output_config", {}).get("effort", "medium")
        body["reasoning"] = {"effort": effort}
    if "reasoningConfig" in left:
        body["reasoning"] = {"effort": left.pop("reasoningConfig")["maxReasoningEffort"]}
    for name in ("reasoning_effort", "reasoning_config"):
        if name in left:
            body["reasoning"] = {"effort": left.pop(name)}
    if "top_k" in left:
        body["top_k"] = left.pop("top_k")
    if "topK" in left.get("inferenceConfig", {}):
        body["top_k"] = left.pop("inferenceConfig")["topK"]
    assert not left, left


def _messages(message: dict[str, Any]) -> list[dict[str, Any]]:
    if message["role"] == "assistant":
        return [_answer(message["content"])]
    told: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for block in message["content"]:
        if "toolResult" in block:
            result = block["toolResult"]
            entry = {
                "role": "tool",
                "tool_call_id": result["toolUseId"],
                "content": _parts(result["content"]),
            }
            if "status" in result:
                entry["is_error"] = result["status"] == "error"
            told.append(entry)
        else:
            rest.append(block)
    if rest:
        told.append({"role": "user", "content": _parts(rest)})
    return told


def _answer(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {"role": "assistant", "content": ""}
    for block in blocks:
        if "reasoningContent" in block:
            told.setdefault("reasoning_details", []).append(_thought(block["reasoningContent"]))
        elif "toolUse" in block and block["toolUse"].get("type") == "server_tool_use":
            use = block["toolUse"]
            result = next(
                other["toolResult"]
                for other in blocks
                if other.get("toolResult", {}).get("toolUseId") == use["toolUseId"]
            )
            detail = {
                "type": "reasoning.server_tool_call",
                "tool_name": use["name"],
                "arguments": json.dumps(use["input"]),
                "tool_call_id": use["toolUseId"],
                "result": json.dumps({k: v for k, v in result.items() if k != "toolUseId"}),
            }
            told.setdefault("reasoning_details", []).append(detail)
        elif "toolUse" in block:
            use = block["toolUse"]
            function = {"name": use["name"], "arguments": json.dumps(use["input"])}
            call = {"id": use["toolUseId"], "type": "function", "function": function}
            told.setdefault("tool_calls", []).append(call)
        elif "text" in block:
            told["content"] += block["text"]
        else:
            assert "toolResult" in block, block
    return told


def _thought(content: dict[str, Any]) -> dict[str, Any]:
    if "redactedContent" in content:
        data = base64.b64decode(content["redactedContent"]).decode()
        return {"type": "reasoning.encrypted", "data": data, "format": "anthropic-claude-v1"}
    return {
        "type": "reasoning.text",
        "format": "anthropic-claude-v1",
        **content["reasoningText"],
    }


def _parts(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for block in blocks:
        ((kind, value),) = block.items()
        if kind == "cachePoint":
            parts[-1].update(CACHED)
        elif kind == "text":
            parts.append({"type": "text", "text": value})
        elif kind == "json":
            parts.append({"type": "text", "text": json.dumps(value)})
        elif kind == "image":
            parts.append({"type": "image_url", "image_url": {"url": _url(value)}})
        elif kind == "video":
            parts.append({"type": "video_url", "video_url": {"url": _url(value)}})
        elif kind == "document":
            about = {"filename": f"{value['name']}.{value['format']}", "file_data": _url(value)}
            parts.append({"type": "file", "file": about})
        else:
            parts.append({"type": kind, kind: value})
    return parts


def _url(value: dict[str, Any]) -> str:
    source = value["source"]
    if "s3Location" in source:
        return source["s3Location"]["uri"]
    media_type = _MEDIA_TYPES[value["format"]]
    if "text" in source:
        return f"data:{media_type},{quote(source['text'])}"
    return f"data:{media_type};base64,{source['bytes']}"
