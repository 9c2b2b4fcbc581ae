"""The shared cache: a Redis or Valkey server where the processes of one installation meet.

What is in it may be lost at any time: health and rate limits, never money. So every answer has a short time
limit, and while the server is away, calls fail at once and go on with what this process knows itself; only
one in a second waits to find out whether it is back.

    cache = Cache(url)
    await cache.run(Script("return redis.call('incrby', KEYS[1], ARGV[1])"), ["bucket"], [1])
    await cache.append("fairlead:news", sender=b"me", payload=b"...", entries_max=100)
    await cache.aclose()

The client library is imported with the first `Cache`: it is large, and most installations have no cache.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NewType, TypeVar, cast

from fairlead.settings.types import CACHE_SCHEMES

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["BEFORE_ALL", "Cache", "CacheAway", "Entry", "EntryId", "Script"]

CONNECTIONS_MAX: Final = 16  # calls beyond wait for one of them, within their own time limit
CONNECT_TIMEOUT_S: Final = 1.0
ANSWER_TIMEOUT_S: Final = 0.25  # of one command, connecting not included
REST_S: Final = 1.0  # after a failure nothing is sent for so long

EntryId = NewType("EntryId", bytes)  # "milliseconds-number", in the server's time
BEFORE_ALL: Final = EntryId(b"0-0")
_Answer = TypeVar("_Answer")


class CacheAway(Exception):
    """The server does not answer in time, or not sensibly. The message holds no password."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script that the server runs in one go. Prefix every key with `fairlead:`.

    It must name all its keys in KEYS, and read the time by `redis.call('TIME')` if it needs it.
    """

    text: str
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream."""

    id: EntryId
    sender: bytes
    payload: bytes


class Cache:
    """One server. All methods raise CacheAway; all may be called at the same time."""

    def __init__(
        self,
        url: str,
        *,
        connections_max: int = CONNECTIONS_MAX,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        rest_s: float = REST_S,
    ) -> None:
        """url: with one of `CACHE_SCHEMES`, else ValueError. Connects when it is first used."""
        self._client = _client(url, connections_max, connect_timeout_s, answer_timeout_s)
        self._timeout_s = connect_timeout_s + answer_timeout_s
        self._rest_s = rest_s
        self._problem: str | None = None  # of the last call, if it failed
        self._resting_until_s = float("-inf")  # in the event loop's time

    async def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int | float]
    ) -> object:
        """Run a script. The answer as the server gives it: int, bytes, None or a list of these."""

        async def ask() -> object:
            from redis.exceptions import NoScriptError

            given = (len(keys), *keys, *arguments)
            try:
                return await self._command("EVALSHA", script.digest, *given)
            except NoScriptError:
                return await self._command("EVAL", script.text, *given)

        return await self._bounded(ask)

    async def now_ms(self) -> int:
        """The server's clock, Unix milliseconds."""
        seconds, microseconds = cast("tuple[int, int]", await self._bounded(self._client.time))
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def append(
        self, stream: str, *, sender: bytes, payload: bytes, entries_max: int
    ) -> EntryId:
        """Add an entry to a stream, which keeps about the newest `entries_max`."""
        added = await self._bounded(
            lambda: self._command(
                "XADD", stream, "MAXLEN", "~", entries_max, "*", "f", sender, "p", payload
            )
        )
        if not isinstance(added, bytes):
            raise CacheAway(f"XADD answered {type(added).__name__}")
        return EntryId(added)

    async def entries(self, stream: str, *, after: EntryId, entries_max: int) -> list[Entry]:
        """Entries younger than `after`, oldest first."""
        found = await self._bounded(
            lambda: self._command("XRANGE", stream, b"(" + after, "+", "COUNT", entries_max)
        )
        return [_entry(one) for one in cast("list[Any]", found or [])]

    async def newest(self, stream: str) -> EntryId:
        """The id of the last entry; that before all others if there is none."""
        found = await self._bounded(
            lambda: self._command("XREVRANGE", stream, "+", "-", "COUNT", 1)
        )
        return _entry(cast("list[Any]", found)[0]).id if found else BEFORE_ALL

    async def aclose(self) -> None:
        await self._client.aclose()

    def _command(self, *parts: str | bytes | float) -> Awaitable[object]:
        # The library's own wrappers differ in what they return by version; the plain command does not.
        execute: Callable[..., Awaitable[object]] = self._client.execute_command
        return execute(*parts)

    async def _bounded(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Ask within the time limit, and be cancelled as one would expect.

        The library sends by `asyncio.wait_for`, which before Python 3.12 goes on as if nothing had happened
        when its task is cancelled in the moment in which it is done.
        """
        task = asyncio.current_task()
        assert task is not None
        cancellations = task.cancelling()
        try:
            return await self._answered(ask)
        finally:
            if task.cancelling() > cancellations:
                raise asyncio.CancelledError

    async def _answered(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Within the time limit, unless the server failed us a moment ago."""
        from redis.exceptions import RedisError, ResponseError

        loop = asyncio.get_running_loop()
        if self._problem is not None:
            if loop.time() < self._resting_until_s:
                raise CacheAway(self._problem)
            # This call finds out whether the server is back; until then the others need not wait with it.
            self._resting_until_s = loop.time() + self._timeout_s
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await ask()
        except ResponseError as error:  # it is there, and objects to what it was told
            raise CacheAway(str(error)) from error
        except (RedisError, OSError, TimeoutError) as error:
            self._problem = str(error) or f"no answer within {self._timeout_s} s"
            self._resting_until_s = loop.time() + self._rest_s
            raise CacheAway(self._problem) from error
        self._problem = None
        return answer


def _entry(found: Any) -> Entry:  # noqa: ANN401 - the library's: (id, {name: value})
    name, fields = found
    return Entry(EntryId(name), fields.get(b"f", b""), fields.get(b"p", b""))


def _client(
    url: str, connections_max: int, connect_timeout_s: float, answer_timeout_s: float
) -> Redis:
    # Some 50 ms to import.
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    if not url.startswith(CACHE_SCHEMES):
        raise ValueError(f"a cache's address begins with one of {', '.join(CACHE_SCHEMES)}")
    pool = BlockingConnectionPool.from_url(
        url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
        max_connections=connections_max,
        timeout=answer_timeout_s,
        protocol=2,  # every version of either server speaks it
        socket_connect_timeout=connect_timeout_s,
        socket_timeout=answer_timeout_s,
        # A connection that the server closed meanwhile fails with the next command: that is worth one more.
        retry=Retry(NoBackoff(), 1),
        client_name="fairlead",
        **({} if url.startswith("unix") else {"socket_keepalive": True}),
    )
    return Redis.from_pool(pool)  # closes it, too
