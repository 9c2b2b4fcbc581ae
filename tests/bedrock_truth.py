"""What a recorded answer of Converse says, read with `json` and AWS's own framing: the truth that our
decoder is held to. Deliberately naive and independent of the product.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from botocore.eventstream import EventStreamBuffer

__all__ = ["SaidByConverse", "read_converse"]


@dataclass
class SaidByConverse:
    """signatures, redacted: of thoughts, in order; redacted as the model itself wrote it.

    calls: (id, name, arguments) of the caller's tools. server_calls: names of the calls Bedrock answered.
    """

    text: str = ""
    reasoning: str = ""
    signatures: list[str] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    server_calls: list[str] = field(default_factory=list)
    cited: list[str] = field(default_factory=list)
    finish: str = ""
    usage: dict[str, int] = field(default_factory=dict)


def read_converse(body: bytes, *, is_stream: bool) -> SaidByConverse:
    return _read_stream(body) if is_stream else _read_whole(json.loads(body))


def _read_whole(answer: Any) -> SaidByConverse:
    said = SaidByConverse(finish=answer["stopReason"], usage=_numbers(answer["usage"]))
    for block in answer["output"]["message"]["content"]:
        said.text += block.get("text", "")
        if "reasoningContent" in block:
            _add_thought(said, block["reasoningContent"])
        if "citationsContent" in block:
            said.text += "".join(c["text"] for c in block["citationsContent"]["content"])
            said.cited += [c["title"] for c in block["citationsContent"]["citations"]]
        if "toolUse" in block:
            use = block["toolUse"]
            if use.get("type") == "server_tool_use":
                said.server_calls.append(use["name"])
            else:
                said.calls.append((use["toolUseId"], use["name"], use["input"]))
    return said


def _add_thought(said: SaidByConverse, thought: Any) -> None:
    if "reasoningText" in thought:
        said.reasoning += thought["reasoningText"]["text"]
        if "signature" in thought["reasoningText"]:
            said.signatures.append(thought["reasoningText"]["signature"])
    if "redactedContent" in thought:
        said.redacted.append(base64.b64decode(thought["redactedContent"]).decode())


def _read_stream(body: bytes) -> SaidByConverse:
    said = SaidByConverse()
    arguments: dict[int, str] = {}
    calls: dict[int, Any] = {}
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    for message in buffer:
        fields = json.loads(message.payload)
        match message.headers[":event-type"]:
            case "contentBlockStart" if "toolUse" in fields["start"]:
                calls[fields["contentBlockIndex"]] = fields["start"]["toolUse"]
            case "contentBlockDelta":
                delta = fields["delta"]
                said.text += delta.get("text", "")
                said.reasoning += delta.get("reasoningContent", {}).get("text", "")
                if "signature" in delta.get("reasoningContent", {}):
                    said.signatures.append(delta["reasoningContent"]["signature"])
                if "toolUse" in delta:
                    index = fields["contentBlockIndex"]
                    arguments[index] = arguments.get(index, "") + delta["toolUse"]["input"]
            case "messageStop":
                said.finish = fields["stopReason"]
            case "metadata":
                said.usage = _numbers(fields["usage"])
    for index, use in calls.items():
        parsed = json.loads(arguments.get(index) or "{}")
        said.calls.append((use["toolUseId"], use["name"], parsed))
    return said


def _numbers(usage: Any) -> dict[str, int]:
    return {name: value for name, value in usage.items() if isinstance(value, int)}
