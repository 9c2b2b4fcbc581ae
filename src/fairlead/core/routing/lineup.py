"""All that could be chosen for a request, as far as it is the same from one call to the next. Pure.

An application asks for the same models with the same wishes again and again. Its prompts differ, and so does
what they cost; but who passes the filters does not, nor, for seconds at a time, what the endpoints' health says
of their order. Both are worked out once and kept with the index of the first model:

    Lineup   who may serve the request        kept by all that filters look at, as long as the snapshot lives
    Form     in which order, prices aside     kept with its lineup, until a fact of health is another one

A request that is so long that its length decides about endpoints has a lineup of its own, which is not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from operator import or_
from typing import Final, cast

from fairlead.core.catalog import Endpoint, Snapshot
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.facts import Facts, HealthView
from fairlead.core.routing.filters import Sieve, may_be_kept, sift
from fairlead.core.routing.index import Offer, Rates, index_of, places
from fairlead.core.routing.ordering import (
    DEPRECATED,
    MISS,
    NOT_TIER,
    NOT_WARM,
    OURS,
    UNLISTED,
    UNSEEN,
    Arrangement,
    arranged,
    positions,
    rank_of_key,
    rank_of_target,
)
from fairlead.core.routing.outlook import figures_of, misses, qualities, standings
from fairlead.core.routing.preferences import NO_WISHES, VARIANT_SORTS, Partition, Preferences, Sort
from fairlead.core.routing.types import (
    INSTALLATION,
    Access,
    Opening,
    Question,
    Removed,
    Target,
    Traits,
    Warm,
    Why,
)

__all__ = ["LINEUPS_MAX", "Form", "Lineup", "lineup_of"]

LINEUPS_MAX: Final = 16  # kept with one model, at some 10 KB each for thirty endpoints
# Python 3.11 takes longer to look a member up than to compare it.
_THROUGHPUT: Final = Sort.THROUGHPUT
_LATENCY: Final = Sort.LATENCY
_EXACTO: Final = Sort.EXACTO
_CHEAPEST: Final = Sort.PRICE
_BY_PRICE: Final = Why.PRICE
_BY_SORT: Final = Why.SORT
_BY_QUALITY: Final = Why.QUALITY
_ONE_ORDER: Final = Partition.NONE


def lineup_of(
    question: Question,
    snapshot: Snapshot,
    preferences: Preferences,
    access: Access,
    can_serve: Callable[[ProviderSlug], bool],
) -> Lineup:
    """Who may serve a request. Raises KeyError for a target that the snapshot does not have."""
    traits = question.traits
    kept = index_of(snapshot, question.targets[0].model).lineups
    key: Hashable = (
        question.targets,
        preferences,
        traits.parameters,
        traits.modalities,
        traits.service_tier,
        id(access),  # which the lineup keeps alive, so that no other has this id
        can_serve,
    )
    found = kept.get(key)
    if isinstance(found, Lineup) and found.fits(traits):
        return found
    made = Lineup(question, snapshot, preferences, access, can_serve)
    if made.fits(traits) and may_be_kept(preferences):
        if len(kept) >= LINEUPS_MAX:
            kept.clear()
        kept[key] = made
    return made


class Lineup:
    """Entries in columns: what is at one place of each belongs to one entry.

    Python works much faster through columns than through entries. Entries come in by target, then by their
    endpoints' ids, then in the order of their keys: so how a catalogue lists endpoints decides nothing.

    keys: the caller's own. targets: numbers of the question's. removed: who cannot be chosen, and why.
    sorts: by target; None: its order is by default. is_drawn: whether that is so of any, and nobody named one.
    """

    __slots__ = (
        "_access",
        "_characters_max",
        "_form",
        "_ids",
        "_offers",
        "_parts",
        "_preferences",
        "_rates",
        "_stepped",
        "_tokens_max",
        "endpoints",
        "is_drawn",
        "keys",
        "removed",
        "sorts",
        "targets",
    )

    def __init__(
        self,
        question: Question,
        snapshot: Snapshot,
        preferences: Preferences,
        access: Access,
        can_serve: Callable[[ProviderSlug], bool],
    ) -> None:
        traits = question.traits
        removed: list[Removed] = []
        self.endpoints: list[Endpoint] = []
        self.keys: list[str | None] = []
        self.targets: list[int] = []
        self.sorts: list[Sort | None] = []
        self._offers: list[Offer] = []
        self._rates: list[Rates] = []
        self._stepped: list[int] = []  # entries with other prices for long prompts
        self._ids: list[EndpointId] = []
        self._parts: list[_Part] = []
        self._characters_max = self._tokens_max = _UNBOUNDED
        for number, target in enumerate(question.targets):
            index = index_of(snapshot, target.model)
            sieve = sift(index, target, traits, preferences, access, removed, can_serve=can_serve)
            sort = _sort_for(target, traits, preferences, sieve)
            part = _Part(sieve, number, len(self.endpoints), sort, traits)
            self.sorts.append(sort)
            self._parts.append(part)
            self._enter(part)
            self._tokens_max = min(self._tokens_max, index.decisive_tokens)
            self._characters_max = min(self._characters_max, index.decisive_characters)
            if preferences.max_price is not None and index.stepped:
                self._characters_max = -1  # what a prompt of its length costs may be too much
        self.removed = tuple(removed)
        self.is_drawn = None in self.sorts and not preferences.order
        self._preferences = preferences
        self._access = access
        self._form: Form | None = None

    def _enter(self, part: _Part) -> None:
        columns = part.columns
        first = len(self.endpoints)
        self._ids += columns.ids
        if part.opened is None:
            self.endpoints += columns.endpoints
            self.keys += columns.keys
            self._offers += columns.offers
            self._rates += columns.rates
            self._stepped += [first + place for place in columns.stepped]
        else:
            for place, opening in part.opened:
                if columns.offers[place].steps:
                    self._stepped.append(len(self.endpoints))
                self.endpoints.append(columns.endpoints[place])
                self.keys.append(opening.key)
                self._offers.append(columns.offers[place])
                self._rates.append(columns.rates[place])
        self.targets += [part.number] * (len(self.endpoints) - first)

    def fits(self, traits: Traits) -> bool:
        """Whether a request of this length has this lineup, being alike in all else."""
        wanted = traits.max_tokens
        return traits.characters <= self._characters_max and (
            wanted is None or wanted <= self._tokens_max or traits.is_ceiling
        )

    def entries_of(self, endpoint: EndpointId) -> Sequence[int]:
        """More than one where several keys open it."""
        return [entry for part in self._parts for entry in part.entries_of(endpoint)]

    def prices(self, traits: Traits, warm: Warm | None) -> list[PicoUSD]:
        """What the request should cost at each entry, in picodollars. Where its cache is warm, that counts."""
        prompt_tokens, completion_tokens = traits.prompt_tokens, traits.completion_tokens
        prices = cast(  # products of tokens and picodollars are picodollars
            "list[PicoUSD]",
            [
                prompt_tokens * prompt + completion_tokens * completion + request
                for prompt, completion, request in self._rates
            ],
        )
        for entry in self._stepped:
            prompt, completion, request, _ = self._offers[entry].prices_at(prompt_tokens)
            price = prompt_tokens * prompt + completion_tokens * completion + request
            prices[entry] = PicoUSD(price)
        if warm is not None:
            for entry in self.entries_of(warm.endpoint):
                prompt, _, _, cache_read = self._offers[entry].prices_at(prompt_tokens)
                if cache_read is not None:
                    saved = min(warm.cached_tokens, prompt_tokens) * (prompt - cache_read)
                    prices[entry] = PicoUSD(prices[entry] - saved)
        return prices

    def form(self, health: HealthView) -> Form:
        """Their order as their health is now."""
        known = list(map(health.facts, self._ids))
        form = self._form
        if form is not None and form.known == known:
            return form
        ranks: list[int] = []
        figures: list[float] = []
        usual: list[Why] = []
        first = 0
        for part in self._parts:
            after = first + len(part.columns.ids)
            own_ranks, own_figures, reason = part.judged(known[first:after], self._preferences)
            ranks += own_ranks
            figures += own_figures
            usual.append(reason)
            first = after
        if form is None or not form.is_of(ranks, figures, usual):
            form = self._form = Form(ranks, figures, usual, self.targets)
        form.known = known
        form.probes = [
            endpoint for endpoint, one in zip(self._ids, known, strict=True) if one.is_probe
        ]
        return form


_UNBOUNDED: Final = 1 << 62


class Form:
    """A lineup as the health of its endpoints is at some moment.

    known: of each of its endpoints. probes: those that this call may find to be up again.
    usual: what orders a target's entries where no rank does. arrangement: the order of the entries, where
    nobody's cache is warm.
    """

    __slots__ = ("_figures", "_lifted", "_targets", "arrangement", "known", "probes", "usual")

    def __init__(
        self, ranks: list[int], figures: list[float], usual: list[Why], targets: list[int]
    ) -> None:
        self.known: list[Facts] = []
        self.probes: list[EndpointId] = []
        self.usual = usual
        self.arrangement = arranged(ranks, figures, usual, targets)
        self._figures = figures
        self._targets = targets
        self._lifted: tuple[tuple[int, ...], Arrangement] | None = None

    def is_of(self, ranks: list[int], figures: list[float], usual: list[Why]) -> bool:
        """Whether this is what they come to: much that is learned of endpoints changes nothing."""
        return self.arrangement.ranks == ranks and self._figures == figures and self.usual == usual

    def with_lifted(self, entries: tuple[int, ...]) -> Arrangement:
        """The order where these entries go first among their like, because their cache is warm."""
        last = self._lifted
        if last is not None and last[0] == entries:
            return last[1]
        ranks = self.arrangement.ranks.copy()
        for entry in entries:
            ranks[entry] ^= NOT_WARM
        made = arranged(ranks, self._figures, self.usual, self._targets)
        self._lifted = entries, made
        return made


class _Part:
    """What a lineup has of one target. number: which. sort: by what its order is.

    opened: of each entry, whose it is, by place in the columns, and what opens it. None: every endpoint is one
    entry, that the installation's credential opens.
    """

    __slots__ = ("_first", "_sieve", "_traits", "columns", "number", "opened", "sort")

    def __init__(
        self, sieve: Sieve, number: int, first: int, sort: Sort | None, traits: Traits
    ) -> None:
        """first: its first entry."""
        columns = self.columns = sieve.index.columns_of(sieve.kept)
        self.number = number
        self.sort = sort
        self._first = first
        self.opened: list[tuple[int, Opening]] | None = None
        if sieve.openings:
            self.opened = [
                (place, opening)
                for place, slug in enumerate(columns.slugs)
                for opening in sieve.openings.get(slug, INSTALLATION)
            ]
        self._sieve = sieve
        self._traits = traits

    def entries_of(self, endpoint: EndpointId) -> Sequence[int]:
        """The entries of one endpoint, as the lineup numbers them."""
        place = self.columns.where.get(endpoint)
        if place is None:
            return ()
        if self.opened is None:
            return (self._first + place,)
        return [self._first + n for n, (whose, _) in enumerate(self.opened) if whose == place]

    def judged(
        self, known: list[Facts], preferences: Preferences
    ) -> tuple[list[int], list[float], Why]:
        """Ranks and figures of the entries, and what orders them where no rank decides.

        known: of the endpoints. Most rules have nothing to say about most requests, and then cost nothing.
        """
        if not known:
            return [], [], _BY_PRICE
        sort, tier = self.sort, self._traits.service_tier
        ranks = standings(known)
        if self.number and preferences.partition is not _ONE_ORDER:
            behind = rank_of_target(self.number)
            ranks = [rank | behind for rank in ranks]
        if preferences is not NO_WISHES:
            for place in misses(
                known, preferences.preferred_max_latency, preferences.preferred_min_throughput
            ):
                ranks[place] |= MISS
        if preferences.order or tier is not None or self._sieve.index.deprecated:
            self._lift_named(ranks, preferences, tier)
        graded = None
        if sort is _EXACTO or (sort is None and self._traits.has_tools and not preferences.order):
            graded = qualities(self.columns.slugs, known)
            if graded is not None:
                ranks = list(map(or_, ranks, graded))
        figures, usual = [0.0] * len(ranks), _BY_PRICE
        if sort is _THROUGHPUT or sort is _LATENCY:
            figures = figures_of(known, sort)
            if min(figures) < UNSEEN:
                usual = _BY_SORT
        elif sort is _CHEAPEST:
            usual = _BY_SORT
        elif sort is not None and graded is not None:
            usual = _BY_QUALITY
        if self.opened is not None:
            figures = [figures[place] for place, _ in self.opened]
            ranks = [
                ranks[place] ^ OURS ^ rank_of_key(opening.key, is_fallback=opening.is_fallback)
                for place, opening in self.opened
            ]
        return ranks, figures, usual

    def _lift_named(self, ranks: list[int], preferences: Preferences, tier: str | None) -> None:
        """What says which endpoints it means: deprecation, the service tier, `order`."""
        index, mask, at = self._sieve.index, self._sieve.kept, self.columns.at
        for place in places(index.deprecated & mask):
            ranks[at[place]] ^= DEPRECATED
        if tier is not None:
            for place in places(index.tiers.get(tier, 0) & mask):
                ranks[at[place]] ^= NOT_TIER
        if preferences.order:
            for place, bits in positions(index, preferences.order).items():
                if mask >> place & 1:
                    ranks[at[place]] ^= UNLISTED ^ bits


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
