"""The official clients ask for vectors and rankings; OpenAI's in its own default, as numbers and as base64."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openrouter import OpenRouter

from fairlead.testing.serving import RunningFairlead
from tests.clients.either import told

pytestmark = pytest.mark.anyio

MODELS = ["openai/text-embedding-3-small", "sandbox/embed"]


@pytest.fixture(params=[OpenAI, AsyncOpenAI], ids=["sync", "async"])
async def client(request, fairlead: RunningFairlead):
    made = request.param(base_url=fairlead.openai_url, api_key=fairlead.key, max_retries=0)
    yield made
    await told(made.close())


@pytest.mark.parametrize("model", MODELS)
async def test_every_spelling_is_the_same_vector(client, model: str):
    """The client asks for base64 unless told otherwise, and reads it itself."""
    texts = ["red apples", "blue whales"]
    usual = await told(client.embeddings.create(model=model, input=texts))
    numbers = await told(
        client.embeddings.create(model=model, input=texts, encoding_format="float")
    )
    packed = await told(
        client.embeddings.create(model=model, input=texts, encoding_format="base64")
    )
    assert [item.index for item in usual.data] == [0, 1]
    assert usual.data[0].embedding != usual.data[1].embedding
    for one, other, text in zip(usual.data, numbers.data, packed.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert isinstance(text.embedding, str)
        raw = base64.b64decode(text.embedding)
        assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == one.embedding


async def test_usage_and_cost_are_readable(client):
    answer = await told(
        client.embeddings.create(model="openai/text-embedding-3-small", input="red apples")
    )
    tokens = answer.usage.prompt_tokens
    assert tokens == answer.usage.total_tokens > 0
    assert answer.usage.cost == pytest.approx(tokens * 0.02 / 1e6, abs=1e-9)
    assert answer.model == "openai/text-embedding-3-small"


async def test_fewer_dimensions_and_numbers_of_tokens(client):
    answer = await told(
        client.embeddings.create(
            model="openai/text-embedding-3-small", input=[[1, 2], [3]], dimensions=8
        )
    )
    assert [len(item.embedding) for item in answer.data] == [8, 8]


async def test_a_model_that_chats_is_refused_with_the_right_address(client):
    with pytest.raises(openai.BadRequestError) as caught:
        await told(client.embeddings.create(model="openai/gpt-4o-mini", input="a"))
    assert "/chat/completions" in caught.value.message


@pytest.fixture
def openrouter(fairlead: RunningFairlead) -> Iterator[OpenRouter]:
    with httpx.Client() as http:
        yield OpenRouter(api_key=fairlead.key, server_url=fairlead.openrouter_url, client=http)


def test_the_openrouter_client_reads_vectors_and_their_cost(openrouter: OpenRouter):
    answer = openrouter.embeddings.generate(
        model="sandbox/embed", input=["red apples"], encoding_format="float", dimensions=8
    )
    assert len(answer.data[0].embedding) == 8
    assert answer.usage.cost > 0
    assert answer.usage.is_byok is False


def test_the_openrouter_client_reads_a_ranking(openrouter: OpenRouter):
    answer = openrouter.rerank.rerank(
        model="sandbox/rerank",
        query="red apples",
        documents=["blue whales", {"text": "red apples"}],
        top_n=1,
    )
    [best] = answer.results
    assert (best.index, best.document.text) == (1, "red apples")
    assert answer.provider == "Sandbox"
    assert answer.usage.cost > 0
