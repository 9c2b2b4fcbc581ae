"""Who calls when, and what they wish: the traffic of a simulated day."""

from __future__ import annotations

from collections.abc import Iterable
from math import exp
from random import Random  # noqa: TID251 - only for its type: callers bring a seeded one
from typing import Final

from fairlead.core.capability import Capability
from fairlead.core.ids import ModelId
from fairlead.core.routing.preferences import Bounds, MaxPrice, Preferences, Sort
from fairlead.core.routing.types import Target, Traits
from fairlead.testing.routing_world import (
    AFTER_RECOVERY_S,
    BEFORE_DEATH_S,
    DAY_S,
    MIDNIGHT_S,
    Call,
    Wishes,
    World,
)

__all__ = ["traffic"]

THIN_CALLS: Final = 1000
DENSE_PER_S: Final = 6.0  # calls to a model around a watched death
SESSIONS: Final = 50
BAD_SHARE: Final = 0.004  # of calls


def traffic(random: Random, world: World) -> list[Call]:
    kinds = [_kinds_of_wishes(random, world, model) for model in range(len(world.models))]
    weights = [weight for weight, _ in kinds[0]]
    popularity = [random.paretovariate(1.0) for _ in world.models]
    # When, to which model, in which session (-1: none).
    moments = [
        (MIDNIGHT_S + random.uniform(0, DAY_S), model, -1)
        for model in random.choices(range(len(world.models)), popularity, k=THIN_CALLS)
    ]
    for session in range(SESSIONS):
        at_s = MIDNIGHT_S + random.uniform(0, DAY_S)
        model = random.randrange(len(world.models))
        for _ in range(random.randint(2, 10)):
            moments.append((at_s, model, session))
            at_s += random.expovariate(1 / 90)
    for death in world.deaths:
        at_s = death.start_s - BEFORE_DEATH_S
        until_s = death.end_s + AFTER_RECOVERY_S
        while (at_s := at_s + random.expovariate(DENSE_PER_S)) < until_s:
            if not death.is_dense_at(at_s):
                at_s = death.end_s - BEFORE_DEATH_S
            moments.append((at_s, death.model, -1))
    moments.sort(key=lambda moment: moment[0])
    turns: dict[int, int] = {}
    calls = []
    for number, (at_s, model, session) in enumerate(moments):
        prompt_tokens = min(60_000, int(exp(random.gauss(6.5, 1.0))) + 10)
        if session < 0:
            wishes = random.choices(kinds[model], weights)[0][1]
        else:
            wishes = kinds[model][0][1]
            prompt_tokens = turns[session] = turns.get(session, 3000) + 400
        traits = Traits(
            Capability.CHAT,
            prompt_tokens=prompt_tokens,
            completion_tokens=500,
            characters=prompt_tokens * 4,
            parameters=wishes.parameters,
        )
        calls.append(
            Call(
                number=number,
                at_s=at_s,
                model=model,
                wishes=wishes,
                traits=traits,
                prompt_tokens=prompt_tokens,
                completion_tokens=min(4000, int(exp(random.gauss(5.5, 0.8))) + 1),
                luck=random.gauss(0, 1),
                is_bad=random.random() < BAD_SHARE,
                session=session if session >= 0 else None,
            )
        )
    return calls


def _kinds_of_wishes(random: Random, world: World, model: int) -> list[tuple[int, Wishes]]:
    """What callers of this model wish, with how often; the kinds are the same for every model."""
    mine = world.models[model]
    offers = world.offers
    other = (model + random.randrange(1, len(world.models))) % len(world.models)
    targets = (_target(model),)
    median = offers[mine[len(mine) // 2]].endpoint.prices
    some = random.sample(mine, min(len(mine), random.randint(2, 5)))
    few = random.sample(mine, min(len(mine) - 1, random.randint(1, 3)))
    with_tools = tuple(
        place for place in mine if "tools" in offers[place].endpoint.supported_parameters
    )

    def names(places: list[int]) -> tuple[str, ...]:
        return tuple(offers[place].endpoint.provider for place in places)

    def wishes(
        name: str,
        preferences: Preferences,
        permitted: Iterable[int] = mine,
        parameters: tuple[str, ...] = ("max_tokens",),
        **facts: bool,
    ) -> Wishes:
        return Wishes(name, preferences, targets, parameters, frozenset(permitted), **facts)

    cheap = [place for place in mine if offers[place].endpoint.prices.prompt <= median.prompt]
    unignored = [place for place in mine if place not in few]
    fast = Preferences(
        preferred_max_latency=Bounds(p50=1.0, p90=3.0), preferred_min_throughput=Bounds(p50=40.0)
    )
    both = Wishes(
        "models",
        Preferences(),
        (*targets, _target(other)),
        ("max_tokens",),
        frozenset(mine + world.models[other]),
    )
    tools = ("max_tokens", "tool_choice", "tools")
    below_median = Preferences(max_price=MaxPrice(prompt=median.prompt))
    return [
        (40, wishes("default", Preferences())),
        (22, wishes("sort price", Preferences(sort=Sort.PRICE), is_price_sorted=True)),
        (4, wishes("sort throughput", Preferences(sort=Sort.THROUGHPUT))),
        (4, wishes("sort latency", Preferences(sort=Sort.LATENCY))),
        (3, wishes("order", Preferences(order=names(few)), is_bound=True)),
        (4, wishes("only", Preferences(only=names(some)), some, is_bound=True)),
        (4, wishes("ignore", Preferences(ignore=names(few)), unignored)),
        (7, wishes("tools", Preferences(), with_tools or mine, parameters=tools)),
        (4, wishes("thresholds", fast)),
        (4, wishes("max price", below_median, cheap)),
        (3, both),
        (1, wishes("no fallbacks", Preferences(allow_fallbacks=False), has_fallbacks=False)),
    ]


def _target(model: int) -> Target:
    return Target(ModelId(f"acme/model-{model:02}"))
