"""Which endpoints may serve a request, in which order, and why not the others. Pure.

The same inputs give the same plan, bit for bit, so a decision can be stored, explained and made again. Every
endpoint of every target is either among the choices or among the removed; one that several of the caller's own
keys open is a choice more than once. Filters are `filters.py`'s story, the order is `ordering.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import repeat
from operator import and_, itemgetter, or_
from typing import Final, cast

from fairlead.core.catalog import Snapshot
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.facts import UNKNOWN, Facts, HealthView
from fairlead.core.routing.filters import Sieve, sift
from fairlead.core.routing.index import ModelIndex, Rates, index_of, places
from fairlead.core.routing.ordering import (
    DEPRECATED,
    NOT_TIER,
    NOT_WARM,
    OURS,
    STANDING_BITS,
    TARGET_IN_TIE,
    UNLISTED,
    UNSEEN,
    Entry,
    balanced,
    figures_of,
    group_of,
    is_healthy,
    is_listed,
    misses,
    positions,
    qualities,
    rank_of_key,
    rank_of_target,
    target_of,
    tie_of,
    why,
)
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
_DRAWN: Final = Why.DRAWN
_ONE_ORDER: Final = Partition.NONE
_RANK_OF: Final = itemgetter(0)  # of an entry
_USUAL: Final = NOT_WARM | NOT_TIER | UNLISTED | OURS  # the rank of whoever no rule lifts


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
    draft = _Draft()
    removed: list[Removed] = []
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
        draft.sorts.append(sort)
        draft.usual.append(_enter(draft, sieve, number, question, preferences, sort, health))
    entries, sorts = draft.entries, draft.sorts
    if len(entries) > 1:
        if question.warm is not None and not preferences.order:
            _stay(entries, question.warm, sorts)
        entries.sort()
        if not preferences.order and None in sorts:
            draft.drawn = balanced(entries, [sort is None for sort in sorts], seed)
    if not preferences.allow_fallbacks:
        draft.entries = _without_fallbacks(entries, preferences, removed)
    return Plan(_choices(draft), tuple(removed))


class _Draft:
    """A plan in the making.

    sorts, usual: by target, what orders it, and the reason that remains where no rank decides; sort None means
        default load balancing. drawn: the ties of the entries that were. probes: endpoints that this call
        may find to be up again.
    """

    __slots__ = ("drawn", "entries", "probes", "sorts", "usual")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.sorts: list[Sort | None] = []
        self.usual: list[Why] = []
        self.drawn: set[int] = set()
        self.probes: set[EndpointId] = set()


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
    draft: _Draft,
    sieve: Sieve,
    number: int,
    question: Question,
    preferences: Preferences,
    sort: Sort | None,
    health: HealthView,
) -> Why:
    """Add one target's endpoints. Returns what orders them where no rank decides.

    It works on columns, one for each part of an entry: most rules have nothing to say about most requests, and
    then cost nothing.
    """
    mask = sieve.kept
    if not mask:
        return _BY_PRICE
    index, traits = sieve.index, question.traits
    ids, slugs, rates, ties, endpoints = index.columns_of(mask)
    known = list(map(health.facts, ids))
    ranks = _ranks(draft, ids, known, number if preferences.partition is not _ONE_ORDER else 0)
    if preferences.order or index.deprecated & mask or traits.service_tier is not None:
        _lift_named(ranks, sieve, traits, preferences)
    if preferences is not NO_WISHES:
        missing = misses(known, preferences)
        if missing is not None:
            ranks = list(map(or_, ranks, missing))
    graded = None
    if sort is _EXACTO or (sort is None and traits.has_tools and not preferences.order):
        graded = qualities(slugs, known)
        if graded is not None:
            ranks = list(map(or_, ranks, graded))
    figures: Iterable[float] = repeat(0.0)
    usual = _BY_PRICE
    if sort is _THROUGHPUT or sort is _LATENCY:
        figures = figures_of(known, sort)
        usual = _BY_SORT if min(figures) < UNSEEN else _BY_PRICE
    elif sort is _EXACTO:
        usual = _BY_PRICE if graded is None else Why.QUALITY
    elif sort is not None:
        usual = _BY_SORT
    prices = _expected(index, mask, rates, traits, question.warm)
    if sieve.openings:
        _enter_by_keys(draft.entries, sieve, number, zip(ranks, figures, prices, strict=False))
        return usual
    if number:
        first = tie_of(number, 0, 0)
        ties = tuple([first | tie for tie in ties])
    draft.entries += zip(ranks, figures, prices, ties, endpoints, repeat(None), strict=False)
    return usual


def _ranks(
    draft: _Draft, ids: Sequence[EndpointId], known: Sequence[Facts], number: int
) -> list[int]:
    """By the place of their model and by how well they are. Probes are noted."""
    base = _USUAL | rank_of_target(number) if number else _USUAL
    ranks = [base] * len(known)
    if known.count(UNKNOWN) == len(known):
        return ranks
    for count, facts in enumerate(known):
        if facts is not UNKNOWN:
            if facts.is_probe:
                draft.probes.add(ids[count])
            elif facts.standing:
                ranks[count] = base | STANDING_BITS[facts.standing]
    return ranks


def _lift_named(ranks: list[int], sieve: Sieve, traits: Traits, preferences: Preferences) -> None:
    """What says which endpoints it means: deprecation, the service tier, `order`."""
    index, mask = sieve.index, sieve.kept
    if index.deprecated & mask:
        _lift(ranks, mask, index.deprecated, DEPRECATED)
    if traits.service_tier is not None:
        _lift(ranks, mask, index.tiers.get(traits.service_tier, 0), NOT_TIER)
    if preferences.order:
        for place, bits in positions(index, preferences.order).items():
            if mask >> place & 1:
                ranks[_count_below(mask, place)] ^= UNLISTED ^ bits


def _lift(ranks: list[int], mask: int, those: int, bits: int) -> None:
    """Change these bits in the ranks of those endpoints. ranks: of the endpoints in `mask`."""
    for place in places(mask & those):
        ranks[_count_below(mask, place)] ^= bits


def _count_below(mask: int, place: int) -> int:
    """Where a place is in a column of the mask's endpoints alone."""
    return (mask & (1 << place) - 1).bit_count()


def _enter_by_keys(
    entries: list[Entry],
    sieve: Sieve,
    number: int,
    columns: Iterable[tuple[int, float, PicoUSD]],
) -> None:
    """One entry for each key that opens an endpoint."""
    index = sieve.index
    for place, (rank, figure, price) in zip(places(sieve.kept), columns, strict=True):
        for turn, opening in enumerate(sieve.openings.get(index.slugs[place], INSTALLATION)):
            whose = OURS ^ rank_of_key(opening.key, is_fallback=opening.is_fallback)
            tie = tie_of(number, place, turn)
            endpoint = index.endpoints[place]
            entries.append((rank ^ whose, figure, price, tie, endpoint, opening.key))


def _expected(
    index: ModelIndex, mask: int, rates: Sequence[Rates], traits: Traits, warm: Warm | None
) -> list[PicoUSD]:
    """What the request should cost at each endpoint, in picodollars. Where its cache is warm, that counts."""
    prompt_tokens, completion_tokens = traits.prompt_tokens, traits.completion_tokens
    prices = cast(  # products of tokens and picodollars are picodollars
        "list[PicoUSD]",
        [
            prompt_tokens * prompt + completion_tokens * completion + request
            for prompt, completion, request in rates
        ],
    )
    special = mask & index.stepped
    if warm is not None:
        special |= mask & index.bits.get(warm.endpoint, 0)
    for place in places(special):
        prompt, completion, request, cache_read = index.offers[place].prices_at(prompt_tokens)
        price = prompt_tokens * prompt + completion_tokens * completion + request
        if warm is not None and cache_read is not None and index.ids[place] == warm.endpoint:
            price -= min(warm.cached_tokens, prompt_tokens) * (prompt - cache_read)
        prices[_count_below(mask, place)] = PicoUSD(price)
    return prices


def _stay(entries: list[Entry], warm: Warm, sorts: Sequence[Sort | None]) -> None:
    """Put the endpoint whose cache is warm first among its like, where that is worth it.

    Where price decides, it must be no dearer, with its cached tokens, than the cheapest healthy other would
    be without any. One that is not healthy keeps nobody.
    """
    for number, entry in enumerate(entries):
        if entry[4].id != warm.endpoint:
            continue
        rank, figure, price, tie, endpoint, key = entry
        if not is_healthy(rank):
            continue
        saved = endpoint.prices.input_cache_read
        if saved is None or saved >= endpoint.prices.prompt:
            continue
        if sorts[target_of(entry)] in (None, _CHEAPEST):
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


def _choices(draft: _Draft) -> tuple[Choice, ...]:
    entries, usual, drawn, probes = draft.entries, draft.usual, draft.drawn, draft.probes
    shared = reduce(and_, map(_RANK_OF, entries), -1)
    choices: list[Choice] = []
    last_rank, last_target, reason = -1, -1, _BY_PRICE
    for rank, _, price, tie, endpoint, key in entries:
        target = tie >> TARGET_IN_TIE
        if rank != last_rank or target != last_target:
            last_rank, last_target = rank, target
            reason = why(rank, shared, usual[target])
        if drawn and tie in drawn and reason is _BY_PRICE:
            choices.append(Choice(endpoint, key, price, _DRAWN, endpoint.id in probes))
        elif probes:
            choices.append(Choice(endpoint, key, price, reason, endpoint.id in probes))
        else:
            choices.append(Choice(endpoint, key, price, reason))
    return tuple(choices)
