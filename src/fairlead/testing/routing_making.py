"""A world from a seed: a thousand endpoints of fifty models, and what troubles them during the day.

Prices of one model differ by a fifth or so, as between providers of open weights. Besides the deaths that
are watched, endpoints are slow, limited, dead or flapping for a while, more of them where traffic is dense;
providers go down as a whole; and with some watched deaths almost all of the model's endpoints die at once.
"""

from __future__ import annotations

from math import exp
from random import Random  # noqa: TID251 - only for its type: callers bring a seeded one
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint, Model
from fairlead.core.ids import ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceSheet
from fairlead.core.routing.types import INSTALLATION
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.routing_callers import traffic
from fairlead.testing.routing_world import (
    DAY_S,
    DEADLY,
    MIDNIGHT_S,
    SHORT_DEATH_S,
    Death,
    Offer,
    Spell,
    Trouble,
    World,
)

__all__ = ["a_world"]

MODELS: Final = 50
ENDPOINTS: Final = 1000
PROVIDERS: Final = 60
ENDPOINTS_OF_A_MODEL_MIN: Final = 4
ENDPOINTS_OF_A_MODEL_MAX: Final = 45
DEATHS: Final = 6  # that are watched
CALAMITIES: Final = 1  # of these, with which almost all of a model's endpoints die
NEIGHBOURS_IN_TROUBLE: Final = 0.3  # of the model's others, while traffic is dense
_AT_ONCE: Final = [trouble for trouble in DEADLY if trouble is not Trouble.HANGING]


def a_world(seed: int, random: Random) -> World:
    """random: seeded with `seed`, and used for nothing else."""
    offers: list[Offer] = []
    models: list[tuple[int, ...]] = []
    built: list[Model] = []
    slugs = [f"provider-{number:02}" for number in range(PROVIDERS)]
    for number, size in enumerate(_sizes(random)):
        mine = [
            _an_offer(random, f"acme/model-{number:02}", slug, base)
            for base in [10 ** random.uniform(-7.3, -5)]
            for slug in random.sample(slugs, size)
        ]
        mine.sort(key=lambda offer: _blend(offer.endpoint))
        models.append(tuple(range(len(offers), len(offers) + size)))
        offers += mine
        endpoints = [offer.endpoint for offer in mine]
        built.append(a_model(*endpoints, slug=f"acme/model-{number:02}"))
    deaths = _some_deaths(random, models)
    _make_trouble(random, offers, models, deaths)
    world = World(
        seed=seed,
        snapshot=a_snapshot(*built, providers=tuple(a_provider(slug) for slug in slugs)),
        access={ProviderSlug(slug): INSTALLATION for slug in slugs},
        offers=offers,
        places={offer.endpoint.id: place for place, offer in enumerate(offers)},
        models=models,
        calls=[],
        deaths=deaths,
    )
    world.calls = traffic(random, world)
    return world


def _sizes(random: Random) -> list[int]:
    """How many endpoints each model has; ENDPOINTS together."""
    sizes = [ENDPOINTS_OF_A_MODEL_MIN] * MODELS
    weights = [random.paretovariate(1.2) for _ in sizes]
    left = ENDPOINTS - sum(sizes)
    while left:
        (grown,) = random.choices(range(MODELS), weights)
        if sizes[grown] < ENDPOINTS_OF_A_MODEL_MAX:
            sizes[grown] += 1
            left -= 1
    return sizes


def _an_offer(random: Random, model: str, slug: str, base: float) -> Offer:
    """base: dollars per prompt token that the model costs, more or less."""
    prompt = round(base * exp(random.gauss(0, 0.2)) * 1e12)
    completion = round(prompt * 4 * exp(random.gauss(0, 0.05)))
    caches = random.random() < 0.7
    sheet = PriceSheet(
        prompt=PicoUSD(prompt),
        completion=PicoUSD(completion),
        input_cache_read=PicoUSD(prompt // random.choice((2, 4, 10))) if caches else None,
        input_cache_write=PicoUSD(prompt * 5 // 4) if caches and random.random() < 0.3 else None,
    )
    parameters = frozenset({"max_tokens", "temperature", "tools", "tool_choice"})
    if random.random() < 0.2:
        parameters -= {"tools", "tool_choice"}
    endpoint = msgspec.structs.replace(
        an_endpoint(slug, model=model, supported=parameters), prices=sheet
    )
    return Offer(endpoint, exp(random.gauss(-0.5, 0.5)), exp(random.gauss(4.2, 0.4)), [], [])


def _blend(endpoint: Endpoint) -> int:
    return endpoint.prices.prompt + endpoint.prices.completion


# --- troubles -----------------------------------------------------------------------------------------


def _some_deaths(random: Random, models: list[tuple[int, ...]]) -> list[Death]:
    """Those that are watched: of endpoints cheap enough to be used, far enough apart to be told apart."""
    deaths = []
    gap_s = DAY_S / DEATHS
    for number, model in enumerate(random.sample(range(len(models)), DEATHS)):
        start_s = MIDNIGHT_S + number * gap_s + random.uniform(600, gap_s / 3)
        is_long = random.random() < 0.4
        lasts_s = random.uniform(900, 5400) if is_long else random.uniform(80, SHORT_DEATH_S)
        place = models[model][random.choice((0, 0, 1))]
        deaths.append(Death(place, model, random.choice(DEADLY), start_s, start_s + lasts_s))
    return deaths


def _make_trouble(
    random: Random, offers: list[Offer], models: list[tuple[int, ...]], deaths: list[Death]
) -> None:
    quiet: dict[int, list[tuple[float, float]]] = {}
    for death in deaths:
        # Whoever is watched has no other trouble just then; the others have.
        around = (death.start_s - 600, death.end_s + 600)
        quiet.setdefault(death.place, []).append(around)
        offers[death.place].spells.append(Spell(death.start_s, death.end_s, death.trouble))
    nearby = _trouble_around(random, models, deaths)
    outages = [
        (ProviderSlug(f"provider-{random.randrange(PROVIDERS):02}"), _a_start(random))
        for _ in range(6)
    ]
    for place, offer in enumerate(offers):
        wanted = [
            Spell(start_s, start_s + 1200, Trouble.REFUSING)
            for slug, start_s in outages
            if slug == offer.endpoint.provider
        ]
        wanted += nearby.get(place, [])
        for _ in range(random.choice((0, 0, 0, 1, 1, 2))):
            wanted += _some_spells(random, _a_start(random))
        for spell in wanted:
            if not any(
                spell.start_s < end_s and start_s < spell.end_s
                for start_s, end_s in quiet.get(place, ())
            ):
                offer.spells.append(spell)
        offer.spells = _apart(offer.spells)
        offer.starts_s = [spell.start_s for spell in offer.spells]


def _trouble_around(
    random: Random, models: list[tuple[int, ...]], deaths: list[Death]
) -> dict[int, list[Spell]]:
    """What happens to a model's other endpoints while traffic is dense: to some, or to all but one."""
    around: dict[int, list[Spell]] = {}
    for number, death in enumerate(deaths):
        others = [place for place in models[death.model] if place != death.place]
        if number < CALAMITIES:
            others.remove(random.choice(others))
            for place in others:
                trouble = random.choice(_AT_ONCE)
                start_s = death.start_s + random.uniform(-1, 1)
                around[place] = [Spell(start_s, start_s + random.uniform(10, 60), trouble)]
            continue
        for place in others:
            if random.random() < NEIGHBOURS_IN_TROUBLE:
                start_s = random.choice((death.start_s - 30, death.end_s - 30))
                around[place] = _some_spells(random, start_s + random.uniform(0, 60))
    return around


def _a_start(random: Random) -> float:
    return MIDNIGHT_S + random.uniform(0, DAY_S)


def _some_spells(random: Random, start_s: float) -> list[Spell]:
    kind = random.choices(("slow", "limited", "dead", "flapping"), (4, 3, 3, 2))[0]
    if kind == "slow":
        lasts_s, slowness = random.uniform(120, 7200), random.uniform(2, 20)
        return [Spell(start_s, start_s + lasts_s, Trouble.SLOW, slowness)]
    if kind == "limited":
        lasts_s = random.choice((5, 20, 60, 600))
        hint_s = random.choice((None, 1.0, 10.0, 30.0))
        return [Spell(start_s, start_s + lasts_s, Trouble.LIMITED, hint_s=hint_s)]
    if kind == "dead":
        lasts_s = random.uniform(30, 10_800)
        return [Spell(start_s, start_s + lasts_s, random.choice(DEADLY))]
    spells = []
    until_s = start_s + random.uniform(300, 1800)
    while start_s < until_s:
        down_s = random.uniform(3, 40)
        spells.append(Spell(start_s, start_s + down_s, Trouble.FAILING))
        start_s += down_s + random.uniform(5, 60)
    return spells


def _apart(spells: list[Spell]) -> list[Spell]:
    """In order; of two that overlap, the one that began first."""
    kept: list[Spell] = []
    for spell in sorted(spells, key=lambda one: one.start_s):
        if not kept or kept[-1].end_s <= spell.start_s:
            kept.append(spell)
    return kept
