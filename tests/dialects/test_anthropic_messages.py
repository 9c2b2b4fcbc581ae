"""What callers of the Messages dialect read, parsed by the official client wherever it has a say."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.chat import (
    AnnotationsAdded,
    ChatEvent,
    Finished,
    FinishReason,
    Frame,
    MediaAdded,
    PlainEvent,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    WireFormat,
)
from fairlead.core.errors import (
    HTTP_STATUS,
    ErrorType,
    FailureKind,
    Overloaded,
    Problem,
    RequestInvalid,
    UpstreamFailure,
)
from fairlead.core.ids import GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage
from fairlead.dialects import anthropic_content
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.wire.anthropic_errors import error_word
from tests.dialects.anthropic_client import (
    StreamRefused,
    assert_official_order,
    named_events,
    read_stream,
    read_whole,
)

DIALECT = AnthropicMessages()
HEAD = AnswerHead(GenerationId("gen-1"), "author/model", "Somebody", 1_700_000_000)
QUIET = AnswerHead(GenerationId("gen-1"), "author/model", "Somebody", 1_700_000_000, False)
USAGE = Usage(prompt=3, cache_read=5, cache_write=7, cache_write_1h=11, completion=4, reasoning=2)
CLOSING = Closing(USAGE, Charge(NanoUSD(3_000_000), NanoUSD(1_000_000), NanoUSD(2_000_000)))
BROKEN = UpstreamFailure("It broke off.", kind=FailureKind.CUT, provider_code="gone").problem()
END = Finished(FinishReason.STOP)

THOUGHT = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
SIGNED = (
    ReasoningDelta("h", details=({**THOUGHT, "text": "h"},)),
    ReasoningDelta("m", details=({**THOUGHT, "text": "m"},)),
    ReasoningDelta("", details=({**THOUGHT, "signature": "sig"},)),
)
HIDDEN = ReasoningDelta(
    "", details=({"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1"},)
)


def streamed(events: list[ChatEvent], head: AnswerHead = HEAD) -> bytes:
    """Event by event, as a slow provider would have it."""
    encoder = DIALECT.stream(head)
    return b"".join(encoder.feed([event]) for event in events) + encoder.close(CLOSING)


def call(index: int, name: str, *pieces: str) -> list[ToolCallDelta]:
    """The events of one call."""
    return [
        ToolCallDelta(index, id=f"call_{name}", name=name),
        *(ToolCallDelta(index, piece) for piece in pieces),
    ]


def told(events: list[ChatEvent]) -> Any:
    """The message, which must be the same whether it is streamed or whole."""
    from_stream = read_stream(streamed(events))
    from_whole = read_whole(DIALECT.whole(HEAD, events, CLOSING))
    for name in ("content", "stop_reason", "stop_sequence", "stop_details", "container", "id"):
        assert _plain(getattr(from_stream, name)) == _plain(getattr(from_whole, name))
    return from_stream


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "model_dump"):
        fields = value.model_dump()
        fields.pop("parsed_output", None)  # the stream helper's own
        return fields
    return value


def said(message: Any) -> list[tuple[Any, ...]]:
    """The blocks in short."""
    short: list[tuple[Any, ...]] = []
    for block in message.content:
        match block.type:
            case "text":
                short.append(("text", block.text))
            case "thinking":
                short.append(("thinking", block.thinking, block.signature))
            case "redacted_thinking":
                short.append(("redacted", block.data))
            case "tool_use":
                short.append(("tool", block.id, block.name, block.input))
            case kind:
                short.append((kind,))
    return short


# --- answers in our vocabulary ---


def test_text_is_one_block() -> None:
    message = told([Started(), TextDelta("Hel"), TextDelta(""), TextDelta("lö"), END])
    assert said(message) == [("text", "Hellö")]
    assert (message.id, message.model, message.provider) == ("gen-1", "author/model", "Somebody")
    assert (message.role, message.stop_reason) == ("assistant", "end_turn")


def test_usage_and_costs_come_at_the_end() -> None:
    events: list[ChatEvent] = [Started(service_tier="default"), TextDelta("a"), END]
    names = named_events(streamed(events))
    start, delta = names[0][1], names[-2][1]
    assert start["message"]["usage"]["input_tokens"] == 0
    assert start["message"]["usage"]["output_tokens"] == 0
    whole = json.loads(DIALECT.whole(HEAD, events, CLOSING))
    for usage in (delta["usage"], whole["usage"]):
        assert usage == {
            "input_tokens": 3,
            "output_tokens": 6,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 18,
            "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 11},
            "output_tokens_details": {"thinking_tokens": 2},
            "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
            "service_tier": "standard",
            "inference_geo": None,
            "cost": 0.003,
            "is_byok": False,
            "cost_details": {
                "upstream_inference_cost": None,
                "upstream_inference_prompt_cost": 0.001,
                "upstream_inference_completions_cost": 0.002,
            },
        }


def test_counts_that_are_known_early_are_told_early() -> None:
    encoder = DIALECT.stream(HEAD)
    written = encoder.feed([Started(), UsageReported(Usage(prompt=9)), TextDelta("a")])
    assert named_events(written)[0][1]["message"]["usage"]["input_tokens"] == 9


def test_thinking_is_signed_at_its_end() -> None:
    message = told([*SIGNED, HIDDEN, *SIGNED, TextDelta("so"), END])
    assert said(message) == [
        ("thinking", "hm", "sig"),
        ("redacted", "d"),
        ("thinking", "hm", "sig"),
        ("text", "so"),
    ]


def test_two_thoughts_are_two_blocks() -> None:
    assert said(told([*SIGNED, *SIGNED, END])) == [("thinking", "hm", "sig")] * 2
    other = {**THOUGHT, "index": 1, "text": "x"}
    message = told([*SIGNED[:2], ReasoningDelta("x", details=(other,)), *SIGNED, END])
    assert [block[1] for block in said(message)] == ["hm", "x", "hm"]


def test_reasoning_of_others_is_told_as_thinking_too() -> None:
    summary = {"type": "reasoning.summary", "summary": "s", "format": "openai-responses-v1"}
    secret = {"type": "reasoning.encrypted", "data": "e", "format": "openai-responses-v1"}
    message = told([ReasoningDelta("plain"), ReasoningDelta("s", details=(summary, secret)), END])
    first, second, third = said(message)
    assert first == ("thinking", "plain", "")
    assert second[:2] == ("thinking", "s")
    assert second[2].startswith("fairlead.reasoning:")
    assert third[1].startswith("fairlead.reasoning:")


def test_reasoning_comes_back_as_it_was_told() -> None:
    """A caller returns the blocks; the provider who wrote them gets its own items."""
    details = (
        {"type": "reasoning.summary", "summary": "s", "format": "openai-responses-v1", "id": "r"},
        {"type": "reasoning.encrypted", "data": "e", "format": "openai-responses-v1", "id": "r"},
        {"type": "reasoning.text", "text": "t", "signature": "g", "format": "google-gemini-v1"},
        {**THOUGHT, "text": "hm", "signature": "sig", "index": 3},
    )
    events: list[ChatEvent] = [ReasoningDelta("st", details=details), TextDelta("a"), END]
    whole = json.loads(DIALECT.whole(HEAD, events, CLOSING))
    turn = {"role": "assistant", "content": whole["content"]}
    body = json.dumps({"model": "a/b", "max_tokens": 9, "messages": [turn]}).encode()
    (message,) = DIALECT.decode(body).body.messages or ()
    kept = message.reasoning_details  # type: ignore[union-attr] # it is the assistant's
    assert kept is not None
    assert json.loads(msgspec.json.encode(kept)) == [*details]


@pytest.mark.parametrize("head", [HEAD, QUIET])
def test_reasoning_that_was_not_wanted_is_not_told(head: AnswerHead) -> None:
    events: list[ChatEvent] = [*SIGNED, HIDDEN, TextDelta("so"), END]
    wanted = 2 if head.show_reasoning else 0
    assert len(read_stream(streamed(events, head)).content) == wanted + 1
    assert len(read_whole(DIALECT.whole(head, events, CLOSING)).content) == wanted + 1


def test_a_call_streams_as_it_comes() -> None:
    events: list[ChatEvent] = [TextDelta("a"), *call(0, "f", '{"z":', " 1}"), END]
    message = told(events)
    assert said(message) == [("text", "a"), ("tool", "call_f", "f", {"z": 1})]
    assert message.stop_reason == "tool_use"  # whatever the provider said
    encoder = DIALECT.stream(HEAD)
    for event, pieces in zip(events[1:4], ([], ['{"z":'], [" 1}"]), strict=True):
        deltas = [fields for _, fields in named_events(encoder.feed([event])) if "delta" in fields]
        assert [fields["delta"]["partial_json"] for fields in deltas] == pieces


def test_a_call_without_arguments_has_an_empty_input() -> None:
    message = told([*call(0, "f"), *call(1, "g", "", " "), Finished(FinishReason.TOOL_CALLS)])
    assert [block[3] for block in said(message)] == [{}, {}]


def test_arguments_keep_their_order_and_numbers() -> None:
    arguments = '{"z": 1.50, "a": 100000000000000000000001, "é": "\\u00e9"}'
    whole = DIALECT.whole(HEAD, [*call(0, "f", arguments), END], CLOSING)
    assert arguments.encode() in whole


def test_arguments_that_are_no_object_are_not_lost() -> None:
    cut = json.loads(
        DIALECT.whole(HEAD, [*call(0, "f", '{"a": "b'), Finished(FinishReason.LENGTH)], CLOSING)
    )
    assert cut["content"][0]["input"] == {"unreadable_arguments": '{"a": "b'}
    assert cut["stop_reason"] == "max_tokens"


def test_calls_told_one_after_the_other_are_blocks_in_order() -> None:
    message = told([*call(0, "f", "{", "}"), *call(1, "g", '{"a":"}"}'), TextDelta("x"), END])
    assert said(message) == [
        ("tool", "call_f", "f", {}),
        ("tool", "call_g", "g", {"a": "}"}),
        ("text", "x"),
    ]


def test_calls_told_at_once_wait_for_each_other() -> None:
    first, second = call(0, "f", '{"a": "\\', '"}', '"}'), call(1, "g", '{"b"', ":2}")
    events: list[ChatEvent] = [
        first[0], second[0], first[1], second[1], TextDelta("x"), first[2], second[2], TextDelta("y"),
    ]  # fmt: skip
    encoder = DIALECT.stream(HEAD)
    early = encoder.feed(events)
    assert b"call_g" not in early  # the braces so far are inside of a text
    late = encoder.feed([first[3]])
    assert b"call_g" in late
    message = read_stream(early + late + encoder.close(CLOSING))
    assert said(message) == [
        ("tool", "call_f", "f", {"a": '"}'}),
        ("tool", "call_g", "g", {"b": 2}),
        ("text", "xy"),
    ]
    assert said(told([*events, first[3], END])) == said(message)


def test_calls_that_never_end_are_told_at_the_end() -> None:
    first, second = call(0, "f", '{"a"'), call(1, "g", "{}")
    written = streamed([*first, *second, TextDelta("x"), Finished(FinishReason.LENGTH)])
    blocks = [fields for name, fields in named_events(written) if name == "content_block_start"]
    assert [block["content_block"]["type"] for block in blocks] == ["tool_use", "tool_use", "text"]
    assert named_events(written)[-2][1]["delta"]["stop_reason"] == "max_tokens"


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anthropic_content, "WAITING_CHARACTERS_MAX", 100)
    encoder = DIALECT.stream(HEAD)
    encoder.feed(call(0, "f", "{"))
    piece = ToolCallDelta(1, "x" * 10, id="b", name="g")
    encoder.feed([piece] * 10)
    with pytest.raises(UpstreamFailure, match="too many tool calls"):
        encoder.feed([piece])


def test_what_waited_and_was_told_waits_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anthropic_content, "WAITING_CHARACTERS_MAX", 100)
    encoder = DIALECT.stream(HEAD)
    written = b""
    for turn in range(20):
        first = call(2 * turn, "f", "{")
        second = call(2 * turn + 1, "g", '{"a":"' + "x" * 40 + '"}')
        written += encoder.feed([*first, *second, ToolCallDelta(2 * turn, "}")])
    assert len(read_stream(written + encoder.close(CLOSING)).content) == 40


def test_a_piece_for_a_call_that_had_ended_is_dropped() -> None:
    message = told([*call(0, "f", "{}"), TextDelta("x"), ToolCallDelta(0, "{}"), END])
    assert said(message) == [("tool", "call_f", "f", {}), ("text", "x")]


def test_text_goes_on_in_a_block_of_its_own() -> None:
    around = [TextDelta("a"), TextDelta("b"), *call(0, "f", "{}"), TextDelta("c"), TextDelta("d")]
    assert said(told([*around, END])) == [
        ("text", "ab"),
        ("tool", "call_f", "f", {}),
        ("text", "cd"),
    ]


def test_citations_belong_to_the_text() -> None:
    cited = {"url": "https://a.test", "title": "A", "content": "words", "start_index": 0}
    native = {"type": "char_location", "cited_text": "x", "document_index": 0,
              "document_title": None, "start_char_index": 0, "end_char_index": 1}  # fmt: skip
    annotations = ({"type": "url_citation", "url_citation": cited}, native, {"type": "file"})
    (block,) = told([TextDelta("a"), AnnotationsAdded(annotations), TextDelta("b"), END]).content
    first, second = block.citations
    assert (first.type, first.url, first.cited_text) == (
        "web_search_result_location", "https://a.test", "words",
    )  # fmt: skip
    assert (second.type, second.end_char_index) == ("char_location", 1)
    assert block.text == "ab"


def test_images_and_spoken_words_are_not_lost() -> None:
    images = [
        {"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}},
    ]
    events: list[ChatEvent] = [
        MediaAdded("images", images),
        MediaAdded("audio", {"data": "AAAA", "transcript": "spoken"}),
        END,
    ]
    assert json.loads(DIALECT.whole(HEAD, events, CLOSING))["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://a.test/b.png"}},
        {"type": "text", "text": "spoken", "citations": None},
    ]
    assert_official_order(streamed(events))


@pytest.mark.parametrize(
    ("finished", "reason"),
    [
        (Finished(FinishReason.STOP, "stop"), "end_turn"),
        (Finished(FinishReason.STOP, "stop_sequence"), "stop_sequence"),
        (Finished(FinishReason.STOP, "pause_turn"), "pause_turn"),
        (Finished(FinishReason.LENGTH, "length"), "max_tokens"),
        (Finished(FinishReason.LENGTH, "model_context_window_exceeded"),
         "model_context_window_exceeded"),
        (Finished(FinishReason.TOOL_CALLS, "tool_calls"), "end_turn"),  # there is none to run
        (Finished(FinishReason.CONTENT_FILTER, "content_filter"), "refusal"),
    ],
)  # fmt: skip
def test_an_answer_ends_for_a_reason_of_the_format(finished: Finished, reason: str) -> None:
    assert told([TextDelta("a"), finished]).stop_reason == reason


def test_an_end_that_was_never_told_is_a_plain_one() -> None:
    assert told([TextDelta("a")]).stop_reason == "end_turn"
    assert told([*call(0, "f", "{}")]).stop_reason == "tool_use"


def test_a_refusal_is_told_in_words_and_as_the_reason() -> None:
    message = told([RefusalDelta("I will "), RefusalDelta("not."), END])
    assert said(message) == [("text", "I will not.")]
    assert message.stop_reason == "refusal"
    assert (message.stop_details.type, message.stop_details.category) == ("refusal", None)
    assert message.stop_details.explanation == "I will not."


def test_only_the_first_choice_is_told() -> None:
    message = told([TextDelta("a"), TextDelta("b", choice=1), Finished(FinishReason.STOP, "", 1)])
    assert said(message) == [("text", "a")]


def test_an_answer_with_nothing_in_it_is_still_a_message() -> None:
    assert told([Started(), END]).content == []
    assert DIALECT.stream(HEAD).feed([]) == b""
    with pytest.raises(UpstreamFailure) as caught:
        DIALECT.whole(HEAD, [Started()], CLOSING)
    assert caught.value.kind is FailureKind.EMPTY


# --- answers in their own format ---


def frame(fields: dict[str, Any], *events: PlainEvent) -> Frame:
    return Frame(WireFormat.ANTHROPIC_MESSAGES, json.loads(json.dumps(fields)), events)


def own_stream() -> list[ChatEvent]:
    usage = {"input_tokens": 3, "output_tokens": 1, "odd": 1, "inference_geo": "eu"}
    start = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage, "novel": 1,
    }  # fmt: skip
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    citation = {"type": "char_location", "cited_text": "x", "document_index": 0}
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        (thinking, [
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "sig"},
        ]),
        (search, [{"type": "input_json_delta", "partial_json": '{"q": 1}'}]),
        ({"type": "text", "text": ""}, [
            {"type": "text_delta", "text": "so", "novel": 2},
            {"type": "citations_delta", "citation": citation},
        ]),
    ]  # fmt: skip
    events: list[ChatEvent] = [
        frame({"type": "message_start", "message": start}, Started("msg_1", "claude-1"))
    ]
    for index, (block, deltas) in enumerate(blocks):
        events.append(
            frame({"type": "content_block_start", "index": index, "content_block": block})
        )
        events.extend(
            frame({"type": "content_block_delta", "index": index, "delta": delta})
            for delta in deltas
        )
        events.append(frame({"type": "content_block_stop", "index": index}))
    ending = {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    counts = {"output_tokens": 99, "iterations": [], "server_tool_use": {"web_search_requests": 1}}
    events.append(
        frame(
            {"type": "message_delta", "delta": ending, "usage": counts, "context_management": {}},
            Finished(FinishReason.STOP, "stop_sequence"),
        )
    )
    events.append(frame({"type": "message_stop"}))
    return events


def test_a_frame_keeps_what_we_do_not_know() -> None:
    written = streamed(own_stream())
    names = named_events(written)
    start = names[0][1]["message"]
    assert (start["id"], start["model"], start["provider"]) == ("gen-1", "author/model", "Somebody")
    assert (start["novel"], start["usage"]["odd"], start["usage"]["input_tokens"]) == (1, 1, 3)
    assert b'"novel":2' in written
    ending = names[-2][1]
    assert ending["context_management"] == {}
    assert ending["delta"]["stop_sequence"] == "END"
    assert ending["usage"]["output_tokens"] == 6
    assert ending["usage"]["iterations"] == []
    assert ending["usage"]["server_tool_use"] == {"web_search_requests": 1}
    assert ending["usage"]["cost"] == 0.003
    assert [name for name, _ in names].count("message_stop") == 1
    message = read_stream(written)
    assert [block.type for block in message.content] == ["thinking", "server_tool_use", "text"]
    assert message.content[0].signature == "sig"
    assert message.stop_reason == "stop_sequence"


def test_hidden_thinking_leaves_no_gap_between_frames() -> None:
    written = streamed(own_stream(), QUIET)
    assert b"hm" not in written
    assert b"sig" not in written
    assert [block.type for block in read_stream(written).content] == ["server_tool_use", "text"]


def test_a_block_that_its_provider_forgot_to_close_is_closed() -> None:
    forgetful = [
        event
        for event in own_stream()
        if not (isinstance(event, Frame) and event.fields["type"] == "content_block_stop")
    ]
    assert_official_order(streamed(_fresh(forgetful)))
    assert len(read_stream(streamed(forgetful)).content) == 3


def test_a_stream_of_frames_without_a_reason_ends_for_what_it_holds() -> None:
    call_block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    opened = frame({"type": "content_block_start", "index": 0, "content_block": call_block})
    stopped = frame({"type": "message_stop"}, Finished(FinishReason.TOOL_CALLS))
    assert read_stream(streamed([opened, stopped])).stop_reason == "tool_use"
    assert read_stream(streamed([own_stream()[0], stopped])).stop_reason == "end_turn"


def test_a_whole_frame_keeps_what_we_do_not_know() -> None:
    def whole(head: AnswerHead) -> dict[str, Any]:
        fields = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "odd": 1,
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "text", "text": "so", "odder": 2},
            ],
            "stop_reason": "stop_sequence", "stop_sequence": "END",
            "usage": {"input_tokens": 1, "output_tokens": 99, "speed": "fast"},
        }  # fmt: skip
        event = Frame(WireFormat.ANTHROPIC_MESSAGES, fields, (TextDelta("so"),), is_whole=True)
        written = DIALECT.whole(head, [event], CLOSING)
        read_whole(written)
        return json.loads(written)  # type: ignore[no-any-return] # it is an object

    message = whole(HEAD)
    assert (message["id"], message["model"], message["odd"]) == ("gen-1", "author/model", 1)
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    assert message["content"][1] == {"type": "text", "text": "so", "odder": 2, "citations": None}
    assert message["usage"]["output_tokens"] == 6
    assert message["usage"]["speed"] == "fast"
    assert [block["type"] for block in whole(QUIET)["content"]] == ["text"]


def test_a_frame_of_another_format_is_read_by_its_events() -> None:
    other = Frame(WireFormat.OPENAI_CHAT, {"choices": []}, (TextDelta("a"), END))
    assert said(told([other])) == [("text", "a")]


# --- errors ---


def test_an_error_before_the_first_token_is_all_there_is() -> None:
    written = DIALECT.stream(HEAD).fail(BROKEN, None)
    assert named_events(written) == [
        (
            "error",
            {
                "type": "error",
                "error": {
                    "type": "api_error",
                    "message": "It broke off.",
                    "error_type": "provider_unavailable",
                },
                "request_id": "gen-1",
                "metadata": {"provider_code": "gone"},
            },
        )
    ]
    with pytest.raises(StreamRefused, match=r"It broke off\."):
        read_stream(written)


ANY_ANSWER: list[ChatEvent] = [
    Started(),
    *SIGNED,
    HIDDEN,
    TextDelta("a"),
    TextDelta("b"),
    *call(0, "f", '{"a"', ":1}"),
    *call(1, "g", "{"),
    *call(2, "h", "{}"),
    ToolCallDelta(1, "}"),
    END,
]


@pytest.mark.parametrize("events", [ANY_ANSWER, own_stream()])
def test_a_stream_that_breaks_anywhere_ends_with_the_error(events: list[ChatEvent]) -> None:
    for position in range(len(events) + 1):
        encoder = DIALECT.stream(HEAD)
        written = encoder.feed(_fresh(events[:position])) + encoder.fail(BROKEN, CLOSING)
        name, error = named_events(written)[-1]
        assert name == "error"
        assert error["usage"]["cost"] == 0.003
        assert_official_order(written)
        with pytest.raises(StreamRefused, match="api_error"):
            read_stream(written)


@pytest.mark.parametrize("events", [ANY_ANSWER, own_stream()])
def test_a_stream_may_end_anywhere(events: list[ChatEvent]) -> None:
    for position in range(len(events) + 1):
        encoder = DIALECT.stream(HEAD)
        written = encoder.feed(_fresh(events[:position])) + encoder.close(CLOSING)
        assert_official_order(written)
        assert read_stream(written).stop_reason is not None or events is not ANY_ANSWER


def _fresh(events: list[ChatEvent]) -> list[ChatEvent]:
    """Frames belong to the encoder that they are given to."""
    return [
        frame(event.fields, *event.events) if isinstance(event, Frame) else event
        for event in events
    ]


def test_an_answer_that_ends_with_an_error_is_no_answer() -> None:
    events: list[ChatEvent] = [TextDelta("a"), Finished(FinishReason.ERROR)]
    with pytest.raises(StreamRefused, match="api_error"):
        read_stream(streamed(events))
    whole = json.loads(DIALECT.whole(HEAD, events, CLOSING))
    assert whole["stop_reason"] is None
    assert whole["error"]["type"] == "api_error"


@pytest.mark.parametrize("events", [[], [TextDelta("a")], [TextDelta("a"), END]])
def test_a_partial_answer_holds_what_came_and_the_error(events: list[ChatEvent]) -> None:
    written = DIALECT.partial(HEAD, events, BROKEN, CLOSING)
    message = json.loads(written)
    assert message["stop_reason"] is None
    assert message["error"]["error_type"] == "provider_unavailable"
    assert message["usage"]["cost"] == 0.003
    assert [block["text"] for block in message["content"]] == (["a"] if events else [])
    assert read_whole(written).stop_reason is None


def test_an_error_comes_in_the_envelope_of_the_format() -> None:
    problem = RequestInvalid("Wrong.", param="messages[0]").problem()
    assert json.loads(DIALECT.problem(problem, None)) == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "Wrong.",
            "error_type": "invalid_request",
        },
        "request_id": None,
    }
    late = json.loads(DIALECT.problem(Overloaded("Later.").problem(), GenerationId("gen-2")))
    assert (late["error"]["type"], late["request_id"]) == ("overloaded_error", "gen-2")


@pytest.mark.parametrize("error_type", list(ErrorType))
def test_the_client_raises_the_error_that_was_meant(error_type: ErrorType) -> None:
    status = HTTP_STATUS[error_type]
    body = DIALECT.problem(Problem(status, error_type, "Why."), GenerationId("gen-2"))
    with pytest.raises(StreamRefused) as caught:
        read_whole(body, status)
    error = caught.value
    assert error.status_code == status
    assert error.type == error_word(error_type)
    named = {400: "BadRequest", 401: "Authentication", 403: "PermissionDenied", 404: "NotFound",
             413: "ContentTooLarge", 422: "UnprocessableEntity", 429: "RateLimit"}  # fmt: skip
    assert type(error).__name__.startswith(named.get(status, ""))


def test_the_keep_alive_is_a_ping_that_clients_skip() -> None:
    encoder = DIALECT.stream(HEAD)
    ping = DIALECT.keep_alive
    assert named_events(ping) == [("ping", {"type": "ping"})]
    written = ping + encoder.feed([TextDelta("a")]) + ping + encoder.close(CLOSING) + ping
    assert said(read_stream(written)) == [("text", "a")]


def test_a_count_is_an_answer() -> None:
    assert json.loads(AnthropicMessages().count_answer(12)) == {"input_tokens": 12}


# --- any events ---

PIECES = st.sampled_from(["{", "}", '"', "\\", "a", ":1", "[", "]", "", " "])
EVENTS = st.one_of(
    st.builds(TextDelta, st.text(max_size=3)),
    st.builds(ReasoningDelta, st.text(max_size=3)),
    st.sampled_from([*SIGNED, HIDDEN, RefusalDelta("no"), END]),
    st.builds(ToolCallDelta, st.integers(0, 3), PIECES, id=st.just("c"), name=st.just("f")),
)


@given(st.lists(EVENTS, max_size=30))
def test_any_events_make_a_message_in_the_official_order(events: list[ChatEvent]) -> None:
    written = streamed(events)
    assert_official_order(written)
    encoder = DIALECT.stream(HEAD)
    at_once = encoder.feed(events) + encoder.close(CLOSING)
    assert at_once == written
    deltas = [fields["delta"] for name, fields in named_events(written) if "delta" in name]
    told_text = "".join(delta.get("text", "") for delta in deltas)
    spoken = "".join(e.text for e in events if isinstance(e, TextDelta | RefusalDelta))
    assert sorted(told_text) == sorted(spoken)  # what waits for a call may change its place
