"""The dialects that callers speak: a plain reader of what each writes, and what each cannot carry.

The readers use nothing but `json`. A stream is put together from its pieces; what its last event repeats
must say the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fairlead.core.answer import plain
from fairlead.core.chat import ChatEvent, UsageReported
from fairlead.core.ids import GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.base import AnswerHead, Closing, Dialect
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.dialects.openai_responses import OpenAIResponses
from tests.anthropic_truth import events_in
from tests.conformance.meaning import Call, Choice, Counts, Meaning, arguments_in

__all__ = ["CALLERS", "HEAD", "LOSSES", "Caller", "Loss", "closing_of", "streamed", "whole"]

HEAD = AnswerHead(GenerationId("gen-1"), "author/model", "Somebody", 1_700_000_000)
CHARGE = Charge(NanoUSD(3), NanoUSD(1), NanoUSD(2))


@dataclass(frozen=True)
class Loss:
    """What a dialect has no place for, and the rule that `Caller.expected` follows then.

    concerns: whether an answer has such a thing.
    """

    caller: str
    what: str
    rule: str
    concerns: Callable[[Meaning], bool]


def _has_cut_arguments(meaning: Meaning) -> bool:
    return any(isinstance(call.arguments, str) for call in meaning.choices[0].calls)


LOSSES: tuple[Loss, ...] = (
    Loss(
        "messages",
        "several choices",
        "drop: the first is told",
        lambda meaning: len(meaning.choices) > 1,
    ),
    Loss(
        "messages",
        "refusal",
        "map: told as text, with the stop reason `refusal`",
        lambda meaning: bool(meaning.choices[0].refusal),
    ),
    Loss(
        "messages",
        "content filter",
        "map: the stop reason `refusal`",
        lambda meaning: meaning.choices[0].finish == "content_filter",
    ),
    Loss(
        "messages",
        "audio",
        "map: its transcript, as text",
        lambda meaning: bool(meaning.choices[0].spoken),
    ),
    Loss(
        "messages",
        "arguments that are no JSON",
        "map: whole answers tell them as `unreadable_arguments`, for `input` is an object",
        _has_cut_arguments,
    ),
    Loss(
        "responses",
        "several choices",
        "drop: the first is told",
        lambda meaning: len(meaning.choices) > 1,
    ),
    Loss(
        "responses",
        "audio",
        "map: its transcript, as text",
        lambda meaning: bool(meaning.choices[0].spoken),
    ),
    Loss(
        "responses",
        "the finish reason `tool_calls`",
        "map: the status is `completed`, the calls speak for themselves",
        lambda meaning: meaning.choices[0].finish == "tool_calls",
    ),
    Loss(
        "completions",
        "tool calls",
        "drop",
        lambda meaning: any(choice.calls for choice in meaning.choices),
    ),
    Loss(
        "completions",
        "refusal",
        "drop",
        lambda meaning: any(choice.refusal for choice in meaning.choices),
    ),
    Loss(
        "completions",
        "images, audio",
        "drop",
        lambda meaning: any(choice.images or choice.spoken for choice in meaning.choices),
    ),
    Loss(
        "completions",
        "citations",
        "drop",
        lambda meaning: any(choice.cited for choice in meaning.choices),
    ),
)


@dataclass(frozen=True)
class Caller:
    """One dialect. expected: what is left of a meaning in it, by LOSSES."""

    name: str
    path: str
    dialect: Dialect
    read_stream: Callable[[bytes], Meaning]
    read_whole: Callable[[bytes], Meaning]
    expected: Callable[[Meaning], Meaning]


def closing_of(events: list[ChatEvent]) -> Closing:
    """As settled: the provider's last report."""
    reports = [event for event in plain(events) if isinstance(event, UsageReported)]
    return Closing(reports[-1].usage if reports else Usage(), CHARGE)


def streamed(caller: Caller, events: list[ChatEvent]) -> bytes:
    """Each event fed on its own. The events belong to the writer from then on."""
    closing = closing_of(events)
    writer = caller.dialect.stream(HEAD)
    return b"".join(writer.feed([event]) for event in events) + writer.close(closing)


def whole(caller: Caller, events: list[ChatEvent]) -> bytes:
    """The events belong to the writer from then on."""
    return caller.dialect.whole(HEAD, events, closing_of(events))


# --- chat, completions ----------------------------------------------------------------------------------


class _Gathered:
    """A choice in pieces."""

    def __init__(self) -> None:
        self.text = ""
        self.reasoning = ""
        self.refusal = ""
        self.spoken = ""
        self.finish = ""
        self.images: list[str] = []
        self.cited: set[str] = set()
        self.calls: dict[int, dict[str, str]] = {}

    def add(self, holder: dict[str, Any], finish: str | None) -> None:
        self.text += holder.get("content") or holder.get("text") or ""
        self.reasoning += holder.get("reasoning") or ""
        self.refusal += holder.get("refusal") or ""
        self.spoken += (holder.get("audio") or {}).get("transcript") or ""
        self.images += [_data(image["image_url"]["url"]) for image in holder.get("images") or ()]
        for note in holder.get("annotations") or ():
            if note["type"] == "url_citation":
                self.cited.add(note["url_citation"]["url"])
        for piece in holder.get("tool_calls") or ():
            call = self.calls.setdefault(piece["index"], {"id": "", "name": "", "arguments": ""})
            call["id"] += piece.get("id") or ""
            call["name"] += piece["function"].get("name") or ""
            call["arguments"] += piece["function"].get("arguments") or ""
        if legacy := holder.get("function_call"):  # as it was asked for, and answered
            call = self.calls.setdefault(0, {"id": "", "name": "", "arguments": ""})
            call["name"] += legacy.get("name") or ""
            call["arguments"] += legacy.get("arguments") or ""
        self.finish = self.finish or finish or ""

    def choice(self) -> Choice:
        return Choice(
            text=self.text,
            reasoning=self.reasoning,
            refusal=self.refusal,
            calls=tuple(
                Call(call["id"], call["name"], arguments_in(call["arguments"]))
                for _, call in sorted(self.calls.items())
            ),
            finish=self.finish,
            spoken=self.spoken,
            images=tuple(self.images),
            cited=frozenset(self.cited - {""}),
        )


def _data(url: str) -> str:
    return url.partition(";base64,")[2]


def _read_chat_whole(body: bytes) -> Meaning:
    answer = json.loads(body)
    choices = []
    for position, entry in enumerate(answer["choices"]):
        assert entry["index"] == position
        gathered = _Gathered()
        gathered.add(entry.get("message", entry), entry["finish_reason"])
        choices.append(gathered.choice())
    return Meaning(tuple(choices), _chat_counts(answer["usage"]))


def _read_chat_stream(body: bytes) -> Meaning:
    assert body.endswith(b"\n\ndata: [DONE]\n\n")
    found: dict[int, _Gathered] = {}
    usage = None
    for chunk in events_in(body):
        for entry in chunk["choices"]:
            gathered = found.setdefault(entry["index"], _Gathered())
            gathered.add(entry.get("delta", entry), entry.get("finish_reason"))
        assert usage is None, "usage comes last"
        usage = chunk.get("usage")
    assert usage is not None
    return Meaning(tuple(found[index].choice() for index in sorted(found)), _chat_counts(usage))


def _chat_counts(usage: dict[str, Any]) -> Counts:
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    return Counts(
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["completion_tokens_details"]["reasoning_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
    )


def _chat_expects(meaning: Meaning) -> Meaning:
    return meaning


def _completions_expects(meaning: Meaning) -> Meaning:
    choices = [
        Choice(choice.text, choice.reasoning, finish=choice.finish) for choice in meaning.choices
    ]
    return replace(meaning, choices=tuple(choices))


# --- Messages -------------------------------------------------------------------------------------------

_UNREADABLE = "unreadable_arguments"
_STOPS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}


def _read_messages_whole(body: bytes) -> Meaning:
    message = json.loads(body)
    text, reasoning, calls, images, cited = "", "", [], [], set()
    for block in message["content"]:
        match block["type"]:
            case "text":
                text += block["text"]
                for note in block["citations"] or ():
                    if url := note.get("url") or note.get("source"):
                        cited.add(url)
            case "thinking":
                reasoning += block["thinking"]
            case "tool_use":
                arguments = block["input"]
                if arguments.keys() == {_UNREADABLE}:
                    arguments = arguments[_UNREADABLE]
                calls.append(Call(block["id"], block["name"], arguments))
            case "image":
                images.append(block["source"]["data"])
    usage = message["usage"]
    cached = usage["cache_read_input_tokens"]
    choice = Choice(
        text=text,
        reasoning=reasoning,
        calls=tuple(calls),
        finish=_STOPS[message["stop_reason"]],
        images=tuple(images),
        cited=frozenset(cited),
    )
    return Meaning(
        (choice,),
        Counts(
            usage["input_tokens"] + cached + usage["cache_creation_input_tokens"],
            usage["output_tokens"],
            usage["output_tokens_details"]["thinking_tokens"],
            cached,
        ),
    )


def _read_messages_stream(body: bytes) -> Meaning:
    """Put the message together from its events, then read that."""
    events = [event for event in events_in(body) if event["type"] != "ping"]
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    assert events[0]["type"] == "message_start"
    message = events[0]["message"]
    blocks: list[dict[str, Any]] = []
    inputs: dict[int, str] = {}
    for event in events[1:-2]:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(blocks)
                blocks.append(event["content_block"])
            case "content_block_delta":
                assert event["index"] == len(blocks) - 1
                _add_delta(blocks[-1], event["delta"], inputs, event["index"])
            case kind:
                assert kind == "content_block_stop"
    for index, text in inputs.items():
        value = arguments_in(text)
        blocks[index]["input"] = value if isinstance(value, dict) else {_UNREADABLE: value}
    message["content"] = blocks
    message["stop_reason"] = events[-2]["delta"]["stop_reason"]
    message["usage"] |= events[-2]["usage"]
    return _read_messages_whole(json.dumps(message).encode())


def _add_delta(
    block: dict[str, Any], delta: dict[str, Any], inputs: dict[int, str], index: int
) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "input_json_delta":
            inputs[index] = inputs.get(index, "") + delta["partial_json"]
        case "citations_delta":
            block["citations"] = [*(block["citations"] or []), delta["citation"]]
        case kind:
            assert kind == "signature_delta"


def _messages_expects(meaning: Meaning) -> Meaning:
    (choice, *_) = meaning.choices
    finish = choice.finish
    if finish == "content_filter" or (choice.refusal and finish == "stop"):
        finish = "refusal"
    if finish == "stop" and choice.calls:
        finish = "tool_calls"
    if finish == "tool_calls" and not choice.calls:
        finish = "stop"
    text = choice.text + choice.refusal + choice.spoken
    choice = replace(choice, text=text, refusal="", spoken="", finish=finish)
    return replace(meaning, choices=(choice,))


# --- Responses ------------------------------------------------------------------------------------------


def _read_responses_whole(body: bytes) -> Meaning:
    return _meaning_of(json.loads(body))


def _meaning_of(response: dict[str, Any]) -> Meaning:
    text, reasoning, refusal, calls, images, cited = "", "", "", [], [], set()
    for item in response["output"]:
        match item["type"]:
            case "message":
                for part in item["content"]:
                    text += part.get("text", "")
                    refusal += part.get("refusal", "")
                    cited |= {note["url"] for note in part.get("annotations", ())} - {""}
            case "reasoning":
                for part in [*item["summary"], *(item.get("content") or ())]:
                    reasoning += part["text"]
            case "function_call":
                arguments = arguments_in(item["arguments"])
                calls.append(Call(item["call_id"], item["name"], arguments))
            case "image_generation_call":
                images.append(item["result"])
            case kind:
                raise AssertionError(kind)
    assert response["output_text"] == text
    finish = "completed"
    if response["status"] == "incomplete":
        reasons = {"max_output_tokens": "length", "content_filter": "content_filter"}
        finish = reasons[response["incomplete_details"]["reason"]]
    usage = response["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    choice = Choice(
        text=text,
        reasoning=reasoning,
        refusal=refusal,
        calls=tuple(calls),
        finish=finish,
        images=tuple(images),
        cited=frozenset(cited),
    )
    counts = Counts(
        usage["input_tokens"],
        usage["output_tokens"],
        usage["output_tokens_details"]["reasoning_tokens"],
        usage["input_tokens_details"]["cached_tokens"],
    )
    return Meaning((choice,), counts)


def _read_responses_stream(body: bytes) -> Meaning:
    """From the pieces; the final response must say the same."""
    events = events_in(body)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] in ("response.completed", "response.incomplete")
    items: dict[int, dict[str, Any]] = {}
    for event in events[2:-1]:
        _add_response_event(items, event)
    final = events[-1]["response"]
    for index, item in items.items():
        assert item == final["output"][index], "the pieces make what the item says"
    assert len(items) == len(final["output"])
    return _meaning_of(final)


def _add_response_event(items: dict[int, dict[str, Any]], event: dict[str, Any]) -> None:
    """Items grow by their pieces; what an item says when it is done must be what has grown."""
    item = items.get(event["output_index"], {})
    match event["type"].removeprefix("response."):
        case "output_item.added":
            assert event["output_index"] == len(items)
            items[event["output_index"]] = event["item"]
        case "content_part.added":
            item.setdefault("content", []).append(event["part"])
        case "reasoning_summary_part.added":
            item["summary"].append(event["part"])
        case "output_text.delta":
            part = item["content"][event["content_index"]]
            part["text"] += event["delta"]
            part["logprobs"] += event["logprobs"]
        case "output_text.annotation.added":
            item["content"][event["content_index"]]["annotations"].append(event["annotation"])
        case "refusal.delta":
            item["content"][event["content_index"]]["refusal"] += event["delta"]
        case "reasoning_text.delta":
            item["content"][event["content_index"]]["text"] += event["delta"]
        case "reasoning_summary_text.delta":
            item["summary"][event["summary_index"]]["text"] += event["delta"]
        case "function_call_arguments.delta":
            item["arguments"] += event["delta"]
        case "output_item.done":
            grown = {name: item[name] for name in item if name in _GROWING}
            assert grown == {name: event["item"][name] for name in grown}
            items[event["output_index"]] = event["item"]


_GROWING = ("content", "summary", "arguments")


def _responses_expects(meaning: Meaning) -> Meaning:
    (choice, *_) = meaning.choices
    finish = "completed" if choice.finish in ("stop", "tool_calls") else choice.finish
    choice = replace(choice, text=choice.text + choice.spoken, spoken="", finish=finish)
    return replace(meaning, choices=(choice,))


CALLERS: tuple[Caller, ...] = (
    Caller(
        "chat",
        "/chat/completions",
        OpenAIChat(),
        _read_chat_stream,
        _read_chat_whole,
        _chat_expects,
    ),
    Caller(
        "responses",
        "/responses",
        OpenAIResponses(),
        _read_responses_stream,
        _read_responses_whole,
        _responses_expects,
    ),
    Caller(
        "messages",
        "/messages",
        AnthropicMessages(),
        _read_messages_stream,
        _read_messages_whole,
        _messages_expects,
    ),
    Caller(
        "completions",
        "/completions",
        OpenAICompletions(),
        _read_chat_stream,
        _read_chat_whole,
        _completions_expects,
    ),
)
