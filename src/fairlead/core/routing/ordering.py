"""In which order endpoints are tried, and which rule put each where it is. Pure.

Every choice gets a rank: one integer whose bits are the rules, the strongest leftmost, 0 the better way. The
lower rank goes first; among equals the sort's own figure decides, then the expected price, then the endpoint's
id. So the whole order is one comparison, and the rank still says afterwards which rule decided:

    down │ misses a threshold │ model │ whose key │ not warm │ place in `order` │ tier │ standing │ deprecated
    │ quality

Default load balancing is the one rule that is not a comparison. It draws the first of those who share the best
rank, so it comes after the sort (`balanced`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from fairlead.core.catalog import Endpoint
from fairlead.core.ids import EndpointId
from fairlead.core.money import PicoUSD
from fairlead.core.routing.facts import Standing
from fairlead.core.routing.index import ModelIndex, places
from fairlead.core.routing.preferences import Sort
from fairlead.core.routing.types import Why

__all__ = [
    "DEPRECATED",
    "DRAW_BITS",
    "GROUP",
    "MISS",
    "NOT_TIER",
    "NOT_WARM",
    "OURS",
    "STANDING_BITS",
    "UNHEALTHY",
    "UNLISTED",
    "UNSEEN",
    "USUAL",
    "Lineup",
    "balanced",
    "is_listed",
    "ordered",
    "positions",
    "rank_of_key",
    "rank_of_target",
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
USUAL: Final = NOT_WARM | NOT_TIER | UNLISTED | OURS  # the rank of whoever no rule lifts
_UNSTABLE: Final = _DOWN | STANDING_BITS[Standing.UNSTABLE] & ~STANDING_BITS[Standing.LIMITED]
UNHEALTHY: Final = _DOWN | MISS | _STANDING & ~STANDING_BITS[Standing.DEGRADED]
GROUP: Final = _TARGET | _KEY


class Lineup:
    """All that could be chosen, in columns: what is at one place of each belongs to one entry.

    Python works much faster through columns than through entries. Entries come in by target, then by their
    endpoints' ids, then in the order of their keys: so how a catalogue lists endpoints decides nothing.

    figures: what the sort compares, lower first; 0 without one. prices: expected of this request.
    keys: the caller's own. targets: numbers of the question's. probes: endpoints that this call may find to be
    up again.
    """

    __slots__ = ("endpoints", "figures", "keys", "prices", "probes", "ranks", "targets")

    def __init__(self) -> None:
        self.ranks: list[int] = []
        self.figures: list[float] = []
        self.prices: list[PicoUSD] = []
        self.endpoints: list[Endpoint] = []
        self.keys: list[str | None] = []
        self.targets: list[int] = []
        self.probes: list[EndpointId] = []


def ordered(lineup: Lineup) -> list[int]:
    """The entries by rank, figure and price, and among equals as they came in.

    One sort for each, the strongest last: each leaves the order of those that it finds equal. That is much
    faster than one sort of tuples.
    """
    order = list(range(len(lineup.ranks)))
    order.sort(key=lineup.prices.__getitem__)
    if lineup.figures.count(lineup.figures[0]) != len(order):
        order.sort(key=lineup.figures.__getitem__)
    if lineup.ranks.count(lineup.ranks[0]) != len(order):
        order.sort(key=lineup.ranks.__getitem__)
    return order


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


# --- default load balancing -------------------------------------------------------------------------------


def balanced(
    order: list[int], lineup: Lineup, sorts: Sequence[Sort | None], seed: int
) -> Sequence[int]:
    """Draw who goes first in each group; the rest stay by price. Returns the drawn entries.

    order: of the entries; is changed. sorts: by target; None: its order is by default.
    seed: of DRAW_BITS bits; one for the whole decision.
    Drawn are those who share their group's best rank, unless that is of an outage: weight 1/price². Who costs
    nothing has an infinite weight, so those are drawn among themselves, all alike.
    """
    share = seed / _DRAWS
    ranks, prices = lineup.ranks, lineup.prices
    drawn: list[int] = []
    seen: set[int] = set()
    first, count = 0, len(order)
    last_rank = ranks[order[-1]]
    while first < count:
        rank = ranks[order[first]]
        after = count
        if rank != last_rank:
            after = bisect_right(order, rank, first, key=ranks.__getitem__)
        group = rank & GROUP
        if group not in seen:
            seen.add(group)
            if (
                after - first > 1
                and not rank & _UNSTABLE
                and sorts[lineup.targets[order[first]]] is None
            ):
                candidates = _apart(order[first:after], lineup)
                lucky = candidates[_draw([prices[entry] for entry in candidates], share)]
                order.remove(lucky)
                order.insert(first, lucky)
                drawn.append(lucky)
        first = after
    return drawn


def _apart(entries: list[int], lineup: Lineup) -> list[int]:
    """Those of a run that are drawn from: of several keys for one endpoint only the first."""
    if lineup.keys[entries[0]] is None:
        return entries
    by_endpoint: dict[str, int] = {}
    for entry in entries:
        by_endpoint.setdefault(lineup.endpoints[entry].id, entry)
    return list(by_endpoint.values())


def _draw(prices: Sequence[int], share: float) -> int:
    """Which of these. share: in [0, 1)."""
    if 0 in prices:
        free = [place for place, price in enumerate(prices) if not price]
        return free[int(share * len(free))]
    first = prices[0]
    weights = [(ratio := first / price) * ratio for price in prices]
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
    if beyond & _ABOVE_KEYS:
        if beyond & _DOWN:
            return _BY_STANDING
        return _BY_THRESHOLD if beyond & MISS else _BY_MODEL
    if rank & _NAMED != _NAMED or rank & _KEY != OURS:
        if rank & _KEY != OURS:
            return _BY_KEY
        if not rank & NOT_WARM:
            return _BY_WARMTH
        return _BY_ORDER if is_listed(rank) else _BY_TIER
    if beyond & _BELOW_TIER:
        if beyond & _STANDING:
            return _BY_STANDING
        return _BY_DEPRECATION if beyond & DEPRECATED else _BY_QUALITY
    return usual


_ABOVE_KEYS: Final = _DOWN | MISS | _TARGET
_NAMED: Final = NOT_WARM | UNLISTED | NOT_TIER  # the bits of whoever none of these rules lifts
_BELOW_TIER: Final = _STANDING | DEPRECATED | _QUALITY
# Python 3.11 takes longer to look a member up than to compare a rank.
_BY_STANDING: Final = Why.STANDING
_BY_THRESHOLD: Final = Why.THRESHOLD
_BY_MODEL: Final = Why.MODEL
_BY_KEY: Final = Why.OWN_KEY
_BY_WARMTH: Final = Why.STICKY
_BY_ORDER: Final = Why.ORDER
_BY_TIER: Final = Why.TIER
_BY_DEPRECATION: Final = Why.DEPRECATED
_BY_QUALITY: Final = Why.QUALITY
