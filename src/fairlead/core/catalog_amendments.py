"""What the operator changes of the catalogue while servers run: amendments. Pure.

An endpoint may be switched off or have prices of its own, a model may be hidden. `amended` lays that over a
finished catalogue; what comes out is a snapshot as any other, of a version of its own. Without amendments it is
the catalogue itself.

- What is off or hidden is not in the snapshot: nothing routes to it, and nothing shows it. A model of which no
  endpoint is left is not there either. Only the ids of hidden models are, for what was counted of them.
- Nobody else gets the names of what is gone: a call that meant it is refused, never served by another model.
- Service tiers and models that preset an effort follow the endpoint that they are made of.
- A price of one's own is the whole agreement: with it, conditions and tiers of the list price end.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint, EndpointStatus, Model, ModelKind, Snapshot
from fairlead.core.catalog_assembly import assembled
from fairlead.core.catalog_data import cheapest_first, is_of_a_preset, with_presets
from fairlead.core.ids import EndpointId, ModelId
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PRICE_NAMES, price_version
from fairlead.core.service_tiers import without_tiers

__all__ = [
    "AS_LISTED",
    "NO_AMENDMENTS",
    "Amendments",
    "EndpointAmendment",
    "amendable",
    "amended",
    "amended_endpoint",
    "price_problems",
    "with_prices",
]

# Far above any list price: guards against a slipped point.
TOKEN_PRICE_MAX: Final = PicoUSD(10**10)  # $10,000 for a million
UNIT_PRICE_MAX: Final = PicoUSD(10**14)  # $100
_UNITS: Final = frozenset({"request", "web_search", "image_output", "audio_second"})


class EndpointAmendment(msgspec.Struct, frozen=True):
    """prices: picodollars by the sheet's names; those that are not named are the catalogue's."""

    is_off: bool = False
    prices: dict[str, PicoUSD] = {}


class Amendments(msgspec.Struct, frozen=True):
    """All that is in force. What they name need not be there: an engine may be off today."""

    endpoints: dict[EndpointId, EndpointAmendment] = {}
    hidden: frozenset[ModelId] = frozenset()


AS_LISTED: Final = EndpointAmendment()
NO_AMENDMENTS: Final = Amendments()


def amended(catalogue: Snapshot, amendments: Amendments) -> Snapshot:
    """The catalogue as the operator wants it. catalogue: without amendments."""
    there = {one.id for model in catalogue.models.values() for one in amendable(model)}
    endpoints = {one: what for one, what in amendments.endpoints.items() if one in there}
    hidden = amendments.hidden
    if not endpoints and not hidden:
        return catalogue
    changed = {
        slug: _amended_model(model, endpoints)
        for slug, model in without_tiers(catalogue.models).items()
    }
    models = {
        slug: model
        for slug, model in with_presets(changed).items()
        if slug not in hidden and model.endpoints
    }
    content = msgspec.json.encode((endpoints, sorted(hidden)), order="sorted")
    return assembled(
        version=f"{catalogue.version}+{blake2b(content, digest_size=6).hexdigest()}",
        as_of=catalogue.as_of,
        models=models,
        providers=catalogue.providers,
        records=catalogue.records,
        names={name: model for name, model in catalogue.names.items() if model in models},
        hidden=hidden,
    )


def amendable(model: Model) -> tuple[Endpoint, ...]:
    """The endpoints that may be amended; all others follow one of them."""
    return tuple(one for one in model.usual_endpoints if not is_of_a_preset(model, one))


def amended_endpoint(endpoint: Endpoint, kind: ModelKind, amendment: EndpointAmendment) -> Endpoint:
    """With its own prices, if it has any. kind: of its model."""
    # A newer version of the program may know prices that this one does not.
    prices = {name: price for name, price in amendment.prices.items() if name in PRICE_NAMES}
    if not prices or _lacking(endpoint, kind, prices):
        return endpoint
    return with_prices(endpoint, prices)


def with_prices(endpoint: Endpoint, prices: Mapping[str, PicoUSD]) -> Endpoint:
    """The endpoint at prices that replace those of the list: an agreement of one's own.

    Conditions and tiers of the list price end with it. One without a price now has one.
    """
    sheet = msgspec.structs.replace(endpoint.prices, overrides=(), **prices)
    unpriced = endpoint.status is EndpointStatus.UNPRICED
    return msgspec.structs.replace(
        endpoint,
        prices=sheet,
        price_version=price_version(sheet),
        status=EndpointStatus.ACTIVE if unpriced else endpoint.status,
        service_tiers=(),
    )


def price_problems(
    endpoint: Endpoint, kind: ModelKind, prices: Mapping[str, PicoUSD]
) -> dict[str, str]:
    """What is wrong with these as the endpoint's own prices, by their names; nothing, if they can be used."""
    problems = dict.fromkeys(
        _lacking(endpoint, kind, prices) if prices else (),
        "The catalogue has no price here, so this must be said; 0 means free.",
    )
    for name, price in prices.items():
        if name not in PRICE_NAMES:
            problems[name] = "There is no such price."
        elif price < 0:
            problems[name] = "A price is not less than nothing."
        elif name in _UNITS and price > UNIT_PRICE_MAX:
            problems[name] = "At most $100 each."
        elif name not in _UNITS and price > TOKEN_PRICE_MAX:
            problems[name] = "At most $10,000 for a million."
    return problems


def _lacking(endpoint: Endpoint, kind: ModelKind, prices: Mapping[str, PicoUSD]) -> tuple[str, ...]:
    """Prices without which calls would be given away: the catalogue has none, and nor do these."""
    if endpoint.status is not EndpointStatus.UNPRICED or kind is not ModelKind.CHAT:
        return ()
    return tuple(name for name in ("prompt", "completion") if name not in prices)


def _amended_model(model: Model, amendments: Mapping[EndpointId, EndpointAmendment]) -> Model:
    if not any(one.id in amendments for one in model.endpoints):
        return model
    kept = [
        amended_endpoint(one, model.kind, amendments.get(one.id, AS_LISTED))
        for one in model.endpoints
        if not amendments.get(one.id, AS_LISTED).is_off
    ]
    return msgspec.structs.replace(model, endpoints=cheapest_first(kept))
