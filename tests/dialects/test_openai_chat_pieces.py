"""Pieces of an answer are written around what a chunk of their choice has in common; nobody can tell."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.chat import (
    ChatEvent,
    Likeness,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextChunk,
    TextDelta,
    ToolCallDelta,
    WireFormat,
)
from fairlead.core.ids import GenerationId
from fairlead.dialects.base import AnswerHead
from fairlead.dialects.openai_chat import OpenAIChat

TEXTS = st.one_of(st.text(max_size=4), st.sampled_from(["", '"delta":{}', "\\", "\u2028", "é"]))
CHOICES = st.integers(0, 1)
NAMES = st.sampled_from([None, "default", '"delta":{}'])
ELSEWHERE = [
    Likeness(WireFormat.ANTHROPIC_MESSAGES, b'{"delta":{"text":', b"}}", choice)
    for choice in (0, 1)
]


def piece_of(draw: st.DrawFn) -> ChatEvent:
    text, choice = draw(TEXTS), draw(CHOICES)
    details = ({"type": "reasoning.text", "text": text, "index": draw(CHOICES)},)
    pieces: list[ChatEvent] = [
        TextDelta(text, choice),
        TextDelta(text, choice),
        TextDelta(text, choice, msgspec.Raw(b'{"content":[]}')),
        TextChunk(text, ELSEWHERE[choice]),
        ReasoningDelta(text, choice, details),
        ReasoningDelta(text, choice),
        RefusalDelta(text, choice),
        ToolCallDelta(0, text, "call_1", "tool", choice),
        ToolCallDelta(0, text, choice=choice),
        Started(service_tier=draw(NAMES), system_fingerprint=draw(NAMES)),
    ]
    return draw(st.sampled_from(pieces))


PIECES = st.lists(st.composite(piece_of)(), max_size=12)
HEADS = st.builds(
    AnswerHead,
    st.just(GenerationId("gen-1")),
    st.sampled_from(["author/model", '"delta":{}']),
    st.sampled_from(["Somebody", '"delta":{}']),
    st.just(1_700_000_000),
    st.booleans(),
)


class Expectation:
    """Each chunk of a stream, from the event alone."""

    def __init__(self, head: AnswerHead) -> None:
        self._head = head
        self._begun: set[int] = set()
        self._started = Started()

    def chunk(self, event: ChatEvent) -> dict[str, Any] | None:
        if isinstance(event, Started):
            self._started = event
            return None
        if isinstance(event, ReasoningDelta) and not self._head.show_reasoning:
            return None
        event = event.delta if isinstance(event, TextChunk) else event
        assert isinstance(event, TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta)
        delta: dict[str, Any] = {}
        if event.choice not in self._begun:
            self._begun.add(event.choice)
            delta["role"] = "assistant"
        choice: dict[str, Any] = {"index": event.choice, "delta": delta, "finish_reason": None}
        match event:
            case TextDelta():
                delta["content"] = event.text
                if event.logprobs is not None:
                    choice["logprobs"] = {"content": []}
            case ReasoningDelta():
                unnamed = {"type": "reasoning.text", "text": event.text} | {
                    "format": "unknown",
                    "index": 0,
                }
                delta["reasoning"] = event.text or None
                delta["reasoning_details"] = list(event.details) or [unnamed]
            case RefusalDelta():
                delta["refusal"] = event.text
            case ToolCallDelta():
                call: dict[str, Any] = {"index": 0, "function": {"arguments": event.arguments}}
                if event.id is not None:
                    call |= {"id": event.id, "type": "function"}
                    call["function"]["name"] = event.name
                delta["tool_calls"] = [call]
        head = self._head
        fields: dict[str, Any] = {
            "id": head.generation,
            "object": "chat.completion.chunk",
            "created": head.created_s,
            "model": head.model,
            "provider": head.provider,
            "choices": [choice],
        }
        if self._started.service_tier is not None:
            fields["service_tier"] = self._started.service_tier
        if self._started.system_fingerprint is not None:
            fields["system_fingerprint"] = self._started.system_fingerprint
        return fields


@given(HEADS, PIECES)
def test_every_piece_is_the_chunk_that_it_says(head: AnswerHead, pieces: list[ChatEvent]) -> None:
    stream, expectation = OpenAIChat().stream(head), Expectation(head)
    for piece in pieces:
        written = stream.feed([piece])
        expected = expectation.chunk(piece)
        if expected is None:
            assert written == b""
        else:
            assert written.startswith(b"data: ")
            assert written.endswith(b"\n\n")
            assert msgspec.json.decode(written[6:-2]) == expected
