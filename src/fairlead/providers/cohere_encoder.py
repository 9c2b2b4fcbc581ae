"""Writing requests for Cohere's chat, version 2.

- System messages stand together at the front, the only place that Cohere has for them.
- A plan of tool calls, or thoughts, go back in the place they came from.
- Text files become Cohere's documents; of other parts it takes images alone.
- A parameter that the endpoint does not support, or for which Cohere has no place, is dropped; one that is out
  of Cohere's range is put to its edge.
- Cohere's own fields (safety, citations, documents) travel as the caller wrote them.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never
from urllib.parse import unquote_to_bytes

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import (
    AssistantMessage,
    ChatBody,
    ChatRequest,
    Content,
    DeveloperMessage,
    FilePart,
    FunctionMessage,
    ImagePart,
    Message,
    NamedTool,
    OtherPart,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from fairlead.core.errors import RequestInvalid
from fairlead.providers.base import Credential, UpstreamRequest
from fairlead.providers.openai_reasoning import ReasoningStyle, reasoning_fields

__all__ = ["encode_request"]

STOPS_MAX: Final = 5
_K_MAX: Final = 500
_P_MIN: Final = 0.01
_P_MAX: Final = 0.99
_OWN_FIELDS: Final = (
    "safety_mode", "citation_options", "documents", "strict_tools", "priority",
)  # fmt: skip
_ANY_OBJECT: Final = {"type": "object", "properties": {}}
_NULL: Final = msgspec.Raw(b"null")
_TEXT_FILES: Final = frozenset({"application/json", "application/xml", "application/yaml"})

Fields = dict[str, object]

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_documents: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def encode_request(
    request: ChatRequest, endpoint: Endpoint, credential: Credential
) -> UpstreamRequest:
    """What to send. Raises RequestInvalid for what Cohere cannot be asked."""
    accepted = "text/event-stream" if request.streamed else "application/json"
    headers = [("content-type", "application/json"), ("accept", accepted)]
    if credential.api_key:
        headers.append(("authorization", f"Bearer {credential.api_key}"))
    return UpstreamRequest(
        method="POST",
        url=f"{credential.base_url.rstrip('/')}/chat",
        headers=tuple(headers),
        body=_encode(_fields(request, endpoint)),
    )


def _fields(request: ChatRequest, endpoint: Endpoint) -> Fields:
    body = request.body
    thinks = endpoint.reasoning.supported
    told = (
        _conversation(body.messages, thinks=thinks)
        if body.messages is not None
        else _Conversation(messages=[{"role": "user", "content": _prompt_text(body)}])
    )
    fields: Fields = {"model": endpoint.provider_model_id, "stream": request.streamed}
    for name in _OWN_FIELDS:
        raw = request.fields.get(name)
        if raw is not None and raw != _NULL:
            fields[name] = raw
    if told.documents:
        fields["documents"] = told.documents + _given_documents(request)
    _add_tools(fields, body, endpoint)
    _add_format(fields, body, endpoint, told)
    _add_parameters(fields, request, endpoint)
    fields.update(_thinking(request, endpoint))
    fields["messages"] = told.in_order()
    return fields


def _given_documents(request: ChatRequest) -> list[object]:
    raw = request.fields.get("documents")
    if raw is None or raw == _NULL:
        return []
    try:
        return list(_decode_documents(raw))
    except msgspec.ValidationError:
        raise RequestInvalid("`documents` must be a list.", param="documents") from None


def _supports(endpoint: Endpoint, *names: str) -> bool:
    """An endpoint of which no abilities are known is taken to have all."""
    supported = endpoint.supported_parameters
    return not supported or any(name in supported for name in names)


def _prompt_text(body: ChatBody) -> str:
    prompt = body.prompt
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0] if isinstance(prompt[0], str) else None
    if not isinstance(prompt, str):
        raise RequestInvalid(
            "This model takes one prompt, as text; several prompts, or tokens, cannot be sent to it.",
            param="prompt",
        )
    return prompt


# --- parameters ---------------------------------------------------------------------------------------


def _add_parameters(fields: Fields, request: ChatRequest, endpoint: Endpoint) -> None:
    body = request.body
    limit = request.max_tokens
    if limit is not None and _supports(endpoint, "max_tokens", "max_completion_tokens"):
        fields["max_tokens"] = limit
    if body.temperature is not None and _supports(endpoint, "temperature"):
        fields["temperature"] = body.temperature
    if body.top_p is not None and body.top_p < 1 and _supports(endpoint, "top_p"):
        fields["p"] = min(max(body.top_p, _P_MIN), _P_MAX)
    if body.top_k is not None and _supports(endpoint, "top_k"):
        fields["k"] = min(body.top_k, _K_MAX)
    # Penalties are never negative here, and only one of the two is taken.
    for name in ("frequency_penalty", "presence_penalty"):
        penalty: float | None = getattr(body, name)
        if penalty is not None and penalty > 0 and _supports(endpoint, name):
            fields[name] = min(penalty, 1.0)
            break
    if body.seed is not None and body.seed >= 0 and _supports(endpoint, "seed"):
        fields["seed"] = body.seed
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    if stops and _supports(endpoint, "stop"):
        fields["stop_sequences"] = stops[:STOPS_MAX]
    if body.logprobs is True and _supports(endpoint, "logprobs"):
        fields["logprobs"] = True


def _thinking(request: ChatRequest, endpoint: Endpoint) -> Fields:
    """Raises RequestInvalid if reasoning is to be off on a model that always reasons."""
    if request.reasoning is None:
        return {}
    asked = reasoning_fields(
        ReasoningStyle.ENABLE_THINKING, request.reasoning, endpoint, token_limit=request.max_tokens
    )
    if not asked:
        return {}
    if not asked["enable_thinking"]:
        return {"thinking": {"type": "disabled"}}
    return {"thinking": {"type": "enabled", "token_budget": asked["thinking_budget"]}}


# --- tools and formats --------------------------------------------------------------------------------


def _add_tools(fields: Fields, body: ChatBody, endpoint: Endpoint) -> None:
    """Cohere cannot be told which tool to call: then that one alone is offered, and some call required."""
    if not body.tools or not _supports(endpoint, "tools"):
        return
    choice = body.tool_choice
    only = None
    if isinstance(choice, NamedTool) and choice.function is not None:
        only = choice.function.name
    tools: list[Fields] = []
    for tool in body.tools:
        function = tool.function
        if function is None or tool.type not in ("function", None):
            continue
        if only is not None and function.name != only:
            continue
        schema: object = function.parameters
        if not function.parameters or function.parameters == _NULL:
            schema = _ANY_OBJECT
        about: Fields = {"name": function.name, "parameters": schema}
        if function.description is not None:
            about["description"] = function.description
        tools.append({"type": "function", "function": about})
    if not tools:
        return
    fields["tools"] = tools
    if not _supports(endpoint, "tool_choice"):
        return
    if only is not None or choice == "required":
        fields["tool_choice"] = "REQUIRED"
    elif choice == "none":
        fields["tool_choice"] = "NONE"


def _add_format(fields: Fields, body: ChatBody, endpoint: Endpoint, told: _Conversation) -> None:
    """Cohere refuses a format beside tools or documents: there, words ask for it."""
    wanted = body.response_format
    if wanted is None or wanted.type not in ("json_object", "json_schema"):
        return
    if not _supports(endpoint, "response_format", "structured_outputs"):
        return
    schema = wanted.json_schema.schema if wanted.json_schema is not None else msgspec.Raw(b"")
    if schema == _NULL or wanted.type == "json_object":
        schema = msgspec.Raw(b"")
    if "tools" in fields or "documents" in fields:
        asked = "Once you answer in words, answer with JSON and nothing else"
        matching = f" that matches this schema:\n{bytes(schema).decode()}" if schema else "."
        told.system.append(asked + ("," + matching if schema else matching))
        return
    fields["response_format"] = (
        {"type": "json_object", "json_schema": schema} if schema else {"type": "json_object"}
    )


# --- messages -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Conversation:
    """system: texts. documents: the text files of all messages."""

    system: list[str] = field(default_factory=list)
    messages: list[Fields] = field(default_factory=list)
    documents: list[object] = field(default_factory=list)

    def in_order(self) -> list[Fields]:
        system = [text for text in self.system if text]
        if not system:
            return self.messages
        content: object = system[0]
        if len(system) > 1:
            content = [{"type": "text", "text": text} for text in system]
        role = "system" if self.messages else "user"  # Cohere wants someone to answer
        return [{"role": role, "content": content}, *self.messages]


def _conversation(messages: Sequence[Message], *, thinks: bool) -> _Conversation:
    """thinks: the model has thoughts of its own, and takes them back. Raises RequestInvalid."""
    told = _Conversation()
    open_calls: list[str] = []  # ids of the last turn's calls, for results that name none
    for position, message in enumerate(messages):
        path = f"messages[{position}].content"
        match message:
            case SystemMessage() | DeveloperMessage():
                told.system.append(_named(message.name, _text(message.content, path)))
            case UserMessage():
                content = _user_content(message, told, path)
                if content:
                    told.messages.append({"role": "user", "content": content})
            case AssistantMessage():
                answer, open_calls = _answer(message, path, thinks=thinks)
                if len(answer) > 1:
                    told.messages.append(answer)
            case ToolMessage() | FunctionMessage():
                given = message.tool_call_id if isinstance(message, ToolMessage) else None
                call_id = given or (open_calls.pop(0) if open_calls else message.name or "call")
                told.messages.append(
                    {
                        "role": "tool",
                        "tool_call_id": call_id,
                        "content": _tool_content(message.content, path),
                    }
                )
            case _:
                assert_never(message)
    return told


def _named(name: str | None, text: str) -> str:
    """`name` becomes part of the text, because Cohere has no place for it."""
    return f"{name}: {text}" if name else text


def _user_content(message: UserMessage, told: _Conversation, path: str) -> object:
    """Text, or parts if there are several or images among them."""
    if isinstance(message.content, str):
        return _named(message.name, message.content)
    parts: list[Fields] = []
    for position, part in enumerate(message.content):
        where = f"{path}[{position}]"
        match part:
            case TextPart() | RefusalPart():
                text = part.text if isinstance(part, TextPart) else part.refusal
                if text:
                    parts.append({"type": "text", "text": text})
            case ImagePart():
                image: Fields = {"url": part.image_url.url}
                if part.image_url.detail is not None:
                    is_original = part.image_url.detail == "original"
                    image["detail"] = "high" if is_original else part.image_url.detail
                parts.append({"type": "image_url", "image_url": image})
            case FilePart():
                told.documents.append(_document(part, len(told.documents), f"{where}.file"))
            case _:
                raise RequestInvalid(
                    "Cohere takes text, images and text files alone.", param=f"{where}.type"
                )
    if message.name and parts:
        parts.insert(0, {"type": "text", "text": f"{message.name}: "})
    return parts


def _document(part: FilePart, index: int, path: str) -> Fields:
    """A text file. Cohere reads no other kind."""
    data = part.file.file_data or ""
    head, comma, encoded = data.removeprefix("data:").partition(",")
    media_type, *parameters = head.lower().split(";")
    is_text = media_type.startswith("text/") or media_type in _TEXT_FILES
    if not data.startswith("data:") or not comma or not is_text:
        raise RequestInvalid(
            "Cohere takes files of text alone, as data URLs.", param=f"{path}.file_data"
        )
    try:
        content = b64decode(encoded) if "base64" in parameters else unquote_to_bytes(encoded)
        text = content.decode()
    except (binascii.Error, ValueError):
        raise RequestInvalid("This file is not text in UTF-8.", param=f"{path}.file_data") from None
    fields: Fields = {"text": text}
    if part.file.filename:
        fields["title"] = part.file.filename
    return {"id": f"doc:{index}", "data": fields}


def _answer(message: AssistantMessage, path: str, *, thinks: bool) -> tuple[Fields, list[str]]:
    """An earlier answer, and the ids of its calls."""
    answer: Fields = {"role": "assistant"}
    calls: list[Fields] = []
    call_ids: list[str] = []
    for call in message.tool_calls or ():
        if call.function is not None:
            call_id = call.id or f"call_{len(calls)}"
            function = {
                "name": call.function.name,
                "arguments": call.function.arguments.strip() or "{}",
            }
            calls.append({"id": call_id, "type": "function", "function": function})
            call_ids.append(call_id)
    if message.function_call is not None:
        old = message.function_call
        function = {"name": old.name, "arguments": old.arguments.strip() or "{}"}
        calls.append({"id": old.name, "type": "function", "function": function})
        call_ids.append(old.name)
    text = _text(message.content, path) + (message.refusal or "")
    text = _named(message.name, text) if text else ""
    thoughts = _thoughts(message)
    if thoughts and thinks:
        parts: list[Fields] = [{"type": "thinking", "thinking": thoughts}]
        if text:
            parts.append({"type": "text", "text": text})
        answer["content"] = parts
    elif text:
        answer["content"] = text
    if calls:
        if thoughts and not thinks:
            answer["tool_plan"] = thoughts
        answer["tool_calls"] = calls
    return answer, call_ids


def _thoughts(message: AssistantMessage) -> str:
    told = message.reasoning or message.reasoning_content
    if told:
        return told
    details = (
        {key: _decode(value) for key, value in d.items()} for d in message.reasoning_details or ()
    )
    texts = [detail.get("text") for detail in details if detail.get("type") == "reasoning.text"]
    return "".join(text for text in texts if isinstance(text, str))


def _tool_content(content: Content, path: str) -> object:
    """Text, or parts if Cohere's own documents are among them: those travel as the caller wrote them."""
    if content is None or isinstance(content, str):
        return content or ""
    if not any(isinstance(part, OtherPart) for part in content):
        return _text(content, path)
    parts: list[Fields] = []
    for position, part in enumerate(content):
        document = (
            _decode_fields(part.part).get("document") if isinstance(part, OtherPart) else None
        )
        if document is not None:
            parts.append({"type": "document", "document": document})
        else:
            parts.append({"type": "text", "text": _text_of(part, f"{path}[{position}]")})
    return parts


def _text(content: Content, path: str) -> str:
    """Text alone. Raises RequestInvalid for anything else."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(_text_of(part, f"{path}[{at}]") for at, part in enumerate(content))


def _text_of(part: Part, path: str) -> str:
    match part:
        case TextPart():
            return part.text
        case RefusalPart():
            return part.refusal
        case _:
            raise RequestInvalid("Cohere takes text alone here.", param=f"{path}.type")
