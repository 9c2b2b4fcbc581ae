"""An engine that nobody here wrote, behind Fairlead: llama.cpp with a model of random weights.

The model babbles, but at temperature 0 it babbles the same each time, so that what the engine says directly
can be held against what comes through Fairlead.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from fairlead.testing.serving import RunningFairlead
from tests.engine.conftest import (
    MODEL,
    RunningEngine,
    fairlead_for,
    listed,
    make_model,
    running_engine,
    wait_until,
)

CONTEXT_TOKENS = 16_384  # as tests/engine/tiny_model.py has it
END_TOKEN = 2
HELLO: list[Any] = [{"role": "user", "content": "Hello there"}]
CITIES = ["Oslo", "Rome"]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"enum": CITIES}}},
    },
}


def ask(client: openai.OpenAI, **fields: Any) -> Any:
    return client.chat.completions.create(
        **{"model": MODEL, "messages": HELLO, "temperature": 0, "max_tokens": 24} | fields
    )


def text_of(chunks: list[Any]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def reasons_of(chunks: list[Any]) -> list[str]:
    return [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]


def record_of(fairlead: RunningFairlead, generation: str) -> dict[str, Any]:
    """What was recorded of a call, once it is."""
    with openai.OpenAI(base_url=fairlead.openrouter_url, api_key=fairlead.key) as client:
        found: list[dict[str, Any]] = []

        def is_recorded() -> bool:
            try:
                answer: Any = client.get(f"/generation?id={generation}", cast_to=object)
            except openai.NotFoundError:
                return False
            found.append(answer["data"])
            return True

        wait_until(is_recorded, f"{generation} is recorded")
    return found[0]


# --- what there is ------------------------------------------------------------------------------------


def test_the_model_is_made_the_same_each_time(model: Path, tmp_path: Path):
    assert make_model(tmp_path / "again.gguf").read_bytes() == model.read_bytes()


def test_the_engine_is_asked_for_its_models(fairlead: RunningFairlead):
    models = listed(fairlead)
    assert models[MODEL]["context_length"] == CONTEXT_TOKENS
    assert models[MODEL]["architecture"]["input_modalities"] == ["text"]
    assert float(models[MODEL]["pricing"]["prompt"]) == 0
    assert float(models[MODEL]["pricing"]["completion"]) == 0


def test_the_model_is_in_the_list_of_the_openai_client(client: openai.OpenAI):
    assert MODEL in [model.id for model in client.models.list()]


# --- chat ---------------------------------------------------------------------------------------------


def test_a_whole_answer_is_the_engines(client: openai.OpenAI, direct: openai.OpenAI):
    ours, engines = ask(client), ask(direct, model="tiny")
    assert ours.id.startswith("gen-")
    assert (ours.model, ours.provider) == (MODEL, "llama.cpp")
    assert ours.choices[0].message.role == "assistant"
    assert ours.choices[0].message.content == engines.choices[0].message.content != ""
    assert ours.choices[0].finish_reason == engines.choices[0].finish_reason == "length"
    assert ours.usage.completion_tokens == engines.usage.completion_tokens == 24
    assert ours.usage.prompt_tokens == engines.usage.prompt_tokens > 0
    assert ours.usage.total_tokens == ours.usage.prompt_tokens + 24
    assert ours.usage.cost == 0


def test_a_stream_is_the_whole_answer_in_pieces(client: openai.OpenAI):
    whole = ask(client)
    chunks = list(ask(client, stream=True))
    assert text_of(chunks) == whole.choices[0].message.content
    assert len(chunks) > 10
    assert chunks[0].choices[0].delta.role == "assistant"
    assert reasons_of(chunks) == ["length"]
    assert {c.id for c in chunks} == {chunks[0].id}
    assert {c.model for c in chunks} == {MODEL}


def test_a_stream_ends_with_the_engines_usage_unasked(client: openai.OpenAI):
    """llama.cpp counts in a stream only if it is asked to."""
    chunks = list(ask(client, stream=True))
    assert [c.usage is not None for c in chunks] == [False] * (len(chunks) - 1) + [True]
    usage = chunks[-1].usage
    assert (usage.completion_tokens, usage.cost) == (24, 0)
    assert usage.prompt_tokens == ask(client).usage.prompt_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence_ends_the_answer(client: openai.OpenAI, stream: bool):
    text = ask(client).choices[0].message.content
    # A sequence out of the answer's middle, so that it is met, and not at once.
    stop = text[len(text) // 2 :][:3]
    cut = text[: text.index(stop)]
    answer = ask(client, stop=[stop], stream=stream)
    if stream:
        chunks = list(answer)
        assert (text_of(chunks), reasons_of(chunks)) == (cut, ["stop"])
    else:
        (choice,) = answer.choices
        assert (choice.message.content, choice.finish_reason) == (cut, "stop")


@pytest.mark.parametrize("stream", [False, True])
def test_the_models_own_end_is_a_stop(client: openai.OpenAI, stream: bool):
    """With its end made certain, the model ends without a word."""
    answer = ask(client, logit_bias={END_TOKEN: 100}, stream=stream)
    if stream:
        chunks = list(answer)
        assert (text_of(chunks), reasons_of(chunks)) == ("", ["stop"])
        assert chunks[-1].usage.completion_tokens == 1
    else:
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.completion_tokens == 1


def test_a_repeated_prompt_is_counted_as_cached(client: openai.OpenAI):
    """The engine keeps the prompt of its last call in the slot; it says so, and so do we."""
    messages = [{"role": "user", "content": "a prompt that is sent twice, and is long enough"}]
    ask(client, messages=messages)
    again = ask(client, messages=messages)
    assert 0 < again.usage.prompt_tokens_details.cached_tokens < again.usage.prompt_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_keeps_to_the_schema_that_was_asked_for(client: openai.OpenAI, stream: bool):
    """Only a schema that reached the engine makes a model of random weights write JSON."""
    schema = {
        "type": "object",
        "properties": {
            "city": {"enum": CITIES},
            "score": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "required": ["city", "score"],
        "additionalProperties": False,
    }
    answer = ask(
        client,
        max_tokens=300,
        stream=stream,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": schema},
        },
    )
    text = text_of(list(answer)) if stream else answer.choices[0].message.content
    verdict = json.loads(text)
    assert verdict["city"] in CITIES
    assert 1 <= verdict["score"] <= 9


def test_a_field_that_only_the_engine_knows_reaches_it(client: openai.OpenAI):
    answer = ask(client, extra_body={"grammar": 'root ::= "just this"'})
    assert answer.choices[0].message.content == "just this"
    assert answer.choices[0].finish_reason == "stop"


def test_log_probabilities_come_through(client: openai.OpenAI):
    answer = ask(client, max_tokens=3, logprobs=True, top_logprobs=2)
    tokens = answer.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == answer.choices[0].message.content
    assert [len(token.top_logprobs) for token in tokens] == [2, 2, 2]
    assert all(token.logprob < 0 for token in tokens)


def test_tools_reach_the_prompt(client: openai.OpenAI):
    with_tools = ask(client, max_tokens=1, tools=[WEATHER])
    assert with_tools.usage.prompt_tokens > ask(client, max_tokens=1).usage.prompt_tokens + 50


# --- the older format ---------------------------------------------------------------------------------


def test_a_completion_is_the_engines(client: openai.OpenAI, direct: openai.OpenAI):
    fields: Any = {"prompt": "Hello", "max_tokens": 12, "temperature": 0}
    ours = client.completions.create(model=MODEL, **fields)
    engines = direct.completions.create(model="tiny", **fields)
    assert ours.object == "text_completion"
    assert ours.choices[0].text == engines.choices[0].text != ""
    assert ours.choices[0].finish_reason == "length"
    assert (ours.usage.prompt_tokens, ours.usage.completion_tokens) == (
        engines.usage.prompt_tokens,
        12,
    )


def test_a_streamed_completion_is_the_whole_one_in_pieces(client: openai.OpenAI):
    fields: Any = {"model": MODEL, "prompt": "Hello", "max_tokens": 12, "temperature": 0}
    whole = client.completions.create(**fields)
    chunks = list(client.completions.create(stream=True, **fields))
    said = [c.choices[0] for c in chunks if c.choices]
    assert "".join(choice.text for choice in said) == whole.choices[0].text
    assert [choice.finish_reason for choice in said if choice.finish_reason] == ["length"]
    assert [c.usage.completion_tokens for c in chunks if c.usage is not None] == [12]


# --- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_for_the_engine_is_a_typed_refusal(
    client: openai.OpenAI, stream: bool
):
    """Each of these characters is a token of this model's, which only the engine can know."""
    messages = [{"role": "user", "content": "!" * (CONTEXT_TOKENS + 1000)}]
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(client, messages=messages, stream=stream)
    body: Any = refusal.value.body
    assert body["metadata"]["error_type"] == "context_length_exceeded"
    assert "exceeds the available context size" in body["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_engine_cannot_use_is_refused_in_its_own_words(
    client: openai.OpenAI, stream: bool
):
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(client, stream=stream, extra_body={"grammar": "root ::= ("})
    body: Any = refusal.value.body
    assert body["metadata"]["error_type"] == "invalid_request"
    assert "grammar" in body["message"]


def test_an_image_is_not_sent_to_an_engine_that_said_it_cannot_see(client: openai.OpenAI):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    with pytest.raises(openai.NotFoundError) as refusal:
        ask(client, messages=[{"role": "user", "content": [image]}])
    assert "cannot read what the messages contain" in str(refusal.value)


def test_a_model_that_the_engine_does_not_have_is_refused(client: openai.OpenAI):
    with pytest.raises(openai.APIStatusError) as refusal:
        ask(client, model="llama.cpp/other")
    assert refusal.value.status_code in (400, 404)


def test_an_engine_that_went_away_is_a_failure_of_the_provider(model: Path, tmp_path: Path):
    with (
        running_engine(model, tmp_path / "engine.log") as engine,
        fairlead_for(engine, tmp_path) as fairlead,
        openai.OpenAI(base_url=fairlead.openai_url, api_key=fairlead.key, max_retries=0) as client,
    ):
        assert ask(client).choices[0].message.content
        engine.program.end()
        with pytest.raises(openai.InternalServerError) as failure:
            ask(client)
        assert failure.value.status_code == 502
        body: Any = failure.value.body
        assert body["metadata"]["error_type"] == "provider_unavailable"
        assert MODEL in listed(fairlead)  # still serving; the engine may come back


# --- records and hang-ups -----------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_recorded_with_the_engines_counts_and_no_cost(
    client: openai.OpenAI, fairlead: RunningFairlead, stream: bool
):
    answer = ask(client, stream=stream)
    last = list(answer)[-1] if stream else answer
    record = record_of(fairlead, last.id)
    assert (record["model"], record["provider_name"]) == (MODEL, "llama.cpp")
    assert (record["streamed"], record["cancelled"]) == (stream, False)
    assert (record["finish_reason"], record["native_finish_reason"]) == ("length", "length")
    assert record["native_tokens_prompt"] == last.usage.prompt_tokens
    assert record["native_tokens_completion"] == 24
    assert record["total_cost"] == 0


def test_hanging_up_frees_the_engine_and_is_recorded(
    client: openai.OpenAI, engine: RunningEngine, fairlead: RunningFairlead
):
    """The engine had thousands of tokens to go; it stops among the first ones."""
    tokens_max = CONTEXT_TOKENS - 500
    wait_until(lambda: not engine.is_busy(), "the engine is idle")
    said_before = engine.tokens_said()
    stream = ask(client, stream=True, max_tokens=tokens_max)
    chunks = [next(stream) for _ in range(20)]
    assert engine.is_busy()
    stream.close()
    wait_until(lambda: not engine.is_busy(), "the slot is free")
    assert 0 < engine.tokens_said() - said_before < tokens_max / 4
    record = record_of(fairlead, chunks[0].id)
    assert record["cancelled"] is True
    assert 0 < record["native_tokens_completion"] < tokens_max / 4
    assert record["total_cost"] == 0
