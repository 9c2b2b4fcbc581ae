"""The official OpenRouter client for Python, unmodified but for base URL and key; each case in both its forms.

It validates every answer and every chunk strictly, so a missing field fails here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

import httpx
import pytest
from openrouter import OpenRouter
from openrouter.errors import (
    BadRequestResponseError,
    NotFoundResponseError,
    TooManyRequestsResponseError,
    UnauthorizedResponseError,
)
from pydantic import BaseModel

from fairlead.testing.serving import RunningFairlead, RunningTwinProcess
from tests.clients.conftest import UNPROVIDED, Prompt
from tests.clients.either import each, every, told

pytestmark = pytest.mark.anyio

MODEL = "openai/gpt-4o-mini"
REASONER = "deepseek/deepseek-r1"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Verdict(BaseModel):
    mood: Literal["good", "bad"]
    score: int


class Client:
    """Either form of each method, by one name: `await client(client.sdk.chat, "send", ...)`."""

    def __init__(self, sdk: OpenRouter, suffix: str) -> None:
        self.sdk = sdk
        self._suffix = suffix

    async def __call__(self, namespace: object, method: str, **arguments: Any) -> Any:
        return await told(getattr(namespace, method + self._suffix)(**arguments))

    async def chat(self, **arguments: Any) -> Any:
        return await self(self.sdk.chat, "send", **arguments)


@pytest.fixture(params=["", "_async"], ids=["sync", "async"])
async def connect(request, fairlead: RunningFairlead):
    """Makes clients; without arguments, one with the good key."""
    # Given clients of our own, so that they are closed when the test ends, and not when they are collected.
    with httpx.Client() as http:
        async with httpx.AsyncClient() as http_async:

            def make(key: str = fairlead.key, **arguments: Any) -> Client:
                sdk = OpenRouter(
                    api_key=key,
                    server_url=fairlead.openrouter_url,
                    client=http,
                    async_client=http_async,
                    **arguments,
                )
                return Client(sdk, request.param)

            yield make


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    return connect()


async def test_chat(client: Client, prompt: Prompt):
    answer = await client.chat(model=MODEL, messages=prompt.messages())
    (choice,) = answer.choices
    assert answer.id.startswith("gen-")
    assert answer.model == MODEL
    assert (choice.message.content, choice.finish_reason) == (prompt(), "stop")


async def test_usage_and_cost_are_readable(client: Client, prompt: Prompt):
    answer = await client.chat(model=MODEL, messages=prompt.messages(tokens=7, cached_tokens=4))
    usage = answer.usage
    assert (usage.completion_tokens, usage.prompt_tokens_details.cached_tokens) == (7, 4)
    assert usage.cost > 0
    assert usage.is_byok is False
    details = usage.cost_details
    parts = details.upstream_inference_prompt_cost + details.upstream_inference_completions_cost
    assert parts == pytest.approx(usage.cost, abs=2e-9)


async def test_stream(client: Client, prompt: Prompt):
    chunks = await every(await client.chat(model=MODEL, messages=prompt.messages(), stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == prompt()
    reasons = [chunk.choices[0].finish_reason for chunk in chunks]
    assert [reason for reason in reasons if reason is not None] == ["stop"]
    assert [chunk for chunk in chunks if chunk.usage] == chunks[-1:]
    assert chunks[-1].usage.cost > 0


async def test_tools_round_trip(client: Client, prompt: Prompt):
    messages: list[Any] = prompt.messages("What is the weather?")
    first = await client.chat(model=MODEL, messages=messages, tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls
    assert (call.function.name, set(json.loads(call.function.arguments))) == (
        "get_weather",
        {"city"},
    )
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"}
    second = await client.chat(
        model=MODEL, messages=[*messages, first.choices[0].message, result], tools=[WEATHER]
    )
    assert second.choices[0].message.content == "The tools say: sunny, 21 degrees"


async def test_stream_with_tools(client: Client, prompt: Prompt):
    stream = await client.chat(
        model=MODEL, messages=prompt.messages(), tools=[WEATHER], stream=True
    )
    names, arguments, reasons = [], "", []
    async for chunk in each(stream):
        for call in chunk.choices[0].delta.tool_calls or ():
            names += [call.function.name] if call.function.name else []
            arguments += call.function.arguments or ""
        reasons.append(chunk.choices[0].finish_reason)
    assert (names, set(json.loads(arguments))) == (["get_weather"], {"city"})
    assert "tool_calls" in reasons


async def test_structured_output(client: Client, prompt: Prompt):
    answer = await client.chat(
        model=MODEL,
        messages=prompt.messages(),
        response_format={
            "type": "json_schema",
            "json_schema": {
                "name": "verdict",
                "strict": True,
                "schema": Verdict.model_json_schema(),
            },
        },
    )
    Verdict.model_validate_json(answer.choices[0].message.content)


async def test_reasoning_is_readable(client: Client, prompt: Prompt):
    messages = prompt.messages(reasoning_tokens=8, tokens=3)
    answer = await client.chat(model=REASONER, messages=messages)
    message = answer.choices[0].message
    assert message.reasoning
    assert [detail.text for detail in message.reasoning_details] == [message.reasoning]
    assert answer.usage.completion_tokens_details.reasoning_tokens == 8
    deltas = [
        chunk.choices[0].delta
        async for chunk in each(await client.chat(model=REASONER, messages=messages, stream=True))
    ]
    assert "".join(delta.reasoning or "" for delta in deltas) == message.reasoning
    details = [detail for delta in deltas for detail in delta.reasoning_details or ()]
    assert "".join(detail.text for detail in details) == message.reasoning


async def test_models_are_listed(client: Client):
    listed = await client(client.sdk.models, "list", limit=1000)
    models = {model.id: model for model in listed.result.data}
    assert len(models) > 400
    assert "reasoning" in models["openai/o1"].supported_parameters


async def test_a_generation_is_found_as_soon_as_it_has_ended(client: Client, prompt: Prompt):
    chunks = await every(await client.chat(model=MODEL, messages=prompt.messages(), stream=True))
    usage = chunks[-1].usage
    found = (await client(client.sdk.generations, "get_generation", id=chunks[0].id)).data
    assert (found.id, found.model, found.provider_name) == (chunks[0].id, MODEL, "OpenAI")
    assert found.total_cost == pytest.approx(usage.cost, abs=1e-9)
    assert (found.native_tokens_prompt, found.native_tokens_completion) == (
        usage.prompt_tokens,
        usage.completion_tokens,
    )
    assert (found.streamed, found.cancelled, found.finish_reason) == (True, False, "stop")


async def test_attribution_is_recorded(connect: Callable[..., Client], prompt: Prompt):
    client = connect(http_referer="https://app.example", x_open_router_title="An App")
    answer = await client.chat(model=MODEL, messages=prompt.messages())
    found = (await client(client.sdk.generations, "get_generation", id=answer.id)).data
    assert found.http_referer == "https://app.example"


async def test_bad_requests_are_typed(client: Client, prompt: Prompt):
    with pytest.raises(BadRequestResponseError) as refused:
        await client.chat(model=MODEL, messages=prompt.messages(), temperature=3.5)
    assert refused.value.data.error.code == 400
    assert "temperature" in refused.value.data.error.message
    with pytest.raises(BadRequestResponseError):
        await client.chat(model="openai/no-such-model", messages=prompt.messages())
    with pytest.raises(BadRequestResponseError):
        await client.chat(model=MODEL, messages=[])


async def test_an_unknown_key_is_typed(connect: Callable[..., Client], prompt: Prompt):
    stranger = connect("sk-fl-v1-" + "0" * 64)
    with pytest.raises(UnauthorizedResponseError) as refused:
        await stranger.chat(model=MODEL, messages=prompt.messages(), stream=True)
    assert refused.value.data.error.code == 401


async def test_what_is_not_there_is_typed(client: Client, prompt: Prompt):
    with pytest.raises(NotFoundResponseError):
        await client.chat(model=UNPROVIDED, messages=prompt.messages())
    with pytest.raises(NotFoundResponseError):
        await client(client.sdk.models, "get", author="openai", slug="no-such-model")
    with pytest.raises(NotFoundResponseError):
        await client(client.sdk.generations, "get_generation", id="gen-none")


async def test_an_unknown_path_is_typed(client: Client):
    with pytest.raises(NotFoundResponseError) as refused:
        await client(client.sdk.workspaces, "get", id="no/such/workspace")
    assert refused.value.data.error.code == 404


async def test_a_rate_limit_is_typed(client: Client, prompt: Prompt):
    with pytest.raises(TooManyRequestsResponseError) as limited:
        await client.chat(
            model="openai/gpt-4.1-nano",
            messages=prompt.messages(status=429, retry_after=7),
            retries=None,
        )
    assert limited.value.data.error.code == 429
    assert limited.value.headers["retry-after"] == "7"


async def test_a_broken_stream_says_so(client: Client, prompt: Prompt):
    stream = await client.chat(
        model="openai/gpt-4.1-nano",
        messages=prompt.messages(tokens=20, cut_after_events=5),
        stream=True,
    )
    chunks = await every(stream)
    assert chunks[-1].error.code == 502
    assert chunks[-1].choices[0].finish_reason == "error"


async def test_cancelling_in_mid_stream_reaches_the_upstream(
    client: Client, prompt: Prompt, twin: RunningTwinProcess
):
    stream = await client.chat(
        model=MODEL, messages=prompt.messages(tokens=2000, delay_between_ms=20), stream=True
    )
    items = each(stream)
    for _ in range(3):
        await anext(items)
    await told(stream.response.aclose() if hasattr(stream, "__aiter__") else stream.close())
    (call,) = twin.calls(prompt.tag)
    assert call["state"] == "cancelled"
    assert call["chunks"] < 2000


AT_ONCE = {"delay_first_ms": 0, "delay_between_ms": 0}
CLAUDE = "anthropic/claude-sonnet-4.5"
RESPONSES: dict[str, tuple[str, dict[str, object], dict[str, object]]] = {
    "text": (MODEL, {}, {}),
    "unsigned reasoning": (REASONER, {"reasoning_tokens": 3, "tokens": 2, **AT_ONCE}, {}),
    "signed reasoning": (
        CLAUDE,
        {"reasoning_tokens": 3, "tokens": 2, **AT_ONCE},
        {"reasoning": {"effort": "low"}},
    ),
    "a call": (MODEL, {}, {"tools": [{"type": "function", "strict": None, **WEATHER["function"]}]}),
    "the limit": (MODEL, {"tokens": 40}, {"max_output_tokens": 20}),
}


@pytest.mark.parametrize("case", RESPONSES)
async def test_responses_satisfy_a_client_that_checks_every_field(
    client: Client, prompt: Prompt, case: str
):
    model, directives, fields = RESPONSES[case]
    ask = {"model": model, "input": prompt(**directives), **fields}
    whole = await client(client.sdk.responses, "send", **ask)
    assert whole.status == ("incomplete" if case == "the limit" else "completed")
    events = await every(await client(client.sdk.responses, "send", **ask, stream=True))
    assert events[-1].type == f"response.{whole.status}"
    assert [item.type for item in events[-1].response.output] == [i.type for i in whole.output]
    # What it does not recognise, it hands out as an object of a class that says so.
    assert not [event for event in events if "Unknown" in type(event).__name__]
