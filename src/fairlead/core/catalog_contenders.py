"""Chat models as routers compare them: what they can, what they cost, how good they are. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from fairlead.core.catalog import (
    Contender,
    Endpoint,
    EndpointStatus,
    Model,
    ModelKind,
    ProviderInfo,
)
from fairlead.core.catalog_quality import Record
from fairlead.core.ids import ModelId, ProviderSlug

__all__ = ["contenders_of", "is_free", "is_specialist"]

# A model of which little is known counts as its price and age let one expect, as strongly as this many
# comparisons with others.
_EXPECTATION_WEIGHT: Final = 10
_EXPECTED_WORST: Final = 0.15
_EXPECTED_BEST: Final = 0.65
_PROMPT_SHARE: Final = 3  # prompt tokens for each completion token, in the price that is compared
# Words in a slug of models that are made for one job, and useless or dear for all others.
_SPECIALISTS: Final = frozenset(
    {
        "guard", "safeguard", "safety", "moderation", "shield", "ocr", "translate", "mt", "tts", "audio",
        "voxtral", "search", "research", "apply", "morph", "rp", "her", "base", "math", "omni", "customtools",
    }
)  # fmt: skip


def contenders_of(
    models: Iterable[Model],
    providers: Mapping[ProviderSlug, ProviderInfo],
    records: Mapping[ModelId, Record],
) -> tuple[Contender, ...]:
    """Every chat model that can be called and is not about to go, cheapest first."""
    chosen = [(model, offers) for model in models if (offers := _offers(model))]
    prices = {model.id: min(map(_price, offers)) for model, offers in chosen}
    ascending = sorted(prices.values())
    ages = sorted(model.created for model, _ in chosen)
    sandboxes = {slug for slug, one in providers.items() if one.kind == "sandbox"}
    found = []
    for model, offers in chosen:
        expected = (_rank(ascending, prices[model.id]) + _rank(ages, model.created)) / 2
        abilities = frozenset().union(*(one.supported_parameters for one in offers))
        slugs = frozenset(one.provider for one in offers)
        found.append(
            Contender(
                model=model.id,
                price=prices[model.id],
                quality=_quality(records.get(model.id), expected),
                abilities=abilities | {f"in:{one}" for one in model.input_modalities},
                context_length=max(one.context_length for one in offers),
                max_completion_tokens=_longest_answer(offers),
                providers=slugs,
                free_at=frozenset(one.provider for one in offers if is_free(one)),
                is_sandbox=slugs <= sandboxes,
            )
        )
    return tuple(sorted(found, key=lambda one: (one.price, one.model)))


def is_free(endpoint: Endpoint) -> bool:
    """Whether nothing is charged there for what is asked and answered, in whatever it is sold."""
    prices = endpoint.prices
    return not (
        prices.prompt
        or prices.completion
        or prices.request
        or prices.image_output
        or prices.audio_second
        or prices.character
        or prices.overrides
    )


def is_specialist(model: Model) -> bool:
    """Whether its name says that it is made for one job."""
    slug = model.id.partition("/")[2]
    return not _SPECIALISTS.isdisjoint(slug.replace(":", "-").split("-"))


def _offers(model: Model) -> list[Endpoint]:
    if model.kind is not ModelKind.CHAT or model.output_modalities != ("text",):
        return []
    if model.preset_effort is not None:
        return []
    if is_specialist(model):
        return []
    return [
        one for one in model.endpoints if one.tier is None and one.status is EndpointStatus.ACTIVE
    ]


def _price(endpoint: Endpoint) -> int:
    return endpoint.prices.prompt * _PROMPT_SHARE + endpoint.prices.completion


def _longest_answer(offers: Sequence[Endpoint]) -> int | None:
    limits = [one.max_completion_tokens for one in offers]
    return None if None in limits else max(limit for limit in limits if limit is not None)


def _quality(record: Record | None, expected: float) -> float:
    """From 0 to 1: the share of comparisons won, drawn towards what is expected (0 to 1) where they are few."""
    prior = _EXPECTED_WORST + (_EXPECTED_BEST - _EXPECTED_WORST) * expected
    won, comparisons = (record.won, record.comparisons) if record is not None else (0.0, 0)
    return (won + _EXPECTATION_WEIGHT * prior) / (comparisons + _EXPECTATION_WEIGHT)


def _rank(ascending: Sequence[int], value: int) -> float:
    """The share of values that are below this one."""
    return bisect_left(ascending, value) / len(ascending)
