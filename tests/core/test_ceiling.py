"""No call costs more than its ceiling, as long as its counts are within the bounds."""

from __future__ import annotations

import json
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from fairlead.core.ceiling import (
    ANSWER_TOKENS_MIN,
    ANSWER_TOKENS_USUAL,
    Ceilings,
    Extent,
    ample,
    close,
    shortened,
)
from fairlead.core.chat import WireFormat
from fairlead.core.money import NanoUSD, PicoUSD
from fairlead.core.pricing import PriceOverride, PriceSheet, charge
from fairlead.core.prompt import prompt_text
from fairlead.core.service_tiers import prices_served
from fairlead.core.usage import Usage
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.embeddings import Embeddings
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.dialects.rerank import Rerank
from fairlead.gateway.tokens import EstimatingCounter
from fairlead.testing.builders import a_request, an_endpoint

SAMPLES = json.loads((Path(__file__).parent / "token_samples.json").read_text())
PRICES = [name for name in PriceSheet.__struct_fields__ if name != "overrides"]
PROMPT = ("prompt", "cache_read", "cache_write", "cache_write_1h", "prompt_audio", "prompt_image")
ANSWER = ("completion", "reasoning", "completion_audio", "completion_image")

picos = st.integers(0, 10**8).map(PicoUSD)
sheets = st.builds(
    lambda prices, overrides: PriceSheet(**prices, overrides=tuple(overrides)),
    st.dictionaries(st.sampled_from(PRICES), picos),
    st.lists(
        st.builds(
            PriceOverride,
            prices=st.dictionaries(st.sampled_from(PRICES), picos),
            min_prompt_tokens=st.none() | st.integers(0, 1000),
        ),
        max_size=2,
    ),
)


def split(total: int, parts: tuple[str, ...], data: st.DataObject) -> dict[str, int]:
    """So many tokens, of any kinds."""
    counts = {}
    for part in parts:
        counts[part] = data.draw(st.integers(0, total))
        total -= counts[part]
    return counts


@given(sheets, sheets, st.integers(0, 5000), st.integers(0, 5000), st.integers(1, 3), st.data())
def test_a_call_within_its_bounds_costs_no_more_than_its_ceiling(
    sheet: PriceSheet,
    usual: PriceSheet,
    prompt_tokens: int,
    answer_tokens: int,
    answers: int,
    data: st.DataObject,
) -> None:
    endpoint = msgspec.structs.replace(an_endpoint(), prices=sheet, default_prices=usual)
    other = an_endpoint("other")
    extent = Extent(prompt_tokens, answer_tokens, answers, searches=2)
    ceiling = Ceilings().of(extent, (endpoint, other))
    usage = Usage(
        **split(prompt_tokens, PROMPT, data),
        **split(answer_tokens * answers, ANSWER, data),
        web_searches=data.draw(st.integers(0, 2)),
    )
    assert charge(usage, sheet, at_s=0.0).total <= ceiling.wanted.full
    assert charge(usage, usual, at_s=0.0).total <= ceiling.wanted.full
    assert charge(usage, other.prices, at_s=0.0).total <= ceiling.wanted.full


@given(
    sheets,
    st.integers(0, 5000),
    st.integers(1, 3),
    st.integers(0, 10**10).map(NanoUSD),
    st.data(),
)
def test_an_answer_of_an_affordable_length_is_afforded(
    sheet: PriceSheet, prompt_tokens: int, answers: int, amount: NanoUSD, data: st.DataObject
) -> None:
    endpoint = msgspec.structs.replace(an_endpoint(max_completion_tokens=9000), prices=sheet)
    ceiling = Ceilings().of(Extent(prompt_tokens, None, answers), (endpoint, an_endpoint("other")))
    tokens = ceiling.affordable_tokens(amount)
    if tokens:
        usage = Usage(**split(prompt_tokens, PROMPT, data), **split(tokens * answers, ANSWER, data))
        assert charge(usage, sheet, at_s=0.0).total <= amount
    if amount >= ceiling.wanted.least:
        assert tokens >= ANSWER_TOKENS_MIN


def test_an_answer_without_a_limit_may_be_as_long_as_its_endpoint_writes() -> None:
    ceilings = Ceilings()
    endpoint = an_endpoint(prompt="0", completion="0.000001", max_completion_tokens=8000)
    wanted = ceilings.of(ample(a_request()), (endpoint,)).wanted
    assert (wanted.full, wanted.floor, wanted.least) == (
        8_000_000,
        ANSWER_TOKENS_USUAL * 1000,
        ANSWER_TOKENS_MIN * 1000,
    )
    assert ceilings.of(ample(a_request(max_tokens=5)), (endpoint,)).wanted.full == 5000
    assert ceilings.of(ample(a_request(max_tokens=5, n=3)), (endpoint,)).wanted.least == 15_000
    deaf = an_endpoint(
        completion="0.000001", max_completion_tokens=8000, supported=frozenset({"n"})
    )
    assert ceilings.of(ample(a_request(max_tokens=5)), (deaf,)).answer_tokens == 8000


def test_whatever_is_asked_for_the_ceiling_is_an_amount_that_can_be_kept() -> None:
    dear = an_endpoint(prompt="0.001", completion="0.001", context_length=0)
    request = a_request(max_tokens=10**18, n=10**6)
    assert 10**9 < Ceilings().of(ample(request), (dear,)).wanted.full < 2**63


def test_the_dearest_endpoint_that_may_be_tried_decides() -> None:
    cheap, dear = (
        an_endpoint("cheap", completion="0.000001"),
        an_endpoint("dear", completion="0.001"),
    )
    extent = Extent(0, 10)
    assert Ceilings().of(extent, (cheap, dear)).wanted.full == 10_000_000
    free = an_endpoint("free", prompt="0", completion="0")
    assert Ceilings().of(ample(a_request()), (free,)).is_free


def test_another_endpoint_under_the_same_id_has_its_own_prices() -> None:
    ceilings = Ceilings()
    extent = Extent(0, 10)
    ceilings.of(extent, (an_endpoint(completion="0.000001"),))
    assert ceilings.of(extent, (an_endpoint(completion="0.000002"),)).wanted.full == 20_000


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.get("name", "")[:20])
def test_bounds_hold_for_real_texts(sample: dict[str, object]) -> None:
    text, tokens = str(sample["text"]), sample["tokens"]
    assert isinstance(tokens, int)
    request = a_request(messages=[{"role": "user", "content": text}])
    counter = EstimatingCounter()
    counted = close(
        request, lambda: counter.count(prompt_text(request.body), tokenizer="GPT")
    ).prompt_tokens
    assert tokens <= counted <= max(ample(request).prompt_tokens, tokens)
    assert counted <= 2 * tokens + 200


def test_pictures_by_address_count_although_they_are_not_sent() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    request = msgspec.structs.replace(
        a_request(messages=[{"role": "user", "content": [picture, picture]}]),
        modalities=frozenset({"image"}),
    )
    assert ample(request).prompt_tokens >= 32_768
    assert close(request, lambda: 0).prompt_tokens >= 4096


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (WireFormat.OPENAI_CHAT, b"max_tokens"),
        (WireFormat.ANTHROPIC_MESSAGES, b"max_tokens"),
        (WireFormat.OPENAI_RESPONSES, b"max_output_tokens"),
    ],
)
def test_a_shortened_request_has_its_limit_in_both_views(source: WireFormat, name: bytes) -> None:
    request = msgspec.structs.replace(a_request(), source=source)
    short = shortened(request, 17)
    assert short.max_tokens == 17
    assert short.fields[name.decode()] == msgspec.Raw(b"17")
    assert shortened(short, 18) is short
    both = msgspec.structs.replace(a_request(max_completion_tokens=50), source=source)
    assert shortened(both, 17).max_tokens == 17


def test_a_tier_that_was_not_served_is_within_the_ceiling() -> None:
    flex = msgspec.structs.replace(
        an_endpoint(completion="0.000001"),
        tier="flex",
        default_prices=PriceSheet(completion=PicoUSD(2_000_000)),
    )
    usual = prices_served(flex, "default")[0]
    ceiling = Ceilings().of(Extent(0, 10), (flex,))
    assert charge(Usage(completion=10), usual, at_s=0.0).total <= ceiling.wanted.full


def test_each_prompt_of_a_batch_may_be_as_long_as_the_endpoint_reads() -> None:
    endpoint = msgspec.structs.replace(an_endpoint(prompt="0.000001"), context_length=1000)
    batch = Extent(50_000, None, answers=0, prompts=30)
    assert Ceilings().of(batch, (endpoint,)).wanted.full == 30 * 1000 * 1000
    texts = Embeddings().decode(json.dumps({"model": "m", "input": ["word " * 900] * 30}).encode())
    assert Ceilings().of(ample(texts), (endpoint,)).wanted.full >= 30 * 900 * 1000
    ranked = {"model": "m", "query": "x", "documents": ["word " * 900] * 30}
    documents = Rerank().decode(json.dumps(ranked).encode())
    assert Ceilings().of(ample(documents), (endpoint,)).wanted.full >= 30 * 900 * 1000
    prompts = OpenAICompletions().decode(
        json.dumps({"model": "m", "prompt": ["word " * 900] * 30, "max_tokens": 1}).encode()
    )
    assert Ceilings().of(ample(prompts), (endpoint,)).wanted.full >= 30 * 900 * 1000


def test_what_is_read_and_is_no_text_counts_closely_too() -> None:
    schema = {
        "type": "object",
        "properties": {f"field_{i}": {"type": "string"} for i in range(500)},
    }
    tokens = EstimatingCounter().count(json.dumps(schema), tokenizer="GPT")
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert close(a_request(response_format=asked), lambda: 0).prompt_tokens >= tokens
    thought = {"role": "assistant", "content": "x", "reasoning": "because " * 1000}
    assert close(a_request(messages=[thought]), lambda: 0).prompt_tokens >= 1000
    said = {"type": "input_audio", "input_audio": {"data": "A" * 4_000_000, "format": "mp3"}}
    heard = msgspec.structs.replace(
        a_request(messages=[{"role": "user", "content": [said]}]), modalities=frozenset({"audio"})
    )
    assert close(heard, lambda: 0).prompt_tokens >= 50_000


def test_searches_that_a_model_may_make_are_held_for_with_what_they_find() -> None:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "news?"}],
        "max_tokens": 500,
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 20}],
    }
    extent = ample(AnthropicMessages().decode(json.dumps(body).encode()))
    assert extent.searches == 20
    assert extent.prompt_tokens >= 20 * 5000
    named_so = {"type": "function", "function": {"name": "web_search", "parameters": {}}}
    assert ample(a_request(tools=[named_so])).searches == 0
