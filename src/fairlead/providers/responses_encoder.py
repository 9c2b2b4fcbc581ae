"""Writing requests in OpenAI's Responses format, stateless: nothing is to be stored there.

A request is written from our vocabulary, whatever format it came in. A turn of the model becomes items in
the order in which they are made: reasoning, text, calls. Reasoning goes back only to whom it came from,
and only if it is encrypted: a server that stores nothing refuses the rest. `stop`, `seed`, penalties and
several choices have no place in this format and are dropped; audio and video in messages are refused.

From a caller of the same format come also the tools that the provider runs itself, and what only this
format knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import (
    ABSENT,
    AssistantMessage,
    AudioPart,
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
    ResponseFormat,
    SystemMessage,
    TextPart,
    Tool,
    ToolMessage,
    UserMessage,
    VideoPart,
    WireFormat,
)
from fairlead.core.errors import RequestInvalid
from fairlead.core.service_tiers import asked_tier
from fairlead.providers.base import Credential, UpstreamRequest
from fairlead.providers.openai_reasoning import ReasoningStyle, reasoning_fields

__all__ = ["OUTPUT_TOKENS_MIN", "ResponsesRow", "encode_responses_request"]

OUTPUT_TOKENS_MIN: Final = 16  # the format's servers refuse less

Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class ResponsesRow:
    """One provider of the Responses format.

    key_header: the header that carries the key; "authorization" means a bearer token.
    user_field: its name for an end user, who is told as a digest; None: it has none.
    reasoning_format: the name of its form of reasoning; only such reasoning is handed back.
    """

    slug: str
    key_header: str = "authorization"
    user_field: str | None = None
    reasoning_format: str = "openai-responses-v1"


# The same name and meaning in both formats, and taken only where the endpoint supports it.
_COPIED: Final = ("temperature", "top_p", "parallel_tool_calls", "top_logprobs")
_ALWAYS_COPIED: Final = ("prompt_cache_key",)
_ONLY_IN_THIS_FORMAT: Final = ("max_tool_calls", "truncation", "prompt_cache_options")
_RUN_BY_THE_PROVIDER: Final = frozenset(
    {
        "web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11",
        "code_interpreter", "image_generation", "mcp",
    }
)  # fmt: skip
_NULL: Final = msgspec.Raw(b"null")
_NO_PARAMETERS: Final = msgspec.Raw(b'{"type":"object","properties":{}}')
_SCHEMA_NAME: Final = "answer"  # the format wants one

_encode: Final = msgspec.json.Encoder().encode


class _Typed(msgspec.Struct, frozen=True):
    type: str


_read_raw_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_typed: Final = msgspec.json.Decoder(_Typed).decode
_read_text: Final = msgspec.json.Decoder(str | None).decode


def encode_responses_request(
    row: ResponsesRow, request: ChatRequest, endpoint: Endpoint, credential: Credential
) -> UpstreamRequest:
    """What to send. Raises RequestInvalid for what this format cannot say."""
    body = request.body
    fields: Fields = {
        "model": endpoint.provider_model_id,
        "input": _prompt(body) if body.messages is None else list(_items(row, body.messages)),
        "store": False,
    }
    for name in (*_COPIED, *_ALWAYS_COPIED):
        value = getattr(body, name)
        if value is not None and (name in _ALWAYS_COPIED or _supports(endpoint, name)):
            fields[name] = value
    if (tier := asked_tier(body.service_tier, endpoint)) is not None:
        fields["service_tier"] = tier
    if request.max_tokens is not None:
        fields["max_output_tokens"] = max(request.max_tokens, OUTPUT_TOKENS_MIN)
    _add_tools(fields, request, endpoint)
    if text := _text_settings(body, endpoint):
        fields["text"] = text
    if reasoning := _reasoning(request, endpoint):
        fields["reasoning"] = reasoning
    if include := _include(request, endpoint):
        fields["include"] = include
    if request.source is WireFormat.OPENAI_RESPONSES:
        for name in _ONLY_IN_THIS_FORMAT:
            raw = request.fields.get(name, _NULL)
            if raw != _NULL:
                fields[name] = raw
    if row.user_field is not None and request.end_user is not None:
        fields.setdefault(row.user_field, request.end_user)
    if body.stream:
        fields["stream"] = True
    return UpstreamRequest(
        method="POST",
        url=_url(credential),
        headers=_headers(row, credential, streamed=body.stream is True),
        body=_encode(fields),
    )


def _url(credential: Credential) -> str:
    url = credential.base_url.rstrip("/") + "/responses"
    version = credential.options.get("api_version")
    return f"{url}?api-version={version}" if version else url


def _headers(
    row: ResponsesRow, credential: Credential, *, streamed: bool
) -> tuple[tuple[str, str], ...]:
    accepted = "text/event-stream" if streamed else "application/json"
    headers = (("content-type", "application/json"), ("accept", accepted))
    if not credential.api_key:
        return headers
    if row.key_header == "authorization":
        return (*headers, ("authorization", f"Bearer {credential.api_key}"))
    return (*headers, (row.key_header, credential.api_key))


def _supports(endpoint: Endpoint, *names: str) -> bool:
    """An endpoint of which no abilities are known is taken to have all."""
    supported = endpoint.supported_parameters
    return not supported or any(name in supported for name in names)


# --- settings -----------------------------------------------------------------------------------------


def _add_tools(fields: Fields, request: ChatRequest, endpoint: Endpoint) -> None:
    body = request.body
    tools: list[object] = []
    if _supports(endpoint, "tools"):
        tools += [_tool(tool) for tool in body.tools or () if tool.function is not None]
    raw_tools = request.fields.get("tools", _NULL)
    if request.source is WireFormat.OPENAI_RESPONSES and raw_tools != _NULL:
        tools += [
            raw
            for raw in _read_raw_list(raw_tools)
            if _read_typed(raw).type in _RUN_BY_THE_PROVIDER
        ]
    if not tools:
        fields.pop("parallel_tool_calls", None)
        return
    fields["tools"] = tools
    choice = body.tool_choice
    if isinstance(choice, NamedTool) and choice.function is not None:
        fields["tool_choice"] = {"type": "function", "name": choice.function.name}
    elif isinstance(choice, str):
        fields["tool_choice"] = choice


def _tool(tool: Tool) -> Fields:
    """`strict` is said always: what is left out means yes there, and no in every other format."""
    function = tool.function
    assert function is not None  # the caller has looked
    fields: Fields = {
        "type": "function",
        "name": function.name,
        "parameters": function.parameters if function.parameters != ABSENT else _NO_PARAMETERS,
        "strict": function.strict is True,
    }
    if function.description is not None:
        fields["description"] = function.description
    return fields


def _text_settings(body: ChatBody, endpoint: Endpoint) -> Fields:
    text: Fields = {}
    if body.response_format is not None and _supports(
        endpoint, "response_format", "structured_outputs"
    ):
        text.update(_format(body.response_format))
    if body.verbosity is not None and _supports(endpoint, "verbosity"):
        text["verbosity"] = body.verbosity
    return text


def _format(wanted: ResponseFormat) -> Fields:
    if wanted.type == "json_object":
        return {"format": {"type": "json_object"}}
    schema = wanted.json_schema
    if wanted.type != "json_schema" or schema is None or schema.schema == ABSENT:
        return {}
    fields: Fields = {
        "type": "json_schema",
        "name": schema.name or _SCHEMA_NAME,
        "schema": schema.schema,
        "strict": schema.strict is True,
    }
    if schema.description is not None:
        fields["description"] = schema.description
    return {"format": fields}


def _reasoning(request: ChatRequest, endpoint: Endpoint) -> Fields:
    settings = request.reasoning
    if settings is None:
        return {}
    told = reasoning_fields(
        ReasoningStyle.EFFORT, settings, endpoint, token_limit=request.max_tokens
    )
    fields: Fields = {"effort": told["reasoning_effort"]} if told else {}
    if settings.summary is not None and _supports(endpoint, "reasoning", "reasoning_effort"):
        fields["summary"] = settings.summary
    return fields


def _include(request: ChatRequest, endpoint: Endpoint) -> list[str]:
    include: list[str] = []
    known = endpoint.supported_parameters
    if known & {"reasoning", "reasoning_effort"} or (not known and request.reasoning is not None):
        include.append("reasoning.encrypted_content")
    if request.body.logprobs and _supports(endpoint, "logprobs"):
        include.append("message.output_text.logprobs")
    return include


# --- items --------------------------------------------------------------------------------------------


def _prompt(body: ChatBody) -> str:
    prompt = body.prompt
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0] if isinstance(prompt[0], str) else None
    if not isinstance(prompt, str):
        raise RequestInvalid(
            "This model takes one prompt, as text; several prompts, or tokens, cannot be sent to it.",
            param="prompt",
        )
    return prompt


def _items(row: ResponsesRow, messages: Sequence[Message]) -> Iterator[Fields]:
    for position, message in enumerate(messages):
        path = f"messages[{position}].content"
        match message:
            case SystemMessage():
                yield _message("system", message, path)
            case DeveloperMessage():
                yield _message("developer", message, path)
            case UserMessage():
                yield _message("user", message, path)
            case AssistantMessage():
                yield from _turn(row, message, path)
            case ToolMessage():
                call_id = message.tool_call_id or message.name or ""
                yield _output(call_id, _content(message.content, path))
            case FunctionMessage():
                yield _output(message.name, _content(message.content, path))
            case _:
                assert_never(message)


def _message(
    role: str, message: SystemMessage | DeveloperMessage | UserMessage, path: str
) -> Fields:
    """The format has no place for names: they go in front of the text."""
    content = _content(message.content, path)
    name = message.name
    if name and isinstance(content, str):
        content = f"{name}: {content}"
    elif name:
        content = [{"type": "input_text", "text": f"{name}: "}, *content]
    return {"role": role, "content": content}


def _output(call_id: str, content: str | list[Fields]) -> Fields:
    return {"type": "function_call_output", "call_id": call_id, "output": content}


def _turn(row: ResponsesRow, message: AssistantMessage, path: str) -> Iterator[Fields]:
    yield from _reasoning_items(row, message)
    yield from _said(message, path)
    for call in message.tool_calls or ():
        if call.function is not None:
            yield {
                "type": "function_call",
                "call_id": call.id or call.function.name,
                "name": call.function.name,
                "arguments": call.function.arguments or "{}",
            }
    legacy = message.function_call
    if legacy is not None:
        yield {
            "type": "function_call",
            "call_id": legacy.name,
            "name": legacy.name,
            "arguments": legacy.arguments or "{}",
        }


def _said(message: AssistantMessage, path: str) -> Iterator[Fields]:
    """One message for each text: only such may be written without the id of a stored one."""
    content = message.content
    parts: list[Part] = [TextPart(content)] if isinstance(content, str) else list(content or ())
    if message.refusal:
        parts.append(RefusalPart(message.refusal))
    for position, part in enumerate(parts):
        match part:
            case TextPart():
                if part.text:
                    yield {"role": "assistant", "content": part.text}
            case RefusalPart():
                yield {
                    "type": "message",
                    "id": f"msg_{position}",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "refusal", "refusal": part.refusal}],
                }
            case _:
                raise _unsayable(f"{path}[{position}]")


def _reasoning_items(row: ResponsesRow, message: AssistantMessage) -> Iterator[Fields]:
    """What was encrypted, each with the summaries before it."""
    summaries: list[Fields] = []
    for position, detail in enumerate(message.reasoning_details or ()):
        if _word(detail, "format") != row.reasoning_format:
            continue
        match _word(detail, "type"):
            case "reasoning.summary":
                summaries.append({"type": "summary_text", "text": _word(detail, "summary") or ""})
            case "reasoning.encrypted":
                yield {
                    "type": "reasoning",
                    "id": _word(detail, "id") or f"rs_{position}",
                    "summary": summaries,
                    "encrypted_content": _word(detail, "data"),
                }
                summaries = []


def _word(detail: dict[str, msgspec.Raw], name: str) -> str | None:
    try:
        word: str | None = _read_text(detail.get(name, _NULL))
    except msgspec.ValidationError:
        return None
    return word


def _content(content: Content, path: str) -> str | list[Fields]:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return [_part(part, f"{path}[{position}]") for position, part in enumerate(content)]


def _part(part: Part, path: str) -> Fields:
    match part:
        case TextPart():
            return {"type": "input_text", "text": part.text}
        case ImagePart():
            detail = part.image_url.detail or "auto"
            return {"type": "input_image", "image_url": part.image_url.url, "detail": detail}
        case FilePart():
            return _file(part)
        case RefusalPart():
            return {"type": "input_text", "text": part.refusal}
        case AudioPart() | VideoPart() | OtherPart():
            raise _unsayable(path)
        case _:
            assert_never(part)


def _file(part: FilePart) -> Fields:
    file = part.file
    fields: Fields = {"type": "input_file"}
    if file.file_data is not None and file.file_data.startswith(("http:", "https:")):
        fields["file_url"] = file.file_data
        return fields  # a name beside an address is refused
    if file.file_data is not None:
        fields["file_data"] = file.file_data
        fields["filename"] = file.filename or "file.pdf"  # required beside data
    elif file.file_id is not None:
        fields["file_id"] = file.file_id
    return fields


def _unsayable(path: str) -> RequestInvalid:
    return RequestInvalid(
        f"`{path}` cannot be sent to this model: it takes texts, images and files.", param=path
    )
