"""Answers of Bedrock, beyond what was recorded."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.answer import collect
from fairlead.core.chat import ChatEvent, FinishReason, MediaAdded, Started, TextDelta
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.providers.bedrock import BedrockChat
from fairlead.providers.bedrock_blocks import ANSWER_TOOL, BLOCKS_OPEN_MAX
from tests.event_streams import event, exception, frame

USAGE = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
END = event("messageStop", {"stopReason": "end_turn"}) + event("metadata", {"usage": USAGE})


def delta(fields: Any, index: int = 0) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": fields})


def start(fields: Any, index: int = 0) -> bytes:
    return event("contentBlockStart", {"contentBlockIndex": index, "start": fields})


def stop(index: int = 0) -> bytes:
    return event("contentBlockStop", {"contentBlockIndex": index})


def streamed(*pieces: bytes) -> list[ChatEvent]:
    return read(*pieces, is_streamed=True)


def whole(*blocks: Any, reason: str = "end_turn", **more: Any) -> list[ChatEvent]:
    answer = {
        "output": {"message": {"role": "assistant", "content": list(blocks)}},
        "stopReason": reason,
        "usage": USAGE,
        **more,
    }
    decoder = BedrockChat().decoder(streamed=False)
    return decoder.feed(json.dumps(answer).encode()) + decoder.finish()


def the_choice(events: list[ChatEvent]) -> Any:
    (choice,) = collect(events).choices
    return choice


def read(*pieces: bytes, is_streamed: bool) -> list[ChatEvent]:
    decoder = BedrockChat().decoder(streamed=is_streamed)
    return [e for piece in pieces for e in decoder.feed(piece)] + decoder.finish()


def failed(*pieces: bytes, is_streamed: bool = True) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        read(*pieces, is_streamed=is_streamed)
    return caught.value


# --- blocks -------------------------------------------------------------------------------------------


def test_a_signature_ends_the_thought_it_signs() -> None:
    events = streamed(
        delta({"reasoningContent": {"text": "Let "}}),
        delta({"reasoningContent": {"text": "me"}}),
        delta({"reasoningContent": {"signature": "ab"}}),
        delta({"reasoningContent": {"signature": "cd"}}),
        stop(),
        delta({"reasoningContent": {"text": "again"}}, 1),
        stop(1),
        delta({"text": "Hi"}, 2),
        END,
    )
    choice = the_choice(events)
    assert choice.reasoning == "Let meagain"
    first = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    assert choice.reasoning_details == [
        {**first, "text": "Let me", "signature": "abcd"},
        {**first, "text": "again", "index": 1},
    ]


def test_redacted_thoughts_are_the_models_own_data() -> None:
    pieces = [base64.b64encode(piece).decode() for piece in (b"EuI", b"BCkY")]
    events = streamed(*(delta({"reasoningContent": {"redactedContent": p}}) for p in pieces), END)
    (detail,) = the_choice(events).reasoning_details
    assert (detail["type"], detail["data"]) == ("reasoning.encrypted", "EuIBCkY")
    assert detail["format"] == "anthropic-claude-v1"


def test_data_that_is_no_text_stays_as_it_is() -> None:
    data = base64.b64encode(b"\xff\x00").decode()
    (detail,) = the_choice(whole({"reasoningContent": {"redactedContent": data}})).reasoning_details
    assert (detail["data"], detail["format"]) == (data, "unknown")


def test_a_call_without_arguments_has_an_empty_object() -> None:
    call = {"toolUse": {"toolUseId": "t1", "name": "look"}}
    told = streamed(start(call), delta({"toolUse": {"input": ""}}), stop(), END)
    assert [(c.id, c.name, c.arguments) for c in the_choice(told).calls] == [("t1", "look", "{}")]
    call["toolUse"]["input"] = None  # type: ignore[assignment]
    assert the_choice(whole(call)).calls[0].arguments == "{}"


def test_parallel_calls_have_their_own_index_whatever_their_blocks() -> None:
    events = streamed(
        delta({"text": "Both."}),
        start({"toolUse": {"toolUseId": "t1", "name": "a"}}, 1),
        start({"toolUse": {"toolUseId": "t2", "name": "b"}}, 2),
        delta({"toolUse": {"input": '{"x":'}}, 1),
        delta({"toolUse": {"input": "{}"}}, 2),
        delta({"toolUse": {"input": "1}"}}, 1),
        event("messageStop", {"stopReason": "tool_use"}),
    )
    choice = the_choice(events)
    assert [(c.index, c.id, c.arguments) for c in choice.calls] == [
        (0, "t1", '{"x":1}'),
        (1, "t2", "{}"),
    ]
    assert choice.finish is FinishReason.TOOL_CALLS


def test_the_answer_tools_arguments_are_the_text() -> None:
    use = {"toolUseId": "t1", "name": ANSWER_TOOL, "input": {"a": 1}}
    choice = the_choice(whole({"toolUse": use}, reason="tool_use"))
    assert (json.loads(choice.text), choice.calls) == ({"a": 1}, [])
    assert (choice.finish, choice.native_finish) == (FinishReason.STOP, "tool_use")
    events = streamed(
        start({"toolUse": {"toolUseId": "t1", "name": ANSWER_TOOL}}),
        delta({"toolUse": {"input": '{"a":'}}),
        delta({"toolUse": {"input": " 1}"}}),
        stop(),
        event("messageStop", {"stopReason": "tool_use"}),
    )
    assert the_choice(events).text == '{"a": 1}'
    assert the_choice(events).finish is FinishReason.STOP


def test_a_call_that_bedrock_answered_itself_is_no_call_of_the_callers() -> None:
    result = {"toolUseId": "s1", "type": "found", "status": "success"}
    events = streamed(
        start({"toolUse": {"toolUseId": "s1", "name": "search", "type": "server_tool_use"}}),
        delta({"toolUse": {"input": '{"q":1}'}}),
        stop(),
        start({"toolResult": result}, 1),
        delta({"toolResult": [{"text": "found"}]}, 1),
        delta({"toolResult": [{"json": {"n": 1}}]}, 1),
        stop(1),
        END,
    )
    choice = the_choice(events)
    assert choice.calls == []
    (detail,) = choice.reasoning_details
    assert detail["type"] == "reasoning.server_tool_call"
    assert (detail["tool_name"], detail["arguments"]) == ("search", '{"q":1}')
    assert json.loads(detail["result"])["content"] == [{"text": "found"}, {"json": {"n": 1}}]


def test_citations_stand_behind_the_words_of_their_block() -> None:
    cited = {"location": {"web": {"url": "https://a.test"}}, "sourceContent": [{"text": "so"}]}
    events = streamed(
        delta({"text": "One. "}),
        stop(),
        delta({"citation": cited}, 1),
        delta({"text": "Two."}, 1),
        stop(1),
        END,
    )
    (annotation,) = the_choice(events).annotations
    assert annotation["url_citation"] == {
        "url": "https://a.test",
        "title": "https://a.test",
        "start_index": 5,
        "end_index": 9,
        "content": "so",
    }


def test_images_come_in_one_piece() -> None:
    pieces = [base64.b64encode(piece).decode() for piece in (b"abcd", b"efg")]
    told = streamed(
        start({"image": {"format": "jpeg"}}),
        *(delta({"image": {"source": {"bytes": piece}}}) for piece in pieces),
        END,
    )
    url = "data:image/jpeg;base64," + base64.b64encode(b"abcdefg").decode()
    block = {"image": {"format": "jpeg", "source": {"bytes": url.rpartition(",")[2]}}}
    images = [e for e in told if isinstance(e, MediaAdded)]
    assert images == [MediaAdded("images", [{"type": "image_url", "image_url": {"url": url}}])]
    assert [e for e in whole(block) if isinstance(e, MediaAdded)] == images


def test_nulls_padding_and_what_is_new_mean_nothing() -> None:
    events = streamed(
        event("messageStart", {"role": "assistant", "p": "abc"}),
        event("heartbeat", {"n": 1}),
        frame({":message-type": "note"}, b"?"),
        delta({"text": None, "newThing": {}}),
        delta({"text": "Hi", "toolUse": None}),
        event("messageStop", {"stopReason": "some_new_reason"}),
        event("metadata", {"usage": {**USAGE, "cacheReadInputTokens": None}, "metrics": {}}),
    )
    assert events[:2] == [Started(), TextDelta("Hi")]
    choice = the_choice(events)
    assert (choice.finish, choice.native_finish) == (FinishReason.STOP, "some_new_reason")


def test_the_tier_that_served_is_told() -> None:
    answer = collect(whole({"text": "Hi"}, serviceTier={"type": "flex"}))
    assert answer.started == Started(service_tier="flex")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop_sequence", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("content_filtered", FinishReason.CONTENT_FILTER),
        ("guardrail_intervened", FinishReason.CONTENT_FILTER),
    ],
)
def test_stop_reasons_have_their_meaning(reason: str, finish: FinishReason) -> None:
    choice = the_choice(whole({"text": "Hi"}, reason=reason))
    assert (choice.finish, choice.native_finish) == (finish, reason)


# --- usage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "buckets"),
    [
        (
            {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
            {"prompt": 3, "completion": 2},
        ),
        (
            {"inputTokens": 3, "outputTokens": 2, "totalTokens": 35, "cacheReadInputTokens": 10,
             "cacheWriteInputTokens": 20, "cacheDetails": [{"ttl": "1h", "inputTokens": 15},
                                                         {"ttl": "5m", "inputTokens": 5}]},
            {"prompt": 3, "cache_read": 10, "cache_write": 5, "cache_write_1h": 15, "completion": 2},
        ),
        (
            {"inputTokens": 30, "outputTokens": 2, "totalTokens": 32, "cacheReadInputTokens": 10},
            {"prompt": 20, "cache_read": 10, "completion": 2},
        ),
        (
            {"inputTokens": -1, "outputTokens": 10**12},
            {"prompt": 0, "completion": 0},
        ),
    ],
)  # fmt: skip
def test_no_token_is_in_two_buckets(counts: Any, buckets: dict[str, int]) -> None:
    reported = collect(whole({"text": "Hi"}, usage=counts)).usage
    assert reported is not None
    assert {name: getattr(reported.usage, name) for name in buckets} == buckets
    assert reported.usage.total_tokens == sum(buckets.values())


# --- failures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message", "kind"),
    [
        ("throttlingException", "Too many requests", FailureKind.RATE_LIMIT),
        ("modelStreamErrorException", "Unexpected", FailureKind.SERVER),
        ("internalServerException", "", FailureKind.SERVER),
        ("serviceUnavailableException", "", FailureKind.OVERLOADED),
        ("modelTimeoutException", "", FailureKind.TIMEOUT),
        (
            "validationException",
            "Input is too long for requested model.",
            FailureKind.CONTEXT_LENGTH,
        ),
        ("validationException", "Bad field", FailureKind.BAD_REQUEST),
        ("somethingNewException", "", FailureKind.SERVER),
    ],
)
def test_an_exception_in_the_stream_is_a_failure_behind_the_events(
    name: str, message: str, kind: FailureKind
) -> None:
    decoder = BedrockChat().decoder(streamed=True)
    events = decoder.feed(delta({"text": "Hi"}) + exception(name, message))
    assert the_choice(events).text == "Hi"
    for call in (lambda: decoder.feed(b""), decoder.finish):
        with pytest.raises(UpstreamFailure) as caught:
            call()
        assert caught.value.kind is kind
        assert caught.value.provider_code == name[0].upper() + name[1:]


def test_an_error_message_is_a_failure_too() -> None:
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "x"}
    assert failed(frame(headers, b"")).kind is FailureKind.SERVER


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_an_answer_that_the_model_spoiled_is_a_failure(reason: str) -> None:
    failure = failed(delta({"text": "Hi"}), event("messageStop", {"stopReason": reason}))
    assert (failure.kind, failure.provider_code) == (FailureKind.SERVER, reason)


def test_counts_may_be_missing_but_not_the_end() -> None:
    text = delta({"text": "Hi"})
    assert the_choice(streamed(text, event("messageStop", {"stopReason": "end_turn"}))).finish
    assert failed(text).kind is FailureKind.CUT
    assert failed().kind is FailureKind.CUT
    assert failed(text + END[:20]).kind is FailureKind.CUT


def test_a_whole_answer_in_place_of_a_stream_is_understood() -> None:
    answer = {"output": {"message": {"content": [{"text": "Hi"}]}}, "stopReason": "end_turn"}
    assert the_choice(streamed(json.dumps(answer).encode())).text == "Hi"


NOT_BASE64 = json.dumps(
    {
        "stopReason": "end_turn",
        "output": {"message": {"content": [{"reasoningContent": {"redactedContent": "?"}}]}},
    }
).encode()

NOT_UTF_8 = b'{"stopReason":"end_turn","output":{"message":{"content":[{"toolUse":{"input":{"a":"\xff"}}}]}}}'


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.EMPTY),
        (b"  ", FailureKind.EMPTY),
        (b"{}", FailureKind.GARBAGE),
        (b"[]", FailureKind.GARBAGE),
        (
            b'{"stopReason":"end_turn","output":{"message":{"content":[{"text":1}]}}}',
            FailureKind.GARBAGE,
        ),
        (b'{"stopReason":' + b"[" * 100_000, FailureKind.GARBAGE),
        (NOT_BASE64, FailureKind.GARBAGE),
        (NOT_UTF_8, FailureKind.GARBAGE),
    ],
)
def test_a_body_that_is_no_answer_is_a_failure(body: bytes, kind: FailureKind) -> None:
    assert failed(body, is_streamed=False).kind is kind


def test_blocks_that_never_stop_are_bounded() -> None:
    pieces = [start({}, index) for index in range(BLOCKS_OPEN_MAX + 1)]
    assert failed(*pieces).kind is FailureKind.GARBAGE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["text", "toolUse", "reasoningContent", "delta", "start", "citation", "image", "input",
             "redactedContent", "contentBlockIndex", "stopReason", "usage", "toolResult", "source"]
        ),
        inner,
        max_size=3,
    ),
    max_leaves=8,
)  # fmt: skip
NAMES = st.sampled_from(
    ["contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStart", "messageStop",
     "metadata", "other"]
)  # fmt: skip


@given(st.lists(st.tuples(NAMES, JSON), max_size=6))
def test_any_json_in_the_events_ends_in_events_or_a_typed_failure(told: list[Any]) -> None:
    with suppress(UpstreamFailure):
        streamed(*(event(name, fields) for name, fields in told), END)


@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes_end_in_events_or_a_typed_failure(noise: bytes, is_streamed: bool) -> None:
    with suppress(UpstreamFailure):
        read(noise, is_streamed=is_streamed)
