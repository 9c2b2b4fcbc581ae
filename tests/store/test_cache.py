"""The shared cache, against a real server."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.store.cache import BEFORE_ALL, Cache, CacheAway, Script
from tests.cache_server import CacheServer

pytestmark = pytest.mark.anyio

COUNT_UP = Script("return redis.call('incrby', KEYS[1], ARGV[1])")


async def test_a_script_runs_whether_the_server_knows_it_or_not(shared_cache: CacheServer) -> None:
    cache = Cache(shared_cache.url)
    try:
        assert await cache.run(COUNT_UP, ["n"], [2]) == 2
        shared_cache.clear()
        assert await cache.run(COUNT_UP, ["n"], [3]) == 3
        assert await cache.run(COUNT_UP, ["n"], [4]) == 7
    finally:
        await cache.aclose()


async def test_many_calls_share_few_connections(shared_cache: CacheServer) -> None:
    cache = Cache(shared_cache.url, connections_max=2, answer_timeout_s=5.0)
    try:
        answers = await asyncio.gather(*(cache.run(COUNT_UP, ["n"], [1]) for _ in range(50)))
        assert sorted(int(str(answer)) for answer in answers) == list(range(1, 51))
    finally:
        await cache.aclose()


async def test_entries_are_read_in_order_from_where_one_left_off(shared_cache: CacheServer) -> None:
    cache = Cache(shared_cache.url)
    try:
        assert await cache.entries("s", after=BEFORE_ALL, entries_max=10) == []
        assert await cache.newest("s") == BEFORE_ALL
        for number in range(5):
            await cache.append("s", sender=b"me", payload=b"%d" % number, entries_max=1000)
        first = await cache.entries("s", after=BEFORE_ALL, entries_max=3)
        rest = await cache.entries("s", after=first[-1].id, entries_max=10)
        assert [entry.payload for entry in first + rest] == [b"0", b"1", b"2", b"3", b"4"]
        assert {entry.sender for entry in first} == {b"me"}
        assert await cache.newest("s") == rest[-1].id
        assert int(rest[-1].id.partition(b"-")[0]) <= await cache.now_ms()
    finally:
        await cache.aclose()


async def test_a_stream_keeps_about_the_newest_entries(shared_cache: CacheServer) -> None:
    cache = Cache(shared_cache.url)
    try:
        for _ in range(500):
            await cache.append("s", sender=b"", payload=b"", entries_max=100)
        assert len(await cache.entries("s", after=BEFORE_ALL, entries_max=1000)) < 250
    finally:
        await cache.aclose()


async def test_a_server_that_is_away_is_said_to_be_and_found_again(
    shared_cache: CacheServer,
) -> None:
    cache = Cache(shared_cache.url, rest_s=0.0)
    try:
        await cache.run(COUNT_UP, ["n"], [1])
        shared_cache.stop()
        with pytest.raises(CacheAway):
            await cache.run(COUNT_UP, ["n"], [1])
        shared_cache.start()
        assert await cache.run(COUNT_UP, ["n"], [1]) == 1
    finally:
        await cache.aclose()


async def test_after_a_failure_calls_fail_at_once_for_a_while(shared_cache: CacheServer) -> None:
    cache = Cache(shared_cache.url, rest_s=3600.0)
    try:
        shared_cache.stop()
        with pytest.raises(CacheAway):
            await cache.now_ms()
        shared_cache.start()
        with pytest.raises(CacheAway):
            await cache.now_ms()
    finally:
        await cache.aclose()


class SilentServer:
    """Accepts and says nothing."""

    def __init__(self) -> None:
        self.accepted = 0

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._say_nothing, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _say_nothing(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.accepted += 1
        await reader.read()
        writer.close()


async def test_a_server_that_accepts_and_says_nothing_is_away() -> None:
    async with SilentServer() as port:
        url = f"valkey://:hidden@127.0.0.1:{port}"
        cache = Cache(url, answer_timeout_s=0.05, connect_timeout_s=0.1)
        with pytest.raises(CacheAway) as caught:
            await cache.now_ms()
        assert "hidden" not in str(caught.value)
        await cache.aclose()


async def test_one_call_finds_out_whether_the_server_is_back_and_the_others_do_not_wait() -> None:
    silent = SilentServer()
    async with silent as port:
        cache = Cache(
            f"redis://127.0.0.1:{port}", answer_timeout_s=0.05, connect_timeout_s=0.1, rest_s=0.0
        )
        with pytest.raises(CacheAway):
            await cache.now_ms()
        for_one_call = silent.accepted
        answers = await asyncio.gather(*(cache.now_ms() for _ in range(20)), return_exceptions=True)
        assert all(isinstance(answer, CacheAway) for answer in answers)
        assert silent.accepted == 2 * for_one_call
        await cache.aclose()


async def test_a_call_that_is_cancelled_ends_so_wherever_it_is(shared_cache: CacheServer) -> None:
    """Else a server that stops would wait for it for ever."""
    cache = Cache(shared_cache.url, answer_timeout_s=5.0)
    turns, is_too_late = 0, False
    try:
        await cache.run(COUNT_UP, ["n"], [1])
        while not is_too_late:
            calling = asyncio.create_task(cache.run(COUNT_UP, ["n"], [1]))
            for _ in range(turns):
                await asyncio.sleep(0)
            is_too_late = not calling.cancel()
            if not is_too_late:
                with pytest.raises(asyncio.CancelledError):
                    await calling
            turns += 1
        assert turns > 3, "it was never waiting"
    finally:
        await cache.aclose()


async def test_a_script_that_fails_is_not_mistaken_for_an_answer(shared_cache: CacheServer) -> None:
    cache = Cache(shared_cache.url)
    try:
        with pytest.raises(CacheAway, match="wrong"):
            await cache.run(Script("return redis.error_reply('wrong')"), [], [])
    finally:
        await cache.aclose()


def test_another_kind_of_address_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with one of redis://"):
        Cache("http://localhost")
