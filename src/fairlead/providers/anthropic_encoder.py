"""Writing requests in the Anthropic Messages format, for every place where Claude runs.

`anthropic_body` gives the body without what belongs to the address: model and stream. Platforms differ in
what they take of it, which `Platform` says.

A request that came in this format travels as it was written, field by field, without what is ours. Any
other is translated: the conversation by anthropic_turns.py; here the rest. What this format cannot say
(penalties, seed, several choices, log probabilities) is left out.

The rules that have exceptions:

- `max_tokens` is required, so a caller who names no limit gets the endpoint's.
- Thinking has a budget on some models, an effort on the newer ones; `_thinking` tells which. While a model
  thinks it samples as it likes, and the newer ones always do.
- A schema for the answer goes natively where model, platform and schema allow it. Otherwise it is the input
  of a tool that must be called, which the reader turns back into text. JSON without a schema is only asked
  for in words.
- There may be four marks for the cache; the later ones cover what the earlier ones do, so those go first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from fairlead.core.catalog import Endpoint, Reasoning
from fairlead.core.chat import (
    ABSENT,
    ChatBody,
    ChatRequest,
    FilePart,
    NamedTool,
    ReasoningSettings,
    WireFormat,
)
from fairlead.core.errors import RequestInvalid
from fairlead.core.service_tiers import asked_tier
from fairlead.providers.anthropic_reader import ANSWER_TOOL
from fairlead.providers.anthropic_schema import fitted_schema
from fairlead.providers.anthropic_turns import Block, Conversation, cache_mark, conversation_of
from fairlead.providers.openai_reasoning import EFFORT_SHARES, effort_of
from fairlead.wire.anthropic_reasoning import NATIVE_FORMAT, redacted_detail, thinking_detail

__all__ = ["DIRECT", "Platform", "anthropic_betas", "anthropic_body"]

Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class Platform:
    """A place where Claude runs, and what it takes of the format.

    version: the body's `anthropic_version`; None: it is a header there.
    takes_urls: images and documents by their address.
    takes_schemas: structured outputs. takes_eager_tools: arguments streamed as they are written.
    refuses: fields of the body that it does not take.
    """

    version: str | None = None
    takes_urls: bool = True
    takes_schemas: bool = True
    takes_eager_tools: bool = True
    refuses: frozenset[str] = frozenset()


DIRECT: Final = Platform()

BUDGET_TOKENS_MIN: Final = 1024
BUDGET_TOKENS_MAX: Final = 128_000
BREAKPOINTS_MAX: Final = 4
_TOKEN_LIMIT_ASSUMED: Final = 32_000  # where neither caller nor catalogue names a limit
_ANSWER_TOKENS_MIN: Final = 4096  # are asked for, however long the prompt seems
_CHARACTERS_PER_TOKEN_MIN: Final = 2

# Claude 4 and before: these take `temperature` beside `top_p`, and know no structured outputs.
# Source: https://docs.claude.com/en/about-claude/models/migration-guide (read 2026-11-21).
_EARLY: Final = re.compile(r"claude-(instant|2|3|(opus|sonnet)-4(:|$))")
_EFFORTS: Final = ("max", "xhigh", "high", "medium", "low")
_SERVER_TOOL: Final = re.compile(r"[a-z0-9_]+_20\d{6}")

# What is ours in a request of this format.
_OWN: Final = frozenset(
    {
        "model", "models", "fallbacks", "provider", "plugins", "preset", "route", "session_id", "user",
        "trace", "debug", "usage", "transforms", "stop_server_tools_when", "stream", "betas",
        "anthropic_beta", "anthropic_version",
    }
)  # fmt: skip
# Fields that need a beta header, which a caller behind a gateway may not be able to send.
_BETAS: Final[Mapping[str, str]] = {
    "output_format": "structured-outputs-2025-11-13",
    "context_management": "context-management-2025-06-27",
    "speed": "fast-mode-2026-02-01",
}
_FLAG: Final = re.compile(r"[a-zA-Z0-9._-]{1,64}")  # they go into a header
_FILES_BETA: Final = "files-api-2025-04-14"
_SERVICE_TIERS: Final[Mapping[str, str]] = {
    "auto": "auto",
    "fast": "auto",
    "priority": "auto",
    "default": "standard_only",
}
_ASK_FOR_JSON: Final = (
    "Answer with one JSON object and nothing else: no prose around it, no code fence."
)
_ASK_FOR_SCHEMA: Final = (
    "Answer with JSON that is valid against this JSON schema, and nothing else:\n"
)

_decode: Final = msgspec.json.Decoder().decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_objects: Final = msgspec.json.Decoder(list[dict[str, object]]).decode


def anthropic_body(request: ChatRequest, endpoint: Endpoint, platform: Platform = DIRECT) -> Fields:
    """The body without `model` and `stream`. Raises RequestInvalid for what cannot be sent."""
    if request.source is WireFormat.ANTHROPIC_MESSAGES:
        fields = _as_written(request, endpoint)
    else:
        fields = _translated(request, endpoint, platform)
    _name_end_user(fields, request)
    _ask_for_tier(fields, request, endpoint)
    for name in platform.refuses & fields.keys():
        del fields[name]
    if platform.version is not None:
        fields["anthropic_version"] = platform.version
    return fields


def _name_end_user(fields: Fields, request: ChatRequest) -> None:
    """The digest instead of the caller's own name; all else in `metadata` as it was written."""
    written = fields.pop("metadata", _NULL)
    told = _decode(written) if isinstance(written, msgspec.Raw) else None
    given = told if isinstance(told, dict) else {}
    metadata = {name: value for name, value in given.items() if name != "user_id"}
    if request.end_user is not None:
        metadata["user_id"] = request.end_user
    if metadata:
        fields["metadata"] = metadata


def _ask_for_tier(fields: Fields, request: ChatRequest, endpoint: Endpoint) -> None:
    """Here the tier with a price of its own is a speed, and the field `service_tier` is about capacity that an
    account has bought beforehand."""
    if endpoint.tier == _PRIORITY:
        fields["speed"] = _FAST
    elif fields.get("speed") == _FAST:
        del fields["speed"]
    wanted = request.body.service_tier
    if wanted is not None and request.source is WireFormat.ANTHROPIC_MESSAGES:
        if asked_tier(wanted, endpoint) != wanted:
            fields.pop("service_tier", None)


_PRIORITY: Final = "priority"
_FAST: Final = msgspec.Raw(b'"fast"')


def anthropic_betas(request: ChatRequest, endpoint: Endpoint) -> tuple[str, ...]:
    """Flags for `anthropic-beta`: the caller's own, and those that the request needs."""
    flags: list[str] = []
    if request.source is WireFormat.ANTHROPIC_MESSAGES:
        flags += _given_betas(request)
        flags += [flag for name, flag in _BETAS.items() if name in request.fields]
    if endpoint.tier == _PRIORITY:
        flags.append(_BETAS["speed"])
    for message in request.body.messages or ():
        for part in message.content if isinstance(message.content, list) else ():
            if isinstance(part, FilePart) and part.file.file_data is None:
                flags.append(_FILES_BETA)
    return tuple(dict.fromkeys(flags))


def _given_betas(request: ChatRequest) -> list[str]:
    given: list[object] = []
    for name in ("betas", "anthropic_beta"):
        value = _decode(request.fields[name]) if name in request.fields else None
        given += (
            value.split(",") if isinstance(value, str) else value if isinstance(value, list) else ()
        )
    flags = (flag.strip() for flag in given if isinstance(flag, str))
    return [flag for flag in flags if _FLAG.fullmatch(flag)]


# --- a request in this format -------------------------------------------------------------------------


def _as_written(request: ChatRequest, endpoint: Endpoint) -> Fields:
    supported = endpoint.supported_parameters
    fields: Fields = {
        name: raw
        for name, raw in request.fields.items()
        if name not in _OWN and not (name in _SAMPLING and supported and name not in supported)
    }
    if fields.get("max_tokens", _NULL) == _NULL:
        fields["max_tokens"] = _limit(request, endpoint)
    messages = request.fields.get("messages")
    if messages is not None and b"thinking" in bytes(messages):
        fields["messages"] = _without_foreign_thinking(messages)
    return fields


_NULL: Final = msgspec.Raw(b"null")
_SAMPLING: Final = ("temperature", "top_p", "top_k")


def _without_foreign_thinking(messages: msgspec.Raw) -> object:
    """The messages as they are, or without the thinking that Claude did not sign: it would be refused."""
    has_changed = False
    turns = _decode_objects(messages)
    for turn in turns:
        content = turn.get("content")
        if isinstance(content, list):
            kept = [block for block in content if not _is_foreign(block)]
            if len(kept) < len(content):
                turn["content"] = kept
                has_changed = True
    return [turn for turn in turns if turn.get("content") != []] if has_changed else messages


def _is_foreign(block: object) -> bool:
    if not isinstance(block, dict):
        return False
    match block.get("type"):
        case "thinking":
            detail = thinking_detail("", str(block.get("signature") or ""), 0)
        case "redacted_thinking":
            detail = redacted_detail(str(block.get("data") or ""), 0)
        case _:
            return False
    return detail.get("format") != NATIVE_FORMAT


# --- a request in another format ----------------------------------------------------------------------


def _translated(request: ChatRequest, endpoint: Endpoint, platform: Platform) -> Fields:
    body = request.body
    conversation = conversation_of(request, takes_urls=platform.takes_urls)
    fields: Fields = {"max_tokens": request.max_tokens or _limit(request, endpoint)}
    tools = _tools(request, endpoint, platform)
    choice = _tool_choice(body) if tools else None
    output: Fields = {}
    match _answer_format(body, endpoint, platform, conversation, tools):
        case "tool":
            choice = _with_answer_tool(body, tools, choice)
        case dict() as native:
            output["format"] = native
        case None:
            pass
    if tools:
        fields["tools"] = tools
        if choice is not None:
            fields["tool_choice"] = choice
    thinking, effort = _thinking(request, endpoint, conversation, fields)
    if thinking is not None:
        fields["thinking"] = thinking
    if effort is not None:
        output["effort"] = effort
    if output:
        fields["output_config"] = output
    fields.update(_sampling(body, endpoint, thinking))
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    if stops := [stop for stop in stops if stop.strip()]:  # blank ones are refused
        fields["stop_sequences"] = stops
    if (tier := _SERVICE_TIERS.get(body.service_tier or "")) is not None:
        fields["service_tier"] = tier
    if body.cache_control is not None:
        fields["cache_control"] = cache_mark(body.cache_control)
    if conversation.system:
        fields["system"] = conversation.system
    fields["messages"] = [
        {"role": turn.role, "content": turn.content} for turn in conversation.turns
    ]
    _mark_for_cache(fields, conversation, tools, platform)
    return fields


def _limit(request: ChatRequest, endpoint: Endpoint) -> int:
    """The most that the endpoint writes, or what a long prompt leaves of its context by a careful estimate."""
    limit = endpoint.max_completion_tokens or _TOKEN_LIMIT_ASSUMED
    if endpoint.context_length:
        left = endpoint.context_length - request.characters // _CHARACTERS_PER_TOKEN_MIN
        limit = min(limit, max(left, _ANSWER_TOKENS_MIN))
    return limit


def _supports(endpoint: Endpoint, name: str) -> bool:
    """An endpoint of which no abilities are known is taken to have all."""
    return not endpoint.supported_parameters or name in endpoint.supported_parameters


def _is_early(endpoint: Endpoint) -> bool:
    return _EARLY.search(endpoint.model) is not None


# --- tools --------------------------------------------------------------------------------------------


def _tools(request: ChatRequest, endpoint: Endpoint, platform: Platform) -> list[Block]:
    if not request.body.tools or not _supports(endpoint, "tools"):
        return []
    raw = request.fields.get("tools", ABSENT)
    as_written = _decode_list(raw) if raw != ABSENT else []
    is_eager = platform.takes_eager_tools and request.streamed
    tools: list[Block] = []
    for position, tool in enumerate(request.body.tools):
        if tool.function is None:
            # A tool that runs at Anthropic, named as there; others' tools have no meaning here.
            if _SERVER_TOOL.fullmatch(tool.type or "") and position < len(as_written):
                tools.append(_decode(as_written[position]))
            continue
        block: Block = {"name": tool.function.name}
        if tool.function.description:
            block["description"] = tool.function.description
        block["input_schema"] = _input_schema(tool.function.parameters)
        if is_eager:
            block["eager_input_streaming"] = True
        if tool.cache_control is not None:
            block["cache_control"] = cache_mark(tool.cache_control)
        tools.append(block)
    return tools


def _input_schema(parameters: msgspec.Raw) -> object:
    """The parameters as they were written; a tool without any takes an object without properties."""
    if parameters in (ABSENT, _NULL):
        return {"type": "object", "properties": {}}
    schema = _decode_fields(parameters)
    if schema.get("type") == _OBJECT:
        return parameters
    return {**schema, "type": "object"}


_OBJECT: Final = msgspec.Raw(b'"object"')


def _tool_choice(body: ChatBody) -> Block | None:
    choice: Block
    match body.tool_choice:
        case "none":
            return {"type": "none"}
        case "required":
            choice = {"type": "any"}
        case NamedTool(function=function) if function is not None:
            choice = {"type": "tool", "name": function.name}
        case "auto":
            choice = {"type": "auto"}
        case _:
            if body.parallel_tool_calls is not False:
                return None
            choice = {"type": "auto"}
    if body.parallel_tool_calls is False:
        choice["disable_parallel_tool_use"] = True
    return choice


# --- the form of the answer ---------------------------------------------------------------------------


def _answer_format(
    body: ChatBody,
    endpoint: Endpoint,
    platform: Platform,
    conversation: Conversation,
    tools: list[Block],
) -> Fields | Literal["tool"] | None:
    """The native format; "tool"; or None, perhaps with a request in words added to the system prompt."""
    wanted = body.response_format
    if wanted is None or wanted.type not in ("json_object", "json_schema"):
        return None
    raw = wanted.json_schema.schema if wanted.json_schema is not None else ABSENT
    if wanted.type == "json_object" or raw in (ABSENT, _NULL):
        conversation.system.append({"type": "text", "text": _ASK_FOR_JSON})
        return None
    schema = _decode(raw)
    if platform.takes_schemas and not _is_early(endpoint):
        fitted = fitted_schema(schema)
        if fitted is not None:
            return {"type": "json_schema", "schema": fitted}
    if isinstance(schema, dict) and schema.get("type") == "object" and _supports(endpoint, "tools"):
        must_call = body.tool_choice == "required" or isinstance(body.tool_choice, NamedTool)
        return None if tools and must_call else "tool"
    conversation.system.append({"type": "text", "text": _ASK_FOR_SCHEMA + bytes(raw).decode()})
    return None


def _with_answer_tool(body: ChatBody, tools: list[Block], choice: Block | None) -> Block:
    """Adds the tool whose input is the answer. Returns the choice: that one, or one of the caller's."""
    assert body.response_format is not None
    assert body.response_format.json_schema is not None
    wanted = body.response_format.json_schema
    may_call = bool(tools) and (choice is None or choice["type"] != "none")
    about = f" {wanted.description}" if wanted.description else ""
    tools.append(
        {
            "name": ANSWER_TOOL,
            "description": f"Gives the final answer to the user in its required form.{about}",
            "input_schema": wanted.schema,
        }
    )
    if not may_call:
        return {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True}
    forced: Block = {"type": "any"}
    if body.parallel_tool_calls is False:
        forced["disable_parallel_tool_use"] = True
    return forced


# --- thinking and sampling ----------------------------------------------------------------------------


def _thinking(
    request: ChatRequest, endpoint: Endpoint, conversation: Conversation, fields: Fields
) -> tuple[Fields | None, str | None]:
    """(thinking, effort): the fields for the caller's wishes; None where he has none, or it has no say.

    A model whose budgets the catalogue knows is given one; a later one decides by itself how much to think,
    and is told an effort. Raises RequestInvalid if thinking is to be off on a model that always thinks.
    """
    model = endpoint.reasoning
    if not model.supported:
        return None, None
    has_budget = model.budget_min is not None
    efforts = _efforts(model)
    verbosity = request.body.verbosity
    effort = None
    if verbosity in (*_EFFORTS, "minimal") and (model.efforts or not has_budget):
        effort = effort_of(ReasoningSettings(effort=verbosity), efforts, 1, is_off=False)  # type: ignore[arg-type]  # checked
    wish = request.reasoning
    if wish is None:
        return None, effort
    if wish.effort == "none" or wish.enabled is False or wish.max_tokens == 0:
        if model.mandatory:
            raise RequestInvalid(
                "This model always reasons: its reasoning cannot be switched off.",
                param="reasoning.effort" if wish.effort == "none" else "reasoning",
            )
        return {"type": "disabled"}, effort
    if not (wish.effort or wish.max_tokens or wish.enabled):
        return None, effort
    limit = fields["max_tokens"]
    assert isinstance(limit, int)
    if has_budget:
        return _budgeted(wish, model, limit, conversation, fields.get("tool_choice")), effort
    display = "omitted" if wish.exclude else "summarized"
    effort = effort or effort_of(wish, efforts, limit, is_off=False)
    return {"type": "adaptive", "display": display}, effort


def _efforts(model: Reasoning) -> Reasoning:
    return model if model.efforts else msgspec.structs.replace(model, efforts=_EFFORTS)


def _budgeted(
    wish: ReasoningSettings,
    model: Reasoning,
    limit: int,
    conversation: Conversation,
    choice: object,
) -> Fields | None:
    """A budget for thinking; None where the request leaves no place for it, because it would be refused.

    That is so when a tool must be called, when the answer has been begun, in the middle of tool use that
    began without thinking, and when the limit on the whole answer is no higher than the least budget.
    """
    is_forced = isinstance(choice, dict) and choice["type"] in ("any", "tool")
    if is_forced or conversation.has_prefill or conversation.is_inside_unsigned_tool_use:
        return None
    wanted = wish.max_tokens or int(limit * EFFORT_SHARES[wish.effort or "medium"])
    most = min(model.budget_max or BUDGET_TOKENS_MAX, limit - 1)
    least = max(model.budget_min or 0, BUDGET_TOKENS_MIN)
    if most < least:
        return None
    return {"type": "enabled", "budget_tokens": max(min(wanted, most), least)}


def _sampling(body: ChatBody, endpoint: Endpoint, thinking: Fields | None) -> Fields:
    model = endpoint.reasoning
    if model.supported and model.budget_min is None:
        return {}  # the models that think by themselves refuse it all
    thinks = thinking is not None and thinking["type"] == "enabled"
    fields: Fields = {}
    if body.temperature is not None and not thinks and _supports(endpoint, "temperature"):
        fields["temperature"] = min(body.temperature, 1.0)
    if body.top_p is not None and _supports(endpoint, "top_p"):
        # Beside `temperature` most models refuse it; while thinking, all do below this.
        if (body.top_p >= 0.95) if thinks else (not fields or _is_early(endpoint)):
            fields["top_p"] = body.top_p
    if body.top_k and not thinks and _supports(endpoint, "top_k"):
        fields["top_k"] = body.top_k
    return fields


# --- caching ------------------------------------------------------------------------------------------


def _mark_for_cache(
    fields: Fields, conversation: Conversation, tools: list[Block], platform: Platform
) -> None:
    """Automatic caching as a mark on the last block where a platform has none; and no mark too many."""
    blocks = [*tools, *conversation.system]
    for turn in conversation.turns:
        blocks += turn.content
    mark = fields.get("cache_control")
    if mark is not None and "cache_control" in platform.refuses:
        cacheable = [b for b in blocks if b.get("type") not in ("thinking", "redacted_thinking")]
        cacheable[-1].setdefault("cache_control", mark)
        mark = None
    marked = [block for block in blocks if "cache_control" in block]
    for block in marked[: max(0, len(marked) + (mark is not None) - BREAKPOINTS_MAX)]:
        del block["cache_control"]
