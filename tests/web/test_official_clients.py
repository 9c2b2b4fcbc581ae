"""The official clients read our catalogue. They validate strictly, so a missing field fails here."""

from __future__ import annotations

import httpx
import pytest
from openai import AsyncOpenAI
from openrouter import OpenRouter
from openrouter.errors import NotFoundResponseError, UnauthorizedResponseError
from openrouter.utils import BackoffStrategy, RetryConfig

pytestmark = pytest.mark.anyio

# By default it repeats a call that got a 5xx for up to an hour; here that would hide the failure.
NO_RETRIES = RetryConfig("none", BackoffStrategy(1, 1, 1, 1), retry_connection_errors=False)


def open_openrouter(client: httpx.AsyncClient, key: str) -> OpenRouter:
    return OpenRouter(
        api_key=key,
        server_url="http://fairlead.test/api/v1",
        async_client=client,
        retry_config=NO_RETRIES,
    )


@pytest.fixture
async def openrouter(client: httpx.AsyncClient):
    return open_openrouter(client, "sk-fl-v1-good")


@pytest.fixture
async def openai(client: httpx.AsyncClient):
    return AsyncOpenAI(
        api_key="sk-fl-v1-good",
        base_url="http://fairlead.test/v1",
        http_client=client,
        max_retries=0,
    )


async def test_models_are_read_by_the_openrouter_client(openrouter, seed):
    listed = await openrouter.models.list_async(output_modalities="all", limit=1000)
    assert {one.id for one in listed.result.data} >= set(seed.models)
    aliases = {one.id: one.alias_target.slug for one in listed.result.data if one.alias_target}
    assert aliases["~openai/o-latest"] == seed.families["~openai/o-latest"].newest
    assert (await openrouter.models.count_async()).data.count > 500


async def test_one_model_is_read_by_the_openrouter_client(openrouter):
    model = (await openrouter.models.get_async(author="openai", slug="o1")).data
    assert model.pricing.prompt == "0.000015"
    assert model.links.details == "/api/v1/models/openai/o1/endpoints"


async def test_endpoints_are_read_by_the_openrouter_client(openrouter, seed):
    for slug in sorted(seed.models)[::40]:
        author, _, rest = slug.partition("/")
        answer = await openrouter.endpoints.list_async(author=author, slug=rest)
        assert answer.data.endpoints
    private = await openrouter.endpoints.list_zdr_endpoints_async()
    assert private.data


async def test_providers_are_read_by_the_openrouter_client(openrouter, seed):
    answer = await openrouter.providers.list_async()
    assert {one.slug for one in answer.data} == set(seed.providers)


async def test_generations_are_read_by_the_openrouter_client(openrouter, generation):
    found = await openrouter.generations.get_generation_async(id=generation.id)
    assert found.data.total_cost == 0.002925


async def test_errors_are_typed_in_the_openrouter_client(client, openrouter, generation):
    with pytest.raises(NotFoundResponseError):
        await openrouter.models.get_async(author="openai", slug="o11")
    stranger = open_openrouter(client, "wrong")
    with pytest.raises(UnauthorizedResponseError):
        await stranger.generations.get_generation_async(id=generation.id)


async def test_models_are_read_by_the_openai_client(openai, seed):
    listed = [model async for model in openai.models.list()]
    assert {one.owned_by for one in listed} > {"openai", "anthropic"}
    one = await openai.models.retrieve("openai/o1")
    assert (one.id, one.object, one.owned_by) == ("openai/o1", "model", "openai")
