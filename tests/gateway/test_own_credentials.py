"""Calls of accounts that bring credentials, share what they send, or have it kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from fairlead.core.belongings import Belongings, ContentPolicy, OwnCredential
from fairlead.core.ids import ProviderSlug, WorkspaceId
from fairlead.core.own_keys import OwnKey
from fairlead.core.routing.facts import Standing
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.gateway import BelongingsInMemory, GatewayInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream
from fairlead.testing.vtime import run_simulated
from tests.gateway.test_pipeline import catalogue, error, stream, whole

CHEAP, DEAR = ProviderSlug("cheap"), ProviderSlug("dear")
COST = 16_000  # 10 x $0.000001 + 3 x $0.000002
W = WorkspaceId("w-1")
Scenario = Callable[[GatewayInMemory, ScriptedUpstream, BelongingsInMemory], Awaitable[None]]


def own(name: str, provider: ProviderSlug = DEAR, **fields: object) -> OwnCredential:
    return OwnCredential(name, provider, (OwnKey(api_key=f"sk-own-{name}"),), **fields)


def bringing(*credentials: OwnCredential, **fields: object) -> Belongings:
    return Belongings(credentials, **fields)


def simulated(
    scenario: Scenario,
    has: Belongings,
    *,
    script: Callable[[UpstreamRequest], Script],
    fee: int = 0,
    discount: int = 0,
    **options: object,
) -> None:
    async def main() -> None:
        belongings = BelongingsInMemory(has, fee=fee, discount=discount)
        upstream = ScriptedUpstream(script)
        gateway = GatewayInMemory(upstream, catalogue(), belongings=belongings, **options)
        gateway.keys.caller = replace(gateway.keys.caller, workspace=W)
        await scenario(gateway, upstream, belongings)
        assert upstream.open_count == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_simulated(main())


def used(upstream: ScriptedUpstream) -> list[str]:
    """The keys that were sent, in order."""
    return [dict(one.headers)["authorization"].removeprefix("Bearer ") for one in upstream.requests]


def test_an_own_key_goes_first_and_costs_the_fee_alone() -> None:
    async def scenario(
        gateway: GatewayInMemory, upstream: ScriptedUpstream, _: BelongingsInMemory
    ) -> None:
        answer = await gateway.chat()
        assert used(upstream) == ["sk-own-a"]
        usage = answer.json()["usage"]
        assert usage["is_byok"] is True
        assert usage["cost"] == pytest.approx(7e-9, abs=0)
        assert usage["cost_details"]["upstream_inference_cost"] == pytest.approx(42e-6, abs=0)
        [record] = gateway.recorded
        assert (record.is_byok, record.cost, record.list_cost) == (True, 7, 42_000)
        assert record.attempts[0].key == "a"
        assert "sk-own" not in repr(record)

    simulated(scenario, bringing(own("a")), script=lambda _: whole(), fee=7)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
        ("/api/v1/responses", {"input": "x"}),
        ("/api/v1/messages", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9}),
    ],
)
def test_every_dialect_says_what_the_provider_is_owed(path: str, body: dict[str, object]) -> None:
    async def scenario(
        gateway: GatewayInMemory, _: ScriptedUpstream, __: BelongingsInMemory
    ) -> None:
        answer = await gateway.call(path, {"model": "acme/one"} | body)
        usage = answer.json()["usage"]
        assert (usage["is_byok"], usage["cost"]) == (True, 0)
        assert usage["cost_details"]["upstream_inference_cost"] == pytest.approx(42e-6, abs=0)

    simulated(scenario, bringing(own("a")), script=lambda _: whole())


def test_an_own_key_that_is_refused_is_followed_by_ours_and_blames_nobody() -> None:
    def script(request: UpstreamRequest) -> Script:
        is_own = "sk-own" in dict(request.headers)["authorization"]
        return error(401, "Incorrect API key provided: sk-own-a") if is_own else whole()

    async def scenario(
        gateway: GatewayInMemory, upstream: ScriptedUpstream, _: BelongingsInMemory
    ) -> None:
        answer = await gateway.chat()
        assert answer.status == 200
        assert used(upstream) == ["sk-own-a", "upstream-secret"]
        [record] = gateway.recorded
        assert (record.is_byok, record.cost) == (False, COST)
        assert [one.failure for one in record.attempts] == ["authentication", None]
        for _ in range(30):
            await gateway.chat()
        facts = gateway.health.at(gateway.services.clock.now_s())
        assert facts.facts(record.attempts[0].endpoint).standing is Standing.GOOD

    simulated(scenario, bringing(own("a")), script=script)


@pytest.mark.parametrize(
    ("status", "told", "error_type"),
    [(401, 403, "permission_denied"), (402, 402, "payment_required")],
)
def test_where_only_the_own_key_may_be_used_its_owner_is_told(
    status: int, told: int, error_type: str
) -> None:
    async def scenario(
        gateway: GatewayInMemory, upstream: ScriptedUpstream, _: BelongingsInMemory
    ) -> None:
        answer = await gateway.chat(provider={"only": ["dear"]})
        assert used(upstream) == ["sk-own-a"]
        assert answer.status == told
        assert answer.json()["error"]["metadata"]["error_type"] == error_type
        assert "own" in answer.json()["error"]["message"]
        assert "sk-own" not in answer.body.decode()

    has = bringing(own("a", is_exclusive=True))
    simulated(scenario, has, script=lambda _: error(status, "bad key sk-own-a"))


def test_a_fallback_key_waits_until_ours_have_failed() -> None:
    async def scenario(
        gateway: GatewayInMemory, upstream: ScriptedUpstream, _: BelongingsInMemory
    ) -> None:
        await gateway.chat(provider={"only": ["dear"]})
        assert used(upstream) == ["upstream-secret", "sk-own-a"]

    def script(request: UpstreamRequest) -> Script:
        is_own = "sk-own" in dict(request.headers)["authorization"]
        return whole() if is_own else error(500)

    simulated(scenario, bringing(own("a", is_fallback=True)), script=script)


def test_what_cannot_be_looked_up_is_not_guessed() -> None:
    async def scenario(
        gateway: GatewayInMemory, upstream: ScriptedUpstream, belongings: BelongingsInMemory
    ) -> None:
        belongings.is_away = True
        answer = await gateway.chat()
        assert answer.status == 503
        assert not upstream.requests
        asked = await gateway.call("/api/v1/routing/explain", {"model": "acme/one", "messages": []})
        assert asked.status == 503

    simulated(scenario, bringing(own("a")), script=lambda _: whole())


def test_shared_data_has_its_discount() -> None:
    async def scenario(
        gateway: GatewayInMemory, _: ScriptedUpstream, __: BelongingsInMemory
    ) -> None:
        answer = await gateway.chat()
        assert answer.json()["usage"]["cost"] == pytest.approx((COST - 160) / 1e9, abs=0)
        [record] = gateway.recorded
        assert (record.cost, record.discount, record.list_cost) == (COST - 160, 160, COST)

    simulated(scenario, bringing(shared=frozenset({W})), script=lambda _: whole(), discount=160)


KEPT = {W: ContentPolicy(1_000_000)}


@pytest.mark.parametrize("streamed", [False, True])
def test_what_an_account_wants_kept_is_kept_after_its_record(streamed: bool) -> None:
    async def scenario(
        gateway: GatewayInMemory, _: ScriptedUpstream, belongings: BelongingsInMemory
    ) -> None:
        answer = await gateway.chat(stream=streamed)
        [content] = belongings.kept
        assert content.generation == answer.headers["x-generation-id"]
        assert content.workspace == W
        assert content.completion == "Hello to you"
        assert "content" in json.loads(content.messages or b"[]")[0]
        assert content.error is None

    script = stream() if streamed else whole()
    simulated(scenario, bringing(contents=KEPT), script=lambda _: script)


def test_of_a_call_that_failed_the_reason_is_kept() -> None:
    async def scenario(
        gateway: GatewayInMemory, _: ScriptedUpstream, belongings: BelongingsInMemory
    ) -> None:
        answer = await gateway.chat()
        [content] = belongings.kept
        assert content.completion is None
        assert content.error is not None
        assert (answer.status, content.error.status) == (503, 502)

    simulated(scenario, bringing(contents=KEPT), script=lambda _: error(500))


def test_nothing_is_kept_of_others_nor_at_a_regional_host() -> None:
    async def scenario(
        gateway: GatewayInMemory, _: ScriptedUpstream, belongings: BelongingsInMemory
    ) -> None:
        belongings.has = bringing(contents={WorkspaceId("w-2"): ContentPolicy(1_000_000)})
        await gateway.chat()
        belongings.has = bringing(contents={W: ContentPolicy(0)})
        await gateway.chat()
        belongings.has = bringing()
        await gateway.chat()
        assert len(gateway.recorded) == 3
        assert not belongings.kept

    simulated(scenario, bringing(contents=KEPT), script=lambda _: whole())


def test_a_call_that_cannot_be_recorded_is_not_kept() -> None:
    async def scenario(
        gateway: GatewayInMemory, _: ScriptedUpstream, belongings: BelongingsInMemory
    ) -> None:
        gateway.journal.refuses = True
        assert (await gateway.chat()).status == 503
        assert not belongings.kept

    simulated(scenario, bringing(contents=KEPT), script=lambda _: whole())
