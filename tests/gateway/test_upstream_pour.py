"""The contract of `Exchange.pour`, for every implementation and on both event loops.

The first half runs on all upstreams there are, over sockets and in process; the second on the clients of
sockets, where a pause must be felt by the peer and a connection must be fit for the next request.
"""

from __future__ import annotations

import asyncio
import gzip
import math
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import pytest

from fairlead.gateway.upstream import Exchange, Limits, Phase, TransportFailure, UpstreamClient
from fairlead.gateway.upstream_aiohttp import AiohttpUpstreamClient
from fairlead.gateway.upstream_native import NativeUpstreamClient
from fairlead.providers.base import UpstreamRequest
from fairlead.sandbox import exchange as sandbox_exchange
from fairlead.sandbox.exchange import SANDBOX_URL, SandboxClient
from fairlead.sandbox.perform import Ending, Performance
from fairlead.testing import upstream as memory
from fairlead.testing.upstream_socket import Peer, Script, ScriptedUpstream, scripted_upstream

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]

PATIENCE_S = 20.0
SOON_S = 0.2
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

ClientType = type[NativeUpstreamClient] | type[AiohttpUpstreamClient]
Step = tuple[float, bytes]  # seconds until it comes, then bytes


@pytest.fixture(
    scope="session", params=[pytest.param(False, id="asyncio"), pytest.param(True, id="uvloop")]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(params=[NativeUpstreamClient, AiohttpUpstreamClient], ids=["native", "aiohttp"])
def client_type(request: pytest.FixtureRequest) -> ClientType:
    return request.param


class TakerFailed(Exception):
    """What a taker raises here."""


def in_s(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def later(seconds: float, act: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(seconds, act)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def pour(
    exchange: Exchange,
    take: Callable[[bytes], None],
    *,
    between_s: float = PATIENCE_S,
    until_s: float | None = None,
) -> None:
    until_s = in_s(PATIENCE_S) if until_s is None else until_s
    await exchange.pour(take, between_s=between_s, until_s=until_s)


async def failure_of(work: Awaitable[object]) -> TransportFailure:
    with pytest.raises(TransportFailure) as caught:
        await work
    return caught.value


# ---- all upstreams there are --------------------------------------------------------------------


class Opened:
    """One answer under way. let_go: returns once the upstream has seen that nobody listens any more."""

    def __init__(self, exchange: Exchange, let_go: Callable[[], Awaitable[None]]) -> None:
        self.exchange = exchange
        self.let_go = let_go


Answering = Callable[[Sequence[Step], memory.End], AbstractAsyncContextManager[Opened]]


def over_sockets(client_type: ClientType) -> Answering:
    @asynccontextmanager
    async def answering(steps: Sequence[Step], end: memory.End) -> AsyncIterator[Opened]:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(HEAD)
            for pause_s, data in steps:
                if pause_s:
                    await asyncio.sleep(pause_s)
                await peer.send(chunk(data))
            if end == "end":
                await peer.send(b"0\r\n\r\n")
            if end != "cut":
                await peer.gone()

        async with scripted_upstream(script) as server:
            client = client_type()
            request = UpstreamRequest("POST", server.url, (), b"{}")
            exchange = await client.send(request, expire_at_s=in_s(PATIENCE_S))

            async def let_go() -> None:
                await server.peers[0].is_gone.wait()

            yield Opened(exchange, let_go)
            exchange.close()
            await client.aclose()

    return answering


@asynccontextmanager
async def in_the_sandbox(steps: Sequence[Step], end: memory.End) -> AsyncIterator[Opened]:
    ending = {"end": Ending.PROPER, "cut": Ending.CUT, "hang": Ending.HANG}[end]
    with pytest.MonkeyPatch.context() as patch:
        performance = Performance(200, (), iter(steps), ending=ending)
        patch.setattr(sandbox_exchange, "respond", lambda *_: performance)
        client = SandboxClient(now_s=lambda: 0.0)
        request = UpstreamRequest("POST", SANDBOX_URL, (), b"{}")
        exchange = await client.send(request, expire_at_s=in_s(PATIENCE_S))

        async def let_go() -> None:
            assert client.open_count == 0

        yield Opened(exchange, let_go)
        exchange.close()
        await client.aclose()
        assert client.open_count == 0


@asynccontextmanager
async def in_memory(steps: Sequence[Step], end: memory.End) -> AsyncIterator[Opened]:
    client = memory.ScriptedUpstream(lambda _: memory.Script(steps, end=end))
    request = UpstreamRequest("POST", "http://upstream.test", (), b"{}")
    exchange = await client.send(request, expire_at_s=in_s(PATIENCE_S))

    async def let_go() -> None:
        assert client.open_count == 0

    yield Opened(exchange, let_go)
    exchange.close()
    await client.aclose()


@pytest.fixture(
    params=[
        pytest.param(over_sockets(NativeUpstreamClient), id="native"),
        pytest.param(over_sockets(AiohttpUpstreamClient), id="aiohttp"),
        pytest.param(in_the_sandbox, id="sandbox"),
        pytest.param(in_memory, id="memory"),
    ]
)
def answering(request: pytest.FixtureRequest) -> Answering:
    return request.param


def at_once(*pieces: bytes) -> list[Step]:
    return [(0.0, piece) for piece in pieces]


def paced(pause_s: float, *pieces: bytes) -> list[Step]:
    return [(pause_s, piece) for piece in pieces]


async def test_pieces_come_in_order_and_then_the_pour_returns(answering: Answering) -> None:
    pieces = [b"%d," % number for number in range(200)]
    async with answering(at_once(*pieces), "end") as opened:
        taken: list[bytes] = []
        await pour(opened.exchange, taken.append)
        assert b"".join(taken) == b"".join(pieces)
        assert all(taken)


async def test_piece_is_given_when_it_arrives_and_not_with_the_next(answering: Answering) -> None:
    taken: list[bytes] = []
    async with answering(paced(SOON_S / 4, b"a", b"b", b"c"), "end") as opened:
        await pour(opened.exchange, taken.append)
    assert taken == [b"a", b"b", b"c"]


async def test_pour_goes_on_where_reading_stopped(answering: Answering) -> None:
    async with answering(paced(SOON_S / 10, b"a", b"b", b"c", b"d"), "end") as opened:
        first = await opened.exchange.read()
        assert first.startswith(b"a")
        taken: list[bytes] = []
        await pour(opened.exchange, taken.append)
        assert first + b"".join(taken) == b"abcd"


async def test_pour_after_the_end_takes_nothing_and_returns(answering: Answering) -> None:
    async with answering(at_once(b"a"), "end") as opened:
        assert await opened.exchange.read_all(10) == b"a"
        taken: list[bytes] = []
        await pour(opened.exchange, taken.append)
        assert taken == []


async def test_empty_body_is_a_pour_that_takes_nothing(answering: Answering) -> None:
    async with answering([], "end") as opened:
        taken: list[bytes] = []
        await pour(opened.exchange, taken.append)
        assert taken == []


async def test_cut_is_a_failure_after_all_that_came_before_it(answering: Answering) -> None:
    taken: list[bytes] = []
    async with answering(paced(SOON_S / 10, b"a", b"b"), "cut") as opened:
        failure = await failure_of(pour(opened.exchange, taken.append))
        assert (failure.phase, failure.timed_out) == (Phase.READ, False)
        assert b"".join(taken) == b"ab"


async def test_silence_ends_the_pour_between_tokens(answering: Answering) -> None:
    taken: list[bytes] = []
    async with answering(at_once(b"a"), "hang") as opened:
        failure = await failure_of(pour(opened.exchange, taken.append, between_s=SOON_S))
        assert (failure.phase, failure.timed_out) == (Phase.BETWEEN_TOKENS, True)
        assert taken == [b"a"]
        opened.exchange.close()
        await opened.let_go()


async def test_silence_counts_from_the_last_arrival(answering: Answering) -> None:
    pieces = [b"a"] * 6
    async with answering(paced(SOON_S / 2, *pieces), "hang") as opened:
        taken: list[bytes] = []
        began_s = in_s(0)
        failure = await failure_of(pour(opened.exchange, taken.append, between_s=SOON_S))
        assert failure.phase is Phase.BETWEEN_TOKENS
        assert taken == pieces
        assert in_s(0) - began_s > 3.5 * SOON_S


async def test_total_ends_the_pour_however_busy_it_is(answering: Answering) -> None:
    async with answering(paced(SOON_S / 8, *[b"a"] * 1000), "end") as opened:
        taken: list[bytes] = []
        failure = await failure_of(
            pour(opened.exchange, taken.append, between_s=SOON_S, until_s=in_s(SOON_S))
        )
        assert (failure.phase, failure.timed_out) == (Phase.TOTAL, True)
        assert 1 <= len(taken) < 20
        opened.exchange.close()
        await opened.let_go()


async def test_no_deadline_at_all_is_possible(answering: Answering) -> None:
    async with answering(paced(SOON_S / 10, b"a", b"b"), "end") as opened:
        taken: list[bytes] = []
        await opened.exchange.pour(taken.append, between_s=math.inf, until_s=math.inf)
        assert taken == [b"a", b"b"]


@pytest.mark.parametrize("phase", [Phase.TOTAL, Phase.BETWEEN_TOKENS])
async def test_deadline_that_the_taker_shortens_replaces_both(
    answering: Answering, phase: Phase
) -> None:
    async with answering(at_once(b"a"), "hang") as opened:
        failure = await failure_of(
            pour(opened.exchange, lambda _: opened.exchange.expire_at(in_s(SOON_S), phase))
        )
        assert (failure.phase, failure.timed_out) == (phase, True)


async def test_deadline_that_the_taker_prolongs_replaces_both(answering: Answering) -> None:
    async with answering([(0.0, b"a"), (2 * SOON_S, b"b"), (2 * SOON_S, b"c")], "end") as opened:
        taken: list[bytes] = []

        def take(piece: bytes) -> None:
            taken.append(piece)
            if len(taken) == 1:
                opened.exchange.expire_at(in_s(PATIENCE_S), Phase.TOTAL)

        await pour(opened.exchange, take, between_s=SOON_S, until_s=in_s(3 * SOON_S))
        assert taken == [b"a", b"b", b"c"]


async def test_what_the_taker_raises_closes_the_exchange_and_comes_out(
    answering: Answering,
) -> None:
    async with answering(paced(SOON_S / 10, b"a", b"b", b"c"), "hang") as opened:
        taken: list[bytes] = []

        def take(piece: bytes) -> None:
            taken.append(piece)
            if b"b" in piece:
                raise TakerFailed

        with pytest.raises(TakerFailed):
            await pour(opened.exchange, take)
        assert b"b" in taken[-1]
        await opened.let_go()
        await failure_of(opened.exchange.read())


async def test_taker_may_raise_at_the_very_first_buffered_piece(answering: Answering) -> None:
    def take(piece: bytes) -> None:
        raise TakerFailed(piece)

    async with answering(at_once(b"a", b"b"), "hang") as opened:
        with pytest.raises(TakerFailed):
            await pour(opened.exchange, take)
        await opened.let_go()


async def test_cancelling_closes_the_exchange(answering: Answering) -> None:
    async with answering(at_once(b"a"), "hang") as opened:
        has_taken = asyncio.Event()
        task = asyncio.create_task(pour(opened.exchange, lambda _: has_taken.set()))
        await has_taken.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await opened.let_go()
        await failure_of(opened.exchange.read())


async def test_cancelling_while_paused_closes_the_exchange(answering: Answering) -> None:
    async with answering(at_once(b"a", b"b"), "hang") as opened:
        has_taken = asyncio.Event()

        def take(_: bytes) -> None:
            opened.exchange.pause()
            has_taken.set()

        task = asyncio.create_task(pour(opened.exchange, take))
        await has_taken.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await opened.let_go()


async def test_closing_from_within_the_taker_ends_the_pour(answering: Answering) -> None:
    async with answering(paced(SOON_S / 10, b"a", b"b"), "hang") as opened:
        taken: list[bytes] = []

        def take(piece: bytes) -> None:
            taken.append(piece)
            opened.exchange.close()

        failure = await failure_of(pour(opened.exchange, take))
        assert (failure.phase, taken) == (Phase.READ, [b"a"])
        await opened.let_go()


@pytest.mark.parametrize("is_paused", [False, True])
async def test_closing_from_elsewhere_ends_the_pour(answering: Answering, is_paused: bool) -> None:
    async with answering(at_once(b"a"), "hang") as opened:

        def take(_: bytes) -> None:
            if is_paused:
                opened.exchange.pause()
            later(0, opened.exchange.close)

        assert (await failure_of(pour(opened.exchange, take))).phase is Phase.READ
        await opened.let_go()


async def test_paused_pour_takes_nothing_until_it_is_resumed(answering: Answering) -> None:
    pieces = [b"%d" % number for number in range(8)]
    async with answering(paced(SOON_S / 20, *pieces), "end") as opened:
        taken: list[bytes] = []
        is_paused = False

        def resume() -> None:
            nonlocal is_paused
            is_paused = False
            opened.exchange.resume()
            opened.exchange.resume()

        def take(piece: bytes) -> None:
            nonlocal is_paused
            assert not is_paused
            taken.append(piece)
            is_paused = True
            opened.exchange.pause()
            opened.exchange.pause()
            later(SOON_S / 6, resume)

        await pour(opened.exchange, take)
        assert b"".join(taken) == b"".join(pieces)


async def test_pour_may_begin_paused(answering: Answering) -> None:
    async with answering(paced(SOON_S / 20, b"a", b"b"), "end") as opened:
        opened.exchange.pause()
        taken: list[bytes] = []
        taken_by_then: list[bytes] = []

        def resume() -> None:
            taken_by_then.extend(taken)
            opened.exchange.resume()

        later(SOON_S, resume)
        await pour(opened.exchange, taken.append, between_s=SOON_S / 2)
        assert b"".join(taken) == b"ab"
        assert taken_by_then == []


async def test_pause_and_resume_within_one_piece_change_nothing(answering: Answering) -> None:
    async with answering(paced(SOON_S / 20, b"a", b"b", b"c"), "end") as opened:
        taken: list[bytes] = []

        def take(piece: bytes) -> None:
            opened.exchange.pause()
            opened.exchange.resume()
            taken.append(piece)

        await pour(opened.exchange, take)
        assert b"".join(taken) == b"abc"


async def test_pause_from_elsewhere_holds_what_arrives(answering: Answering) -> None:
    async with answering(paced(SOON_S / 4, b"a", b"b", b"c"), "end") as opened:
        taken: list[bytes] = []
        taken_by_then: list[bytes] = []

        def resume() -> None:
            taken_by_then.extend(taken)
            opened.exchange.resume()

        later(SOON_S / 10, opened.exchange.pause)
        later(2 * SOON_S, resume)
        await pour(opened.exchange, taken.append)
        assert taken_by_then == []
        assert b"".join(taken) == b"abc"


async def test_silence_does_not_count_while_paused_but_does_afterwards(
    answering: Answering,
) -> None:
    async with answering(at_once(b"a"), "hang") as opened:

        def take(_: bytes) -> None:
            opened.exchange.pause()
            later(3 * SOON_S, opened.exchange.resume)

        began_s = in_s(0)
        failure = await failure_of(pour(opened.exchange, take, between_s=SOON_S))
        assert (failure.phase, failure.timed_out) == (Phase.BETWEEN_TOKENS, True)
        assert in_s(0) - began_s > 3.5 * SOON_S


@pytest.mark.parametrize("end", ["hang", "end"])
async def test_total_counts_while_paused_even_if_all_has_arrived(
    answering: Answering, end: memory.End
) -> None:
    async with answering(at_once(b"a", b"b", b"c"), end) as opened:
        taken: list[bytes] = []
        opened.exchange.pause()
        failure = await failure_of(
            pour(opened.exchange, taken.append, between_s=SOON_S / 8, until_s=in_s(SOON_S))
        )
        assert (failure.phase, failure.timed_out) == (Phase.TOTAL, True)
        assert taken == []


async def test_deadline_moved_while_paused_strikes_at_its_new_time(answering: Answering) -> None:
    async with answering(at_once(b"a", b"b"), "end") as opened:
        opened.exchange.pause()
        later(0, lambda: opened.exchange.expire_at(in_s(SOON_S), Phase.TOTAL))
        failure = await failure_of(pour(opened.exchange, lambda _: None))
        assert (failure.phase, failure.timed_out) == (Phase.TOTAL, True)


async def test_long_answer_with_pauses_here_and_there_loses_nothing(answering: Answering) -> None:
    pieces = [os.urandom(1 + 997 * (number % 7)) for number in range(300)]
    async with answering(at_once(*pieces), "end") as opened:
        taken: list[bytes] = []

        def take(piece: bytes) -> None:
            taken.append(piece)
            if len(taken) % 3 == 0:
                opened.exchange.pause()
                later(0, opened.exchange.resume)
            if len(taken) % 5 == 0:
                opened.exchange.pause()
                opened.exchange.resume()

        await pour(opened.exchange, take)
        assert b"".join(taken) == b"".join(pieces)


# ---- over sockets -------------------------------------------------------------------------------


@asynccontextmanager
async def serving(
    script: Script, client_type: ClientType, limits: Limits | None = None
) -> AsyncIterator[tuple[ScriptedUpstream, UpstreamClient]]:
    async with scripted_upstream(script) as server:
        client = client_type(limits)
        try:
            yield server, client
        finally:
            await client.aclose()


async def send(client: UpstreamClient, url: str) -> Exchange:
    request = UpstreamRequest("POST", url, (), b"{}")
    return await client.send(request, expire_at_s=in_s(PATIENCE_S))


def always(*pieces: bytes) -> Script:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(*pieces)

    return script


@pytest.mark.parametrize("is_paused_at_the_end", [False, True])
async def test_poured_connection_serves_the_next_request(
    client_type: ClientType, is_paused_at_the_end: bool
) -> None:
    script = always(HEAD, chunk(b"a"), chunk(b"b") + b"0\r\n\r\n")
    async with serving(script, client_type) as (server, client):
        for _ in range(4):
            exchange = await send(client, server.url)
            taken = b""

            def take(piece: bytes) -> None:
                nonlocal taken
                taken += piece
                if is_paused_at_the_end and b"b" in piece:
                    exchange.pause()  # noqa: B023 -- called in this round only
                    later(0, exchange.resume)  # noqa: B023

            await pour(exchange, take)
            exchange.close()
            assert taken == b"ab"
        assert len(server.peers) == 1


@pytest.mark.parametrize("is_moved", [False, True])
async def test_total_counts_for_an_answer_whose_connection_is_free_again(
    client_type: ClientType, is_moved: bool
) -> None:
    async with serving(always(HEAD + chunk(b"a") + b"0\r\n\r\n"), client_type) as (server, client):
        exchange = await send(client, server.url)
        exchange.pause()
        taken: list[bytes] = []
        until_s = in_s(PATIENCE_S if is_moved else SOON_S)
        if is_moved:
            later(0, lambda: exchange.expire_at(in_s(SOON_S), Phase.TOTAL))
        failure = await failure_of(pour(exchange, taken.append, until_s=until_s))
        assert (failure.phase, failure.timed_out, taken) == (Phase.TOTAL, True, [])
        await pour(await send(client, server.url), taken.append)
        assert taken == [b"a"]
        assert len(server.peers) == 1 or client_type is AiohttpUpstreamClient


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"5\r\nhelloXX0\r\n\r\n", id="chunk longer than it says"),
        pytest.param(b"zz\r\nhello\r\n0\r\n\r\n", id="chunk size is no number"),
        pytest.param(b"5\r\nhel", id="cut within a chunk"),
        pytest.param(b"0\r\n", id="cut before the last line"),
    ],
)
async def test_broken_framing_is_a_failure_and_never_a_clean_end(
    client_type: ClientType, broken: bytes
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + chunk(b"good"), broken)

    async with serving(script, client_type) as (server, client):
        exchange = await send(client, server.url)
        taken: list[bytes] = []
        if client_type is NativeUpstreamClient:
            failure = await failure_of(pour(exchange, taken.append))
            assert (failure.phase, failure.timed_out) == (Phase.READ, False)
        else:  # it may notice at the deadline only
            failure = await failure_of(pour(exchange, taken.append, until_s=in_s(SOON_S)))
            assert failure.phase in (Phase.READ, Phase.TOTAL)
        assert b"goodhelloXX".startswith(b"".join(taken))
        assert (await failure_of(exchange.read())).phase is failure.phase


async def test_slow_taker_is_felt_by_the_peers_socket(client_type: ClientType) -> None:
    total = 64 * 1024 * 1024
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while written < total:
            await peer.send(bytes(256 * 1024))
            written += 256 * 1024

    async with serving(script, client_type) as (server, client):
        exchange = await send(client, server.url)
        taken_bytes = 0
        has_paused = asyncio.Event()

        def take(piece: bytes) -> None:
            nonlocal taken_bytes
            if not has_paused.is_set():
                exchange.pause()
                has_paused.set()
            taken_bytes += len(piece)

        pouring = asyncio.create_task(pour(exchange, take))
        await has_paused.wait()
        calm_turns, before = 0, -1
        while calm_turns < 500:
            calm_turns = calm_turns + 1 if written == before else 0
            before = written
            await asyncio.sleep(0)
        assert written < total
        held_bytes = taken_bytes
        for _ in range(100):
            await asyncio.sleep(0)
        assert taken_bytes == held_bytes
        exchange.resume()
        await pouring
        assert taken_bytes == total
        exchange.close()


async def test_huge_chunk_comes_whole_and_in_bounded_pieces(client_type: ClientType) -> None:
    body = os.urandom(1024) * 8 * 1024
    async with serving(always(HEAD + chunk(body) + b"0\r\n\r\n"), client_type) as (server, client):
        exchange = await send(client, server.url)
        taken: list[bytes] = []
        await pour(exchange, taken.append)
        assert b"".join(taken) == body
        assert max(map(len, taken)) <= 1024 * 1024


async def test_compressed_answer_is_decoded_as_it_is_poured(client_type: ClientType) -> None:
    text = os.urandom(300) * 50
    coded = gzip.compress(text)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(coded)
    pieces = [coded[i : i + 7] for i in range(0, len(coded), 7)]
    async with serving(always(head, *pieces), client_type) as (server, client):
        for _ in range(2):
            exchange = await send(client, server.url)
            taken: list[bytes] = []
            await pour(exchange, taken.append)
            assert b"".join(taken) == text
            exchange.close()
        assert len(server.peers) == 1


async def test_compression_bomb_is_given_in_bounded_pieces_between_which_it_can_pause(
    client_type: ClientType,
) -> None:
    bomb = gzip.compress(bytes(5_000_000))
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    limits = Limits(buffered_bytes_max=64 * 1024)
    async with serving(always(head + bomb), client_type, limits) as (server, client):
        exchange = await send(client, server.url)
        lengths: list[int] = []
        is_paused = False

        def resume() -> None:
            nonlocal is_paused
            is_paused = False
            exchange.resume()

        def take(piece: bytes) -> None:
            nonlocal is_paused
            assert not is_paused
            lengths.append(len(piece))
            is_paused = True
            exchange.pause()
            later(0, resume)

        await pour(exchange, take)
        assert sum(lengths) == 5_000_000
        assert max(lengths) <= 64 * 1024


@pytest.mark.parametrize("is_cut", [True, False])
async def test_compressed_answer_that_cannot_be_decoded_is_a_failure(
    client_type: ClientType, is_cut: bool
) -> None:
    coded = gzip.compress(os.urandom(1000))
    coded = coded[:-9] if is_cut else b"hello"

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(coded, headers="content-encoding: gzip\r\n")

    async with serving(script, client_type) as (server, client):
        exchange = await send(client, server.url)
        failure = await failure_of(pour(exchange, lambda _: None))
        assert (failure.phase, failure.timed_out) == (Phase.READ, False)


async def test_reset_is_a_failure(client_type: ClientType) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + chunk(b"hello"))
        raw = peer.streams[1].get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        peer.abort()

    async with serving(script, client_type) as (server, client):
        exchange = await send(client, server.url)
        failure = await failure_of(pour(exchange, lambda _: None))
        assert (failure.phase, failure.timed_out) == (Phase.READ, False)


async def test_closing_the_client_ends_a_pour_paused_or_not(client_type: ClientType) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + chunk(b"hello"))
        await peer.gone()

    async with serving(script, client_type) as (server, client):
        busy, paused = await send(client, server.url), await send(client, server.url)
        paused.pause()
        pours = [asyncio.create_task(pour(exchange, lambda _: None)) for exchange in (busy, paused)]
        await asyncio.sleep(0)
        await client.aclose()
        if client_type is NativeUpstreamClient:
            paused.resume()  # what came before the end is given before the failure
        for call in pours:
            assert (await failure_of(call)).phase is Phase.READ


def open_sockets() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(f"{entry.name} {entry.readlink()}")
    return {entry for entry in found if "socket:" in entry}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_pours_that_ended_in_every_way_leave_no_socket_and_no_task(
    client_type: ClientType,
) -> None:
    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            await peer.send(HEAD + chunk(b"hello"))
            if request.target == "/hang":
                await peer.gone()
            if request.target == "/cut":
                return
            await peer.send(b"0\r\n\r\n")

    def refuse(_: bytes) -> None:
        raise TakerFailed

    async with scripted_upstream(script) as server:
        before, tasks = open_sockets(), len(asyncio.all_tasks())
        client = client_type()
        await pour(await send(client, f"{server.url}/end"), lambda _: None)
        await failure_of(pour(await send(client, f"{server.url}/cut"), lambda _: None))
        hanging = await send(client, f"{server.url}/hang")
        await failure_of(pour(hanging, lambda _: None, between_s=SOON_S))
        with pytest.raises(TakerFailed):
            await pour(await send(client, f"{server.url}/end"), refuse)
        cancelled = asyncio.create_task(
            pour(await send(client, f"{server.url}/hang"), lambda _: None)
        )
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await client.aclose()
        for _ in range(200):  # turns of the loop, so that the server's ends are closed too
            await asyncio.sleep(0)
        assert open_sockets() <= before
        assert len(asyncio.all_tasks()) <= tasks


# ---- only our own client ------------------------------------------------------------------------


async def test_pieces_are_given_without_waking_a_task() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD)
        for _ in range(10):
            await asyncio.sleep(SOON_S / 100)
            await peer.send(chunk(b"a"))
        await peer.send(b"0\r\n\r\n")

    async with serving(script, NativeUpstreamClient) as (server, client):
        exchange = await send(client, server.url)
        takers: list[object] = []
        await pour(exchange, lambda _: takers.append(asyncio.current_task()))
        assert len(takers) >= 5
        assert set(takers) == {None}


async def test_what_is_held_is_given_within_resume() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + chunk(b"a"))
        await peer.gone()

    async with serving(script, NativeUpstreamClient) as (server, client):
        exchange = await send(client, server.url)
        exchange.pause()
        taken: list[bytes] = []
        task = asyncio.create_task(pour(exchange, taken.append))
        await asyncio.sleep(0)
        assert taken == []
        exchange.resume()
        assert taken == [b"a"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_failure_waits_for_what_a_paused_taker_has_not_had() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + chunk(b"a"))
        await peer.gone()

    async with serving(script, NativeUpstreamClient) as (server, client):
        exchange = await send(client, server.url)
        exchange.pause()
        taken: list[bytes] = []
        task = asyncio.create_task(pour(exchange, taken.append))
        await asyncio.sleep(0)
        await client.aclose()
        assert not task.done()
        exchange.resume()
        assert (await failure_of(task)).phase is Phase.READ
        assert taken == [b"a"]


async def test_thousand_chunks_cost_a_handful_of_timers_and_futures(
    monkeypatch: pytest.MonkeyPatch, anyio_backend: tuple[str, dict[str, object]]
) -> None:
    if anyio_backend[1]["use_uvloop"]:
        pytest.skip("uvloop's loop cannot be watched")
    loop = asyncio.get_running_loop()
    armed = 0
    call_at = loop.call_at

    def counting(*arguments: object, **options: object) -> asyncio.TimerHandle:
        nonlocal armed
        armed += 1
        return call_at(*arguments, **options)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD)
        for _ in range(1000):
            await peer.send(chunk(b"a"))
        await peer.send(b"0\r\n\r\n")

    async with serving(script, NativeUpstreamClient) as (server, client):
        exchange = await send(client, server.url)
        monkeypatch.setattr(loop, "call_at", counting)
        taken: list[bytes] = []
        await pour(exchange, taken.append, between_s=PATIENCE_S / 2)
        monkeypatch.undo()
        assert len(taken) > 500
        assert armed <= 3
