"""Providers of the Responses format, held to recorded traffic and to the official SDK's types."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from fairlead.core.answer import Choice, collect, plain
from fairlead.core.chat import (
    AnnotationsAdded,
    ChatEvent,
    ChatRequest,
    Finished,
    FinishReason,
    MediaAdded,
    ReasoningDelta,
    TextDelta,
    UsageReported,
)
from fairlead.core.errors import FailureKind, RequestInvalid, UpstreamFailure
from fairlead.core.service_tiers import TIERS
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_responses import OpenAIResponses
from fairlead.providers.base import Credential
from fairlead.providers.responses import ResponsesFormatChat
from fairlead.providers.responses_encoder import OUTPUT_TOKENS_MIN, ResponsesRow
from fairlead.testing.builders import an_endpoint
from tests.recordings import Recording, load_native

FORMAT = "openai-responses-v1"
ADAPTER = ResponsesFormatChat(ResponsesRow("recorded"))
KEY = Credential("https://example.test/v1/", "secret", {})
EVERYTHING = an_endpoint(supported=frozenset())
RESPONSES = OpenAIResponses()
CHAT = OpenAIChat()

ALL = load_native("responses")
# Begun in the background, and still running when it was recorded: this adapter never asks for that.
QUEUED = "openai.responses-pai-6e1fc9263e-0"
ANSWERS = [case for case in ALL if case.status == 200 and case.id != QUEUED]
REFUSALS = [case for case in ALL if case.status != 200]


def by_id(cases: Iterable[Recording]) -> list[object]:
    return [pytest.param(case, id=case.id) for case in cases]


def read(body: bytes, *, is_sse: bool, cuts: Iterable[int] = ()) -> list[ChatEvent]:
    decoder = ADAPTER.decoder(streamed=is_sse)
    places = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    events: list[ChatEvent] = []
    for start, end in itertools.pairwise(places):
        events += decoder.feed(body[start:end])
    return events + decoder.finish()


# --- answers ------------------------------------------------------------------------------------------


def final_response(case: Recording) -> dict[str, Any]:
    """The whole answer, found with nothing but `json`."""
    if not case.is_sse:
        found: dict[str, Any] = json.loads(case.body)
        return found
    lines = case.body.decode().replace("\r\n", "\n").split("\n")
    data = [line[5:].strip() for line in lines if line.startswith("data:")]
    events = [json.loads(line) for line in data if line != "[DONE]"]
    ends = [
        event for event in events if event["type"] in ("response.completed", "response.incomplete")
    ]
    response: dict[str, Any] = ends[-1]["response"]
    return response


def test_there_is_something_to_check() -> None:
    assert len(ANSWERS) > 430
    assert len(REFUSALS) > 15


@pytest.mark.parametrize("case", by_id(ANSWERS))
def test_an_answer_is_read_as_it_was_recorded(case: Recording) -> None:
    truth = final_response(case)
    answer = collect(read(case.body, is_sse=case.is_sse))
    assert answer.started is not None
    assert answer.started.id == truth["id"]
    choice = answer.choices[0]
    output = truth["output"]
    parts = [p for item in output if item["type"] == "message" for p in item["content"]]
    assert choice.text == "".join(p["text"] for p in parts if p["type"] == "output_text")
    assert choice.refusal == "".join(p["refusal"] for p in parts if p["type"] == "refusal")
    calls = [item for item in output if item["type"] in ("function_call", "custom_tool_call")]
    assert [(call.id, call.name, call.arguments) for call in choice.calls] == [
        (call["call_id"], call["name"], call["arguments"]) for call in calls
    ]
    thoughts = [item for item in output if item["type"] == "reasoning"]
    assert_same_reasoning(choice, thoughts, is_sse=case.is_sse)
    assert_same_usage(answer.usage, truth.get("usage"))
    assert choice.finish is finish_of(truth, bool(calls))


def assert_same_reasoning(choice: Choice, items: list[dict[str, Any]], *, is_sse: bool) -> None:
    summaries = [s["text"] for item in items for s in item["summary"]]
    texts = [c["text"] for item in items for c in item.get("content") or ()]
    secrets = [item["encrypted_content"] for item in items if item.get("encrypted_content")]
    details = choice.reasoning_details
    found = {
        kind: [detail[name] for detail in details if detail["type"] == f"reasoning.{kind}"]
        for kind, name in (("summary", "summary"), ("text", "text"), ("encrypted", "data"))
    }
    assert found["summary"] == summaries
    assert found["text"] == texts
    if is_sse:  # encrypted anew each time it is told
        assert len(found["encrypted"]) == len(secrets)
    else:
        assert found["encrypted"] == secrets
    assert all(detail["format"] == FORMAT for detail in details)


def assert_same_usage(reported: UsageReported | None, truth: dict[str, Any] | None) -> None:
    if truth is None:
        assert reported is None
        return
    assert reported is not None
    usage = reported.usage
    assert usage.prompt_tokens == truth["input_tokens"]
    assert usage.prompt_tokens + usage.completion_tokens == truth["total_tokens"]
    assert usage.cache_read == truth["input_tokens_details"]["cached_tokens"]
    assert usage.reasoning >= truth["output_tokens_details"]["reasoning_tokens"]


def finish_of(truth: dict[str, Any], has_calls: bool) -> FinishReason:
    if truth["status"] == "incomplete":
        return FinishReason.LENGTH
    return FinishReason.TOOL_CALLS if has_calls else FinishReason.STOP


@pytest.mark.parametrize("case", by_id(case for case in ANSWERS if case.is_sse))
def test_a_stream_and_its_last_response_say_the_same(case: Recording) -> None:
    streamed = collect(read(case.body, is_sse=True))
    whole = collect(read(json.dumps(final_response(case)).encode(), is_sse=False))
    ours, theirs = streamed.choices[0], whole.choices[0]
    assert (ours.text, ours.calls, ours.finish) == (theirs.text, theirs.calls, theirs.finish)
    assert ours.annotations == theirs.annotations
    assert len(ours.reasoning_details) == len(theirs.reasoning_details)


STREAM = next(case for case in ANSWERS if case.is_sse and b"function_call_arguments" in case.body)


@given(st.lists(st.integers(0, 1 << 20), max_size=8))
def test_any_chunking_gives_the_same_events(cuts: list[int]) -> None:
    assert read(STREAM.body, is_sse=True, cuts=cuts) == read(STREAM.body, is_sse=True)


@given(st.integers(0, 1 << 20))
@settings(max_examples=50)
def test_a_stream_without_its_last_response_was_cut(place: int) -> None:
    end = STREAM.body.index(b"event: response.completed")
    with pytest.raises(UpstreamFailure) as raised:
        read(STREAM.body[: place % end], is_sse=True)
    assert raised.value.kind in (FailureKind.CUT, FailureKind.GARBAGE)


VALUES = st.recursive(
    st.none() | st.integers(-2, 2) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "item", "output", "delta", "content", "response", "status"]),
            inner | st.sampled_from(["message", "reasoning", "function_call", "completed"]),
        )
    ),
    max_leaves=6,
)
KINDS = [
    "created", "output_item.added", "output_item.done", "output_text.delta", "completed", "failed",
    "function_call_arguments.delta", "reasoning_text.delta", "output_text.annotation.added",
]  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.dictionaries(
                st.sampled_from(["item", "response", "delta", "output_index", "annotation"]), VALUES
            ),
        ),
        max_size=4,
    ),
    st.binary(max_size=20),
)
def test_whatever_comes_is_events_or_a_typed_failure(
    told: list[tuple[str, dict[str, Any]]], rest: bytes
) -> None:
    lines = [json.dumps({**fields, "type": f"response.{kind}"}) for kind, fields in told]
    body = b"".join(b"data: " + line.encode() + b"\n\n" for line in lines) + rest
    for is_sse in (True, False):
        whole = json.dumps(told[0][1]).encode() if told and not is_sse else body
        try:
            events = read(whole, is_sse=is_sse)
        except UpstreamFailure:
            continue
        assert any(isinstance(event, Finished) for event in plain(events))


@pytest.mark.parametrize("case", by_id(REFUSALS))
def test_a_refusal_is_understood(case: Recording) -> None:
    failure = ADAPTER.failure(case.status, case.headers, case.body)
    assert (
        failure.kind
        in {
            400: (FailureKind.BAD_REQUEST, FailureKind.MODEL_NOT_FOUND, FailureKind.AUTHENTICATION),
            401: (FailureKind.AUTHENTICATION,),
        }[case.status]
    )


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


@pytest.mark.parametrize(
    "end",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "Slow.", "param": None},
        {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Slow."}},
        {
            "type": "response.failed",
            "response": {
                "status": "failed",
                "error": {"code": "rate_limit_exceeded", "message": "Slow."},
            },
        },
    ],
)
def test_an_error_inside_a_stream_comes_after_what_came_before_it(end: dict[str, Any]) -> None:
    decoder = ADAPTER.decoder(streamed=True)
    piece = {"type": "response.output_text.delta", "delta": "Hel", "output_index": 0}
    assert decoder.feed(sse(piece, end)) == [TextDelta("Hel")]
    with pytest.raises(UpstreamFailure) as raised:
        decoder.finish()
    assert raised.value.kind is FailureKind.RATE_LIMIT


def test_items_that_were_never_told_in_pieces_are_told_when_done() -> None:
    """Some servers send arguments, or all, only with the finished item."""
    call = {"type": "function_call", "call_id": "c", "name": "a", "arguments": '{"x":1}'}
    image = {"type": "image_generation_call", "result": "aGk=", "output_format": "jpeg"}
    items = [call, {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}, image]
    done = [
        {"type": "response.output_item.done", "output_index": index, "item": item}
        for index, item in enumerate(items)
    ]
    last = {"type": "response.completed", "response": {"status": "completed"}}
    events = read(sse(*done, last), is_sse=True)
    (choice,) = collect(events).choices
    assert [made.arguments for made in choice.calls] == ['{"x":1}']
    assert choice.text == "Hi"
    (media,) = [event for event in events if isinstance(event, MediaAdded)]
    assert media.value == [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,aGk="}}
    ]


def test_citations_are_put_into_our_shape() -> None:
    citation = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    added = {
        "type": "response.output_text.annotation.added",
        "output_index": 0,
        "annotation": {"type": "url_citation", **citation},
    }
    decoder = ADAPTER.decoder(streamed=True)
    assert decoder.feed(sse(added)) == [
        AnnotationsAdded(({"type": "url_citation", "url_citation": citation},))
    ]


def test_pieces_of_one_summary_have_one_number() -> None:
    def piece(part: int, text: str) -> dict[str, Any]:
        kind = "response.reasoning_summary_text.delta"
        place = {"output_index": 0, "item_id": "rs_1", "summary_index": part}
        return {"type": kind, "delta": text, **place}

    decoder = ADAPTER.decoder(streamed=True)
    events = decoder.feed(sse(piece(0, "a"), piece(0, "b"), piece(1, "c")))
    details = [e.details[0] for e in events if isinstance(e, ReasoningDelta)]
    assert [detail["index"] for detail in details] == [0, 0, 1]


# --- requests -----------------------------------------------------------------------------------------

PARAMS: TypeAdapter[ResponseCreateParamsNonStreaming] = TypeAdapter(
    ResponseCreateParamsNonStreaming
)


def sent(request: ChatRequest, **endpoint: Any) -> dict[str, Any]:
    where = an_endpoint(**endpoint) if endpoint else EVERYTHING
    upstream = ADAPTER.encode(request, where, KEY)
    assert upstream.url == "https://example.test/v1/responses"
    assert ("authorization", "Bearer secret") in upstream.headers
    found: dict[str, Any] = json.loads(upstream.body)
    return found


def chat(**fields: object) -> ChatRequest:
    fields = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return CHAT.decode(json.dumps(fields).encode())


def check_types(body: dict[str, Any]) -> None:
    """The SDK's own types; lists in them are read lazily, so they are gone through."""
    body = {name: value for name, value in body.items() if name != "stream"}
    read_back = PARAMS.validate_python(body)
    for name in ("input", "tools"):
        value: Any = read_back.get(name)
        if value is not None and not isinstance(value, str):
            assert len(list(value)) == len(body[name])


@pytest.mark.parametrize("case", by_id(ALL))
def test_a_recorded_request_sent_again_means_the_same(case: Recording) -> None:
    try:
        request = RESPONSES.decode(json.dumps(case.request).encode())
    except RequestInvalid:
        return  # which, and why: tests/dialects/test_responses_request.py
    body = sent(request)
    check_types(body)
    again = RESPONSES.decode(json.dumps(body).encode())
    assert told_in(again) == told_in(request)
    assert body["store"] is False


def told_in(request: ChatRequest) -> dict[str, Any]:
    """What a request says, without what is written on purpose in another way."""
    told: dict[str, Any] = json.loads(msgspec.json.encode(request.body))
    if told.get("service_tier") in TIERS:
        del told["service_tier"]  # the endpoint's, not the caller's
    for message in told["messages"]:
        message.pop("reasoning", None)
        kept = [d for d in message.pop("reasoning_details", ()) if "data" in d]
        message["encrypted"] = [detail["data"] for detail in kept]
        parts = message.get("content")
        for part in parts if isinstance(parts, list) else ():
            part.pop("cache_control", None)
            part.get("image_url", {}).pop("detail", None)
            if str(part.get("file", {}).get("file_data")).startswith("http"):
                part["file"].pop("filename", None)
    said = {"encrypted": [], "role": "assistant"}
    told["messages"] = [message for message in told["messages"] if message != said]
    for tool in told.get("tools", ()):
        tool["function"].setdefault("strict", False)
        tool["function"].setdefault("parameters", {"type": "object", "properties": {}})
    schema = told.get("response_format", {}).get("json_schema")
    if schema:
        schema.setdefault("strict", False)
    kept_names = (
        "messages", "tools", "tool_choice", "temperature", "top_p", "response_format", "verbosity",
        "parallel_tool_calls", "logprobs", "top_logprobs", "service_tier", "prompt_cache_key",
        "stream",
    )  # fmt: skip
    found = {name: told[name] for name in kept_names if told.get(name)}
    if told.get("max_tokens"):
        found["max_tokens"] = max(told["max_tokens"], OUTPUT_TOKENS_MIN)
    if request.reasoning is not None and request.reasoning.effort is not None:
        found["effort"] = request.reasoning.effort
    return found


def test_a_chat_request_becomes_items() -> None:
    png = "data:image/png;base64,aGk="
    request = chat(
        messages=[
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "name": "Ann",
                "content": [
                    {"type": "text", "text": "Look."},
                    {"type": "image_url", "image_url": {"url": png}},
                    {"type": "file", "file": {"file_data": "https://a.example/a.pdf"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk="}},
                ],
            },
            {
                "role": "assistant",
                "content": "I look.",
                "reasoning_details": [
                    {"type": "reasoning.summary", "summary": "Hm.", "format": FORMAT},
                    {"type": "reasoning.encrypted", "data": "c2VjcmV0", "format": FORMAT},
                    {"type": "reasoning.encrypted", "data": "foreign", "format": "other-v1"},
                ],
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "a", "arguments": ""}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "done"},
        ]
    )
    body = sent(request)
    check_types(body)
    system, user, reasoning, said, call, output = body["input"]
    assert system == {"role": "system", "content": "Be brief."}
    assert user["content"] == [
        {"type": "input_text", "text": "Ann: "},
        {"type": "input_text", "text": "Look."},
        {"type": "input_image", "image_url": png, "detail": "auto"},
        {"type": "input_file", "file_url": "https://a.example/a.pdf"},
        {
            "type": "input_file",
            "filename": "file.pdf",
            "file_data": "data:application/pdf;base64,aGk=",
        },
    ]
    assert reasoning == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Hm."}],
        "encrypted_content": "c2VjcmV0",
    }
    assert said == {"role": "assistant", "content": "I look."}
    assert call == {"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}"}
    assert output == {"type": "function_call_output", "call_id": "c1", "output": "done"}


def test_settings_of_the_chat_format_have_their_names_here() -> None:
    tool = {"type": "function", "function": {"name": "a"}}
    schema = {"name": "s", "schema": {"type": "object"}}
    body = sent(
        chat(
            max_tokens=5,
            tools=[tool],
            tool_choice={"type": "function", "function": {"name": "a"}},
            response_format={"type": "json_schema", "json_schema": schema},
            reasoning={"effort": "low", "summary": "auto"},
            verbosity="low",
            logprobs=True,
            top_logprobs=2,
            user="ann",
            seed=1,
            stop=["x"],
            stream=True,
        )
    )
    check_types(body)
    assert body["max_output_tokens"] == OUTPUT_TOKENS_MIN
    assert body["tools"] == [
        {
            "type": "function",
            "name": "a",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        }
    ]
    assert body["tool_choice"] == {"type": "function", "name": "a"}
    assert body["text"]["format"]["name"] == "s"
    assert body["text"]["verbosity"] == "low"
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert body["stream"] is True
    assert not {"user", "seed", "stop", "logprobs", "max_tokens"} & body.keys()


def test_what_the_endpoint_does_not_support_is_dropped() -> None:
    tool = {"type": "function", "function": {"name": "a"}}
    request = chat(temperature=0.5, tools=[tool], tool_choice="auto", parallel_tool_calls=True)
    body = sent(request, supported=frozenset({"max_tokens"}))
    assert not {"temperature", "tools", "tool_choice", "parallel_tool_calls"} & body.keys()


def test_tools_that_the_provider_runs_come_from_callers_of_the_format() -> None:
    tools = [{"type": "web_search", "search_context_size": "low"}, {"type": "tool_search"}]
    fields = {"model": "m", "input": "Hi", "tools": tools, "max_tool_calls": 3}
    body = sent(RESPONSES.decode(json.dumps(fields).encode()))
    assert body["tools"] == tools[:1]
    assert body["max_tool_calls"] == 3


@pytest.mark.parametrize("kind", ["input_audio", "video_url"])
def test_what_the_format_cannot_say_is_refused(kind: str) -> None:
    part: dict[str, object] = {"type": kind, kind: {"url": "u", "data": "AAAA", "format": "wav"}}
    with pytest.raises(RequestInvalid) as raised:
        sent(chat(messages=[{"role": "user", "content": [part]}]))
    assert raised.value.param == "messages[0].content[0]"
