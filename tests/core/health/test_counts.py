"""Counts over a window, by a clock that is not always right."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from fairlead.core.health.counts import CLOCK_SLACK_S, CountRing, CountSlot

T = 1_800_000_000.0
SLOT_S = 3.0
SLOTS = 10


def ring() -> CountRing:
    return CountRing(slot_s=SLOT_S, slots=SLOTS, columns=2)


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 20)), max_size=100))
def test_totals_are_those_of_the_slots_within_the_window(script: list[tuple[int, float]]) -> None:
    counts, now_s = ring(), T
    seen: list[tuple[int, int]] = []
    for column, step_s in script:
        now_s += step_s
        counts.add(column, now_s)
        seen.append((int(now_s // SLOT_S), column))
    newest = int(now_s // SLOT_S)
    for window in (3, SLOTS):
        inside = [column for number, column in seen if number > newest - window]
        assert counts.totals(now_s, window) == (inside.count(0), inside.count(1))
    assert counts.totals(now_s) == counts.totals(now_s, SLOTS)
    assert counts.total(now_s) == sum(counts.totals(now_s))


@example([(0, 0.0), (0, -1.0)])
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(-1e6, 1e6)), max_size=60))
def test_however_the_clock_moves_counts_stay_within_what_was_added(
    script: list[tuple[int, float]],
) -> None:
    counts, now_s = ring(), T
    for place, (column, step_s) in enumerate(script):
        now_s += step_s
        counts.add(column, now_s)
        totals = counts.totals(now_s)
        assert totals[column] >= 1
        assert sum(totals) <= place + 1
    # What came by a clock a little ahead counts for as much longer.
    assert counts.totals(now_s + SLOT_S * SLOTS + CLOCK_SLACK_S) == (0, 0)


def test_a_clock_that_is_corrected_a_little_loses_nothing() -> None:
    counts = ring()
    counts.add(0, T)
    counts.add(0, T - 5)
    assert counts.totals(T - 5) == (2, 0)
    assert counts.totals(T) == (2, 0)


def test_a_clock_that_was_wrong_is_forgotten_with_what_it_counted() -> None:
    counts = ring()
    counts.add(0, T + 86_400)
    counts.add(1, T)
    assert counts.totals(T) == (0, 1)


def test_an_account_of_several_processes_is_adopted_slot_by_slot_the_fuller_one() -> None:
    number = int(T // SLOT_S)
    counts = ring()
    counts.add(0, T, 5)
    counts.adopt([CountSlot(number, (3, 3)), CountSlot(number - 1, (1, 1))], T)
    assert counts.totals(T) == (4, 4)
    counts.adopt([CountSlot(number, (2, 2)), CountSlot(number - SLOTS, (9, 9))], T)
    counts.adopt([CountSlot(number, (9,))], T)
    assert counts.totals(T) == (4, 4)


slots = st.lists(
    st.builds(
        CountSlot,
        st.integers(int(T // SLOT_S) - 12, int(T // SLOT_S) + 2),
        st.tuples(st.integers(0, 5), st.integers(0, 5)),
    ),
    max_size=12,
)


@given(slots, slots)
def test_adopting_twice_or_in_another_order_changes_nothing(
    one: list[CountSlot], two: list[CountSlot]
) -> None:
    forth, back = ring(), ring()
    forth.adopt(one, T)
    forth.adopt(two, T)
    back.adopt(two, T)
    back.adopt(one, T)
    back.adopt(two, T)
    assert forth.saved() == back.saved()
