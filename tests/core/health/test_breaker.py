"""The breaker and the wait for rate limits: every state, every move."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.health.breaker import (
    COOLDOWN_FIRST_S,
    COOLDOWN_MAX_S,
    LIMIT_MAX_S,
    LIMIT_TOLD_MAX_S,
    OUTAGES_IN_A_ROW,
    PROBE_S,
    RELAPSE_S,
    Breaker,
    BreakerState,
    RateLimit,
)

T = 1_800_000_000.0


def opened(at_s: float = T) -> Breaker:
    breaker = Breaker()
    for _ in range(OUTAGES_IN_A_ROW):
        breaker.failed(at_s, at_s)
    return breaker


def test_it_opens_after_three_outages_in_a_row() -> None:
    breaker = Breaker()
    breaker.failed(T, T)
    breaker.failed(T, T)
    assert breaker.state(T) is BreakerState.CLOSED
    breaker.failed(T, T)
    assert breaker.state(T) is BreakerState.OPEN


def test_a_success_in_between_begins_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(20):
        breaker.failed(T, T)
        breaker.failed(T, T)
        breaker.succeeded(T, T)
    assert breaker.state(T) is BreakerState.CLOSED


def test_it_is_half_open_once_its_cooldown_is_over() -> None:
    breaker = opened()
    assert breaker.state(T + COOLDOWN_FIRST_S - 0.01) is BreakerState.OPEN
    assert breaker.changes_at_s(T + 1) == T + COOLDOWN_FIRST_S
    assert breaker.state(T + COOLDOWN_FIRST_S) is BreakerState.HALF_OPEN


def test_one_call_at_a_time_probes_it() -> None:
    breaker = opened()
    breaker.began(T + 1)
    assert breaker.state(T + 2) is BreakerState.OPEN, "a call of last resort is no probe"
    breaker.began(T + 6)
    assert breaker.state(T + 6) is BreakerState.PROBING
    breaker.began(T + 20)
    assert breaker.changes_at_s(T + 20) == T + 6 + PROBE_S, "the claim is not renewed by others"
    assert breaker.state(T + 6 + PROBE_S) is BreakerState.HALF_OPEN, (
        "a probe that hangs is given up"
    )


def test_a_probe_that_succeeds_closes_it() -> None:
    breaker = opened()
    breaker.began(T + 6)
    assert breaker.succeeded(T + 6, T + 7)
    assert breaker.state(T + 7) is BreakerState.CLOSED
    assert not breaker.succeeded(T + 7, T + 8), "it was closed already"


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_bound() -> None:
    breaker = opened()
    now_s, cooldowns = T, []
    for _ in range(5):
        cooldowns.append(breaker.changes_at_s(now_s) - now_s)
        now_s = breaker.changes_at_s(now_s)
        breaker.began(now_s)
        breaker.failed(now_s, now_s)
    assert cooldowns == [5, 10, 20, 30, 30]


def test_a_probe_that_says_nothing_lets_the_next_call_try() -> None:
    breaker = opened()
    breaker.began(T + 6)
    breaker.says_nothing(T + 5)
    assert breaker.state(T + 7) is BreakerState.PROBING, "that was another call"
    breaker.says_nothing(T + 6)
    assert breaker.state(T + 7) is BreakerState.HALF_OPEN


def test_a_call_of_last_resort_that_succeeds_closes_it() -> None:
    breaker = opened()
    assert breaker.succeeded(T + 1, T + 2)


def test_failures_while_it_is_open_do_not_keep_it_open_longer() -> None:
    breaker = opened()
    for second in range(5):
        breaker.failed(T + second, T + second)
    assert breaker.state(T + COOLDOWN_FIRST_S) is BreakerState.HALF_OPEN


def test_calls_that_began_before_it_moved_do_not_move_it() -> None:
    breaker = opened()
    assert not breaker.succeeded(T - 10, T + 1), "a stream from before the endpoint died"
    breaker.failed(T - 10, T + 6)
    assert breaker.state(T + 6) is BreakerState.HALF_OPEN, "a time-out of a call from before"
    breaker.began(T + 6)
    breaker.succeeded(T + 6, T + 7)
    for _ in range(10):
        breaker.failed(T + 5, T + 8)
    assert breaker.state(T + 8) is BreakerState.CLOSED


def test_a_relapse_goes_on_with_the_cooldown_and_a_new_outage_does_not() -> None:
    breaker = opened()
    breaker.succeeded(T + 6, T + 6)
    for _ in range(OUTAGES_IN_A_ROW):
        breaker.failed(T + 10, T + 10)
    assert breaker.changes_at_s(T + 10) == T + 10 + 2 * COOLDOWN_FIRST_S
    breaker.succeeded(T + 20, T + 21)
    late_s = T + 21 + RELAPSE_S
    for _ in range(OUTAGES_IN_A_ROW):
        breaker.failed(late_s, late_s)
    assert breaker.changes_at_s(late_s) == late_s + COOLDOWN_FIRST_S


@pytest.mark.parametrize("back_s", [60.0, 86_400.0])
def test_a_clock_that_is_set_back_does_not_hold_it_open(back_s: float) -> None:
    breaker = opened()
    assert breaker.state(T - back_s) is BreakerState.HALF_OPEN
    assert breaker.succeeded(T - back_s, T - back_s + 1)


def test_a_clock_that_is_corrected_a_little_changes_nothing() -> None:
    breaker = opened()
    assert breaker.state(T - 1) is BreakerState.OPEN
    breaker.began(T + 6)
    assert breaker.state(T + 5.5) is BreakerState.PROBING
    assert not breaker.succeeded(T - 2, T - 1), "still a call from before it opened"


moves = st.lists(
    st.tuples(
        st.sampled_from(["began", "failed", "succeeded", "nothing"]),
        st.floats(-100, 100),
        st.floats(0, 50),
    ),
    max_size=60,
)


@given(moves)
def test_whatever_happens_a_probe_is_allowed_within_a_minute_and_a_half(
    script: list[tuple[str, float, float]],
) -> None:
    """An endpoint that came back is found out, however the clock moves."""
    breaker, now_s = Breaker(), T
    for move, step_s, lasted_s in script:
        now_s += step_s
        match move:
            case "began":
                breaker.began(now_s)
            case "failed":
                breaker.failed(now_s - lasted_s, now_s)
            case "succeeded":
                breaker.succeeded(now_s - lasted_s, now_s)
            case _:
                breaker.says_nothing(now_s - lasted_s)
        assert breaker.cooldown_s <= COOLDOWN_MAX_S
        assert breaker.changes_at_s(now_s) > now_s
    seen = {breaker.state(now_s + ahead_s) for ahead_s in range(int(COOLDOWN_MAX_S + PROBE_S) + 1)}
    assert seen & {BreakerState.CLOSED, BreakerState.HALF_OPEN}


def test_a_told_wait_is_kept_up_to_a_bound() -> None:
    limit = RateLimit()
    limit.limited(T, 7.0)
    assert limit.is_on(T + 6.9)
    assert not limit.is_on(T + 7)
    limit.limited(T, 86_400.0)
    assert limit.until_s == T + LIMIT_TOLD_MAX_S


def test_an_untold_wait_grows_while_it_does_not_help() -> None:
    limit, now_s, waits = RateLimit(), T, []
    for _ in range(6):
        limit.limited(now_s, None)
        waits.append(limit.until_s - now_s)
        now_s = limit.until_s
    assert waits == [2, 4, 8, 16, LIMIT_MAX_S, LIMIT_MAX_S]
    limit.succeeded()
    limit.limited(now_s, None)
    assert limit.until_s - now_s == 2


def test_many_refusals_at_once_are_one() -> None:
    limit = RateLimit()
    for _ in range(50):
        limit.limited(T, None)
    assert limit.until_s == T + 2


def test_a_shorter_wait_does_not_cut_a_longer_one_short() -> None:
    limit = RateLimit()
    limit.limited(T, 30.0)
    limit.limited(T + 1, 1.0)
    assert limit.is_on(T + 29)


def test_a_clock_that_is_set_back_does_not_prolong_a_wait() -> None:
    limit = RateLimit()
    limit.limited(T, 10.0)
    assert not limit.is_on(T - 3600)
    limit.limited(T - 3600, 5.0)
    assert limit.is_on(T - 3600 + 4.9)
    assert not limit.is_on(T - 3600 + 5)
