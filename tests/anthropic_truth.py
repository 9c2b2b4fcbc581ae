"""What a recorded answer in the Messages format says, read with nothing but `json`.

Deliberately naive and independent of the product: the truth that its readers and writers are held to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SaidCall", "SaidMessage", "SaidThought", "events_in", "read"]


@dataclass
class SaidCall:
    """input: the arguments, as a value."""

    id: str
    name: str
    input: Any


@dataclass
class SaidThought:
    """Thinking with its signature, or redacted data."""

    text: str = ""
    signature: str = ""
    data: str = ""


@dataclass
class SaidMessage:
    id: str = ""
    model: str = ""
    text: str = ""
    thoughts: list[SaidThought] = field(default_factory=list)
    calls: list[SaidCall] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    stop_reason: str = ""
    usage: dict[str, Any] = field(default_factory=dict)


def events_in(body: bytes) -> list[dict[str, Any]]:
    """The data of a stream's events."""
    return [
        json.loads(line[5:])
        for line in body.decode().splitlines()
        if line.startswith("data:") and line[5:].strip() != "[DONE]"
    ]


def read(body: bytes, *, is_sse: bool) -> SaidMessage:
    return _read_stream(body) if is_sse else _read_whole(json.loads(body))


def _read_whole(message: dict[str, Any]) -> SaidMessage:
    said = SaidMessage(id=message["id"], model=message["model"], usage=message["usage"])
    said.stop_reason = message["stop_reason"]
    for block in message["content"]:
        if block["type"] == "text":
            said.text += block["text"]
            for citation in block.get("citations") or []:
                _add_url(said, citation)
        elif block["type"] == "thinking":
            said.thoughts.append(SaidThought(block["thinking"], block["signature"]))
        elif block["type"] == "redacted_thinking":
            said.thoughts.append(SaidThought(data=block["data"]))
        elif block["type"] == "tool_use":
            said.calls.append(SaidCall(block["id"], block["name"], block["input"]))
    return said


def _read_stream(body: bytes) -> SaidMessage:
    """Put the message together from its events, then read that."""
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    inputs: dict[int, str] = {}
    for event in events_in(body):
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                blocks[event["index"]] = event["content_block"]
            case "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = block.get("signature", "") + delta["signature"]
                    case "input_json_delta":
                        inputs[event["index"]] = (
                            inputs.get(event["index"], "") + delta["partial_json"]
                        )
                    case "citations_delta":
                        block["citations"] = [*(block.get("citations") or []), delta["citation"]]
            case "message_delta":
                message["stop_reason"] = event["delta"]["stop_reason"]
                message["usage"] = {**message["usage"], **event["usage"]}
    for index, text in inputs.items():
        if text:
            blocks[index]["input"] = json.loads(text)
    message["content"] = [blocks[index] for index in sorted(blocks)]
    return _read_whole(message)


def _add_url(said: SaidMessage, citation: dict[str, Any]) -> None:
    url = citation.get("url") or citation.get("source")
    if url:
        said.urls.append(url)
