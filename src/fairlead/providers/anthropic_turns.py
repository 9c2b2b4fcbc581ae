"""A conversation in our vocabulary as the turns and blocks of the Anthropic Messages format.

There a conversation has turns of two kinds, and turns of one kind that follow each other are one. The system
prompt stands apart from them, so messages of the roles system and developer go there, wherever they were. A
turn is a list of blocks, and the format has rules about them that others do not:

- results of tools are blocks of the user's turn, before everything else in it;
- an assistant's turn begins with its thinking, which must be as Claude signed it: what another model thought,
  or nobody signed, stays behind;
- text is never blank, and the last turn, if it is the assistant's (a prefill), does not end in white space;
- the ids of calls have letters, digits, `_` and `-` only. Others are rewritten, the same in call and result.

Raises RequestInvalid for a part that has no form here, with its path: to drop it would change the question.

Source: https://docs.claude.com/en/api/messages (read 2026-11-21).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal, assert_never
from urllib.parse import unquote_to_bytes

import msgspec

from fairlead.core.chat import (
    AssistantMessage,
    AudioPart,
    CacheControl,
    ChatBody,
    ChatRequest,
    Content,
    DeveloperMessage,
    FilePart,
    FunctionMessage,
    ImagePart,
    OtherPart,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
    VideoPart,
)
from fairlead.core.errors import ErrorType, RequestInvalid
from fairlead.wire.anthropic_reasoning import NATIVE_FORMAT

__all__ = ["Block", "Conversation", "Turn", "cache_mark", "conversation_of"]

Block = dict[str, object]

_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_IN_IDS: Final = re.compile(r"[^a-zA-Z0-9_-]")
# Blocks of this format inside a request in another: whoever writes them knows whom he talks to.
_NATIVE_BLOCKS: Final = frozenset({"image", "document", "search_result", "container_upload"})
_IMAGE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_TEXT_TYPES: Final = frozenset(
    {
        "application/json", "application/xml", "application/yaml", "application/x-yaml",
        "application/javascript", "application/x-ndjson", "application/sql", "application/toml",
    }
)  # fmt: skip

# What some gateways write instead of encrypted thinking in a stream.
_WITHHELD: Final = "[REDACTED]"

_decode: Final = msgspec.json.Decoder().decode


@dataclass(slots=True)
class Turn:
    """What one side says until the other one does. content: never empty."""

    role: Literal["user", "assistant"]
    content: list[Block]


@dataclass(slots=True)
class Conversation:
    """system: text blocks. turns: alternating."""

    system: list[Block] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    @property
    def has_prefill(self) -> bool:
        return bool(self.turns) and self.turns[-1].role == "assistant"

    @property
    def is_inside_unsigned_tool_use(self) -> bool:
        """Whether it waits for the model in the middle of a turn of tool calls that shows no thinking."""
        if len(self.turns) < 2 or self.has_prefill:
            return False
        results, calls = self.turns[-1].content, self.turns[-2].content
        if not any(block["type"] == "tool_result" for block in results):
            return False
        return calls[0]["type"] not in ("thinking", "redacted_thinking")


def conversation_of(request: ChatRequest, *, takes_urls: bool) -> Conversation:
    """takes_urls: whether images and documents may be given by their address."""
    messages = request.body.messages
    if messages is None:
        messages = [UserMessage(_prompt_text(request.body))]
    writer = _Writer(takes_urls=takes_urls)
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        match message:
            case SystemMessage() | DeveloperMessage():
                blocks = _named(writer.blocks(message.content, path), message.name)
                writer.conversation.system += blocks
            case UserMessage():
                writer.add("user", _named(writer.blocks(message.content, path), message.name))
            case AssistantMessage():
                writer.add("assistant", writer.answer(message, path))
            case ToolMessage():
                writer.add("user", [writer.result(message, path)])
            case FunctionMessage():
                result = ToolMessage(message.content, name=message.name)
                writer.add("user", [writer.result(result, path)])
            case _:
                assert_never(message)
    return writer.done()


def _cache_fields(part: Part) -> Block:
    """The block's mark for the cache, if the part has one."""
    if not isinstance(part, TextPart | ImagePart | FilePart) or part.cache_control is None:
        return {}
    return {"cache_control": cache_mark(part.cache_control)}


def cache_mark(control: CacheControl) -> Block:
    mark: Block = {"type": control.type}
    if control.ttl is not None:
        mark["ttl"] = control.ttl
    return mark


class _Writer:
    """Writes turns in order; knows the calls that wait for a result."""

    __slots__ = ("_calls_made", "_takes_urls", "_waiting", "conversation")

    def __init__(self, *, takes_urls: bool) -> None:
        self.conversation = Conversation()
        self._takes_urls = takes_urls
        self._calls_made = 0
        self._waiting: list[tuple[str, str]] = []  # (id, name) of calls without a result so far

    def add(self, role: Literal["user", "assistant"], blocks: list[Block]) -> None:
        if not blocks:
            return
        turns = self.conversation.turns
        if turns and turns[-1].role == role:
            turns[-1].content += blocks
        else:
            turns.append(Turn(role, blocks))

    def done(self) -> Conversation:
        conversation = self.conversation
        if not conversation.turns:
            # Only instructions: the format needs somebody who asks.
            self.add("user", conversation.system[-1:])
            del conversation.system[-1:]
        if not conversation.turns:
            raise RequestInvalid("The messages hold no text.", param="messages")
        for turn in conversation.turns:
            if turn.role == "user":
                turn.content.sort(key=lambda block: block["type"] != "tool_result")
        if conversation.has_prefill:
            _trim(conversation)
        return conversation

    # --- messages -------------------------------------------------------------------------------------

    def answer(self, message: AssistantMessage, path: str) -> list[Block]:
        blocks = _thinking(message.reasoning_details or ())
        blocks += _named(self.blocks(message.content, path), message.name)
        if message.refusal and message.refusal.strip():
            blocks.append({"type": "text", "text": message.refusal})
        calls = list(message.tool_calls or ())
        if message.function_call is not None:
            calls.append(ToolCall(function=message.function_call))
        self._waiting = []
        for call in calls:
            if call.function is None:
                continue
            self._calls_made += 1
            call_id = _safe_id(call.id or f"call_{self._calls_made}")
            self._waiting.append((call_id, call.function.name))
            blocks.append(
                {
                    "type": "tool_use",
                    "id": call_id,
                    "name": call.function.name,
                    "input": _input(call.function.arguments),
                }
            )
        return blocks

    def result(self, message: ToolMessage, path: str) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": self._answered(message)}
        content = message.content
        if isinstance(content, str):
            if content.strip():
                block["content"] = content
        elif content:
            parts = self.blocks(content, path)
            for part in parts:  # a mark for the cache is the whole result's
                if "cache_control" in part:
                    block["cache_control"] = part.pop("cache_control")
            if parts:
                block["content"] = parts
        if message.is_error:
            block["is_error"] = True
        return block

    def _answered(self, message: ToolMessage) -> str:
        """The id of the call that this is the result of. Some callers do without: then it is the next one."""
        if message.tool_call_id:
            call_id = _safe_id(message.tool_call_id)
        else:
            named = (call for call, name in self._waiting if name == message.name)
            first = next(iter(self._waiting), ("call_unknown", ""))
            call_id = next(named, first[0])
        self._waiting = [(call, name) for call, name in self._waiting if call != call_id]
        return call_id

    # --- parts ----------------------------------------------------------------------------------------

    def blocks(self, content: Content, path: str) -> list[Block]:
        if content is None:
            return []
        if isinstance(content, str):
            return _text(content)
        blocks: list[Block] = []
        for index, part in enumerate(content):
            blocks += self._part(part, f"{path}.content[{index}]")
        return blocks

    def _part(self, part: Part, path: str) -> list[Block]:
        match part:
            case TextPart():
                return [{**block, **_cache_fields(part)} for block in _text(part.text)]
            case RefusalPart():
                return _text(part.refusal)
            case ImagePart():
                source = self._image(part.image_url.url, f"{path}.image_url.url")
                return [{"type": "image", "source": source, **_cache_fields(part)}]
            case FilePart():
                return [{**self._file(part, f"{path}.file"), **_cache_fields(part)}]
            case OtherPart():
                return [_native(part, path)]
            case AudioPart():
                raise RequestInvalid("This model takes no audio.", param=path)
            case VideoPart():
                raise RequestInvalid("This model takes no video.", param=path)
            case _:
                assert_never(part)

    def _image(self, url: str, path: str) -> Block:
        if not url.startswith("data:"):
            return self._address(url, path, ErrorType.INVALID_IMAGE)
        media_type, data = _data_url(url, path, ErrorType.INVALID_IMAGE)
        if media_type == "image/jpg":
            media_type = "image/jpeg"
        return {"type": "base64", "media_type": media_type, "data": data}

    def _file(self, part: FilePart, path: str) -> Block:
        file = part.file
        title: Block = {"title": file.filename} if file.filename else {}
        if file.file_data is None:
            if file.file_id is None:
                raise RequestInvalid("A file needs `file_data`.", param=path)
            source: Block = {"type": "file", "file_id": file.file_id}
            if (file.filename or "").lower().endswith(_IMAGE_ENDINGS):
                return {"type": "image", "source": source}
            return {"type": "document", "source": source, **title}
        path = f"{path}.file_data"
        if not file.file_data.startswith("data:"):
            source = self._address(file.file_data, path, ErrorType.INVALID_REQUEST)
            return {"type": "document", "source": source, **title}
        media_type, data = _data_url(file.file_data, path, ErrorType.INVALID_REQUEST)
        if media_type.startswith("image/"):
            return {"type": "image", "source": self._image(file.file_data, path)}
        source = {"type": "base64", "media_type": media_type, "data": data}
        if media_type.startswith("text/") or media_type in _TEXT_TYPES:
            source = {"type": "text", "media_type": "text/plain", "data": _plain(data, path)}
        return {"type": "document", "source": source, **title}

    def _address(self, url: str, path: str, error_type: ErrorType) -> Block:
        if not url.startswith(("http://", "https://")):
            raise RequestInvalid(
                "An address must begin with https:// or data:.", param=path, error_type=error_type
            )
        if not self._takes_urls:
            raise RequestInvalid(
                "This provider takes images and files as data URLs only, not by their address.",
                param=path,
                error_type=error_type,
            )
        return {"type": "url", "url": url}


# --- details ------------------------------------------------------------------------------------------


def _text(text: str) -> list[Block]:
    return [{"type": "text", "text": text}] if text and not text.isspace() else []


def _named(blocks: list[Block], name: str | None) -> list[Block]:
    """`name` in front of the text, because the format has no place for it."""
    if not name or not blocks:
        return blocks
    first = blocks[0]
    if first["type"] == "text":
        return [{**first, "text": f"{name}: {first['text']}"}, *blocks[1:]]
    return [{"type": "text", "text": f"{name}:"}, *blocks]


def _trim(conversation: Conversation) -> None:
    last = conversation.turns[-1].content[-1]
    text = last.get("text")
    if last["type"] == "text" and isinstance(text, str):
        last["text"] = text.rstrip()


def _thinking(details: Iterable[Mapping[str, msgspec.Raw]]) -> list[Block]:
    """Thinking as Claude wrote and signed it. Callers may return the pieces of a stream as they came."""
    blocks: list[Block] = []
    text, index = "", None
    for raw in details:
        detail = {name: _decode(value) for name, value in raw.items()}
        if detail.get("format") not in (None, NATIVE_FORMAT):
            continue
        match detail.get("type"):
            case "reasoning.text":
                if detail.get("index") != index:
                    text, index = "", detail.get("index")
                piece, signature = detail.get("text"), detail.get("signature")
                text += piece if isinstance(piece, str) else ""
                if isinstance(signature, str) and signature:
                    blocks.append({"type": "thinking", "thinking": text, "signature": signature})
                    text = ""
            case "reasoning.encrypted":
                data = detail.get("data")
                if isinstance(data, str) and data and data != _WITHHELD:
                    blocks.append({"type": "redacted_thinking", "data": data})
            case _:
                pass
    return blocks


def _safe_id(call_id: str) -> str:
    """An id that the format takes; those that differ stay different."""
    if _ID.fullmatch(call_id):
        return call_id
    digest = sha256(call_id.encode("utf-8", "replace")).hexdigest()
    return f"{_NOT_IN_IDS.sub('_', call_id)}_{digest[:8]}"


def _input(arguments: str) -> object:
    """Arguments as an object, byte for byte where they are one. What is none is shown as the model wrote it."""
    if not arguments.strip():
        return {}
    try:
        value = _decode(arguments)
        if isinstance(value, str):  # JSON inside JSON, from some
            arguments, value = value, _decode(value)
    except (ValueError, RecursionError):
        value = None
    return msgspec.Raw(arguments.encode()) if isinstance(value, dict) else {"arguments": arguments}


def _native(part: OtherPart, path: str) -> Block:
    block = _decode(part.part)
    if isinstance(block, dict) and block.get("type") in _NATIVE_BLOCKS:
        return block
    raise RequestInvalid("A part of this type cannot be sent to this model.", param=f"{path}.type")


def _data_url(url: str, path: str, error_type: ErrorType) -> tuple[str, str]:
    """(media type, base64)."""
    head, comma, data = url.removeprefix("data:").partition(",")
    media_type, *attributes = head.split(";")
    if not comma:
        raise RequestInvalid("The data URL has no data.", param=path, error_type=error_type)
    if "base64" not in attributes:
        data = b64encode(unquote_to_bytes(data)).decode()
    return media_type.lower() or "text/plain", data


def _plain(data: str, path: str) -> str:
    try:
        return b64decode(data).decode()
    except ValueError:
        raise RequestInvalid("The file is not text in UTF-8.", param=path) from None


def _prompt_text(body: ChatBody) -> str:
    """A prompt of legacy completions as what a user says."""
    prompt = body.prompt
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0] if isinstance(prompt[0], str) else None
    if isinstance(prompt, str):
        return prompt
    raise RequestInvalid(
        "This model takes one prompt, as text; several prompts, or tokens, cannot be sent to it.",
        param="prompt",
    )
