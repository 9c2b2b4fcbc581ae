"""Which endpoints may serve a request, in which order, and why not the others. Pure.

The same inputs give the same plan, bit for bit, so a decision can be stored, explained and made again. Every
endpoint of every target is either among the choices or among the removed; one that several of the caller's own
keys open is a choice more than once. Filters are `filters.py`'s story, the order is `ordering.py`'s, and what
follows from the endpoints' health is `outlook.py`'s. All that stays the same from call to call is kept:
`lineup.py`; what is left to do here is what depends on prices and on the draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import and_
from typing import Final

from fairlead.core.catalog import Snapshot
from fairlead.core.ids import ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.facts import HealthView
from fairlead.core.routing.lineup import Form, Lineup, lineup_of
from fairlead.core.routing.ordering import (
    GROUP,
    UNHEALTHY,
    balanced,
    is_listed,
    ordered,
    reasons_of,
)
from fairlead.core.routing.preferences import Partition, Preferences, Sort
from fairlead.core.routing.types import (
    Access,
    Choice,
    Plan,
    Question,
    Removal,
    Removed,
    Warm,
    Why,
)

__all__ = ["plan"]

# Python 3.11 takes longer to look a member up than to compare it.
_BY_PRICE: Final = Why.PRICE
_DRAWN: Final = Why.DRAWN
_ONE_ORDER: Final = Partition.NONE


def plan(
    question: Question,
    snapshot: Snapshot,
    health: HealthView,
    preferences: Preferences,
    seed: int,
    access: Access,
    *,
    can_serve: Callable[[ProviderSlug], bool],
) -> Plan:
    """The plan for one request.

    seed: of 53 bits, for the one draw of default load balancing.
    access: what opens each provider here; not changed, but replaced by another. can_serve: whether we speak to
    it, for what is asked; one function always says the same.
    Raises KeyError for a target that the snapshot does not have.
    """
    lineup = lineup_of(question, snapshot, preferences, access, can_serve)
    if not lineup.endpoints:
        return Plan((), lineup.removed)
    form = lineup.form(health)
    prices = lineup.prices(question.traits, question.warm)
    arrangement = form.arrangement
    if question.warm is not None and not preferences.order and len(prices) > 1:
        staying = _staying(lineup, form, prices, question.warm)
        if staying:
            arrangement = form.with_lifted(staying)
    order = ordered(arrangement, prices)
    reasons = arrangement.reasons
    removed = lineup.removed
    drawn: Sequence[int] = ()
    if arrangement.runs and lineup.is_drawn:
        drawn = balanced(order, arrangement.runs, prices, seed, lineup)
    if not preferences.allow_fallbacks:
        kept = _without_fallbacks(order, arrangement.ranks, lineup, preferences)
        removed += _fallbacks(order, kept, lineup)
        order = kept
        if order:
            shared = reduce(and_, [arrangement.ranks[entry] for entry in order])
            reasons = reasons_of(arrangement.ranks, shared, form.usual, lineup.targets)
    for entry in drawn:
        if reasons[entry] is _BY_PRICE:
            reasons = reasons.copy()
            reasons[entry] = _DRAWN
    endpoints, keys, probes = lineup.endpoints, lineup.keys, form.probes
    choices = [
        Choice(endpoints[one], keys[one], prices[one], reasons[one], endpoints[one].id in probes)
        for one in order
    ]
    return Plan(tuple(choices), removed)


def _staying(lineup: Lineup, form: Form, prices: Sequence[PicoUSD], warm: Warm) -> tuple[int, ...]:
    """The entries of the endpoint whose cache is warm that go first among their like, because that is worth it.

    Where price decides, it must be no dearer, with its cached tokens, than the cheapest healthy other would
    be without any. One that is not healthy keeps nobody.
    """
    ranks, staying = form.arrangement.ranks, []
    for entry in lineup.entries_of(warm.endpoint):
        sheet = lineup.endpoints[entry].prices
        saved = sheet.input_cache_read
        if ranks[entry] & UNHEALTHY or saved is None or saved >= sheet.prompt:
            continue
        is_by_price = lineup.sorts[lineup.targets[entry]] in _BY_PRICE_ALONE
        if not (is_by_price and _is_dearer(lineup, ranks, prices, entry)):
            staying.append(entry)
    return tuple(staying)


_BY_PRICE_ALONE: Final = (None, Sort.PRICE)


def _is_dearer(lineup: Lineup, ranks: Sequence[int], prices: Sequence[PicoUSD], entry: int) -> bool:
    """Whether a healthy other of an entry's group costs less."""
    endpoint, most = lineup.endpoints[entry], prices[entry]
    group = ranks[entry] & GROUP
    for other, price in enumerate(prices):
        if (
            price < most
            and ranks[other] & _HEALTHY_GROUP == group
            and lineup.endpoints[other].id != endpoint.id
        ):
            return True
    return False


_HEALTHY_GROUP: Final = (
    GROUP | UNHEALTHY
)  # of these bits, who is healthy has only those of the group


def _without_fallbacks(
    order: Sequence[int], ranks: Sequence[int], lineup: Lineup, preferences: Preferences
) -> list[int]:
    """Only what `order` names; without it the first of each model, or of all where they are one order."""
    if preferences.order:
        return [entry for entry in order if is_listed(ranks[entry])]
    if preferences.partition is _ONE_ORDER:
        return list(order[:1])
    first: dict[int, int] = {}
    for entry in order:
        first.setdefault(lineup.targets[entry], entry)
    return list(first.values())


def _fallbacks(order: Sequence[int], kept: Sequence[int], lineup: Lineup) -> tuple[Removed, ...]:
    """The endpoints that are not kept, each once."""
    staying = {lineup.endpoints[entry].id for entry in kept}
    gone = {
        endpoint.id: endpoint
        for entry in order
        if (endpoint := lineup.endpoints[entry]).id not in staying
    }
    return tuple(
        Removed(endpoint.model, endpoint.id, Removal.FALLBACKS_OFF, "`allow_fallbacks` is false")
        for endpoint in gone.values()
    )
