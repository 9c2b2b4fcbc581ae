"""Which days a data set is made of, on given days."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.datasets.dates import DAYS_MAX, FIRST_DAY, DateRange, date_range
from fairlead.control.datasets.types import CalendarPeriod
from fairlead.control.usage.analysis import QuestionInvalid

NOW_MS = round(datetime(2026, 11, 22, 5, 30, tzinfo=UTC).timestamp() * 1000)


def asked(start: str | None, end: str | None, now_ms: int = NOW_MS) -> tuple[str, str]:
    found = date_range(start, end, now_ms=now_ms)
    return found.start.isoformat(), found.end.isoformat()


def test_without_dates_it_is_the_thirty_days_that_are_over():
    assert asked(None, None) == ("2026-10-23", "2026-11-21")
    assert asked(None, "2026-05-11") == ("2026-04-12", "2026-05-11")
    assert asked("2026-11-20", None) == ("2026-11-20", "2026-11-21")
    assert asked("2026-11-22", "2026-11-22") == ("2026-11-22", "2026-11-22")


def test_nothing_is_before_the_first_day():
    assert asked("2020-02-29", "2025-01-10") == ("2025-01-01", "2025-01-10")
    assert asked(None, "2025-01-10") == ("2025-01-01", "2025-01-10")


@pytest.mark.parametrize(
    ("start", "end", "path"),
    [
        (None, "2024-12-31", "end_date"),
        (None, "2026-11-23", "end_date"),
        ("2026-11-02", "2026-11-01", "start_date"),
        ("2025-11-20", "2026-11-21", "start_date"),
        ("2026-02-29", None, "start_date"),
        ("20261101", None, "start_date"),
        ("2026-11-1", None, "start_date"),
        (None, "yesterday", "end_date"),
        (None, "\u0662\u0660\u0662\u0666-11-01", "end_date"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_name(start: str | None, end: str | None, path: str):
    with pytest.raises(QuestionInvalid) as refused:
        asked(start, end)
    assert refused.value.path == path


def test_a_leap_year_of_days_can_be_asked():
    found = date_range("2025-11-21", "2026-11-21", now_ms=NOW_MS)
    assert found.days == DAYS_MAX


@given(st.dates(FIRST_DAY, date(2027, 1, 1)), st.integers(0, 365), st.sampled_from(CalendarPeriod))
def test_periods_are_all_days_once_in_order(start: date, more: int, period: CalendarPeriod):
    days = DateRange(start, date.fromordinal(start.toordinal() + more))
    found = list(days.periods(period))
    assert found[0][1].start == days.start
    assert found[-1][1].end == days.end
    assert sum(within.days for _, within in found) == days.days
    for (_, one), (begins, other) in pairwise(found):
        assert one.end_ms == other.start_ms == DateRange(begins, begins).start_ms
    assert all(begins <= within.start for begins, within in found)
    if period is CalendarPeriod.WEEK:
        assert {begins.weekday() for begins, _ in found} == {0}
    if period is CalendarPeriod.MONTH:
        assert {begins.day for begins, _ in found} == {1}
