"""Recorded requests to Google, as an OpenAI caller would have written them. Test-only, and naive.

What has no word there is left out: Google's own tools, cached contents, labels.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["as_openai", "camel"]

_LEVELS = {"AUTO": "auto", "NONE": "none", "ANY": "required", "VALIDATED": "auto"}


def camel(value: Any) -> Any:
    """Field names in one spelling; the recorded ones have two. Values of schemas and arguments stay."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        name = re.sub("_([a-z])", lambda match: match[1].upper(), name)
        is_data = name in ("args", "response", "parameters", "parametersJsonSchema") or (
            name in ("responseSchema", "responseJsonSchema")
        )
        found[name] = inner if is_data else camel(inner)
    return found


def as_openai(google: dict[str, Any]) -> dict[str, Any]:
    google = camel(google)
    body: dict[str, Any] = {"messages": _messages(google)}
    tools = [
        {"type": "function", "function": _function(declaration)}
        for tool in google.get("tools", [])
        for declaration in tool.get("functionDeclarations", [])
    ]
    if tools:
        body["tools"] = tools
    if any("googleSearch" in tool for tool in google.get("tools", [])):
        body["web_search_options"] = {"search_context_size": "medium"}
    calling = google.get("toolConfig", {}).get("functionCallingConfig")
    if calling:
        names = calling.get("allowedFunctionNames") or []
        body["tool_choice"] = _LEVELS[calling["mode"].upper()]
        if len(names) == 1:
            body["tool_choice"] = {"type": "function", "function": {"name": names[0]}}
    body.update(_settings(google.get("generationConfig", {})))
    return body


def _function(declaration: dict[str, Any]) -> dict[str, Any]:
    function = {"name": declaration["name"]}
    if declaration.get("description"):
        function["description"] = declaration["description"]
    if "parametersJsonSchema" in declaration:
        function["parameters"] = declaration["parametersJsonSchema"]
    elif "parameters" in declaration:
        function["parameters"] = _json_schema(declaration["parameters"])
    return function


def _json_schema(schema: Any) -> Any:
    """OpenAPI's types are written large."""
    if isinstance(schema, list):
        return [_json_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.lower() if name == "type" and isinstance(value, str) else _json_schema(value)
        for name, value in schema.items()
    }


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    names = {
        "temperature": "temperature",
        "topP": "top_p",
        "maxOutputTokens": "max_completion_tokens",
        "stopSequences": "stop",
        "seed": "seed",
        "candidateCount": "n",
        "responseLogprobs": "logprobs",
        "logprobs": "top_logprobs",
    }
    body = {ours: config[theirs] for theirs, ours in names.items() if theirs in config}
    if "topK" in config:
        body["top_k"] = int(config["topK"])
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema is not None:
        wanted = {"name": "answer", "schema": _json_schema(schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    elif config.get("responseMimeType") == "application/json":
        body["response_format"] = {"type": "json_object"}
    if config.get("responseModalities"):
        body["modalities"] = [modality.lower() for modality in config["responseModalities"]]
    thinking = config.get("thinkingConfig", {})
    if "thinkingLevel" in thinking:
        body["reasoning"] = {"effort": thinking["thinkingLevel"].lower()}
    elif "thinkingBudget" in thinking:
        body["reasoning"] = {"max_tokens": thinking["thinkingBudget"]}
    if "includeThoughts" in thinking:
        body.setdefault("reasoning", {})["exclude"] = not thinking["includeThoughts"]
    return body


# --- messages ---------------------------------------------------------------------------------------------


def _messages(google: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": part["text"]}
        for part in google.get("systemInstruction", {}).get("parts", [])
    ]
    ids: list[tuple[str, str]] = []  # (function, id) of calls that wait for their result
    for content in google["contents"]:
        if content.get("role") == "model":
            messages.append(_assistant(content["parts"], ids))
        else:
            messages += _user(content["parts"], ids)
    return messages


def _assistant(parts: list[dict[str, Any]], ids: list[tuple[str, str]]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    texts = []
    details = []
    calls = []
    for part in parts:
        call_id = None
        if "functionCall" in part:
            call = part["functionCall"]
            call_id = call.get("id") or f"minted_{len(ids)}"
            ids.append((call["name"], call_id))
            arguments = json.dumps(call["args"])
            function = {"name": call["name"], "arguments": arguments}
            calls.append({"id": call_id, "type": "function", "function": function})
        elif part.get("thought"):
            thought = {"type": "reasoning.text", "text": part.get("text", "")}
            if "thoughtSignature" in part:
                thought["signature"] = part["thoughtSignature"]
            details.append(thought)
            continue
        elif "text" in part:
            texts.append(part["text"])
        else:
            continue  # Google's own tools
        if "thoughtSignature" in part:
            data = part["thoughtSignature"]
            details.append({"type": "reasoning.encrypted", "data": data, "id": call_id})
    if texts:
        message["content"] = "".join(texts)
    if calls:
        message["tool_calls"] = calls
    if details:
        message["reasoning_details"] = [
            {**detail, "format": "google-gemini-v1", "index": index}
            for index, detail in enumerate(details)
        ]
    return message


def _user(parts: list[dict[str, Any]], ids: list[tuple[str, str]]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []
    for part in parts:
        if "functionResponse" in part:
            messages.append(_result(part["functionResponse"], ids))
        elif (made := _part(part)) is not None:
            said.append(made)
    if said:
        messages.append({"role": "user", "content": said})
    return messages


def _result(response: dict[str, Any], ids: list[tuple[str, str]]) -> dict[str, Any]:
    name = response["name"]
    waiting = next(one for one in ids if one[0] == name and response.get("id") in (None, one[1]))
    ids.remove(waiting)
    content: Any = json.dumps(response["response"])
    media = [made for part in response.get("parts", []) if (made := _part(part)) is not None]
    if media:
        content = [{"type": "text", "text": content}, *media]
    return {"role": "tool", "tool_call_id": waiting[1], "content": content}


def _part(part: dict[str, Any]) -> dict[str, Any] | None:
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    blob = part.get("inlineData") or part.get("fileData")
    if blob is None:
        return None
    kind = blob.get("mimeType", "video/mp4")
    url = blob.get("fileUri") or f"data:{kind};base64,{blob['data']}"
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    if kind.startswith("video/"):
        return {"type": "video_url", "video_url": {"url": url}}
    if kind.startswith("audio/") and "data" in blob:
        audio = {"data": blob["data"], "format": kind.partition("/")[2]}
        return {"type": "input_audio", "input_audio": audio}
    return {"type": "file", "file": {"filename": "file", "file_data": url}}
