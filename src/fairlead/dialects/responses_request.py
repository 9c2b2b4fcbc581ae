"""Reading a request in the OpenAI Responses format.

The API is stateless: whoever asks for a stored conversation, a stored prompt or an answer in the background
is told so. `store` is taken, as a wish that is not granted: nothing is stored, and the answer says so.

A null for an optional field is as if the field were absent. Fields that have no place in our vocabulary
stay behind in `ChatRequest.fields`.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from fairlead.core.chat import (
    ABSENT,
    CacheControl,
    ChatBody,
    ChatRequest,
    JsonSchema,
    ProviderPreferences,
    ReasoningSettings,
    ResponseFormat,
    WireFormat,
)
from fairlead.core.errors import RequestInvalid
from fairlead.dialects.openai_request import check_parameters
from fairlead.dialects.reading import measure, not_json, wrong, wrong_type
from fairlead.dialects.responses_input import Conversation
from fairlead.dialects.responses_tools import read_tool_choice, read_tools

__all__ = ["read_responses_request"]

ITEMS_MAX: Final = 100_000
_LOGPROBS: Final = "message.output_text.logprobs"
_MODALITIES: Final = ("text", "image")


class _Format(msgspec.Struct, frozen=True):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = ABSENT
    strict: bool | None = None


class _Text(msgspec.Struct, frozen=True):
    format: _Format | None = None
    verbosity: str | None = None


class _Body(msgspec.Struct, frozen=True):
    """What we act on or check. The rest stays as it was written."""

    input: msgspec.Raw = ABSENT
    instructions: str | None = None
    model: str | None = None
    models: list[str] | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: msgspec.Raw = ABSENT
    parallel_tool_calls: bool | None = None
    text: _Text | None = None
    reasoning: ReasoningSettings | None = None
    modalities: list[str] | None = None
    image_config: msgspec.Raw = ABSENT
    provider: ProviderPreferences | str | None = None
    plugins: list[dict[str, msgspec.Raw]] | None = None
    route: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    session_id: str | None = None
    prompt_cache_key: str | None = None
    cache_control: CacheControl | None = None
    service_tier: str | None = None
    metadata: dict[str, str] | None = None
    trace: dict[str, msgspec.Raw] | None = None
    debug: dict[str, msgspec.Raw] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: msgspec.Raw = ABSENT
    conversation: msgspec.Raw = ABSENT
    prompt: msgspec.Raw = ABSENT


_read_body: Final = msgspec.json.Decoder(_Body).decode
_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_text: Final = msgspec.json.Decoder(str).decode
_read_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode

_NULL: Final = msgspec.Raw(b"null")


def read_responses_request(body: bytes) -> ChatRequest:
    """Decode a body. Raises RequestInvalid with the path of the first field that is wrong."""
    try:
        str(body, "utf-8")  # the decoder checks only the text that it keeps
        typed = _read_body(body)
        fields = _read_fields(body)
        _refuse_state(typed)
        chat = _chat_body(typed)  # reads what was kept as written: here, too, may be bad escapes
    except msgspec.ValidationError as error:
        raise wrong_type(error) from None
    except (ValueError, RecursionError) as error:
        raise not_json(body, error) from None
    check_parameters(chat, fields)
    modalities, characters = measure(chat)
    return ChatRequest(
        source=WireFormat.OPENAI_RESPONSES,
        fields=fields,
        body=chat,
        reasoning=chat.reasoning,
        modalities=modalities,
        characters=characters,
    )


def _refuse_state(body: _Body) -> None:
    """Raises RequestInvalid for what would need something stored here."""
    for name, raw, instead in (
        ("previous_response_id", body.previous_response_id, "send the whole history in `input`"),
        ("conversation", body.conversation, "send the whole history in `input`"),
        ("prompt", body.prompt, "send its text in `instructions` or `input`"),
    ):
        if raw not in (ABSENT, _NULL):
            raise RequestInvalid(
                f"`{name}` is not supported: nothing is stored here. Please {instead}.", param=name
            )
    if body.background:
        raise RequestInvalid(
            "`background` is not supported: answers are given at once. Please leave it out.",
            param="background",
        )


def _chat_body(body: _Body) -> ChatBody:
    conversation = _conversation(body)
    raw_tools = [(f"tools[{position}]", raw) for position, raw in enumerate(body.tools or ())]
    tools, _ = read_tools(raw_tools + conversation.tools)
    choice = None
    if body.tool_choice not in (ABSENT, _NULL):
        choice, tools = read_tool_choice(body.tool_choice, tools)
    text = body.text or _Text()
    wants_logprobs = bool(body.top_logprobs) or _LOGPROBS in (body.include or ())
    for position, modality in enumerate(body.modalities or ()):
        if modality not in _MODALITIES:
            raise wrong(f"modalities[{position}]", f"must be one of {', '.join(_MODALITIES)}")
    return ChatBody(
        messages=conversation.messages,
        model=body.model,
        models=body.models,
        stream=body.stream,
        max_tokens=_limit(body.max_output_tokens),
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        logprobs=True if wants_logprobs else None,
        top_logprobs=body.top_logprobs or None,
        tools=tools or None,
        tool_choice=choice,
        parallel_tool_calls=body.parallel_tool_calls if tools else None,
        response_format=_response_format(text.format),
        verbosity=text.verbosity,
        reasoning=_reasoning(body.reasoning),
        modalities=body.modalities,
        image_config=body.image_config,
        provider=body.provider,
        plugins=body.plugins,
        route=body.route,
        user=body.user or body.safety_identifier,
        session_id=body.session_id,
        prompt_cache_key=body.prompt_cache_key,
        cache_control=body.cache_control,
        service_tier=body.service_tier,
        metadata=body.metadata,
        trace=body.trace,
        debug=body.debug,
    )


def _conversation(body: _Body) -> Conversation:
    conversation = Conversation()
    if body.instructions:
        conversation.instruct(body.instructions)
    first = bytes(memoryview(body.input)[:1])
    if first == b'"':
        conversation.say(_read_text(body.input))
    elif first == b"[":
        items = _read_items(body.input)
        if len(items) > ITEMS_MAX:
            raise wrong("input", f"may hold at most {ITEMS_MAX} items, not {len(items)}")
        for position, item in enumerate(items):
            conversation.add(f"input[{position}]", item)
    elif first not in (b"", b"n"):
        raise wrong("input", "must be a text or a list of items")
    conversation.end()
    if not conversation.messages:
        raise wrong("input", "is required" if first in (b"", b"n") else "must hold a message")
    return conversation


def _limit(tokens: int | None) -> int | None:
    if tokens is not None and tokens < 1:
        raise wrong("max_output_tokens", f"must be at least 1, not {tokens}")
    return tokens


def _response_format(wanted: _Format | None) -> ResponseFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return ResponseFormat(type="json_object")
    if not wanted.name:
        raise wrong("text.format.name", "is required for the type `json_schema`")
    if bytes(memoryview(wanted.schema)[:1]) != b"{":
        raise wrong("text.format.schema", "must be a JSON schema, an object")
    schema = JsonSchema(wanted.name, wanted.description, wanted.schema, wanted.strict)
    return ResponseFormat(type="json_schema", json_schema=schema)


_NO_WISH: Final = ReasoningSettings()


def _reasoning(asked: ReasoningSettings | None) -> ReasoningSettings | None:
    """Settings that are all null, as some clients send them, are none."""
    return None if asked == _NO_WISH else asked
