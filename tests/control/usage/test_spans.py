"""A range of time is covered exactly, in few rows."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.usage.calendar import (
    DAY_MS,
    LENGTH_MS,
    MINUTE_MS,
    month_after_ms,
    month_start_ms,
    span_start_ms,
    week_start_ms,
)
from fairlead.control.usage.spans import (
    COARSEST,
    Granularity,
    Kept,
    Span,
    bucket_start_ms,
    spans,
    whole,
)
from fairlead.control.usage.types import Resolution

minutes = st.integers(0, 130 * 366 * 24 * 60)  # to 2100
moments = st.integers(0, 4_102_444_800_000)
KEPT_FOR_EVER = Kept(0, 0)
EVERY = tuple(reversed(Resolution))


def from_coarse(coarsest: Resolution) -> tuple[Resolution, ...]:
    return EVERY[EVERY.index(coarsest) :]


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@given(minutes, st.integers(0, 3 * 366 * 24 * 60), st.sampled_from(list(Resolution)))
def test_spans_cover_the_range_once_and_begin_at_whole_ones(
    start: int, length: int, coarsest: Resolution
):
    start_ms, end_ms = start * MINUTE_MS, (start + length) * MINUTE_MS
    found = spans(start_ms, end_ms, from_coarse(coarsest))
    assert sum(one.end_ms - one.start_ms for one in found) == end_ms - start_ms
    assert all(one.end_ms == next_one.start_ms for one, next_one in pairwise(found))
    for one in found:
        assert one.start_ms < one.end_ms
        assert span_start_ms(one.resolution, one.start_ms) == one.start_ms
        assert span_start_ms(one.resolution, one.end_ms) == one.end_ms
    assert len(found) <= 11  # days on both sides of weeks, on both sides of months


@given(minutes, st.integers(1, 800 * 24 * 60), st.sampled_from(list(Granularity)))
def test_rows_of_a_span_lie_within_one_bucket_each(
    start: int, length: int, granularity: Granularity
):
    start_ms, end_ms = start * MINUTE_MS, (start + length) * MINUTE_MS
    resolutions = from_coarse(COARSEST[granularity])
    for one in spans(start_ms, end_ms, resolutions, granularity):
        if granularity is Granularity.MONTH and one.resolution is not Resolution.MONTH:
            # So its bucket is known without looking at the rows.
            first, last = one.start_ms, one.end_ms - 1
            assert month_start_ms(first) == month_start_ms(last)
        row_end_ms = one.start_ms + LENGTH_MS.get(one.resolution, DAY_MS)
        if one.resolution is not Resolution.MONTH:
            assert bucket_start_ms(granularity, one.start_ms) == bucket_start_ms(
                granularity, row_end_ms - 1
            )


def test_a_year_that_begins_at_noon_is_read_as_months_weeks_days_and_hours():
    assert spans(at("2025-11-10T12:00"), at("2026-11-10T12:30"), EVERY) == [
        Span(Resolution.HOUR, at("2025-11-10T12:00"), at("2025-11-11")),
        Span(Resolution.DAY, at("2025-11-11"), at("2025-11-17")),
        Span(Resolution.WEEK, at("2025-11-17"), at("2025-12-01")),
        Span(Resolution.MONTH, at("2025-12-01"), at("2026-11-01")),
        Span(Resolution.DAY, at("2026-11-01"), at("2026-11-02")),
        Span(Resolution.WEEK, at("2026-11-02"), at("2026-11-09")),
        Span(Resolution.DAY, at("2026-11-09"), at("2026-11-10")),
        Span(Resolution.HOUR, at("2026-11-10"), at("2026-11-10T12:00")),
        Span(Resolution.MINUTE, at("2026-11-10T12:00"), at("2026-11-10T12:30")),
    ]


def test_weeks_lie_across_two_months_where_nobody_asks_for_months():
    range_ms = (at("2026-10-22"), at("2026-11-21"))
    assert spans(*range_ms, EVERY) == [
        Span(Resolution.DAY, at("2026-10-22"), at("2026-10-26")),
        Span(Resolution.WEEK, at("2026-10-26"), at("2026-11-16")),
        Span(Resolution.DAY, at("2026-11-16"), at("2026-11-21")),
    ]
    assert spans(*range_ms, EVERY, Granularity.MONTH) == [
        Span(Resolution.DAY, at("2026-10-22"), at("2026-11-01")),
        Span(Resolution.DAY, at("2026-11-01"), at("2026-11-02")),
        Span(Resolution.WEEK, at("2026-11-02"), at("2026-11-16")),
        Span(Resolution.DAY, at("2026-11-16"), at("2026-11-21")),
    ]


@given(moments, st.integers(1, 400 * DAY_MS), moments, st.integers(0, 200 * DAY_MS))
def test_a_whole_range_holds_the_one_asked_for_and_is_made_of_what_is_kept(
    start_ms: int, length_ms: int, minutes_from_ms: int, more_ms: int
):
    minutes_from_ms -= minutes_from_ms % DAY_MS
    kept = Kept(minutes_from_ms, max(0, minutes_from_ms - more_ms + more_ms % DAY_MS))
    end_ms = start_ms + length_ms
    found = whole(start_ms, end_ms, kept)
    assert found.start_ms <= start_ms < end_ms <= found.end_ms
    assert start_ms - found.start_ms < DAY_MS
    assert found.end_ms - end_ms < DAY_MS
    for one in spans(found.start_ms, found.end_ms, EVERY):
        if one.resolution is Resolution.MINUTE:
            assert one.start_ms >= kept.minutes_from_ms
        if one.resolution is Resolution.HOUR:
            assert one.start_ms >= kept.hours_from_ms
    if not found.was_widened:
        assert start_ms - found.start_ms < MINUTE_MS
        assert found.end_ms - end_ms < MINUTE_MS


def test_a_range_is_only_widened_where_finer_sums_are_gone():
    kept = Kept(minutes_from_ms=at("2026-11-14"), hours_from_ms=at("2026-08-20"))
    assert not whole(at("2026-11-15T10:11"), at("2026-11-16T00:01"), kept).was_widened
    assert whole(at("2026-11-13T10:11"), at("2026-11-16"), kept).was_widened
    assert not whole(at("2026-11-13T10:00"), at("2026-11-16"), kept).was_widened
    assert not whole(at("2026-01-01"), at("2026-11-16"), kept).was_widened
    assert whole(at("2026-01-01T01:00"), at("2026-11-16"), kept).was_widened


@given(moments)
def test_months_and_weeks_are_those_of_the_calendar(unix_ms: int):
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    month = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert month_start_ms(unix_ms) == round(month.timestamp() * 1000)
    after = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
    assert month_after_ms(unix_ms) == round(after.timestamp() * 1000)
    week = datetime.fromtimestamp(week_start_ms(unix_ms) / 1000, UTC)
    assert week.weekday() == 0
    assert 0 <= (moment - week).total_seconds() < 7 * 86_400


def test_nothing_is_covered_by_nothing():
    assert spans(5 * MINUTE_MS, 5 * MINUTE_MS, EVERY) == []
    assert not whole(at("2026-11-13"), at("2026-11-13"), KEPT_FOR_EVER).was_widened
