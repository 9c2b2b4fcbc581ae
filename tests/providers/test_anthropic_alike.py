"""Pieces of a text in Messages streams are not parsed; nobody must be able to tell."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairlead.core.chat import ChatEvent, Frame, TextChunk, TextDelta, WireFormat
from fairlead.core.errors import UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.base import AnswerHead, StreamEncoder
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.dialects.openai_responses import OpenAIResponses
from fairlead.providers.anthropic_alike import TextPieces
from fairlead.providers.anthropic_decoder import AnthropicStreamDecoder
from tests.recordings import Recording, load_native

HEAD = AnswerHead(GenerationId("gen-1"), "author/model", "Somebody", 1_700_000_000)
DIALECTS = (OpenAIChat(), AnthropicMessages(), OpenAIResponses(), OpenAICompletions())
STREAMS = [case for case in load_native("anthropic") if case.is_sse and case.status == 200]


def written(body: bytes, encoder: StreamEncoder) -> tuple[bytes, list[ChatEvent], str]:
    """What a caller gets, the events behind it, and the failure it ended with."""
    decoder = AnthropicStreamDecoder()
    events: list[ChatEvent] = []
    said = b""
    failure = ""
    try:
        for block in body.split(b"\n\n"):
            told = decoder.feed(block + b"\n\n")
            events += told
            said += encoder.feed(told)
        told = decoder.finish()
        events += told
        said += encoder.feed(told)
    except UpstreamFailure as broken:
        failure = f"{broken.kind} {broken}"
    return said, events, failure


def parsed_throughout(body: bytes) -> bytes:
    """The same stream as somebody else might write it."""
    return body.replace(b'data: {"type":', b'data: { "type":')


def assert_nobody_can_tell(body: bytes) -> list[ChatEvent]:
    events: list[ChatEvent] = []
    for dialect in DIALECTS:
        short, events, failure = written(body, dialect.stream(HEAD))
        long, parsed, same_failure = written(parsed_throughout(body), dialect.stream(HEAD))
        assert not any(isinstance(event, TextChunk) for event in parsed)
        assert (short, failure) == (long, same_failure)
    return events


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in STREAMS])
def test_a_recorded_stream_is_written_the_same_way(case: Recording) -> None:
    assert_nobody_can_tell(case.body)


def test_recorded_text_is_recognised() -> None:
    short = parsed = 0
    for case in STREAMS:
        for event in written(case.body, OpenAIChat().stream(HEAD))[1]:
            short += isinstance(event, TextChunk)
            if isinstance(event, Frame):
                parsed += any(isinstance(inner, TextDelta) for inner in event.events)
    assert short > 500
    assert short > 10 * parsed


TEXTS = st.one_of(
    st.text(max_size=4),
    st.sampled_from(["", "a", '"', 'a"}}', "}}", "\\", "\\n", "\n", "é", "\u200d", '"}   }']),
)
INDEXES = st.integers(0, 2)
KINDS = st.sampled_from(["text", "text", "thinking", "tool_use"])


def start(index: int, kind: str) -> dict[str, Any]:
    block = {"type": kind, "text": "", "thinking": "", "id": "toolu_1", "name": "tool", "input": {}}
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, text: str, more: dict[str, Any]) -> dict[str, Any]:
    said = {"type": "text_delta", "text": text, **more}
    return {"type": "content_block_delta", "index": index, "delta": said}


EVENTS = st.one_of(
    st.builds(start, INDEXES, KINDS),
    st.builds(delta, INDEXES, TEXTS, st.sampled_from([{}, {}, {}, {"more": 1}, {"text": "b"}])),
    st.builds(delta, INDEXES, TEXTS, st.just({})),
    st.builds(lambda index: {"type": "content_block_stop", "index": index}, INDEXES),
    st.sampled_from([{"type": "ping"}, {"type": "message_stop"}, {"type": "message_start"}]),
)
STOP = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 1},
}


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=12), st.integers(0, 3))
@example([start(0, "text"), *(delta(0, text, {}) for text in "abc")], 2)
@example([start(1, "text"), delta(1, "a", {}), start(1, "text"), delta(1, "b", {})], 0)
@example([start(1, "text"), delta(1, "a", {}), {"type": "message_start"}, delta(1, "b", {})], 0)
def test_any_stream_is_written_the_same_way(events: list[dict[str, Any]], blanks: int) -> None:
    opening = {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 1}}}
    body = b""
    for fields in (opening, *events, STOP):
        data = msgspec.json.encode(fields)[:-1] + b" " * blanks + b"}"
        body += b"event: %b\ndata: %b\n\n" % (str(fields["type"]).encode(), data)
    assert_nobody_can_tell(body)


@settings(deadline=None)
@given(st.binary(max_size=6))
@example(b"\xff")
@example(b'"}}')
@example(b'","text":"b')
@example(b"\\")
@example(b'"},"delta":{"type":"text_delta","text":"b')
def test_what_is_no_text_is_not_taken_for_one(middle: bytes) -> None:
    good = msgspec.json.encode(delta(0, "a", {}))
    bad = good.replace(b'"a"', b'"' + middle + b'"')
    opening = msgspec.json.encode(start(0, "text"))
    assert_nobody_can_tell(b"".join(b"data: %b\n\n" % data for data in (opening, good, bad, good)))


@pytest.mark.parametrize("tail", [b"}}", b"} }  ", b"}}]", b"}", b"}}}", b"}, }", b"} 1}"])
def test_what_follows_a_text_is_braces_and_blanks_or_left_to_the_parser(tail: bytes) -> None:
    good = msgspec.json.encode(delta(0, "a", {}))
    opening = msgspec.json.encode(start(0, "text"))
    other = good.removesuffix(b"}}") + tail
    assert_nobody_can_tell(b"".join(b"data: %b\n\n" % data for data in (opening, good, other)))


def test_no_piece_is_written_into_a_block_that_is_closed() -> None:
    """Not even one of the same likeness, which our own decoder would not tell so."""
    likeness = TextPieces(0).likeness
    encoder = AnthropicMessages().stream(HEAD)
    opened, closed = start(0, "text"), {"type": "content_block_stop", "index": 0}
    encoder.feed([Frame(WireFormat.ANTHROPIC_MESSAGES, opened, ())])
    said = [encoder.feed([TextChunk(text, likeness)]) for text in "ab"]
    assert b'"text":"a"' in said[0]
    assert said[1] == said[0].replace(b'"a"', b'"b"')
    encoder.feed([Frame(WireFormat.ANTHROPIC_MESSAGES, closed, ())])
    assert encoder.feed([TextChunk("c", likeness)]) == b""


def test_a_piece_cut_off_before_its_text_is_left_to_the_parser() -> None:
    good = msgspec.json.encode(delta(0, "a", {}))
    opening = msgspec.json.encode(start(0, "text"))
    for end in range(len(good)):
        body = b"data: %b\n\ndata: %b\n\n" % (opening, good[:end])
        _, _, failure = written(body, OpenAIChat().stream(HEAD))
        assert failure
