"""What the upstream client costs: processor time a request and a stream chunk, both clients, both loops.

    .venv/bin/python bench/upstream_client.py

The server is a separate process that answers from memory; only the client's own process time is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection

import uvloop

from fairlead.gateway.upstream import Phase, UpstreamClient
from fairlead.gateway.upstream_aiohttp import AiohttpUpstreamClient
from fairlead.gateway.upstream_native import NativeUpstreamClient
from fairlead.providers.base import UpstreamRequest

REQUEST_BODY = b'{"model":"m","messages":[{"role":"user","content":"' + b"word " * 400 + b'"}]}'
ANSWER_BODY = b'{"choices":[{"message":{"role":"assistant","content":"' + b"word " * 140 + b'"}}]}'
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}],"object":"chat.completion.chunk"}\n\n'
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
    b"server: bench\r\nx-request-id: 0123456789abcdef\r\nx-ratelimit-remaining: 99\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(ANSWER_BODY), ANSWER_BODY)
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
CHUNKS_PER_STREAM = 100
HEADERS = (
    ("authorization", "Bearer 0123456789abcdef0123456789abcdef"),
    ("content-type", "application/json"),
    ("user-agent", "bench"),
)


class _Upstream(asyncio.Protocol):
    """Answers each whole request; `/stream` in chunks, one every millisecond."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.received = b""
        self.loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator or len(body) < len(REQUEST_BODY):
            return
        self.received = b""
        if b" /stream " in head:
            self.transport.write(STREAM_HEAD)
            self.loop.call_later(0.001, self.tick, CHUNKS_PER_STREAM)
        else:
            self.transport.write(ANSWER)

    def tick(self, left: int) -> None:
        if left:
            self.transport.write(CHUNK)
            self.loop.call_later(0.001, self.tick, left - 1)
        else:
            self.transport.write(b"0\r\n\r\n")


def serve(pipe: Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Upstream, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    pin(0)
    uvloop.run(main())


def pin(core: int) -> None:
    """Keep client and server on different cores, where the machine has them."""
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})


async def requests(client: UpstreamClient, url: str, count: int) -> int:
    """Whole answers, one after the other. Returns how many were read."""
    loop = asyncio.get_running_loop()
    request = UpstreamRequest("POST", f"{url}/v1/chat/completions", HEADERS, REQUEST_BODY)
    for _ in range(count):
        exchange = await client.send(request, expire_at_s=loop.time() + 30)
        assert len(await exchange.read_all(1 << 20)) == len(ANSWER_BODY)
        exchange.close()
    return count


async def streams(client: UpstreamClient, url: str, count: int) -> int:
    """Streams, one after the other, with a deadline moved at each read. Returns how many chunks were read."""
    loop = asyncio.get_running_loop()
    request = UpstreamRequest("POST", f"{url}/stream", HEADERS, REQUEST_BODY)
    for _ in range(count):
        exchange = await client.send(request, expire_at_s=loop.time() + 30)
        length = 0
        while piece := await exchange.read():
            length += len(piece)
            exchange.expire_at(loop.time() + 30, Phase.BETWEEN_TOKENS)
        exchange.close()
        assert length == CHUNKS_PER_STREAM * len(EVENT)
    return count * CHUNKS_PER_STREAM


async def poured_streams(client: UpstreamClient, url: str, count: int) -> int:
    """The same streams, poured."""
    loop = asyncio.get_running_loop()
    request = UpstreamRequest("POST", f"{url}/stream", HEADERS, REQUEST_BODY)
    for _ in range(count):
        exchange = await client.send(request, expire_at_s=loop.time() + 30)
        pieces: list[bytes] = []
        await exchange.pour(pieces.append, between_s=30, until_s=loop.time() + 300)
        exchange.close()
        assert sum(map(len, pieces)) == CHUNKS_PER_STREAM * len(EVENT)
    return count * CHUNKS_PER_STREAM


Work = Callable[[UpstreamClient, str, int], Awaitable[int]]


async def cost_us(client_type: type, url: str, work: Work, *, callers: int, count: int) -> float:
    """Processor microseconds of this process for one unit of work."""
    client = client_type()
    await asyncio.gather(*(work(client, url, 2) for _ in range(callers)))
    began_s = time.process_time()
    done = sum(await asyncio.gather(*(work(client, url, count) for _ in range(callers))))
    spent_s = time.process_time() - began_s
    await client.aclose()
    return spent_s / done * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    pin(-1)
    print(
        f"{'loop':8} {'client':8} {'us/request':>11} {'us/chunk read':>14} {'poured':>8}"
        f"   (medians of {rounds} rounds)"
    )
    for loop_name, factory in (
        ("uvloop", uvloop.new_event_loop),
        ("asyncio", asyncio.new_event_loop),
    ):
        for name, client_type in (
            ("native", NativeUpstreamClient),
            ("aiohttp", AiohttpUpstreamClient),
        ):
            figures: list[tuple[float, float, float]] = []
            for _ in range(rounds):
                with asyncio.Runner(loop_factory=factory) as runner:
                    request_us = runner.run(
                        cost_us(client_type, url, requests, callers=64, count=50)
                    )
                    read_us, poured_us = (
                        runner.run(cost_us(client_type, url, work, callers=10, count=8))
                        for work in (streams, poured_streams)
                    )
                figures.append((request_us, read_us, poured_us))
            request_us, read_us, poured_us = (
                statistics.median(column) for column in zip(*figures, strict=True)
            )
            print(f"{loop_name:8} {name:8} {request_us:11.1f} {read_us:14.1f} {poured_us:8.1f}")
    server.terminate()
    server.join()


if __name__ == "__main__":
    main()
