"""Writing requests for Converse.

- A parameter that the endpoint does not support, or for which neither Converse nor the model has a place, is
  dropped; one that is out of Converse's range is put to its edge.
- Converse has no `none` among its tool choices, and wants the tools of every call in the conversation: then
  the tools go along, and the system says not to call them.
- A JSON schema is asked for natively where the model can; else by a tool whose arguments are the answer, which
  the decoder turns back into text; else in words.
- Converse's own fields (guardrails and the like) travel as the caller wrote them.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatBody, ChatRequest, JsonSchema, NamedTool, Tool, WireFormat
from fairlead.core.errors import RequestInvalid
from fairlead.core.service_tiers import asked_tier
from fairlead.providers.anthropic_schema import fitted_schema
from fairlead.providers.base import Credential, UpstreamRequest
from fairlead.providers.bedrock_blocks import ANSWER_TOOL
from fairlead.providers.bedrock_content import Block, cache_point
from fairlead.providers.bedrock_messages import Conversation, conversation
from fairlead.providers.bedrock_models import Family, family_of
from fairlead.providers.bedrock_reasoning import thinking_fields

__all__ = ["encode_request"]

CACHE_POINTS_MAX: Final = 4  # in one request
_TOP_P_WITH_THINKING_MIN: Final = 0.95  # Claude's rule
_TIERS: Final = frozenset({"default", "flex", "priority", "reserved"})
_OWN_FIELDS: Final = (
    "guardrailConfig", "performanceConfig", "promptVariables", "requestMetadata",
    "additionalModelResponseFieldPaths",
)  # fmt: skip
_MODEL_FIELDS: Final = "additionalModelRequestFields"
_SYSTEM_TOOL: Final = "systemTool"  # one that Bedrock runs itself
_NO_CALLS: Final = "Answer in words now: do not call any tool."
_ANY_OBJECT: Final = {"type": "object", "properties": {}}
_NULL: Final = msgspec.Raw(b"null")

Fields = dict[str, object]

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_tools: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode


def encode_request(
    request: ChatRequest, endpoint: Endpoint, credential: Credential
) -> UpstreamRequest:
    """What to send, unsigned. Raises RequestInvalid for what Converse cannot be asked."""
    action = "converse-stream" if request.streamed else "converse"
    accepted = "application/vnd.amazon.eventstream" if request.streamed else "application/json"
    headers = [("content-type", "application/json"), ("accept", accepted)]
    if credential.api_key:
        headers.append(("authorization", f"Bearer {credential.api_key}"))
    model = quote(endpoint.provider_model_id, safe="")
    return UpstreamRequest(
        method="POST",
        url=f"{credential.base_url.rstrip('/')}/model/{model}/{action}",
        headers=tuple(headers),
        body=_encode(_fields(request, endpoint)),
    )


def _fields(request: ChatRequest, endpoint: Endpoint) -> Fields:
    body = request.body
    family = family_of(endpoint)
    if body.messages is None:
        told = Conversation()
        told.add("user", [{"text": _prompt_text(body)}])
    else:
        told = conversation(body.messages, family)
    fields: Fields = {}
    tools = _tools(request, endpoint, family, told)
    _ask_for_format(fields, tools, request, endpoint, family, told)
    model_fields = thinking_fields(
        family,
        request,
        endpoint,
        may_think=not _is_forced(tools),
        may_budget=told.may_think_by_budget,
    )
    thinks = _is_on(model_fields)
    inference = _inference(request, endpoint, family, thinks=thinks)
    if _is_nova_at_its_highest(model_fields):
        for name in ("maxTokens", "temperature", "topP"):  # it refuses them then
            inference.pop(name, None)
    _add_top_k(model_fields, request, endpoint, family, thinks=thinks)
    _mark_automatically(body, family, told, tools)
    fields["messages"] = told.messages
    if told.system:
        fields["system"] = told.system
    if inference:
        fields["inferenceConfig"] = inference
    if tools:
        fields["toolConfig"] = tools
    tier = asked_tier(body.service_tier, endpoint)
    if tier in _TIERS and _offers_tier(endpoint, tier):
        fields["serviceTier"] = {"type": tier}
    _add_own_fields(fields, model_fields, request)
    return fields


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


def _supports(endpoint: Endpoint, *names: str) -> bool:
    """An endpoint of which no abilities are known is taken to have all."""
    supported = endpoint.supported_parameters
    return not supported or any(name in supported for name in names)


def _offers_tier(endpoint: Endpoint, name: str) -> bool:
    if name == "default" or not endpoint.supported_parameters:
        return True
    return any(tier.tier == name for tier in endpoint.service_tiers)


# --- parameters ---------------------------------------------------------------------------------------


def _is_on(model_fields: Fields) -> bool:
    """Whether Claude will think: then it refuses some of the rest."""
    thinking = model_fields.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") != "disabled"


def _is_nova_at_its_highest(model_fields: Fields) -> bool:
    reasoning = model_fields.get("reasoningConfig")
    return isinstance(reasoning, dict) and reasoning.get("maxReasoningEffort") == "high"


def _inference(request: ChatRequest, endpoint: Endpoint, family: Family, *, thinks: bool) -> Fields:
    body = request.body
    inference: Fields = {}
    limit = request.max_tokens
    if limit is not None and _supports(endpoint, "max_tokens", "max_completion_tokens"):
        inference["maxTokens"] = limit
    temperature, top_p = body.temperature, body.top_p
    samplings_left = family.samplings
    if temperature is not None and not thinks and _supports(endpoint, "temperature"):
        if samplings_left:
            inference["temperature"] = min(temperature, 1.0)
            samplings_left -= 1
    if top_p is not None and samplings_left and _supports(endpoint, "top_p"):
        if not thinks or top_p >= _TOP_P_WITH_THINKING_MIN:
            inference["topP"] = top_p
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    stops = [stop for stop in stops if stop]
    if stops and _supports(endpoint, "stop"):
        inference["stopSequences"] = stops
    return inference


def _add_top_k(
    model_fields: Fields, request: ChatRequest, endpoint: Endpoint, family: Family, *, thinks: bool
) -> None:
    top_k = request.body.top_k
    if not top_k or thinks or not (family.top_k and family.samplings):
        return
    if not _supports(endpoint, "top_k"):
        return
    *holders, name = family.top_k
    place = model_fields
    for holder in holders:
        inner: Fields = {}
        place[holder] = inner
        place = inner
    place[name] = top_k


def _add_own_fields(fields: Fields, model_fields: Fields, request: ChatRequest) -> None:
    """Fields in Converse's own words; a caller who writes them means Bedrock."""
    for name in _OWN_FIELDS:
        raw = request.fields.get(name)
        if raw is not None and raw != _NULL:
            fields[name] = raw
    given = request.fields.get(_MODEL_FIELDS)
    if given is not None and given != _NULL:
        try:
            model_fields = {**model_fields, **_decode_fields(given)}
        except msgspec.ValidationError:
            raise RequestInvalid(
                f"`{_MODEL_FIELDS}` must be an object.", param=_MODEL_FIELDS
            ) from None
    if model_fields:
        fields[_MODEL_FIELDS] = model_fields


# --- tools --------------------------------------------------------------------------------------------


def _tools(
    request: ChatRequest,
    endpoint: Endpoint,
    family: Family,
    told: Conversation,
) -> Fields:
    """toolConfig; empty if there is nothing to say. May add to the system's words."""
    body = request.body
    offered: list[Block] = []
    if body.tools and _supports(endpoint, "tools"):
        is_as_written = request.source is WireFormat.OPENAI_CHAT
        raw_tools = request.fields.get("tools") if is_as_written else None
        for position, tool in enumerate(body.tools):
            offered += _tool(tool, family)
            if tool.type == _SYSTEM_TOOL and raw_tools is not None:
                own = _decode_tools(raw_tools)[position].get(_SYSTEM_TOOL)
                if own is not None:
                    offered.append({_SYSTEM_TOOL: own})
    choice = body.tool_choice
    if offered and choice != "none":
        tools: Fields = {"tools": offered}
        chosen = _choice(choice, family)
        if chosen is not None and _supports(endpoint, "tool_choice"):
            tools["toolChoice"] = chosen
        return tools
    if not told.tool_names:
        return {}
    told.system.append({"text": _NO_CALLS})
    return {"tools": offered or [_spec(name, None, _ANY_OBJECT) for name in told.tool_names]}


def _tool(tool: Tool, family: Family) -> list[Block]:
    function = tool.function
    if function is None or tool.type not in ("function", None):
        return []
    schema: object = function.parameters
    if not function.parameters or function.parameters == _NULL:
        schema = _ANY_OBJECT
    spec = _spec(function.name, function.description, schema)
    if function.strict and family.takes_schema:
        spec["toolSpec"]["strict"] = True
    blocks: list[Block] = [{**spec}]
    if tool.cache_control is not None and family.caches_tools:
        blocks.append(cache_point(tool.cache_control))
    return blocks


def _spec(name: str, description: str | None, schema: object) -> dict[str, Fields]:
    spec: Fields = {"name": name, "inputSchema": {"json": schema}}
    if description:
        spec["description"] = description
    return {"toolSpec": spec}


def _choice(choice: str | NamedTool | None, family: Family) -> Fields | None:
    """None: the model's own default, which is to decide for itself."""
    if choice is None or not family.takes_any_tool:
        return None
    if isinstance(choice, NamedTool):
        return {"tool": {"name": choice.function.name}} if choice.function is not None else None
    return {"any": {}} if choice == "required" else {"auto": {}}


def _is_forced(tools: Fields) -> bool:
    """Whether some tool must be called."""
    chosen = tools.get("toolChoice")
    return isinstance(chosen, dict) and "auto" not in chosen


# --- the format of the answer -------------------------------------------------------------------------


def _ask_for_format(
    fields: Fields,
    tools: Fields,
    request: ChatRequest,
    endpoint: Endpoint,
    family: Family,
    told: Conversation,
) -> None:
    """Adds what `response_format` needs: to the fields, to the tools, or to the system's words."""
    wanted = request.body.response_format
    if wanted is None or wanted.type not in ("json_object", "json_schema"):
        return
    if not _supports(endpoint, "response_format", "structured_outputs"):
        return
    schema = wanted.json_schema if wanted.type == "json_schema" else None
    if schema is None or not schema.schema or schema.schema == _NULL:
        told.system.append({"text": "Answer with one JSON object, and nothing else."})
        return
    if family.takes_schema:
        native = _fitted(schema.schema) if family.is_claude else schema.schema
        if native is not None:
            fields["outputConfig"] = _output_config(schema, native)
            return
    if not family.takes_any_tool:
        asked = "Answer with JSON that matches this schema, and nothing else:\n"
        told.system.append({"text": asked + bytes(schema.schema).decode()})
        return
    offered = tools.setdefault("tools", [])
    assert isinstance(offered, list)
    about = schema.description or "Gives the answer. Call this, and nothing else, to answer."
    offered.append(_spec(ANSWER_TOOL, about, schema.schema))
    may_call_others = len(offered) > 1 and request.body.tool_choice != "none"
    if not _is_forced(tools):
        tools["toolChoice"] = {"any": {}} if may_call_others else {"tool": {"name": ANSWER_TOOL}}


def _output_config(schema: JsonSchema, native: msgspec.Raw) -> Fields:
    definition = {"schema": bytes(native).decode(), "name": schema.name or "answer"}
    if schema.description:
        definition["description"] = schema.description
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}}


def _fitted(schema: msgspec.Raw) -> msgspec.Raw | None:
    """The schema in the part of the language that Claude takes; None if it does not fit."""
    try:
        fitted = fitted_schema(_decode(schema))
    except RecursionError:
        raise RequestInvalid(
            "The JSON schema is nested too deeply.", param="response_format.json_schema.schema"
        ) from None
    return None if fitted is None else msgspec.Raw(_encode(fitted))


# --- caching ------------------------------------------------------------------------------------------


def _mark_automatically(body: ChatBody, family: Family, told: Conversation, tools: Fields) -> None:
    """A mark for the whole request means one at its end, if there is one left."""
    if body.cache_control is None or not family.caches or not told.messages:
        return
    holders: list[object] = [told.system, tools.get("tools")]
    holders += [message["content"] for message in told.messages]
    marks = sum(
        "cachePoint" in block for blocks in holders if isinstance(blocks, list) for block in blocks
    )
    if marks < CACHE_POINTS_MAX and "cachePoint" not in told.last_blocks[-1]:
        told.last_blocks.append(cache_point(body.cache_control))
