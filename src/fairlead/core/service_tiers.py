"""Service tiers: the same model at the same provider, sooner for more or later for less. Pure.

A tier that the catalogue has prices for is an endpoint of its own, `openai/priority` beside `openai`: it is
chosen like any other, and its choice alone decides what the provider is asked for. What a caller wrote in
`service_tier` has been read by then, so it is not passed on: at a usual endpoint it would make the provider
bill a tier that nobody chose. A call costs what the tier costs that the provider says it served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint, EndpointStatus, Model
from fairlead.core.ids import EndpointId, ModelId
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceOverride, PriceSheet, price_version

__all__ = ["TIERS", "asked_tier", "prices_served", "tier_sheet", "with_tiers", "without_tiers"]

# Those that one call can be served in; `batch` is a way of its own to hand calls in.
TIERS: Final = frozenset({"priority", "flex"})
# Callers' words that choose a tier. All others (`auto`, `default`, `scale`, a provider's own) are passed on.
_CHOOSING: Final = TIERS | {"fast"}
# Providers' words for having served no tier.
_USUAL: Final = frozenset({"default", "standard", "on_demand"})
_UNPRICED: Final = EndpointStatus.UNPRICED


def asked_tier(wanted: str | None, endpoint: Endpoint) -> str | None:
    """What to ask the endpoint's provider for, in our words. wanted: what the caller wrote."""
    if endpoint.tier is not None:
        return endpoint.tier
    return None if wanted in _CHOOSING else wanted


def prices_served(endpoint: Endpoint, served: str | None) -> tuple[PriceSheet, str]:
    """The sheet that a call costs, and its version, now that the provider said which tier it served.

    served: in our words; None, or a word that says nothing, leaves the endpoint's own prices.
    """
    usual = endpoint.prices if endpoint.default_prices is None else endpoint.default_prices
    if endpoint.tier is not None and served in _USUAL:
        return usual, price_version(usual)
    if served in TIERS and served != endpoint.tier:
        for tier in endpoint.service_tiers:
            if tier.tier == served:
                sheet = tier_sheet(usual, tier.prices)
                return sheet, price_version(sheet)
    return endpoint.prices, endpoint.price_version


def tier_sheet(usual: PriceSheet, prices: Mapping[str, PicoUSD]) -> PriceSheet:
    """The prices of a tier. prices: those that it has of its own; the others stay.

    Conditions stay too: a long prompt that doubles the usual price doubles the tier's. No list of prices says
    so in words, but where both are listed it is how they relate.
    """
    overrides = tuple(
        PriceOverride(
            prices={
                name: _in_proportion(price, prices.get(name), getattr(usual, name))
                for name, price in override.prices.items()
            },
            min_prompt_tokens=override.min_prompt_tokens,
            utc_start=override.utc_start,
            utc_end=override.utc_end,
            weekdays=override.weekdays,
        )
        for override in usual.overrides
    )
    return msgspec.structs.replace(usual, overrides=overrides, **prices)


def _in_proportion(price: PicoUSD, tier: PicoUSD | None, usual: PicoUSD | None) -> PicoUSD:
    """price x tier / usual, rounded up; the price itself where there is nothing to compare."""
    if tier is None or not usual:
        return price
    return PicoUSD(-(-price * tier // usual))


def with_tiers(models: Mapping[ModelId, Model]) -> dict[ModelId, Model]:
    """Each model with an endpoint for every tier of every endpoint, after all the others.

    The models have none yet. Equal sheets become one object.
    """
    sheets: dict[str, PriceSheet] = {}
    return {slug: _with_tiers(model, sheets) for slug, model in models.items()}


def without_tiers(models: Mapping[ModelId, Model]) -> dict[ModelId, Model]:
    """As they were before `with_tiers`."""
    return {slug: _without_tiers(model) for slug, model in models.items()}


def _with_tiers(model: Model, sheets: dict[str, PriceSheet]) -> Model:
    added = [tier for one in model.endpoints for tier in _tier_endpoints(one, sheets)]
    if not added:
        return model
    return msgspec.structs.replace(model, endpoints=(*model.endpoints, *added))


def _without_tiers(model: Model) -> Model:
    usual = tuple(one for one in model.endpoints if one.tier is None)
    if len(usual) == len(model.endpoints):
        return model
    return msgspec.structs.replace(model, endpoints=usual)


def _tier_endpoints(endpoint: Endpoint, sheets: dict[str, PriceSheet]) -> Iterable[Endpoint]:
    if endpoint.status is _UNPRICED:
        return
    for tier in endpoint.service_tiers:
        if tier.tier in TIERS:
            sheet = tier_sheet(endpoint.prices, tier.prices)
            version = price_version(sheet)
            tag = f"{endpoint.tag}/{tier.tier}"
            yield msgspec.structs.replace(
                endpoint,
                id=EndpointId(tag + endpoint.id.removeprefix(endpoint.tag)),
                tag=tag,
                prices=sheets.setdefault(version, sheet),
                price_version=version,
                tier=tier.tier,
                default_prices=endpoint.prices,
            )
