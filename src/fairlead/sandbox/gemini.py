"""Gemini's generateContent and streamGenerateContent (SSE, or one JSON array), and its errors.

Source: https://ai.google.dev/api/generate-content (read 2026-11-21).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from fairlead.core.images import image_tokens
from fairlead.sandbox.ask import (
    Answer,
    Ask,
    AskInvalid,
    Choice,
    Counts,
    Finish,
    ToolOffer,
    ToolRule,
)
from fairlead.sandbox.begun import begun
from fairlead.sandbox.behaviour import count_prompt
from fairlead.sandbox.faults import prompt_directive, split_model
from fairlead.sandbox.script import Line, cue
from fairlead.sandbox.steps import Label, StepKind, TimedBytes, steps

__all__ = ["array_events", "error_body", "error_event", "events", "model_list", "read", "whole"]

_encode = msgspec.json.Encoder().encode

_FINISH: Final = {
    Finish.STOP: "STOP",
    Finish.STOP_SEQUENCE: "STOP",
    Finish.LENGTH: "MAX_TOKENS",
    Finish.TOOL_CALLS: "STOP",
}


class _Blob(msgspec.Struct, frozen=True, rename="camel"):
    mime_type: str = ""
    data: str = ""
    file_uri: str = ""


class _Function(msgspec.Struct, frozen=True):
    name: str = ""
    args: dict[str, Any] | None = None
    response: dict[str, Any] | None = None


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    text: str | None = None
    thought: bool = False
    inline_data: _Blob | None = None
    file_data: _Blob | None = None
    function_call: _Function | None = None
    function_response: _Function | None = None


class _Content(msgspec.Struct, frozen=True):
    parts: list[_Part] = []  # msgspec copies it for each value
    role: str = "user"


class _Declaration(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None


class _Tool(msgspec.Struct, frozen=True, rename="camel"):
    function_declarations: list[_Declaration] = []  # as above


class _CallingConfig(msgspec.Struct, frozen=True, rename="camel"):
    mode: str = "AUTO"
    allowed_function_names: list[str] | None = None


class _ToolConfig(msgspec.Struct, frozen=True, rename="camel"):
    function_calling_config: _CallingConfig | None = None


class _Thinking(msgspec.Struct, frozen=True, rename="camel"):
    thinking_budget: int | None = None
    thinking_level: str | None = None
    include_thoughts: bool = False


class _Config(msgspec.Struct, frozen=True, rename="camel"):
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    candidate_count: int | None = None
    seed: int | None = None
    response_mime_type: str | None = None
    response_schema: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    thinking_config: _Thinking | None = None


class _Body(msgspec.Struct, frozen=True, rename="camel"):
    contents: list[_Content]
    system_instruction: _Content | None = None
    tools: list[_Tool] | None = None
    tool_config: _ToolConfig | None = None
    generation_config: _Config | None = None
    labels: dict[str, str] | None = None


_decoder: Final = msgspec.json.Decoder(_Body)


# --- requests ---------------------------------------------------------------------------------------


def read(body: bytes, *, model: str, streamed: bool) -> Ask:
    """model: from the path. Raises AskInvalid, FaultInvalid."""
    try:
        view = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AskInvalid(f"Invalid JSON payload received. {error}") from error
    if not view.contents:
        raise AskInvalid("* GenerateContentRequest.contents: contents is not specified")
    config = view.generation_config or _Config()
    thinking = config.thinking_config or _Thinking()
    before, already = begun([(c.role, _text(c)) for c in view.contents])
    contents = view.contents[:before]
    said = next((_text(c) for c in reversed(contents) if c.role == "user" and _text(c)), "")
    name, fault = split_model(model)
    tools = tuple(
        ToolOffer(d.name, d.parameters_json_schema or d.parameters)
        for tool in view.tools or ()
        for d in tool.function_declarations
    )
    rule, forced = _tool_rule(view.tool_config)
    return Ask(
        model=name,
        text=said,
        prompt_tokens=_prompt_tokens(view, len(tools)),
        fault=fault.over(prompt_directive(said)),
        streamed=streamed,
        tools=tools,
        tool_rule=rule,
        tool_forced=forced,
        results=_results(contents[-1]),
        cue=cue(_lines(contents)),
        begun=already,
        schema=_schema(config),
        stop=tuple(config.stop_sequences or ()),
        tokens_max=config.max_output_tokens,
        choices=1 if config.candidate_count is None else config.candidate_count,
        seed=config.seed,
        effort=thinking.thinking_level.lower() if thinking.thinking_level else None,
        reasoning_tokens_max=_budget(thinking),
        tag=(view.labels or {}).get("user"),
    )


def _budget(thinking: _Thinking) -> int | None:
    """-1 leaves it to the model."""
    budget = thinking.thinking_budget
    return budget if budget is not None and budget >= 0 else None


def _schema(config: _Config) -> object:
    if config.response_mime_type != "application/json":
        return None
    return config.response_json_schema or config.response_schema or True


def _tool_rule(config: _ToolConfig | None) -> tuple[ToolRule, str | None]:
    calling = config.function_calling_config if config is not None else None
    match calling:
        case None | _CallingConfig(mode="AUTO" | "VALIDATED" | "MODE_UNSPECIFIED"):
            return ToolRule.AUTO, None
        case _CallingConfig(mode="NONE"):
            return ToolRule.NONE, None
        case _CallingConfig(mode="ANY", allowed_function_names=[str(name), *_]):
            return ToolRule.REQUIRED, name
        case _CallingConfig(mode="ANY"):
            return ToolRule.REQUIRED, None
    raise AskInvalid(f"tool_config: mode {calling.mode!r} is not known")


def _text(content: _Content) -> str:
    return "".join(
        part.text for part in content.parts if part.text is not None and not part.thought
    )


def _results(content: _Content) -> tuple[str, ...]:
    return tuple(
        _encode(part.function_response.response).decode()
        for part in content.parts
        if part.function_response is not None
    )


def _lines(contents: list[_Content]) -> Iterator[Line]:
    for content in contents:
        if content.role != "model":
            yield from (Line(result, is_result=True) for result in _results(content))
            yield Line(_text(content))


def _prompt_tokens(view: _Body, tools: int) -> int:
    contents = [*view.contents, *([view.system_instruction] if view.system_instruction else [])]
    texts: list[str] = []
    images = 0
    for part in (part for content in contents for part in content.parts):
        if part.text is not None:
            texts.append(part.text)
        for function in (part.function_call, part.function_response):
            if function is not None:
                values = function.args if function.response is None else function.response
                texts.extend((function.name, _encode(values).decode()))
        if part.inline_data is not None:
            blob = part.inline_data
            images += image_tokens(f"data:{blob.mime_type};base64,{blob.data}")
        if part.file_data is not None:
            images += image_tokens(part.file_data.file_uri)
    return count_prompt(texts, messages=len(view.contents) + tools) + images


# --- answers ----------------------------------------------------------------------------------------


def whole(answer: Answer, ask: Ask, label: Label) -> bytes:  # noqa: ARG001 - one shape for all formats
    candidates = [
        {
            "content": {"parts": _parts(choice), "role": "model"},
            "finishReason": _FINISH[choice.finish],
            "index": index,
        }
        for index, choice in enumerate(answer.choices)
    ]
    body: dict[str, object] = {"candidates": candidates}
    if label.has_usage:
        body["usageMetadata"] = _usage(answer.counts)
    return _encode({**body, **_tail(label)})


def _parts(choice: Choice) -> list[dict[str, object]]:
    parts: list[dict[str, object]] = []
    if choice.reasoning:
        parts.append({"text": "".join(choice.reasoning), "thought": True})
    if choice.text:
        parts.append({"text": "".join(choice.text)})
    parts.extend(
        {"functionCall": {"name": call.name, "args": _arguments("".join(call.arguments))}}
        for call in choice.calls
    )
    if parts and choice.reasoning:
        parts[-1]["thoughtSignature"] = base64.b64encode(b"sandbox").decode()
    return parts


def _arguments(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}  # cut by the limit; this format has no half calls


def events(answer: Answer, ask: Ask, label: Label) -> Iterator[TimedBytes]:
    for delay_s, payload in _payloads(answer, ask, label):
        yield delay_s, b"data: " + payload + b"\r\n\r\n"


def array_events(answer: Answer, ask: Ask, label: Label) -> Iterator[TimedBytes]:
    """Without `alt=sse` the stream is one JSON array, an element at a time."""
    opening = b"["
    for delay_s, payload in _payloads(answer, ask, label):
        yield delay_s, opening + payload
        opening = b"\n,\r\n"
    yield 0.0, b"\n]\n"


def _payloads(answer: Answer, ask: Ask, label: Label) -> Iterator[TimedBytes]:  # noqa: ARG001
    """Calls come whole, in the last chunk of their choice, which also has its end and the counts."""
    tail = _encode(_tail(label))[1:]
    running = _encode(_usage(Counts(prompt=answer.counts.prompt, cached=answer.counts.cached)))
    usage = b'"usageMetadata":%b,' % running if label.has_usage else b""
    final = b'"usageMetadata":%b,' % _encode(_usage(answer.counts)) if label.has_usage else b""
    pending_s = 0.0
    for step in steps(answer):
        if step.kind in (StepKind.CALL, StepKind.ARGUMENTS):
            pending_s += step.delay_s
            continue
        choice = answer.choices[step.choice]
        if step.kind is StepKind.FINISH:
            calls = _encode(_parts(Choice(calls=choice.calls)) or [{"text": ""}])
            yield (
                pending_s,
                (
                    b'{"candidates":[{"content":{"parts":%b,"role":"model"},"finishReason":"%b","index":%d}],%b%b'
                    % (calls, _FINISH[choice.finish].encode(), step.choice, final, tail)
                ),
            )
            pending_s = 0.0
            continue
        thought = b',"thought":true' if step.kind is StepKind.REASONING else b""
        yield (
            step.delay_s,
            (
                b'{"candidates":[{"content":{"parts":[{"text":%b%b}],"role":"model"},"index":%d}],%b%b'
                % (_encode(step.text), thought, step.choice, usage, tail)
            ),
        )


def _tail(label: Label) -> dict[str, object]:
    return {"modelVersion": label.model, "responseId": label.id}


def _usage(counts: Counts) -> dict[str, object]:
    """Here thoughts are beside the candidates' tokens, not part of them."""
    usage: dict[str, object] = {"promptTokenCount": counts.prompt}
    if counts.completion:
        usage["candidatesTokenCount"] = counts.completion - counts.reasoning
    usage["totalTokenCount"] = counts.prompt + counts.completion
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": counts.prompt}]
    if counts.cached:
        usage["cachedContentTokenCount"] = counts.cached
    if counts.reasoning:
        usage["thoughtsTokenCount"] = counts.reasoning
    return usage


def model_list(models: tuple[str, ...]) -> bytes:
    return _encode(
        {
            "models": [
                {
                    "name": f"models/{model}",
                    "displayName": model,
                    "inputTokenLimit": 1_000_000,
                    "outputTokenLimit": 200_000,
                    "supportedGenerationMethods": ["generateContent", "countTokens"],
                }
                for model in models
            ]
        }
    )


_STATUS_WORDS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_body(status: int, message: str, *, retry_after_s: int | None = None) -> bytes:
    word = _STATUS_WORDS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    error: dict[str, object] = {"code": status, "message": message, "status": word}
    if status == 401:
        error["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
            }
        ]
    if retry_after_s is not None:
        error["details"] = [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after_s}s"}
        ]
    return _encode({"error": error})


def error_event(message: str) -> bytes:
    return b"data: " + error_body(503, message) + b"\r\n\r\n"
