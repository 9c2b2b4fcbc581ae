"""Chunks that are alike are not parsed; nobody must be able to tell."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairlead.core.chat import ChatEvent, Frame, TextChunk, TextDelta
from fairlead.core.errors import UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.dialects.base import AnswerHead, StreamEncoder
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.providers.openai_decoder import LOOKS_MAX, OpenAIStreamDecoder
from tests.recordings import Recording, load, names

HEAD = AnswerHead(GenerationId("gen-1"), "author/model", "Somebody", 1_700_000_000)
STREAMS = [case for name in names() for case in load(name) if case.is_sse and case.status == 200]


def written(body: bytes, encoder: StreamEncoder) -> tuple[bytes, list[ChatEvent], str]:
    """What a caller gets, the events behind it, and the failure it ended with."""
    decoder = OpenAIStreamDecoder()
    events: list[ChatEvent] = []
    failure = ""
    try:
        for block in body.split(b"\n\n"):
            events += decoder.feed(block + b"\n\n")
        events += decoder.finish()
    except UpstreamFailure as broken:
        failure = f"{broken.kind} {broken}"
    return encoder.feed(events), events, failure


def parsed_throughout(body: bytes) -> bytes:
    """The same stream, every chunk of which is parsed, because it comes under a name."""
    return b"\n\n".join(
        b"event: chunk\n" + block if block.startswith(b"data: ") else block
        for block in body.split(b"\n\n")
    )


def assert_nobody_can_tell(body: bytes) -> list[ChatEvent]:
    events: list[ChatEvent] = []
    for dialect in (OpenAIChat(), OpenAICompletions()):
        short, events, failure = written(body, dialect.stream(HEAD))
        long, parsed, same_failure = written(parsed_throughout(body), dialect.stream(HEAD))
        assert not any(isinstance(event, TextChunk) for event in parsed)
        assert (short, failure) == (long, same_failure)
    return events


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in STREAMS])
def test_a_recorded_stream_is_written_the_same_way(case: Recording) -> None:
    assert_nobody_can_tell(case.body)


def test_recorded_text_is_recognised() -> None:
    events = [
        event for case in STREAMS for event in written(case.body, OpenAIChat().stream(HEAD))[1]
    ]
    short = sum(isinstance(event, TextChunk) for event in events)
    assert short > 1000


TEXTS = st.one_of(
    st.text(max_size=4),
    st.sampled_from(
        ["", "a", "x", "0", ": ", "id", 'a"b', "\\", "\\n", "\n", "é", "\u200d", "another text"]
    ),
)
CHOICES = st.sampled_from(
    [
        {"index": 0, "delta": {}},
        {"index": 0, "delta": {}, "finish_reason": None, "logprobs": None},
        {"index": 0, "delta": {}, "logprobs": {"content": []}},
        {"index": 1, "delta": {}},
        {"index": 0, "delta": {}, "checked": {"content": "a"}},
        {"index": 0, "delta": {"role": "assistant"}},
        {"index": 0, "delta": {"role": "assistant", "refusal": None, "tool_calls": []}},
        {"index": 0, "delta": {"reasoning": "a"}},
        {"index": 0, "delta": {"reasoning": None, "channel": "final"}},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
)  # fmt: skip
ENVELOPES = st.sampled_from(
    [
        {"id": "x"},
        {"id": "x", "usage": None},
        {"id": "a", "model": "a", "obfuscation": "abc"},
        {"id": "x", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}},
        {"id": "x", "\x00the text": "\x00the text"},
    ]
)


def chunk(envelope: dict[str, Any], choice: dict[str, Any], text: str) -> bytes:
    delta = {**choice["delta"], "content": text}
    return msgspec.json.encode({**envelope, "choices": [{**choice, "delta": delta}]})


@settings(deadline=None)
@given(st.lists(st.tuples(ENVELOPES, CHOICES, TEXTS), max_size=12), st.booleans())
@example([({"id": "x"}, {"index": 0, "delta": {}}, text) for text in "abcdef"], False)
@example([({"id": "x", "\x00the text": "\x00the text"}, {"index": 0, "delta": {}}, "a")] * 4, False)
def test_any_stream_is_written_the_same_way(
    pieces: list[tuple[dict[str, Any], dict[str, Any], str]], is_regular: bool
) -> None:
    if is_regular and pieces:  # all but the texts as in the first
        pieces = [(pieces[0][0], pieces[0][1], text) for _, _, text in pieces]
    datas = [chunk(*piece) for piece in pieces]
    assert_nobody_can_tell(b"".join(b"data: %b\n\n" % data for data in datas) + b"data: [DONE]\n\n")


PADDINGS = st.one_of(
    st.text(max_size=4), st.sampled_from(["", "a", "x", "abc", '"', "\\", 'a","p":"b', "id", "p"])
)


@settings(deadline=None)
@given(
    st.sampled_from(["obfuscation", "p", "pad"]),
    st.lists(st.tuples(TEXTS, PADDINGS), max_size=8),
    st.booleans(),
    st.booleans(),
)
@example("p", [("a", "bcd"), ("b", "c"), ("c", 'd","usage":"')], True, False)
@example("p", [("a", "a"), ("b", "c"), ("c", "d")], False, False)
def test_any_padded_stream_is_written_the_same_way(
    name: str, pieces: list[tuple[str, str]], comes_last: bool, has_both: bool
) -> None:
    choice = {"index": 0, "delta": {}}
    datas = []
    for text, padding in pieces:
        pads = {name: padding, **({"obfuscation": "x"} if has_both else {})}
        fields = msgspec.json.decode(chunk({"id": "x"}, choice, text))
        fields = {**fields, **pads} if comes_last else {**pads, **fields}
        datas.append(msgspec.json.encode(fields))
    assert_nobody_can_tell(b"".join(b"data: %b\n\n" % data for data in datas) + b"data: [DONE]\n\n")


def test_padding_and_escapes_do_not_hide_that_chunks_are_alike() -> None:
    padded = [case for case in STREAMS if b'"obfuscation":"' in case.body or b'"p":"' in case.body]
    assert len(padded) > 10
    short = parsed = 0
    for case in padded:
        for event in written(case.body, OpenAIChat().stream(HEAD))[1]:
            short += isinstance(event, TextChunk)
            if isinstance(event, Frame):
                parsed += any(isinstance(inner, TextDelta) for inner in event.events)
    assert short > 10 * parsed


def test_a_role_and_empty_stand_ins_do_not_hide_that_chunks_are_alike() -> None:
    said = {"role": "assistant", "refusal": None, "tool_calls": [], "reasoning_content": None}
    datas = [chunk({"id": "x"}, {"index": 0, "delta": said}, text) for text in "abcdef"]
    events = assert_nobody_can_tell(b"".join(b"data: %b\n\n" % data for data in datas))
    assert [isinstance(event, TextChunk) for event in events[2:6]] == [True] * 4


@settings(deadline=None)
@given(st.binary(max_size=6))
@example(b"\xff")
@example(b'","role":"tool')
@example(b"\\")
def test_what_is_no_text_is_not_taken_for_one(middle: bytes) -> None:
    good = chunk({"id": "x"}, {"index": 0, "delta": {}}, "a")
    bad = good.replace(b'"a"', b'"' + middle + b'"')
    assert_nobody_can_tell(b"".join(b"data: %b\n\n" % data for data in (good, good, good, bad)))


def test_the_role_is_said_once_wherever_an_answer_begins() -> None:
    datas = [chunk({"id": "x"}, {"index": 0, "delta": {}}, text) for text in "abcde"]
    decoder = OpenAIStreamDecoder()
    events = [event for data in datas for event in decoder.feed(b"data: %b\n\n" % data)]
    encoder = OpenAIChat().stream(HEAD)
    said = [encoder.feed([event]) for event in events if isinstance(event, TextChunk)]
    assert [b'"role":"assistant"' in piece for piece in said] == [True, False, False]


def test_a_stream_without_two_that_are_alike_is_not_looked_at_for_ever() -> None:
    choice = {"index": 0, "delta": {}}
    padded = [chunk({"pad": str(number)}, choice, "a") for number in range(LOOKS_MAX + 5)]
    late = [chunk({"id": "x"}, choice, text) for text in "abc"]
    events = assert_nobody_can_tell(b"".join(b"data: %b\n\n" % data for data in (*padded, *late)))
    assert not any(isinstance(event, TextChunk) for event in events)
