"""One request more, or 429: in one process, in several that share a cache, and while the cache is away."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from fairlead.control.serving.limits import RateLimits, request_limits
from fairlead.control.serving.shared_counts import SharedCounts
from fairlead.core.caller import Caller, KeyLimits
from fairlead.core.ids import AccountId, KeyId
from fairlead.core.limits import Allowance, KeyPace, LimitBook, LimitName, RequestLimits
from fairlead.core.ratelimit import DAY_MS, MINUTE_MS
from fairlead.settings import Limits
from fairlead.store.cache import Cache
from tests.cache_server import CacheServer

pytestmark = pytest.mark.anyio

NOON_S = 20_000 * 86_400.0 + 43_200
PATIENCE_S = 60
PREPAID = Caller(AccountId("acc"), KeyId("key"), is_prepaid=True)
OWNER = Caller(AccountId("own"), KeyId("key-own"))
PACED = replace(OWNER, rate_limits=KeyLimits(requests_per_minute=37))
DOCUMENTED = request_limits(Limits())


@pytest.fixture
async def cache(shared_cache: CacheServer):
    cache = Cache(shared_cache.url, answer_timeout_s=5.0, rest_s=0.0)
    yield cache
    await cache.aclose()


async def passed(limits: RateLimits, caller: Caller, count: int, *, is_free: bool = False) -> int:
    """How many of so many requests at once may pass."""
    answers = await asyncio.gather(
        *(limits.admit(caller, is_free=is_free, now_s=NOON_S) for _ in range(count))
    )
    return answers.count(None)


def test_the_usual_settings_are_the_documented_limits() -> None:
    documented = RequestLimits(free_per_minute=20, free_per_day=50, free_per_day_purchased=1000)
    assert request_limits(Limits()) == documented


def test_only_calls_that_something_limits_are_looked_at() -> None:
    limits = RateLimits(DOCUMENTED)
    assert not limits.needs_check(PREPAID, is_free=False)
    assert not limits.needs_check(OWNER, is_free=True)
    assert limits.needs_check(PREPAID, is_free=True)
    assert limits.needs_check(PACED, is_free=False)
    assert RateLimits(RequestLimits(key_per_day=5)).needs_check(OWNER, is_free=False)


async def test_a_call_without_limits_passes_even_if_it_is_looked_at() -> None:
    assert await passed(RateLimits(DOCUMENTED), OWNER, 1000, is_free=True) == 1000


async def test_calls_at_once_share_out_exactly_what_there_is() -> None:
    limits = RateLimits(DOCUMENTED)
    assert await passed(limits, PACED, 500) == 37
    assert await passed(limits, PREPAID, 500, is_free=True) == 20
    refusal = await limits.admit(PREPAID, is_free=True, now_s=NOON_S)
    assert refusal is not None
    assert refusal.problem().status == 429
    assert "free-models-per-min" in refusal.message
    assert (refusal.retry_after_s, refusal.limit, refusal.remaining) == (3, 20, 0)
    assert await limits.admit(PREPAID, is_free=True, now_s=NOON_S + 3) is None


async def test_an_owner_of_a_key_sees_what_limits_it() -> None:
    limits = RateLimits(replace(DOCUMENTED, key_per_day=900))
    assert await limits.pace(OWNER, now_s=NOON_S) == KeyPace(None, 900, None, 0)
    assert await passed(limits, PREPAID, 7, is_free=True) == 7
    assert await limits.pace(PREPAID, now_s=NOON_S) == KeyPace(None, 900, 50, 7)
    assert await limits.pace(PACED, now_s=NOON_S) == KeyPace(37, 900, None, 0)


# --- together with other processes --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
async def test_the_script_answers_as_the_book_does(cache: Cache, seed: int) -> None:
    """The same requests at the same times, the clock going back now and then, over several days."""
    draw = random.Random(seed)
    book, shared = LimitBook(), SharedCounts(cache)
    counts = {name: draw.choice([1, 2, 3, 7, 999_983]) for name in LimitName}
    counts[LimitName.KEY_DAY] = 3
    now_ms = int(NOON_S * 1000)
    refused = 0
    for _ in range(80):
        steps = [0, draw.randrange(2000), draw.randrange(MINUTE_MS), draw.randrange(DAY_MS)]
        back = -draw.randrange(2 * DAY_MS)
        now_ms += draw.choices([*steps, back], weights=[10, 6, 3, 1, 1])[0]
        names = draw.sample(list(LimitName), draw.randint(1, 4))
        wanted = [Allowance(name, draw.choice("ab"), counts[name]) for name in names]
        expected = book.take(wanted, now_ms)
        refused += expected is not None
        assert await shared.take(wanted, at_ms=now_ms) == expected
        for name in (LimitName.FREE_DAY, LimitName.KEY_DAY):
            at_ms = now_ms + draw.choice([0, DAY_MS])
            taken = book.taken_today(name, "a", at_ms)
            assert await shared.taken_today(name, "a", at_ms=at_ms) == taken
    assert 0 < refused < 80


async def test_what_is_counted_in_the_cache_does_not_stay_for_ever(
    cache: Cache, shared_cache: CacheServer
) -> None:
    from redis.asyncio import Redis

    await SharedCounts(cache).take(
        [Allowance(LimitName.KEY_MINUTE, "k", 2), Allowance(LimitName.KEY_DAY, "k", 2)]
    )
    client = Redis.from_url(shared_cache.url)
    try:
        kept_ms = {key: await client.pttl(key) for key in await client.keys("*")}
    finally:
        await client.aclose()
    assert set(kept_ms) == {
        b"fairlead:limits:key-requests-per-min:k",
        b"fairlead:limits:key-requests-per-day:k",
    }
    assert all(0 < ms <= 2 * DAY_MS for ms in kept_ms.values())


_PROCESS = """
import asyncio, sys
from fairlead.control.serving.limits import RateLimits
from fairlead.core.caller import Caller
from fairlead.core.limits import RequestLimits
from fairlead.store.cache import Cache

async def main():
    cache = Cache(sys.argv[1], answer_timeout_s=30.0)
    limits = RateLimits(RequestLimits(key_per_day=31), cache=cache)
    sys.stdin.readline()
    answers = await asyncio.gather(
        *(limits.admit(Caller("acc", "key"), is_free=False, now_s=0.0) for _ in range(100))
    )
    print(answers.count(None), limits._is_cache_away)
    await cache.aclose()

asyncio.run(main())
"""


def test_two_processes_share_out_exactly_what_there_is(shared_cache: CacheServer) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_PROCESS), shared_cache.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=PATIENCE_S)[0].split() for process in processes]
    assert [away for _, away in said] == ["False", "False"]
    assert sum(int(count) for count, _ in said) == 31


async def test_without_the_cache_each_counts_for_itself_and_says_so_once(
    cache: Cache, shared_cache: CacheServer, caplog: pytest.LogCaptureFixture
) -> None:
    limits = RateLimits(DOCUMENTED, cache=cache)
    assert await passed(limits, PACED, 30) == 30
    shared_cache.stop()
    with caplog.at_level(logging.WARNING):
        assert await passed(limits, PACED, 50) == 37
        assert await limits.pace(PREPAID, now_s=NOON_S) == KeyPace(None, None, 50, 0)
        shared_cache.start()
        assert await passed(limits, PACED, 1) == 1, "the one that finds out"
        assert await passed(limits, PACED, 50) == 36
    said = [(one.levelname, one.getMessage().partition(",")[0]) for one in caplog.records]
    assert said == [
        ("ERROR", "requests are counted in this process alone"),
        ("WARNING", "requests are counted together with other processes again"),
    ]


async def test_a_refusal_is_the_same_in_both_places(cache: Cache) -> None:
    alone, together = RateLimits(DOCUMENTED), RateLimits(DOCUMENTED, cache=cache)
    told = []
    for limits in (alone, together):
        await passed(limits, PREPAID, 20, is_free=True)
        refusal = await limits.admit(PREPAID, is_free=True, now_s=NOON_S)
        assert refusal is not None
        problem = refusal.problem()
        told.append(json.dumps([problem.status, problem.message, sorted(problem.metadata)]))
    assert told[0] == told[1]
