"""Generations for tests: a plain one, and arbitrary ones."""

from __future__ import annotations

import random  # noqa: TID251 - only for its type: callers bring a seeded one
from typing import Any

import msgspec

from fairlead.core.generation import Attempt, Attribution, Generation, Outcome, Splice
from fairlead.core.ids import AccountId, KeyId, generation_id
from fairlead.core.money import NanoUSD
from fairlead.core.usage import Usage, UsageSource
from fairlead.testing.decisions import arbitrary_decision

__all__ = ["arbitrary_generation", "plain_generation"]

BIGINT_MAX = 2**63 - 1
COUNT_MAX = 2**60 - 1  # up to seven of them are added up


def plain_generation(number: int, **changes: Any) -> Generation:  # noqa: ANN401 - any field
    """A finished streamed chat; the same number has the same id. changes: fields by name."""
    plain = Generation(
        id=generation_id(1_763_700_000_000 + number, number),
        account=AccountId("acc-1"),
        key=KeyId("key-1"),
        created_s=1_763_700_000.25,
        api_type="chat_completions",
        requested_model="openai/gpt-4o-mini",
        model="openai/gpt-4o-mini",
        endpoint="openai:gpt-4o-mini",
        provider="openai",
        price_version="3f9a2c",
        outcome=Outcome.COMPLETED,
        usage=Usage(prompt=1000 + number, cache_read=24, completion=200, reasoning=56),
        cost=NanoUSD(305_400 + number),
        cost_prompt=NanoUSD(151_800),
        cost_completion=NanoUSD(153_600),
        streamed=True,
        attempts=(Attempt("openai:gpt-4o-mini", "openai", "openai/gpt-4o-mini", 200, 345),),
        latency_ms=345,
        duration_ms=1234,
        finish_reason="stop",
        native_finish_reason="stop",
        upstream_id="chatcmpl-1",
        attribution=Attribution(referer="https://example.com/", title="Example"),
        catalog_version="2026-11-20",
    )
    return msgspec.structs.replace(plain, **changes)


def arbitrary_generation(source: random.Random, number: int) -> Generation:
    """Every field at its extremes, every optional one there or not; the same number has the same id."""

    def text() -> str:
        return "".join(chr(source.choice((32, 65, 233, 0x4E2D, 0x1F600))) for _ in range(3))

    def maybe(value: object) -> Any:  # noqa: ANN401 - fits any optional field
        return value if source.random() < 0.5 else None

    def amount(most: int = BIGINT_MAX) -> int:
        return source.choice((0, 1, 4096, most))

    counts = {name: amount(COUNT_MAX) for name in Usage.__struct_fields__ if name != "source"}
    attempts = tuple(
        Attempt(text(), text(), text(), maybe(500), source.choice((0, 9)), maybe(text()))
        for _ in range(source.choice((0, 1, 3)))
    )
    attribution = Attribution(
        referer=text(),
        title=maybe(text()),
        categories=tuple(text() for _ in range(source.choice((0, 2)))),
        user_agent=maybe(text()),
    )
    return plain_generation(
        number,
        created_s=source.choice((0, 1_763_700_000_001, 4_102_444_800_999.25)) / 1000,
        outcome=source.choice(list(Outcome)),
        usage=Usage(**counts, source=source.choice(list(UsageSource))),
        cost=amount(),
        cost_prompt=amount(),
        cost_completion=amount(),
        streamed=source.choice((True, False)),
        attempts=attempts,
        finish_reason=maybe(text()),
        native_finish_reason=maybe(text()),
        upstream_id=maybe(text()),
        upstream_cost=maybe(amount()),
        service_tier=maybe(text()),
        session_id=maybe(text()),
        external_user=maybe(text()),
        attribution=maybe(attribution),
        error_type=maybe(text()),
        decision=maybe(arbitrary_decision(source)),
        splices=(Splice(text(), text(), text(), amount()),) if source.random() < 0.5 else (),
        router=maybe(text()),
    )
