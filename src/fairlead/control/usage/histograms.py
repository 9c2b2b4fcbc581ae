"""How latencies and paces are spread, as counts of a few buckets, so that they can be added. Pure.

A bound is the square root of two times the one before, so a percentile is at most 19 % beside the truth
(interpolated within its bucket, and usually far nearer).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import sqrt
from typing import Final

__all__ = ["LATENCY_BOUNDS_MS", "PACE_BOUNDS", "bucket", "percentile"]

_STEP: Final = sqrt(2)
# Bucket i holds what is at least bound i-1 and below bound i; the last is open.
LATENCY_BOUNDS_MS: Final = tuple(50 * _STEP**step for step in range(19))  # to 25.6 s
PACE_BOUNDS: Final = tuple(4 * _STEP**step for step in range(15))  # tokens per second, to 512


def bucket(value: float, bounds: Sequence[float]) -> int:
    return bisect_right(bounds, value)


def percentile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """The value below which this share of all lies; None: there is nothing.

    share: in [0, 1]. What lies in an open bucket counts as if that were as wide as its neighbour.
    """
    total = sum(counts)
    if not total:
        return None
    rank = share * total
    below = 0
    for index, count in enumerate(counts):
        if count and below + count >= rank:
            low = bounds[index - 1] if index else bounds[0] / _STEP
            return float(low * _STEP ** ((rank - below) / count))
        below += count
    return float(bounds[-1] * _STEP)  # not reached: the last of them holds rank `total`
