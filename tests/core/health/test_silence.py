from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.health.silence import (
    CALLS_IN_SILENCE,
    PATIENCE_S_MIN,
    PATIENCE_S_UNKNOWN,
    WAITING_MAX,
    Silences,
    patience_s,
)


def _waiting(*began_s: float) -> Silences:
    silences = Silences()
    for one in began_s:
        silences.waits(one)
    return silences


def test_three_calls_without_an_answer_are_an_outage_once_the_third_has_waited_too_long() -> None:
    assert CALLS_IN_SILENCE == 3
    assert _waiting(1.0, 2.0).too_long_at_s(10.0) == inf
    assert _waiting(1.0, 2.0, 4.0).too_long_at_s(10.0) == 14.0
    assert _waiting(1.0, 2.0, 4.0, 5.0).too_long_at_s(10.0) == 14.0


def test_calls_that_began_before_one_that_was_answered_are_only_slow() -> None:
    silences = _waiting(1.0, 2.0, 3.0, 4.0)
    silences.spoke(3.0)
    assert len(silences) == 1
    silences.waits(5.0)
    assert silences.too_long_at_s(10.0) == inf
    silences.waits(6.0)
    assert silences.too_long_at_s(10.0) == 16.0


def test_a_call_that_ended_does_not_wait() -> None:
    silences = _waiting(1.0, 2.0, 3.0)
    silences.is_over(2.0 + 1e-7)
    assert len(silences) == 2
    silences.is_over(2.0)
    assert len(silences) == 2
    assert silences.too_long_at_s(10.0) == inf


def test_what_is_remembered_is_bounded_and_the_first_count() -> None:
    silences = _waiting(*map(float, range(3 * WAITING_MAX)))
    assert len(silences) == WAITING_MAX
    assert silences.too_long_at_s(10.0) == 12.0


def test_a_clock_that_is_set_back_forgets_what_waits() -> None:
    silences = _waiting(100.0, 101.0, 102.0)
    silences.waits(50.0)
    assert len(silences) == 1


@pytest.mark.parametrize(
    ("p99_s", "expected_s"), [(None, PATIENCE_S_UNKNOWN), (0.5, PATIENCE_S_MIN), (20.0, 60.0)]
)
def test_patience_is_measured_by_how_slow_calls_are_there(
    p99_s: float | None, expected_s: float
) -> None:
    assert patience_s(p99_s) == expected_s


@given(
    lasts=st.lists(st.floats(0.0, 9.9), min_size=1, max_size=200),
    gaps=st.lists(st.floats(0.0, 5.0), min_size=200, max_size=200),
)
def test_an_endpoint_that_answers_within_its_patience_is_never_taken_for_dead(
    lasts: list[float], gaps: list[float]
) -> None:
    """However its calls overlap."""
    began_s = 0.0
    moments: list[tuple[float, int, float]] = []
    for last_s, gap_s in zip(lasts, gaps, strict=False):
        began_s += gap_s
        moments += [(began_s, 0, began_s), (began_s + last_s, 1, began_s)]
    silences = Silences()
    for now_s, is_answer, call_began_s in sorted(moments):
        assert silences.too_long_at_s(10.0) > now_s
        if is_answer:
            silences.spoke(call_began_s)
        else:
            silences.waits(now_s)
