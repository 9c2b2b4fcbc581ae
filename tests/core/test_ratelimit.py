"""Token buckets and daily windows: exact, never generous, and at peace with any clock."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.ratelimit import DAY_MS, MINUTE_MS, Bucket, Day, Pace, Retry, take, take_today

NOON_MS = 20_000 * DAY_MS + DAY_MS // 2

counts = st.integers(1, 1000)
paces = st.builds(Pace, counts, st.sampled_from([7, 1000, MINUTE_MS]))


def run(pace: Pace, moments: list[int], tokens: int = 1) -> list[bool]:
    """Which of the requests at these moments pass."""
    bucket: Bucket | None = None
    passed = []
    for now_ms in moments:
        bucket, retry = take(pace, bucket, tokens, now_ms)
        passed.append(retry is None)
    return passed


@st.composite
def moments(draw: st.DrawFn, *, back_ms: int = 0) -> list[int]:
    """Times of requests, often at once, seldom long apart; forward unless a step back is allowed."""
    now_ms, times = NOON_MS, []
    for step in draw(st.lists(st.integers(-back_ms, 50) | st.integers(0, 200_000), max_size=200)):
        now_ms += step
        times.append(now_ms)
    return times


def test_a_full_bucket_gives_all_its_tokens_at_once_and_not_one_more() -> None:
    assert run(Pace(20), [NOON_MS] * 25) == [True] * 20 + [False] * 5


def test_who_is_refused_learns_when_there_is_a_token_to_the_millisecond() -> None:
    pace, bucket = Pace(7), None
    for _ in range(7):
        bucket, retry = take(pace, bucket, 1, NOON_MS)
        assert retry is None
    wait_ms = 8572  # a seventh of a minute, rounded up
    bucket, retry = take(pace, bucket, 1, NOON_MS)
    assert retry == Retry(wait_ms, limit=7, remaining=0, reset_ms=NOON_MS + wait_ms)
    assert take(pace, bucket, 1, NOON_MS + wait_ms - 1)[1] is not None
    assert take(pace, bucket, 1, NOON_MS + wait_ms)[1] is None


@given(paces, moments(), st.data())
def test_no_window_ever_sees_more_than_the_capacity_and_what_flowed_in(
    pace: Pace, times: list[int], data: st.DataObject
) -> None:
    passed = [now_ms for now_ms, ok in zip(times, run(pace, times), strict=True) if ok]
    if not passed:
        return
    first = data.draw(st.integers(0, len(passed) - 1))
    last = data.draw(st.integers(first, len(passed) - 1))
    flowed = Fraction(pace.count * (passed[last] - passed[first]), pace.per_ms)
    assert last - first + 1 <= pace.count + flowed


@given(paces, moments())
def test_a_level_is_what_exact_fractions_say(pace: Pace, times: list[int]) -> None:
    """No rounding anywhere: the model counts in fractions and never drifts from the integers."""
    bucket: Bucket | None = None
    level, at_ms = Fraction(pace.count), NOON_MS
    for now_ms in times:
        flowed = Fraction(pace.count * (now_ms - at_ms), pace.per_ms)
        level, at_ms = min(Fraction(pace.count), level + flowed), now_ms
        is_passed = level >= 1
        level -= is_passed
        bucket, retry = take(pace, bucket, 1, now_ms)
        assert (retry is None) == is_passed
        assert Fraction(bucket.level, pace.per_ms) == level
        if retry is not None:
            assert retry.remaining == int(level)


@given(paces, st.integers(1, 1000), st.integers(0, 200_000))
def test_the_wait_is_the_shortest_that_helps(pace: Pace, tokens: int, pause_ms: int) -> None:
    tokens = min(tokens, pace.count)
    bucket, _ = take(pace, None, pace.count, NOON_MS)
    now_ms = NOON_MS + pause_ms
    bucket, retry = take(pace, bucket, tokens, now_ms)
    if retry is not None:
        assert take(pace, bucket, tokens, now_ms + retry.wait_ms)[1] is None
        assert take(pace, bucket, tokens, now_ms + retry.wait_ms - 1)[1] is not None


@given(paces, moments(back_ms=100_000))
def test_a_clock_that_goes_back_gives_nothing_for_it(pace: Pace, times: list[int]) -> None:
    passed = sum(run(pace, times))
    forward_ms = sum(max(0, b - a) for a, b in pairwise(times))
    assert passed <= pace.count + Fraction(pace.count * forward_ms, pace.per_ms)


def test_a_clock_that_goes_back_makes_nobody_wait_until_it_is_where_it_was() -> None:
    an_hour_ms = 60 * MINUTE_MS
    times = [NOON_MS] * 20 + [NOON_MS - an_hour_ms, NOON_MS - an_hour_ms + MINUTE_MS // 20]
    assert run(Pace(20), times)[-2:] == [False, True]


def test_a_lower_limit_holds_from_the_next_request_on() -> None:
    bucket, _ = take(Pace(100), None, 1, NOON_MS)
    passed = 0
    for _ in range(20):
        bucket, retry = take(Pace(5), bucket, 1, NOON_MS)
        passed += retry is None
    assert passed == 5


def test_a_day_gives_its_requests_and_says_when_the_next_begins() -> None:
    day: Day | None = None
    for _ in range(50):
        day, retry = take_today(50, day, 1, NOON_MS)
        assert retry is None
    day, retry = take_today(50, day, 1, NOON_MS)
    midnight_ms = 20_001 * DAY_MS
    assert retry == Retry(DAY_MS // 2, limit=50, remaining=0, reset_ms=midnight_ms)
    assert take_today(50, day, 1, midnight_ms - 1)[1] is not None
    assert take_today(50, day, 1, midnight_ms) == (Day(20_001, 1), None)


@given(counts, st.lists(st.integers(0, DAY_MS // 3), max_size=100))
def test_no_utc_day_ever_sees_more_than_its_requests(count: int, steps: list[int]) -> None:
    day: Day | None = None
    now_ms, passed = NOON_MS, dict[int, int]()
    for step in steps:
        now_ms += step
        day, retry = take_today(count, day, 1, now_ms)
        if retry is None:
            passed[now_ms // DAY_MS] = passed.get(now_ms // DAY_MS, 0) + 1
        else:
            assert passed[now_ms // DAY_MS] == count
    assert all(taken <= count for taken in passed.values())


@given(st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=60))
def test_a_clock_that_trembles_around_midnight_begins_one_day_once(steps: list[int]) -> None:
    midnight_ms = 20_001 * DAY_MS
    day, passed = Day(20_000, 0), 0
    for step in steps:
        day, retry = take_today(3, day, 1, midnight_ms + step)
        passed += retry is None
    assert passed <= 6


@pytest.mark.parametrize("back_ms", [DAY_MS + DAY_MS // 2 + 1, 365 * DAY_MS])
def test_a_clock_that_was_far_ahead_locks_nobody_out(back_ms: int) -> None:
    day, _ = take_today(1, None, 1, NOON_MS)
    assert take_today(1, day, 1, NOON_MS - back_ms)[1] is None
