"""Which sums cover a time exactly, in as few rows as can be. Pure.

A range of time is cut at whole months, weeks, days and hours: months in its middle are read as months, what
is left at its ends as weeks, then days, hours and minutes. Because sums of sums agree, that is the same as
reading minutes all the way.
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
)
from fairlead.control.usage.types import Resolution

__all__ = [
    "COARSEST",
    "Granularity",
    "Kept",
    "Range",
    "Span",
    "bucket_start_ms",
    "spans",
    "starts_ms",
    "whole",
]


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


# What an answer in such buckets can be made of; None: it is not divided.
COARSEST: Final[Mapping[Granularity | None, Resolution]] = {
    Granularity.MINUTE: Resolution.MINUTE,
    Granularity.HOUR: Resolution.HOUR,
    Granularity.DAY: Resolution.DAY,
    Granularity.WEEK: Resolution.WEEK,
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


def spans(
    start_ms: int,
    end_ms: int,
    resolutions: Sequence[Resolution],
    granularity: Granularity | None = None,
) -> list[Span]:
    """In the order of time, one beginning where the one before ends.

    resolutions: that may be read, the coarsest first. start_ms, end_ms: of whole spans of the finest. Divided
    by months, none of the spans lies in two.
    """
    if granularity is Granularity.MONTH:
        middle_ms = month_after_ms(start_ms)
        if start_ms != month_start_ms(start_ms) and middle_ms < end_ms:
            first = _cover(start_ms, middle_ms, resolutions)
            return [*first, *spans(middle_ms, end_ms, resolutions, granularity)]
        last_ms = month_start_ms(end_ms)
        if start_ms < last_ms < end_ms:
            return [
                *_cover(start_ms, last_ms, resolutions),
                *_cover(last_ms, end_ms, resolutions),
            ]
    return _cover(start_ms, end_ms, resolutions)


def starts_ms(span: Span) -> list[int]:
    """When its rows begin."""
    if span.resolution is Resolution.MONTH:
        starts = [span.start_ms]
        while (after_ms := month_after_ms(starts[-1])) < span.end_ms:
            starts.append(after_ms)
        return starts
    return list(range(span.start_ms, span.end_ms, LENGTH_MS[span.resolution]))


def bucket_start_ms(granularity: Granularity, unix_ms: int) -> int:
    return span_start_ms(Resolution(granularity.value), unix_ms)


def _cover(start_ms: int, end_ms: int, resolutions: Sequence[Resolution]) -> list[Span]:
    if start_ms >= end_ms:
        return []
    resolution, *finer = resolutions
    low_ms, high_ms = _up(resolution, start_ms), span_start_ms(resolution, end_ms)
    if not finer:
        assert (low_ms, high_ms) == (start_ms, end_ms), "nothing finer is kept"
    if low_ms >= high_ms:  # none of them is whole
        return _cover(start_ms, end_ms, finer)
    middle = Span(resolution, low_ms, high_ms)
    return [*_cover(start_ms, low_ms, finer), middle, *_cover(high_ms, end_ms, finer)]


def _up(resolution: Resolution, unix_ms: int) -> int:
    """When the first of its spans begins that does not begin before."""
    begins_ms = span_start_ms(resolution, unix_ms)
    if begins_ms == unix_ms:
        return unix_ms
    if resolution is Resolution.MONTH:
        return month_after_ms(month_start_ms(unix_ms))
    return begins_ms + LENGTH_MS[resolution]
