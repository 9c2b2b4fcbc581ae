"""Pydantic AI's agent with four of its models, unmodified but for base URL and key."""

from __future__ import annotations

from collections.abc import AsyncIterable

from openai import AsyncOpenAI
from pydantic_ai import Agent, RunContext
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.models.openrouter import OpenRouterModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openrouter import OpenRouterProvider
from tasks import Given, run


def model_of(given: Given) -> Model:
    base = f"{given.url}/api/v1"
    match given.kind:
        case "chat":
            return OpenAIChatModel(given.model, provider=OpenAIProvider(base, given.key))
        case "responses":
            return OpenAIResponsesModel(given.model, provider=OpenAIProvider(base, given.key))
        case "anthropic":
            provider = AnthropicProvider(api_key=given.key, base_url=f"{given.url}/api")
            return AnthropicModel(given.model, provider=provider)
        case "openrouter":
            client = AsyncOpenAI(base_url=base, api_key=given.key)
            return OpenRouterModel(given.model, provider=OpenRouterProvider(openai_client=client))
    raise ValueError(given.kind)


async def watch(_: RunContext[None], events: AsyncIterable[object]) -> None:
    """Whoever listens to the events gets streams."""
    async for _ in events:
        pass


async def work(given: Given) -> str:
    agent = Agent(model_of(given), tools=[given.read_file, given.write_file])
    result = await agent.run(given.prompt, event_stream_handler=watch if given.streamed else None)
    return result.output


run(work)
