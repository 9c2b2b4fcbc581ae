"""In which order endpoints are tried, and which rule put each where it is. Pure.

Every choice gets a rank: one integer whose bits are the rules, the strongest leftmost, 0 the better way. The
lower rank goes first; among equals the sort's own figure decides, then the expected price, then the endpoint's
id. So the whole order is one sort of tuples, and the rank still says afterwards which rule decided:

    down │ misses a threshold │ model │ whose key │ not warm │ place in `order` │ tier │ standing │ deprecated
    │ quality

Default load balancing is the one rule that is not a comparison. It draws the first of those who share the best
rank, so it comes after the sort (`balanced`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fairlead.core.catalog import Endpoint
from fairlead.core.money import PicoUSD
from fairlead.core.routing.facts import Facts, Standing
from fairlead.core.routing.index import OPENING_BITS, ModelIndex, places
from fairlead.core.routing.preferences import Bounds, Preferences, Sort
from fairlead.core.routing.types import Why

__all__ = [
    "DEPRECATED",
    "DRAW_BITS",
    "NOT_TIER",
    "NOT_WARM",
    "OURS",
    "STANDING_BITS",
    "TARGET_IN_TIE",
    "UNLISTED",
    "UNSEEN",
    "Entry",
    "balanced",
    "figures_of",
    "group_of",
    "is_healthy",
    "is_listed",
    "misses",
    "positions",
    "qualities",
    "rank_of_key",
    "rank_of_target",
    "target_of",
    "tie_of",
    "why",
]

# Each rule's place in a rank, from the right. Where a rule has degrees that mean "at least", they are written
# as 1, 11, 111: then the bits that all ranks share are the least degree, and what is above them decided.
_QUALITY_SHIFT: Final = 0  # 2 bits: see `qualities`
DEPRECATED: Final = 1 << 2
_STANDING_SHIFT: Final = 3  # 3 bits
NOT_TIER: Final = 1 << 6
_PLACE_SHIFT: Final = 7  # 16 bits
NOT_WARM: Final = 1 << 23
_KEY_SHIFT: Final = 24  # 2 bits: the caller's own, ours, the caller's own as a last resort
_TARGET_SHIFT: Final = 26  # 16 bits
MISS: Final = 1 << 42
_DOWN: Final = 1 << 43

_QUALITY: Final = 0b11 << _QUALITY_SHIFT
_STANDING: Final = 0b111 << _STANDING_SHIFT
_PLACE: Final = 0xFFFF << _PLACE_SHIFT
_KEY: Final = 0b11 << _KEY_SHIFT
_TARGET: Final = 0xFFFF << _TARGET_SHIFT
PLACES_MAX: Final = 0xFFFF
TARGETS_MAX: Final = 0xFFFF  # those beyond are ordered as one

UNLISTED: Final = PLACES_MAX << _PLACE_SHIFT  # `order` is given and does not name it
UNSEEN: Final = float("inf")  # the figure of whoever has none
DRAW_BITS: Final = 53
_DRAWS: Final = 1 << DRAW_BITS

_OWN: Final = 0 << _KEY_SHIFT
OURS: Final = 0b01 << _KEY_SHIFT
_LAST_RESORT: Final = 0b11 << _KEY_SHIFT

_DEGREES: Final = (0, 0b001, 0b011, 0b111, 0b111)  # by Standing; DOWN has a bit of its own besides
# By Standing. A probe has none of them: it counts as good for its one call, which is how a breaker closes.
STANDING_BITS: Final = tuple(
    degree << _STANDING_SHIFT | (_DOWN if standing is Standing.DOWN else 0)
    for standing, degree in zip(Standing, _DEGREES, strict=True)
)
STABLE_MAX: Final = STANDING_BITS[Standing.LIMITED]
_HEALTHY_MAX: Final = STANDING_BITS[Standing.DEGRADED]


# One choice on its way into order: (rank, figure, price, tie, endpoint, key). A plain tuple, because those are
# what Python sorts fast. figure: what the sort compares, lower first; 0 without one. price: expected of this
# request. tie: unique, and the same in whatever order a catalogue lists its endpoints; see `tie_of`.
Entry = tuple[int, float, PicoUSD, int, Endpoint, str | None]
_RANK: Final = 0
_PRICE: Final = 2
_TIE: Final = 3
_ENDPOINT: Final = 4
_KEY_OF: Final = 5
TARGET_IN_TIE: Final = 48


def tie_of(target: int, place: int, opening: int) -> int:
    """By the caller's order of models, then the endpoint's id, then the order of its keys."""
    return target << TARGET_IN_TIE | place << OPENING_BITS | opening


def target_of(entry: Entry) -> int:
    """Which of the question's targets it serves."""
    return entry[_TIE] >> TARGET_IN_TIE


# --- the parts of a rank ------------------------------------------------------------------------------


def rank_of_target(number: int) -> int:
    return min(number, TARGETS_MAX) << _TARGET_SHIFT


def rank_of_place(place: int) -> int:
    return min(place, PLACES_MAX - 1) << _PLACE_SHIFT


def rank_of_key(key: str | None, *, is_fallback: bool) -> int:
    if key is None:
        return OURS
    return _LAST_RESORT if is_fallback else _OWN


def is_listed(rank: int) -> bool:
    """Whether `order` names it."""
    return rank & _PLACE != UNLISTED


def is_healthy(rank: int) -> bool:
    """Good or degraded, and as fast as wished: fit to keep or to win a conversation."""
    return rank & _STANDING <= _HEALTHY_MAX and not rank & (_DOWN | MISS)


def group_of(rank: int) -> int:
    """Those of one model (or of all, where models are ordered together) and one kind of key."""
    return rank & (_TARGET | _KEY)


def positions(index: ModelIndex, order: Sequence[str]) -> dict[int, int]:
    """The rank of each place that `order` names, by the first name that means it."""
    found: dict[int, int] = {}
    seen = 0
    for position, name in enumerate(order):
        new = index.names.get(name, 0) & ~seen
        if new:
            seen |= new
            rank = rank_of_place(position)
            for place in places(new):
                found[place] = rank
    return found


def misses(known: Sequence[Facts], preferences: Preferences) -> list[int] | None:
    """MISS for each that is known to miss a wish about speed, else 0; None where there is no such wish.

    Who was never seen has missed nothing: it would otherwise never be seen.
    """
    latency, throughput = preferences.preferred_max_latency, preferences.preferred_min_throughput
    if latency is None and throughput is None:
        return None
    found = [0] * len(known)
    if latency is not None:
        p50, p75, p90, p99 = _bounds(latency, UNSEEN)
        for place, facts in enumerate(known):
            seen = facts.latency_s
            if seen is not None and (
                seen.p50 > p50 or seen.p75 > p75 or seen.p90 > p90 or seen.p99 > p99
            ):
                found[place] = MISS
    if throughput is not None:
        p50, p75, p90, p99 = _bounds(throughput, 0.0)
        for place, facts in enumerate(known):
            seen = facts.throughput
            if seen is not None and (
                seen.p50 < p50 or seen.p75 < p75 or seen.p90 < p90 or seen.p99 < p99
            ):
                found[place] = MISS
    return found


def _bounds(wish: Bounds, otherwise: float) -> tuple[float, float, float, float]:
    return (
        otherwise if wish.p50 is None else wish.p50,
        otherwise if wish.p75 is None else wish.p75,
        otherwise if wish.p90 is None else wish.p90,
        otherwise if wish.p99 is None else wish.p99,
    )


def figures_of(known: Sequence[Facts], sort: Sort) -> list[float]:
    """What a sort by speed compares, lower first; who was never seen comes last."""
    if sort is Sort.THROUGHPUT:
        return [UNSEEN if (seen := facts.throughput) is None else -seen.p50 for facts in known]
    return [UNSEEN if (seen := facts.latency_s) is None else seen.p50 for facts in known]


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
    grades = [_UNPROVEN] * len(known)
    for place in proven:
        grades[place] = _GOOD
    speeds = [0.0 if (seen := known[place].throughput) is None else seen.p50 for place in proven]
    least = _throughput_min([speed for speed in speeds if speed])
    failures = [known[place].tool_errors_2h / known[place].tool_requests_2h for place in proven]
    most = _failures_max(failures)
    if least > min(speeds) or most < max(failures):
        for place, speed, failure in zip(proven, speeds, failures, strict=True):
            if 0 < speed < least or failure > most:
                grades[place] = _POOR
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


# --- default load balancing -------------------------------------------------------------------------------


def balanced(entries: list[Entry], balances: Sequence[bool], seed: int) -> set[int]:
    """Draw who goes first in each group of sorted entries; the rest stay by price. Returns the drawn ties.

    balances: by target, whether its order is by default. seed: of DRAW_BITS bits; one for the whole decision.
    Drawn are those who share their group's best rank, unless that is of an outage: weight 1/price². Who costs
    nothing has an infinite weight, so those are drawn among themselves, all alike.
    """
    share = seed / _DRAWS
    drawn: set[int] = set()
    seen: set[int] = set()
    first = 0
    count = len(entries)
    while first < count:
        rank = entries[first][_RANK]
        after = count if entries[-1][_RANK] == rank else first + 1
        while after < count and entries[after][_RANK] == rank:
            after += 1
        group = group_of(rank)
        if group not in seen:
            seen.add(group)
            if (
                after - first > 1
                and rank & _STANDING <= STABLE_MAX
                and not rank & _DOWN
                and balances[target_of(entries[first])]
            ):
                candidates = _apart(entries, first, after)
                lucky = candidates[_draw([entries[one][_PRICE] for one in candidates], share)]
                drawn.add(entries[lucky][_TIE])
                entries.insert(first, entries.pop(lucky))
        first = after
    return drawn


def _apart(entries: Sequence[Entry], first: int, after: int) -> Sequence[int]:
    """Those of a run that are drawn from: of several keys for one endpoint only the first."""
    if entries[first][_KEY_OF] is None:
        return range(first, after)
    by_endpoint: dict[str, int] = {}
    for place in range(first, after):
        by_endpoint.setdefault(entries[place][_ENDPOINT].id, place)
    return list(by_endpoint.values())


def _draw(prices: Sequence[int], share: float) -> int:
    """prices: ascending. share: in [0, 1)."""
    if not prices[0]:
        free = prices.count(0)
        return int(share * free)
    cheapest = prices[0]
    weights = [(ratio := cheapest / price) * ratio for price in prices]
    left = share * sum(weights)
    for place, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return place
    return len(weights) - 1  # rounding, at the very end of the last one's share


# --- why --------------------------------------------------------------------------------------------------


def why(rank: int, shared: int, usual: Why) -> Why:
    """The strongest rule that says something of this rank.

    shared: the bits that all ranks of the plan have. usual: where no rule of the rank decided.
    """
    beyond = rank & ~shared
    if beyond & _DOWN:
        return Why.STANDING
    if beyond & MISS:
        return Why.THRESHOLD
    if beyond & _TARGET:
        return Why.MODEL
    if rank & _KEY != OURS:
        return Why.OWN_KEY
    if not rank & NOT_WARM:
        return Why.STICKY
    if is_listed(rank):
        return Why.ORDER
    if not rank & NOT_TIER:
        return Why.TIER
    if beyond & _STANDING:
        return Why.STANDING
    if beyond & DEPRECATED:
        return Why.DEPRECATED
    if beyond & _QUALITY:
        return Why.QUALITY
    return usual
