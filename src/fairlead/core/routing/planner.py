"""Which endpoints may serve a request, in which order, and why not the others. Pure.

The same inputs give the same plan, bit for bit, so a decision can be stored, explained and made again. Every
endpoint of every target is either among the choices or among the removed; one that several of the caller's own
keys open is a choice more than once. Filters are `filters.py`'s story, the order is `ordering.py`'s, and what
follows from the endpoints' health is `outlook.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import reduce
from operator import and_, or_
from typing import Final, cast

from fairlead.core.catalog import Snapshot
from fairlead.core.ids import ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.facts import HealthView
from fairlead.core.routing.filters import Sieve, sift
from fairlead.core.routing.index import Columns, index_of, places
from fairlead.core.routing.ordering import (
    DEPRECATED,
    GROUP,
    MISS,
    NOT_TIER,
    NOT_WARM,
    OURS,
    UNHEALTHY,
    UNLISTED,
    UNSEEN,
    Lineup,
    balanced,
    is_listed,
    ordered,
    positions,
    rank_of_key,
    rank_of_target,
    why,
)
from fairlead.core.routing.outlook import outlook_of
from fairlead.core.routing.preferences import NO_WISHES, VARIANT_SORTS, Partition, Preferences, Sort
from fairlead.core.routing.types import (
    INSTALLATION,
    Access,
    Choice,
    Plan,
    Question,
    Removal,
    Removed,
    Target,
    Traits,
    Warm,
    Why,
)

__all__ = ["plan"]

# Python 3.11 takes longer to look a member up than to compare it.
_THROUGHPUT: Final = Sort.THROUGHPUT
_LATENCY: Final = Sort.LATENCY
_EXACTO: Final = Sort.EXACTO
_CHEAPEST: Final = Sort.PRICE
_BY_PRICE: Final = Why.PRICE
_BY_SORT: Final = Why.SORT
_BY_QUALITY: Final = Why.QUALITY
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
    access: what opens each provider here. can_serve: whether we speak to it, for what is asked.
    Raises KeyError for a target that the snapshot does not have.
    """
    lineup = Lineup()
    removed: list[Removed] = []
    sorts: list[Sort | None] = []
    usual: list[Why] = []
    traits = question.traits
    for number, target in enumerate(question.targets):
        index = index_of(snapshot, target.model)
        sieve = sift(index, target, traits, preferences, access, removed, can_serve=can_serve)
        sort = _sort_for(target, traits, preferences, sieve)
        sorts.append(sort)
        usual.append(_enter(lineup, sieve, number, question, preferences, sort, health))
    order, drawn = [0] if lineup.ranks else [], _NOBODY
    if len(lineup.ranks) > 1:
        if question.warm is not None and not preferences.order:
            _stay(lineup, question.warm, sorts)
        order = ordered(lineup)
        if None in sorts and not preferences.order:
            drawn = balanced(order, lineup, sorts, seed)
    if not preferences.allow_fallbacks:
        order = _without_fallbacks(order, lineup, preferences, removed)
    return Plan(_choices(order, lineup, usual, drawn), tuple(removed))


_NOBODY: Final[Collection[int]] = ()


def _sort_for(
    target: Target, traits: Traits, preferences: Preferences, sieve: Sieve
) -> Sort | None:
    """What the caller's own word, the service tier, a variant or the account say; None: default balancing."""
    if preferences.order:
        return None
    if preferences.sort is not None:
        return preferences.sort
    tier = traits.service_tier
    if tier == "priority":
        return _THROUGHPUT
    if tier == "flex" and sieve.kept & sieve.index.tiers.get(tier, 0):
        return _CHEAPEST
    if target.variants:
        for variant in reversed(target.variants):
            if variant in VARIANT_SORTS:
                return VARIANT_SORTS[variant]
    return preferences.default_sort


def _enter(
    lineup: Lineup,
    sieve: Sieve,
    number: int,
    question: Question,
    preferences: Preferences,
    sort: Sort | None,
    health: HealthView,
) -> Why:
    """Add one target's endpoints. Returns what orders them where no rank decides.

    Most rules have nothing to say about most requests, and then cost nothing.
    """
    if not sieve.kept:
        return _BY_PRICE
    traits = question.traits
    columns = sieve.index.columns_of(sieve.kept)
    outlook = outlook_of(columns, list(map(health.facts, columns.ids)))
    lineup.probes += outlook.probes
    ranks = outlook.ranks.copy()
    if number and preferences.partition is not _ONE_ORDER:
        behind = rank_of_target(number)
        ranks = [rank | behind for rank in ranks]
    if preferences is not NO_WISHES:
        latency, throughput = (
            preferences.preferred_max_latency,
            preferences.preferred_min_throughput,
        )
        if latency is not None or throughput is not None:
            for place in outlook.misses(latency, throughput):
                ranks[place] |= MISS
    if preferences.order or traits.service_tier is not None or sieve.index.deprecated:
        _lift_named(ranks, sieve, columns, traits, preferences)
    graded = None
    if sort is _EXACTO or (sort is None and traits.has_tools and not preferences.order):
        graded = outlook.qualities()
        if graded is not None:
            ranks = list(map(or_, ranks, graded))
    figures: Sequence[float] = [0.0] * len(ranks)
    usual = _BY_PRICE
    if sort is not None:
        if sort is _THROUGHPUT or sort is _LATENCY:
            figures = outlook.figures(sort)
            usual = _BY_SORT if min(figures) < UNSEEN else _BY_PRICE
        elif sort is _CHEAPEST:
            usual = _BY_SORT
        elif graded is not None:
            usual = _BY_QUALITY
    prices = _expected(sieve, columns, traits, question.warm)
    if sieve.openings:
        _enter_by_keys(lineup, sieve, number, columns, ranks, figures, prices)
        return usual
    lineup.ranks += ranks
    lineup.figures += figures
    lineup.prices += prices
    lineup.endpoints += columns.endpoints
    lineup.keys += columns.keys
    lineup.targets += [number] * len(ranks)
    return usual


def _lift_named(
    ranks: list[int], sieve: Sieve, columns: Columns, traits: Traits, preferences: Preferences
) -> None:
    """What says which endpoints it means: deprecation, the service tier, `order`."""
    index, mask, at = sieve.index, sieve.kept, columns.at
    if index.deprecated & mask:
        for place in places(index.deprecated & mask):
            ranks[at[place]] ^= DEPRECATED
    if traits.service_tier is not None:
        for place in places(index.tiers.get(traits.service_tier, 0) & mask):
            ranks[at[place]] ^= NOT_TIER
    if preferences.order:
        for place, bits in positions(index, preferences.order).items():
            if mask >> place & 1:
                ranks[at[place]] ^= UNLISTED ^ bits


def _enter_by_keys(
    lineup: Lineup,
    sieve: Sieve,
    number: int,
    columns: Columns,
    ranks: Sequence[int],
    figures: Sequence[float],
    prices: Sequence[PicoUSD],
) -> None:
    """One entry for each key that opens an endpoint."""
    for endpoint, rank, figure, price in zip(
        columns.endpoints, ranks, figures, prices, strict=True
    ):
        for opening in sieve.openings.get(endpoint.provider, INSTALLATION):
            whose = OURS ^ rank_of_key(opening.key, is_fallback=opening.is_fallback)
            lineup.ranks.append(rank ^ whose)
            lineup.figures.append(figure)
            lineup.prices.append(price)
            lineup.endpoints.append(endpoint)
            lineup.keys.append(opening.key)
            lineup.targets.append(number)


def _expected(sieve: Sieve, columns: Columns, traits: Traits, warm: Warm | None) -> list[PicoUSD]:
    """What the request should cost at each endpoint, in picodollars. Where its cache is warm, that counts."""
    prompt_tokens, completion_tokens = traits.prompt_tokens, traits.completion_tokens
    prices = cast(  # products of tokens and picodollars are picodollars
        "list[PicoUSD]",
        [
            prompt_tokens * prompt + completion_tokens * completion + request
            for prompt, completion, request in columns.rates
        ],
    )
    index = sieve.index
    special = index.stepped
    if warm is not None:
        special |= index.bits.get(warm.endpoint, 0)
    if special:
        for place in places(special & sieve.kept):
            prompt, completion, request, cache_read = index.offers[place].prices_at(prompt_tokens)
            price = prompt_tokens * prompt + completion_tokens * completion + request
            if warm is not None and cache_read is not None and index.ids[place] == warm.endpoint:
                price -= min(warm.cached_tokens, prompt_tokens) * (prompt - cache_read)
            prices[columns.at[place]] = PicoUSD(price)
    return prices


def _stay(lineup: Lineup, warm: Warm, sorts: Sequence[Sort | None]) -> None:
    """Put the endpoint whose cache is warm first among its like, where that is worth it.

    Where price decides, it must be no dearer, with its cached tokens, than the cheapest healthy other would
    be without any. One that is not healthy keeps nobody.
    """
    ranks = lineup.ranks
    for number, endpoint in enumerate(lineup.endpoints):
        if endpoint.id != warm.endpoint or ranks[number] & UNHEALTHY:
            continue
        saved = endpoint.prices.input_cache_read
        if saved is None or saved >= endpoint.prices.prompt:
            continue
        if sorts[lineup.targets[number]] in _BY_PRICE_ALONE and _is_dearer(lineup, number):
            continue
        ranks[number] ^= NOT_WARM


_BY_PRICE_ALONE: Final = (None, _CHEAPEST)


def _is_dearer(lineup: Lineup, number: int) -> bool:
    """Whether a healthy other of an entry's group costs less."""
    endpoint, most = lineup.endpoints[number], lineup.prices[number]
    group = lineup.ranks[number] & GROUP
    for other, price in enumerate(lineup.prices):
        if (
            price < most
            and lineup.ranks[other] & _HEALTHY_GROUP == group
            and lineup.endpoints[other].id != endpoint.id
        ):
            return True
    return False


_HEALTHY_GROUP: Final = (
    GROUP | UNHEALTHY
)  # of these bits, who is healthy has only those of the group


def _without_fallbacks(
    order: Sequence[int], lineup: Lineup, preferences: Preferences, removed: list[Removed]
) -> list[int]:
    """Only what `order` names; without it the first of each model, or of all where they are one order."""
    if preferences.order:
        kept = [entry for entry in order if is_listed(lineup.ranks[entry])]
    elif preferences.partition is _ONE_ORDER:
        kept = list(order[:1])
    else:
        first: dict[int, int] = {}
        for entry in order:
            first.setdefault(lineup.targets[entry], entry)
        kept = list(first.values())
    staying = {lineup.endpoints[entry].id for entry in kept}
    for entry in order:
        endpoint = lineup.endpoints[entry]
        if endpoint.id not in staying:
            staying.add(endpoint.id)
            removed.append(
                Removed(
                    endpoint.model, endpoint.id, Removal.FALLBACKS_OFF, "`allow_fallbacks` is false"
                )
            )
    return kept


def _choices(
    order: Sequence[int], lineup: Lineup, usual: Sequence[Why], drawn: Collection[int]
) -> tuple[Choice, ...]:
    """The entries as they are told of, in their order. usual: by target. drawn: the entries that were."""
    if not order:
        return ()
    endpoints, keys, prices = lineup.endpoints, lineup.keys, lineup.prices
    if len(order) == 1 and not drawn:
        sole = order[0]
        rank, is_probe = lineup.ranks[sole], endpoints[sole].id in lineup.probes
        reason = why(rank, rank, usual[lineup.targets[sole]])
        return (Choice(endpoints[sole], keys[sole], prices[sole], reason, is_probe),)
    reasons = _reasons(order, lineup, usual)
    for entry in drawn:
        if entry in order:
            place = order.index(entry)
            if reasons[place] is _BY_PRICE:
                reasons[place] = _DRAWN
    columns = (
        [endpoints[entry] for entry in order],
        [keys[entry] for entry in order],
        [prices[entry] for entry in order],
        reasons,
    )
    if lineup.probes:
        tests = [endpoint.id in lineup.probes for endpoint in columns[0]]
        return tuple(map(Choice, *columns, tests))
    return tuple(map(Choice, *columns))


def _reasons(order: Sequence[int], lineup: Lineup, usual: Sequence[Why]) -> list[Why]:
    """Why each is where it is. Those of one rank are there for the same reason."""
    ranks = [lineup.ranks[entry] for entry in order]
    rank = ranks[0]
    if len(usual) == 1 and ranks[-1] == rank:
        return [why(rank, rank, usual[0])] * len(ranks)
    different = set(ranks)
    shared = reduce(and_, different)
    if usual.count(usual[0]) == len(usual):
        by_rank = {rank: why(rank, shared, usual[0]) for rank in different}
        return [by_rank[rank] for rank in ranks]
    return [
        why(rank, shared, usual[lineup.targets[entry]])
        for entry, rank in zip(order, ranks, strict=True)
    ]
