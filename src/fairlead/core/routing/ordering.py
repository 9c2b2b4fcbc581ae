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

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import and_
from typing import Final, NamedTuple, Protocol

from fairlead.core.catalog import Endpoint
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
    "Arrangement",
    "arranged",
    "balanced",
    "is_listed",
    "ordered",
    "positions",
    "rank_of_key",
    "rank_of_target",
    "reasons_of",
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


class Arrangement(NamedTuple):
    """The order of entries, as far as it does not depend on what they cost this time.

    order: by rank and figure, among equals as they came in. ties: where in it those begin and end that only
    prices tell apart. runs: where those begin and end who share the best rank of their group and are well
    enough to be drawn from. ranks, reasons: by entry; why it is where it is.
    """

    order: list[int]
    ties: list[tuple[int, int]]
    runs: list[tuple[int, int]]
    ranks: list[int]
    reasons: list[Why]


def arranged(
    ranks: list[int], figures: Sequence[float], usual: Sequence[Why], targets: Sequence[int]
) -> Arrangement:
    """ranks, figures, targets: by entry; the lower figure goes first. usual: by target; see `reasons_of`."""
    count = len(ranks)
    order = list(range(count))
    if not count:
        return Arrangement(order, [], [], ranks, [])
    has_figures = figures.count(figures[0]) != count
    # One sort for each, the stronger last, is faster than one of tuples: each leaves the order of equals.
    if has_figures:
        order.sort(key=figures.__getitem__)
    if ranks.count(ranks[0]) != count:
        order.sort(key=ranks.__getitem__)
    shared = reduce(and_, ranks)
    reasons = reasons_of(ranks, shared, usual, targets)
    ties: list[tuple[int, int]] = []
    runs: list[tuple[int, int]] = []
    seen: set[int] = set()
    for first, after in _alike(order, 0, count, ranks):
        rank = ranks[order[first]]
        if after - first > 1:
            if not has_figures:
                ties.append((first, after))
            elif len(set(figures)) < count:
                ties += [tie for tie in _alike(order, first, after, figures) if tie[1] - tie[0] > 1]
            if rank & GROUP not in seen and not rank & _UNSTABLE:
                runs.append((first, after))
        seen.add(rank & GROUP)
    return Arrangement(order, ties, runs, ranks, reasons)


def _alike(
    order: Sequence[int], first: int, after: int, values: Sequence[float]
) -> Iterator[tuple[int, int]]:
    """Where in a part of an order those with one value begin and end."""
    last = values[order[after - 1]]
    while first < after:
        value = values[order[first]]
        if value == last:
            yield first, after
            return
        end = first + 1
        while end < after and values[order[end]] == value:
            end += 1
        yield first, end
        first = end


def ordered(arrangement: Arrangement, prices: Sequence[PicoUSD]) -> list[int]:
    """The entries in their order, those that are alike by price, and at one price as they came in."""
    order = arrangement.order.copy()
    for first, after in arrangement.ties:
        order[first:after] = sorted(order[first:after], key=prices.__getitem__)
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
    order: list[int],
    runs: Sequence[tuple[int, int]],
    prices: Sequence[PicoUSD],
    seed: int,
    entries: Balanced,
) -> list[int]:
    """Draw who goes first of each run; the rest stay by price. Returns the drawn entries.

    order: of the entries; is changed. runs: where in it those who are drawn from begin and end.
    seed: of DRAW_BITS bits; one for the whole decision.
    """
    share = seed / _DRAWS
    drawn: list[int] = []
    for first, after in runs:
        candidates = order[first:after]
        if entries.sorts[entries.targets[candidates[0]]] is not None:
            continue
        if entries.keys[candidates[0]] is not None:
            candidates = _apart(candidates, entries.endpoints)
        lucky = candidates[_draw(candidates, prices, share)]
        order.remove(lucky)
        order.insert(first, lucky)
        drawn.append(lucky)
    return drawn


class Balanced(Protocol):
    """Of entries, by their numbers; sorts: by target; None: it is by default, and drawn from."""

    @property
    def endpoints(self) -> Sequence[Endpoint]: ...

    @property
    def keys(self) -> Sequence[str | None]: ...

    @property
    def targets(self) -> Sequence[int]: ...

    @property
    def sorts(self) -> Sequence[Sort | None]: ...


def _apart(entries: Sequence[int], endpoints: Sequence[Endpoint]) -> list[int]:
    """Those of a run that are drawn from: of several keys for one endpoint only the first."""
    by_endpoint: dict[str, int] = {}
    for entry in entries:
        by_endpoint.setdefault(endpoints[entry].id, entry)
    return list(by_endpoint.values())


def _draw(entries: Sequence[int], prices: Sequence[int], share: float) -> int:
    """Which of these. share: in [0, 1).

    The weight is 1/price². Who costs nothing has an infinite one: those are drawn among themselves, all alike.
    """
    costs = [prices[entry] for entry in entries]
    cheapest = min(costs)  # the first, unless one of their models is sorted by something else
    if not cheapest:
        free = [place for place, cost in enumerate(costs) if not cost]
        return free[int(share * len(free))]
    weights = [(ratio := cheapest / cost) * ratio for cost in costs]
    left = share * sum(weights)
    for place, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return place
    return len(weights) - 1  # rounding, at the very end of the last one's share


# --- why --------------------------------------------------------------------------------------------------


def reasons_of(
    ranks: Sequence[int], shared: int, usual: Sequence[Why], targets: Sequence[int]
) -> list[Why]:
    """Why each entry is where it is. Those of one rank and one target are there for the same reason.

    shared: the bits that all ranks of the plan have. usual, by target: where no rule of the rank decided.
    """
    if len(usual) == 1:
        by_rank = {rank: why(rank, shared, usual[0]) for rank in set(ranks)}
        return [by_rank[rank] for rank in ranks]
    return [why(rank, shared, usual[target]) for rank, target in zip(ranks, targets, strict=True)]


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
