"""Hedging through the whole gateway, on a virtual clock: as `test_hedged_calls.py`, with nothing left out.

Callers stream from a provider that mostly begins in half a second and is now and then silent for several; there
is a second one like it. What they waited and what it cost is read from the gateway's own records.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from math import exp
from random import Random

from fairlead.core.generation import AttemptKind, Generation, Outcome
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import GatewayInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_stream
from fairlead.testing.vtime import run_simulated

CALLS = 1000
PER_S = 2.0
LEARNING_CALLS = 100  # until a p95 is known
SLOW_SHARE = 0.03
WORDS = [f" word{number}" for number in range(25)]
STREAM = (("content-type", "text/event-stream"),)


@dataclass(frozen=True, slots=True)
class Seen:
    """spend, extra: of answers and of losers, in nanodollars."""

    first_token_s: list[float]
    hedges: int
    spend: int
    extra: int

    def quantile_s(self, share: float) -> float:
        return sorted(self.first_token_s)[int(share * len(self.first_token_s))]


class Twin:
    """Each answer begins in its own time."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def script(self, request: UpstreamRequest) -> Script:
        del request
        is_slow = self._random.random() < SLOW_SHARE
        silence_s = (6.0 if is_slow else 0.4) * exp(self._random.gauss(0, 0.25))
        role, first, *rest = chat_stream(WORDS)
        return Script(
            [(0.0, role), (silence_s, first), *((0.02, event) for event in rest)], headers=STREAM
        )


async def _calls(*, hedge: bool) -> list[Generation]:
    random = Random(3)
    snapshot = a_snapshot(
        a_model(an_endpoint("alpha"), an_endpoint("beta", prompt="0.0000011")),
        providers=(a_provider("alpha"), a_provider("beta")),
    )
    gateway = GatewayInMemory(ScriptedUpstream(Twin(random).script), snapshot)

    async def a_caller(at_s: float) -> None:
        await asyncio.sleep(at_s)
        answer = await gateway.chat(stream=True, provider={"hedge": hedge})
        assert answer.text() == "".join(WORDS)

    at_s = 0.0
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CALLS):
            at_s += random.expovariate(PER_S)
            tasks.create_task(a_caller(at_s))
    return gateway.recorded


@cache
def _seen(*, hedge: bool) -> Seen:
    records = run_simulated(_calls(hedge=hedge))
    assert len(records) == CALLS
    assert all(one.outcome is Outcome.COMPLETED for one in records)
    told = records[LEARNING_CALLS:]
    attempts = [attempt for one in told for attempt in one.attempts]
    return Seen(
        first_token_s=[one.latency_ms / 1000 for one in told],
        hedges=sum(1 for attempt in attempts if attempt.kind is AttemptKind.HEDGE),
        spend=sum(one.cost for one in told),
        extra=sum(attempt.spend for attempt in attempts),
    )


def test_hedging_halves_the_p99_for_five_percent_more_spend() -> None:
    plain, hedged = _seen(hedge=False), _seen(hedge=True)
    assert plain.hedges == plain.extra == 0
    assert plain.quantile_s(0.99) > 4.0
    assert hedged.quantile_s(0.99) <= plain.quantile_s(0.99) / 2
    assert 0 < hedged.extra <= 0.05 * hedged.spend
    assert hedged.quantile_s(0.5) <= plain.quantile_s(0.5) * 1.1, "nobody waits for it"


def test_about_one_call_in_twenty_is_hedged() -> None:
    share = _seen(hedge=True).hedges / (CALLS - LEARNING_CALLS)
    assert 0.02 < share < 0.08
