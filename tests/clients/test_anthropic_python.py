"""The official Anthropic client for Python, unmodified but for base URL and key; each case in both its forms.

Cases about content run twice: with a provider that speaks Messages itself, and with one that does not.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from pydantic import BaseModel

from fairlead.testing.serving import RunningFairlead, RunningTwinProcess
from tests.clients.conftest import UNPROVIDED, Prompt
from tests.clients.either import each, every, told

pytestmark = pytest.mark.anyio

CLAUDE = "anthropic/claude-sonnet-4.5"
GPT = "openai/gpt-4o-mini"
FAULTY = "openai/gpt-4.1-nano"
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
CLOCK = {"name": "clock", "input_schema": {"type": "object", "properties": {}}}


class Verdict(BaseModel):
    mood: Literal["good", "bad"]
    score: int


@pytest.fixture(params=[Anthropic, AsyncAnthropic], ids=["sync", "async"])
async def client(request, fairlead: RunningFairlead):
    made = request.param(base_url=fairlead.anthropic_url, api_key=fairlead.key, max_retries=0)
    yield made
    await told(made.close())


@pytest.fixture(params=[CLAUDE, GPT], ids=["native", "translated"])
def model(request) -> str:
    return request.param


async def created(client: Any, **fields: Any) -> Any:
    return await told(client.messages.create(**{"max_tokens": 4000, **fields}))


async def streamed(client: Any, **fields: Any) -> tuple[list[Any], Any]:
    """(the events of the client's own accumulator, the message it has put together)"""
    manager = client.messages.stream(**{"max_tokens": 4000, **fields})
    if isinstance(client, AsyncAnthropic):
        async with manager as stream:
            return await every(stream), await stream.get_final_message()
    with manager as stream:
        return await every(stream), stream.get_final_message()


async def test_create(client, model: str, prompt: Prompt):
    answer = await created(client, model=model, messages=prompt.messages())
    (block,) = answer.content
    assert answer.id.startswith("gen-")
    assert (answer.type, answer.role, answer.model) == ("message", "assistant", model)
    assert (block.type, block.text) == ("text", prompt())
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None)
    assert answer._request_id


async def test_either_of_the_clients_key_headers_is_taken(fairlead: RunningFairlead, prompt):
    with Anthropic(base_url=fairlead.anthropic_url, auth_token=fairlead.key) as client:
        answer = client.messages.create(model=GPT, max_tokens=100, messages=prompt.messages())
    assert answer.content[0].text == prompt()


async def test_the_root_of_the_server_serves_too(fairlead: RunningFairlead, prompt):
    with Anthropic(base_url=fairlead.url, api_key=fairlead.key) as client:
        answer = client.messages.create(model=GPT, max_tokens=100, messages=prompt.messages())
    assert answer.content[0].text == prompt()


async def test_the_beta_interface_is_served_at_the_same_address(client, model: str, prompt: Prompt):
    answer = await told(
        client.beta.messages.create(
            model=model,
            max_tokens=100,
            messages=prompt.messages(),
            betas=["context-management-2025-06-27", "no-such-beta-2026-01-01"],
            context_management={"edits": []},
        )
    )
    assert answer.content[0].text == prompt()


async def test_cache_reads_are_counted_beside_the_input(client, model: str, prompt: Prompt):
    some, none = (prompt.messages(cached_tokens=count, tokens=7) for count in (4, 0))
    usage = (await created(client, model=model, messages=some)).usage
    plain = (await created(client, model=model, messages=none)).usage
    assert (usage.output_tokens, usage.cache_read_input_tokens) == (7, 4)
    assert usage.cache_creation_input_tokens == 0
    assert usage.input_tokens == plain.input_tokens - 4
    assert 0 < usage.cost < plain.cost


async def test_the_accumulator_ends_with_what_was_streamed(client, model: str, prompt: Prompt):
    events, final = await streamed(client, model=model, messages=prompt.messages())
    assert "".join(event.text for event in events if event.type == "text") == prompt()
    assert final.content[0].text == prompt()
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 0
    assert final.usage.input_tokens > 0
    kinds = [event.type for event in events if event.type not in ("text", "ping")]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


async def test_raw_streams_carry_the_same_text(client, model: str, prompt: Prompt):
    stream = await created(client, model=model, messages=prompt.messages(), stream=True)
    text = ""
    async for event in each(stream):
        if event.type == "content_block_delta":
            text += event.delta.text
        if event.type == "message_delta":
            assert event.usage.cost > 0
    assert text == prompt()


async def test_tools_round_trip(client, model: str, prompt: Prompt):
    messages = prompt.messages("get_weather and clock, please")
    tools = [WEATHER, CLOCK]
    first = await created(client, model=model, messages=messages, tools=tools)
    calls = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [call.name for call in calls] == ["get_weather", "clock"]
    assert isinstance(calls[0].input["city"], str)
    assert len({call.id for call in calls}) == 2
    # The answer goes back as the client has it, with every field of ours in it.
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name} is fine"}
        for call in calls
    ]
    history = [
        *messages,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": results},
    ]
    second = await created(client, model=model, messages=history, tools=tools)
    assert second.content[0].text == "The tools say: get_weather is fine clock is fine"


async def test_streamed_tools_are_put_together_by_the_accumulator(client, model: str, prompt):
    events, final = await streamed(
        client, model=model, messages=prompt.messages("get_weather, clock"), tools=[WEATHER, CLOCK]
    )
    weather, clock = final.content
    assert (weather.name, set(weather.input), clock.name, clock.input) == (
        "get_weather", {"city"}, "clock", {},
    )  # fmt: skip
    partial = "".join(
        event.partial_json for event in events if event.type == "input_json" and event.partial_json
    )
    assert json.loads(partial.removesuffix("{}")) == weather.input
    assert final.stop_reason == "tool_use"


async def test_a_forced_tool_is_called(client, model: str, prompt: Prompt):
    answer = await created(
        client,
        model=model,
        messages=prompt.messages(),
        tools=[WEATHER, CLOCK],
        tool_choice={"type": "tool", "name": "clock"},
    )
    assert [block.name for block in answer.content if block.type == "tool_use"] == ["clock"]


async def test_structured_output_through_parse(client, model: str, prompt: Prompt):
    answer = await told(
        client.messages.parse(
            model=model, max_tokens=4000, messages=prompt.messages(), output_format=Verdict
        )
    )
    assert isinstance(answer.parsed_output, Verdict)


@pytest.mark.parametrize("thinker", [CLAUDE, "deepseek/deepseek-r1"], ids=["native", "translated"])
async def test_thinking_comes_in_blocks_that_can_be_handed_back(
    client, thinker: str, prompt: Prompt
):
    fields = {
        "model": thinker,
        "messages": prompt.messages(
            reasoning_tokens=8, tokens=3, delay_first_ms=0, delay_between_ms=0
        ),
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    whole = await created(client, **fields)
    thinking, text = whole.content
    assert (thinking.type, text.type) == ("thinking", "text")
    assert thinking.thinking
    assert thinking.signature or thinker != CLAUDE  # Claude wants its own thoughts back signed
    assert whole.usage.output_tokens == 11
    assert whole.usage.output_tokens_details.thinking_tokens == 8
    events, final = await streamed(client, **fields)
    assert (final.content[0], final.content[1].text) == (thinking, text.text)
    said = "".join(event.thinking for event in events if event.type == "thinking")
    assert said == thinking.thinking
    history = [
        *fields["messages"],
        {"role": "assistant", "content": whole.content},
        *prompt.messages("And now?", delay_first_ms=0, delay_between_ms=0),
    ]
    again = await created(client, **{**fields, "messages": history})
    assert again.content[-1].text


async def test_tokens_are_counted(client, model: str, prompt: Prompt):
    ask = {"model": model, "system": "Be brief.", "tools": [WEATHER]}
    short = await told(client.messages.count_tokens(messages=prompt.messages("Hi"), **ask))
    long = await told(client.messages.count_tokens(messages=prompt.messages("Hi " * 200), **ask))
    assert 0 < short.input_tokens < long.input_tokens


async def test_bad_requests_are_typed(client, prompt: Prompt):
    with pytest.raises(anthropic.BadRequestError) as wrong_type:
        await created(client, model=GPT, messages=prompt.messages(), stop_sequences="END")
    body = wrong_type.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    assert "stop_sequences" in wrong_type.value.message
    with pytest.raises(anthropic.BadRequestError):
        await created(client, model=GPT, messages=[])
    with pytest.raises(anthropic.BadRequestError, match="gpt-4o-mini"):  # the name that is near
        await created(client, model="openai/gpt-4o-mimi", messages=prompt.messages())


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unknown_key_is_typed(client, prompt: Prompt, stream: bool):
    stranger = client.with_options(api_key="sk-fl-v1-" + "0" * 64)
    with pytest.raises(anthropic.AuthenticationError) as refused:
        await created(stranger, model=GPT, messages=prompt.messages(), stream=stream)
    assert refused.value.body["error"]["type"] == "authentication_error"


async def test_what_is_not_there_is_typed(client, prompt: Prompt):
    with pytest.raises(anthropic.NotFoundError, match="api_key") as unprovided:
        await created(client, model=UNPROVIDED, messages=prompt.messages())
    assert unprovided.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.NotFoundError):
        await told(client.post("/v1/no/such/path", body={}, cast_to=object))


async def test_a_rate_limit_is_typed(client, prompt: Prompt):
    messages = prompt.messages(status=429, retry_after=7)
    with pytest.raises(anthropic.RateLimitError) as limited:
        await created(client, model=FAULTY, messages=messages)
    assert limited.value.body["error"]["type"] == "rate_limit_error"
    assert limited.value.response.headers["retry-after"] == "7"
    assert limited.value.request_id


async def test_a_broken_stream_is_an_error(client, prompt: Prompt):
    messages = prompt.messages(tokens=20, cut_after_events=5)
    stream = await created(client, model=FAULTY, messages=messages, stream=True)
    items = each(stream)
    kinds = [(await anext(items)).type for _ in range(3)]
    assert "content_block_delta" in kinds
    with pytest.raises(anthropic.APIStatusError) as broken:
        await every(items)
    assert broken.value.body["type"] == "error"


async def test_cancelling_in_mid_stream_reaches_the_upstream(
    client, model: str, prompt: Prompt, twin: RunningTwinProcess
):
    messages = prompt.messages(tokens=2000, delay_between_ms=20)
    stream = await created(client, model=model, messages=messages, stream=True)
    items = each(stream)
    for _ in range(3):
        await anext(items)
    await told(stream.close())
    (call,) = twin.calls(prompt.tag)
    assert call["state"] == "cancelled"
    assert call["chunks"] < 2000
