"""Routing decisions for tests: arbitrary ones, every field at its extremes."""

from __future__ import annotations

import random  # noqa: TID251 - only for its type: callers bring a seeded one
from collections.abc import Callable
from typing import TypeVar

from fairlead.core.capability import Capability
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.decision import Chosen, Decision
from fairlead.core.routing.facts import Facts, Percentiles, Standing
from fairlead.core.routing.preferences import (
    Bounds,
    Hedge,
    MaxPrice,
    Partition,
    Preferences,
    Sort,
)
from fairlead.core.routing.types import (
    Opening,
    Question,
    Removal,
    Removed,
    Target,
    Traits,
    Warm,
    Why,
)

__all__ = ["arbitrary_decision"]

_Value = TypeVar("_Value")

BIGINT_MAX = 2**63 - 1
SEED_MAX = 2**53 - 1


def arbitrary_decision(source: random.Random) -> Decision:
    """Any that the types allow; most could never have been made."""

    def text() -> str:
        return "".join(chr(source.choice((32, 65, 233, 0x4E2D, 0x1F600))) for _ in range(3))

    def maybe(value: _Value) -> _Value | None:
        return value if source.random() < 0.5 else None

    def flag() -> bool:
        return source.random() < 0.5

    def number() -> int:
        return source.choice((0, 1, 4096, BIGINT_MAX))

    def fraction() -> float:
        return source.choice((0.0, 0.1, 1 / 3, 12.5, 1e-9, 1e300, source.random()))

    def some(make: Callable[[], _Value]) -> tuple[_Value, ...]:
        return tuple(make() for _ in range(source.choice((0, 1, 3))))

    def percentiles() -> Percentiles:
        return Percentiles(fraction(), fraction(), fraction(), fraction())

    def bounds() -> Bounds:
        return Bounds(maybe(fraction()), maybe(fraction()), maybe(fraction()), maybe(fraction()))

    def price() -> PicoUSD:
        return PicoUSD(number())

    def endpoint() -> EndpointId:
        return EndpointId(f"{text()}:{text()}")

    def opening() -> Opening:
        return Opening(maybe(text()), maybe("eu"), flag(), flag(), maybe(some(text)))

    def facts() -> Facts:
        return Facts(
            source.choice(list(Standing)),
            flag(),
            maybe(percentiles()),
            maybe(percentiles()),
            number(),
            number(),
            number(),
        )

    def traits() -> Traits:
        return Traits(
            source.choice(list(Capability)),
            number(),
            number(),
            number(),
            maybe(number()),
            flag(),
            some(text),
            some(text),
            maybe(text()),
        )

    def preferences() -> Preferences:
        return Preferences(
            order=some(text),
            only=maybe(some(text)),
            ignore=some(text),
            allow_fallbacks=flag(),
            require_parameters=flag(),
            no_training=flag(),
            zdr=flag(),
            enforce_distillable_text=flag(),
            quantizations=some(text),
            sort=maybe(source.choice(list(Sort))),
            partition=source.choice(list(Partition)),
            max_price=maybe(MaxPrice(maybe(price()), maybe(price()), maybe(price()))),
            preferred_min_throughput=maybe(bounds()),
            preferred_max_latency=maybe(bounds()),
            hedge=maybe(Hedge(maybe(fraction()))),
            continue_streams=flag(),
            region=maybe("us"),
            allowed_providers=maybe(some(text)),
            ignored_providers=some(text),
            allowed_models=maybe(some(text)),
            ignored_models=some(text),
            zdr_authors=some(text),
            no_paid_training=flag(),
            no_free_training=flag(),
            no_free_publication=flag(),
            default_sort=maybe(source.choice(list(Sort))),
        )

    return Decision(
        question=Question(
            targets=(Target(ModelId(text()), some(text)), *some(lambda: Target(ModelId(text())))),
            traits=traits(),
            warm=maybe(Warm(endpoint(), number())),
        ),
        preferences=preferences(),
        access=some(lambda: (ProviderSlug(text()), some(opening))),
        facts=some(lambda: (endpoint(), facts())),
        seed=source.choice((0, 1, SEED_MAX)),
        choices=some(lambda: Chosen(endpoint(), maybe(text()), price(), source.choice(list(Why)))),
        removed=some(
            lambda: Removed(
                ModelId(text()),
                endpoint(),
                source.choice(list(Removal)),
                source.choice(("", text())),
            )
        ),
        version=source.choice((1, 2)),
        strategy=source.choice(("direct", "auto")),
    )
