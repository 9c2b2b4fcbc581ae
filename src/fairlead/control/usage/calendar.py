"""Spans of time in UTC, in milliseconds since 1970. Weeks begin on Monday. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from fairlead.control.usage.types import Resolution

__all__ = [
    "DAY_MS",
    "HOUR_MS",
    "LENGTH_MS",
    "MINUTE_MS",
    "WEEK_MS",
    "day_start_ms",
    "month_after_ms",
    "month_start_ms",
    "span_start_ms",
    "week_start_ms",
]

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
WEEK_MS: Final = 7 * DAY_MS
LENGTH_MS: Final = {
    Resolution.MINUTE: MINUTE_MS,
    Resolution.HOUR: HOUR_MS,
    Resolution.DAY: DAY_MS,
    Resolution.WEEK: WEEK_MS,
}
_FIRST_MONDAY_MS: Final = 4 * DAY_MS  # 1970-01-05


def day_start_ms(unix_ms: int) -> int:
    return unix_ms - unix_ms % DAY_MS


def week_start_ms(unix_ms: int) -> int:
    return unix_ms - (unix_ms - _FIRST_MONDAY_MS) % WEEK_MS


def month_start_ms(unix_ms: int) -> int:
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC)
    return day_start_ms(unix_ms) - (moment.day - 1) * DAY_MS


def month_after_ms(unix_ms: int) -> int:
    """When the month after the one of `unix_ms` begins."""
    return month_start_ms(month_start_ms(unix_ms) + 31 * DAY_MS)


def span_start_ms(resolution: Resolution, unix_ms: int) -> int:
    if resolution is Resolution.MONTH:
        return month_start_ms(unix_ms)
    if resolution is Resolution.WEEK:
        return week_start_ms(unix_ms)
    return unix_ms - unix_ms % LENGTH_MS[resolution]
