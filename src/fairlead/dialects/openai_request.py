"""Reading a request in the OpenAI chat or completions format.

The body is read twice, both times by compiled decoders: once into the typed view, once into a map of its
top-level fields as they were written, so that what we do not know survives. What we do know is checked
here and nowhere else; past this file a request is right by construction. Plain messages, the common ones
by far, are checked without being read (see wire/openai_messages.py); what is not plain, or is wrong, is read
again by decoders that know all of the format and say precisely what is wrong.

A null for an optional field is as if the field were absent. Parts of a message whose type or shape we do
not know are never refused: they are wrapped, and providers of the same format get them as they were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from fairlead.core.chat import (
    ChatBody,
    ChatRequest,
    ReasoningSettings,
    WireFormat,
)
from fairlead.dialects.reading import measure, not_json, wrong, wrong_type
from fairlead.wire.openai_messages import PlainMessage, PlainMessages, plain_modalities

__all__ = ["check_parameters", "read_request"]

SESSION_ID_CHARACTERS_MAX: Final = 256
USER_CHARACTERS_MAX: Final = 256
TOOL_NAME_CHARACTERS_MAX: Final = 64
STOPS_MAX: Final = 4
CHOICES_MAX: Final = 128
METADATA_PAIRS_MAX: Final = 16
METADATA_KEY_CHARACTERS_MAX: Final = 64
METADATA_VALUE_CHARACTERS_MAX: Final = 512


class _PlainBody(ChatBody, frozen=True, gc=False):
    """One with plain messages."""

    messages: list[PlainMessage] | None = None  # type: ignore[assignment] # until they are replaced


_read_plain_body: Final = msgspec.json.Decoder(_PlainBody).decode
_read_body: Final = msgspec.json.Decoder(ChatBody).decode
_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_any: Final = msgspec.json.Decoder().decode

_OTHER_TAG: Final = "\0other"
# Parts that we type, and what must be in them for that.
_PART_SHAPES: Final[Mapping[str, tuple[str, type]]] = {
    "text": ("text", str),
    "image_url": ("image_url", dict),
    "file": ("file", dict),
    "input_audio": ("input_audio", dict),
    "video_url": ("video_url", dict),
    "refusal": ("refusal", str),
}


def read_request(body: bytes, source: WireFormat) -> ChatRequest:
    """Decode a body. Raises RequestInvalid with the path of the first field that is wrong."""
    try:
        if not body.isascii():
            str(body, "utf-8")  # the decoder checks only what it reads, and we pass on the rest too
        plain = _read_plain_body(body)
        messages = plain.messages or ()
        modalities, characters = plain_modalities(messages), len(body)
        fields = _read_fields(body)
        if messages:
            as_written = PlainMessages(fields["messages"], len(messages))
            msgspec.structs.force_setattr(plain, "messages", as_written)
        typed: ChatBody = plain
    except (ValueError, RecursionError):
        typed, fields = _read_any_body(body)
        modalities, characters = measure(typed)
    check_parameters(typed, fields)
    if type(typed.logprobs) is int and source is WireFormat.OPENAI_CHAT:
        raise wrong("logprobs", "must be true or false; only legacy completions take a number")
    return ChatRequest(
        source=source,
        fields=fields,
        body=typed,
        reasoning=_reasoning(typed),
        modalities=modalities,
        characters=characters,
    )


def _read_any_body(body: bytes) -> tuple[ChatBody, dict[str, msgspec.Raw]]:
    """The typed view and the fields of a body that is not plain, or is wrong: then RequestInvalid is raised."""
    try:
        str(body, "utf-8")
        typed = _read_body(body)
    except msgspec.ValidationError as error:
        typed = _read_with_other_parts(body, error)
    except (ValueError, RecursionError) as error:
        raise not_json(body, error) from None
    return typed, _read_fields(body)


# --- parts we do not know -----------------------------------------------------------------------------


def _read_with_other_parts(body: bytes, first: msgspec.ValidationError) -> ChatBody:
    """The typed view again, with unknown parts wrapped. Raises RequestInvalid if that was not what is wrong."""
    try:
        fields = _read_any(body)
    except (ValueError, RecursionError) as error:
        raise not_json(body, error) from None
    if not isinstance(fields, dict) or not _wrap_unknown_parts(fields.get("messages")):
        raise wrong_type(first) from None
    try:
        return _read_body(msgspec.json.encode(fields))
    except msgspec.ValidationError as error:
        raise wrong_type(error) from None


def _wrap_unknown_parts(messages: object) -> bool:
    """Whether anything was wrapped."""
    if not isinstance(messages, list):
        return False
    has_wrapped = False
    for message in messages:
        parts = message.get("content") if isinstance(message, dict) else None
        if not isinstance(parts, list):
            continue
        for position, part in enumerate(parts):
            if isinstance(part, dict) and isinstance(part.get("type"), str):
                typed = _known_part(part)
                if typed is not part:
                    parts[position] = typed
                    has_wrapped = True
    return has_wrapped


def _known_part(part: dict[str, object]) -> dict[str, object]:
    """The part itself, in its documented spelling, or wrapped."""
    kind = part["type"]
    if kind == "input_video":  # the older name
        part = {**part, "type": "video_url"}
        kind = "video_url"
    if kind in ("image_url", "video_url") and isinstance(part.get(kind), str):
        part = {**part, kind: {"url": part[kind]}}  # Mistral's way to write it
    shape = _PART_SHAPES.get(str(kind))
    if shape is not None and isinstance(part.get(shape[0]), shape[1]):
        return part
    if shape is not None:
        return part  # ours, but malformed: the typed reading says what is wrong
    return {"type": _OTHER_TAG, "part": part}


# --- checks -------------------------------------------------------------------------------------------


def check_parameters(body: ChatBody, names: Iterable[str]) -> None:
    """Check the parameters of these names; a name that is not known is passed. Raises RequestInvalid."""
    for name in names:
        check = _CHECKS.get(name)
        if check is not None:
            check(body)


def _messages(body: ChatBody) -> None:
    if body.messages is not None and not body.messages:
        raise wrong("messages", "must hold at least one message")


def _prompt(body: ChatBody) -> None:
    if body.prompt is not None and not isinstance(body.prompt, str) and not body.prompt:
        raise wrong("prompt", "must not be an empty list")


def _between(name: str, low: float, high: float) -> Callable[[ChatBody], None]:
    rule = f"must be between {low:g} and {high:g}"

    def check(body: ChatBody) -> None:
        value = getattr(body, name)
        if value is not None and not low <= value <= high:
            raise wrong(name, f"{rule}, not {value:g}")

    return check


def _at_least(name: str, low: int) -> Callable[[ChatBody], None]:
    def check(body: ChatBody) -> None:
        value = getattr(body, name)
        if value is not None and value < low:
            raise wrong(name, f"must be at least {low}, not {value}")

    return check


def _at_most_characters(name: str, characters_max: int) -> Callable[[ChatBody], None]:
    def check(body: ChatBody) -> None:
        value = getattr(body, name)
        if value is not None and len(value) > characters_max:
            raise wrong(name, f"must have at most {characters_max} characters, not {len(value)}")

    return check


def _top_logprobs(body: ChatBody) -> None:
    if body.top_logprobs is None:
        return
    if not 0 <= body.top_logprobs <= 20:
        raise wrong("top_logprobs", f"must be between 0 and 20, not {body.top_logprobs}")
    if body.logprobs is not True:
        raise wrong("top_logprobs", "needs `logprobs` to be true")


def _stop(body: ChatBody) -> None:
    if isinstance(body.stop, list) and len(body.stop) > STOPS_MAX:
        raise wrong("stop", f"may hold at most {STOPS_MAX} sequences, not {len(body.stop)}")


def _tools(body: ChatBody) -> None:
    for position, tool in enumerate(body.tools or ()):
        path = f"tools[{position}].function"
        if tool.function is None:
            if tool.type in ("function", None):
                raise wrong(path, "is required")
            continue
        if not 0 < len(tool.function.name) <= TOOL_NAME_CHARACTERS_MAX:
            raise wrong(f"{path}.name", f"must have 1 to {TOOL_NAME_CHARACTERS_MAX} characters")
        if not _may_be_object(tool.function.parameters):
            raise wrong(f"{path}.parameters", "must be a JSON schema, an object")


def _response_format(body: ChatBody) -> None:
    wanted = body.response_format
    if wanted is None or wanted.type != "json_schema":
        return
    path = "response_format.json_schema"
    if wanted.json_schema is None:
        raise wrong(path, "is required for the type `json_schema`")
    name = wanted.json_schema.name  # the format requires one; Perplexity's callers do without
    if name is not None and _SCHEMA_NAME.fullmatch(name) is None:
        raise wrong(f"{path}.name", "must have 1 to 64 characters out of a-z, A-Z, 0-9, _ and -")
    if not _may_be_object(wanted.json_schema.schema):
        raise wrong(f"{path}.schema", "must be a JSON schema, an object")


_SCHEMA_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def _may_be_object(raw: msgspec.Raw) -> bool:
    """Whether a value that is kept as written is an object, null or absent. It is known to be valid JSON."""
    return bytes(memoryview(raw)[:1]) in (b"", b"{", b"n")


def _object(name: str) -> Callable[[ChatBody], None]:
    def check(body: ChatBody) -> None:
        if not _may_be_object(getattr(body, name)):
            raise wrong(name, "must be an object")

    return check


def _logit_bias(body: ChatBody) -> None:
    for token, bias in (body.logit_bias or {}).items():
        if not -100 <= bias <= 100:
            raise wrong(f"logit_bias.{token[:20]}", "must be between -100 and 100")


def _metadata(body: ChatBody) -> None:
    metadata = body.metadata or {}
    if len(metadata) > METADATA_PAIRS_MAX:
        raise wrong("metadata", f"may hold at most {METADATA_PAIRS_MAX} pairs")
    for key, value in metadata.items():
        if len(key) > METADATA_KEY_CHARACTERS_MAX:
            raise wrong(
                "metadata", f"may have keys of at most {METADATA_KEY_CHARACTERS_MAX} characters"
            )
        if len(value) > METADATA_VALUE_CHARACTERS_MAX:
            raise wrong(
                f"metadata.{key}",
                f"must have at most {METADATA_VALUE_CHARACTERS_MAX} characters",
            )


def _reasoning_fields(body: ChatBody) -> None:
    given = body.reasoning
    if given is None:
        return
    if given.effort is not None and given.max_tokens is not None:
        raise wrong("reasoning", "takes `effort` or `max_tokens`, not both")
    if given.max_tokens is not None and given.max_tokens < 0:
        raise wrong("reasoning.max_tokens", "must be at least 0")
    if body.reasoning_effort is not None and given.effort not in (None, body.reasoning_effort):
        raise wrong(
            "reasoning_effort",
            f"({body.reasoning_effort}) contradicts `reasoning.effort` ({given.effort})",
        )
    if body.reasoning_effort is not None and given.max_tokens is not None:
        raise wrong("reasoning_effort", "contradicts `reasoning.max_tokens`")


# Only fields that are in the body are checked, so a small request pays for what it says.
_CHECKS: Final[Mapping[str, Callable[[ChatBody], None]]] = {
    "messages": _messages,
    "prompt": _prompt,
    "temperature": _between("temperature", 0, 2),
    "top_p": _between("top_p", 0, 1),
    "top_k": _at_least("top_k", 0),
    "top_a": _between("top_a", 0, 1),
    "min_p": _between("min_p", 0, 1),
    "frequency_penalty": _between("frequency_penalty", -2, 2),
    "presence_penalty": _between("presence_penalty", -2, 2),
    "repetition_penalty": _between("repetition_penalty", 0, 2),
    "max_tokens": _at_least("max_tokens", 1),
    "max_completion_tokens": _at_least("max_completion_tokens", 1),
    "n": _between("n", 1, CHOICES_MAX),
    "best_of": _at_least("best_of", 1),
    "top_logprobs": _top_logprobs,
    "stop": _stop,
    "tools": _tools,
    "response_format": _response_format,
    "logit_bias": _logit_bias,
    "metadata": _metadata,
    "session_id": _at_most_characters("session_id", SESSION_ID_CHARACTERS_MAX),
    "user": _at_most_characters("user", USER_CHARACTERS_MAX),
    "reasoning": _reasoning_fields,
    "prediction": _object("prediction"),
    "audio": _object("audio"),
    "image_config": _object("image_config"),
    "web_search_options": _object("web_search_options"),
}


# --- what follows from it -----------------------------------------------------------------------------


def _reasoning(body: ChatBody) -> ReasoningSettings | None:
    """One meaning out of three spellings."""
    given = body.reasoning
    effort = body.reasoning_effort
    if given is None:
        if effort is None and body.include_reasoning is None:
            return None
        return ReasoningSettings(effort=effort, exclude=body.include_reasoning is False)
    if effort is not None and given.effort is None:
        given = msgspec.structs.replace(given, effort=effort)
    if body.include_reasoning is False and not given.exclude:
        given = msgspec.structs.replace(given, exclude=True)
    return given
