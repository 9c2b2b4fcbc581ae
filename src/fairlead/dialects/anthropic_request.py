"""Reading a request in the Anthropic Messages format.

The envelope is read by one compiled decoder that leaves content blocks as they were written; each block is
then read by its type (anthropic_blocks.py). A block of a type that we do not know is never refused: it is
wrapped, and providers of the same format get it as it was, because they get the caller's own fields.

What the vocabulary says otherwise:

- a tool result is a message of its own; those of one message come before what else is in it, which is the
  only order that other formats take;
- `system` is a first message, and a message of the role `system` stays where it is;
- tools that the provider runs, or knows by their type, are in `fields` alone: nobody else has them;
- `thinking` and `output_config.effort` are one wish about reasoning. An effort without thinking is
  `verbosity`, which is what it governs then.

A null for an optional field is as if the field were absent.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from fairlead.core.chat import (
    ABSENT,
    AssistantMessage,
    CacheControl,
    ChatBody,
    ChatRequest,
    Function,
    JsonSchema,
    Message,
    NamedFunction,
    NamedTool,
    ProviderPreferences,
    ReasoningSettings,
    ResponseFormat,
    SystemMessage,
    Tool,
    WireFormat,
)
from fairlead.dialects.anthropic_blocks import Fragment, assistant_message, parts_of, user_messages
from fairlead.dialects.openai_request import check_parameters
from fairlead.dialects.reading import measure, not_json, wrong, wrong_type

__all__ = ["read_request"]

USER_CHARACTERS_MAX: Final = 256
USER_ID_CHARACTERS_MAX: Final = 512  # agents put account and session into it
TOOL_NAME_CHARACTERS_MAX: Final = 128
FALLBACKS_MAX: Final = 3

# The format names no schema; formats that must have a name for it get this one.
_SCHEMA_NAME: Final = "response"
# Parameters that have the name, the place and the range that they have in other dialects.
_SHARED: Final = frozenset({"max_tokens", "temperature", "top_p", "top_k", "session_id"})
_EFFORTS = Literal["low", "medium", "high", "xhigh", "max"]


# --- the envelope -------------------------------------------------------------------------------------


class _Message(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[msgspec.Raw]


class _Tool(msgspec.Struct, frozen=True):
    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = ABSENT
    strict: bool | None = None
    cache_control: CacheControl | None = None


class _ToolChoice(msgspec.Struct, frozen=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(msgspec.Struct, frozen=True):
    type: Literal["enabled", "adaptive", "disabled"]
    budget_tokens: int | None = None


class _Format(msgspec.Struct, frozen=True):
    type: Literal["json_schema"]
    schema: msgspec.Raw


class _OutputConfig(msgspec.Struct, frozen=True):
    effort: _EFFORTS | None = None
    format: _Format | None = None


class _Metadata(msgspec.Struct, frozen=True):
    user_id: str | None = None


class _Fallback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str


class _Body(msgspec.Struct, frozen=True):
    """Only what we act on or check is typed."""

    messages: list[_Message]
    model: str | None = None
    models: list[str] | None = None
    fallbacks: list[_Fallback] | None = None
    max_tokens: int | None = None
    system: str | list[msgspec.Raw] | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    thinking: _Thinking | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    metadata: _Metadata | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None  # the older place of `output_config.format`
    cache_control: CacheControl | None = None
    service_tier: str | None = None
    speed: str | None = None
    provider: ProviderPreferences | str | None = None
    plugins: list[dict[str, msgspec.Raw]] | None = None
    route: str | None = None
    user: str | None = None
    session_id: str | None = None
    trace: dict[str, msgspec.Raw] | None = None
    debug: dict[str, msgspec.Raw] | None = None


_read_body: Final = msgspec.json.Decoder(_Body).decode
_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_request(body: bytes) -> ChatRequest:
    """Decode a body. Raises RequestInvalid with the path of the first field that is wrong."""
    try:
        # The decoder checks only the text that it keeps, and we pass on the rest too.
        str(body, "utf-8")
        read = _read_body(body)
        _check(read)
        typed = _in_our_words(read)
        fields = _read_fields(body)
        check_parameters(typed, fields.keys() & _SHARED)
    except msgspec.ValidationError as error:
        raise wrong_type(error) from None
    except (ValueError, RecursionError) as error:
        raise not_json(body, error) from None
    modalities, characters = measure(typed)
    return ChatRequest(
        source=WireFormat.ANTHROPIC_MESSAGES,
        fields=fields,
        body=typed,
        reasoning=_reasoning(read),
        modalities=modalities,
        characters=characters,
    )


# --- checks -------------------------------------------------------------------------------------------


def _check(read: _Body) -> None:
    if not read.messages:
        raise wrong("messages", "must hold at least one message")
    _check_length("user", read.user, USER_CHARACTERS_MAX)
    if read.metadata is not None:
        _check_length("metadata.user_id", read.metadata.user_id, USER_ID_CHARACTERS_MAX)
    _check_thinking(read.thinking)
    _check_fallbacks(read)
    if read.output_config is not None:
        _check_schema("output_config.format", read.output_config.format)
    _check_schema("output_format", read.output_format)


def _check_length(name: str, value: str | None, characters_max: int) -> None:
    if value is not None and len(value) > characters_max:
        raise wrong(name, f"must have at most {characters_max} characters, not {len(value)}")


def _check_thinking(thinking: _Thinking | None) -> None:
    if thinking is None or thinking.type != "enabled":
        return
    budget = thinking.budget_tokens
    if budget is None:
        raise wrong("thinking.budget_tokens", "is required for the type `enabled`")
    if budget < 1:
        raise wrong("thinking.budget_tokens", f"must be at least 1, not {budget}")


def _check_fallbacks(read: _Body) -> None:
    if not read.fallbacks:
        return
    if read.models:
        raise wrong("fallbacks", "and `models` say the same; send one of them")
    if len(read.fallbacks) > FALLBACKS_MAX:
        raise wrong("fallbacks", f"may hold at most {FALLBACKS_MAX}, not {len(read.fallbacks)}")


def _check_schema(name: str, wanted: _Format | None) -> None:
    if wanted is not None and not _is_object(wanted.schema):
        raise wrong(f"{name}.schema", "must be a JSON schema, an object")


def _is_object(raw: msgspec.Raw) -> bool:
    """Whether a value that is kept as written is an object. It is known to be valid JSON."""
    return bytes(memoryview(raw)[:1]) == b"{"


# --- in our vocabulary --------------------------------------------------------------------------------


def _in_our_words(read: _Body) -> ChatBody:
    wanted = read.output_format
    if read.output_config is not None and read.output_config.format is not None:
        wanted = read.output_config.format
    choice = read.tool_choice
    parallel = choice.disable_parallel_tool_use if choice is not None else None
    user_id = read.metadata.user_id if read.metadata is not None else None
    fallbacks = [fallback.model for fallback in read.fallbacks or ()]
    return ChatBody(
        messages=_messages(read),
        model=read.model,
        models=read.models or fallbacks or None,
        stream=read.stream,
        max_tokens=read.max_tokens,
        temperature=read.temperature,
        top_p=read.top_p,
        top_k=read.top_k,
        stop=read.stop_sequences or None,
        tools=_tools(read.tools) or None,
        tool_choice=None if choice is None else _tool_choice(choice),
        parallel_tool_calls=None if parallel is None else not parallel,
        response_format=None if wanted is None else _response_format(wanted),
        verbosity=_verbosity(read),
        provider=read.provider,
        plugins=read.plugins,
        route=read.route,
        user=read.user or user_id,
        session_id=read.session_id,
        cache_control=read.cache_control,
        service_tier=_service_tier(read),
        trace=read.trace,
        debug=read.debug,
    )


def _messages(read: _Body) -> list[Message]:
    messages: list[Message] = []
    if read.system:
        content = read.system
        parts = content if isinstance(content, str) else parts_of(_fragments(content, "system"))
        messages.append(SystemMessage(parts))
    for position, message in enumerate(read.messages):
        content = message.content
        if isinstance(content, str):
            blocks: str | list[Fragment] = content
        else:
            blocks = _fragments(content, f"messages[{position}].content")
        match message.role:
            case "user":
                messages.extend(user_messages(blocks))
            case "assistant":
                messages.append(
                    AssistantMessage(content=blocks)
                    if isinstance(blocks, str)
                    else assistant_message(blocks)
                )
            case "system":
                messages.append(
                    SystemMessage(blocks if isinstance(blocks, str) else parts_of(blocks))
                )
    return messages


def _fragments(blocks: list[msgspec.Raw], path: str) -> list[Fragment]:
    return [Fragment(raw, f"{path}[{position}]") for position, raw in enumerate(blocks)]


def _tools(tools: list[_Tool] | None) -> list[Tool]:
    """The tools that the caller runs himself and describes by a schema."""
    functions: list[Tool] = []
    for position, tool in enumerate(tools or ()):
        if tool.type not in (None, "custom"):
            continue
        path = f"tools[{position}]"
        if not tool.name or len(tool.name) > TOOL_NAME_CHARACTERS_MAX:
            raise wrong(f"{path}.name", f"must have 1 to {TOOL_NAME_CHARACTERS_MAX} characters")
        if not _is_object(tool.input_schema):
            raise wrong(f"{path}.input_schema", "must be a JSON schema, an object")
        functions.append(
            Tool(
                type="function",
                function=Function(
                    name=tool.name,
                    description=tool.description,
                    parameters=tool.input_schema,
                    strict=tool.strict,
                ),
                cache_control=tool.cache_control,
            )
        )
    return functions


def _tool_choice(choice: _ToolChoice) -> str | NamedTool:
    match choice.type:
        case "any":
            return "required"
        case "tool":
            if not choice.name:
                raise wrong("tool_choice.name", "is required for the type `tool`")
            return NamedTool(type="function", function=NamedFunction(choice.name))
        case "auto" | "none":
            return choice.type


def _response_format(wanted: _Format) -> ResponseFormat:
    return ResponseFormat(
        type="json_schema", json_schema=JsonSchema(name=_SCHEMA_NAME, schema=wanted.schema)
    )


def _service_tier(read: _Body) -> str | None:
    if read.service_tier is not None:
        return "default" if read.service_tier == "standard_only" else read.service_tier
    return "priority" if read.speed == "fast" else None


def _effort(read: _Body) -> _EFFORTS | None:
    return read.output_config.effort if read.output_config is not None else None


def _verbosity(read: _Body) -> str | None:
    thinks = read.thinking is not None and read.thinking.type == "adaptive"
    return None if thinks else _effort(read)


def _reasoning(read: _Body) -> ReasoningSettings | None:
    thinking = read.thinking
    if thinking is None:
        return None
    match thinking.type:
        case "enabled":
            return ReasoningSettings(max_tokens=thinking.budget_tokens)
        case "adaptive":
            return ReasoningSettings(effort=_effort(read), enabled=True)
        case "disabled":
            return ReasoningSettings(enabled=False)
