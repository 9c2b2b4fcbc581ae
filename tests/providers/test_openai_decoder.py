"""Shapes of the OpenAI format that break a naive reader, each as small as it can be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.answer import collect, plain
from fairlead.core.chat import (
    AnnotationsAdded,
    ChatEvent,
    Finished,
    FinishReason,
    Frame,
    PlainEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    WireFormat,
)
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.providers.openai_decoder import OpenAIStreamDecoder, OpenAIWholeDecoder
from fairlead.wire.openai_chat import CHOICES_MAX, TOOL_CALLS_MAX

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def sse(*chunks: dict[str, Any] | str) -> bytes:
    texts = (chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks)
    return b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)


def chunk(delta: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": delta or {}, **choice}]}


END = chunk(finish_reason="stop")


def stream(*chunks: dict[str, Any] | str) -> list[ChatEvent]:
    decoder = OpenAIStreamDecoder()
    return decoder.feed(sse(*chunks)) + decoder.finish()


def meaning(*chunks: dict[str, Any] | str) -> list[PlainEvent]:
    return list(plain(stream(*chunks)))[1:]  # without Started


def whole(body: Any) -> Frame:
    decoder = OpenAIWholeDecoder()
    events = decoder.feed(json.dumps(body).encode()) + decoder.finish()
    assert isinstance(events[0], Frame)
    return events[0]


def broken(*chunks: dict[str, Any] | str) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        stream(*chunks)
    return caught.value


def message(**fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": fields}
    return {"id": "x", "choices": [choice], "usage": dict(USAGE)}


# --- ends ---------------------------------------------------------------------------------------------


def test_an_end_without_the_mark_is_an_end() -> None:
    assert meaning(chunk({"content": "a"}), END)[-1] == Finished(FinishReason.STOP, native="stop")


def test_a_mark_without_a_reason_is_an_end() -> None:
    assert meaning(chunk({"content": "a"}), "[DONE]")[-1] == Finished(FinishReason.STOP)
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    assert meaning(chunk({"tool_calls": [call]}), "[DONE]")[-1] == Finished(FinishReason.TOOL_CALLS)


@pytest.mark.parametrize("reason", [None, ""])
def test_neither_mark_nor_reason_is_a_cut(reason: str | None) -> None:
    assert broken(chunk({"content": "a"}, finish_reason=reason)).kind is FailureKind.CUT
    with_usage = {**chunk({"content": "b"}), "usage": USAGE}
    assert broken(with_usage).kind is FailureKind.CUT  # some count in every chunk


def test_one_choice_of_two_unended_is_a_cut() -> None:
    second = {"choices": [{"index": 1, "delta": {"content": "b"}}]}
    assert broken(chunk({"content": "a"}), second, END).kind is FailureKind.CUT


def test_an_end_is_told_once() -> None:
    again = {**chunk({"content": ""}, finish_reason="tool_calls"), "usage": USAGE}
    events = meaning(chunk({"content": "a"}), END, again, "[DONE]")
    assert [e for e in events if isinstance(e, Finished)] == [Finished(FinishReason.STOP, "stop")]


def test_what_follows_the_mark_is_ignored() -> None:
    assert meaning(chunk({"content": "a"}), END, "[DONE]", "rubbish")[-1] == Finished(
        FinishReason.STOP, native="stop"
    )


def test_finish_twice_says_nothing_new() -> None:
    decoder = OpenAIStreamDecoder()
    decoder.feed(sse(chunk({"content": "a"}), END))
    decoder.finish()
    assert decoder.finish() == []


@pytest.mark.parametrize(
    "chunks",
    [
        ("[DONE]",),
        (chunk({"role": "assistant", "content": ""}), "[DONE]"),
        (
            chunk({"role": "assistant"}),
            {**END, "usage": {"prompt_tokens": 5, "completion_tokens": 0}},
        ),
    ],
)
def test_nothing_at_all_is_empty(chunks: tuple[Any, ...]) -> None:
    assert broken(*chunks).kind is FailureKind.EMPTY


def test_tokens_that_show_nothing_are_no_empty_answer() -> None:
    events = meaning(chunk({"content": ""}), {**chunk({}), "usage": USAGE}, "[DONE]")
    assert events[-1] == Finished(FinishReason.LENGTH)


def test_a_filtered_answer_without_a_message_is_an_answer() -> None:
    frame = whole({"choices": [{"index": 0, "finish_reason": "content_filter"}], "usage": USAGE})
    assert Finished(FinishReason.CONTENT_FILTER, native="content_filter") in frame.events


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("eos", "stop"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("tool_use", "tool_calls"),
        ("function_call", "tool_calls"),
        ("SAFETY", "content_filter"),
        ("sensitive", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_a_reason_is_normalised_and_its_word_kept(native: str, reason: str) -> None:
    assert meaning(chunk({"content": "a"}, finish_reason=native))[-1] == Finished(
        FinishReason(reason), native=native
    )


# --- errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ({"error": {"message": "x", "code": 502}}, FailureKind.SERVER),
        ({"error": {"message": "x", "code": "rate_limit_exceeded"}}, FailureKind.RATE_LIMIT),
        ({"error": {"message": "x", "code": 429}}, FailureKind.RATE_LIMIT),
        ({"error": "overloaded", "code": 503}, FailureKind.OVERLOADED),
        (chunk({}, finish_reason="error"), FailureKind.SERVER),
        (chunk({}, error={"code": 503, "message": "x"}), FailureKind.OVERLOADED),
        ("{", FailureKind.GARBAGE),
        ("[]", FailureKind.GARBAGE),
        ({"choices": 5}, FailureKind.GARBAGE),
        ({"choices": [5]}, FailureKind.GARBAGE),
        (chunk({"content": 5}), FailureKind.GARBAGE),
        (chunk({"tool_calls": 5}), FailureKind.GARBAGE),
        (chunk({"tool_calls": [5]}), FailureKind.GARBAGE),
        ({"choices": [{"index": CHOICES_MAX, "delta": {}}]}, FailureKind.GARBAGE),
        ({"choices": [{"index": -1, "delta": {}}]}, FailureKind.GARBAGE),
    ],
)
def test_an_error_inside_comes_after_what_was_good(bad: Any, kind: FailureKind) -> None:
    decoder = OpenAIStreamDecoder()
    events = decoder.feed(sse(chunk({"content": "a"}), bad, chunk({"content": "b"})))
    assert [e for e in plain(events) if isinstance(e, TextDelta)] == [TextDelta("a")]
    with pytest.raises(UpstreamFailure) as caught:
        decoder.feed(b"")
    assert caught.value.kind is kind
    with pytest.raises(UpstreamFailure):
        decoder.finish()


def test_too_many_tool_calls_are_garbage() -> None:
    calls = [{"index": i, "id": f"c{i}", "function": {}} for i in range(TOOL_CALLS_MAX + 1)]
    assert broken(chunk({"tool_calls": calls})).kind is FailureKind.GARBAGE


def test_an_event_named_error_is_one() -> None:
    decoder = OpenAIStreamDecoder()
    with pytest.raises(UpstreamFailure):
        decoder.feed(b'event: error\ndata: {"message":"x"}\n\n')


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.EMPTY),
        (b"  \n", FailureKind.EMPTY),
        (b"<html>", FailureKind.GARBAGE),
        (b"[]", FailureKind.GARBAGE),
        (b"{}", FailureKind.GARBAGE),
        (b'{"choices":[]}', FailureKind.EMPTY),
        (b'{"error":{"code":502,"message":"x"}}', FailureKind.SERVER),
        (b'{"choices":[{"finish_reason":"error","message":{"content":"a"}}]}', FailureKind.SERVER),
        (b'{"x":' * 5000, FailureKind.GARBAGE),
    ],
)
def test_a_whole_answer_that_is_none_fails(body: bytes, kind: FailureKind) -> None:
    decoder = OpenAIWholeDecoder()
    assert decoder.feed(body) == []
    with pytest.raises(UpstreamFailure) as caught:
        decoder.finish()
    assert caught.value.kind is kind


def test_one_body_in_place_of_a_stream_is_understood() -> None:
    decoder = OpenAIStreamDecoder()
    body = json.dumps(message(content="a")).encode()
    events = decoder.feed(b" \n") + decoder.feed(body[:9]) + decoder.feed(body[9:])
    events += decoder.finish()
    assert collect(events).choices[0].text == "a"


@given(body=st.binary(max_size=200), is_stream=st.booleans())
def test_any_bytes_end_in_events_or_a_failure(body: bytes, *, is_stream: bool) -> None:
    decoder = OpenAIStreamDecoder() if is_stream else OpenAIWholeDecoder()
    try:
        decoder.feed(body)
        decoder.finish()
    except UpstreamFailure as failure:
        assert failure.kind in FailureKind  # noqa: PT017 - either way is right


WORDS = st.sampled_from(
    [
        "choices", "delta", "message", "index", "finish_reason", "content", "tool_calls", "function", "name",
        "arguments", "id", "type", "reasoning", "reasoning_content", "reasoning_details", "usage", "logprobs",
        "role", "text", "images", "audio", "annotations", "function_call", "x_groq", "meta", "custom",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "a", "stop", "text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)


@given(values=st.lists(JSON, max_size=4), as_choice=st.booleans())
def test_any_json_ends_in_events_or_a_failure(values: list[Any], *, as_choice: bool) -> None:
    bodies = [{"choices": [value]} if as_choice else value for value in values]
    for decoder in (OpenAIStreamDecoder(), OpenAIWholeDecoder()):
        try:
            decoder.feed(sse(*map(json.dumps, bodies)) if bodies else b"")
            events = decoder.finish()
        except UpstreamFailure:
            continue
        collect(events)


# --- usage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chunks",
    [
        (END, {"choices": [], "usage": USAGE}),
        ({**END, "usage": USAGE},),
        (END, {**chunk({}), "usage": USAGE}),
        ({**END, "x_groq": {"id": "r", "usage": USAGE}},),
        (chunk({}, finish_reason="stop", usage=USAGE),),
        ({**END, "usage": USAGE}, {"choices": [], "usage": None}),
        (
            {**chunk({}), "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
            {**END, "usage": USAGE},
        ),
    ],
)
def test_usage_is_found_wherever_it_is(chunks: tuple[dict[str, Any], ...]) -> None:
    events = stream(chunk({"content": "a"}), *chunks, "[DONE]")
    reported = [e for e in plain(events) if isinstance(e, UsageReported)]
    assert (reported[-1].usage.prompt, reported[-1].usage.completion) == (3, 2)
    for event in events:
        if isinstance(event, Frame):
            assert "usage" not in json.dumps(event.fields)


def test_a_cost_beside_the_answer_is_kept_to_ourselves() -> None:
    frame = whole(
        {**message(content="a"), "meta": {"usage": {"usd_spent": 0.06, "credits_used": 9}}}
    )
    assert "meta" not in frame.fields
    assert frame.events[-1] == frame.events[-1]
    reported = next(e for e in frame.events if isinstance(e, UsageReported))
    assert reported.cost_usd == 0.06


# --- contents -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning": "hm"},
        {"reasoning_content": "hm", "content": None},
        {"reasoning_content": "hm", "reasoning": ""},
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm"}], "reasoning": None},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
        {"content": [{"type": "thinking", "thinking": "hm"}]},
    ],
)
def test_thoughts_have_one_name(delta: dict[str, Any]) -> None:
    frame = stream(chunk(delta), END)[0]
    assert isinstance(frame, Frame)
    (thought,) = [e for e in frame.events if isinstance(e, ReasoningDelta)]
    assert thought.text == "hm"
    choices = frame.fields["choices"]
    assert isinstance(choices, list)
    told = choices[0]["delta"]
    assert told["reasoning"] == "hm"
    assert [d.get("text") or d.get("summary") for d in told["reasoning_details"]] == ["hm"]
    assert "reasoning_content" not in told


def test_encrypted_thoughts_have_no_text_and_are_kept() -> None:
    detail = {"type": "reasoning.encrypted", "data": "gAAA", "format": "openai-responses-v1"}
    events = meaning(chunk({"reasoning": None, "reasoning_details": [detail]}), END)
    assert events[0] == ReasoningDelta("", details=(detail,))


def test_text_in_parts_is_text() -> None:
    parts = [
        {"type": "thinking", "thinking": []},
        {"type": "text", "text": "14"},
        {"type": "text", "text": "4"},
    ]
    frame = whole(message(content=parts))
    assert TextDelta("144") in frame.events


def test_sources_beside_the_answer_become_annotations() -> None:
    frame = whole({**message(content="a"), "citations": ["https://a.test"]})
    assert any(isinstance(e, AnnotationsAdded) for e in frame.events)
    assert frame.fields["citations"] == ["https://a.test"]


@pytest.mark.parametrize(
    "pieces",
    [
        # index, id, type and name first, then arguments
        [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}},
         {"index": 0, "function": {"arguments": '{"a"'}}, {"index": 0, "function": {"arguments": ":1}"}}],
        # everything repeated, as null or empty
        [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": None}},
         {"index": 0, "id": "", "type": "function", "function": {"name": None, "arguments": '{"a":1}'}},
         {"index": 0, "id": None, "type": None, "function": {"arguments": None}}],
        # id and name repeated in full
        [{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a":'}},
         {"index": 0, "id": "c", "function": {"name": "f", "arguments": "1}"}}],
        # no index, no type
        [{"id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}],
        [{"index": None, "id": "c", "function": {"name": "f"}}, {"function": {"arguments": '{"a":1}'}}],
        # arguments as JSON
        [{"index": 0, "id": "c", "function": {"name": "f", "arguments": {"a": 1}}}],
    ],
)  # fmt: skip
def test_a_tool_call_is_put_together(pieces: list[dict[str, Any]]) -> None:
    answer = collect(stream(*(chunk({"tool_calls": [piece]}) for piece in pieces), END))
    (call,) = answer.choices[0].calls
    assert (call.index, call.id, call.name, call.arguments) == (0, "c", "f", '{"a":1}')


@pytest.mark.parametrize("index", [{}, {"index": None}, {"index": 0}])
def test_a_new_id_and_name_is_a_new_call(index: dict[str, Any]) -> None:
    calls = [{**index, "id": i, "function": {"name": "f", "arguments": i}} for i in ("a", "b")]
    answer = collect(stream(*(chunk({"tool_calls": [call]}) for call in calls), END))
    assert [(c.index, c.id, c.arguments) for c in answer.choices[0].calls] == [
        (0, "a", "a"),
        (1, "b", "b"),
    ]


def test_a_call_without_an_id_gets_one_and_always_the_same() -> None:
    body = message(
        content=None, tool_calls=[{"id": "", "function": {"name": "f", "arguments": "{}"}}] * 2
    )
    once = [e.id for e in whole(body).events if isinstance(e, ToolCallDelta)]
    again = [e.id for e in whole(body).events if isinstance(e, ToolCallDelta)]
    assert once == again
    assert len(set(once)) == 2


def test_a_custom_tool_call_keeps_its_shape() -> None:
    call = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "f", "input": "free"}}
    events = meaning(chunk({"tool_calls": [call]}), END)
    assert events[0] == ToolCallDelta(0, "free", id="c", name="f", type="custom")


def test_empty_stand_ins_are_nothing() -> None:
    zero = {
        "content": "a", "refusal": "", "function_call": {"name": "", "arguments": ""}, "tool_calls": [],
        "audio": {"id": "", "data": "", "expires_at": 0}, "annotations": None, "images": [],
        "reasoning": "", "reasoning_details": [],
    }  # fmt: skip
    assert meaning(chunk(zero), END)[:-1] == [TextDelta("a")]


@pytest.mark.parametrize("index", [None, [], {}, "0", 1.5, True])
def test_an_index_that_is_none_is_the_position(index: Any) -> None:
    odd = {"choices": [{"index": index, "delta": {"content": "b"}}]}
    answer = collect(stream(chunk({"content": "a"}), odd, END))
    assert [choice.text for choice in answer.choices] == ["ab"]


def test_fields_nobody_knows_survive() -> None:
    odd = {**chunk({"content": "a", "odd": 1}, odder=[2]), "oddest": {"a": None}}
    frame = stream(odd, END)[0]
    assert isinstance(frame, Frame)
    assert frame.fields["oddest"] == {"a": None}
    assert frame.fields["choices"] == [
        {
            "index": 0,
            "delta": {"content": "a", "odd": 1},
            "odder": [2],
            "finish_reason": None,
        }
    ]


def test_padding_is_dropped() -> None:
    for event in stream({**chunk({"content": "a"}), "obfuscation": "xx"}, {**END, "p": "abc"}):
        assert isinstance(event, Frame)
        assert event.fields.keys() == {"id", "choices"}


def test_legacy_completions_are_read() -> None:
    piece = {"choices": [{"index": 0, "text": "a", "finish_reason": None}]}
    events = stream(piece, {"choices": [{"index": 0, "text": "b", "finish_reason": "stop"}]})
    assert collect(events).choices[0].text == "ab"
    assert isinstance(events[0], Frame)
    assert events[0].format is WireFormat.OPENAI_COMPLETIONS
