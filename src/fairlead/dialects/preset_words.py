"""A preset in a dialect's words, under a request of that dialect. Pure.

    request = read_over_preset(OpenAIChat.name, OpenAIChat().decode, fields, preset, named)

How fields are merged is told in core/presets.py. The system prompt goes where the dialect has it, unless the
request has one of its own. What a dialect cannot say but our vocabulary can, as a seed in Messages, goes along
in the typed view, so it reaches providers that speak otherwise. Of dialects that have no conversation only what
is about routing is filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from fairlead.core.chat import ChatBody, ChatRequest, NamedTool, ReasoningSettings, WireFormat
from fairlead.core.presets import Fields, Named, Preset, laid_over
from fairlead.dialects.openai_request import read_request

__all__ = ["read_over_preset"]

_NULL: Final = msgspec.Raw(b"null")
_HELLO: Final = msgspec.Raw(b'[{"role":"user","content":"Hello"}]')
_EFFORTS: Final = {"minimal": "low"}  # those of Messages; the others have the same names there
_NO_PARAMETERS: Final = msgspec.Raw(b'{"type":"object"}')
_NO_FIELDS: Final[tuple[str, ...]] = ()

_encode: Final = msgspec.json.Encoder().encode
_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class _Words:
    """Of one dialect.

    translate: the preset's fields. instruct: puts the system prompt into the request's fields.
    instead: see `laid_over`. unsaid: parameters that it has no words for.
    """

    translate: Callable[[Fields], Fields]
    instruct: Callable[[dict[str, msgspec.Raw], str], None]
    instead: Mapping[str, Sequence[str]]
    unsaid: tuple[str, ...] = _NO_FIELDS


def read_over_preset(
    dialect: str,
    read: Callable[[bytes], ChatRequest],
    fields: Fields,
    preset: Preset,
    named: Named,
) -> ChatRequest:
    """A request with the preset under it. read: a body in that dialect. fields: as the caller wrote them.

    Raises RequestInvalid, as `read` does.
    """
    words = _WORDS.get(dialect, _ABOUT_ROUTING)
    request = _completed(words, read(_with_preset(words, fields, preset, named)), preset)
    return msgspec.structs.replace(request, preset=preset.slug, named=named.as_written)


def _with_preset(words: _Words, fields: Fields, preset: Preset, named: Named) -> bytes:
    merged = laid_over(words.translate(preset.fields), fields, named=named, instead=words.instead)
    if preset.system_prompt is not None:
        words.instruct(merged, preset.system_prompt)
    return _encode(merged)


def _completed(words: _Words, request: ChatRequest, preset: Preset) -> ChatRequest:
    """The same request, with what its dialect could not say."""
    if preset.fields.keys().isdisjoint(words.unsaid):
        return request
    wanted = _in_our_words(preset.fields).body
    added = {
        name: value
        for name in words.unsaid
        if (value := getattr(wanted, name)) is not None and getattr(request.body, name) is None
    }
    return msgspec.structs.replace(request, body=msgspec.structs.replace(request.body, **added))


def _in_our_words(fields: Fields) -> ChatRequest:
    return read_request(_encode({**fields, "messages": _HELLO}), WireFormat.OPENAI_CHAT)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


# --- chat ---------------------------------------------------------------------------------------------


class _Turn(msgspec.Struct, frozen=True):
    role: str | None = None


_read_turns: Final = msgspec.json.Decoder(list[_Turn]).decode


def _has_own(raw: msgspec.Raw) -> bool:
    """Whether a list of messages or items instructs the model. One that is none is told so by its dialect."""
    try:
        return any(turn.role in ("system", "developer") for turn in _read_turns(raw))
    except msgspec.DecodeError:
        return True


def _say_first(fields: dict[str, msgspec.Raw], system_prompt: str) -> None:
    messages = fields.get("messages", _NULL)
    if messages == _NULL or _has_own(messages):
        return
    first = _raw({"role": "system", "content": system_prompt})
    if turns := _read_list(messages):
        fields["messages"] = _raw([first, *turns])


# --- Messages -----------------------------------------------------------------------------------------

_SAME_IN_MESSAGES: Final = (
    "model", "models", "provider", "route", "temperature", "top_p", "top_k", "plugins", "service_tier",
    "cache_control",
)  # fmt: skip


def _for_messages(fields: Fields) -> Fields:
    request = _in_our_words(fields)
    body = request.body
    words: dict[str, object] = {name: fields[name] for name in _SAME_IN_MESSAGES if name in fields}
    output: dict[str, object] = {}
    if request.max_tokens is not None:
        words["max_tokens"] = request.max_tokens
    if body.stop:
        words["stop_sequences"] = [body.stop] if isinstance(body.stop, str) else body.stop
    if body.tools:
        written = _read_list(fields["tools"])
        words["tools"] = [
            raw if tool.function is None else _message_tool(tool)
            for raw, tool in zip(written, body.tools, strict=True)
        ]
    if (choice := _message_choice(body)) is not None:
        words["tool_choice"] = choice
    if request.reasoning is not None:
        words["thinking"], effort = _thinking(request.reasoning)
        if effort is not None:
            output["effort"] = effort
    wanted = body.response_format
    if wanted is not None and wanted.json_schema is not None:
        output["format"] = {"type": "json_schema", "schema": wanted.json_schema.schema}
    if output:
        words["output_config"] = output
    return {name: _raw(value) for name, value in words.items()}


def _message_tool(tool: object) -> dict[str, object]:
    shape = _read_fields(_encode(tool))
    function = _read_fields(shape["function"])
    more = {
        "description": function.get("description"),
        "strict": function.get("strict"),
        "cache_control": shape.get("cache_control"),
    }
    return {
        "name": function["name"],
        "input_schema": function.get("parameters", _NO_PARAMETERS),
        **{name: raw for name, raw in more.items() if raw is not None},
    }


def _message_choice(body: ChatBody) -> dict[str, object] | None:
    choice: dict[str, object] = {}
    match body.tool_choice:
        case NamedTool(function=function) if function is not None:
            choice = {"type": "tool", "name": function.name}
        case "required":
            choice = {"type": "any"}
        case "auto" | "none" as word:
            choice = {"type": word}
    if body.parallel_tool_calls is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return choice or None


def _thinking(wanted: ReasoningSettings) -> tuple[dict[str, object], str | None]:
    """(`thinking`, the effort in `output_config`)."""
    if wanted.effort == "none" or wanted.enabled is False:
        return {"type": "disabled"}, None
    if wanted.max_tokens:
        return {"type": "enabled", "budget_tokens": wanted.max_tokens}, None
    effort = wanted.effort
    return {"type": "adaptive"}, None if effort is None else _EFFORTS.get(effort, effort)


def _say_system(fields: dict[str, msgspec.Raw], system_prompt: str) -> None:
    if fields.get("system", _NULL) == _NULL:
        fields["system"] = _raw(system_prompt)


# --- Responses ----------------------------------------------------------------------------------------

_SAME_IN_RESPONSES: Final = (
    "model", "models", "provider", "route", "temperature", "top_p", "top_k", "frequency_penalty",
    "presence_penalty", "top_logprobs", "parallel_tool_calls", "plugins", "modalities", "image_config",
    "service_tier", "cache_control",
)  # fmt: skip


def _for_responses(fields: Fields) -> Fields:
    request = _in_our_words(fields)
    body = request.body
    words: dict[str, object] = {name: fields[name] for name in _SAME_IN_RESPONSES if name in fields}
    if request.max_tokens is not None:
        words["max_output_tokens"] = request.max_tokens
    if request.reasoning is not None:
        words["reasoning"] = request.reasoning
    if body.tools:
        words["tools"] = [
            raw
            if tool.function is None
            else {"type": "function", **_read_fields(_encode(tool.function))}
            for raw, tool in zip(_read_list(fields["tools"]), body.tools, strict=True)
        ]
    match body.tool_choice:
        case NamedTool(function=function) if function is not None:
            words["tool_choice"] = {"type": "function", "name": function.name}
        case str() as word:
            words["tool_choice"] = word
    text: dict[str, object] = {}
    if body.verbosity is not None:
        text["verbosity"] = body.verbosity
    if (wanted := body.response_format) is not None:
        schema = {} if wanted.json_schema is None else _read_fields(_encode(wanted.json_schema))
        if wanted.json_schema is not None:
            schema.setdefault("name", msgspec.Raw(b'"response"'))
        text["format"] = {"type": wanted.type, **schema}
    if text:
        words["text"] = text
    return {name: _raw(value) for name, value in words.items()}


def _instruct(fields: dict[str, msgspec.Raw], system_prompt: str) -> None:
    if fields.get("instructions", _NULL) != _NULL:
        return
    items = fields.get("input", _NULL)
    if bytes(memoryview(items)[:1]) == b"[" and _has_own(items):
        return
    fields["instructions"] = _raw(system_prompt)


# --- all of them --------------------------------------------------------------------------------------


def _about_routing(fields: Fields) -> Fields:
    return {name: fields[name] for name in ("model", "models", "provider") if name in fields}


def _say_nothing(_fields: dict[str, msgspec.Raw], _system_prompt: str) -> None:
    return


_SAME_LIMIT: Final = {
    "max_tokens": ("max_completion_tokens",),
    "max_completion_tokens": ("max_tokens",),
    "reasoning": ("reasoning_effort",),
    "reasoning_effort": ("reasoning",),
    "top_logprobs": ("logprobs",),
}
_UNSAID: Final = ("top_a", "min_p", "repetition_penalty", "seed", "logit_bias")
_ABOUT_ROUTING: Final = _Words(_about_routing, _say_nothing, {"models": ("fallbacks",)})
_WORDS: Final[Mapping[str, _Words]] = {
    "openai-chat": _Words(lambda fields: fields, _say_first, _SAME_LIMIT),
    "anthropic-messages": _Words(
        _for_messages,
        _say_system,
        {"models": ("fallbacks",), "service_tier": ("speed",), "output_config": ("output_format",)},
        ("frequency_penalty", "presence_penalty", *_UNSAID),
    ),
    "openai-responses": _Words(_for_responses, _instruct, {}, ("stop", *_UNSAID)),
}
