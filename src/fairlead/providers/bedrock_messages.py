"""A conversation as Converse wants it: system apart, user and assistant in turn.

- Results of tools are the user's; neighbours of one role become one message.
- Thoughts go back to Claude with their signatures, in front of everything else of their message. Unsigned
  ones are left out: Claude refuses them, and other models take none back.
- Where nobody but the system spoke, its words become the user's, because Converse wants a user.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, assert_never

import msgspec

from fairlead.core.chat import (
    AssistantMessage,
    Content,
    DeveloperMessage,
    FunctionCall,
    FunctionMessage,
    Message,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from fairlead.providers.bedrock_content import Block, Documents, content_blocks
from fairlead.providers.bedrock_models import Family

__all__ = ["Conversation", "conversation"]

TOOL_ID_CHARACTERS_MAX: Final = 64
_TOOL_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NOT_IN_TOOL_IDS: Final = re.compile(r"[^a-zA-Z0-9_.:-]")
_NO_OUTPUT: Final = "(no output)"  # Converse refuses empty text, and a result without content
_PAUSE: Final = (
    "."  # an answer between a result and the user's next words, for models that want one
)
_CLAUDE: Final = "anthropic-claude-v1"

_decode: Final = msgspec.json.Decoder().decode


@dataclass(slots=True)
class Conversation:
    """system, messages: in Converse's form. tool_names: of all calls in it, in order, each once."""

    system: list[Block] = field(default_factory=list)
    messages: list[dict[str, object]] = field(default_factory=list)
    tool_names: dict[str, None] = field(default_factory=dict)

    def add(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        last = self.messages[-1] if self.messages else None
        if last is not None and last["role"] == role:
            held = last["content"]
            assert isinstance(held, list)
            held.extend(blocks)
        else:
            self.messages.append({"role": role, "content": blocks})

    @property
    def last_blocks(self) -> list[Block]:
        """Of the last message; it can be added to."""
        blocks = self.messages[-1]["content"]
        assert isinstance(blocks, list)
        return blocks

    def user_contents(self) -> Iterator[list[Block]]:
        for message in self.messages:
            blocks = message["content"]
            assert isinstance(blocks, list)
            if message["role"] == "user":
                yield blocks

    @property
    def ends_with_results(self) -> bool:
        return bool(self.messages) and any("toolResult" in block for block in self.last_blocks)

    @property
    def may_think_by_budget(self) -> bool:
        """Claude with a budget wants the turn it continues to begin with its own signed thoughts."""
        for message in reversed(self.messages):
            blocks = message["content"]
            assert isinstance(blocks, list)
            if message["role"] == "assistant":
                return "reasoningContent" in blocks[0]
            if not any("toolResult" in block for block in blocks):
                return True
        return True


def conversation(messages: Sequence[Message], family: Family) -> Conversation:
    """Raises RequestInvalid for parts that Converse cannot take."""
    told = Conversation()
    documents = Documents()
    open_calls: list[str] = []  # ids of the last turn's calls, for results that name none
    for position, message in enumerate(messages):
        path = f"messages[{position}].content"
        match message:
            case SystemMessage() | DeveloperMessage():
                told.system += _named(
                    message.name, _blocks(message.content, documents, path, family)
                )
            case UserMessage():
                if not family.mixes_results and told.ends_with_results:
                    told.add("assistant", [{"text": _PAUSE}])
                told.add(
                    "user", _named(message.name, _blocks(message.content, documents, path, family))
                )
            case AssistantMessage():
                open_calls = _add_answer(told, message, documents, path, family)
            case ToolMessage():
                call_id = message.tool_call_id or (open_calls.pop(0) if open_calls else "call")
                result = _result(call_id, message.content, documents, path, family)
                if message.is_error is not None:
                    result["status"] = "error" if message.is_error else "success"
                told.add("user", _with_marks(result))
            case FunctionMessage():
                call_id = open_calls.pop(0) if open_calls else message.name
                told.add(
                    "user",
                    _with_marks(_result(call_id, message.content, documents, path, family)),
                )
            case _:
                assert_never(message)
    if not told.messages:
        told.add("user", told.system)
        told.system = []
    for blocks in told.user_contents():
        _put_a_word_before_documents(blocks)
    if family.is_claude:
        _end_prefill_with_a_word(told)
    return told


def _blocks(content: Content, documents: Documents, path: str, family: Family) -> list[Block]:
    return content_blocks(content, documents, path, takes_cache_points=family.caches)


def _named(name: str | None, blocks: list[Block]) -> list[Block]:
    """`name` becomes part of the text, because Converse has no place for it."""
    if not name or not blocks:
        return blocks
    text = blocks[0].get("text")
    if isinstance(text, str):
        return [{"text": f"{name}: {text}"}, *blocks[1:]]
    return [{"text": f"{name}:"}, *blocks]


def _add_answer(
    told: Conversation,
    message: AssistantMessage,
    documents: Documents,
    path: str,
    family: Family,
) -> list[str]:
    """An earlier answer. Returns the ids of its calls."""
    blocks = _thoughts(message, family)
    blocks += _named(message.name, _blocks(message.content, documents, path, family))
    if message.refusal:
        blocks.append({"text": message.refusal})
    call_ids: list[str] = []
    for call in message.tool_calls or ():
        if call.function is not None:
            call_id = call.id or f"call_{len(told.messages)}_{len(call_ids)}"
            blocks.append(_call(call_id, call.function, told))
            call_ids.append(call_id)
    if message.function_call is not None:
        blocks.append(_call(message.function_call.name, message.function_call, told))
        call_ids.append(message.function_call.name)
    told.add("assistant", blocks)
    return call_ids


def _call(call_id: str, function: FunctionCall, told: Conversation) -> Block:
    told.tool_names[function.name] = None
    return {
        "toolUse": {
            "toolUseId": _tool_id(call_id),
            "name": function.name,
            "input": _arguments(function.arguments),
        }
    }


def _arguments(text: str) -> object:
    """The JSON object as the model wrote it. Text that is none is kept as a field: Converse takes no text."""
    if not text.strip():
        return {}
    try:
        is_object = isinstance(_decode(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    return msgspec.Raw(text.encode()) if is_object else {"invalid_arguments": text}


def _result(
    call_id: str, content: Content, documents: Documents, path: str, family: Family
) -> dict[str, object]:
    blocks = _blocks(content, documents, path, family)
    return {"toolUseId": _tool_id(call_id), "content": blocks or [{"text": _NO_OUTPUT}]}


def _with_marks(result: dict[str, object]) -> list[Block]:
    """The result's block. Cache marks cannot stand inside of it: they follow it."""
    blocks = result["content"]
    assert isinstance(blocks, list)
    marks = [block for block in blocks if "cachePoint" in block]
    result["content"] = [block for block in blocks if "cachePoint" not in block]
    return [{"toolResult": result}, *marks[-1:]]


def _tool_id(given: str) -> str:
    """The same id for a call and its result, in the characters that Converse takes."""
    if _TOOL_ID.fullmatch(given):
        return given
    digest = sha256(given.encode()).hexdigest()[:16]
    plain = _NOT_IN_TOOL_IDS.sub("_", given)[: TOOL_ID_CHARACTERS_MAX - len(digest) - 1]
    return f"{plain}_{digest}"


# --- thoughts -----------------------------------------------------------------------------------------


def _thoughts(message: AssistantMessage, family: Family) -> list[Block]:
    """`reasoning_details` as blocks. Pieces of a stream are taken too: a signature ends its thought."""
    blocks: list[Block] = []
    pieces: list[str] = []
    for raw in message.reasoning_details or ():
        detail = {name: _decode(value) for name, value in raw.items()}
        kind = detail.get("type")
        if kind == "reasoning.server_tool_call":
            blocks += _server_call(detail)
        if not family.is_claude or detail.get("format") not in (_CLAUDE, None):
            continue
        if kind == "reasoning.text":
            pieces.append(_text(detail.get("text")))
            signature = _text(detail.get("signature"))
            if signature:
                thought = {"text": "".join(pieces), "signature": signature}
                blocks.append({"reasoningContent": {"reasoningText": thought}})
                pieces = []
        elif kind == "reasoning.encrypted" and (data := _text(detail.get("data"))):
            redacted = base64.b64encode(data.encode()).decode()
            blocks.append({"reasoningContent": {"redactedContent": redacted}})
    return blocks


def _server_call(detail: Mapping[str, object]) -> list[Block]:
    """A call that Bedrock made and answered itself, as its decoder told it."""
    call_id, name = _text(detail.get("tool_call_id")), _text(detail.get("tool_name"))
    try:
        result = _decode(_text(detail.get("result")))
    except (ValueError, RecursionError):
        return []
    if not call_id or not name or not isinstance(result, dict):
        return []
    call = {
        "toolUseId": _tool_id(call_id),
        "name": name,
        "input": _arguments(_text(detail.get("arguments"))),
        "type": "server_tool_use",
    }
    return [{"toolUse": call}, {"toolResult": {"toolUseId": _tool_id(call_id), **result}}]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _put_a_word_before_documents(blocks: list[Block]) -> None:
    """Converse refuses documents without a word beside them."""
    if any("text" in block for block in blocks):
        return
    first = next((at for at, block in enumerate(blocks) if "document" in block), None)
    if first is not None:
        blocks.insert(first, {"text": "See the attached document."})


def _end_prefill_with_a_word(told: Conversation) -> None:
    """Claude goes on from the last answer's words, but not from a blank at their end."""
    if told.messages and told.messages[-1]["role"] == "assistant":
        blocks = told.last_blocks
        text = blocks[-1].get("text")
        if isinstance(text, str) and text != text.rstrip():
            if text.strip():
                blocks[-1] = {"text": text.rstrip()}
            elif len(blocks) > 1:
                blocks.pop()
