"""Every recorded chat with Cohere: its answer read as it was said, its request built again."""

from __future__ import annotations

import inspect
import json
from contextlib import suppress
from functools import cache
from typing import Any

import cohere
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from fairlead.core.answer import collect
from fairlead.core.catalog import Reasoning
from fairlead.core.chat import ChatEvent, FinishReason
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.providers.base import Credential
from fairlead.providers.cohere import CohereChat
from fairlead.testing.builders import an_endpoint
from tests.cohere_truth import read_cohere
from tests.event_streams import cuts, split
from tests.recordings import Recording, load_native

ADAPTER = CohereChat()
# Version 1 is another format, and embeddings and rerankings are other capabilities.
CHATS = [case for case in load_native("cohere") if case.path == "/v2/chat"]
FAILED = [case for case in CHATS if b"INVALID_TOOL_GENERATION" in case.body]
ANSWERS = [case for case in CHATS if case.status == 200 and case not in FAILED]
STREAMS = [case for case in ANSWERS if case.streamed]
REFUSAL_OF_V1 = next(case for case in load_native("cohere") if case.status == 404)

FINISHES = {
    "COMPLETE": FinishReason.STOP,
    "STOP_SEQUENCE": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "TOOL_CALL": FinishReason.TOOL_CALLS,
}


def events_of(case: Recording, pieces: list[bytes] | None = None) -> list[ChatEvent]:
    decoder = ADAPTER.decoder(streamed=case.streamed)
    events: list[ChatEvent] = []
    for piece in pieces if pieces is not None else [case.body]:
        events += decoder.feed(piece)
    return events + decoder.finish()


def test_there_is_something_to_check() -> None:
    assert len(ANSWERS) >= 67
    assert len(STREAMS) >= 13
    assert len(FAILED) == 2


# --- answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ANSWERS, ids=repr)
def test_the_answer_is_read_as_it_was_recorded(case: Recording) -> None:
    said = read_cohere(case.body, is_sse=case.streamed)
    answer = collect(events_of(case))
    assert answer.started is not None
    assert answer.started.id == said.id
    (choice,) = answer.choices
    assert choice.text == said.text
    assert choice.reasoning == said.plan + said.thinking
    assert "".join(str(d["text"]) for d in choice.reasoning_details) == choice.reasoning
    calls = [(id_, name, arguments or "{}") for id_, name, arguments in said.calls]
    assert [(c.id, c.name, c.arguments) for c in choice.calls] == calls
    assert (choice.finish, choice.native_finish) == (FINISHES[said.finish], said.finish)
    told = [a["url_citation"] for a in choice.annotations]
    assert [(c["start_index"], c["end_index"]) for c in told] == [c[:2] for c in said.cited]
    for start, end, text in said.cited:
        assert choice.text[start:end] == text
    assert all(citation["url"] for citation in told)


@pytest.mark.parametrize("case", ANSWERS, ids=repr)
def test_every_billed_token_is_in_one_bucket(case: Recording) -> None:
    said = read_cohere(case.body, is_sse=case.streamed).usage
    answer = collect(events_of(case))
    assert answer.usage is not None
    usage = answer.usage.usage
    billed, tokens = said["billed_units"], said["tokens"]
    assert usage.prompt_tokens == billed["input_tokens"]
    assert usage.completion_tokens == billed["output_tokens"]
    assert usage.prompt_image == tokens.get("image_tokens", 0)
    assert usage.reasoning == tokens.get("reasoning_tokens", 0)
    cached = said.get("cached_tokens", 0)
    assert usage.cache_read <= cached
    read = tokens["input_tokens"] + tokens.get("image_tokens", 0)
    assert usage.cache_read == max(0, cached - (read - billed["input_tokens"]))


@given(case=st.sampled_from(ANSWERS), where=cuts())
def test_any_chunking_gives_the_same_events(case: Recording, where: list[int]) -> None:
    assert events_of(case, split(case.body, where)) == events_of(case)


@given(case=st.sampled_from(STREAMS), kept=st.integers(0, 9000))
def test_a_stream_that_breaks_off_is_a_cut(case: Recording, kept: int) -> None:
    decoder = ADAPTER.decoder(streamed=True)
    decoder.feed(case.body[: min(kept, case.body.index(b"event: message-end"))])
    assert not decoder.is_over
    with pytest.raises(UpstreamFailure) as caught:
        decoder.finish()
    assert caught.value.kind is FailureKind.CUT


@pytest.mark.parametrize("case", STREAMS, ids=repr)
def test_the_end_of_a_stream_is_known_without_its_mark(case: Recording) -> None:
    assert events_of(case, [case.body[: case.body.index(b"data: [DONE]")]]) == events_of(case)


@pytest.mark.parametrize("case", [case for case in ANSWERS if not case.streamed], ids=repr)
def test_an_answer_goes_back_as_it_came(case: Recording) -> None:
    """What a caller returns to us in the next turn is what Cohere said, plan and thoughts included."""
    message = json.loads(case.body)["message"]
    choice = collect(events_of(case)).choices[0]
    calls = [
        {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
        for c in choice.calls
    ]
    answer = {
        "role": "assistant",
        "content": choice.text or None,
        "reasoning_details": choice.reasoning_details or None,
        "tool_calls": calls or None,
    }
    thinks = any("thinking" in content for content in message.get("content") or ())
    endpoint = msgspec.structs.replace(an_endpoint("cohere"), reasoning=Reasoning(supported=thinks))
    history = [{"role": "user", "content": "Hi"}, answer, {"role": "user", "content": "And?"}]
    request = OpenAIChat().decode(msgspec.json.encode({"messages": history}))
    sent = json.loads(ADAPTER.encode(request, endpoint, KEY).body)["messages"][1]
    message.pop("citations", None)
    if not thinks and message.get("content"):
        message["content"] = message["content"][0]["text"]
    assert sent == {name: value for name, value in message.items() if value not in ("", [], None)}


@pytest.mark.parametrize("case", FAILED, ids=repr)
def test_an_answer_that_ends_with_an_error_is_a_failure_behind_its_events(case: Recording) -> None:
    said = read_cohere(case.body, is_sse=True)
    decoder = ADAPTER.decoder(streamed=True)
    (choice,) = collect(decoder.feed(case.body)).choices
    assert choice.reasoning == said.plan
    with pytest.raises(UpstreamFailure) as caught:
        decoder.finish()
    assert caught.value.kind is FailureKind.SERVER
    assert caught.value.provider_code == said.error_type == "INVALID_TOOL_GENERATION"


@given(case=st.sampled_from(CHATS), at=st.integers(0), flip=st.integers(1, 255))
def test_a_damaged_answer_ends_in_events_or_a_typed_failure(
    case: Recording, at: int, flip: int
) -> None:
    damaged = bytearray(case.body)
    damaged[at % len(damaged)] ^= flip
    with suppress(UpstreamFailure):
        events_of(case, [bytes(damaged)])


def test_the_recorded_refusal_is_of_a_model_that_is_gone() -> None:
    case = REFUSAL_OF_V1
    assert ADAPTER.failure(case.status, case.headers, case.body).kind is FailureKind.MODEL_NOT_FOUND


# --- requests -----------------------------------------------------------------------------------------

KEY = Credential("https://api.cohere.com/v2", "key", {})


def as_openai(recorded: dict[str, Any]) -> dict[str, Any]:
    """The request in the OpenAI dialect; Cohere's own fields stay as they are."""
    body = {name: value for name, value in recorded.items() if name != "model"}
    body["messages"] = [_message(message) for message in recorded["messages"]]
    if "tool_choice" in body:
        body["tool_choice"] = {"REQUIRED": "required", "NONE": "none"}[body["tool_choice"]]
    if "stop_sequences" in body:
        body["stop"] = body.pop("stop_sequences")
    if "thinking" in body:
        body["reasoning"] = {"enabled": body.pop("thinking")["type"] == "enabled"}
    wanted = body.get("response_format", {})
    schema = wanted.get("json_schema") or wanted.get("schema")
    if schema:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": schema},
        }
    return body


def _message(message: dict[str, Any]) -> dict[str, Any]:
    message = dict(message)
    if "tool_plan" in message:
        message["reasoning"] = message.pop("tool_plan")
    return message


def build(case: Recording) -> dict[str, Any]:
    endpoint = an_endpoint(
        "cohere",
        model=f"cohere/{case.request['model']}",
        supported=frozenset(),
        max_completion_tokens=8000,
    )
    thinks = "thinking" in case.request
    endpoint = msgspec.structs.replace(endpoint, reasoning=Reasoning(supported=thinks))
    request = OpenAIChat().decode(msgspec.json.encode(as_openai(case.request)))
    sent = ADAPTER.encode(request, endpoint, KEY)
    assert sent.url == "https://api.cohere.com/v2/chat"
    assert ("authorization", "Bearer key") in sent.headers
    body: dict[str, Any] = json.loads(sent.body)
    return body


@cache
def cohere_types() -> dict[str, TypeAdapter[Any]]:
    """What the official client takes, by field."""
    parameters = inspect.signature(cohere.ClientV2.chat).parameters
    return {
        name: TypeAdapter(parameter.annotation)
        for name, parameter in parameters.items()
        if name not in ("self", "request_options")
    }


@pytest.mark.parametrize("case", CHATS, ids=repr)
def test_what_we_send_is_of_coheres_own_types(case: Recording) -> None:
    body = build(case)
    assert body.pop("stream") is case.streamed
    for name, value in body.items():
        cohere_types()[name].validate_python(value)


@pytest.mark.parametrize("case", CHATS, ids=repr)
def test_what_we_send_is_what_was_recorded(case: Recording) -> None:
    """The same words, parts, tools and settings, in the same places."""
    assert normal(build(case)) == normal(case.request)


def normal(request: dict[str, Any]) -> Any:
    """A request without what means nothing: empty parts, key order, and where a thing has two spellings."""
    request = json.loads(json.dumps(request))
    system = []
    for message in request["messages"]:
        content = message.get("content")
        if message["role"] != "user" and isinstance(content, list):
            if all(part["type"] == "text" for part in content):
                message["content"] = "".join(part["text"] for part in content)
        if isinstance(content, list) and len(content) == 1 and content[0]["type"] == "text":
            message["content"] = content[0]["text"]
        if message["role"] == "assistant" and not message.get("content"):
            message.pop("content", None)
        if message["role"] == "system":
            system.append(message["content"])
    request["messages"] = [m for m in request["messages"] if m["role"] != "system"]
    request["system"] = "".join(system)
    wanted = request.get("response_format")
    if wanted and "schema" in wanted:
        wanted["json_schema"] = wanted.pop("schema")
    if request.get("thinking"):
        request["thinking"].pop("token_budget", None)
    return request
