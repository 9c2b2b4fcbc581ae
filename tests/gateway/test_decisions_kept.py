"""Whatever calls come and whatever becomes of them, each keeps a decision that can be made again."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any, Final

import msgspec

from fairlead.core.catalog import Endpoint, Snapshot
from fairlead.core.explanation import explained
from fairlead.core.generation import Generation
from fairlead.core.money import PicoUSD
from fairlead.core.replay import Measured, Replay
from fairlead.core.routing.planner import plan
from fairlead.providers.base import UpstreamRequest
from fairlead.store.records import pack, unpack
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import GatewayInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_stream, chat_whole
from fairlead.testing.vtime import run_simulated

CALLS: Final = 300
SLUGS: Final = ("alpha", "beta", "gamma", "delta", "closed")
MODELS: Final = ("acme/one", "acme/two")
STREAM: Final = (("content-type", "text/event-stream"),)


def an_offer(number: int, slug: str, model: str) -> Endpoint:
    """Dearer and longer with its number; half of them read a warm prompt for a tenth."""
    plain = an_endpoint(
        slug,
        model=model,
        prompt=f"0.00000{number}",
        context_length=2000 * number,
        quantization=("fp8", "bf16")[number % 2],
    )
    if number % 2:
        return plain
    cached = PicoUSD(plain.prices.prompt // 10)
    return msgspec.structs.replace(
        plain, prices=msgspec.structs.replace(plain.prices, input_cache_read=cached)
    )


def catalogue() -> Snapshot:
    models = [
        a_model(
            *(an_offer(number, slug, model) for number, slug in enumerate(SLUGS, 1)),
            slug=model,
        )
        for model in MODELS
    ]
    providers = tuple(a_provider(slug, base_url=f"http://{slug}.test/v1") for slug in SLUGS)
    return a_snapshot(*models, providers=providers)


def arbitrary_fate(source: random.Random, request: UpstreamRequest) -> Script:
    """An answer, an error of some kind, or a stream that breaks."""
    fate = source.random()
    if fate < 0.2:
        status = source.choice((400, 401, 429, 500, 503))
        body = msgspec.json.encode({"error": {"message": "no", "type": "x", "code": None}})
        return Script([(0, body)], status=status)
    if b'"stream":true' in (request.body or b""):
        steps = [(0.05, event) for event in chat_stream(("Hello", " to", " you"))]
        broken = Script(steps[:2], headers=STREAM, end="cut")
        return broken if fate < 0.3 else replace(broken, steps=steps, end="end")
    return Script([(0.1, chat_whole("Hello to you"))])


def arbitrary_body(source: random.Random) -> tuple[str, dict[str, Any]]:
    """The path of a call and its body."""
    words = "word " * source.choice((1, 100, 1500))
    wishes: dict[str, Any] = {}
    if source.random() < 0.7:
        wishes = {
            name: value
            for name, value in {
                "order": source.sample(SLUGS, 2),
                "ignore": source.sample(SLUGS, 1),
                "sort": source.choice(("price", "throughput", "latency")),
                "allow_fallbacks": False,
                "quantizations": ["fp8"],
                "max_price": {"prompt": 3},
                "preferred_max_latency": {"p90": 0.2},
                "hedge": {"after_s": 0.02},
                "continue_streams": True,
            }.items()
            if source.random() < 0.3
        }
    body: dict[str, Any] = {"stream": source.random() < 0.5}
    if wishes:
        body["provider"] = wishes
    if source.random() < 0.3:
        body["models"] = list(MODELS)
    else:
        body["model"] = source.choice(MODELS) + source.choice(("", "", ":floor", ":nitro"))
    if source.random() < 0.4:
        body["session_id"] = source.choice(("one", "two"))
    message = {"role": "user", "content": words}
    return source.choice(
        (
            ("/api/v1/completions", body | {"prompt": words}),
            ("/api/v1/chat/completions", body | {"messages": [message]}),
            ("/api/v1/responses", body | {"input": words}),
            ("/api/v1/messages", body | {"messages": [message], "max_tokens": 100}),
        )
    )


def served(snapshot: Snapshot) -> tuple[list[Generation], Counter[int]]:
    """The records of many calls, and how often each status was answered."""
    source = random.Random(2026)
    statuses: Counter[int] = Counter()

    async def called() -> list[Generation]:
        upstream = ScriptedUpstream(lambda request: arbitrary_fate(source, request))
        gateway = GatewayInMemory(upstream, snapshot, missing_credentials=frozenset({"closed"}))
        for _ in range(CALLS):
            path, body = arbitrary_body(source)
            answer = await gateway.call(path, body)
            statuses[answer.status] += 1
        return gateway.recorded

    return run_simulated(called()), statuses


def test_every_decision_of_mixed_calls_is_made_again_and_explains_every_endpoint() -> None:
    snapshot = catalogue()
    records, statuses = served(snapshot)
    kept = [unpack(pack(generation)) for generation in records]
    assert len(kept) > CALLS / 2
    assert len(statuses) > 2, "some calls fail"
    questions = [one.decision.question for one in kept if one.decision is not None]
    assert any(one.warm is not None for one in questions), "some conversations are warm"
    assert any(one.splices for one in kept), "some streams are continued"
    assert any(len(one.attempts) > 1 for one in kept), "some calls fall back"
    replay = Replay(plan, Measured())
    for generation in kept:
        replay.add(generation, snapshot)
    report = replay.report()
    assert (report.replayed, report.agreeing) == (len(kept), len(kept)), report
    for generation in kept:
        assert generation.decision is not None
        told = explained(generation.decision, snapshot)
        shown = [one.offer.endpoint for one in (*told.candidates, *told.left_out)]
        offered = [
            endpoint.id
            for target in generation.decision.question.targets
            for endpoint in snapshot.models[target.model].endpoints
        ]
        assert sorted(set(shown)) == sorted(offered)
        assert all(one.words for one in told.left_out)
        first_tried = generation.attempts[0].endpoint
        assert first_tried == generation.decision.choices[0].endpoint
