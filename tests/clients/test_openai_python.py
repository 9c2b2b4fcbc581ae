"""The official OpenAI client for Python, unmodified but for base URL and key; each case in both its forms."""

from __future__ import annotations

import json
from typing import Literal

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from fairlead.testing.serving import RunningFairlead, RunningTwinProcess
from tests.clients.conftest import UNPROVIDED, Prompt
from tests.clients.either import each, every, told

pytestmark = pytest.mark.anyio

MODEL = "openai/gpt-4o-mini"
REASONER = "deepseek/deepseek-r1"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


class Verdict(BaseModel):
    mood: Literal["good", "bad"]
    score: int


@pytest.fixture(params=[OpenAI, AsyncOpenAI], ids=["sync", "async"])
async def client(request, fairlead: RunningFairlead):
    made = request.param(base_url=fairlead.openai_url, api_key=fairlead.key)
    yield made
    await told(made.close())


async def test_chat(client, prompt: Prompt):
    answer = await told(client.chat.completions.create(model=MODEL, messages=prompt.messages()))
    (choice,) = answer.choices
    assert answer.id.startswith("gen-")
    assert (answer.object, answer.model) == ("chat.completion", MODEL)
    assert (choice.message.role, choice.message.content) == ("assistant", prompt())
    assert choice.finish_reason == "stop"
    assert choice.message.refusal is None
    assert answer.provider == "OpenAI"


async def test_usage_and_cost_are_readable(client, prompt: Prompt):
    answer = await told(
        client.chat.completions.create(
            model=MODEL, messages=prompt.messages(cached_tokens=4, tokens=7)
        )
    )
    usage = answer.usage
    assert usage.completion_tokens == 7
    assert usage.total_tokens == usage.prompt_tokens + 7
    assert usage.prompt_tokens_details.cached_tokens == 4
    assert usage.completion_tokens_details.reasoning_tokens == 0
    dollars = ((usage.prompt_tokens - 4) * 0.15 + 4 * 0.075 + 7 * 0.60) / 1e6
    assert usage.cost == pytest.approx(dollars, abs=1e-9)


async def test_stream(client, prompt: Prompt):
    stream = await told(
        client.chat.completions.create(model=MODEL, messages=prompt.messages(), stream=True)
    )
    chunks = await every(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == prompt()
    assert chunks[0].choices[0].delta.role == "assistant"
    reasons = [chunk.choices[0].finish_reason for chunk in chunks]
    assert [reason for reason in reasons if reason is not None] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    # Usage comes unasked, once, at the very end.
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].usage.cost > 0


async def test_the_streaming_context_sees_content_and_a_final_answer(client, prompt: Prompt):
    manager = client.chat.completions.stream(model=MODEL, messages=prompt.messages())
    if isinstance(client, AsyncOpenAI):
        async with manager as stream:
            events = await every(stream)
            final = await stream.get_final_completion()
    else:
        with manager as stream:
            events = await every(stream)
            final = stream.get_final_completion()
    assert final.choices[0].message.content == prompt()
    assert final.usage.total_tokens > 0
    assert [event.content for event in events if event.type == "content.done"] == [prompt()]


async def test_tools_round_trip(client, prompt: Prompt):
    messages = prompt.messages("What is the weather?")
    first = await told(
        client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    )
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    # The message goes back as the client has it, with every field of ours in it.
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"}
    second = await told(
        client.chat.completions.create(
            model=MODEL, messages=[*messages, first.choices[0].message, result], tools=[WEATHER]
        )
    )
    assert second.choices[0].message.content == "The tools say: sunny, 21 degrees"


async def test_stream_with_tools(client, prompt: Prompt):
    stream = await told(
        client.chat.completions.create(
            model=MODEL, messages=prompt.messages(), tools=[WEATHER], stream=True
        )
    )
    names, arguments, reasons = [], "", []
    async for chunk in each(stream):
        for call in chunk.choices[0].delta.tool_calls or ():
            assert call.index == 0
            names += [call.function.name] if call.function.name else []
            arguments += call.function.arguments or ""
        reasons.append(chunk.choices[0].finish_reason)
    assert names == ["get_weather"]
    assert set(json.loads(arguments)) == {"city"}
    assert "tool_calls" in reasons


async def test_structured_output_through_parse(client, prompt: Prompt):
    answer = await told(
        client.chat.completions.parse(
            model=MODEL, messages=prompt.messages(), response_format=Verdict
        )
    )
    assert isinstance(answer.choices[0].message.parsed, Verdict)


async def test_tool_arguments_through_parse(client, prompt: Prompt):
    answer = await told(
        client.chat.completions.parse(
            model=MODEL,
            messages=prompt.messages(),
            tools=[openai.pydantic_function_tool(Verdict, name="judge")],
            tool_choice={"type": "function", "function": {"name": "judge"}},
        )
    )
    (call,) = answer.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Verdict)


async def test_reasoning_is_readable(client, prompt: Prompt):
    messages = prompt.messages(reasoning_tokens=8, tokens=3)
    answer = await told(client.chat.completions.create(model=REASONER, messages=messages))
    message = answer.choices[0].message
    assert message.reasoning
    (detail,) = message.reasoning_details
    assert (detail["type"], detail["text"]) == ("reasoning.text", message.reasoning)
    assert answer.usage.completion_tokens_details.reasoning_tokens == 8
    stream = await told(
        client.chat.completions.create(model=REASONER, messages=messages, stream=True)
    )
    deltas = [chunk.choices[0].delta async for chunk in each(stream)]
    assert "".join(getattr(delta, "reasoning", None) or "" for delta in deltas) == message.reasoning
    assert "".join(delta.content or "" for delta in deltas) == message.content


async def test_legacy_completions(client, prompt: Prompt):
    model = "openai/gpt-3.5-turbo-instruct"
    answer = await told(client.completions.create(model=model, prompt=prompt(), max_tokens=100))
    assert (answer.object, answer.choices[0].text) == ("text_completion", prompt())
    assert answer.usage.cost > 0
    stream = await told(
        client.completions.create(model=model, prompt=prompt(), max_tokens=100, stream=True)
    )
    chunks = await every(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks) == prompt()
    assert chunks[-1].usage.completion_tokens == answer.usage.completion_tokens


async def test_models_list_and_retrieve(client):
    models = {model.id: model async for model in each(await told(client.models.list()))}
    assert len(models) > 500
    assert models["openai/o1"].owned_by == "openai"
    # The client escapes the slash in the path.
    one = await told(client.models.retrieve("openai/o1"))
    assert (one.id, one.object) == ("openai/o1", "model")


async def test_bare_model_names_are_the_authors(client, prompt: Prompt):
    answer = await told(
        client.chat.completions.create(model="gpt-4o-mini", messages=prompt.messages())
    )
    assert answer.model == MODEL


async def test_bad_requests_are_typed(client, prompt: Prompt):
    with pytest.raises(openai.BadRequestError) as wrong_type:
        await told(
            client.chat.completions.create(
                model=MODEL, messages=prompt.messages(), temperature="hot"
            )
        )
    assert wrong_type.value.body["code"] == 400
    assert "temperature" in wrong_type.value.message
    with pytest.raises(openai.BadRequestError):
        await told(client.chat.completions.create(model=MODEL, messages=[]))
    with pytest.raises(openai.BadRequestError, match="gpt-4o-mini"):  # the name that is near
        await told(
            client.chat.completions.create(model="openai/gpt-4o-mimi", messages=prompt.messages())
        )


async def test_an_unknown_key_is_typed(client, prompt: Prompt):
    stranger = client.with_options(api_key="sk-fl-v1-" + "0" * 64)
    with pytest.raises(openai.AuthenticationError) as refused:
        await told(
            stranger.chat.completions.create(model=MODEL, messages=prompt.messages(), stream=True)
        )
    assert refused.value.body["code"] == 401


async def test_what_is_not_there_is_typed(client, prompt: Prompt):
    with pytest.raises(openai.NotFoundError) as unknown_path:
        await told(client.post("/no/such/path", body={}, cast_to=object))
    assert unknown_path.value.body["code"] == 404
    with pytest.raises(openai.NotFoundError):
        await told(client.models.retrieve("openai/no-such-model"))
    with pytest.raises(openai.NotFoundError, match="api_key"):  # the setting that is missing
        await told(client.chat.completions.create(model=UNPROVIDED, messages=prompt.messages()))


async def test_a_rate_limit_is_typed(client, prompt: Prompt):
    hasty = client.with_options(max_retries=0)
    with pytest.raises(openai.RateLimitError) as limited:
        await told(
            hasty.chat.completions.create(
                model="openai/gpt-4.1-nano", messages=prompt.messages(status=429, retry_after=7)
            )
        )
    assert limited.value.body["code"] == 429
    assert limited.value.response.headers["retry-after"] == "7"


async def test_a_broken_stream_is_an_error(client, prompt: Prompt):
    stream = await told(
        client.chat.completions.create(
            model="openai/gpt-4.1-nano",
            messages=prompt.messages(tokens=20, cut_after_events=5),
            stream=True,
        )
    )
    items = each(stream)
    texts = [(await anext(items)).choices[0].delta.content for _ in range(3)]
    assert any(texts)
    with pytest.raises(openai.APIError):
        await every(items)


async def test_cancelling_in_mid_stream_reaches_the_upstream(
    client, prompt: Prompt, twin: RunningTwinProcess
):
    stream = await told(
        client.chat.completions.create(
            model=MODEL,
            messages=prompt.messages(tokens=2000, delay_between_ms=20),
            stream=True,
        )
    )
    items = each(stream)
    for _ in range(3):
        await anext(items)
    await told(stream.close())
    (call,) = twin.calls(prompt.tag)
    assert call["state"] == "cancelled"
    assert call["chunks"] < 2000


async def test_giving_up_on_a_whole_answer_reaches_the_upstream(
    client, prompt: Prompt, twin: RunningTwinProcess
):
    impatient = client.with_options(timeout=0.5, max_retries=0)
    with pytest.raises(openai.APITimeoutError):
        await told(impatient.chat.completions.create(model=MODEL, messages=prompt.messages(hang=1)))
    (call,) = twin.calls(prompt.tag)
    assert call["state"] == "cancelled"
