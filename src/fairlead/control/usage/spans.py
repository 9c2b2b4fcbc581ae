"""Which sums cover a time exactly, in as few rows as can be. Pure.

A range of time is cut at whole months, days and hours: months in its middle are read as months, what is left
at its ends as days, then hours, then minutes. Because sums of sums agree, that is the same as reading minutes
all the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fairlead.control.usage.calendar import (
    LENGTH_MS,
    month_after_ms,
    month_start_ms,
    span_start_ms,
    week_start_ms,
)
from fairlead.control.usage.types import Resolution

__all__ = ["COARSEST", "Granularity", "Kept", "Range", "Span", "bucket_start_ms", "spans", "whole"]


class Granularity(StrEnum):
    """How long the buckets are that an answer is divided into."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Span:
    """Rows of one resolution, of which the first begins at start_ms and the last before end_ms."""

    resolution: Resolution
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Range:
    """From start_ms to before end_ms. was_widened: more than was asked for, as finer sums are gone."""

    start_ms: int
    end_ms: int
    was_widened: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """From when on there are sums of minutes, and of hours; those of days are kept for ever."""

    minutes_from_ms: int
    hours_from_ms: int

    def finest(self, at_ms: int) -> Resolution:
        """Of what lies around that moment."""
        if at_ms < self.hours_from_ms:
            return Resolution.DAY
        return Resolution.HOUR if at_ms < self.minutes_from_ms else Resolution.MINUTE


_FROM_COARSE: Final = (Resolution.MONTH, Resolution.DAY, Resolution.HOUR, Resolution.MINUTE)
# What an answer in such buckets can be made of; None: it is not divided.
COARSEST: Final[Mapping[Granularity | None, Resolution]] = {
    Granularity.MINUTE: Resolution.MINUTE,
    Granularity.HOUR: Resolution.HOUR,
    Granularity.DAY: Resolution.DAY,
    Granularity.WEEK: Resolution.DAY,
    Granularity.MONTH: Resolution.MONTH,
    None: Resolution.MONTH,
}


def whole(start_ms: int, end_ms: int, kept: Kept) -> Range:
    """The smallest range around this one that there are sums for: of whole minutes, hours or days."""
    start, end = kept.finest(start_ms), kept.finest(max(start_ms, end_ms - 1))
    begins_ms = span_start_ms(start, start_ms)
    ends_ms = _up(end, end_ms)
    was_widened = (start is not Resolution.MINUTE and begins_ms != start_ms) or (
        end is not Resolution.MINUTE and ends_ms != end_ms
    )
    return Range(begins_ms, ends_ms, was_widened)


def spans(start_ms: int, end_ms: int, *, coarsest: Resolution = Resolution.MONTH) -> list[Span]:
    """In the order of time, one beginning where the one before ends. start_ms, end_ms: whole minutes."""
    return _cover(start_ms, end_ms, _FROM_COARSE[_FROM_COARSE.index(coarsest) :])


def bucket_start_ms(granularity: Granularity, unix_ms: int) -> int:
    if granularity is Granularity.WEEK:
        return week_start_ms(unix_ms)
    return span_start_ms(Resolution(granularity.value), unix_ms)


def _cover(start_ms: int, end_ms: int, resolutions: Sequence[Resolution]) -> list[Span]:
    if start_ms >= end_ms:
        return []
    resolution, *finer = resolutions
    if not finer:
        return [Span(resolution, start_ms, end_ms)]
    low_ms, high_ms = _up(resolution, start_ms), span_start_ms(resolution, end_ms)
    if low_ms > high_ms:  # within one of them
        return _cover(start_ms, end_ms, finer)
    middle = [Span(resolution, low_ms, high_ms)] if low_ms < high_ms else []
    return [*_cover(start_ms, low_ms, finer), *middle, *_cover(high_ms, end_ms, finer)]


def _up(resolution: Resolution, unix_ms: int) -> int:
    """When the first of its spans begins that does not begin before."""
    begins_ms = span_start_ms(resolution, unix_ms)
    if begins_ms == unix_ms:
        return unix_ms
    if resolution is Resolution.MONTH:
        return month_after_ms(month_start_ms(unix_ms))
    return begins_ms + LENGTH_MS[resolution]
