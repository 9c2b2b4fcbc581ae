"""The official clients read everything that the twin says; Gemini, whose client is heavy, by shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from pydantic import BaseModel

from fairlead.core.sse import SSEDecoder
from fairlead.testing.twin import FAULT_HEADER, RunningTwin

_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
}
_HELLO: Any = [{"role": "user", "content": "Hello there, friend!"}]
_OPENAI_TOOLS: Any = [
    {"type": "function", "function": {"name": "forecast", "parameters": _SCHEMA}},
    {"type": "function", "function": {"name": "clock"}},
]
_ANTHROPIC_TOOLS: Any = [{"name": "forecast", "input_schema": _SCHEMA}]


@pytest.fixture(scope="module")
def openai_client(twin: RunningTwin) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{twin.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def anthropic_client(twin: RunningTwin) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=twin.url, api_key="any", max_retries=0) as client:
        yield client


# --- OpenAI -----------------------------------------------------------------------------------------


def test_openai_whole_with_logprobs_and_choices(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(
        model="echo", messages=_HELLO, n=2, logprobs=True, top_logprobs=3
    )
    assert [choice.message.content for choice in answer.choices] == ["Hello there, friend!"] * 2
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 10
    assert answer.system_fingerprint
    logprobs = answer.choices[1].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(entry.token for entry in logprobs.content) == "Hello there, friend!"
    assert {len(entry.top_logprobs) for entry in logprobs.content} == {3}


def test_openai_stream_says_what_the_whole_says(openai_client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {
        "model": "reasoner", "messages": _HELLO, "reasoning_effort": "minimal",
        "extra_headers": {FAULT_HEADER: "delay_first_ms=0;delay_between_ms=0"},
    }  # fmt: skip
    whole = openai_client.chat.completions.create(**ask)
    chunks = list(
        openai_client.chat.completions.create(
            **ask, stream=True, stream_options={"include_usage": True}
        )
    )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(d.content or "" for d in deltas) == whole.choices[0].message.content
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thought == whole.choices[0].message.reasoning_content  # type: ignore[attr-defined]
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-2].choices[0].finish_reason == "stop"


def test_openai_tools_round_trip_streamed(openai_client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": "forecast and clock please"}]
    with openai_client.chat.completions.stream(
        model="tools", messages=messages, tools=_OPENAI_TOOLS
    ) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls is not None
    assert [call.function.name for call in message.tool_calls] == ["forecast", "clock"]
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "text", "days": 2}
    assert len({call.id for call in message.tool_calls}) == 2
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name}: fine"}
        for call in message.tool_calls
    ]
    history: Any = [*messages, message.model_dump(exclude_none=True), *results]
    final = openai_client.chat.completions.create(
        model="tools", messages=history, tools=_OPENAI_TOOLS
    )
    assert final.choices[0].message.content == "The tools say: forecast: fine clock: fine"


def test_openai_structured_output_parses(openai_client: openai.OpenAI) -> None:
    class Plan(BaseModel):
        city: str
        stops: list[int]

    answer = openai_client.chat.completions.parse(
        model="echo", messages=_HELLO, response_format=Plan
    )
    assert isinstance(answer.choices[0].message.parsed, Plan)


def test_openai_legacy_completions_models_and_embeddings(openai_client: openai.OpenAI) -> None:
    whole = openai_client.completions.create(
        model="echo", prompt="left, right", stop=",", logprobs=1
    )
    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("left", "stop")
    chunks = openai_client.completions.create(model="echo", prompt="left, right", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "left, right"
    assert "embed" in [model.id for model in openai_client.models.list()]
    # The client asks for base64 by default and for plain numbers when told to.
    packed = openai_client.embeddings.create(model="embed", input=["a", "b"], dimensions=8)
    plain = openai_client.embeddings.create(
        model="embed", input=["a", "b"], dimensions=8, encoding_format="float"
    )
    for one, other in zip(packed.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert len(one.embedding) == 8


def test_openai_images_count(openai_client: openai.OpenAI) -> None:
    image = {
        "type": "image_url",
        "image_url": {"url": "https://example.com/a.png", "detail": "low"},
    }
    content = [{"type": "text", "text": "Look"}, image]
    messages: Any = [{"role": "user", "content": content}]
    answer = openai_client.chat.completions.create(model="echo", messages=messages)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 1 + 4 + 85


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_openai_errors_are_typed(
    openai_client: openai.OpenAI, status: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        openai_client.chat.completions.create(model=f"echo!status={status}", messages=_HELLO)


# --- Anthropic --------------------------------------------------------------------------------------


def test_anthropic_stream_says_what_the_whole_says(anthropic_client: anthropic.Anthropic) -> None:
    ask: dict[str, Any] = {
        "model": "reasoner", "max_tokens": 500, "messages": _HELLO,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "extra_headers": {FAULT_HEADER: "delay_first_ms=0;delay_between_ms=0;cached_tokens=3"},
    }  # fmt: skip
    whole = anthropic_client.messages.create(**ask)
    with anthropic_client.messages.stream(**ask) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert [b.model_dump() for b in streamed.content] == [b.model_dump() for b in whole.content]
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert whole.usage.cache_read_input_tokens == 3
    assert (whole.stop_reason, streamed.stop_reason) == ("end_turn", "end_turn")
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")


def test_anthropic_tools_round_trip_streamed(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(
        model="tools", max_tokens=100, messages=_HELLO, tools=_ANTHROPIC_TOOLS
    ) as stream:
        message = stream.get_final_message()
    (call,) = message.content
    assert (call.type, message.stop_reason) == ("tool_use", "tool_use")
    assert call.input == {"city": "text", "days": 2}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    history: Any = [
        *_HELLO,
        {"role": "assistant", "content": [call.model_dump(exclude_none=True)]},
        {"role": "user", "content": [result]},
    ]
    final = anthropic_client.messages.create(
        model="tools", max_tokens=100, messages=history, tools=_ANTHROPIC_TOOLS
    )
    assert final.content[0].type == "text"
    assert final.content[0].text == "The tools say: sunny"


def test_anthropic_limit_and_stop_sequence_are_named(anthropic_client: anthropic.Anthropic) -> None:
    short = anthropic_client.messages.create(model="echo", max_tokens=2, messages=_HELLO)
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 2)
    stopped = anthropic_client.messages.create(
        model="echo", max_tokens=50, messages=_HELLO, stop_sequences=[", fr"]
    )
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", ", fr")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (429, anthropic.RateLimitError),
        (529, anthropic.APIStatusError),
    ],
)
def test_anthropic_errors_are_typed(
    anthropic_client: anthropic.Anthropic, status: int, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        anthropic_client.messages.create(
            model=f"echo!status={status}", max_tokens=9, messages=_HELLO
        )
    assert caught.value.body["type"] == "error"  # type: ignore[attr-defined]


def test_anthropic_error_in_band_is_raised(anthropic_client: anthropic.Anthropic) -> None:
    with (
        anthropic_client.messages.stream(
            model="echo!error_event_after=4", max_tokens=50, messages=_HELLO
        ) as stream,
        pytest.raises(anthropic.APIStatusError),
    ):
        stream.until_done()


# --- Gemini -----------------------------------------------------------------------------------------


def _gemini(twin: RunningTwin, model: str, verb: str, **fields: Any) -> httpx.Response:
    body = {"contents": [{"role": "user", "parts": [{"text": "Hello there, friend!"}]}], **fields}
    with httpx.Client(base_url=twin.url, trust_env=False) as client:
        return client.post(f"/v1beta/models/{model}:{verb}", json=body)


def _sse(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(data) for _, data in SSEDecoder().feed(body)]


def _said(answer: dict[str, Any]) -> str:
    return "".join(p.get("text", "") for p in answer["candidates"][0]["content"]["parts"])


def test_gemini_three_ways_say_the_same(twin: RunningTwin) -> None:
    whole = _gemini(twin, "echo", "generateContent").json()
    events = _sse(_gemini(twin, "echo", "streamGenerateContent?alt=sse").content)
    array = _gemini(twin, "echo", "streamGenerateContent").json()
    assert _said(whole) == "Hello there, friend!"
    assert "".join(map(_said, events)) == "".join(map(_said, array)) == _said(whole)
    assert events[-1]["usageMetadata"] == array[-1]["usageMetadata"] == whole["usageMetadata"]
    assert events[-1]["candidates"][0]["finishReason"] == "STOP"
    assert all("finishReason" not in event["candidates"][0] for event in events[:-1])
    assert len({event["responseId"] for event in events}) == 1


def test_gemini_thoughts_stand_beside_the_candidates_tokens(twin: RunningTwin) -> None:
    config = {"thinkingConfig": {"thinkingBudget": 20}, "maxOutputTokens": 200}
    answer = _gemini(
        twin, "reasoner!delay_ms=0;first_ms=0", "generateContent", generationConfig=config
    ).json()
    usage = answer["usageMetadata"]
    parts = answer["candidates"][0]["content"]["parts"]
    assert (usage["thoughtsTokenCount"], parts[0]["thought"]) == (20, True)
    assert usage["totalTokenCount"] == (
        usage["promptTokenCount"] + usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    )


def test_gemini_calls_come_whole_and_their_results_are_reported(twin: RunningTwin) -> None:
    tools = [{"functionDeclarations": [{"name": "forecast", "parameters": _SCHEMA}]}]
    expected = {"name": "forecast", "args": {"city": "text", "days": 2}}
    whole = _gemini(twin, "tools", "generateContent", tools=tools).json()
    events = _sse(_gemini(twin, "tools", "streamGenerateContent?alt=sse", tools=tools).content)
    assert whole["candidates"][0]["content"]["parts"] == [{"functionCall": expected}]
    assert events[-1]["candidates"][0]["content"]["parts"] == [{"functionCall": expected}]
    result = {"functionResponse": {"name": "forecast", "response": {"sky": "blue"}}}
    history = [
        {"role": "user", "parts": [{"text": "forecast?"}]},
        {"role": "model", "parts": [{"functionCall": expected}]},
        {"role": "user", "parts": [result]},
    ]
    final = _gemini(twin, "tools", "generateContent", tools=tools, contents=history).json()
    assert _said(final) == 'The tools say: {"sky":"blue"}'


def test_gemini_errors_have_code_status_and_retry_delay(twin: RunningTwin) -> None:
    error = _gemini(twin, "echo!status=429;retry_after=3", "generateContent").json()["error"]
    assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert error["details"][0]["retryDelay"] == "3s"
