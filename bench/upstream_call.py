"""What our own HTTP client costs without a kernel: a transport of ours is fed by hand, on the client's loop.

    .venv/bin/python bench/upstream_call.py            # all rows
    .venv/bin/python bench/upstream_call.py --profile  # and the hottest functions of a call

The best of many short batches, in microseconds of processor time, so that it shows the effect of a change
which `upstream_client.py`, with sockets and a second process, cannot tell from noise. `floor` is what the
event loop takes for one future that a callback fulfils: no call can cost less.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import time
from collections.abc import Awaitable, Callable
from typing import cast

import uvloop
from upstream_client import ANSWER, ANSWER_BODY, CHUNK, EVENT, HEADERS, REQUEST_BODY, STREAM_HEAD

from fairlead.gateway.http.connection import Connection
from fairlead.gateway.http.dial import Dialler
from fairlead.gateway.http.origin import Origin
from fairlead.gateway.upstream import Exchange, Limits, Phase
from fairlead.gateway.upstream_native import NativeUpstreamClient
from fairlead.providers.base import UpstreamRequest

BATCH = 50
CHUNKS = 500
REQUEST = UpstreamRequest("POST", "http://upstream.test/v1/chat/completions", HEADERS, REQUEST_BODY)


class HandFedTransport(asyncio.Transport):
    """Answers each write in the next turn of the loop, with what it is told."""

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.connection = connection
        self.answer = ANSWER
        self._loop = loop

    def write(self, data: bytes | bytearray | memoryview) -> None:
        del data
        self._loop.call_soon(self.connection.data_received, self.answer)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        self._loop.call_soon(self.connection.connection_lost, None)


class HandFedDialler:
    """Connects at once, to nowhere."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.transport: HandFedTransport | None = None

    async def dial(self, origin: Origin) -> Connection:
        connection = Connection(origin, self._loop, Limits(), origin.route.label)
        self.transport = HandFedTransport(connection, self._loop)
        connection.connection_made(self.transport)
        return connection


class Stage:
    """A client on a hand-fed connection. transport: of that one connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.client = NativeUpstreamClient()
        self._dialler = HandFedDialler(loop)
        self.client._loop = loop  # noqa: SLF001 -- there is no socket to dial
        self.client._dialler = cast("Dialler", self._dialler)  # noqa: SLF001

    @property
    def transport(self) -> HandFedTransport:
        assert self._dialler.transport is not None
        return self._dialler.transport

    async def send(self) -> Exchange:
        return await self.client.send(REQUEST, expire_at_s=self.loop.time() + 30)

    # ---- rows: each returns how many units it did ----

    async def floor(self) -> int:
        for _ in range(BATCH):
            future = self.loop.create_future()
            self.loop.call_soon(future.set_result, None)
            await future
        return BATCH

    async def calls(self) -> int:
        """As the pipeline calls: by hand, without a wait, what came with the head."""
        send, loop_time = self.client.send, self.loop.time
        for _ in range(BATCH):
            exchange = await send(REQUEST, expire_at_s=loop_time() + 30)
            body = exchange.take_whole()
            assert body is not None
            assert len(body) == len(ANSWER_BODY)
            exchange.close()
        return BATCH

    async def read_calls(self) -> int:
        """The same answers in a loop of reads, each with its deadline."""
        send, loop_time = self.client.send, self.loop.time
        for _ in range(BATCH):
            exchange = await send(REQUEST, expire_at_s=loop_time() + 30)
            while await exchange.read():
                exchange.expire_at(loop_time() + 30, Phase.BETWEEN_TOKENS)
            exchange.close()
        return BATCH

    async def read_chunks(self) -> int:
        exchange = await self._stream()
        feed = self.transport.connection.data_received
        for _ in range(CHUNKS):
            self.loop.call_soon(feed, CHUNK)
            assert len(await exchange.read()) == len(EVENT)
            exchange.expire_at(self.loop.time() + 30, Phase.BETWEEN_TOKENS)
        self.loop.call_soon(feed, b"0\r\n\r\n")
        assert await exchange.read() == b""
        exchange.close()
        return CHUNKS

    async def poured_chunks(self) -> int:
        exchange = await self._stream()
        feed = self.transport.connection.data_received

        def feed_all() -> None:
            for _ in range(CHUNKS):
                feed(CHUNK)
            feed(b"0\r\n\r\n")

        self.loop.call_soon(feed_all)
        await exchange.pour(_drop, between_s=30, until_s=self.loop.time() + 300)
        exchange.close()
        return CHUNKS

    async def _stream(self) -> Exchange:
        if self._dialler.transport is None:
            await self.calls()  # there is a connection now
        self.transport.answer = STREAM_HEAD
        exchange = await self.send()
        self.transport.answer = ANSWER
        return exchange


def _drop(piece: bytes) -> None:
    del piece


async def best_us(work: Callable[[], Awaitable[int]], seconds: float) -> float:
    """The least cost of one unit of work, among the batches of some seconds."""
    best = float("inf")
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        began_s = time.thread_time()
        units = await work()
        best = min(best, (time.thread_time() - began_s) / units)
    return best * 1e6


async def measure(seconds: float) -> None:
    stage = Stage(asyncio.get_running_loop())
    floor_us = await best_us(stage.floor, seconds)
    call_us = await best_us(stage.calls, seconds)
    read_call_us = await best_us(stage.read_calls, seconds)
    read_us = await best_us(stage.read_chunks, seconds)
    poured_us = await best_us(stage.poured_chunks, seconds)
    await stage.client.aclose()
    costs_us = (floor_us, call_us, read_call_us, read_us, poured_us)
    print(" ".join(f"{cost_us:12.2f}" for cost_us in costs_us))


async def profile_calls() -> None:
    stage = Stage(asyncio.get_running_loop())
    profiler = cProfile.Profile()
    await stage.calls()
    profiler.enable()
    for _ in range(100):
        await stage.calls()
    profiler.disable()
    await stage.client.aclose()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(22)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each row")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    columns = ("floor", "call", "read call", "read chunk", "poured chunk")
    print("us      ", " ".join(f"{column:>12}" for column in columns))
    for name, factory in (("uvloop", uvloop.new_event_loop), ("asyncio", asyncio.new_event_loop)):
        with asyncio.Runner(loop_factory=factory) as runner:
            print(f"{name:8} ", end="")
            runner.run(measure(arguments.seconds))
    if arguments.profile:
        uvloop.run(profile_calls())


if __name__ == "__main__":
    main()
