"""Writing requests in the OpenAI format.

A request that came in this format travels as it was written, field by field; only what a provider would
misread or refuse is changed:

- fields that are ours (routing, plugins, attribution) stay here, and `user` is never passed on;
- a parameter that the endpoint does not support is dropped, unknown ones are passed on;
- the service tier is the endpoint's, whatever the caller wrote to get there;
- the limit on tokens, reasoning settings, roles, names and cache marks are put as the provider takes them.

A message is passed byte for byte unless something in it needs a change; then it is rewritten as a JSON
value, so that fields we do not know still survive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from fairlead.core.catalog import PARAMETERS, Endpoint
from fairlead.core.chat import (
    ABSENT,
    ChatBody,
    ChatRequest,
    FunctionMessage,
    Message,
    ToolMessage,
    WireFormat,
)
from fairlead.core.errors import RequestInvalid
from fairlead.core.service_tiers import asked_tier
from fairlead.providers.base import Credential, UpstreamRequest
from fairlead.providers.openai_foreign import messages_for_openai, tools_for_openai
from fairlead.providers.openai_reasoning import ReasoningStyle, reasoning_fields
from fairlead.wire.openai_messages import PlainMessages, is_plain

__all__ = ["Row", "encode_request"]

Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class Row:
    """One provider of the OpenAI format: where it differs from the others.

    key_header: the header that carries the key; "authorization" means a bearer token.
    reasoning: how it takes reasoning settings.
    reasoning_history: the field in which it takes back the reasoning of earlier turns; None: it takes none.
    limit_field: its name for the limit on the answer; "by_model": the newer name for OpenAI's models.
    developer: for which models it knows the role `developer`; elsewhere that becomes `system`.
    takes_stream_options, takes_cache_control, takes_names: whether it takes them; otherwise they are
        dropped, dropped, and written in front of the text.
    user_field: its name for an end user, who is told as a digest; None: it has none.
    takes: fields of OpenAI's own that most others refuse, and it takes.
    renames: our name of a field to its name.
    completions: models for which it has the legacy /completions; True: all.
    only_responses: whether it offers a model, by its own name, in the Responses format only; None: none.
    adjust: whatever is still to be done to the fields.
    """

    slug: str
    key_header: str = "authorization"
    reasoning: ReasoningStyle = ReasoningStyle.EFFORT
    reasoning_history: str | None = None
    limit_field: Literal["max_tokens", "max_completion_tokens", "by_model"] = "max_tokens"
    developer: Literal["never", "openai_models", "always"] = "never"
    takes_stream_options: bool = True
    takes_cache_control: bool = False
    takes_names: bool = False
    user_field: str | None = None
    takes: frozenset[str] = frozenset()
    renames: Mapping[str, str] | None = None
    completions: frozenset[str] | bool = False
    only_responses: Callable[[str], bool] | None = None
    adjust: Callable[[Fields, ChatRequest, Endpoint], None] | None = None


_COMPLETIONS: Final = WireFormat.OPENAI_COMPLETIONS
_OPENAI_SOURCES: Final = (WireFormat.OPENAI_CHAT, _COMPLETIONS)
_OPENAI_AUTHOR: Final = "openai/"

# Written by us, or not for providers' eyes.
_OURS: Final = frozenset(
    {
        "model", "models", "provider", "plugins", "route", "preset", "session_id", "usage", "trace", "debug",
        "transforms", "user", "stream", "stream_options", "messages", "prompt", "max_tokens",
        "max_completion_tokens", "reasoning", "reasoning_effort", "include_reasoning", "max_tool_calls",
        "stop_server_tools_when", "image_config", "structured_outputs",
    }
)  # fmt: skip
# OpenAI's own; servers that check their input refuse them unless their row says otherwise.
_ONLY_SOME_TAKE: Final = frozenset(
    {
        "metadata", "store", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
        "safety_identifier", "service_tier", "cache_control", "moderation", "image_config",
        "structured_outputs",
    }
)  # fmt: skip
_WITHHELD: Final = _OURS | _ONLY_SOME_TAKE
_ONLY_IN_COMPLETIONS: Final = frozenset({"suffix", "echo", "best_of"})
# What is copied from the typed view of a request in another format.
_TYPED: Final = (
    "temperature", "top_p", "top_k", "top_a", "min_p", "frequency_penalty", "presence_penalty",
    "repetition_penalty", "seed", "n", "stop", "logit_bias", "logprobs", "top_logprobs", "tools",
    "tool_choice", "parallel_tool_calls", "response_format", "prediction", "verbosity", "modalities",
    "audio", "web_search_options", "prompt_cache_key", "service_tier", "metadata",
)  # fmt: skip

_encode: Final = msgspec.json.Encoder().encode
_split: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_message: Final = msgspec.json.Decoder(dict[str, object]).decode


def encode_request(
    row: Row, request: ChatRequest, endpoint: Endpoint, credential: Credential
) -> UpstreamRequest:
    """What to send. Raises RequestInvalid for what this provider cannot be asked."""
    body = request.body
    is_completion = _is_completion(row, request, endpoint)
    fields: Fields = {"model": endpoint.provider_model_id}
    if is_completion:
        fields["prompt"] = request.fields.get("prompt", body.prompt)
    else:
        fields["messages"] = _messages(row, request, endpoint)
    _copy_parameters(fields, row, request, endpoint, is_completion=is_completion)
    limit = request.max_tokens
    if limit is not None and _takes_limit(endpoint):
        fields[_limit_field(row, endpoint) if not is_completion else "max_tokens"] = limit
    if request.reasoning is not None and not is_completion:
        fields.update(
            reasoning_fields(row.reasoning, request.reasoning, endpoint, token_limit=limit)
        )
    if endpoint.tier is not None or "service_tier" in fields:
        _ask_for_tier(fields, request, endpoint)
    if row.user_field is not None and request.end_user is not None:
        fields.setdefault(row.user_field, request.end_user)
    if body.stream:
        fields["stream"] = True
        if row.takes_stream_options:
            fields["stream_options"] = _INCLUDE_USAGE
    if row.adjust is not None:
        row.adjust(fields, request, endpoint)
    path = "/completions" if is_completion else "/chat/completions"
    return UpstreamRequest(
        method="POST",
        url=_url(credential, path),
        headers=_headers(row, credential, streamed=body.stream is True),
        body=_encode(fields),
    )


def _ask_for_tier(fields: Fields, request: ChatRequest, endpoint: Endpoint) -> None:
    tier = asked_tier(request.body.service_tier, endpoint)
    if tier is None:
        fields.pop("service_tier", None)
    else:
        fields["service_tier"] = tier


_INCLUDE_USAGE: Final = msgspec.Raw(b'{"include_usage":true}')


def _is_completion(row: Row, request: ChatRequest, endpoint: Endpoint) -> bool:
    if request.source is not _COMPLETIONS or request.body.messages is not None:
        return False
    if isinstance(row.completions, bool):
        return row.completions
    return endpoint.provider_model_id in row.completions


def _url(credential: Credential, path: str) -> str:
    url = credential.base_url.rstrip("/") + path
    version = credential.options.get("api_version")
    return f"{url}?api-version={version}" if version else url


_CONTENT_TYPE: Final = ("content-type", "application/json")
_WHOLE_HEADERS: Final = (_CONTENT_TYPE, ("accept", "application/json"))
_STREAM_HEADERS: Final = (_CONTENT_TYPE, ("accept", "text/event-stream"))


def _headers(row: Row, credential: Credential, *, streamed: bool) -> tuple[tuple[str, str], ...]:
    headers = _STREAM_HEADERS if streamed else _WHOLE_HEADERS
    if not credential.api_key:
        return headers
    if row.key_header == "authorization":
        return (*headers, ("authorization", f"Bearer {credential.api_key}"))
    return (*headers, (row.key_header, credential.api_key))


_LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})


def _takes_limit(endpoint: Endpoint) -> bool:
    """An endpoint of which no abilities are known, as a local server's, is taken to have all."""
    supported = endpoint.supported_parameters
    return not supported or not supported.isdisjoint(_LIMITS)


def _limit_field(row: Row, endpoint: Endpoint) -> str:
    if row.limit_field == "by_model":
        is_openai = endpoint.model.startswith(_OPENAI_AUTHOR)
        return "max_completion_tokens" if is_openai else "max_tokens"
    return row.limit_field


# --- parameters ---------------------------------------------------------------------------------------


def _copy_parameters(
    fields: Fields, row: Row, request: ChatRequest, endpoint: Endpoint, *, is_completion: bool
) -> None:
    supported = endpoint.supported_parameters
    renames = row.renames
    for name, value in _given(row, request):
        if name in _WITHHELD and name not in row.takes:
            continue
        if supported and name in PARAMETERS and name not in supported:
            continue
        if not is_completion and name in _ONLY_IN_COMPLETIONS:
            continue
        if value == _NULL:
            continue
        if renames is not None and name in renames:
            name = renames[name]
        fields[name] = value
    if fields.get("tools", _NO_TOOLS) == _NO_TOOLS:
        # A choice among no tools is refused as a mistake.
        for name in _ABOUT_TOOLS:
            fields.pop(name, None)
    if not is_completion and request.source is _COMPLETIONS:
        logprobs = request.body.logprobs
        if "logprobs" in fields and not isinstance(logprobs, bool):
            del fields["logprobs"]  # a number there, a switch here


_NULL: Final = msgspec.Raw(b"null")
_NO_TOOLS: Final = msgspec.Raw(b"[]")
_ABOUT_TOOLS: Final = ("tools", "tool_choice", "parallel_tool_calls")


def _given(row: Row, request: ChatRequest) -> Iterable[tuple[str, object]]:
    """The caller's parameters, as written where that can be."""
    if request.source in _OPENAI_SOURCES:
        return request.fields.items()
    body = request.body
    if body.tools:
        tools = tools_for_openai(body.tools, keeps_marks=row.takes_cache_control)
        body = msgspec.structs.replace(body, tools=tools)
    return [
        (name, value) for name in _TYPED if (value := getattr(body, name)) not in (None, [], ABSENT)
    ]


# --- messages -----------------------------------------------------------------------------------------

# What our own answers hold and callers send back, and only aggregators take.
_ONLY_IN_OUR_ANSWERS: Final[tuple[str, ...]] = (
    "reasoning", "reasoning_content", "reasoning_details", "annotations", "images", "model", "provider",
    "native_finish_reason",
)  # fmt: skip
# Null there means nothing; some servers refuse it.
_NULLABLE_KEYS: Final[tuple[str, ...]] = (
    "refusal",
    "audio",
    "function_call",
    "tool_calls",
    "name",
    "annotations",
)


def _messages(row: Row, request: ChatRequest, endpoint: Endpoint) -> object:
    body = request.body
    if body.messages is None:
        return [{"role": "user", "content": _prompt_text(body)}]
    if isinstance(body.messages, PlainMessages):
        return request.fields["messages"]
    is_openai_model = endpoint.model.startswith(_OPENAI_AUTHOR)
    prefixes_names = not (row.takes_names or is_openai_model) and _has_names(body.messages)
    keeps_developer = row.developer == "always" or (
        row.developer == "openai_models" and is_openai_model
    )
    if request.source in _OPENAI_SOURCES:
        raw = request.fields["messages"]
    else:
        adapted = messages_for_openai(body.messages, keeps_marks=row.takes_cache_control)
        raw = msgspec.Raw(_encode(adapted))
    as_written = _split(raw)
    messages: list[object] = [*as_written]
    has_changed = False
    for position, written in enumerate(as_written):
        if is_plain(written):
            continue
        message = _decode_message(written)
        needs_change = False
        if message.get("role") == "developer" and not keeps_developer:
            message["role"] = "system"
            needs_change = True
        if prefixes_names:
            needs_change |= _prefix_name(message)
        needs_change |= _clean_parts(message, row)
        if message.get("role") == "assistant":
            needs_change |= _clean_assistant(message, row)
        if needs_change:
            messages[position] = message
            has_changed = True
    return messages if has_changed else raw


def _prompt_text(body: ChatBody) -> str:
    """A prompt as one user message, for a provider that only chats."""
    prompt = body.prompt
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        return prompt[0]
    raise RequestInvalid(
        "This model takes one prompt, as text; several prompts, or tokens, cannot be sent to it.",
        param="prompt",
    )


def _has_names(messages: Sequence[Message]) -> bool:
    return any(
        message.name and not isinstance(message, ToolMessage | FunctionMessage)
        for message in messages
    )


def _prefix_name(message: Fields) -> bool:
    """`name` becomes part of the text, where a provider has no place for it. Whether anything changed."""
    if "name" not in message or message.get("role") in ("tool", "function"):
        return False
    name = message.pop("name")
    content = message.get("content")
    if isinstance(name, str) and name:
        if isinstance(content, str):
            message["content"] = f"{name}: {content}"
        elif isinstance(content, list):
            message["content"] = [{"type": "text", "text": f"{name}: "}, *content]
    return True


def _clean_parts(message: Fields, row: Row) -> bool:
    """Parts as the provider reads them. Whether anything changed."""
    content = message.get("content")
    if not isinstance(content, list):
        return False
    has_changed = False
    for position, part in enumerate(content):
        if not isinstance(part, dict):
            continue
        if part.get("type") == "\0other":
            part = content[position] = part.get("part")
            has_changed = True
            if not isinstance(part, dict):
                continue
        if "cache_control" in part and not row.takes_cache_control:
            del part["cache_control"]
            has_changed = True
        if part.get("type") == "input_video":
            part["type"] = "video_url"
            has_changed = True
        for name in ("image_url", "video_url"):
            if isinstance(part.get(name), str):  # Mistral's way to write it
                part[name] = {"url": part[name]}
                has_changed = True
        image = part.get("image_url")
        if isinstance(image, dict) and image.get("detail") == "original":
            image["detail"] = "high"
            has_changed = True
    return has_changed


def _clean_assistant(message: Fields, row: Row) -> bool:
    """An earlier answer as the provider takes it back. Whether anything changed."""
    has_changed = False
    for call in message.get("tool_calls") or ():  # type: ignore[attr-defined]  # typed by the dialect
        if "type" not in call:
            call["type"] = "function"
            has_changed = True
        # Answers number their calls, and some servers refuse the number when it comes back:
        # https://github.com/mistralai/mistral-common/pull/165 (read 2026-11-21).
        has_changed |= call.pop("index", None) is not None
    history = row.reasoning_history
    if history == "reasoning_details":
        return has_changed  # an aggregator: it takes all that our own answers hold
    thoughts = message.get("reasoning") or message.get("reasoning_content")
    unwanted = [name for name in _ONLY_IN_OUR_ANSWERS if name in message]
    unwanted += [name for name in _NULLABLE_KEYS if name in message and not message[name]]
    for name in unwanted:
        message.pop(name, None)
    if history is not None and thoughts:
        message[history] = thoughts
    return has_changed or bool(unwanted)
