"""Generations of a few accounts, keys and models over some time, from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

from fairlead.control.usage.samples import Sample, sample
from fairlead.core.generation import Attempt, Attribution, Generation, Outcome
from fairlead.core.ids import AccountId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.core.usage import Usage
from fairlead.store.records import pack
from fairlead.testing.generations import plain_generation

DAY_S = 86_400
BEGIN_S = 1_795_219_200  # 2026-11-21

MODELS = (("openai/gpt-4o-mini", "openai"), ("openai/o1", "azure"), ("meta/llama", "groq"))


def made(
    source: random.Random, count: int, *, days: int = 40, begin_s: int = BEGIN_S, first: int = 0
) -> list[Generation]:
    return [one_made(source, first + number, begin_s=begin_s, days=days) for number in range(count)]


def one_made(source: random.Random, number: int, *, begin_s: int, days: int) -> Generation:
    key = source.randrange(6)
    account = key % 2
    model, provider = source.choice(MODELS)
    endpoint = f"{provider}:{model}"
    outcome = source.choices(list(Outcome), weights=(8, 1, 1))[0]
    is_byok = source.random() < 0.2
    attempts = [Attempt(endpoint, provider, model, 200, source.randrange(30, 4000))]
    if source.random() < 0.2:
        attempts.insert(0, Attempt("slow:x", "slow", model, 503, 20, "overloaded"))
    app = source.choice(
        (
            None,
            Attribution(referer="https://cline.example/", title="Cline", categories=("cli-agent",)),
            Attribution(referer=f"https://app{account}.example/tool", categories=("game", "no")),
        )
    )
    latency_ms = source.randrange(1, 3000)
    return plain_generation(
        number,
        account=AccountId(f"acc-{account}"),
        key=KeyId(f"key-{key}"),
        workspace=WorkspaceId(f"workspace-{key % 3}"),
        user=UserId(f"user-{account}") if key < 4 else None,
        created_s=begin_s + source.randrange(days * DAY_S * 1000) / 1000,
        model=model,
        endpoint=endpoint,
        provider=provider,
        outcome=outcome,
        is_byok=is_byok,
        usage=Usage(
            prompt=source.randrange(5000),
            cache_read=source.choice((0, 0, 300)),
            completion=source.randrange(900),
            reasoning=source.choice((0, 40)),
            web_searches=source.choice((0, 0, 2)),
        ),
        cost=NanoUSD(source.randrange(10**9)),
        list_cost=NanoUSD(source.randrange(10**9)),
        upstream_cost=source.choice((None, NanoUSD(source.randrange(10**9)))),
        discount=NanoUSD(source.choice((0, 1000))),
        latency_ms=latency_ms,
        duration_ms=latency_ms + source.randrange(9000),
        finish_reason=source.choice(("stop", "tool_calls", None)),
        attempts=tuple(attempts),
        attribution=app,
    )


def samples(generations: Sequence[Generation]) -> list[Sample]:
    return [sample(pack(one)) for one in generations]
