"""The in-process client on a virtual clock: pacing, deadlines, closing, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fairlead.core.sse import SSEDecoder
from fairlead.gateway.upstream import Exchange, Phase, TransportFailure, UpstreamClient
from fairlead.providers.base import UpstreamRequest
from fairlead.sandbox.exchange import SANDBOX_URL, SandboxClient
from fairlead.testing.vtime import run_simulated

_NEVER_S = 1e9


def _request(text: str, *, model: str = "echo", **fields: Any) -> UpstreamRequest:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    return UpstreamRequest("POST", f"{SANDBOX_URL}/chat/completions", (), json.dumps(body).encode())


def _simulate(scenario: Callable[[SandboxClient], Awaitable[None]]) -> None:
    """Run it, and check that it left neither an open exchange nor a task."""

    async def main() -> None:
        client: UpstreamClient = SandboxClient(now_s=lambda: 1_700_000_000.0)
        assert isinstance(client, SandboxClient)
        await scenario(client)
        await client.aclose()
        assert client.open_count == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_simulated(main())


async def _rest(exchange: Exchange) -> bytes:
    parts = []
    while part := await exchange.read():
        parts.append(part)
    return b"".join(parts)


def test_a_whole_answer_comes_in_one_piece_and_ends() -> None:
    async def scenario(client: SandboxClient) -> None:
        exchange = await client.send(_request("hi there"), expire_at_s=_NEVER_S)
        assert (exchange.status, exchange.headers.get("content-type")) == (200, "application/json")
        body = json.loads(await exchange.read_all(10_000))
        assert body["choices"][0]["message"]["content"] == "hi there"
        assert body["created"] == 1_700_000_000
        assert await exchange.read() == b""

    _simulate(scenario)


def test_tokens_arrive_at_the_pace_that_was_asked_for() -> None:
    async def scenario(client: SandboxClient) -> None:
        loop = asyncio.get_running_loop()
        request = _request("twin:tokens=4;first_ms=500;delay_ms=20", stream=True)
        exchange = await client.send(request, expire_at_s=_NEVER_S)
        arrivals = []
        decoder = SSEDecoder()
        while part := await exchange.read():
            for _, data in decoder.feed(part):
                if b'"content":"' in data and b'"role"' not in data:
                    arrivals.append(loop.time())
        assert arrivals == pytest.approx([0.5, 0.52, 0.54, 0.56])

    _simulate(scenario)


def test_a_slow_reader_finds_everything_that_is_due_in_one_read() -> None:
    async def scenario(client: SandboxClient) -> None:
        request = _request("twin:tokens=50;delay_ms=20", stream=True)
        exchange = await client.send(request, expire_at_s=_NEVER_S)
        await asyncio.sleep(10)
        assert (await exchange.read()).endswith(b"data: [DONE]\n\n")
        assert await exchange.read() == b""

    _simulate(scenario)


def test_a_whole_answer_takes_as_long_as_its_stream() -> None:
    async def scenario(client: SandboxClient) -> None:
        request = _request("twin:tokens=11;first_ms=1000;delay_ms=100")
        exchange = await client.send(request, expire_at_s=_NEVER_S)
        assert asyncio.get_running_loop().time() == pytest.approx(2.0)
        exchange.close()

    _simulate(scenario)


def test_the_deadline_for_the_head_is_a_first_token_time_out() -> None:
    async def scenario(client: SandboxClient) -> None:
        with pytest.raises(TransportFailure) as caught:
            await client.send(_request("twin:hang"), expire_at_s=3.0)
        assert (caught.value.phase, caught.value.timed_out) == (Phase.FIRST_TOKEN, True)
        assert asyncio.get_running_loop().time() == pytest.approx(3.0)
        assert client.open_count == 0

    _simulate(scenario)


def test_a_moved_deadline_ends_a_pending_read_with_its_phase() -> None:
    async def scenario(client: SandboxClient) -> None:
        request = _request("twin:tokens=5;hang_after_events=2", stream=True)
        exchange = await client.send(request, expire_at_s=_NEVER_S)
        assert await exchange.read()
        loop = asyncio.get_running_loop()
        loop.call_later(1.0, exchange.expire_at, 5.0, Phase.BETWEEN_TOKENS)
        with pytest.raises(TransportFailure) as caught:
            await exchange.read()
        assert (caught.value.phase, caught.value.timed_out) == (Phase.BETWEEN_TOKENS, True)
        assert loop.time() == pytest.approx(5.0)

    _simulate(scenario)


def test_a_deadline_that_moves_on_with_every_token_never_strikes() -> None:
    async def scenario(client: SandboxClient) -> None:
        loop = asyncio.get_running_loop()
        request = _request("twin:tokens=20;delay_ms=900", stream=True)
        exchange = await client.send(request, expire_at_s=1.0)
        while await exchange.read():
            exchange.expire_at(loop.time() + 1.0, Phase.BETWEEN_TOKENS)
        assert loop.time() > 15

    _simulate(scenario)


@pytest.mark.parametrize("streamed", [True, False])
def test_a_cut_is_a_read_failure_and_no_time_out(streamed: bool) -> None:
    async def scenario(client: SandboxClient) -> None:
        request = _request("one two three twin:cut_after_events=2", stream=streamed)
        exchange = await client.send(request, expire_at_s=_NEVER_S)
        with pytest.raises(TransportFailure) as caught:
            await _rest(exchange)
        assert (caught.value.phase, caught.value.timed_out) == (Phase.READ, False)

    _simulate(scenario)


def test_a_dropped_connection_fails_the_send() -> None:
    async def scenario(client: SandboxClient) -> None:
        with pytest.raises(TransportFailure) as caught:
            await client.send(_request("twin:drop"), expire_at_s=_NEVER_S)
        assert (caught.value.phase, caught.value.untouched) == (Phase.READ, False)

    _simulate(scenario)


def test_closing_wakes_the_reader_and_is_idempotent() -> None:
    async def scenario(client: SandboxClient) -> None:
        exchange = await client.send(_request("x", model="slow", stream=True), expire_at_s=_NEVER_S)
        await exchange.read()  # the role
        asyncio.get_running_loop().call_later(0.1, exchange.close)
        with pytest.raises(TransportFailure):
            await exchange.read()
        exchange.close()
        assert client.open_count == 0

    _simulate(scenario)


def test_cancelling_a_send_leaves_nothing_open() -> None:
    async def scenario(client: SandboxClient) -> None:
        async with asyncio.timeout(1) as scope:
            try:
                await client.send(_request("twin:hang"), expire_at_s=math.inf)
            except asyncio.CancelledError:
                assert client.open_count == 0
                raise
        assert scope.expired()

    with pytest.raises(TimeoutError):
        _simulate(scenario)


def test_closing_the_client_closes_what_is_open() -> None:
    async def scenario(client: SandboxClient) -> None:
        exchange = await client.send(_request("x", model="slow", stream=True), expire_at_s=_NEVER_S)
        await client.aclose()
        with pytest.raises(TransportFailure):
            await exchange.read()

    _simulate(scenario)


def test_an_answer_beyond_the_bound_is_refused() -> None:
    async def scenario(client: SandboxClient) -> None:
        exchange = await client.send(_request("twin:tokens=1000"), expire_at_s=_NEVER_S)
        with pytest.raises(TransportFailure):
            await exchange.read_all(1000)
        assert client.open_count == 0

    _simulate(scenario)


def test_a_model_that_is_not_ours_does_not_exist_here() -> None:
    async def scenario(client: SandboxClient) -> None:
        exchange = await client.send(_request("x", model="gpt-4o"), expire_at_s=_NEVER_S)
        assert exchange.status == 404
        assert "gpt-4o" in json.loads(await exchange.read_all(10_000))["error"]["message"]

    _simulate(scenario)


def test_flaky_recovers_within_two_calls() -> None:
    async def scenario(client: SandboxClient) -> None:
        statuses = []
        for _ in range(40):
            exchange = await client.send(_request("x", model="flaky"), expire_at_s=_NEVER_S)
            statuses.append(exchange.status)
            exchange.close()
        assert {429, 500} <= set(statuses)
        assert set(statuses[1::2]) == {200}

    _simulate(scenario)
