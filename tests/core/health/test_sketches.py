"""Percentiles from sketches are those of the values, within the sketch's error; windows are windows."""

from __future__ import annotations

from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.health.sketches import (
    BIN_MAX,
    BIN_MIN,
    BINS_MAX,
    RELATIVE_ERROR,
    SLOT_S,
    SLOTS,
    VALUE_MAX,
    VALUE_MIN,
    SketchRing,
    SketchSlot,
    bin_of,
    percentiles_of_cost,
    percentiles_of_yield,
    quantile,
)

T = 1_800_000_000.0
values = st.lists(st.floats(VALUE_MIN, VALUE_MAX), min_size=1, max_size=300)


def ring_of(numbers: list[float], *, spread_s: float = 0.0) -> SketchRing:
    """spread_s: over so many seconds, ending at T."""
    ring = SketchRing()
    for place, number in enumerate(numbers):
        ring.add(bin_of(number), T - spread_s * (1 - (place + 1) / len(numbers)))
    return ring


def exact(numbers: list[float], share: float) -> float:
    return sorted(numbers)[floor(share * (len(numbers) - 1))]


@given(values, st.floats(0, 1))
def test_a_quantile_is_within_the_stated_error_of_the_exact_one(
    numbers: list[float], share: float
) -> None:
    found = quantile(ring_of(numbers).merged(T, SLOTS), share)
    assert found == pytest.approx(exact(numbers, share), rel=RELATIVE_ERROR * 1.001)


@given(values, st.floats(0, 1500))
def test_values_spread_over_minutes_are_one_sketch(numbers: list[float], spread_s: float) -> None:
    whole = ring_of(numbers).merged(T, SLOTS)
    parts = ring_of(numbers, spread_s=spread_s).merged(T, SLOTS)
    assert percentiles_of_cost(parts) == percentiles_of_cost(whole)
    assert percentiles_of_yield(parts) == percentiles_of_yield(whole)
    assert parts.count == whole.count == len(numbers)


@given(values, values)
def test_bins_of_another_process_add_up_to_what_one_would_have_seen(
    mine: list[float], theirs: list[float]
) -> None:
    together, apart = ring_of(mine + theirs), ring_of(mine)
    for number in theirs:
        apart.add(bin_of(number), T, 1)
    assert together.saved() == apart.saved()


@given(st.floats(allow_nan=False))
def test_any_value_has_a_bin_within_bounds(value: float) -> None:
    assert BIN_MIN <= bin_of(value) <= BIN_MAX


def test_memory_is_bounded_by_the_bins() -> None:
    ring = SketchRing()
    for key in range(BIN_MIN, BIN_MAX + 1):
        ring.add(key, T)
    (slot,) = ring.saved()
    assert len(slot.counts) == BINS_MAX < 500


def test_minutes_leave_the_window_one_by_one() -> None:
    ring = SketchRing()
    for minute in range(100):
        ring.add(bin_of(1.0), T + minute * SLOT_S)
        assert ring.merged(T + minute * SLOT_S, SLOTS).count == min(minute + 1, SLOTS)
        assert ring.merged(T + minute * SLOT_S, 5).count == min(minute + 1, 5)
    end_s = T + 99 * SLOT_S
    assert ring.merged(end_s + 29 * SLOT_S, SLOTS).count == 1
    assert ring.merged(end_s + 30 * SLOT_S, SLOTS).count == 0


def test_a_busy_minute_keeps_its_counts() -> None:
    ring = SketchRing()
    ring.add(bin_of(1.0), T, 70_000)
    ring.add(bin_of(2.0), T, 300)
    assert ring.merged(T + SLOT_S, SLOTS).count == 70_300


def test_a_clock_that_is_set_back_a_little_loses_nothing_and_far_back_begins_anew() -> None:
    ring = SketchRing()
    ring.add(bin_of(1.0), T)
    ring.add(bin_of(1.0), T - 1.0)
    assert ring.merged(T - 1.0, SLOTS).count == 2
    ring.add(bin_of(1.0), T - 3600)
    assert ring.merged(T - 3600, SLOTS).count == 1


@given(values, st.floats(0, 1500), st.floats(0, 600))
def test_what_was_saved_is_adopted_whole(
    numbers: list[float], spread_s: float, later_s: float
) -> None:
    ring = ring_of(numbers, spread_s=spread_s)
    other = SketchRing()
    other.adopt(ring.saved(), T + later_s)
    assert other.saved() == tuple(
        slot for slot in ring.saved() if slot.number > (T + later_s) // SLOT_S - SLOTS
    )
    other.adopt(ring.saved(), T + later_s)
    assert other.merged(T + later_s, SLOTS).count == ring.merged(T + later_s, SLOTS).count
    other.add(bin_of(1.0), T + later_s)
    assert other.merged(T + later_s, SLOTS).count == ring.merged(T + later_s, SLOTS).count + 1


@pytest.mark.parametrize(
    "slot",
    [
        SketchSlot(int(T // SLOT_S), BIN_MIN - 1, (1,)),
        SketchSlot(int(T // SLOT_S), BIN_MAX, (1, 1)),
        SketchSlot(int(T // SLOT_S), 0, ()),
        SketchSlot(int(T // SLOT_S), 0, (0, 0)),
        SketchSlot(int(T // SLOT_S) + 1, 0, (1,)),
        SketchSlot(int(T // SLOT_S) - SLOTS, 0, (1,)),
    ],
)
def test_what_cannot_have_been_saved_now_is_left_out(slot: SketchSlot) -> None:
    ring = SketchRing()
    ring.adopt([slot], T)
    assert ring.saved() == ()


def test_what_a_clock_that_was_set_back_had_seen_is_no_longer_late() -> None:
    ring = ring_of([1.0])
    assert ring.lately(T)[1:] != (0, 0)
    assert ring.lately(T - 3600)[1:] == (0, 0)
