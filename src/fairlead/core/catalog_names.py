"""Which names a model answers to. Pure.

People write `openai/o1`, `o1`, `o1-2024-12-17` or `openai/o1-2024-12-17`, in any case, and mean one
model. Names are handed out in ranks: a lower rank never takes a name that a higher one gave, and within a
rank a name that two models claim belongs to neither, because guessing would bill the wrong model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from fairlead.core.catalog import Model, ProviderInfo
from fairlead.core.ids import ModelId, ProviderSlug

__all__ = ["accepted_names"]

# Its customers write its own names of models; where these are unambiguous they work here too.
_NAMES_TAKEN_OVER: Final = ProviderSlug("aimlapi")


def accepted_names(
    models: Mapping[ModelId, Model], providers: Mapping[ProviderSlug, ProviderInfo]
) -> dict[str, ModelId]:
    """Every accepted name, in lower case, to the id of its model."""
    names: dict[str, ModelId] = {}
    for rank in _ranks(models.values(), providers):
        claims: dict[str, ModelId | None] = {}
        for claimed, model in rank:
            name = claimed.lower()
            claims[name] = model if claims.get(name, model) == model else None
        for name, owner in claims.items():
            if owner is not None:
                names.setdefault(name, owner)
    return names


def _ranks(
    models: Iterable[Model], providers: Mapping[ProviderSlug, ProviderInfo]
) -> Iterator[Iterable[tuple[str, ModelId]]]:
    models = tuple(models)
    author_of = {
        provider.slug: provider.authors for provider in providers.values() if provider.authors
    }
    labs = {
        author
        for provider in providers.values()
        if provider.kind != "sandbox"  # a real model of that name goes first
        for author in provider.authors
    }

    yield ((model.id, model.id) for model in models)
    yield ((model.canonical_slug, model.id) for model in models)
    # Bare slugs: those of authors who serve their own models first, then all others.
    yield ((_bare(model.id), model.id) for model in models if model.author in labs)
    yield ((_bare(model.id), model.id) for model in models if model.author not in labs)
    yield ((_bare(model.canonical_slug), model.id) for model in models)
    # What the author's own API calls it, bare and with the author before it.
    own = [
        (model, endpoint.provider_model_id)
        for model in models
        if model.preset_effort is None
        for endpoint in model.endpoints
        if model.author in author_of.get(endpoint.provider, ())
    ]
    yield ((name, model.id) for model, name in own)
    yield ((f"{model.author}/{name}", model.id) for model, name in own)
    yield (
        (endpoint.provider_model_id, model.id)
        for model in models
        if model.preset_effort is None
        for endpoint in model.endpoints
        if endpoint.provider == _NAMES_TAKEN_OVER
    )
    yield ((model.hugging_face_id, model.id) for model in models if model.hugging_face_id)


def _bare(slug: str) -> str:
    return slug.partition("/")[2]
