"""Writing requests in Google's format: the body of `generateContent` and of its stream.

The conversation is `google_contents.py`'s story; this file writes all around it: what the answer shall be
(`generationConfig`), functions, and how they may be called.

A parameter that the endpoint does not support is dropped, as everywhere. What the format has no word for is
dropped too: `parallel_tool_calls`, `logit_bias`, `min_p`, `top_a`, `repetition_penalty`, `verbosity`,
`prediction`, `user`, marks for explicit caching (Google caches by itself, and explicitly only in a call of
its own). Safety settings stay the account's.

Source: https://ai.google.dev/api/generate-content (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatBody, ChatRequest, Function, NamedTool, UserMessage
from fairlead.core.errors import RequestInvalid
from fairlead.core.service_tiers import asked_tier
from fairlead.providers.google_contents import conversation
from fairlead.providers.google_models import Generation, generation_of
from fairlead.providers.google_schema import json_schema, openapi_schema
from fairlead.providers.google_thinking import thinking_config

__all__ = ["AI_STUDIO", "Host", "google_body", "google_tier"]

Fields = dict[str, object]
_Convert = Callable[[object], Fields]

_SEED_MODULUS: Final = 2**31  # theirs are 32 bit; the same seed stays the same
_SERVICE_TIERS: Final[Mapping[str, str]] = {
    "flex": "flex",
    "priority": "priority",
    "default": "standard",
}

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Host:
    """Where Google's models are asked, and what it takes of the format.

    takes_call_ids: ids of calls and their results; a server that does not know them refuses the request.
        (Vertex AI's v1, where FunctionCall has no `id`; its v1beta1 does.)
    takes_service_tier: the tier as a field of the body; elsewhere it is a header.
    """

    takes_call_ids: bool
    takes_service_tier: bool


AI_STUDIO: Final = Host(takes_call_ids=True, takes_service_tier=True)


def google_body(request: ChatRequest, endpoint: Endpoint, host: Host = AI_STUDIO) -> bytes:
    """The body, in JSON. Raises RequestInvalid for what Google cannot be asked."""
    body = request.body
    generation = generation_of(endpoint.provider_model_id)
    messages = _prompt(body) if body.messages is None else body.messages
    told = conversation(messages, generation, takes_call_ids=host.takes_call_ids)
    tools = _functions(body, endpoint, generation)
    config = _generation_config(body, endpoint)
    limit = request.max_tokens
    if limit is not None and _supports(endpoint, "max_tokens", "max_completion_tokens"):
        config["maxOutputTokens"] = limit
    thinking = thinking_config(request.reasoning, endpoint, generation, token_limit=limit)
    if thinking:
        config["thinkingConfig"] = thinking
    config |= _answer_format(
        body, endpoint, generation, has_tools=bool(tools), instructions=told.system
    )
    fields: Fields = {"contents": told.contents}
    system = [{"text": text} for text in told.system if text]
    if system:
        fields["systemInstruction"] = {"parts": system}
    if tools:
        fields["tools"] = [{"functionDeclarations": tools}]
        if calling := _calling(body, endpoint):
            fields["toolConfig"] = {"functionCallingConfig": calling}
    elif body.web_search_options and _supports(endpoint, "web_search_options"):
        fields["tools"] = [{"googleSearch": {}}]  # not beside functions: most models refuse both
    if config:
        fields["generationConfig"] = config
    if host.takes_service_tier and (tier := google_tier(request, endpoint)):
        fields["serviceTier"] = tier
    return _encode(fields)


def google_tier(request: ChatRequest, endpoint: Endpoint) -> str | None:
    """Google's word for the service tier to ask for; None for none."""
    return _SERVICE_TIERS.get(asked_tier(request.body.service_tier, endpoint) or "")


def _supports(endpoint: Endpoint, *names: str) -> bool:
    """An endpoint of which no abilities are known is taken to have all."""
    supported = endpoint.supported_parameters
    return not supported or any(name in supported for name in names)


def _prompt(body: ChatBody) -> list[UserMessage]:
    """A prompt as one user message."""
    prompt = body.prompt
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0] if isinstance(prompt[0], str) else None
    if isinstance(prompt, str):
        return [UserMessage(content=prompt)]
    raise RequestInvalid(
        "This model takes one prompt, as text; several prompts, or tokens, cannot be sent to it.",
        param="prompt",
    )


# --- what the answer shall be ---------------------------------------------------------------------------


def _generation_config(body: ChatBody, endpoint: Endpoint) -> Fields:
    config: Fields = {}
    for name, theirs, value in (
        ("temperature", "temperature", body.temperature),
        ("top_p", "topP", body.top_p),
        ("top_k", "topK", body.top_k or None),  # 0 is off
        ("presence_penalty", "presencePenalty", body.presence_penalty),
        ("frequency_penalty", "frequencyPenalty", body.frequency_penalty),
        ("stop", "stopSequences", [body.stop] if isinstance(body.stop, str) else body.stop),
        ("seed", "seed", None if body.seed is None else body.seed % _SEED_MODULUS),
    ):
        if value is not None and value != [] and _supports(endpoint, name):
            config[theirs] = value
    if body.n is not None:
        config["candidateCount"] = body.n
    if body.logprobs and _supports(endpoint, "logprobs"):
        config["responseLogprobs"] = True
        top = body.top_logprobs if body.logprobs is True else int(body.logprobs)
        if top:
            config["logprobs"] = top
    config |= _media(body)
    return config


_IMAGE_CONFIG: Final[Mapping[str, str]] = {
    "aspect_ratio": "aspectRatio",
    "image_size": "imageSize",
    "person_generation": "personGeneration",
}


def _media(body: ChatBody) -> Fields:
    """Images and speech in the answer. A model that speaks says nothing in writing."""
    config: Fields = {}
    modalities = [modality.upper() for modality in body.modalities or ()]
    if "AUDIO" in modalities:
        config["responseModalities"] = ["AUDIO"]
        audio = _object(body.audio)
        if isinstance(voice := audio.get("voice"), str):
            named = {"prebuiltVoiceConfig": {"voiceName": voice}}
            config["speechConfig"] = {"voiceConfig": named}
    elif modalities and modalities != ["TEXT"]:
        config["responseModalities"] = modalities
    wishes = _object(body.image_config)
    image = {theirs: wishes[name] for name, theirs in _IMAGE_CONFIG.items() if name in wishes}
    if image:
        config["imageConfig"] = image
    return config


def _object(raw: msgspec.Raw) -> Mapping[str, object]:
    value = _decode(raw) if raw else None
    return value if isinstance(value, dict) else {}


_JSON_WANTED: Final = "Answer with one JSON object, and nothing else."
_SCHEMA_WANTED: Final = "Answer with JSON that fits this JSON schema, and with nothing else:\n"


def _answer_format(
    body: ChatBody,
    endpoint: Endpoint,
    generation: Generation,
    *,
    has_tools: bool,
    instructions: list[str],
) -> Fields:
    """The format of the answer; where a model cannot be bound to one, an instruction is added instead."""
    wanted = body.response_format
    if wanted is None or wanted.type not in ("json_object", "json_schema"):
        return {}
    if not _supports(endpoint, "response_format", "structured_outputs"):
        return {}
    schema = wanted.json_schema.schema if wanted.json_schema is not None else None
    if has_tools and not generation.calls_and_formats:
        instructions.append(_SCHEMA_WANTED + bytes(schema).decode() if schema else _JSON_WANTED)
        return {}
    fields: Fields = {"responseMimeType": "application/json"}
    if schema:
        where = "response_format.json_schema.schema"
        if generation.takes_json_schema:
            fields["responseJsonSchema"] = _read_schema(schema, where, json_schema)
        else:
            fields["responseSchema"] = _read_schema(schema, where, openapi_schema)
    return fields


def _read_schema(raw: msgspec.Raw, where: str, convert: _Convert) -> Fields:
    try:
        return convert(_decode(raw))
    except (RequestInvalid, RecursionError) as error:
        raise RequestInvalid(f"This schema cannot be sent: {error}", param=where) from error


# --- functions ------------------------------------------------------------------------------------------


def _functions(body: ChatBody, endpoint: Endpoint, generation: Generation) -> list[Fields]:
    """Tools of other types are other providers' own."""
    if not _supports(endpoint, "tools"):
        return []
    return [
        _declaration(tool.function, generation, f"tools[{position}].function.parameters")
        for position, tool in enumerate(body.tools or ())
        if tool.function is not None and tool.type in (None, "function")
    ]


def _declaration(function: Function, generation: Generation, where: str) -> Fields:
    declaration: Fields = {"name": function.name}
    if function.description:
        declaration["description"] = function.description
    raw = function.parameters
    if not raw or raw == _NULL:
        return declaration
    if generation.takes_json_schema:
        parameters = _read_schema(raw, where, json_schema)
        if parameters:
            declaration["parametersJsonSchema"] = {"type": "object", **parameters}
    else:
        parameters = _read_schema(raw, where, openapi_schema)
        if parameters.get("properties"):  # an object without any is refused
            declaration["parameters"] = parameters
    return declaration


_NULL: Final = msgspec.Raw(b"null")
_MODES: Final[Mapping[str, str]] = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def _calling(body: ChatBody, endpoint: Endpoint) -> Fields:
    choice = body.tool_choice
    if choice is None or not _supports(endpoint, "tool_choice"):
        return {}
    if isinstance(choice, NamedTool):
        if choice.function is None:
            return {}
        return {"mode": "ANY", "allowedFunctionNames": [choice.function.name]}
    mode = _MODES.get(choice)
    return {"mode": mode} if mode is not None else {}
