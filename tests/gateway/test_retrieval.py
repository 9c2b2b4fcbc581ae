"""Embeddings and ranking through the whole gateway in memory: the pipeline of chat, with other adapters."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from fairlead.control.catalog.files import load_seed
from fairlead.core.catalog import Endpoint, Model, ModelKind, Snapshot
from fairlead.core.generation import Generation, Outcome
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceSheet
from fairlead.core.usage import UsageSource
from fairlead.providers.base import UpstreamRequest
from fairlead.sandbox.exchange import SandboxClient
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import Answer, GatewayInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream
from fairlead.testing.vtime import run_simulated

VECTOR = [0.5, -0.25]
PACKED = base64.b64encode(struct.pack("<2f", *VECTOR)).decode()


def embedded(usage: object = None, vector: object = VECTOR) -> Script:
    usage = {"prompt_tokens": 7, "total_tokens": 7} if usage is None else usage
    body = {"object": "list", "data": [{"index": 0, "embedding": vector}], "usage": usage}
    return Script([(0.1, msgspec.json.encode(body))])


def refused(status: int) -> Script:
    return Script([(0, b'{"error":{"message":"no"}}')], status=status)


def offer(provider: str, model: str, prices: PriceSheet) -> Endpoint:
    return msgspec.structs.replace(an_endpoint(provider, model=model), prices=prices)


def of_kind(kind: ModelKind, *endpoints: Endpoint, slug: str) -> Model:
    return msgspec.structs.replace(a_model(*endpoints, slug=slug), kind=kind)


PER_TOKEN = PriceSheet(prompt=PicoUSD(20_000))
PER_SEARCH = PriceSheet(request=PicoUSD(2_000_000_000))
EMBED = of_kind(
    ModelKind.EMBEDDING,
    offer("openai", "acme/embed", PER_TOKEN),
    offer("mistral", "acme/embed", PriceSheet(prompt=PicoUSD(30_000))),
    slug="acme/embed",
)
RANK = of_kind(ModelKind.RERANK, offer("cohere", "acme/rank", PER_SEARCH), slug="acme/rank")
CHAT = a_model(an_endpoint("openai", model="acme/chat"), slug="acme/chat")
SNAPSHOT = a_snapshot(
    EMBED,
    RANK,
    CHAT,
    providers=tuple(
        a_provider(slug, base_url=f"http://{slug}.test/v1")
        for slug in ("openai", "mistral", "cohere")
    ),
)


def simulated(
    scenario: Callable[[GatewayInMemory, ScriptedUpstream], Awaitable[None]],
    snapshot: Snapshot = SNAPSHOT,
    **scripts: Script,
) -> None:
    async def main() -> None:
        upstream = ScriptedUpstream(lambda request: scripts[host_of(request)])
        await scenario(GatewayInMemory(upstream, snapshot), upstream)
        assert upstream.open_count == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_simulated(main())


def host_of(request: UpstreamRequest) -> str:
    return request.url.split("/")[2].partition(".")[0]


async def embed(gateway: GatewayInMemory, **fields: object) -> Answer:
    body = {"model": "acme/embed", "input": "Hello there", **fields}
    return await gateway.call("/api/v1/embeddings", body)


async def rank(gateway: GatewayInMemory, **fields: object) -> Answer:
    body = {"model": "acme/rank", "query": "q", "documents": ["a", "b"], **fields}
    return await gateway.call("/api/v1/rerank", body)


def only_record(gateway: GatewayInMemory) -> Generation:
    [generation] = gateway.recorded
    return generation


def test_a_vector_comes_with_its_cost_and_a_record() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await embed(gateway, dimensions=2, user="u", extra={"kept": [1.0]})
        assert answer.status == 200, answer.body
        body = answer.json()
        assert body["data"] == [{"object": "embedding", "index": 0, "embedding": VECTOR}]
        assert (body["model"], body["provider"]) == ("acme/embed", "Openai")
        # 7 tokens at $0.02 a million
        assert body["usage"]["cost"] == pytest.approx(1.4e-7, abs=0)
        generation = only_record(gateway)
        assert body["id"] == generation.id == answer.headers["x-generation-id"]
        assert generation.cost == 140
        assert generation.outcome is Outcome.COMPLETED
        assert (generation.api_type, generation.external_user) == ("embeddings", "u")
        assert generation.usage.prompt_tokens == 7
        [request] = upstream.requests
        assert request.url == "http://openai.test/v1/embeddings"
        assert json.loads(request.body) == {
            "model": "embed",
            "input": "Hello there",
            "dimensions": 2,
            "extra": {"kept": [1.0]},
        }

    simulated(scenario, openai=embedded())


def test_an_answer_without_counts_is_estimated_and_charged() -> None:
    async def scenario(gateway: GatewayInMemory, _: ScriptedUpstream) -> None:
        answer = await embed(gateway)
        generation = only_record(gateway)
        assert generation.usage.source is UsageSource.ESTIMATED
        assert generation.usage.prompt_tokens == 2
        assert generation.cost == 40
        assert answer.json()["usage"]["total_tokens"] == 2

    simulated(scenario, openai=embedded(usage={}))


@pytest.mark.parametrize("status", [429, 500, 401, 404])
def test_another_provider_of_the_model_takes_over(status: int) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await embed(gateway)
        assert answer.status == 200
        assert answer.json()["provider"] == "Mistral"
        assert [attempt.provider for attempt in only_record(gateway).attempts] == [
            "openai",
            "mistral",
        ]
        assert only_record(gateway).cost == 210

    simulated(scenario, openai=refused(status), mistral=embedded())


@pytest.mark.parametrize("vector", [VECTOR, PACKED])
@pytest.mark.parametrize(("encoding", "told"), [("float", VECTOR), ("base64", PACKED)])
def test_the_caller_reads_the_spelling_that_he_asked_for(
    vector: object, encoding: str, told: object
) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await embed(gateway, encoding_format=encoding)
        assert answer.json()["data"][0]["embedding"] == told
        assert json.loads(upstream.requests[0].body)["encoding_format"] == encoding

    simulated(scenario, openai=embedded(vector=vector))


@pytest.mark.parametrize("vector", [[], "no", [["x"]], {"a": 1}, None])
def test_an_answer_that_is_garbage_is_free(vector: object) -> None:
    async def scenario(gateway: GatewayInMemory, _: ScriptedUpstream) -> None:
        answer = await embed(gateway, encoding_format="base64", input=["a", "b"])
        assert answer.status == 502
        assert answer.json()["error"]["metadata"]["error_type"] == "provider_unavailable"
        assert all(generation.cost == 0 for generation in gateway.recorded)

    script = embedded(vector=vector)
    simulated(scenario, openai=script, mistral=script)


def test_documents_come_back_best_first_and_units_are_charged() -> None:
    body = {
        "id": "1",
        "results": [{"index": 0, "relevance_score": 0.25}, {"index": 1, "relevance_score": 0.75}],
        "meta": {"billed_units": {"search_units": 2}},
    }

    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await rank(gateway, top_n=2)
        assert answer.status == 200, answer.body
        told = answer.json()
        assert [one["document"]["text"] for one in told["results"]] == ["b", "a"]
        assert told["usage"] == {"total_tokens": 0, "search_units": 2, "cost": 0.004}
        assert only_record(gateway).cost == 4_000_000
        assert only_record(gateway).api_type == "rerank"
        [request] = upstream.requests
        assert json.loads(request.body) == {
            "model": "rank",
            "query": "q",
            "documents": ["a", "b"],
            "top_n": 2,
        }

    simulated(scenario, cohere=Script([(0.1, msgspec.json.encode(body))]))


def test_units_without_a_price_are_charged_by_the_text() -> None:
    """A provider may count searches and yet charge for tokens; such a call is not free."""
    by_token = of_kind(ModelKind.RERANK, offer("cohere", "acme/rank", PER_TOKEN), slug="acme/rank")
    snapshot = a_snapshot(
        by_token, providers=(a_provider("cohere", base_url="http://cohere.test/v1"),)
    )
    body = {
        "results": [{"index": 0, "relevance_score": 0.25}],
        "meta": {"billed_units": {"search_units": 1}},
    }

    async def scenario(gateway: GatewayInMemory, _: ScriptedUpstream) -> None:
        answer = await rank(gateway)
        assert answer.json()["usage"]["total_tokens"] == 3
        assert only_record(gateway).cost == 60
        assert only_record(gateway).usage.source is UsageSource.ESTIMATED

    simulated(scenario, snapshot, cohere=Script([(0.1, msgspec.json.encode(body))]))


WRONG = [
    ("/embeddings", {"model": "acme/chat", "input": "a"}, "/chat/completions"),
    ("/embeddings", {"model": "acme/rank", "input": "a"}, "/rerank"),
    ("/rerank", {"model": "acme/embed", "query": "a", "documents": ["a"]}, "/embeddings"),
    ("/rerank", {"model": "acme/chat", "query": "a", "documents": ["a"]}, "/chat/completions"),
    ("/chat/completions", {"model": "acme/rank", "messages": [{"role": "user", "content": "a"}]},
     "/rerank"),
    ("/completions", {"model": "acme/embed", "prompt": "a"}, "/embeddings"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "instead"), WRONG)
def test_a_model_of_another_kind_is_a_400_that_says_where_to_call_it(
    path: str, body: dict[str, Any], instead: str
) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.call(f"/api/v1{path}", body)
        assert answer.status == 400
        error = answer.json()["error"]
        assert error["availability"]["code"] == "wrong_endpoint"
        assert error["availability"]["constraint"] == {"field": "model", "detail": instead}
        assert error["metadata"]["error_type"] == "invalid_request"
        assert upstream.requests == []
        assert gateway.recorded == []

    simulated(scenario)


def test_an_unknown_model_and_a_wrong_input_are_refused() -> None:
    async def scenario(gateway: GatewayInMemory, _: ScriptedUpstream) -> None:
        unknown = await embed(gateway, model="acme/none")
        assert unknown.status == 400
        assert unknown.json()["error"]["availability"]["code"] == "model_not_found"
        wrong = await embed(gateway, input=[])
        assert (wrong.status, wrong.json()["error"]["param"]) == (400, "input")
        assert (await gateway.call("/api/v1/embeddings", b"", method="GET")).status == 405

    simulated(scenario)


def test_an_input_that_only_some_models_read_is_refused() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
        answer = await embed(gateway, input=[{"content": [image]}])
        assert answer.status == 404
        assert upstream.requests == []

    simulated(scenario)


def test_the_sandbox_embeds_and_ranks() -> None:
    async def main() -> None:
        upstream = SandboxClient(now_s=lambda: 0.0)
        gateway = GatewayInMemory(upstream, load_seed())
        one = (await embed(gateway, model="sandbox/embed", input=["red apples"])).json()
        again = (await embed(gateway, model="sandbox/embed", input=["red apples"])).json()
        assert one["data"] == again["data"]
        assert one["usage"]["cost"] > 0
        assert one["provider"] == "Sandbox"
        answer = await rank(
            gateway, model="sandbox/rerank", query="red apples", documents=["blue", "red apples"]
        )
        ranked = answer.json()
        assert [place["index"] for place in ranked["results"]] == [1, 0]
        assert ranked["usage"]["cost"] > 0
        assert upstream.open_count == 0

    run_simulated(main())
