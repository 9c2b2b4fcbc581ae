"""Whatever becomes of a call, nothing stays held for it, and it is charged no more than was held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from fairlead.core.budgets.types import CallerBudget, account_budget, key_budget
from fairlead.core.caller import Caller
from fairlead.core.generation import Outcome
from fairlead.core.ids import KeyId, UserId, WorkspaceId
from fairlead.core.money import PicoUSD
from fairlead.core.who_pays import Cause
from fairlead.gateway.server.listener import end_what_is_left
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import ACCOUNT, GatewayInMemory, PurseInMemory, Reader
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_stream, chat_whole
from fairlead.testing.vtime import run_simulated

CREDIT, KEY = CallerBudget(account_budget(ACCOUNT)), CallerBudget(key_budget(KeyId("key")))
CALLER = Caller(
    ACCOUNT,
    KeyId("key"),
    is_prepaid=True,
    workspace=WorkspaceId("workspace"),
    user=UserId("user"),
    budgets=(CREDIT, KEY),
)
ENDPOINT = an_endpoint(
    "cheap", prompt="0.000001", completion="0.000002", max_completion_tokens=10_000
)
SNAPSHOT = a_snapshot(
    a_model(ENDPOINT), providers=(a_provider("cheap", base_url="http://cheap.test/v1"),)
)
STREAM = (("content-type", "text/event-stream"),)
RICH = 10**12


def stream(*words: str, **options: object) -> Script:
    steps = [(0.1, event) for event in chat_stream(words or ("Hello", " to", " you"))]
    return replace(Script(steps, headers=STREAM), **options)  # type: ignore[arg-type]


def whole() -> Script:
    return Script([(0.1, chat_whole("Hello to you"))])


def simulated(
    scenario: Callable[[GatewayInMemory, PurseInMemory, ScriptedUpstream], Awaitable[None]],
    script: Script,
    *,
    left: int = RICH,
    caller: Caller = CALLER,
) -> None:
    """Run on virtual time; afterwards nothing may be held."""

    async def main() -> None:
        upstream = ScriptedUpstream(lambda _: script)
        purse = PurseInMemory(left)
        gateway = GatewayInMemory(upstream, SNAPSHOT, wallet=purse)
        gateway.keys.caller = caller
        await scenario(gateway, purse, upstream)
        assert purse.held == 0, "something is held for a call that is over"
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_simulated(main())


def test_a_call_is_charged_what_it_cost_and_its_record_says_where_it_counts() -> None:
    async def scenario(gateway: GatewayInMemory, purse: PurseInMemory, _: ScriptedUpstream) -> None:
        answer = await gateway.chat()
        assert answer.json()["usage"]["cost"] == 0.000016
        [generation] = gateway.recorded
        assert (generation.cost, generation.list_cost, generation.waived) == (16_000, 16_000, 0)
        assert generation.budgets == ("account:account@", "key:key@")
        assert generation.rule == Cause.COMPLETED
        assert (generation.workspace, generation.user) == ("workspace", "user")
        [held] = purse.holds
        assert held.amount > 20_000_000

    simulated(scenario, whole())


def test_a_call_that_cannot_be_paid_for_is_not_sent_or_recorded() -> None:
    async def scenario(
        gateway: GatewayInMemory, _: PurseInMemory, upstream: ScriptedUpstream
    ) -> None:
        for stream in (False, True):
            answer = await gateway.chat(max_tokens=1000, stream=stream)
            assert answer.status == 402
            error = answer.json()["error"]
            assert error["code"] == 402
            assert "not enough credits" in error["message"]
            assert error["metadata"]["error_type"] == "payment_required"
        assert upstream.requests == []
        assert gateway.recorded == []

    simulated(scenario, whole(), left=1_000_000)


@pytest.mark.parametrize(
    ("path", "body", "error_type"),
    [
        ("/v1/messages", {"messages": [{"role": "user", "content": "Hi"}]}, "billing_error"),
        ("/v1/responses", {"input": "Hi"}, "payment_required"),
        ("/v1/completions", {"prompt": "Hi"}, "payment_required"),
    ],
)
def test_every_dialect_says_so_in_its_own_words(
    path: str, body: dict[str, object], error_type: str
) -> None:
    async def scenario(
        gateway: GatewayInMemory, _: PurseInMemory, upstream: ScriptedUpstream
    ) -> None:
        limits = {"max_tokens": 1000, "max_output_tokens": 1000}
        answer = await gateway.call(path, {"model": "acme/one", **limits, **body})
        assert answer.status == 402
        assert error_type in answer.body.decode()
        assert "not enough credits" in answer.body.decode()
        assert upstream.requests == []

    simulated(scenario, whole(), left=1_000_000)


def test_an_answer_of_open_length_is_asked_for_as_long_as_there_is_money_for() -> None:
    async def scenario(
        gateway: GatewayInMemory, _: PurseInMemory, upstream: ScriptedUpstream
    ) -> None:
        await gateway.chat()
        [request] = upstream.requests
        asked = msgspec.json.decode(request.body)
        assert 16 <= asked["max_tokens"] < 10_000

    simulated(scenario, whole(), left=10_000_000)


def test_an_answer_that_goes_on_beyond_its_hold_is_cut_with_a_proper_end() -> None:
    words = tuple(f" word{number}" for number in range(2000))

    async def scenario(
        gateway: GatewayInMemory, purse: PurseInMemory, upstream: ScriptedUpstream
    ) -> None:
        answer = await gateway.chat(stream=True)
        events = answer.events()
        assert events[-2]["choices"][0]["finish_reason"] == "length"  # usage comes behind it
        assert answer.body.endswith(b"data: [DONE]\n\n")
        [generation] = gateway.recorded
        assert generation.rule == Cause.REACHED_LIMIT
        assert generation.outcome is Outcome.COMPLETED
        assert generation.finish_reason == "length"
        [held] = purse.holds
        assert generation.cost <= held.amount
        assert 0 < generation.usage.completion < 1000
        assert upstream.open_count == 0

    simulated(scenario, stream(*words), left=1_000_000)


def test_what_a_call_cost_beyond_its_hold_and_what_is_left_is_waived() -> None:
    async def main() -> None:
        upstream = ScriptedUpstream(lambda _: whole())
        purse = PurseInMemory(2_000)
        free_to_ask = msgspec.structs.replace(
            ENDPOINT, prices=msgspec.structs.replace(ENDPOINT.prices, prompt=PicoUSD(0))
        )
        snapshot = a_snapshot(a_model(free_to_ask), providers=tuple(SNAPSHOT.providers.values()))
        gateway = GatewayInMemory(upstream, snapshot, wallet=purse)
        gateway.keys.caller = CALLER
        answer = await gateway.chat(max_tokens=1)  # three come
        [generation] = gateway.recorded
        assert (generation.list_cost, generation.cost, generation.waived) == (6_000, 2_000, 4_000)
        assert answer.json()["usage"]["cost"] == 0.000002
        assert purse.held == 0

    run_simulated(main())


def test_in_debt_not_even_a_free_model_is_called() -> None:
    async def scenario(
        gateway: GatewayInMemory, _: PurseInMemory, upstream: ScriptedUpstream
    ) -> None:
        answer = await gateway.chat()
        assert answer.status == 402
        assert "less than no credits" in answer.json()["error"]["message"]
        assert upstream.requests == []

    simulated(
        scenario, whole(), caller=Caller(ACCOUNT, KeyId("key"), is_prepaid=True, is_in_debt=True)
    )


def test_what_cannot_be_recorded_is_not_charged() -> None:
    async def scenario(gateway: GatewayInMemory, purse: PurseInMemory, _: ScriptedUpstream) -> None:
        gateway.journal.refuses = True
        assert (await gateway.chat()).status == 503
        gateway.journal.refuses = False
        assert purse.held == 0
        assert (await gateway.chat()).status == 200
        assert gateway.recorded[0].waived == 0

    simulated(scenario, whole())


ENDINGS = ("end", "cut", "hang")


@settings(max_examples=60, deadline=None)
@given(
    streamed=st.booleans(),
    head_after_s=st.sampled_from((0.0, 1.0)),
    status=st.sampled_from((200, 200, 200, 400, 429, 500)),
    end=st.sampled_from(ENDINGS),
    steps_max=st.integers(0, 6),
    leaves_s=st.none() | st.floats(0.0, 2.0),
    stops_s=st.none() | st.floats(0.0, 2.0),
    refuses=st.booleans(),
    left=st.sampled_from((0, 10_000, 1_000_000, RICH)),
)
def test_whatever_happens_nothing_stays_held(
    streamed: bool,
    head_after_s: float,
    status: int,
    end: str,
    steps_max: int,
    leaves_s: float | None,
    stops_s: float | None,
    refuses: bool,
    left: int,
) -> None:
    script = stream() if streamed else whole()
    script = replace(
        script,
        steps=script.steps[:steps_max],
        status=status,
        head_after_s=head_after_s,
        end=end,  # type: ignore[arg-type]
    )

    async def scenario(gateway: GatewayInMemory, purse: PurseInMemory, _: ScriptedUpstream) -> None:
        gateway.journal.refuses = refuses
        calling = asyncio.ensure_future(
            gateway.chat(Reader(leaves_after_s=leaves_s), stream=streamed)
        )
        if stops_s is not None:
            await asyncio.sleep(stops_s)
            await end_what_is_left(gateway.connections)
        await calling
        charged = sum(generation.cost for generation in gateway.recorded)
        assert charged <= sum(held.amount for held in purse.holds)

    simulated(scenario, script, left=left)
