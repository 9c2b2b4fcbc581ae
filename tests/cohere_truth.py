"""What a recorded answer of Cohere says, read with nothing but `json`: the truth that our decoder is held to.

Deliberately naive and independent of the product.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SaidByCohere", "read_cohere"]


@dataclass
class SaidByCohere:
    """calls: (id, name, arguments). cited: (start, end, text) for each source of each citation."""

    id: str = ""
    text: str = ""
    plan: str = ""
    thinking: str = ""
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    cited: list[tuple[int, int, str]] = field(default_factory=list)
    finish: str = ""
    error_type: str = ""
    usage: dict[str, Any] = field(default_factory=dict)


def read_cohere(body: bytes, *, is_sse: bool) -> SaidByCohere:
    return _read_stream(body.decode()) if is_sse else _read_whole(json.loads(body))


def _read_whole(answer: Any) -> SaidByCohere:
    message = answer["message"]
    said = SaidByCohere(id=answer["id"], finish=answer["finish_reason"], usage=answer["usage"])
    for content in message.get("content") or []:
        said.text += content.get("text", "")
        said.thinking += content.get("thinking", "")
    said.plan = message.get("tool_plan", "")
    for call in message.get("tool_calls") or []:
        function = call["function"]
        said.calls.append((call["id"], function["name"], function["arguments"]))
    for citation in message.get("citations") or []:
        _cite(said, citation)
    return said


def _cite(said: SaidByCohere, citation: Any) -> None:
    for _ in citation["sources"]:
        said.cited.append((citation["start"], citation["end"], citation["text"]))


def _read_stream(body: str) -> SaidByCohere:
    said = SaidByCohere()
    for line in body.splitlines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        message = event.get("delta", {}).get("message", {})
        match event["type"]:
            case "message-start":
                said.id = event["id"]
            case "content-start" | "content-delta":
                said.text += message["content"].get("text", "")
                said.thinking += message["content"].get("thinking", "")
            case "tool-plan-delta":
                said.plan += message["tool_plan"]
            case "tool-call-start":
                call = message["tool_calls"]
                function = call["function"]
                said.calls.append((call["id"], function["name"], function["arguments"]))
            case "tool-call-delta":
                id_, name, arguments = said.calls[-1]
                arguments += message["tool_calls"]["function"]["arguments"]
                said.calls[-1] = (id_, name, arguments)
            case "citation-start":
                _cite(said, message["citations"])
            case "message-end":
                said.finish = event["delta"]["finish_reason"]
                said.usage = event["delta"]["usage"]
                said.error_type = event["delta"].get("error_type", "")
    return said
