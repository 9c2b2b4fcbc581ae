"""Recorded answers told in the Responses format, and recorded streams of that format told again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from openai.types.responses import (
    Response,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseReasoningItem,
)

from fairlead.core.chat import (
    AnnotationsAdded,
    ChatEvent,
    Finished,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
)
from fairlead.core.errors import RequestInvalid
from fairlead.providers.base import Credential
from fairlead.providers.compatible import OpenAIFormatChat
from fairlead.providers.openai_encoder import Row
from fairlead.testing.builders import an_endpoint
from tests.dialects.responses_sdk import (
    CLOSING,
    DIALECT,
    HEAD,
    accumulated,
    client_of,
    events_of,
    told,
    types_of,
)
from tests.recordings import Recording, load, load_native, names
from tests.recordings_truth import SaidChoice, read

ADAPTER = OpenAIFormatChat(
    Row("recorded", reasoning_history="reasoning_details", takes_cache_control=True)
)
KEY = Credential("https://example.test/v1", "secret", {})


def by_id(cases: list[Recording]) -> list[object]:
    return [pytest.param(case, id=case.id) for case in cases]


# --- answers of providers of the chat format ----------------------------------------------------------

# Not the format, and errors under status 200: see tests/providers/test_recordings.py.
NO_ANSWERS = {
    "writer.completions-oll-9e2932c0ac-0",
    "groq.chat_completions-reqllm-75c25450f3-0",
    "groq.chat_completions-pai-091d4f2452-0",
    "openrouter.chat_completions-reqllm-0d221f9fb3-0",
    "openrouter.chat_completions-reqllm-5efad8ae06-0",
}
ANSWERS = [
    case
    for name in names()
    for case in load(name)
    if case.status == 200 and case.id not in NO_ANSWERS
]


def events_in(case: Recording) -> list[ChatEvent]:
    decoder = ADAPTER.decoder(streamed=case.is_sse)
    return [*decoder.feed(case.body), *decoder.finish()]


def test_there_are_recorded_answers() -> None:
    assert len(ANSWERS) > 900


@pytest.mark.parametrize("case", by_id(ANSWERS))
def test_a_recorded_answer_comes_through_streamed_and_whole(case: Recording) -> None:
    said = read(case.body, is_sse=case.is_sse).choices[0]
    stream = told(events_in(case))
    events = events_of(stream)
    final = events[-1]["response"]
    assert final["status"] == status_of(said)
    if case.is_sse and final["status"] == "completed":
        assert_says(accumulated(stream), said)
    body = DIALECT.whole(HEAD, events_in(case), CLOSING)
    assert json.loads(body) == final
    assert_says(client_of(body, is_sse=False).responses.create(model="m", input="Hi"), said)


def status_of(said: SaidChoice) -> str:
    return "incomplete" if said.finish in ("length", "content_filter") else "completed"


def assert_says(response: Response, said: SaidChoice) -> None:
    assert response.output_text == said.text
    calls = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    assert [call.name for call in calls] == [call.name for call in said.calls]
    for call, truth in zip(calls, said.calls, strict=True):
        assert call.arguments == (truth.arguments or "{}")
        assert call.call_id
        if truth.id:
            assert call.call_id == truth.id
    assert reasoning_in(response) == said.reasoning
    refusals = [
        part.refusal
        for item in response.output
        if isinstance(item, ResponseOutputMessage)
        for part in item.content
        if part.type == "refusal"
    ]
    assert "".join(refusals) == said.refusal


def reasoning_in(response: Response) -> str:
    return "".join(
        part.text
        for item in response.output
        if isinstance(item, ResponseReasoningItem)
        for part in [*(item.content or []), *item.summary]
    )


# --- streams of the format itself ---------------------------------------------------------------------

NATIVE = load_native("responses")
# Items of tools that a provider runs; what this dialect never writes.
HOSTED = {"web_search_call", "file_search_call", "mcp_list_tools", "mcp_call", "compaction"}
HOSTED |= {"tool_search_call", "tool_search_output"}


def native_events(case: Recording) -> list[dict[str, Any]]:
    blocks = case.body.decode().replace("\r\n", "\n").split("\n\n")
    lines = [line for block in blocks for line in block.split("\n")]
    data = [line[5:].strip() for line in lines if line.startswith("data:")]
    return [json.loads(line) for line in data if line != "[DONE]"]


def is_ours_to_tell(case: Recording) -> bool:
    if not case.is_sse or case.status != 200:
        return False
    items = [e["item"]["type"] for e in native_events(case) if "item" in e]
    return not HOSTED & set(items) and not case.request.get("background")


STREAMS = [case for case in NATIVE if is_ours_to_tell(case)]


def meaning_of(events: list[dict[str, Any]]) -> Iterator[ChatEvent]:
    """What a stream of the format says, in our vocabulary, read with nothing but `json`."""
    yield Started()
    calls = 0
    for event in events:
        match event["type"]:
            case "response.output_text.delta":
                raw = msgspec.Raw(json.dumps({"content": event.get("logprobs")}).encode())
                yield TextDelta(event["delta"], logprobs=raw if event.get("logprobs") else None)
            case "response.output_text.annotation.added":
                kind = event["annotation"]["type"]
                yield AnnotationsAdded(({"type": kind, kind: event["annotation"]},))
            case "response.refusal.delta":
                yield RefusalDelta(event["delta"])
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield thought(event)
            case "response.output_item.done" if event["item"]["type"] == "reasoning":
                yield encrypted(event["item"])
            case "response.output_item.added" if event["item"]["type"] == "function_call":
                calls += 1
                item = event["item"]
                yield ToolCallDelta(calls, id=item["call_id"], name=item["name"])
            case "response.function_call_arguments.delta":
                yield ToolCallDelta(calls, event["delta"])
            case "response.incomplete":
                yield Finished(FinishReason.LENGTH)
            case "response.completed":
                yield Finished(FinishReason.STOP)


def thought(event: dict[str, Any]) -> ReasoningDelta:
    kind = "summary" if "summary" in event["type"] else "text"
    index = event.get("summary_index", event.get("content_index"))
    detail = {"type": f"reasoning.{kind}", kind: event["delta"], "index": index}
    detail |= {"id": event["item_id"], "format": "openai-responses-v1"}
    return ReasoningDelta(event["delta"], details=(detail,))


def encrypted(item: dict[str, Any]) -> ReasoningDelta:
    # A server that may not show its reasoning still tells that there was some.
    data = item.get("encrypted_content") or "none"
    detail = {"type": "reasoning.encrypted", "data": data, "id": item["id"]}
    return ReasoningDelta("", details=({**detail, "format": "openai-responses-v1"},))


OTHER_SHAPES = {
    # Two messages in a row: our vocabulary knows no border between them, they are told as one.
    "openai.responses-mira-ef77cd5339-1",
    # Another gateway, which ends its reasoning item only after the message that follows it.
    "openrouter.responses-pai-98f749028a-0",
}


def test_there_are_recorded_streams() -> None:
    assert len(STREAMS) > 90


# What only those who store, moderate or run tools can say.
NOT_IN_OURS = {
    "prompt_cache_retention",
    "moderation",
    "tool_usage",
    "content_filters",
    "conversation",
}
# Named by each server in its own way, and what servers tell of their own stores.
ITS_OWN = {"id", "encrypted_content", "status", "phase", "namespace"}


@pytest.mark.parametrize("case", by_id(STREAMS))
def test_the_same_content_has_the_same_shape_as_the_official_stream(case: Recording) -> None:
    official = native_events(case)
    stream = told(meaning_of(official))
    expected = collapsed(event["type"].removeprefix("response.") for event in official)
    if case.id in OTHER_SHAPES:
        assert set(types_of(stream)) == set(expected)
        return
    assert types_of(stream) == expected
    ours = {event["type"]: event for event in events_of(stream)}
    for event in official:
        mine = ours[event["type"]]
        unsaid = event.keys() - mine.keys() - {"obfuscation", "sequence_number"}
        assert not unsaid, event["type"]
    final = rounded(ours[official[-1]["type"]]["response"])
    truth = rounded(official[-1]["response"])
    assert [item["type"] for item in final["output"]] == [i["type"] for i in truth["output"]]
    assert truth.keys() - final.keys() <= NOT_IN_OURS
    for item, told_there in zip(final["output"], truth["output"], strict=True):
        same = told_there.keys() - ITS_OWN
        assert {name: item.get(name) or None for name in same} == {
            name: told_there[name] or None for name in same
        }


def rounded(fields: dict[str, Any]) -> dict[str, Any]:
    """Their servers round log probabilities at the end, and not on the way."""
    found: dict[str, Any] = json.loads(
        json.dumps(fields), parse_float=lambda text: round(float(text), 3)
    )
    return found


def collapsed(kinds: Iterator[str]) -> list[str]:
    found: list[str] = []
    for kind in kinds:
        if not found or found[-1] != kind:
            found.append(kind)
    return found


# --- requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", by_id(list(NATIVE)))
def test_a_recorded_request_can_be_sent_to_a_provider_of_the_chat_format(case: Recording) -> None:
    """Every call has its result behind it, as such providers demand."""
    try:
        request = DIALECT.decode(json.dumps(case.request).encode())
    except RequestInvalid:
        return  # which, and why: tests/dialects/test_responses_request.py
    sent = json.loads(ADAPTER.encode(request, an_endpoint(supported=frozenset()), KEY).body)
    messages = sent["messages"]
    assert all(message["role"] in ("system", "user", "assistant", "tool") for message in messages)
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] in waiting:
                waiting.remove(message["tool_call_id"])
        else:
            assert not waiting, "a call without its result"
            waiting = [call["id"] for call in message.get("tool_calls") or ()]
    for tool in sent.get("tools") or ():
        assert tool["type"] == "function"
        assert tool["function"]["name"]
