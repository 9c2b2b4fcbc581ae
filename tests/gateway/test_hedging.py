"""Two endpoints raced: the first token wins, whoever loses is let go, and the extra spend is kept and shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from fairlead.core.generation import AttemptKind, Outcome
from fairlead.core.hedging import ALLOWANCE
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import ACCOUNT, GatewayInMemory, Reader
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_stream, chat_whole
from fairlead.testing.vtime import run_simulated

CHEAP = an_endpoint("cheap", prompt="0.000001", completion="0.000002")
DEAR = an_endpoint("dear", prompt="0.000003", completion="0.000004")
PROVIDERS = (
    a_provider("cheap", base_url="http://cheap.test/v1"),
    a_provider("dear", base_url="http://dear.test/v1"),
)
STREAM = (("content-type", "text/event-stream"),)
HEDGED: dict[str, object] = {"hedge": {"after_s": 0.5}}


def stream(first_s: float, text: str, **kwargs: object) -> Script:
    """Its first token comes after `first_s`."""
    role, first, *rest = chat_stream([text])
    steps = [(0.0, role), (first_s, first), *((0.1, event) for event in rest)]
    return replace(Script(steps, headers=STREAM), **kwargs)  # type: ignore[arg-type]


def failing(after_s: float) -> Script:
    return Script([(after_s, b'{"error":{"message":"no"}}')], status=500)


def simulated(
    scenario: Callable[[GatewayInMemory, ScriptedUpstream], Awaitable[None]], **scripts: Script
) -> None:
    def script(request: UpstreamRequest) -> Script:
        return scripts[request.url.split("/")[2].partition(".")[0]]

    async def main() -> None:
        upstream = ScriptedUpstream(script)
        snapshot = a_snapshot(a_model(CHEAP, DEAR), providers=PROVIDERS)
        gateway = GatewayInMemory(upstream, snapshot)
        await scenario(gateway, upstream)
        assert upstream.open_count == 0, "an upstream exchange was left open"
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left behind"

    run_simulated(main())


def elapsed_s(gateway: GatewayInMemory) -> float:
    return gateway.recorded[-1].latency_ms / 1000


def test_the_first_token_wins_and_the_slow_one_is_let_go() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=HEDGED)
        assert answer.text() == "dear"
        assert elapsed_s(gateway) == pytest.approx(0.6, abs=0.01)
        [generation] = gateway.recorded
        slow, fast = generation.attempts
        assert (slow.provider, slow.was_let_go, slow.kind) == ("cheap", True, AttemptKind.TURN)
        assert (fast.provider, fast.was_let_go, fast.kind) == ("dear", False, AttemptKind.HEDGE)
        assert slow.spend > 0, "what the loser may have cost is shown"
        assert fast.spend == 0
        assert generation.provider == "dear"
        assert generation.cost == 10 * 3000 + 1 * 4000, "the caller pays for the winner alone"
        assert len(upstream.requests) == 2

    simulated(scenario, cheap=stream(5, "cheap"), dear=stream(0.1, "dear"))


def test_a_first_endpoint_that_is_quick_enough_runs_alone() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=HEDGED)
        assert answer.text() == "cheap"
        assert len(upstream.requests) == 1

    simulated(scenario, cheap=stream(0.4, "cheap"), dear=stream(0.1, "dear"))


def test_without_the_wish_nothing_is_raced() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        assert (await gateway.chat(stream=True)).text() == "cheap"
        assert len(upstream.requests) == 1

    simulated(scenario, cheap=stream(5, "cheap"), dear=stream(0.1, "dear"))


def test_a_whole_answer_is_not_raced() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        assert (await gateway.chat(provider=HEDGED)).text() == "cheap"
        assert len(upstream.requests) == 1

    simulated(
        scenario,
        cheap=Script([(5, chat_whole("cheap"))]),
        dear=Script([(0.1, chat_whole("dear"))]),
    )


def test_a_rival_that_is_slower_is_let_go() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        assert (await gateway.chat(stream=True, provider=HEDGED)).text() == "cheap"
        first, rival = gateway.recorded[0].attempts
        assert not first.was_let_go
        assert rival.was_let_go
        assert rival.spend > 0
        assert len(upstream.requests) == 2

    simulated(scenario, cheap=stream(1, "cheap"), dear=stream(5, "dear"))


def test_a_rival_that_fails_leaves_the_first_to_go_on() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        assert (await gateway.chat(stream=True, provider=HEDGED)).text() == "cheap"
        assert [a.failure for a in gateway.recorded[0].attempts] == [None, "server"]

    simulated(scenario, cheap=stream(2, "cheap"), dear=failing(0.1))


def test_a_first_that_fails_leaves_the_rival_to_go_on() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        assert (await gateway.chat(stream=True, provider=HEDGED)).text() == "dear"
        assert [a.failure for a in gateway.recorded[0].attempts] == ["server", None]

    simulated(scenario, cheap=failing(0.7), dear=stream(2, "dear"))


def test_when_both_fail_the_caller_learns_of_both() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=HEDGED)
        told = answer.json()["error"]
        assert answer.status == 503
        assert told["metadata"]["provider_name"] == "Dear"
        assert [one["provider"] for one in told["metadata"]["previous_errors"]] == ["Cheap"]
        [generation] = gateway.recorded
        assert generation.outcome is Outcome.FAILED
        assert [a.failure for a in generation.attempts] == ["server", "server"]
        assert [a.spend for a in generation.attempts] == [0, 0]

    simulated(scenario, cheap=failing(0.7), dear=failing(2))


@pytest.mark.parametrize("after_s", [0.2, 0.55, 0.65, 3.0])
def test_a_caller_who_leaves_during_the_race_frees_both(after_s: float) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        await gateway.chat(Reader(leaves_after_s=after_s), stream=True, provider=HEDGED)
        assert gateway.recorded[0].outcome is Outcome.CANCELLED
        assert gateway.recorded[0].cost == 0
        assert all(attempt.was_let_go for attempt in gateway.recorded[0].attempts)

    simulated(scenario, cheap=stream(5, "cheap"), dear=stream(4, "dear"))


def test_hedging_stops_where_its_share_of_the_spend_is_used_up() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        budget = gateway.services.hedges.of(ACCOUNT)
        assert budget.stake(ALLOWANCE, gateway.services.clock.now_s()) is not None
        assert (await gateway.chat(stream=True, provider=HEDGED)).text() == "cheap"
        assert len(upstream.requests) == 1

    simulated(scenario, cheap=stream(5, "cheap"), dear=stream(0.1, "dear"))


def test_the_race_is_shown_to_a_caller_who_asks() -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.call(
            "/api/v1/chat/completions",
            {
                "model": "acme/one",
                "messages": [{"role": "user", "content": "Hello there"}],
                "stream": True,
                "provider": HEDGED,
            },
            headers={"x-openrouter-metadata": "enabled"},
        )
        [told] = [e["openrouter_metadata"] for e in answer.events() if "openrouter_metadata" in e]
        assert told["hedge"]["started"] == 1
        assert told["hedge"]["won"] is True
        assert told["hedge"]["extra_cost"] > 0
        assert told["attempt"] == 2

    simulated(scenario, cheap=stream(5, "cheap"), dear=stream(0.1, "dear"))


@pytest.mark.parametrize("first_fails", [True, False])
def test_who_fails_in_the_moment_in_which_the_other_wins_has_failed(*, first_fails: bool) -> None:
    async def scenario(gateway: GatewayInMemory, upstream: ScriptedUpstream) -> None:
        answer = await gateway.chat(stream=True, provider=HEDGED)
        assert answer.text() == ("dear" if first_fails else "cheap")
        [generation] = gateway.recorded
        failures = [attempt.failure for attempt in generation.attempts]
        assert failures == (["server", None] if first_fails else [None, "server"])
        assert not any(attempt.was_let_go for attempt in generation.attempts)

    if first_fails:
        simulated(scenario, cheap=failing(1.0), dear=stream(0.5, "dear"))
    else:
        simulated(scenario, cheap=stream(1.0, "cheap"), dear=failing(0.5))
