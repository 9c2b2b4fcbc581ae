"""OpenAI's formats: chat completions, legacy completions, embeddings, the list of models, errors.

Source: https://platform.openai.com/docs/api-reference (read 2026-11-21). Reasoning travels as
`reasoning_content`, which is what the engines that imitate this format agree on.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, Final, TypeVar

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
from fairlead.sandbox.behaviour import DIMENSIONS, count_prompt, embedding
from fairlead.sandbox.faults import prompt_directive, split_model
from fairlead.sandbox.script import Line, cue
from fairlead.sandbox.steps import FINGERPRINT, Label, Step, StepKind, TimedBytes, steps
from fairlead.sandbox.words import mark

__all__ = [
    "DONE",
    "chat_events",
    "chat_whole",
    "completion_events",
    "completion_whole",
    "embeddings_whole",
    "error_body",
    "error_event",
    "model_list",
    "read_chat",
    "read_completion",
    "read_embeddings",
]

DONE: Final = b"data: [DONE]\n\n"
_INPUTS_MAX: Final = 2048  # OpenAI's own limit for one call
_encode = msgspec.json.Encoder().encode

_FINISH: Final = {
    Finish.STOP: "stop",
    Finish.STOP_SEQUENCE: "stop",
    Finish.LENGTH: "length",
    Finish.TOOL_CALLS: "tool_calls",
}


# These views are the sandbox's own, not those of the gateway's vocabulary: an upstream that shared the
# gateway's decoder would share its mistakes. Any: JSON of whatever shape.


class _Part(msgspec.Struct, frozen=True):
    type: str
    text: str = ""
    image_url: dict[str, Any] | None = None


class _FunctionCall(msgspec.Struct, frozen=True):
    name: str = ""
    arguments: str = ""


class _ToolCall(msgspec.Struct, frozen=True):
    function: _FunctionCall | None = None


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[_Part] | None = None
    tool_calls: list[_ToolCall] | None = None


class _Function(msgspec.Struct, frozen=True):
    name: str
    parameters: Any = None


class _Tool(msgspec.Struct, frozen=True):
    type: str
    function: _Function | None = None


class _NamedTool(msgspec.Struct, frozen=True):
    type: str
    function: _Function | None = None


class _JsonSchema(msgspec.Struct, frozen=True):
    name: str
    schema: Any = None


class _ResponseFormat(msgspec.Struct, frozen=True):
    type: str
    json_schema: _JsonSchema | None = None


class _StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class _Reasoning(msgspec.Struct, frozen=True):
    effort: str | None = None
    max_tokens: int | None = None


class _Body(msgspec.Struct, frozen=True):
    """Of a chat or a legacy completion."""

    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    user: str | None = None


class _ChatBody(_Body, frozen=True):
    messages: list[_Message] = []  # msgspec copies it for each value
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: _ResponseFormat | None = None
    reasoning_effort: str | None = None
    reasoning: _Reasoning | None = None


class _CompletionBody(_Body, frozen=True):
    """prompt: one text, several, or token numbers."""

    prompt: str | list[str | int | list[int]] = ""
    logprobs: int | None = None


class EmbeddingsBody(msgspec.Struct, frozen=True):
    """input: one text, several, or token numbers."""

    input: str | list[str | int | list[int]]
    model: str
    dimensions: int | None = None
    encoding_format: str = "float"
    user: str | None = None


_chat_decoder: Final = msgspec.json.Decoder(_ChatBody)
_completion_decoder: Final = msgspec.json.Decoder(_CompletionBody)
_embeddings_decoder: Final = msgspec.json.Decoder(EmbeddingsBody)
_View = TypeVar("_View")


# --- requests ---------------------------------------------------------------------------------------


def read_chat(body: bytes) -> Ask:
    """Raises AskInvalid, FaultInvalid."""
    view = _decode(_chat_decoder, body)
    if not view.messages:
        raise AskInvalid("'messages' must be a list with at least one message")
    texts, image_count = _texts(view.messages)
    before, already = begun([(m.role, _text(m.content)) for m in view.messages])
    messages = view.messages[:before]
    tools = tuple(
        ToolOffer(tool.function.name, tool.function.parameters)
        for tool in view.tools or ()
        if tool.function is not None
    )
    rule, forced = _tool_rule(view.tool_choice)
    said = next((_text(m.content) for m in reversed(messages) if m.role == "user"), "")
    model, fault = split_model(view.model)
    newer = view.max_completion_tokens
    return Ask(
        model=model,
        text=said,
        prompt_tokens=count_prompt(texts, messages=len(view.messages) + len(tools)) + image_count,
        fault=fault.over(prompt_directive(said)),
        streamed=view.stream is True,
        usage_streamed=_wants_usage(view),
        tools=tools,
        tool_rule=rule,
        tool_forced=forced,
        tools_parallel=view.parallel_tool_calls is not False,
        results=_results(messages),
        cue=cue(_lines(messages)),
        begun=already,
        schema=_schema(view.response_format),
        stop=_stop(view.stop),
        tokens_max=_limit(view.max_tokens if newer is None else newer),
        choices=1 if view.n is None else view.n,
        seed=view.seed,
        effort=(view.reasoning and view.reasoning.effort) or view.reasoning_effort,
        reasoning_tokens_max=view.reasoning.max_tokens if view.reasoning is not None else None,
        logprobs=(view.top_logprobs or 0) if view.logprobs else None,
        tag=view.user,
    )


def read_completion(body: bytes) -> Ask:
    """A legacy completion; its prompt is the text. Raises AskInvalid, FaultInvalid."""
    view = _decode(_completion_decoder, body)
    prompts = _inputs(view.prompt)
    said = prompts[0] if prompts else ""
    model, fault = split_model(view.model)
    return Ask(
        model=model,
        text=said,
        prompt_tokens=count_prompt(prompts, messages=0),
        fault=fault.over(prompt_directive(said)),
        streamed=view.stream is True,
        usage_streamed=_wants_usage(view),
        stop=_stop(view.stop),
        tokens_max=16 if view.max_tokens is None else _limit(view.max_tokens),  # OpenAI's default
        choices=1 if view.n is None else view.n,
        seed=view.seed,
        logprobs=view.logprobs,
        tag=view.user,
    )


def read_embeddings(body: bytes) -> EmbeddingsBody:
    """Raises AskInvalid."""
    view = _decode(_embeddings_decoder, body)
    if isinstance(view.input, list) and not 1 <= len(view.input) <= _INPUTS_MAX:
        raise AskInvalid(f"'input' must have from 1 to {_INPUTS_MAX} items")
    if view.encoding_format not in ("float", "base64"):
        raise AskInvalid("'encoding_format' must be float or base64")
    return view


def _decode(decoder: msgspec.json.Decoder[_View], body: bytes) -> _View:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AskInvalid(f"We could not parse the JSON body of your request: {error}") from error


def _wants_usage(view: _Body) -> bool:
    return view.stream_options is not None and view.stream_options.include_usage is True


def _limit(limit: int | None) -> int | None:
    if limit is not None and limit < 1:
        raise AskInvalid(f"'max_tokens' must be at least 1, not {limit}")
    return limit


def _stop(stop: str | list[str] | None) -> tuple[str, ...]:
    if stop is None:
        return ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _schema(wanted: _ResponseFormat | None) -> object:
    if wanted is None or wanted.type not in ("json_object", "json_schema"):
        return None
    if wanted.json_schema is None or wanted.json_schema.schema is None:
        return True
    return wanted.json_schema.schema


def _tool_rule(choice: str | _NamedTool | None) -> tuple[ToolRule, str | None]:
    if choice is None:
        return ToolRule.AUTO, None
    if isinstance(choice, str):
        try:
            return ToolRule(choice), None
        except ValueError:
            raise AskInvalid(f"'tool_choice' cannot be {choice!r}") from None
    return ToolRule.REQUIRED, choice.function.name if choice.function is not None else None


def _texts(messages: list[_Message]) -> tuple[list[str], int]:
    """All text of the conversation, and the tokens of its images."""
    texts: list[str] = []
    images = 0
    for message in messages:
        texts.append(_text(message.content))
        if isinstance(message.content, list):
            images += sum(map(_image_tokens, message.content))
        for call in message.tool_calls or ():
            if call.function is not None:
                texts.extend((call.function.name, call.function.arguments))
    return texts, images


def _image_tokens(part: _Part) -> int:
    if part.image_url is None:
        return 0
    return image_tokens(str(part.image_url.get("url", "")), detail=part.image_url.get("detail"))


def _text(content: str | list[_Part] | None) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content or ())


def _results(messages: list[_Message]) -> tuple[str, ...]:
    """What tools said after the model's last turn."""
    last = takewhile(lambda message: message.role in ("tool", "function"), reversed(messages))
    return tuple(_text(message.content) for message in last)[::-1]


def _lines(messages: list[_Message]) -> Iterator[Line]:
    for message in messages:
        if message.role in ("user", "tool", "function"):
            yield Line(_text(message.content), is_result=message.role != "user")


def _inputs(given: str | list[str | int | list[int]]) -> list[str]:
    """The texts; token numbers are read as words."""
    if isinstance(given, str):
        return [given]
    numbers = [str(item) for item in given if isinstance(item, int)]
    if numbers:
        return [" ".join(numbers)]
    return [
        item if isinstance(item, str) else " ".join(map(str, item))
        for item in given
        if not isinstance(item, int)
    ]


# --- chat -------------------------------------------------------------------------------------------


def chat_whole(answer: Answer, ask: Ask, label: Label) -> bytes:
    body: dict[str, object] = {
        "id": f"chatcmpl-{label.id}",
        "object": "chat.completion",
        "created": label.created_s,
        "model": label.model,
        "choices": [
            {
                "index": index,
                "message": _message(choice, label, index),
                "logprobs": _logprobs(choice.text, ask.logprobs),
                "finish_reason": _FINISH[choice.finish],
            }
            for index, choice in enumerate(answer.choices)
        ],
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }
    if label.has_usage:
        body["usage"] = _usage(answer.counts)
    return _encode(body)


def _message(choice: Choice, label: Label, index: int) -> dict[str, object]:
    message: dict[str, object] = {
        "role": "assistant",
        "content": None if choice.calls and not choice.text else "".join(choice.text),
        "refusal": None,
        "annotations": [],
    }
    if choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
    if choice.calls:
        message["tool_calls"] = [
            {
                "id": _call_id(label, index, number),
                "type": "function",
                "function": {"name": call.name, "arguments": "".join(call.arguments)},
            }
            for number, call in enumerate(choice.calls)
        ]
    return message


def chat_events(answer: Answer, ask: Ask, label: Label) -> Iterator[TimedBytes]:
    """The chunks of a stream, role first, usage last if it was asked for, then the end mark."""
    head = _encode(
        {
            "id": f"chatcmpl-{label.id}",
            "object": "chat.completion.chunk",
            "created": label.created_s,
            "model": label.model,
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        }
    )[:-1]
    has_usage = ask.usage_streamed and label.has_usage
    tail = b'}],"usage":null}\n\n' if has_usage else b"}]}\n\n"
    for index in range(len(answer.choices)):
        yield (
            0.0,
            b'data: %b,"choices":[{"index":%d,"delta":{"role":"assistant","content":"","refusal":null}'
            b',"logprobs":null,"finish_reason":null%b' % (head, index, tail),
        )
    for step in steps(answer):
        if step.kind is StepKind.FINISH:
            reason = _FINISH[answer.choices[step.choice].finish].encode()
            rest = b'{},"logprobs":null,"finish_reason":"%b"' % reason
        elif step.kind is StepKind.TEXT:
            chances = (
                b"null" if ask.logprobs is None else _encode(_logprobs((step.text,), ask.logprobs))
            )
            rest = b'{"content":%b},"logprobs":%b,"finish_reason":null' % (
                _encode(step.text),
                chances,
            )
        else:
            rest = b'%b,"logprobs":null,"finish_reason":null' % _delta(step, label)
        yield (
            step.delay_s,
            b'data: %b,"choices":[{"index":%d,"delta":%b%b' % (head, step.choice, rest, tail),
        )
    if has_usage:
        yield 0.0, b'data: %b,"choices":[],"usage":%b}\n\n' % (head, _encode(_usage(answer.counts)))
    yield 0.0, DONE


def _delta(step: Step, label: Label) -> bytes:
    if step.kind is StepKind.REASONING:
        return b'{"reasoning_content":%b}' % _encode(step.text)
    call: dict[str, object] = {"index": step.call}
    if step.kind is StepKind.CALL:
        call["id"] = _call_id(label, step.choice, step.call)
        call["type"] = "function"
        call["function"] = {"name": step.text, "arguments": ""}
    else:
        call["function"] = {"arguments": step.text}
    return _encode({"tool_calls": [call]})


def _call_id(label: Label, choice: int, number: int) -> str:
    return f"call_{label.id}{choice}{number}"


def _usage(counts: Counts) -> dict[str, object]:
    return {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _logprobs(tokens: tuple[str, ...], alternatives: int | None) -> dict[str, object] | None:
    """Likelihoods made up from the token alone; the chosen one is the likeliest of its alternatives."""
    if alternatives is None:
        return None
    return {
        "content": [
            {
                **_chance(token, _likelihood(token)),
                "top_logprobs": [
                    _chance(token if rank == 0 else f"{token}{rank}", _likelihood(token) - rank)
                    for rank in range(alternatives)
                ],
            }
            for token in tokens
        ],
        "refusal": None,
    }


def _likelihood(token: str) -> float:
    return -(mark(token) % 1000) / 1000


def _chance(token: str, logprob: float) -> dict[str, object]:
    return {
        "token": token,
        "logprob": logprob,
        "bytes": list(token.encode("utf-8", "surrogatepass")),
    }


# --- legacy completions -----------------------------------------------------------------------------


def completion_whole(answer: Answer, ask: Ask, label: Label) -> bytes:
    body: dict[str, object] = {
        **_completion_head(label),
        "choices": [
            {
                "text": "".join(choice.text),
                "index": index,
                "logprobs": _old_logprobs(choice.text, ask.logprobs),
                "finish_reason": _FINISH[choice.finish],
            }
            for index, choice in enumerate(answer.choices)
        ],
    }
    if label.has_usage:
        body["usage"] = _old_usage(answer.counts)
    return _encode(body)


def completion_events(answer: Answer, ask: Ask, label: Label) -> Iterator[TimedBytes]:
    head = _completion_head(label)
    for step in steps(answer):
        is_end = step.kind is StepKind.FINISH
        if not is_end and step.kind is not StepKind.TEXT:
            continue
        choice: dict[str, object] = {
            "text": step.text,
            "index": step.choice,
            "logprobs": None if is_end else _old_logprobs((step.text,), ask.logprobs),
            "finish_reason": _FINISH[answer.choices[step.choice].finish] if is_end else None,
        }
        yield step.delay_s, _event({**head, "choices": [choice]})
    if ask.usage_streamed and label.has_usage:
        yield 0.0, _event({**head, "choices": [], "usage": _old_usage(answer.counts)})
    yield 0.0, DONE


def _completion_head(label: Label) -> dict[str, object]:
    return {
        "id": f"cmpl-{label.id}",
        "object": "text_completion",
        "created": label.created_s,
        "model": label.model,
        "system_fingerprint": FINGERPRINT,
    }


def _old_usage(counts: Counts) -> dict[str, object]:
    return {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
    }


def _old_logprobs(tokens: tuple[str, ...], alternatives: int | None) -> dict[str, object] | None:
    if alternatives is None:
        return None
    offsets: list[int] = []
    at = 0
    for token in tokens:
        offsets.append(at)
        at += len(token)
    return {
        "tokens": list(tokens),
        "token_logprobs": [_likelihood(token) for token in tokens],
        "top_logprobs": [{token: _likelihood(token)} for token in tokens] if alternatives else None,
        "text_offset": offsets,
    }


# --- embeddings, models, errors ---------------------------------------------------------------------


def embeddings_whole(view: EmbeddingsBody, *, model: str) -> tuple[bytes, Counts]:
    """Raises AskInvalid for impossible dimensions."""
    inputs = _inputs(view.input)
    data: list[dict[str, object]] = []
    tokens = 0
    for index, text in enumerate(inputs):
        vector, used = embedding(text, view.dimensions or DIMENSIONS)
        tokens += used
        shown: object = vector
        if view.encoding_format == "base64":
            shown = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": shown})
    body = {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return _encode(body), Counts(prompt=tokens)


def model_list(models: tuple[str, ...], *, created_s: int) -> bytes:
    return _encode(
        {
            "object": "list",
            "data": [
                {"id": model, "object": "model", "created": created_s, "owned_by": "fairlead"}
                for model in models
            ],
        }
    )


_ERROR_TYPES: Final[dict[int, tuple[str, str | None]]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("server_error", "overloaded"),
}


def error_body(status: int, message: str) -> bytes:
    kind, code = _ERROR_TYPES.get(
        status, ("server_error" if status >= 500 else "invalid_request_error", None)
    )
    return _encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def error_event(message: str) -> bytes:
    return _event(
        {"error": {"message": message, "type": "server_error", "param": None, "code": None}}
    )


def _event(body: dict[str, Any]) -> bytes:  # Any: values of JSON
    return b"data: " + _encode(body) + b"\n\n"
