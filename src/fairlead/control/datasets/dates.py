"""Which days a data set is asked for. Pure.

date_range("2026-11-01", None, now_ms=...)    from the first to yesterday
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from fairlead.control.datasets.types import CalendarPeriod
from fairlead.control.usage.analysis import QuestionInvalid
from fairlead.control.usage.calendar import DAY_MS

__all__ = ["DAYS_MAX", "FIRST_DAY", "DateRange", "date_of", "date_range"]

FIRST_DAY: Final = date(2025, 1, 1)
DAYS_MAX: Final = 366
DAYS_DEFAULT: Final = 30
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class DateRange:
    """Whole days in UTC, both included."""

    start: date
    end: date

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @property
    def start_ms(self) -> int:
        return _ms(self.start)

    @property
    def end_ms(self) -> int:
        """When the day after the last begins."""
        return _ms(self.end) + DAY_MS

    def periods(self, period: CalendarPeriod) -> Iterator[tuple[date, DateRange]]:
        """Each with the day on which it begins, and those of its days that are in the range."""
        first = self.start
        while first <= self.end:
            begins, after = _around(first, period)
            yield begins, DateRange(first, min(self.end, after - timedelta(days=1)))
            first = after


def date_range(start: str | None, end: str | None, *, now_ms: int) -> DateRange:
    """start, end: "YYYY-MM-DD"; None: 30 days that end with yesterday.

    A start before FIRST_DAY is that day. Raises QuestionInvalid.
    """
    today = date_of(now_ms)
    last = today - timedelta(days=1) if end is None else _day(end, "end_date")
    if last < FIRST_DAY:
        raise QuestionInvalid(f"`end_date` is {FIRST_DAY} at the earliest", "end_date")
    if last > today:
        raise QuestionInvalid(f"`end_date` is {today} at the latest, today in UTC", "end_date")
    first = last - timedelta(days=DAYS_DEFAULT - 1) if start is None else _day(start, "start_date")
    if first > last:
        raise QuestionInvalid(f"`start_date` is {last} at the latest, the `end_date`", "start_date")
    found = DateRange(max(first, FIRST_DAY), last)
    if found.days > DAYS_MAX:
        message = f"from `start_date` to `end_date` are {found.days} days, and {DAYS_MAX} at most"
        raise QuestionInvalid(message, "start_date")
    return found


def date_of(unix_ms: int) -> date:
    """The day in UTC."""
    return datetime.fromtimestamp(unix_ms // 1000, UTC).date()


def _around(day: date, period: CalendarPeriod) -> tuple[date, date]:
    """When the period of that day begins, and when the next one does."""
    match period:
        case CalendarPeriod.DAY:
            return day, day + timedelta(days=1)
        case CalendarPeriod.WEEK:
            monday = day - timedelta(days=day.weekday())
            return monday, monday + timedelta(days=7)
        case CalendarPeriod.MONTH:
            first = day.replace(day=1)
            return first, (first + timedelta(days=31)).replace(day=1)


def _day(text: str, name: str) -> date:
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise QuestionInvalid(f"`{name}` is a day that exists, as 2026-11-21", name)


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS
