"""Recorded answers of real providers, told to callers of the Messages dialect and read by its client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.core.answer import Choice, collect, plain
from fairlead.core.chat import ChatEvent, FinishReason
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.providers.base import ChatAdapter
from fairlead.providers.compatible import OpenAIFormatChat
from fairlead.providers.openai_encoder import Row
from fairlead.providers.registry import PROVIDERS
from tests.dialects.anthropic_client import (
    StreamRefused,
    assert_official_order,
    read_stream,
    read_whole,
)
from tests.recordings import Recording, load, load_native, names

OPENAI_FORMAT = OpenAIFormatChat(Row("recorded"))
# Formats of their own: the file of recordings, and who reads it.
NATIVE = {
    "native/gemini": "google-ai-studio",
    "native/vertex": "google-vertex",
    "native/bedrock": "amazon-bedrock",
    "native/cohere": "cohere",
}
ALL = [*names(), *NATIVE]
DIALECT = AnthropicMessages()
HEAD = AnswerHead(GenerationId("gen-1"), "author/model", "Somebody", 1_700_000_000)
CHARGE = Charge(NanoUSD(3), NanoUSD(1), NanoUSD(2))
BROKEN = UpstreamFailure("It broke off.", kind=FailureKind.CUT).problem()
STOP_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}


def _answers(name: str) -> list[tuple[Recording, list[ChatEvent]]]:
    chat: ChatAdapter | None = OPENAI_FORMAT
    if name in NATIVE:
        chat = PROVIDERS[NATIVE[name]].chat
    assert chat is not None
    answers: list[tuple[Recording, list[ChatEvent]]] = []
    for case in load_native(name.removeprefix("native/")) if name in NATIVE else load(name):
        streamed = case.is_sse or (name in NATIVE and case.streamed)
        decoder = chat.decoder(streamed=streamed)
        try:
            events = decoder.feed(case.body) + decoder.finish()
        except UpstreamFailure:
            continue  # a refusal, or no answer; that it is one is checked where answers are decoded
        answers.append((case, events))
    return answers


def test_most_recordings_are_answers() -> None:
    assert sum(len(_answers(name)) for name in names()) > 900
    assert all(len(_answers(name)) > 20 for name in NATIVE)


@pytest.mark.parametrize("name", ALL)
def test_every_answer_comes_through(name: str) -> None:
    """Streamed and whole, whatever way it came: equal in text, calls, reasoning, end and usage."""
    for case, events in _answers(name):
        answer = collect(events)
        choice = next((choice for choice in answer.choices if choice.index == 0), Choice(0))
        usage = answer.usage.usage if answer.usage is not None else Usage()
        closing = Closing(usage, CHARGE)
        bare = list(plain(events))
        encoder = DIALECT.stream(HEAD)
        written = b"".join(encoder.feed([event]) for event in events) + encoder.close(closing)
        assert_official_order(written)
        whole = DIALECT.whole(HEAD, bare, closing)
        readable = all(_is_object(call.arguments or "{}") for call in choice.calls)
        if readable:  # the client does not go on behind arguments that it cannot read
            assert_same(read_stream(written), choice, usage, case)
        assert_same(read_whole(whole), choice, usage, case)


def assert_same(message: Any, choice: Choice, usage: Usage, case: Recording) -> None:
    blocks = message.content
    said = "".join(block.text for block in blocks if block.type == "text")
    transcript = choice.audio.get("transcript", "") if isinstance(choice.audio, dict) else ""
    assert said == choice.text + choice.refusal + transcript, case
    thoughts = "".join(block.thinking for block in blocks if block.type == "thinking")
    told = "".join(_told(detail) for detail in choice.reasoning_details)
    assert thoughts == told, case
    calls = [block for block in blocks if block.type == "tool_use"]
    assert [(call.id, call.name) for call in calls] == [(c.id, c.name) for c in choice.calls], case
    for block, call in zip(calls, choice.calls, strict=True):
        if _is_object(call.arguments or "{}"):
            assert block.input == json.loads(call.arguments or "{}"), case
    assert message.stop_reason == _stop_reason(choice), case
    counts = message.usage
    assert counts.output_tokens == usage.completion_tokens, case
    assert (
        counts.input_tokens
        + counts.cache_read_input_tokens
        + counts.cache_creation_input_tokens
        == usage.prompt_tokens
    ), case  # fmt: skip


def _told(detail: Any) -> str:
    text = detail.get("text") or detail.get("summary") or ""
    return text if isinstance(text, str) else ""


def _stop_reason(choice: Choice) -> str:
    finish = choice.finish or FinishReason.STOP
    if finish is FinishReason.STOP and choice.refusal:
        return "refusal"
    if finish in (FinishReason.STOP, FinishReason.TOOL_CALLS):
        return "tool_use" if choice.calls else "end_turn"
    return STOP_REASONS[finish]


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except ValueError:
        return False


@pytest.mark.parametrize("name", ALL)
def test_a_cut_of_a_stream_anywhere_is_told_as_one(name: str) -> None:
    """A sample of cuts through the longest stream of each provider."""
    streams = [list(plain(events)) for case, events in _answers(name) if case.streamed]
    events = max(streams, key=len, default=[])
    for position in range(0, len(events) + 1, max(1, len(events) // 12)):
        encoder = DIALECT.stream(HEAD)
        written = encoder.feed(events[:position]) + encoder.fail(BROKEN, None)
        assert b"message_stop" not in written
        assert_official_order(written)
        with pytest.raises(StreamRefused):
            read_stream(written)
