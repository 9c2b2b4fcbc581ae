"""What callers of the OpenAI dialects read: answers, streams, and errors inside and outside of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from fairlead.core.chat import (
    AnnotationsAdded,
    ChatEvent,
    Finished,
    FinishReason,
    Frame,
    MediaAdded,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    WireFormat,
)
from fairlead.core.errors import (
    Availability,
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
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions

CHAT = OpenAIChat()
LEGACY = OpenAICompletions()
HEAD = AnswerHead(GenerationId("gen-1"), "openai/o1", "OpenAI", 1_700_000_000)
QUIET = AnswerHead(GenerationId("gen-1"), "openai/o1", "OpenAI", 1_700_000_000, False)
CLOSING = Closing(
    Usage(prompt=3, completion=4),
    Charge(NanoUSD(3_000_000), NanoUSD(1_000_000), NanoUSD(2_000_000)),
)
BROKEN = UpstreamFailure("It broke off.", kind=FailureKind.CUT, provider_code="gone").problem()

CALL = (
    ToolCallDelta(0, "", id="c1", name="f"),
    ToolCallDelta(0, '{"a"'),
    ToolCallDelta(0, ":1}"),
)
EVENTS: list[ChatEvent] = [
    Started(model="o1-2024-12-17", service_tier="default", system_fingerprint="fp"),
    ReasoningDelta("hm"),
    TextDelta("Hel"),
    TextDelta("lo"),
    RefusalDelta("no"),
    *CALL,
    MediaAdded("images", [{"type": "image_url", "image_url": {"url": "data:,"}}]),
    AnnotationsAdded(({"type": "url_citation"},)),
    Finished(FinishReason.TOOL_CALLS, native="tool_use"),
]


def chunks(written: bytes) -> list[dict[str, Any]]:
    return [json.loads(b[6:]) for b in written.split(b"\n\n") if b.startswith(b"data: {")]


def frame(delta: dict[str, Any], *events: Any, **fields: Any) -> Frame:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return Frame(WireFormat.OPENAI_CHAT, {"id": "theirs", "choices": [choice], **fields}, events)


def test_a_stream_is_written_from_events() -> None:
    encoder = CHAT.stream(HEAD)
    written = encoder.feed(EVENTS) + encoder.close(CLOSING)
    assert written.endswith(b"data: [DONE]\n\n")
    told = chunks(written)
    assert all(
        (c["id"], c["object"], c["created"], c["model"], c["provider"], c["system_fingerprint"])
        == ("gen-1", "chat.completion.chunk", 1_700_000_000, "openai/o1", "OpenAI", "fp")
        for c in told
    )
    deltas = [c["choices"][0]["delta"] for c in told]
    assert deltas == [
        {
            "role": "assistant",
            "reasoning": "hm",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "format": "unknown", "index": 0}
            ],
        },
        {"content": "Hel"},
        {"content": "lo"},
        {"refusal": "no"},
        {"tool_calls": [
            {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
        ]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"images": [{"index": 0, "type": "image_url", "image_url": {"url": "data:,"}}]},
        {"annotations": [{"index": 0, "type": "url_citation"}]},
        {},
        {"role": "assistant", "content": ""},
    ]  # fmt: skip
    ends = [(c["choices"][0]["finish_reason"]) for c in told]
    assert ends == [None] * 9 + ["tool_calls", None]
    assert told[9]["choices"][0]["native_finish_reason"] == "tool_use"
    assert ["usage" in c for c in told] == [False] * 10 + [True]
    assert told[10]["usage"]["cost"] == 0.003


def test_entries_of_lists_that_come_in_pieces_are_numbered() -> None:
    """The official client joins such pieces by their numbers, and gives up on those without."""
    one, two, three = ({"type": "url_citation", "url_citation": {"url": u}} for u in "abc")
    own = {"index": 3, "type": "file"}
    events = [
        AnnotationsAdded((one,)),
        AnnotationsAdded((two, three)),
        AnnotationsAdded((one,), choice=1),
        frame({"annotations": [own]}, AnnotationsAdded((own,))),
        Finished(FinishReason.STOP),
    ]
    encoder = CHAT.stream(HEAD)
    told = chunks(encoder.feed(events) + encoder.close(CLOSING))
    notes = [c["choices"][0]["delta"].get("annotations") for c in told[:4]]
    assert notes == [[{"index": 0, **one}], [{"index": 1, **two}, {"index": 2, **three}],
                     [{"index": 0, **one}], [own]]  # fmt: skip
    state = ChatCompletionStreamState()
    for chunk in told:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    joined = state.current_completion_snapshot.choices[0].message.model_dump()["annotations"]
    assert [note["type"] for note in joined] == ["url_citation"] * 3 + ["file"]


def test_a_frame_keeps_what_we_do_not_know() -> None:
    encoder = CHAT.stream(HEAD)
    first = frame({"content": "a", "odd": 1}, Started(service_tier="flex"), TextDelta("a"), x=[1])
    (told,) = chunks(encoder.feed([first]))
    assert told == {
        "id": "gen-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "openai/o1",
        "provider": "OpenAI",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": "a", "odd": 1},
                "finish_reason": None,
            }
        ],
        "x": [1],
    }
    (second,) = chunks(encoder.feed([frame({"content": "b"}, TextDelta("b"))]))
    assert "role" not in second["choices"][0]["delta"]
    assert chunks(encoder.close(CLOSING))[0]["service_tier"] == "flex"


def test_reasoning_that_was_not_wanted_is_not_told() -> None:
    thought = {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}
    encoder = CHAT.stream(QUIET)
    assert encoder.feed([frame({"role": "assistant", "content": "", **thought})]) == b""
    (told,) = chunks(encoder.feed([frame({"content": "a", **thought})]))
    assert told["choices"][0]["delta"] == {"role": "assistant", "content": "a"}
    assert b"hm" not in CHAT.stream(QUIET).feed(EVENTS)
    assert b"hm" not in CHAT.whole(QUIET, EVENTS, CLOSING)
    assert b"hm" not in LEGACY.stream(QUIET).feed(EVENTS)
    assert b"hm" not in LEGACY.whole(QUIET, EVENTS, CLOSING)


def test_a_stream_that_breaks_ends_with_the_error_and_no_mark() -> None:
    encoder = CHAT.stream(HEAD)
    encoder.feed([TextDelta("a")])
    written = encoder.fail(BROKEN, CLOSING)
    assert b"[DONE]" not in written
    (told,) = chunks(written)
    assert told["error"] == {
        "code": 502,
        "message": "It broke off.",
        "metadata": {"error_type": "provider_unavailable", "provider_code": "gone"},
    }
    assert told["choices"][0]["finish_reason"] == "error"
    assert told["usage"]["total_tokens"] == 7
    assert "usage" not in chunks(CHAT.stream(HEAD).fail(BROKEN, None))[0]


def test_a_whole_answer_is_written_from_events() -> None:
    told = json.loads(CHAT.whole(HEAD, EVENTS, CLOSING))
    assert told["object"] == "chat.completion"
    assert told["service_tier"] == "default"
    assert told["usage"]["prompt_tokens"] == 3
    assert told["choices"] == [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "native_finish_reason": "tool_use",
            "logprobs": None,
            "message": {
                "role": "assistant",
                "content": "Hello",
                "refusal": "no",
                "reasoning": "hm",
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a":1}'},
                    }
                ],
                "images": [{"type": "image_url", "image_url": {"url": "data:,"}}],
                "annotations": [{"type": "url_citation"}],
            },
        }
    ]


def test_no_events_are_no_answer() -> None:
    for dialect in (CHAT, LEGACY):
        with pytest.raises(UpstreamFailure) as caught:
            dialect.whole(HEAD, [Started()], CLOSING)
        assert caught.value.kind is FailureKind.EMPTY


@pytest.mark.parametrize("dialect", [CHAT, LEGACY])
@pytest.mark.parametrize(
    "events",
    [[], [TextDelta("a")], [TextDelta("a"), Finished(FinishReason.STOP)]],
)
def test_a_partial_answer_holds_what_came_and_the_error(
    dialect: OpenAIChat | OpenAICompletions, events: list[ChatEvent]
) -> None:
    told = json.loads(dialect.partial(HEAD, events, BROKEN, CLOSING))
    (choice,) = told["choices"]
    assert choice["finish_reason"] == "error"
    assert choice["error"]["metadata"]["error_type"] == "provider_unavailable"
    text = choice["text"] if dialect is LEGACY else choice["message"]["content"]
    assert (text or "") == ("a" if events else "")


def test_an_error_has_a_number_for_a_code_on_every_path() -> None:
    problem = RequestInvalid("Wrong.", param="messages[0]").problem()
    assert json.loads(CHAT.problem(problem, None)) == {
        "error": {
            "code": 400,
            "message": "Wrong.",
            "type": "invalid_request",
            "param": "messages[0]",
            "metadata": {"error_type": "invalid_request"},
        }
    }
    assert json.loads(CHAT.problem(Overloaded("Later.").problem(), None))["error"]["code"] == 503


def test_a_fault_of_ours_says_nothing_about_its_cause() -> None:
    problem = Problem(500, ErrorType.SERVER, "psql: secret", metadata={"provider_code": "x"})
    error = json.loads(CHAT.problem(problem, None))["error"]
    assert "secret" not in error["message"]
    assert error["metadata"] == {"error_type": "server"}


def test_availability_comes_in_both_documented_places() -> None:
    availability = Availability(
        "constraint_filtered", False, ("a/b",), retry_after_s=3, excluded_by=("max_price",),
        constraint=("provider.max_price", "0.1"),
    )  # fmt: skip
    problem = RequestInvalid("None left.", availability=availability).problem()
    error = json.loads(CHAT.problem(problem, None))["error"]
    assert (error["code"], error["http_status"]) == (400, 400)
    assert error["error_type"] == error["metadata"]["error_type"] == "invalid_request"
    told = error["availability"]
    assert told["code"] == "constraint_filtered"
    assert told["retryable"] is False
    assert told["requested_models"] == ["a/b"]
    assert told["retry_after"] == 3
    assert told["excluded_by"] == ["max_price"]
    assert told["constraint"] == {"field": "provider.max_price", "detail": "0.1"}
    assert "fallback_models" not in told


def test_the_keep_alive_is_a_comment() -> None:
    assert CHAT.keep_alive == LEGACY.keep_alive == b": FAIRLEAD PROCESSING\n\n"


def test_the_legacy_dialect_answers_with_text() -> None:
    told = json.loads(LEGACY.whole(HEAD, EVENTS, CLOSING))
    assert told["object"] == "text_completion"
    assert told["choices"][0]["text"] == "Hello"
    assert told["choices"][0]["finish_reason"] == "tool_calls"
    encoder = LEGACY.stream(HEAD)
    written = encoder.feed(EVENTS) + encoder.close(CLOSING)
    assert written.endswith(b"data: [DONE]\n\n")
    pieces = chunks(written)
    assert "".join(p["choices"][0]["text"] for p in pieces) == "Hello"
    assert [p["choices"][0]["finish_reason"] for p in pieces][-2:] == ["tool_calls", None]
    assert pieces[-1]["usage"]["total_tokens"] == 7
    assert b"[DONE]" not in LEGACY.stream(HEAD).fail(BROKEN, CLOSING)


def test_a_legacy_frame_keeps_what_we_do_not_know() -> None:
    fields: dict[str, object] = {
        "id": "theirs",
        "odd": 1,
        "choices": [{"index": 0, "text": "a", "finish_reason": None, "odder": 2}],
    }
    piece = Frame(WireFormat.OPENAI_COMPLETIONS, fields, (Started(), TextDelta("a")))
    (told,) = chunks(LEGACY.stream(HEAD).feed([piece]))
    assert (told["id"], told["odd"], told["choices"][0]["odder"]) == ("gen-1", 1, 2)
    (as_chat,) = chunks(CHAT.stream(HEAD).feed([piece]))
    assert as_chat["choices"][0]["delta"] == {"role": "assistant", "content": "a"}


def test_reasoning_in_pieces_is_one_item_when_whole() -> None:
    def piece(text: str, **more: object) -> ReasoningDelta:
        item = {"type": "reasoning.text", "text": text, "format": "f", "index": 0, **more}
        return ReasoningDelta(text, details=(item,))

    events = [piece("a"), piece("b"), piece("", signature="s"), piece("c"), TextDelta("x")]
    told = json.loads(CHAT.whole(HEAD, events, CLOSING))["choices"][0]["message"]
    assert told["reasoning"] == "abc"
    assert [(d["text"], d.get("signature")) for d in told["reasoning_details"]] == [
        ("ab", "s"),
        ("c", None),
    ]
