"""The caller's side of a call: bounded bodies, streams that are kept alive, hang-ups that are noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any

import pytest

from fairlead.core.errors import PayloadTooLarge, RequestInvalid
from fairlead.gateway.asgi import CallerSide
from fairlead.testing.vtime import run_simulated

Message = MutableMapping[str, Any]


class Connection:
    """A caller in memory: what it sends, what it got, and a switch to hang up."""

    def __init__(self, *body: bytes, headers: dict[str, str] | None = None) -> None:
        self._messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": index + 1 < len(body)}
            for index, piece in enumerate(body)
        ]
        self.headers = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
        self.gone = asyncio.Event()
        self.sent: list[Message] = []
        self.taking = asyncio.Event()
        self.taking.set()

    async def receive(self) -> Message:
        if self._messages:
            return self._messages.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.taking.wait()
        self.sent.append(message)

    def side(self, *, keep_alive_s: float = 30.0, stall_s: float = 60.0) -> CallerSide:
        return CallerSide(
            {"headers": self.headers},
            self.receive,
            self.send,
            loop=asyncio.get_running_loop(),
            keep_alive_s=keep_alive_s,
            stall_s=stall_s,
        )

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.sent if m["type"] == "http.response.body")


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Virtual time: hours of silence pass in milliseconds."""
    run_simulated(test())


def test_a_body_in_pieces_is_joined() -> None:
    async def scenario() -> None:
        assert await Connection(b"one ", b"two ", b"three").side().body(100) == b"one two three"

    run(scenario)


@pytest.mark.parametrize(
    "connection",
    [
        lambda: Connection(b"x" * 11),
        lambda: Connection(b"x" * 6, b"x" * 6),
        lambda: Connection(b"", headers={"content-length": "11"}),
    ],
)
def test_a_body_over_the_limit_is_refused(connection: Callable[[], Connection]) -> None:
    async def scenario() -> None:
        with pytest.raises(PayloadTooLarge, match="10 bytes"):
            await connection().side().body(10)

    run(scenario)


def test_a_body_that_breaks_off_is_noticed() -> None:
    async def scenario() -> None:
        connection = Connection()
        connection.gone.set()
        side = connection.side()
        with pytest.raises(RequestInvalid):
            await side.body(10)
        assert side.has_left

    run(scenario)


def test_a_silent_stream_is_kept_alive_and_the_head_is_sent_once() -> None:
    async def scenario() -> None:
        connection = Connection(b"{}")
        side = connection.side(keep_alive_s=10)
        await side.body(10)
        side.watch()
        side.stream(((b"content-type", b"text/event-stream"),), keep_alive=b": wait\n\n")
        await asyncio.sleep(25)
        assert connection.body == b": wait\n\n" * 2
        await side.write(b"data: 1\n\n")
        await asyncio.sleep(9)
        await side.end(b"data: 2\n\n")
        await side.unwatch()
        assert connection.body == b": wait\n\n" * 2 + b"data: 1\n\ndata: 2\n\n"
        assert [m["type"] for m in connection.sent].count("http.response.start") == 1

    run(scenario)


def test_nothing_is_sent_into_a_whole_answer_however_long_it_takes() -> None:
    async def scenario() -> None:
        connection = Connection(b"{}")
        side = connection.side(keep_alive_s=10)
        await side.body(10)
        side.watch()
        await asyncio.sleep(100)
        assert connection.sent == []
        await side.answer(200, (), b"{}")
        await side.unwatch()

    run(scenario)


def test_a_hang_up_cancels_the_serving_task_at_once() -> None:
    async def scenario() -> None:
        connection = Connection(b"{}")
        side = connection.side()
        noticed_s: list[float] = []

        async def serve() -> None:
            await side.body(10)
            side.watch()
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                noticed_s.append(asyncio.get_running_loop().time())
                assert side.has_left
            finally:
                await side.unwatch()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve())
            await asyncio.sleep(5)
            connection.gone.set()
        assert noticed_s == [pytest.approx(5, abs=0.1)]

    run(scenario)


def test_a_caller_who_takes_nothing_is_taken_for_gone() -> None:
    async def scenario() -> None:
        connection = Connection(b"{}")
        side = connection.side(keep_alive_s=10, stall_s=60)
        ended_s: list[float] = []

        async def serve() -> None:
            await side.body(10)
            side.stream((), keep_alive=b":\n\n")
            side.watch()
            connection.taking.clear()
            try:
                await side.write(b"data: 1\n\n")
            except asyncio.CancelledError:
                ended_s.append(asyncio.get_running_loop().time())
            finally:
                await side.unwatch()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve())
        assert ended_s
        assert 60 <= ended_s[0] < 90

    run(scenario)


def test_no_task_is_left_when_a_call_is_over() -> None:
    async def scenario() -> None:
        connection = Connection(b"{}")
        side = connection.side()
        await side.body(10)
        side.watch()
        await asyncio.sleep(1)
        assert len(asyncio.all_tasks()) == 2
        await side.unwatch()
        assert len(asyncio.all_tasks()) == 1

    run(scenario)
