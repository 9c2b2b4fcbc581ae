"""What filters and orders ask of a model's endpoints, worked out once for each model of a snapshot.

Sets of endpoints are integers: bit 0 stands for the endpoint with the lowest id, and so on. A filter is then
one `&`, however many endpoints there are, and only endpoints that it removes are looked at one by one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import repeat
from operator import or_
from typing import Final, NamedTuple

from fairlead.core.catalog import DataPolicy, Endpoint, EndpointStatus, Model, Snapshot
from fairlead.core.catalog_contenders import is_free
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import PicoUSD, price_text
from fairlead.core.pricing import PriceSheet
from fairlead.core.routing.preferences import Preferences
from fairlead.core.routing.types import INSTALLATION, Access, Opening, Removal, Removed

__all__ = [
    "CHARACTERS_PER_TOKEN",
    "CHARACTERS_PER_TOKEN_MAX",
    "COLUMNS_MAX",
    "Askable",
    "Columns",
    "Ladder",
    "ModelIndex",
    "Offer",
    "Prices",
    "Rates",
    "Step",
    "Verdict",
    "index_of",
    "places",
    "price_said",
    "prompt_tokens_max",
]

CHARACTERS_PER_TOKEN: Final = 4  # of a usual tokenizer, for estimates
CHARACTERS_PER_TOKEN_MAX: Final = 8  # so far above any tokenizer that only hopeless prompts go
_NOBODY: Final = repeat(0)
COLUMNS_MAX: Final = (
    16  # sets of a model's endpoints that are kept, at some 3 KB for thirty endpoints
)
UNLIMITED: Final = 1 << 62  # tokens, where an endpoint states no limit
_TOKENS_PER_MILLION: Final = 1_000_000
_UNKNOWN_POLICY: Final = DataPolicy()
# What a caller can cap, by the names of `max_price`.
_CAPPED: Final[Mapping[str, Callable[[PriceSheet], PicoUSD | None]]] = {
    "prompt": lambda sheet: sheet.prompt,
    "completion": lambda sheet: sheet.completion,
    "request": lambda sheet: sheet.request,
    "image": lambda sheet: sheet.image_output,
    "audio": lambda sheet: sheet.audio_second,
}
_BY_TOKEN: Final = ("prompt", "completion")


class Prices(NamedTuple):
    """Picodollars per token and per request. cache_read: None where reading the cache saves nothing."""

    prompt: PicoUSD
    completion: PicoUSD
    request: PicoUSD
    cache_read: PicoUSD | None


class Step(NamedTuple):
    """Prices of prompts that are strictly longer than this."""

    min_prompt_tokens: int
    prices: Prices


class Offer(NamedTuple):
    """What one endpoint charges. steps: of long prompts, by rising length."""

    usual: Prices
    steps: tuple[Step, ...]

    def prices_at(self, prompt_tokens: int) -> Prices:
        """Those that hold for a prompt of this length."""
        found = self.usual
        for step in self.steps:
            if prompt_tokens > step.min_prompt_tokens:
                found = step.prices
        return found


class Ladder:
    """Endpoints by one number of theirs: which ones are at most, or below, a bound. highest: of the numbers."""

    __slots__ = ("_masks", "_rungs", "highest")

    def __init__(self, values: Sequence[int]) -> None:
        """values: of the endpoint at each place."""
        ascending = sorted((value, place) for place, value in enumerate(values))
        self._rungs = [value for value, _ in ascending]
        self.highest = self._rungs[-1] if ascending else 0
        self._masks = [0]
        for _, place in ascending:
            self._masks.append(self._masks[-1] | 1 << place)

    def at_most(self, bound: int) -> int:
        return self._masks[bisect_right(self._rungs, bound)]

    def below(self, bound: int) -> int:
        return self._masks[bisect_left(self._rungs, bound)]


# Picodollars per prompt token, completion token and request.
Rates = tuple[PicoUSD, PicoUSD, PicoUSD]


class Verdict(NamedTuple):
    """What somebody's wishes rule out of a model. mask: of those endpoints. removed: with the reasons."""

    mask: int
    removed: tuple[Removed, ...]


class Columns(NamedTuple):
    """Some endpoints of a model, in the order of their places. keys: None for each.

    rates: their usual prices. stepped: where in the columns those are that have others for long prompts.
    at: where in the columns each place is; where: each endpoint.
    """

    ids: list[EndpointId]
    slugs: list[ProviderSlug]
    endpoints: list[Endpoint]
    offers: list[Offer]
    rates: list[Rates]
    keys: list[None]
    stepped: list[int]
    at: Mapping[int, int]
    where: Mapping[EndpointId, int]


class Askable(NamedTuple):
    """Which of a model's endpoints somebody has a credential for, and what opens their providers."""

    access: Access
    openings: tuple[tuple[ProviderSlug, tuple[Opening, ...]], ...]
    endpoints: tuple[EndpointId, ...]


@dataclass(frozen=True, slots=True)
class ModelIndex:
    """One model. Every `int` below is a set of its endpoints, but for the decisive ones.

    endpoints: by id, so that the order in which a catalogue lists them decides nothing; their place here is
        their bit. ids, slugs (of providers) and offers are in the same order.
    columns: see `columns_of`. verdicts: on wishes, kept by `filters.py`. lineups: by `lineup.py`.
        askable: the last one, by `decision.py`.
    providers: each with its endpoints; hosts: their slugs alone. installed: what `Access` says of the hosts
        where the installation's credentials simply open all of them.
    names: by all that a caller may call an endpoint, in lower case: the provider's slug or display name means
        all of a provider's. tags: by full tag only.
    universal: the parameters that all of them honour; uneven: those that some do.
    tiers: by service tier; tiered: all of them.
    keeps_nothing, retains_nothing, never_trains: as far as is known of the provider.
    free: costs nothing, whatever is asked.
    prompt_characters: the longest prompt each can read, at the most characters that a token can have.
    ladders: by the prices that a caller can cap.
    decisive_characters: a prompt of no more than this passes every filter and takes every usual price.
    decisive_tokens: every endpoint writes as many.
    priced: what is said of each endpoint's prices, by name: "prompt $3 per million".
    no_credential: what is said of each endpoint whose provider cannot be asked.
    """

    model: Model
    endpoints: tuple[Endpoint, ...]
    ids: tuple[EndpointId, ...]
    slugs: tuple[ProviderSlug, ...]
    offers: tuple[Offer, ...]
    columns: dict[int, Columns]
    verdicts: dict[Preferences, Verdict]
    lineups: dict[Hashable, object]
    askable: list[Askable]
    all: int
    bits: Mapping[EndpointId, int]
    providers: tuple[tuple[ProviderSlug, int], ...]
    hosts: tuple[ProviderSlug, ...]
    installed: list[tuple[Opening, ...] | None]
    names: Mapping[str, int]
    tags: Mapping[str, int]
    parameters: Mapping[str, int]
    universal: frozenset[str]
    uneven: frozenset[str]
    quantizations: Mapping[str, int]
    regions: Mapping[str, int]
    tiers: Mapping[str, int]
    tiered: int
    unpriced: int
    deprecated: int
    keeps_nothing: int
    retains_nothing: int
    never_trains: int
    free: int
    stepped: int
    ladders: Mapping[str, Ladder]
    prompt_characters: Ladder
    completion_tokens: Ladder
    decisive_characters: int
    decisive_tokens: int
    priced: Mapping[str, tuple[str, ...]]
    no_credential: tuple[Removed, ...]

    def named(self, names: Sequence[str]) -> int:
        """The endpoints that any of these names means."""
        return reduce(or_, map(self.names.get, names, _NOBODY), 0)

    def columns_of(self, mask: int) -> Columns:
        """The columns of some endpoints. Filters tend to leave the same ones, so those asked for are kept."""
        found = self.columns.get(mask)
        if found is None:
            if len(self.columns) >= COLUMNS_MAX:
                self.columns.clear()
            found = self.columns[mask] = self._columns_of(mask)
        return found

    def _columns_of(self, mask: int) -> Columns:
        chosen = list(places(mask))
        ids = [self.ids[place] for place in chosen]
        offers = [self.offers[place] for place in chosen]
        return Columns(
            ids=ids,
            slugs=[self.slugs[place] for place in chosen],
            endpoints=[self.endpoints[place] for place in chosen],
            offers=offers,
            rates=[offer.usual[:3] for offer in offers],
            keys=[None] * len(chosen),
            stepped=[count for count, offer in enumerate(offers) if offer.steps],
            at={place: count for count, place in enumerate(chosen)},
            where={endpoint: count for count, endpoint in enumerate(ids)},
        )


def index_of(snapshot: Snapshot, model: ModelId) -> ModelIndex:
    """The model's index, made on first use. The snapshot is immutable, so it never goes stale.

    Raises KeyError for a model that the snapshot does not have.
    """
    found = snapshot.routing.get(model)
    if isinstance(found, ModelIndex):
        return found
    made = _indexed(snapshot.models[model], snapshot)
    snapshot.routing[model] = made
    return made


def places(mask: int) -> Iterator[int]:
    """The places of a set, lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def price_said(name: str, price: int) -> str:
    """A price as people say it: "$3 per million" tokens, or "$0.01" of what else is counted."""
    if name in _BY_TOKEN:
        return f"${price_text(PicoUSD(price * _TOKENS_PER_MILLION))} per million"
    return f"${price_text(PicoUSD(price))}"


def _indexed(model: Model, snapshot: Snapshot) -> ModelIndex:
    endpoints = tuple(sorted(model.endpoints, key=lambda endpoint: endpoint.id))
    offers = tuple(_offer(endpoint) for endpoint in endpoints)

    def those(holds: Callable[[Endpoint], bool]) -> int:
        return sum(1 << place for place, one in enumerate(endpoints) if holds(one))

    def by(words: Callable[[Endpoint], Sequence[str]]) -> dict[str, int]:
        found: defaultdict[str, int] = defaultdict(int)
        for place, endpoint in enumerate(endpoints):
            for word in words(endpoint):
                found[word] |= 1 << place
        return dict(found)

    def policy(endpoint: Endpoint) -> DataPolicy:
        info = snapshot.providers.get(endpoint.provider)
        return _UNKNOWN_POLICY if info is None else info.data_policy

    def names(endpoint: Endpoint) -> Sequence[str]:
        info = snapshot.providers.get(endpoint.provider)
        known = (endpoint.provider.lower(), endpoint.tag.lower())
        return known if info is None else (*known, info.name.lower())

    def parameters(endpoint: Endpoint) -> Sequence[str]:
        known = endpoint.supported_parameters
        return (*known, "max_tokens") if "max_completion_tokens" in known else tuple(known)

    sheets = [endpoint.prices for endpoint in endpoints]
    capped = {name: [price(sheet) or 0 for sheet in sheets] for name, price in _CAPPED.items()}
    characters = [prompt_tokens_max(one) * CHARACTERS_PER_TOKEN_MAX for one in endpoints]
    everyone = (1 << len(endpoints)) - 1
    by_provider = {
        ProviderSlug(slug): mask for slug, mask in by(lambda one: (one.provider,)).items()
    }
    by_parameter = by(parameters)
    written = [one.max_completion_tokens or UNLIMITED for one in endpoints]
    tiers = by(lambda one: () if one.tier is None else (one.tier,))
    steps = [step.min_prompt_tokens for offer in offers for step in offer.steps]
    return ModelIndex(
        model=model,
        endpoints=endpoints,
        ids=tuple(endpoint.id for endpoint in endpoints),
        slugs=tuple(endpoint.provider for endpoint in endpoints),
        offers=offers,
        columns={},
        verdicts={},
        lineups={},
        askable=[],
        all=everyone,
        bits={endpoint.id: 1 << place for place, endpoint in enumerate(endpoints)},
        providers=tuple(by_provider.items()),
        hosts=tuple(by_provider),
        installed=[INSTALLATION] * len(by_provider),
        names=by(names),
        tags=by(lambda one: (one.tag.lower(),)),
        parameters=by_parameter,
        universal=frozenset(name for name, mask in by_parameter.items() if mask == everyone),
        uneven=frozenset(name for name, mask in by_parameter.items() if mask != everyone),
        quantizations=by(lambda one: (one.quantization,)),
        regions=by(lambda one: () if one.data_region is None else (one.data_region,)),
        tiers=tiers,
        tiered=those(lambda one: one.tier is not None),
        unpriced=those(lambda one: one.status is EndpointStatus.UNPRICED),
        deprecated=those(lambda one: one.status is EndpointStatus.DEPRECATED),
        keeps_nothing=those(lambda one: policy(one).keeps_nothing),
        retains_nothing=those(lambda one: policy(one).retains_prompts is False),
        never_trains=those(lambda one: policy(one).trains_on_prompts is False),
        free=those(is_free),
        stepped=sum(1 << place for place, offer in enumerate(offers) if offer.steps),
        ladders={name: Ladder(list(prices)) for name, prices in capped.items()},
        prompt_characters=Ladder(characters),
        completion_tokens=Ladder(written),
        decisive_characters=min(
            [*characters, *(tokens * CHARACTERS_PER_TOKEN for tokens in steps)], default=0
        ),
        decisive_tokens=min(written, default=UNLIMITED),
        priced={
            name: tuple(f"{name} {price_said(name, price)}" for price in prices)
            for name, prices in capped.items()
        },
        no_credential=tuple(
            Removed(
                model.id, one.id, Removal.NO_CREDENTIAL, f"no credential opens {one.provider} here"
            )
            for one in endpoints
        ),
    )


def _offer(endpoint: Endpoint) -> Offer:
    usual = _prices(endpoint.prices)
    steps: list[Step] = []
    sheet: dict[str, PicoUSD] = {}
    # Overrides by the hour are left out: routing knows no clock, and both sides of an hour are planned alike.
    lengths = [
        (override.min_prompt_tokens, override.prices)
        for override in endpoint.prices.overrides
        if override.min_prompt_tokens is not None
        and override.utc_start is None
        and override.weekdays is None
    ]
    for tokens, prices in sorted(lengths, key=lambda one: one[0]):
        sheet |= prices
        steps.append(Step(tokens, _replaced(usual, sheet)))
    return Offer(usual, tuple(steps))


def _prices(sheet: PriceSheet) -> Prices:
    request = sheet.request or 0
    if not sheet.prompt and not sheet.completion:
        request += (
            sheet.image_output or 0
        )  # priced by the image alone, of which a request makes one
    return Prices(
        sheet.prompt,
        sheet.completion,
        PicoUSD(request),
        _saving(sheet.prompt, sheet.input_cache_read),
    )


def _replaced(usual: Prices, new: Mapping[str, PicoUSD]) -> Prices:
    prompt = new.get("prompt", usual.prompt)
    return Prices(
        prompt,
        new.get("completion", usual.completion),
        new.get("request", usual.request),
        _saving(prompt, new.get("input_cache_read", usual.cache_read)),
    )


def _saving(prompt: PicoUSD, cache_read: PicoUSD | None) -> PicoUSD | None:
    return cache_read if cache_read is not None and cache_read < prompt else None


def prompt_tokens_max(endpoint: Endpoint) -> int:
    """The longest prompt that it says it reads."""
    limits = [limit for limit in (endpoint.context_length, endpoint.max_prompt_tokens) if limit]
    return min(limits, default=UNLIMITED)
