"""How often is too often: token buckets and daily windows, as values. Pure.

A bucket of N a minute holds at most N tokens, one request takes one, and they flow back evenly: after a minute
in which nobody took any it is full again. So over any t minutes at most N + N * t requests pass, and a refused
one learns to the millisecond when there will be a token for it.

All of it is exact in integers. A token is `per_ms` parts, and `count` parts flow in every millisecond; nothing
is ever divided but to tell how long to wait, and that is rounded up.

Clocks go back (NTP, a restored machine). A moment before the last one adds nothing, and from there time counts
as usual: nobody gains by it, and nobody waits for the clock to arrive where it has been.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["DAY_MS", "MINUTE_MS", "Bucket", "Day", "Pace", "Retry", "take", "take_today"]

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000


class Pace(msgspec.Struct, frozen=True, gc=False):
    """count: tokens that a bucket holds, and that flow into it every `per_ms`; both at least 1."""

    count: int
    per_ms: int = MINUTE_MS


class Bucket(msgspec.Struct, frozen=True, gc=False):
    """What is left of a pace. level: in parts of which `per_ms` are a token; at_ms: when it was that."""

    level: int
    at_ms: int


class Day(msgspec.Struct, frozen=True, gc=False):
    """What was taken of a day's allowance. number: of the UTC day, since 1970."""

    number: int
    taken: int


class Retry(msgspec.Struct, frozen=True, gc=False):
    """Not now.

    wait_ms: until the same request would pass, if nobody else takes anything; at least 1.
    limit: requests allowed, remaining: whole ones that are left. reset_ms: Unix time at the end of the wait.
    """

    wait_ms: int
    limit: int
    remaining: int
    reset_ms: int


def take(
    pace: Pace, bucket: Bucket | None, tokens: int, now_ms: int
) -> tuple[Bucket, Retry | None]:
    """Take that many tokens, all or none.

    bucket: as it was left, possibly under another pace; None: full. tokens: from 1 to `pace.count`.
    Returns the bucket as it is now, to be kept either way, and what to tell the caller if it held too little.
    """
    assert 0 < tokens <= pace.count
    full = pace.count * pace.per_ms
    level = full
    if bucket is not None:
        level = min(full, bucket.level + max(0, now_ms - bucket.at_ms) * pace.count)
    wanted = tokens * pace.per_ms
    if wanted <= level:
        return Bucket(level - wanted, now_ms), None
    wait_ms = -((level - wanted) // pace.count)
    retry = Retry(
        wait_ms=wait_ms,
        limit=pace.count,
        remaining=level // pace.per_ms,
        reset_ms=now_ms + wait_ms,
    )
    return Bucket(level, now_ms), retry


def take_today(
    count_max: int, day: Day | None, requests: int, now_ms: int
) -> tuple[Day, Retry | None]:
    """Take that many of a day's requests, all or none; days begin at midnight UTC.

    day: as it was left; None: nothing was taken yet. requests: from 1 to `count_max`.
    Returns as `take`. A clock that goes back over midnight stays in the day that had begun; one that goes back
    further was wrong before, and a new count begins.
    """
    assert 0 < requests <= count_max
    number = now_ms // DAY_MS
    if day is None or number not in (day.number, day.number - 1):
        day = Day(number, 0)
    taken = day.taken + requests
    if taken <= count_max:
        return Day(day.number, taken), None
    reset_ms = (day.number + 1) * DAY_MS
    retry = Retry(
        wait_ms=reset_ms - now_ms,
        limit=count_max,
        remaining=max(0, count_max - day.taken),
        reset_ms=reset_ms,
    )
    return day, retry
