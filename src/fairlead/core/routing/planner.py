"""Which endpoints may serve a request, in which order, and why not the others. Pure.

The same inputs give the same plan, bit for bit, so a decision can be stored, explained and made again. Every
endpoint of every target is either among the choices or among the removed; one that several of the caller's own
keys open is a choice more than once. Filters are `filters.py`'s story, the order is `ordering.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from fairlead.core.catalog import Snapshot
from fairlead.core.ids import ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.facts import UNKNOWN, Facts, HealthView
from fairlead.core.routing.filters import Sieve, sift
from fairlead.core.routing.index import Offer, index_of, places
from fairlead.core.routing.ordering import (
    DEPRECATED,
    MISS,
    NOT_TIER,
    NOT_WARM,
    OURS,
    UNLISTED,
    Entry,
    balanced,
    figure_of,
    group_of,
    is_healthy,
    is_listed,
    misses,
    positions,
    qualities,
    rank_of_key,
    rank_of_target,
    standing_bits,
    target_of,
    tie_of,
    why,
)
from fairlead.core.routing.preferences import VARIANT_SORTS, Partition, Preferences, Sort
from fairlead.core.routing.types import (
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

_BY_SPEED: Final = (Sort.THROUGHPUT, Sort.LATENCY)
_EXACTO: Final = Sort.EXACTO
_ONE_ORDER: Final = Partition.NONE
_USUAL: Final = NOT_WARM | NOT_TIER | UNLISTED  # the rank of whoever no rule lifts
_UNSEEN: Final = float("inf")


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
    removed: list[Removed] = []
    entries: list[Entry] = []
    sorts: list[Sort | None] = []
    usual: list[Why] = []
    for number, target in enumerate(question.targets):
        sieve = sift(
            index_of(snapshot, target.model),
            target,
            question.traits,
            preferences,
            access,
            removed,
            can_serve=can_serve,
        )
        sort = _sort_for(target, question.traits, preferences, sieve)
        sorts.append(sort)
        usual.append(_enter(entries, sieve, number, question, preferences, sort, health))
    drawn: set[int] = set()
    if len(entries) > 1:
        if question.warm is not None and not preferences.order:
            _stay(entries, question.warm, sorts)
        entries.sort()
        if not preferences.order and None in sorts:
            drawn = balanced(entries, [sort is None for sort in sorts], seed)
    if not preferences.allow_fallbacks:
        entries = _without_fallbacks(entries, preferences, removed)
    return Plan(_choices(entries, usual, drawn), tuple(removed))


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
        return Sort.THROUGHPUT
    if tier == "flex" and sieve.kept & sieve.index.tiers.get(tier, 0):
        return Sort.PRICE
    for variant in reversed(target.variants):
        sort = VARIANT_SORTS.get(variant)
        if sort is not None:
            return sort
    return preferences.default_sort


def _enter(
    entries: list[Entry],
    sieve: Sieve,
    number: int,
    question: Question,
    preferences: Preferences,
    sort: Sort | None,
    health: HealthView,
) -> Why:
    """Add one target's endpoints with their ranks. Returns what orders them where no rank decides."""
    if not sieve.kept:
        return Why.PRICE
    index, openings, traits, warm = sieve.index, sieve.openings, question.traits, question.warm
    offers, deprecated = index.offers, index.deprecated
    kept = list(places(sieve.kept))
    facts_of = health.facts
    known = [facts_of(offers[place].id) for place in kept]
    graded = _graded(sieve, kept, known, question, preferences, sort)
    listed = positions(index, preferences.order) if preferences.order else None
    has_thresholds = (
        preferences.preferred_max_latency is not None
        or preferences.preferred_min_throughput is not None
    )
    by_speed = sort if sort in _BY_SPEED else None
    asked_tier = index.tiers.get(traits.service_tier, 0) if traits.service_tier is not None else 0
    base = _USUAL
    if number and preferences.partition is not _ONE_ORDER:
        base |= rank_of_target(number)
    prompt_tokens, completion_tokens = traits.prompt_tokens, traits.completion_tokens
    figure = 0.0
    figure_least = _UNSEEN
    for count, place in enumerate(kept):
        offer = offers[place]
        endpoint, endpoint_id, provider, prices, steps = offer
        facts = known[count]
        rank = base
        if facts is not UNKNOWN:
            rank |= standing_bits(facts)
            if has_thresholds and misses(facts, preferences):
                rank |= MISS
        if deprecated and deprecated >> place & 1:
            rank |= DEPRECATED
        if asked_tier and asked_tier >> place & 1:
            rank ^= NOT_TIER
        if listed is not None and place in listed:
            rank ^= UNLISTED ^ listed[place]
        if graded is not None:
            rank |= graded[count]
        if steps or warm is not None:
            is_warm = warm is not None and endpoint_id == warm.endpoint
            price = _expected(offer, traits, warm if is_warm else None)
        else:
            prompt, completion, request, _ = prices
            price = prompt_tokens * prompt + completion_tokens * completion + request
        if by_speed is not None:
            figure = figure_of(facts, by_speed)
            figure_least = min(figure, figure_least)
        if provider not in openings:
            tie = tie_of(number, place, 0)
            entries.append((rank | OURS, figure, price, tie, endpoint, None))
            continue
        for turn, opening in enumerate(openings[provider]):
            whose = rank_of_key(opening.key, is_fallback=opening.is_fallback)
            tie = tie_of(number, place, turn)
            entries.append((rank | whose, figure, price, tie, endpoint, opening.key))
    if by_speed is not None:
        return Why.SORT if figure_least < _UNSEEN else Why.PRICE
    if sort is _EXACTO:
        return Why.QUALITY if graded is not None else Why.PRICE
    return Why.PRICE if sort is None else Why.SORT


def _graded(
    sieve: Sieve,
    kept: Sequence[int],
    known: Sequence[Facts],
    question: Question,
    preferences: Preferences,
    sort: Sort | None,
) -> list[int] | None:
    """Ranks by quality, for who asks for quality, and for whoever has tools and asks for no order."""
    if sort is not _EXACTO and (
        sort is not None or preferences.order or not question.traits.has_tools
    ):
        return None
    offers = sieve.index.offers
    providers = [offers[place].provider for place in kept]
    return qualities(list(zip(providers, known, strict=True)))


def _expected(offer: Offer, traits: Traits, warm: Warm | None) -> int:
    """What the request should cost here, in picodollars. warm: its cache, if it is this endpoint's."""
    prompt, completion, request, cache_read = offer.prices_at(traits.prompt_tokens)
    price = traits.prompt_tokens * prompt + traits.completion_tokens * completion + request
    if warm is not None and cache_read is not None:
        price -= min(warm.cached_tokens, traits.prompt_tokens) * (prompt - cache_read)
    return price


def _stay(entries: list[Entry], warm: Warm, sorts: Sequence[Sort | None]) -> None:
    """Put the endpoint whose cache is warm first among its like, where that is worth it.

    Where price decides, it must be no dearer, with its cached tokens, than the cheapest healthy other would
    be without any. One that is not healthy keeps nobody.
    """
    for number, entry in enumerate(entries):
        rank, figure, price, tie, endpoint, key = entry
        if endpoint.id != warm.endpoint or not is_healthy(rank):
            continue
        saved = endpoint.prices.input_cache_read
        if saved is None or saved >= endpoint.prices.prompt:
            continue
        if sorts[target_of(entry)] in (None, Sort.PRICE):
            group = group_of(rank)
            others = (
                other[2]
                for other in entries
                if other[4].id != endpoint.id
                and group_of(other[0]) == group
                and is_healthy(other[0])
            )
            if price > min(others, default=price):
                continue
        entries[number] = (rank ^ NOT_WARM, figure, price, tie, endpoint, key)


def _without_fallbacks(
    entries: list[Entry], preferences: Preferences, removed: list[Removed]
) -> list[Entry]:
    """Only what `order` names; without it the first of each model, or of all where they are one order."""
    if preferences.order:
        kept = [entry for entry in entries if is_listed(entry[0])]
    elif preferences.partition is _ONE_ORDER:
        kept = entries[:1]
    else:
        first: dict[int, Entry] = {}
        for entry in entries:
            first.setdefault(target_of(entry), entry)
        kept = list(first.values())
    staying = {entry[4].id for entry in kept}
    for entry in entries:
        endpoint = entry[4]
        if endpoint.id not in staying:
            staying.add(endpoint.id)
            removed.append(
                Removed(
                    endpoint.model, endpoint.id, Removal.FALLBACKS_OFF, "`allow_fallbacks` is false"
                )
            )
    return kept


def _choices(entries: Sequence[Entry], usual: Sequence[Why], drawn: set[int]) -> tuple[Choice, ...]:
    if not entries:
        return ()
    shared = -1
    for entry in entries:
        shared &= entry[0]
    choices: list[Choice] = []
    last, reason = (-1, -1), Why.PRICE
    for entry in entries:
        rank, _, price, tie, endpoint, key = entry
        target = target_of(entry)
        if (rank, target) != last:
            last = (rank, target)
            reason = why(rank, shared, usual[target])
        is_drawn = tie in drawn and reason is Why.PRICE
        choices.append(Choice(endpoint, key, PicoUSD(price), Why.DRAWN if is_drawn else reason))
    return tuple(choices)
