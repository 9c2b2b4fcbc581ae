"""What a preset is to say: read from a form's fields, or out of the body of a call in any dialect. Pure.

A preset is kept in the words of the chat dialect, so that calls of every dialect can use it. Of a call's body
that is everything but what belongs to one call alone (the conversation, `stream`, who asks), which is left out;
what the body's own dialect says in other words is translated. A draft is checked as the request would be that
it is a part of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Final, TypeVar

import msgspec

from fairlead.core.chat import ChatBody, ChatRequest, ProviderPreferences, Tool, WireFormat
from fairlead.core.errors import RequestInvalid
from fairlead.core.presets import PRESET_MARK, PresetDraft
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES
from fairlead.core.routing.wishes import preferences_of
from fairlead.dialects import anthropic_request, openai_request
from fairlead.dialects.reading import not_json, wrong, wrong_type
from fairlead.dialects.responses_request import read_responses_request

__all__ = [
    "CACHE_FIELDS",
    "CONFIG_BYTES_MAX",
    "CONFIG_FIELDS",
    "DRAFT_READERS",
    "SYSTEM_PROMPT_CHARACTERS_MAX",
    "draft_of",
]

# A designated version is in the memory of every gateway that is called with it.
CONFIG_BYTES_MAX: Final = 64 * 1024
CONFIG_LEVELS_MAX: Final = 64  # of lists and objects inside each other: every reader can follow
SYSTEM_PROMPT_CHARACTERS_MAX: Final = 64 * 1024
CACHE_SECONDS_MAX: Final = 86_400

CACHE_FIELDS: Final = ("cache_enabled", "cache_ttl_seconds")
# Fields of a chat request that may be kept, in the order in which they are shown.
CONFIG_FIELDS: Final = (
    "model", "models", "provider", "route", "temperature", "top_p", "top_k", "top_a", "min_p",
    "frequency_penalty", "presence_penalty", "repetition_penalty", "max_tokens", "max_completion_tokens",
    "seed", "n", "stop", "logit_bias", "logprobs", "top_logprobs", "reasoning", "reasoning_effort",
    "include_reasoning", "verbosity", "response_format", "structured_outputs", "tools", "tool_choice",
    "parallel_tool_calls", "plugins", "web_search_options", "modalities", "audio", "image_config",
    "service_tier", "cache_control", *CACHE_FIELDS,
)  # fmt: skip

_Fields = Mapping[str, msgspec.Raw]
_Value = TypeVar("_Value")

_NULL: Final = msgspec.Raw(b"null")
_HELLO: Final = msgspec.Raw(b'[{"role":"user","content":"Hello"}]')

_encode: Final = msgspec.json.Encoder().encode
_read_any: Final = msgspec.json.Decoder().decode
_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_flag: Final = msgspec.json.Decoder(bool).decode
_read_seconds: Final = msgspec.json.Decoder(int).decode


# --- what is checked ----------------------------------------------------------------------------------


def draft_of(fields: _Fields, system_prompt: str | None) -> PresetDraft:
    """fields: of a chat request; a null is as if the field were absent. system_prompt: "" is none.

    Raises RequestInvalid, which names the field.
    """
    config = {name: fields[name] for name in CONFIG_FIELDS if fields.get(name, _NULL) != _NULL}
    if strange := [name for name in fields if name not in CONFIG_FIELDS]:
        near = get_close_matches(strange[0][:60], CONFIG_FIELDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise wrong(strange[0][:60], f"is no field of a preset{hint}")
    request = openai_request.read_request(
        _encode({**_of_calls(config), "messages": _HELLO}), WireFormat.OPENAI_CHAT
    )
    _check_names(request.body)
    _check_wishes(config.get("provider", _NULL), request)
    _check_cache(config)
    text = (system_prompt or "").strip() and system_prompt
    if text and len(text) > SYSTEM_PROMPT_CHARACTERS_MAX:
        raise wrong("system_prompt", f"must have at most {SYSTEM_PROMPT_CHARACTERS_MAX} characters")
    if text and "\0" in text:  # which PostgreSQL keeps in no text
        raise wrong("system_prompt", "must have no character NUL")
    written = msgspec.json.format(_encode(config), indent=-1)
    if len(written) > CONFIG_BYTES_MAX:
        raise RequestInvalid(f"A preset has at most {CONFIG_BYTES_MAX} bytes beside its prompt.")
    for name, raw in config.items():
        if _has_more_levels(_value_of(raw, name, _read_any), CONFIG_LEVELS_MAX):
            raise wrong(name, f"must not be nested more than {CONFIG_LEVELS_MAX} levels deep")
    return PresetDraft(text or None, written.decode())


def _of_calls(config: _Fields) -> dict[str, msgspec.Raw]:
    """Without what no call has."""
    return {name: raw for name, raw in config.items() if name not in CACHE_FIELDS}


def _check_names(body: ChatBody) -> None:
    named = [("model", body.model or "")]
    named += [(f"models[{index}]", name) for index, name in enumerate(body.models or ())]
    for path, name in named:
        if PRESET_MARK in name:
            raise wrong(path, "must be a model: a preset names no other preset")


def _check_wishes(raw: msgspec.Raw, request: ChatRequest) -> None:
    wishes = request.body.provider
    if isinstance(wishes, ProviderPreferences):
        for name in _read_fields(raw):
            if name not in ProviderPreferences.__struct_fields__:
                near = get_close_matches(name[:60], ProviderPreferences.__struct_fields__, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise wrong(f"provider.{name[:60]}", f"is no wish about routing{hint}")
    preferences_of(wishes, NO_ACCOUNT_WISHES, route=request.body.route)


def _check_cache(config: _Fields) -> None:
    """Raises RequestInvalid for what is no switch, or no time."""
    enabled, seconds = (config.get(name, _NULL) for name in CACHE_FIELDS)
    if enabled != _NULL:
        try:
            _read_flag(enabled)
        except msgspec.DecodeError:
            raise wrong("cache_enabled", "must be true or false") from None
    if seconds != _NULL:
        try:
            is_right = 1 <= _read_seconds(seconds) <= CACHE_SECONDS_MAX
        except msgspec.DecodeError:
            is_right = False
        if not is_right:
            raise wrong(
                "cache_ttl_seconds", f"must be a whole number from 1 to {CACHE_SECONDS_MAX}"
            )


def _has_more_levels(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_has_more_levels(one, levels - 1) for one in value)


def _value_of(raw: msgspec.Raw, name: str, read: Callable[[msgspec.Raw], _Value]) -> _Value:
    """What was not read so far may be no value, as 1e999 is none. Raises RequestInvalid."""
    try:
        return read(raw)
    except msgspec.ValidationError as error:
        raise wrong_type(error, name) from None
    except RecursionError:
        raise wrong(name, "is nested too deeply") from None


# --- out of a call's body -----------------------------------------------------------------------------


def _from_chat(body: bytes) -> PresetDraft:
    fields = _body_fields(body)
    return draft_of(_kept(fields), _system_of(fields.get("messages", _NULL)))


def _from_messages(body: bytes) -> PresetDraft:
    fields = _body_fields(body)
    system = _text_of(_value_of(fields.pop("system", _NULL), "system", _read_any))
    tools = fields.get("tools", _NULL)
    request = anthropic_request.read_request(_encode({**fields, "messages": _HELLO}))
    return draft_of(_in_chat_words(request, tools, {None, "custom"}, fields), system)


def _from_responses(body: bytes) -> PresetDraft:
    fields = _body_fields(body)
    system = _text_of(_value_of(fields.pop("instructions", _NULL), "instructions", _read_any))
    tools = fields.get("tools", _NULL)
    request = read_responses_request(_encode({**fields, "input": msgspec.Raw(b'"Hello"')}))
    return draft_of(_in_chat_words(request, tools, {None, "function"}, fields), system)


DRAFT_READERS: Final = {
    "chat": _from_chat,
    "messages": _from_messages,
    "responses": _from_responses,
}


def _body_fields(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        str(body, "utf-8")
        return _read_fields(body)
    except msgspec.ValidationError:
        raise RequestInvalid("The request body must be a JSON object.") from None
    except (ValueError, RecursionError) as error:
        raise not_json(body, error) from None


def _kept(fields: _Fields) -> dict[str, msgspec.Raw]:
    """What is no preset's matter is left out without a word: it belongs to that call."""
    return {name: raw for name, raw in fields.items() if name in CONFIG_FIELDS}


def _in_chat_words(
    request: ChatRequest, tools: msgspec.Raw, functions: set[str | None], written: _Fields
) -> dict[str, msgspec.Raw]:
    """functions: types of tools that are functions in that dialect; others stay as they were written."""
    fields = _kept(_read_fields(_encode(request.body)))
    fields.update((name, written[name]) for name in CACHE_FIELDS if name in written)
    if request.reasoning is not None:
        fields["reasoning"] = msgspec.Raw(_encode(request.reasoning))
    if tools != _NULL:
        typed = iter(request.body.tools or ())
        fields["tools"] = msgspec.Raw(_encode(list(_tools_of(tools, typed, functions))))
    return fields


class _Kind(msgspec.Struct, frozen=True):
    type: str | None = None


class _Named(msgspec.Struct, frozen=True):
    name: str | None = None


class _Function(msgspec.Struct, frozen=True):
    """Its name stands here or there."""

    name: str | None = None
    function: _Named | None = None


class _Said(msgspec.Struct, frozen=True):
    """A message."""

    role: str | None = None
    content: msgspec.Raw = _NULL


_read_kind: Final = msgspec.json.Decoder(_Kind).decode
_read_function: Final = msgspec.json.Decoder(_Function).decode
_read_said: Final = msgspec.json.Decoder(list[_Said] | None).decode


def _tools_of(
    tools: msgspec.Raw, typed: Iterable[Tool], functions: set[str | None]
) -> Iterable[msgspec.Raw | Tool]:
    by_name = {tool.function.name: tool for tool in typed if tool.function is not None}
    for raw in _read_list(tools):
        if _read_kind(raw).type not in functions:
            yield raw
            continue
        shape = _value_of(raw, "tools", _read_function)
        name = shape.name or (shape.function and shape.function.name) or ""
        if name in by_name:
            yield by_name[name]


def _system_of(messages: msgspec.Raw) -> str | None:
    """The words of all system messages."""
    texts = [
        _text_of(_value_of(message.content, "messages", _read_any))
        for message in _value_of(messages, "messages", _read_said) or ()
        if message.role in ("system", "developer")
    ]
    return "\n\n".join(text for text in texts if text) or None


def _text_of(content: object) -> str:
    """A text as it is, or those of its parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n\n".join(text for text in texts if isinstance(text, str))
