"""A name with several addresses, some of which lead nowhere."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from fairlead.gateway.http import dial
from fairlead.gateway.upstream import Limits, Phase, TransportFailure
from fairlead.gateway.upstream_native import NativeUpstreamClient
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.upstream_socket import Peer, scripted_upstream

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]

SOON_S = 0.2
PATIENCE_S = 20.0
URL = "http://upstream.test"  # resolved by what a test says

Address = tuple[int, int, int, str, tuple[str, int]]


@pytest.fixture(
    scope="session", params=[pytest.param(False, id="asyncio"), pytest.param(True, id="uvloop")]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    return "asyncio", {"use_uvloop": request.param}


def address(port: int) -> Address:
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port)


@pytest.fixture
def refusing() -> Address:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return address(probe.getsockname()[1])


@pytest.fixture
def silent() -> Iterator[Address]:
    """Nobody accepts here, and its queue is full, so that the kernel drops who knocks."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        queued = []
        for _ in range(4):
            knocking = socket.socket()
            knocking.setblocking(False)
            with suppress(BlockingIOError):
                knocking.connect(listener.getsockname())
            queued.append(knocking)
        yield address(listener.getsockname()[1])
        for knocking in queued:
            knocking.close()


def resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: Address) -> None:
    async def resolve(_: object, host: str, port: int) -> list[Address]:
        assert (host, port) == ("upstream.test", 80)
        return list(addresses)

    monkeypatch.setattr(dial.Dialler, "resolve", resolve)


async def ask(client: NativeUpstreamClient) -> bytes:
    loop = asyncio.get_running_loop()
    request = UpstreamRequest("POST", URL, (), b"hello")
    exchange = await client.send(request, expire_at_s=loop.time() + PATIENCE_S)
    body = await exchange.read_all(100)
    exchange.close()
    return body


async def echo(peer: Peer) -> None:
    while True:
        request = await peer.request()
        await peer.answer(request.body)


async def test_silent_address_costs_a_moment_and_not_the_time_to_connect(
    monkeypatch: pytest.MonkeyPatch, silent: Address
) -> None:
    async with scripted_upstream(echo) as server:
        resolving_to(monkeypatch, silent, address(server.port))
        client = NativeUpstreamClient(Limits(connect_s=PATIENCE_S))
        began_s = time.monotonic()
        assert await ask(client) == b"hello"
        assert time.monotonic() - began_s < PATIENCE_S / 4
        await client.aclose()
        assert len(server.peers) == 1


async def test_refusing_address_costs_not_even_that(
    monkeypatch: pytest.MonkeyPatch, refusing: Address
) -> None:
    monkeypatch.setattr(dial, "_STAGGER_S", 10 * PATIENCE_S)
    async with scripted_upstream(echo) as server:
        resolving_to(monkeypatch, refusing, refusing, address(server.port))
        client = NativeUpstreamClient()
        assert await ask(client) == b"hello"
        await client.aclose()


async def test_first_address_is_taken_if_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_upstream(echo) as first, scripted_upstream(echo) as second:
        resolving_to(monkeypatch, address(first.port), address(second.port))
        client = NativeUpstreamClient()
        assert await ask(client) == b"hello"
        await client.aclose()
        assert (len(first.peers), len(second.peers)) == (1, 0)


async def test_name_of_which_no_address_answers_has_touched_nothing(
    monkeypatch: pytest.MonkeyPatch, refusing: Address
) -> None:
    resolving_to(monkeypatch, refusing, refusing)
    client = NativeUpstreamClient()
    with pytest.raises(TransportFailure) as caught:
        await ask(client)
    assert (caught.value.phase, caught.value.untouched) == (Phase.CONNECT, True)
    assert not caught.value.timed_out
    await client.aclose()


async def test_only_so_many_addresses_are_tried(
    monkeypatch: pytest.MonkeyPatch, refusing: Address
) -> None:
    async with scripted_upstream(echo) as server:
        resolving_to(monkeypatch, *[refusing] * 8, address(server.port))
        client = NativeUpstreamClient()
        with pytest.raises(TransportFailure):
            await ask(client)
        await client.aclose()
        assert server.peers == []


async def test_time_to_connect_bounds_all_addresses_together_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, silent: Address
) -> None:
    resolving_to(monkeypatch, silent, silent, silent)
    monkeypatch.setattr(dial, "_STAGGER_S", SOON_S / 4)
    tasks = len(asyncio.all_tasks())
    client = NativeUpstreamClient(Limits(connect_s=SOON_S))
    with pytest.raises(TransportFailure) as caught:
        await ask(client)
    assert (caught.value.phase, caught.value.timed_out) == (Phase.CONNECT, True)
    assert caught.value.untouched
    assert len(asyncio.all_tasks()) == tasks
    await client.aclose()
