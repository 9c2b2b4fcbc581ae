"""Anthropic's Messages: whole answers, stream events in the official order, errors.

Source: https://docs.anthropic.com/en/api/messages and /messages-streaming (read 2026-11-21).
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
from fairlead.sandbox.steps import Label, Step, StepKind, TimedBytes, steps

__all__ = ["error_body", "error_event", "events", "read", "whole"]

_encode = msgspec.json.Encoder().encode

_FINISH: Final = {
    Finish.STOP: "end_turn",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
}


class _Block(msgspec.Struct, frozen=True):
    """source, content and input: JSON of whatever shape."""

    type: str
    text: str = ""
    name: str = ""
    source: dict[str, Any] | None = None
    content: Any = None
    input: Any = None


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[_Block]


class _Tool(msgspec.Struct, frozen=True):
    name: str
    input_schema: dict[str, Any] | None = None


class _ToolChoice(msgspec.Struct, frozen=True):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool = False


class _Thinking(msgspec.Struct, frozen=True):
    type: str
    budget_tokens: int | None = None


class _Format(msgspec.Struct, frozen=True):
    type: str
    schema: dict[str, Any] | None = None


class _OutputConfig(msgspec.Struct, frozen=True):
    effort: str | None = None
    format: _Format | None = None


class _Metadata(msgspec.Struct, frozen=True):
    user_id: str | None = None


class _Body(msgspec.Struct, frozen=True):
    model: str
    messages: list[_Message]
    max_tokens: int
    system: str | list[_Block] | None = None
    stream: bool = False
    stop_sequences: list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    metadata: _Metadata | None = None


_decoder: Final = msgspec.json.Decoder(_Body)


# --- requests ---------------------------------------------------------------------------------------


def read(body: bytes) -> Ask:
    """Raises AskInvalid, FaultInvalid."""
    try:
        view = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AskInvalid(str(error)) from error
    if not view.messages:
        raise AskInvalid("messages: at least one message is required")
    if view.max_tokens < 1:
        raise AskInvalid("max_tokens: must be greater than or equal to 1")
    before, already = begun([(m.role, _text(m.content)) for m in view.messages])
    messages = view.messages[:before]
    said = next((_text(m.content) for m in reversed(messages) if _has_words(m)), "")
    model, fault = split_model(view.model)
    tools = tuple(ToolOffer(tool.name, tool.input_schema) for tool in view.tools or ())
    rule, forced = _tool_rule(view.tool_choice)
    is_thinking = view.thinking is not None and view.thinking.type != "disabled"
    config = view.output_config or _OutputConfig()
    return Ask(
        model=model,
        text=said,
        prompt_tokens=_prompt_tokens(view),
        fault=fault.over(prompt_directive(said)),
        streamed=view.stream,
        tools=tools,
        tool_rule=rule,
        tool_forced=forced,
        tools_parallel=view.tool_choice is None or not view.tool_choice.disable_parallel_tool_use,
        results=_results(messages[-1]),
        cue=cue(_lines(messages)),
        begun=already,
        schema=_schema(config.format or view.output_format),
        stop=tuple(view.stop_sequences or ()),
        tokens_max=view.max_tokens,
        effort=(config.effort or "medium") if is_thinking else "none",
        reasoning_tokens_max=view.thinking.budget_tokens if is_thinking and view.thinking else None,
        tag=view.metadata.user_id if view.metadata is not None else None,
    )


def _schema(wanted: _Format | None) -> object:
    return None if wanted is None else wanted.schema or True


def _tool_rule(choice: _ToolChoice | None) -> tuple[ToolRule, str | None]:
    match choice:
        case None | _ToolChoice(type="auto"):
            return ToolRule.AUTO, None
        case _ToolChoice(type="none"):
            return ToolRule.NONE, None
        case _ToolChoice(type="any"):
            return ToolRule.REQUIRED, None
        case _ToolChoice(type="tool", name=str(name)):
            return ToolRule.REQUIRED, name
    raise AskInvalid(f"tool_choice: {choice.type!r} is not known or has no name")


def _has_words(message: _Message) -> bool:
    """A user's turn that is more than tool results."""
    if message.role != "user":
        return False
    return isinstance(message.content, str) or any(b.type == "text" for b in message.content)


def _text(content: str | list[_Block]) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.text for block in content if block.type == "text")


def _results(message: _Message) -> tuple[str, ...]:
    if isinstance(message.content, str):
        return ()
    return tuple(_result(b.content) for b in message.content if b.type == "tool_result")


def _lines(messages: list[_Message]) -> Iterator[Line]:
    for message in messages:
        if message.role == "user":
            yield from (Line(result, is_result=True) for result in _results(message))
            yield Line(_text(message.content))


def _result(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def _prompt_tokens(view: _Body) -> int:
    texts = [_text(view.system)] if view.system else []
    images = 0
    for message in view.messages:
        texts.append(_text(message.content))
        if isinstance(message.content, str):
            continue
        for block in message.content:
            match block.type:
                case "image" if block.source is not None:
                    images += image_tokens(_image_url(block.source))
                case "tool_use":
                    texts.extend((block.name, _encode(block.input).decode()))
                case "tool_result":
                    texts.append(_result(block.content))
    return count_prompt(texts, messages=len(view.messages) + len(view.tools or ())) + images


def _image_url(source: dict[str, Any]) -> str:
    if source.get("type") == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    return str(source.get("url", ""))


# --- answers ----------------------------------------------------------------------------------------


def whole(answer: Answer, ask: Ask, label: Label) -> bytes:  # noqa: ARG001 - one shape for all formats
    choice = answer.choices[0]
    body: dict[str, object] = {
        **_message_head(label),
        "content": _blocks(choice, label),
        "stop_reason": _FINISH[choice.finish],
        "stop_sequence": choice.stopped_by,
    }
    if label.has_usage:
        body["usage"] = _usage(answer.counts)
    return _encode(body)


def _message_head(label: Label) -> dict[str, object]:
    return {
        "id": f"msg_{label.id}",
        "type": "message",
        "role": "assistant",
        "model": label.model,
    }


def _blocks(choice: Choice, label: Label) -> list[dict[str, object]]:
    blocks: list[dict[str, object]] = []
    if choice.reasoning:
        thinking = "".join(choice.reasoning)
        blocks.append({"type": "thinking", "thinking": thinking, "signature": _signature(thinking)})
    if choice.text:
        blocks.append({"type": "text", "text": "".join(choice.text)})
    for number, call in enumerate(choice.calls):
        blocks.append(
            {
                "type": "tool_use",
                "id": _call_id(label, number),
                "name": call.name,
                "input": _arguments("".join(call.arguments)),
            }
        )
    return blocks


def _arguments(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}  # cut by the limit: a whole answer has no place for half an object


def events(answer: Answer, ask: Ask, label: Label) -> Iterator[TimedBytes]:  # noqa: ARG001
    """message_start, then each block's start, deltas and stop, then message_delta and message_stop."""
    choice = answer.choices[0]
    usage: dict[str, object] = _usage(answer.counts) | {"output_tokens": 1}
    start: dict[str, object] = {
        **_message_head(label),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage if label.has_usage else {"input_tokens": 0, "output_tokens": 0},
    }
    yield 0.0, _event("message_start", {"message": start})
    yield 0.0, _event("ping", {})
    index = -1
    open_block: tuple[StepKind, int] | None = None
    signed = ""
    for step in steps(answer):
        block = _block_of(step)
        if step.choice or (step.kind is StepKind.FINISH and open_block is None):
            continue
        if block != open_block:
            if open_block is not None:
                yield from _block_end(open_block[0], index, signed)
            if step.kind is StepKind.FINISH:
                break
            index, open_block = index + 1, block
            yield (
                step.delay_s,
                _event(
                    "content_block_start", {"index": index, "content_block": _opening(step, label)}
                ),
            )
            if step.kind is StepKind.CALL:
                continue
            step = step._replace(delay_s=0.0)
        if step.kind is StepKind.REASONING:
            signed += step.text
        yield step.delay_s, _delta(step, index)
    end: dict[str, object] = {
        "delta": {"stop_reason": _FINISH[choice.finish], "stop_sequence": choice.stopped_by},
    }
    end["usage"] = _usage(answer.counts) if label.has_usage else {"output_tokens": 0}
    yield 0.0, _event("message_delta", end)
    yield 0.0, _event("message_stop", {})


def _block_of(step: Step) -> tuple[StepKind, int] | None:
    """Which content block a step belongs to."""
    if step.kind is StepKind.FINISH:
        return None
    return (StepKind.CALL, step.call) if step.kind is StepKind.ARGUMENTS else (step.kind, step.call)


def _block_end(kind: StepKind, index: int, signed: str) -> Iterator[TimedBytes]:
    if kind is StepKind.REASONING:
        delta = {"type": "signature_delta", "signature": _signature(signed)}
        yield 0.0, _event("content_block_delta", {"index": index, "delta": delta})
    yield 0.0, _event("content_block_stop", {"index": index})


def _opening(step: Step, label: Label) -> dict[str, object]:
    match step.kind:
        case StepKind.REASONING:
            return {"type": "thinking", "thinking": "", "signature": ""}
        case StepKind.TEXT:
            return {"type": "text", "text": ""}
    return {"type": "tool_use", "id": _call_id(label, step.call), "name": step.text, "input": {}}


_DELTAS: Final = {
    StepKind.REASONING: b'{"type":"thinking_delta","thinking":%b}',
    StepKind.TEXT: b'{"type":"text_delta","text":%b}',
    StepKind.ARGUMENTS: b'{"type":"input_json_delta","partial_json":%b}',
}


def _delta(step: Step, index: int) -> bytes:
    return (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n'
        % (index, _DELTAS[step.kind] % _encode(step.text))
    )


def _call_id(label: Label, number: int) -> str:
    return f"toolu_{label.id}{number}"


def _signature(thinking: str) -> str:
    return base64.b64encode(f"sandbox:{len(thinking)}".encode()).decode()


def _usage(counts: Counts) -> dict[str, object]:
    """Here cached tokens are beside the input, not part of it."""
    return {
        "input_tokens": counts.prompt - counts.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": counts.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": counts.completion,
        "output_tokens_details": {"thinking_tokens": counts.reasoning},
        "service_tier": "standard",
    }


def _event(name: str, body: dict[str, Any]) -> bytes:  # Any: values of JSON
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode({"type": name, **body}))


_ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_body(status: int, message: str) -> bytes:
    kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return _encode(
        {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_sandbox"}
    )


def error_event(message: str) -> bytes:
    return _event("error", {"error": {"type": "overloaded_error", "message": message}})
