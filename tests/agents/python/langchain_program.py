"""LangChain's agent with four of its models, unmodified but for base URL and key."""

from __future__ import annotations

from langchain.agents import create_agent
from langchain.tools import tool
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI
from langchain_openrouter import ChatOpenRouter
from tasks import Given, run


def model_of(given: Given) -> BaseChatModel:
    common = {"model": given.model, "api_key": given.key, "max_retries": 0}
    base = f"{given.url}/api/v1"
    match given.kind:
        case "chat":
            return ChatOpenAI(**common, base_url=base)
        case "responses":
            return ChatOpenAI(**common, base_url=base, use_responses_api=True)
        case "anthropic":
            return ChatAnthropic(**common, base_url=f"{given.url}/api")
        case "openrouter":
            return ChatOpenRouter(**common, base_url=base)
    raise ValueError(given.kind)


async def work(given: Given) -> str:
    agent = create_agent(model_of(given), tools=[tool(given.read_file), tool(given.write_file)])
    asked = {"messages": [{"role": "user", "content": given.prompt}]}
    if not given.streamed:
        return (await agent.ainvoke(asked))["messages"][-1].text
    last, texts = None, {}
    async for message, _ in agent.astream(asked, stream_mode="messages"):
        if isinstance(message, AIMessageChunk):
            last = message.id
            texts[last] = texts.get(last, "") + message.text
    return texts[last]


run(work)
