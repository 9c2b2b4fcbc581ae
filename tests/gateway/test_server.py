"""The server on real sockets: its bounds, how it stops, and the control plane's framework on it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fairlead.gateway.caller_side import CallerApp, CallerSide
from fairlead.gateway.server.connection import ServerBounds
from fairlead.gateway.server.listener import StopOrder, serve

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """We serve on uvloop, and test much on asyncio's loop: both must do."""
    return "asyncio", {"use_uvloop": request.param}


class App:
    """Answers when it is let; counts what it began."""

    def __init__(self) -> None:
        self.was_cancelled = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.has_begun = asyncio.Event()

    async def __call__(self, side: CallerSide) -> None:
        self.has_begun.set()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        side.answer(200, b"", b"done")


@asynccontextmanager
async def running(app: CallerApp, **bounds: Any) -> AsyncIterator[tuple[int, StopOrder]]:
    listener = socket.create_server(("127.0.0.1", 0))
    stop, is_ready = StopOrder(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            serve(
                app,
                listener,
                bounds=ServerBounds(**bounds),
                stop=stop,
                on_ready=is_ready.set,
                wall_s=lambda: 0.0,
            )
        )
        await is_ready.wait()
        yield listener.getsockname()[1], stop
        stop.give()
        stop.give()


async def said(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_head_that_is_too_large_is_refused() -> None:
    async with running(App(), head_bytes_max=4096) as (port, _):
        lines = b"".join(b"x-%d: %b\r\n" % (n, b"y" * 1000) for n in range(5))
        answer = await said(port, b"GET / HTTP/1.1\r\nhost: a\r\n" + lines)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"4096 bytes" in answer


async def test_one_endless_header_is_refused_while_it_is_still_arriving() -> None:
    async with running(App(), head_bytes_max=4096) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nx: ")
        for _ in range(20):
            writer.write(b"y" * 1000)
            await writer.drain()
        assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
        writer.close()


async def test_the_refusal_arrives_however_much_is_still_to_be_sent() -> None:
    """A connection that is closed with bytes unread is reset, and what was said on it is lost."""
    head = b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 4_000_000 + b"\r\n\r\n"
    async with running(App(), head_bytes_max=4096) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        await writer.drain()
        assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
        writer.close()


async def test_a_head_that_does_not_arrive_is_given_up() -> None:
    async with running(App(), head_s=0.2) as (port, _):
        assert await said(port, b"") == b""
        assert await said(port, b"GET / HTTP/1.1\r\nhost:") == b""


async def test_a_usual_request_is_answered_and_the_connection_kept() -> None:
    async with running(App()) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\ndone")).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_told_to_stop_a_running_call_finishes_and_new_ones_are_refused() -> None:
    app = App()
    app.may_answer.clear()
    async with running(app, drain_s=30) as (port, stop):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await app.has_begun.wait()
        stop.give()
        while True:  # the listener closes within one tick of the server
            try:
                _, other = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                break
            other.close()
        app.may_answer.set()
        assert b"done" in await reader.read()
        writer.close()


async def test_told_twice_running_calls_are_cancelled_and_waited_for() -> None:
    app = App()
    app.may_answer.clear()
    async with running(app, drain_s=3600) as (port, stop):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await app.has_begun.wait()
        stop.give()
        stop.give()
        assert b"done" not in await reader.read()
        writer.close()
    assert app.was_cancelled


async def test_the_next_request_is_read_however_quickly_a_large_body_came() -> None:
    async def app(side: CallerSide) -> None:
        side.answer(200, b"", b"%d" % len(await side.body(1 << 24)))

    async with running(app) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for size in (300_000, 400_000, 500_000, 2_000_000, 1):
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size)
            writer.write(b"x" * size)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(len(str(size))) == b"%d" % size
        writer.close()


async def test_who_asks_and_takes_nothing_is_not_answered_again_and_again() -> None:
    answers_count = 0

    async def app(side: CallerSide) -> None:
        nonlocal answers_count
        answers_count += 1
        side.answer(200, b"", b"x" * 1_000_000)

    async def ask_on(asking: socket.socket) -> None:
        while True:
            await asyncio.get_running_loop().sock_sendall(
                asking, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 1000
            )

    async with running(app, stall_s=0.3) as (port, _):
        with socket.create_connection(("127.0.0.1", port)) as asking:
            asking.setblocking(False)
            with pytest.raises(ConnectionError):  # after `stall_s`
                await ask_on(asking)
        assert answers_count < 100, "those that fit the buffers of the sockets"
