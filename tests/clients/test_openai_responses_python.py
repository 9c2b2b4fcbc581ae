"""The Responses side of the official OpenAI client for Python, unmodified but for base URL and key.

Cases about content run twice: with a provider that speaks OpenAI's chat format, and with one that speaks
Anthropic's; neither speaks Responses.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from fairlead.testing.serving import RunningFairlead, RunningTwinProcess
from tests.clients.conftest import UNPROVIDED, Prompt
from tests.clients.either import each, every, told

pytestmark = pytest.mark.anyio

CLAUDE = "anthropic/claude-sonnet-4.5"
GPT = "openai/gpt-4o-mini"
FAULTY = "openai/gpt-4.1-nano"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
CLOCK = {"type": "function", "name": "clock", "parameters": {"type": "object", "properties": {}}}


class Verdict(BaseModel):
    mood: Literal["good", "bad"]
    score: int


@pytest.fixture(params=[OpenAI, AsyncOpenAI], ids=["sync", "async"])
async def client(request, fairlead: RunningFairlead):
    made = request.param(base_url=fairlead.openai_url, api_key=fairlead.key, max_retries=0)
    yield made
    await told(made.close())


@pytest.fixture(params=[GPT, CLAUDE], ids=["chat", "messages"])
def model(request) -> str:
    return request.param


async def created(client: Any, **fields: Any) -> Any:
    return await told(client.responses.create(**fields))


async def streamed(client: Any, **fields: Any) -> tuple[list[Any], Any]:
    """(the events of the client's own accumulator, the response it has put together)"""
    manager = client.responses.stream(**fields)
    if isinstance(client, AsyncOpenAI):
        async with manager as stream:
            return await every(stream), await stream.get_final_response()
    with manager as stream:
        return await every(stream), stream.get_final_response()


async def test_create(client, model: str, prompt: Prompt):
    answer = await created(client, model=model, input=prompt(), instructions="Be brief.")
    (item,) = answer.output
    assert answer.id.startswith("gen-")
    assert (answer.object, answer.model, answer.status) == ("response", model, "completed")
    assert (item.type, item.role, item.status) == ("message", "assistant", "completed")
    assert answer.output_text == prompt()
    assert answer.instructions == "Be brief."
    assert (answer.error, answer.incomplete_details, answer.store) == (None, None, False)


async def test_usage_and_cost_are_readable(client, model: str, prompt: Prompt):
    usage = (await created(client, model=model, input=prompt(cached_tokens=4, tokens=7))).usage
    assert usage.output_tokens == 7
    assert usage.total_tokens == usage.input_tokens + 7
    assert usage.input_tokens_details.cached_tokens == 4
    assert usage.output_tokens_details.reasoning_tokens == 0
    assert usage.cost > 0


async def test_stream_events_come_in_order_and_end_with_the_whole_response(client, model, prompt):
    stream = await created(client, model=model, input=prompt(), stream=True)
    events = await every(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type.removeprefix("response.") for event in events]
    deltas = kinds.count("output_text.delta")
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * deltas,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert "".join(event.delta for event in events if hasattr(event, "delta")) == prompt()
    assert events[-1].response.output_text == prompt()
    assert events[-1].response.usage.cost > 0


async def test_the_accumulator_ends_with_what_was_streamed(client, model: str, prompt: Prompt):
    events, final = await streamed(client, model=model, input=prompt())
    (done,) = (event for event in events if event.type == "response.output_text.done")
    assert done.text == final.output_text == prompt()
    assert final.usage.total_tokens > 0


async def test_tools_round_trip(client, model: str, prompt: Prompt):
    asked = prompt.messages("get_weather and clock, please")
    tools = [WEATHER, CLOCK]
    first = await created(client, model=model, input=asked, tools=tools)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather", "clock"]
    assert isinstance(json.loads(calls[0].arguments)["city"], str)
    assert len({call.call_id for call in calls}) == 2
    # The items go back as the client has them, with every field of ours in them.
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"{call.name} is fine"}
        for call in calls
    ]
    second = await created(
        client, model=model, input=[*asked, *first.output, *results], tools=tools
    )
    assert second.output_text == "The tools say: get_weather is fine clock is fine"


async def test_streamed_tools_are_put_together_by_the_accumulator(client, model: str, prompt):
    events, final = await streamed(
        client, model=model, input=prompt("get_weather, clock"), tools=[WEATHER, CLOCK]
    )
    weather, clock = final.output
    assert (weather.name, clock.name) == ("get_weather", "clock")
    assert (set(json.loads(weather.arguments)), json.loads(clock.arguments)) == ({"city"}, {})
    partial = [event for event in events if event.type == "response.function_call_arguments.delta"]
    first = "".join(event.delta for event in partial if event.output_index == 0)
    assert first == weather.arguments


async def test_a_custom_tool_is_called_with_plain_text(client, model: str, prompt: Prompt):
    answer = await created(
        client, model=model, input=prompt(), tools=[{"type": "custom", "name": "write"}]
    )
    (call,) = answer.output
    assert (call.type, call.name) == ("custom_tool_call", "write")
    assert isinstance(call.input, str)
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "written"}
    history = [*prompt.messages(), call, result]
    second = await created(client, model=model, input=history)
    assert second.output_text == "The tools say: written"


async def test_tools_that_nobody_here_runs_are_left_out(client, prompt: Prompt):
    tools = [{"type": "web_search"}, {"type": "no_such_tool", "name": "x"}, WEATHER]
    answer = await created(client, model=GPT, input=prompt(), tools=tools)
    assert [item.name for item in answer.output] == ["get_weather"]


async def test_structured_output_through_parse(client, model: str, prompt: Prompt):
    answer = await told(client.responses.parse(model=model, input=prompt(), text_format=Verdict))
    assert isinstance(answer.output_parsed, Verdict)
    _, final = await streamed(client, model=model, input=prompt(), text_format=Verdict)
    assert final.output_parsed == answer.output_parsed


async def test_tool_arguments_through_parse(client, model: str, prompt: Prompt):
    answer = await told(
        client.responses.parse(
            model=model,
            input=prompt(),
            tools=[openai.pydantic_function_tool(Verdict, name="judge")],
            tool_choice={"type": "function", "name": "judge"},
        )
    )
    (call,) = answer.output
    assert isinstance(call.parsed_arguments, Verdict)


@pytest.mark.parametrize("thinker", [CLAUDE, "deepseek/deepseek-r1"], ids=["signed", "unsigned"])
async def test_reasoning_comes_in_items_that_can_be_handed_back(client, thinker: str, prompt):
    asked = prompt.messages(reasoning_tokens=8, tokens=3, delay_first_ms=0, delay_between_ms=0)
    fields: dict[str, Any] = {
        "model": thinker,
        "input": asked,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    whole = await created(client, **fields)
    reasoning, message = whole.output
    assert (reasoning.type, message.type) == ("reasoning", "message")
    assert whole.usage.output_tokens_details.reasoning_tokens == 8
    events, final = await streamed(client, **fields)
    said = "".join(
        event.delta
        for event in events
        if event.type in ("response.reasoning_text.delta", "response.reasoning_summary_text.delta")
    )
    assert said == "".join(part.text for part in [*reasoning.summary, *(reasoning.content or [])])
    assert final.output_text == whole.output_text
    history = [
        *asked,
        *whole.output,
        *prompt.messages("And now?", delay_first_ms=0, delay_between_ms=0),
    ]
    again = await created(client, **{**fields, "input": history})
    assert again.output_text


async def test_an_answer_that_hits_the_limit_is_incomplete(client, model: str, prompt: Prompt):
    answer = await created(client, model=model, input=prompt(tokens=90), max_output_tokens=20)
    assert (answer.status, answer.incomplete_details.reason) == (
        "incomplete", "max_output_tokens",
    )  # fmt: skip
    assert answer.usage.output_tokens == 20


async def test_bad_requests_are_typed(client, prompt: Prompt):
    with pytest.raises(openai.BadRequestError, match="temperature") as wrong_type:
        await created(client, model=GPT, input=prompt(), temperature="hot")
    assert wrong_type.value.body["code"] == 400
    with pytest.raises(openai.BadRequestError):
        await created(client, model=GPT, input=[])
    with pytest.raises(openai.BadRequestError, match="gpt-4o-mini"):  # the name that is near
        await created(client, model="openai/gpt-4o-mimi", input=prompt())
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        await created(client, model=GPT, input=prompt(), previous_response_id="resp_1")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unknown_key_is_typed(client, prompt: Prompt, stream: bool):
    stranger = client.with_options(api_key="sk-fl-v1-" + "0" * 64)
    with pytest.raises(openai.AuthenticationError) as refused:
        await created(stranger, model=GPT, input=prompt(), stream=stream)
    assert refused.value.body["code"] == 401


async def test_what_is_not_there_is_typed(client, prompt: Prompt):
    with pytest.raises(openai.NotFoundError, match="api_key"):
        await created(client, model=UNPROVIDED, input=prompt())
    with pytest.raises(openai.NotFoundError):  # nothing is stored
        await told(client.responses.retrieve("gen-1"))


async def test_a_rate_limit_is_typed(client, prompt: Prompt):
    with pytest.raises(openai.RateLimitError) as limited:
        await created(client, model=FAULTY, input=prompt(status=429, retry_after=7))
    assert limited.value.body["code"] == 429
    assert limited.value.response.headers["retry-after"] == "7"


async def test_a_broken_stream_is_an_error(client, prompt: Prompt):
    stream = await created(
        client, model=FAULTY, input=prompt(tokens=20, cut_after_events=5), stream=True
    )
    items = each(stream)
    kinds = [(await anext(items)).type for _ in range(5)]
    assert "response.output_text.delta" in kinds
    with pytest.raises(openai.APIError):
        await every(items)


async def test_cancelling_in_mid_stream_reaches_the_upstream(
    client, model: str, prompt: Prompt, twin: RunningTwinProcess
):
    stream = await created(
        client, model=model, input=prompt(tokens=2000, delay_between_ms=20), stream=True
    )
    items = each(stream)
    for _ in range(6):
        await anext(items)
    await told(stream.close())
    (call,) = twin.calls(prompt.tag)
    assert call["state"] == "cancelled"
    assert call["chunks"] < 2000
