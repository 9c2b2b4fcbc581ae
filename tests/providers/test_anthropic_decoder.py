"""Every recorded answer in the Messages format, against a plain reading of it; and whatever may go wrong."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.core.answer import Choice, collect, plain
from fairlead.core.chat import (
    ChatEvent,
    FinishReason,
    Frame,
    ReasoningDelta,
    Started,
    TextChunk,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.usage import Usage
from fairlead.providers.anthropic_decoder import AnthropicStreamDecoder, AnthropicWholeDecoder
from fairlead.providers.anthropic_reader import ANSWER_TOOL
from tests import anthropic_truth as truth
from tests.recordings import Recording, load_native, native_recording

ALL = [case for case in load_native("anthropic") if "count_tokens" not in case.path]
ANSWERS = [case for case in ALL if case.status == 200]
STREAMS = [case for case in ANSWERS if case.is_sse]
SHORT_STREAMS = sorted(
    (case for case in STREAMS if len(case.body) < 30_000),
    key=lambda case: (len(case.body), case.id),
)
REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
}


def decoder_of(case: Recording) -> AnthropicStreamDecoder | AnthropicWholeDecoder:
    return AnthropicStreamDecoder() if case.is_sse else AnthropicWholeDecoder()


def events_of(case: Recording, pieces: Iterable[bytes] | None = None) -> list[ChatEvent]:
    decoder = decoder_of(case)
    events: list[ChatEvent] = []
    for piece in pieces or [case.body]:
        events += decoder.feed(piece)
    return events + decoder.finish()


def by_id(cases: Iterable[Recording]) -> list[Any]:
    return [pytest.param(case, id=case.id) for case in cases]


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode())
        for event in events
    )


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 5, "output_tokens": 1, "service_tier": "standard"},
    },
}
STOP = {"type": "message_stop"}


def opened(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def piece(index: int, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def closed(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def ended(stop_reason: str | None, **usage: int) -> dict[str, Any]:
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": usage}


def choice_of(body: bytes) -> Choice:
    decoder = AnthropicStreamDecoder()
    (choice,) = collect(decoder.feed(body) + decoder.finish()).choices
    return choice


def test_there_is_something_to_check() -> None:
    assert len(ANSWERS) > 400
    assert len(STREAMS) > 75
    assert len(SHORT_STREAMS) > 60


@pytest.mark.parametrize("case", by_id(ANSWERS))
def test_the_answer_is_read_as_it_was_recorded(case: Recording) -> None:
    said = truth.read(case.body, is_sse=case.is_sse)
    answer = collect(events_of(case))
    assert answer.started is not None
    assert (answer.started.id, answer.started.model) == (said.id, said.model)
    choice = answer.choices[0]
    assert len(answer.choices) == 1
    assert choice.text == said.text
    assert choice.reasoning == "".join(thought.text for thought in said.thoughts)
    assert [
        (detail.get("text", ""), detail.get("signature", ""), detail.get("data", ""))
        for detail in choice.reasoning_details
    ] == [(thought.text, thought.signature, thought.data) for thought in said.thoughts]
    assert {detail["format"] for detail in choice.reasoning_details} <= {"anthropic-claude-v1"}
    assert [detail["index"] for detail in choice.reasoning_details] == list(
        range(len(choice.reasoning_details))
    )
    assert [(call.id, call.name, json.loads(call.arguments)) for call in choice.calls] == [
        (call.id, call.name, call.input) for call in said.calls
    ]
    assert [a["url_citation"]["url"] for a in choice.annotations] == said.urls  # type: ignore[index]
    assert (choice.finish, choice.native_finish) == (REASONS[said.stop_reason], said.stop_reason)
    assert answer.usage is not None
    assert_same_usage(answer.usage.usage, said.usage)


def assert_same_usage(usage: Usage, said: dict[str, Any]) -> None:
    read = said.get("cache_read_input_tokens") or 0
    written = said.get("cache_creation_input_tokens") or 0
    assert usage.cache_read == read
    assert usage.cache_write + usage.cache_write_1h == written
    assert usage.prompt == said["input_tokens"]
    assert usage.completion_tokens == said["output_tokens"]
    assert usage.total_tokens == said["input_tokens"] + read + written + said["output_tokens"]
    details = said.get("output_tokens_details") or {}
    assert usage.reasoning == details.get("thinking_tokens", 0)
    server_tools = said.get("server_tool_use") or {}
    assert usage.web_searches == server_tools.get("web_search_requests", 0)


@pytest.mark.parametrize("case", by_id(ANSWERS))
def test_callers_of_the_same_format_get_every_event_but_pings_as_it_was(case: Recording) -> None:
    events = events_of(case)
    fields: list[Any] = []
    for event in events:
        assert isinstance(event, Frame | TextChunk)
        if isinstance(event, TextChunk):
            fields.append(event.likeness.fields_with(event.text))
        else:
            fields.append(event.fields)
    if case.is_sse:
        assert fields == [e for e in truth.events_in(case.body) if e["type"] != "ping"]
    else:
        assert fields == [json.loads(case.body)]


# --- any cut, any damage ------------------------------------------------------------------------------


def outcome(case: Recording, pieces: Iterable[bytes]) -> tuple[list[object], object]:
    """(events, how it ended)."""
    decoder = decoder_of(case)
    events: list[ChatEvent] = []
    try:
        for part in pieces:
            events += decoder.feed(part)
        events += decoder.finish()
    except UpstreamFailure as failure:
        return list(events), (failure.kind, failure.message)
    return list(events), None


@given(case=st.sampled_from(SHORT_STREAMS), data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.data_too_large])
def test_any_chunking_gives_the_same_events(case: Recording, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(case.body)), max_size=30).map(sorted))
    edges = [0, *cuts, len(case.body)]
    pieces = [case.body[a:b] for a, b in itertools.pairwise(edges)]
    assert outcome(case, pieces) == outcome(case, [case.body])


@pytest.mark.parametrize("case", by_id(SHORT_STREAMS[::9]))
def test_byte_by_byte_gives_the_same_events(case: Recording) -> None:
    pieces = [case.body[i : i + 1] for i in range(len(case.body))]
    assert outcome(case, pieces) == outcome(case, [case.body])


@given(case=st.sampled_from(SHORT_STREAMS), data=st.data())
@settings(deadline=None, max_examples=100)
def test_a_cut_is_never_taken_for_an_end(case: Recording, data: st.DataObject) -> None:
    end = case.body.index(b'"stop_reason":"') if b'"stop_reason":"' in case.body else 0
    cut = data.draw(st.integers(0, end or case.body.index(b"message_delta")))
    _, ending = outcome(case, [case.body[:cut]])
    assert ending is not None
    assert ending[0] in (FailureKind.CUT, FailureKind.GARBAGE)  # type: ignore[index]


@given(case=st.sampled_from(SHORT_STREAMS + ANSWERS[:40]), data=st.data(), is_sse=st.booleans())
@settings(deadline=None, max_examples=150)
def test_damage_ends_in_events_or_a_failure(
    case: Recording, data: st.DataObject, *, is_sse: bool
) -> None:
    body = bytearray(case.body)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    decoder = AnthropicStreamDecoder() if is_sse else AnthropicWholeDecoder()
    with contextlib.suppress(UpstreamFailure):
        collect(decoder.feed(bytes(body)) + decoder.finish())


@given(body=st.binary(max_size=200), is_sse=st.booleans())
def test_arbitrary_bytes_end_in_a_failure(body: bytes, *, is_sse: bool) -> None:
    decoder = AnthropicStreamDecoder() if is_sse else AnthropicWholeDecoder()
    with pytest.raises(UpstreamFailure):
        collect(decoder.feed(body) + decoder.finish())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "a", "text", "tool_use"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "id", "input", "usage", "content", "citations", "url"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
TYPES = st.sampled_from(
    [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop", "ping", "news",
    ]
)  # fmt: skip
KINDS = st.sampled_from(
    [
        "text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "text_delta", "news",
        "thinking_delta", "signature_delta", "input_json_delta", "citations_delta",
    ]
)  # fmt: skip
BLOCKS = st.fixed_dictionaries(
    {"type": KINDS},
    optional=dict.fromkeys(
        ["text", "thinking", "signature", "data", "input", "name", "partial_json", "citation"], JSON
    ),
)
EVENTS = st.fixed_dictionaries(
    {"type": TYPES},
    optional={
        "index": st.integers(-1, 3) | JSON,
        "content_block": BLOCKS | JSON,
        "delta": BLOCKS | JSON,
        "message": JSON,
        "usage": JSON,
    },
)


@given(st.lists(EVENTS, max_size=12))
@settings(max_examples=300)
def test_events_of_any_shape_end_in_events_or_a_failure(events: list[dict[str, Any]]) -> None:
    decoder = AnthropicStreamDecoder()
    with contextlib.suppress(UpstreamFailure):
        collect(decoder.feed(stream(START, *events)) + decoder.finish())


# --- what recordings do not show ----------------------------------------------------------------------


def test_a_call_without_arguments_has_an_empty_object() -> None:
    choice = choice_of(
        stream(
            START,
            opened(0, type="tool_use", id="toolu_1", name="now", input={}),
            piece(0, type="input_json_delta", partial_json=""),
            closed(0),
            ended("tool_use", output_tokens=9),
            STOP,
        )
    )
    assert [(call.id, call.name, call.arguments) for call in choice.calls] == [
        ("toolu_1", "now", "{}")
    ]


def test_arguments_that_come_with_the_opening_of_a_block_are_kept() -> None:
    choice = choice_of(
        stream(
            START,
            opened(0, type="tool_use", id="toolu_1", name="add", input={"a": 1}),
            ended("tool_use"),
            STOP,
        )
    )
    assert [call.arguments for call in choice.calls] == ['{"a":1}']


def test_a_call_without_an_id_gets_one_that_is_always_the_same() -> None:
    body = stream(START, opened(0, type="tool_use", name="add"), ended("tool_use"), STOP)
    first, second = (choice_of(body).calls[0].id for _ in range(2))
    assert first == second
    assert first.startswith("toolu_")


def test_the_input_of_a_server_tool_is_no_call() -> None:
    events = [
        START,
        opened(0, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
        piece(0, type="input_json_delta", partial_json='{"query": "x"}'),
        closed(0),
        opened(1, type="web_search_tool_result", tool_use_id="srvtoolu_1", content=[]),
        closed(1),
        opened(2, type="text", text=""),
        piece(2, type="text_delta", text="Found."),
        closed(2),
        ended("end_turn", output_tokens=3),
        STOP,
    ]
    choice = choice_of(stream(*events))
    assert (choice.text, choice.calls) == ("Found.", [])


def test_withheld_thinking_keeps_its_signature() -> None:
    choice = choice_of(
        stream(
            START,
            opened(0, type="thinking", thinking="", signature=""),
            piece(0, type="thinking_delta", thinking="", estimated_tokens=50),
            piece(0, type="signature_delta", signature="c2ln"),
            closed(0),
            ended("end_turn", output_tokens=60),
            STOP,
        )
    )
    assert choice.reasoning == ""
    assert choice.reasoning_details == [
        {
            "type": "reasoning.text",
            "text": "",
            "signature": "c2ln",
            "format": "anthropic-claude-v1",
            "index": 0,
        }
    ]


def test_a_signature_is_the_last_piece_of_its_item() -> None:
    decoder = AnthropicStreamDecoder()
    events = decoder.feed(
        stream(
            START,
            opened(0, type="thinking", thinking="", signature=""),
            piece(0, type="signature_delta", signature="c2"),
            piece(0, type="thinking_delta", thinking="Hm."),
            piece(0, type="signature_delta", signature="ln"),
            closed(0),
        )
    )
    deltas = [event for event in plain(events) if isinstance(event, ReasoningDelta)]
    assert [(d.text, dict(d.details[0]).get("signature")) for d in deltas] == [
        ("Hm.", None),
        ("", "c2ln"),
    ]


def test_an_answer_by_the_forced_tool_is_text() -> None:
    body = stream(
        START,
        opened(0, type="tool_use", id="toolu_1", name=ANSWER_TOOL, input={}),
        piece(0, type="input_json_delta", partial_json='{"a"'),
        piece(0, type="input_json_delta", partial_json=": 1}"),
        closed(0),
        ended("tool_use", output_tokens=9),
        STOP,
    )
    choice = choice_of(body)
    assert (choice.text, choice.calls) == ('{"a": 1}', [])
    assert (choice.finish, choice.native_finish) == (FinishReason.STOP, "tool_use")


def test_citations_with_an_address_are_about_their_part_of_the_text() -> None:
    citation = {
        "type": "web_search_result_location",
        "url": "https://example.com/a",
        "title": "A",
        "cited_text": "It is so.",
        "encrypted_index": "x",
    }
    elsewhere = {"type": "char_location", "document_index": 0, "cited_text": "x"}
    choice = choice_of(
        stream(
            START,
            opened(0, type="text", text=""),
            piece(0, type="text_delta", text="Look: "),
            closed(0),
            opened(1, type="text", text="", citations=[]),
            piece(1, type="citations_delta", citation=citation),
            piece(1, type="citations_delta", citation=elsewhere),
            piece(1, type="text_delta", text="so it is"),
            closed(1),
            ended("end_turn", output_tokens=9),
            STOP,
        )
    )
    assert choice.annotations == [
        {
            "type": "url_citation",
            "url_citation": {
                "url": "https://example.com/a",
                "title": "A",
                "content": "It is so.",
                "start_index": 6,
                "end_index": 14,
            },
        }
    ]


def test_a_refusal_is_a_content_filter_with_its_explanation() -> None:
    end = ended("refusal", output_tokens=1)
    end["delta"]["stop_details"] = {
        "type": "refusal",
        "category": "bio",
        "explanation": "Not this.",
    }
    choice = choice_of(stream(START, end, STOP))
    assert choice.refusal == "Not this."
    assert (choice.finish, choice.native_finish) == (FinishReason.CONTENT_FILTER, "refusal")


def test_counts_of_the_end_replace_those_of_the_start() -> None:
    decoder = AnthropicStreamDecoder()
    events = decoder.feed(
        stream(START, opened(0, type="text", text="a"), ended("end_turn", output_tokens=7), STOP)
    )
    assert [e.usage for e in plain(events) if isinstance(e, UsageReported)] == [
        Usage(prompt=5, completion=1),
        Usage(prompt=5, completion=7),
    ]
    assert [e.service_tier for e in plain(events) if isinstance(e, Started)] == ["default"]


def test_events_and_blocks_nobody_knows_travel_on_without_a_meaning() -> None:
    news = {"type": "news", "what": 1}
    events = AnthropicStreamDecoder().feed(
        stream(START, news, opened(0, type="novelty", x=1), piece(0, type="novelty_delta", y=2))
    )
    frames = [event for event in events if isinstance(event, Frame)]
    assert [frame.fields["type"] for frame in frames[1:]] == [
        "news",
        "content_block_start",
        "content_block_delta",
    ]
    assert [frame.events for frame in frames[1:]] == [(), (), ()]


def test_an_error_after_good_events_lets_them_through_first() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    decoder = AnthropicStreamDecoder()
    events = decoder.feed(stream(START, opened(0, type="text", text="Hel"), error))
    assert [e.text for e in plain(events) if isinstance(e, TextDelta)] == ["Hel"]
    with pytest.raises(UpstreamFailure) as caught:
        decoder.finish()
    assert caught.value.kind is FailureKind.OVERLOADED


@pytest.mark.parametrize("is_sse", [True, False])
def test_an_error_under_status_200_is_a_failure(*, is_sse: bool) -> None:
    body = b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}'
    decoder = AnthropicStreamDecoder() if is_sse else AnthropicWholeDecoder()
    with pytest.raises(UpstreamFailure) as caught:
        collect(decoder.feed(body) + decoder.finish())
    assert caught.value.kind is FailureKind.RATE_LIMIT


def test_a_whole_answer_to_a_streamed_request_is_understood() -> None:
    case = next(case for case in ANSWERS if not case.is_sse)
    decoder = AnthropicStreamDecoder()
    pieces = [case.body[:1], case.body[1:]]
    events = [event for part in pieces for event in decoder.feed(part)] + decoder.finish()
    assert list(plain(events)) == list(plain(events_of(case)))


def test_a_stream_without_its_end_mark_is_whole_if_it_said_why_it_stopped() -> None:
    body = stream(START, opened(0, type="text", text="Hi"), ended("end_turn", output_tokens=2))
    choice = choice_of(body)
    assert (choice.text, choice.finish) == ("Hi", FinishReason.STOP)


def test_an_end_mark_without_a_reason_is_a_stop() -> None:
    choice = choice_of(stream(START, opened(0, type="text", text="Hi"), STOP))
    assert (choice.text, choice.finish, choice.native_finish) == ("Hi", FinishReason.STOP, None)
    choice = choice_of(stream(START, opened(0, type="tool_use", name="f"), STOP))
    assert choice.finish is FinishReason.TOOL_CALLS


def test_what_follows_the_end_mark_means_nothing() -> None:
    decoder = AnthropicStreamDecoder()
    body = stream(START, opened(0, type="text", text="Hi"), ended("end_turn"), STOP)
    assert not decoder.is_over
    decoder.feed(body)
    assert decoder.is_over
    assert decoder.feed(b"data: nonsense\n\n") == []
    assert decoder.finish() == []


@pytest.mark.parametrize(
    "body", [b"", b"  \n", stream(START, ended("end_turn", output_tokens=0), STOP)]
)
def test_an_answer_with_nothing_in_it_is_a_failure(body: bytes) -> None:
    decoder = AnthropicStreamDecoder() if b"event" in body else AnthropicWholeDecoder()
    with pytest.raises(UpstreamFailure) as caught:
        collect(decoder.feed(body) + decoder.finish())
    assert caught.value.kind is FailureKind.EMPTY


def test_an_empty_answer_that_was_paid_for_is_an_answer() -> None:
    case = native_recording("anthropic", "anthropic.messages-rllm-08a891e51e-0")
    (choice,) = collect(events_of(case)).choices
    assert (choice.text, choice.finish) == ("", FinishReason.STOP)


def test_too_many_blocks_are_garbage() -> None:
    decoder = AnthropicStreamDecoder()
    blocks = [opened(index, type="text", text="") for index in range(5000)]
    decoder.feed(stream(START, *blocks))
    with pytest.raises(UpstreamFailure) as caught:
        decoder.finish()
    assert caught.value.kind is FailureKind.GARBAGE


def test_nesting_without_end_is_garbage() -> None:
    deep = b'{"type":"message","content":[{"type":"tool_use","input":' + b"[" * 100_000
    decoder = AnthropicWholeDecoder()
    decoder.feed(deep)
    with pytest.raises(UpstreamFailure) as caught:
        decoder.finish()
    assert caught.value.kind is FailureKind.GARBAGE


def test_each_call_of_a_message_has_its_own_number() -> None:
    decoder = AnthropicStreamDecoder()
    events = decoder.feed(
        stream(
            START,
            opened(0, type="text", text="Both:"),
            closed(0),
            opened(1, type="tool_use", id="a", name="f", input={}),
            piece(1, type="input_json_delta", partial_json="{}"),
            closed(1),
            opened(2, type="tool_use", id="b", name="g", input={}),
            closed(2),
        )
    )
    calls = [event for event in plain(events) if isinstance(event, ToolCallDelta)]
    assert [(call.index, call.id, call.name, call.arguments) for call in calls] == [
        (0, "a", "f", ""),
        (0, None, None, "{}"),
        (1, "b", "g", ""),
        (1, None, None, "{}"),
    ]
