"""What the health of some endpoints says of their order: who is how well, how fast, how good. Pure.

Every result has one value for each endpoint, in the order of what is known of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fairlead.core.routing.facts import Facts
from fairlead.core.routing.ordering import STANDING_BITS, UNSEEN, USUAL
from fairlead.core.routing.preferences import Bounds, Sort

__all__ = ["figures_of", "misses", "qualities", "standings"]

_THROUGHPUT: Final = Sort.THROUGHPUT


def standings(known: Sequence[Facts]) -> list[int]:
    """Ranks with the bits of their standing, otherwise as of whoever no rule lifts."""
    return [
        USUAL | STANDING_BITS[facts.standing] if facts.standing and not facts.is_probe else USUAL
        for facts in known
    ]


# --- speed ------------------------------------------------------------------------------------------------


def figures_of(known: Sequence[Facts], sort: Sort) -> list[float]:
    """What a sort by speed compares, lower first; who was never seen comes last."""
    if sort is _THROUGHPUT:
        return [UNSEEN if (seen := facts.throughput) is None else -seen.p50 for facts in known]
    return [UNSEEN if (seen := facts.latency_s) is None else seen.p50 for facts in known]


def misses(known: Sequence[Facts], latency: Bounds | None, throughput: Bounds | None) -> list[int]:
    """The places of those that are known to miss a wish about speed; some perhaps twice.

    latency: at most. throughput: at least.
    Who was never seen has missed nothing: it would otherwise never be seen.
    """
    return _too_slow(known, latency) + _too_few(known, throughput)


def _too_slow(known: Sequence[Facts], most: Bounds | None) -> list[int]:
    if most is None:
        return []
    p50, p75, p90, p99 = _bounds(most, UNSEEN)
    return [
        place
        for place, facts in enumerate(known)
        if (seen := facts.latency_s) is not None
        and (seen.p50 > p50 or seen.p75 > p75 or seen.p90 > p90 or seen.p99 > p99)
    ]


def _too_few(known: Sequence[Facts], least: Bounds | None) -> list[int]:
    if least is None:
        return []
    p50, p75, p90, p99 = _bounds(least, 0.0)
    return [
        place
        for place, facts in enumerate(known)
        if (seen := facts.throughput) is not None
        and (seen.p50 < p50 or seen.p75 < p75 or seen.p90 < p90 or seen.p99 < p99)
    ]


def _bounds(wish: Bounds, otherwise: float) -> tuple[float, float, float, float]:
    return (
        otherwise if wish.p50 is None else wish.p50,
        otherwise if wish.p75 is None else wish.p75,
        otherwise if wish.p90 is None else wish.p90,
        otherwise if wish.p99 is None else wish.p99,
    )


# --- quality, as far as outcomes tell it ----------------------------------------------------------------

PROVIDERS_MIN: Final = 4  # with enough data; fewer have no median worth the name
REQUESTS_MIN: Final = 100  # in 30 minutes
TOOL_REQUESTS_MIN: Final = 200  # in 2 hours
THROUGHPUT_DEVIATIONS: Final = 1.5
TOOL_DEVIATIONS: Final = 2.0
_MAD_TO_SIGMA: Final = 1.4826  # of a normal distribution
_GOOD: Final = 0b00
_UNPROVEN: Final = 0b01
_POOR: Final = 0b11


def qualities(providers: Sequence[str], known: Sequence[Facts]) -> list[int] | None:
    """Ranks by quality: good, not enough data, deranked; None where too little is known to tell.

    providers, known: of each endpoint, in the same order as the result.
    Deranked is whose throughput is more than 1.5 deviations below the median (by the median absolute deviation)
    or whose tool calls are valid less often by more than 2. While fewer than four providers have enough data
    nobody is moved: the first endpoint to have some would otherwise get every call, whatever its price.
    """
    proven = [
        place
        for place, facts in enumerate(known)
        if facts.requests_30m >= REQUESTS_MIN and facts.tool_requests_2h >= TOOL_REQUESTS_MIN
    ]
    if len(proven) < PROVIDERS_MIN or len({providers[place] for place in proven}) < PROVIDERS_MIN:
        return None
    judged = [known[place] for place in proven]
    speeds = [0.0 if (seen := facts.throughput) is None else seen.p50 for facts in judged]
    failures = [facts.tool_errors_2h / facts.tool_requests_2h for facts in judged]
    least, most = _throughput_min(list(filter(None, speeds))), _failures_max(failures)
    grades = [_UNPROVEN] * len(known)
    for place, speed, failure in zip(proven, speeds, failures, strict=True):
        grades[place] = _POOR if 0 < speed < least or failure > most else _GOOD
    return grades


def _throughput_min(speeds: Sequence[float]) -> float:
    """0 where there is nothing to compare, or no difference."""
    if len(speeds) < PROVIDERS_MIN:
        return 0.0
    middle = _middle(speeds)
    deviation = _middle([abs(speed - middle) for speed in speeds]) * _MAD_TO_SIGMA
    return middle - THROUGHPUT_DEVIATIONS * deviation if deviation else 0.0


def _failures_max(failures: Sequence[float]) -> float:
    if not any(failures):
        return 0.0
    mean = sum(failures) / len(failures)
    variance = sum([(away := failure - mean) * away for failure in failures]) / len(failures)
    return _middle(failures) + TOOL_DEVIATIONS * float(variance**0.5)


def _middle(values: Sequence[float]) -> float:
    ascending = sorted(values)
    half = len(ascending) // 2
    return ascending[half] if len(ascending) % 2 else (ascending[half - 1] + ascending[half]) / 2
