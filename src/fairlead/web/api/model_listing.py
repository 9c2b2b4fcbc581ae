"""Everything that has a place in the list of models: models, routers, and the newest of each family. Pure.

A router is a model without endpoints: its price is that of the model it chooses, which is shown as -1. A latest
alias has the price and the limits of the model that it means today, and says which that is.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from fairlead.core.catalog import EndpointStatus, Family, Model, Snapshot, UnknownModel
from fairlead.core.catalog_families import LATEST_MARK
from fairlead.core.ids import ModelId
from fairlead.core.pricing import PriceSheet
from fairlead.core.routing.routers import FREE, ROUTER_MODELS, ROUTERS
from fairlead.web.api.model_shapes import Json, model_object

__all__ = ["find", "listed", "prices_of", "shown"]

_UNKNOWN_PRICE: Final = "-1"
_LETTERS: Final = re.compile("[A-Za-z]+")


def listed(snapshot: Snapshot) -> list[Model]:
    """All that can be called, in the default order: newest first; those of unknown age last."""
    models = [
        model
        for model in snapshot.models.values()
        if model.endpoints and model.endpoints[0].status is not EndpointStatus.UNPRICED
    ]
    models += ROUTER_MODELS.values()
    models += [_alias(one, snapshot) for one in snapshot.families.values() if one.is_listed]
    return sorted(models, key=lambda model: (-model.created, model.id))


def find(snapshot: Snapshot, name: str) -> Model | UnknownModel:
    """By any accepted name; a variant's suffix is the same model."""
    base = name.lower().partition(":")[0]
    if base in ROUTERS:
        return ROUTER_MODELS[ROUTERS[base]]
    if base in snapshot.families:
        return _alias(snapshot.families[base], snapshot)
    found = snapshot.resolve(name)
    return found if isinstance(found, UnknownModel) else found.model


def prices_of(model: Model) -> PriceSheet | None:
    """Those of the endpoint that is asked first; None of a router that costs what its choice costs."""
    if model.endpoints:
        return model.endpoints[0].prices
    return _NOTHING if model.id == FREE else None


_NOTHING: Final = PriceSheet()


def shown(model: Model, snapshot: Snapshot) -> Json:
    """One entry of the list, of any kind."""
    if prices_of(model) is None:
        unknown = {"prompt": _UNKNOWN_PRICE, "completion": _UNKNOWN_PRICE}
        return model_object(model) | {"pricing": unknown}
    family = snapshot.families.get(model.id)
    if family is None:
        return model_object(model)
    target = snapshot.models[family.newest]
    return model_object(model) | {"alias_target": {"slug": target.id, "name": target.name}}


def _alias(family: Family, snapshot: Snapshot) -> Model:
    """As the model that it means, under its own name."""
    target = snapshot.models[family.newest]
    maker = target.name.partition(":")[0]
    slug = family.alias.partition("/")[2].removesuffix(LATEST_MARK)
    # As the model and its maker write themselves: "GPT", "DeepSeek".
    written = {word.lower(): word for word in _LETTERS.findall(f"{target.short_name} {maker}")}
    words = " ".join(written.get(word, word.title()) for word in slug.split("-"))
    return msgspec.structs.replace(
        target,
        id=ModelId(family.alias),
        canonical_slug=family.alias,
        name=f"{maker}: {words} (latest)",
        short_name=f"{words} (latest)",
    )
