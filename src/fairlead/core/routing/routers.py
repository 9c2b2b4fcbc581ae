"""Routers: names that stand for a choice among models. Pure, offline, and no model is asked.

`fairlead/auto` takes the models that can do what the request needs, have an endpoint here and are allowed; of
these the band of prices that was asked for; of the band the best by published results. `fairlead/free` draws
one of the models that cost nothing. Both name up to two more to fall back on.

Results that are missing never make a choice fail: a model that nobody measured counts as its price and age
let one expect (`catalog_contenders.py`). Where the sandbox is not all there is, it is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Literal

import msgspec

from fairlead.core.catalog import (
    Contender,
    Modality,
    Model,
    ModelKind,
    Reasoning,
)
from fairlead.core.errors import RequestInvalid
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.core.routing.patterns import Patterns
from fairlead.core.routing.types import Traits

__all__ = [
    "AUTO",
    "FREE",
    "ROUTERS",
    "ROUTER_MODELS",
    "AutoSettings",
    "Field",
    "auto_settings",
    "choose_best",
    "choose_free",
]

AUTO: Final = ModelId("fairlead/auto")
FREE: Final = ModelId("fairlead/free")
# Every name of a router, in lower case. Clients of OpenRouter find theirs.
ROUTERS: Final[Mapping[str, ModelId]] = {
    AUTO: AUTO,
    FREE: FREE,
    "openrouter/auto": AUTO,
    "openrouter/free": FREE,
}
CHOSEN_MAX: Final = 3  # the first and two to fall back on
PATTERNS_MAX: Final = 1024
PATTERN_CHARACTERS_MAX: Final = 1024
PATTERNS_CHARACTERS_MAX: Final = 65_536
LOOSE_PATTERNS_MAX: Final = (
    128  # with a star before the end: each is tried on each model, which takes 0.2 ms
)
PLUGIN: Final = "auto-router"

CostTier = Literal["low", "medium", "high", "xhigh", "max"]
# Percentiles of the candidates by price, from and below.
_BANDS: Final[Mapping[CostTier, tuple[int, int]]] = {
    "low": (0, 20),
    "medium": (20, 40),
    "high": (40, 60),
    "xhigh": (60, 80),
    "max": (80, 100),
}
_SEED_BITS: Final = 53
# What a request may need that models lack, by the names of the catalogue.
_MUST: Final = frozenset({"tools"})
_SHOULD: Final = frozenset({"tool_choice", "response_format", "structured_outputs", "reasoning"})
_MEANT: Final = {"reasoning_effort": "reasoning", "include_reasoning": "reasoning"}
_READ_FOR_ANY_MODEL: Final = "file"
_CONTEXT_ASSUMED: Final = 8_192  # tokens that a model of unknown context surely reads


class AutoSettings(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The fields of the plugin `auto-router`.

    cost_tier: a band of prices, not a ceiling. cost_quality_tradeoff: its older form, a ceiling: 0 (the dearest
        tenth is out) to 10 (only the cheapest tenth); cost_tier goes first.
    pin_model: the model of the last answer goes on, as long as it can.
    """

    enabled: bool = True
    allowed_models: tuple[str, ...] | None = None
    excluded_models: tuple[str, ...] = ()
    cost_tier: CostTier | None = None
    cost_quality_tradeoff: float | None = None
    pin_model: bool = False


_NO_SETTINGS: Final = AutoSettings()


def auto_settings(plugins: Sequence[Mapping[str, msgspec.Raw]] | None) -> AutoSettings:
    """What the request's plugins say to the router. Raises RequestInvalid for a field that is wrong."""
    for position, plugin in enumerate(plugins or ()):
        if _word(plugin.get("id")) != PLUGIN:
            continue
        at = f"plugins[{position}]"
        try:
            settings = _decode_settings(msgspec.json.encode(plugin))
        except msgspec.ValidationError as error:
            message, _, where = str(error).partition(" - at `$")
            raise RequestInvalid(f"{message}.", param=at + where.rstrip("`")) from error
        _check_patterns(f"{at}.allowed_models", settings.allowed_models or ())
        _check_patterns(f"{at}.excluded_models", settings.excluded_models)
        tradeoff = settings.cost_quality_tradeoff
        if tradeoff is not None and not 0 <= tradeoff <= 10:
            raise RequestInvalid(
                f"must be 0 to 10, not {tradeoff}.", param=f"{at}.cost_quality_tradeoff"
            )
        return settings if settings.enabled else _NO_SETTINGS
    return _NO_SETTINGS


_decode_settings: Final = msgspec.json.Decoder(AutoSettings).decode
_decode_any: Final = msgspec.json.Decoder().decode


def _word(raw: msgspec.Raw | None) -> object:
    return None if raw is None else _decode_any(raw)


def _check_patterns(path: str, patterns: Sequence[str]) -> None:
    if len(patterns) > PATTERNS_MAX:
        raise RequestInvalid(f"At most {PATTERNS_MAX} patterns, not {len(patterns)}.", param=path)
    if sum("*" in pattern[:-1] for pattern in patterns) > LOOSE_PATTERNS_MAX:
        raise RequestInvalid(
            f"At most {LOOSE_PATTERNS_MAX} patterns with a '*' before their end.", param=path
        )
    for position, pattern in enumerate(patterns):
        if len(pattern) > PATTERN_CHARACTERS_MAX:
            raise RequestInvalid(
                f"A pattern has at most {PATTERN_CHARACTERS_MAX} characters.",
                param=f"{path}[{position}]",
            )
    if sum(map(len, patterns)) > PATTERNS_CHARACTERS_MAX:
        raise RequestInvalid(
            f"All patterns together have at most {PATTERNS_CHARACTERS_MAX} characters.", param=path
        )


class Field(msgspec.Struct, frozen=True, gc=False):
    """Among whom a router chooses, whatever the request needs.

    contenders: the snapshot's, cheapest first. providers: those that can be asked and are allowed.
    allowed: patterns of the account and of the plugin: a model must match all of them. excluded: none of them.
    """

    contenders: Sequence[Contender]
    providers: AbstractSet[ProviderSlug]
    allowed: tuple[Patterns, ...] = ()
    excluded: tuple[Patterns, ...] = ()


def choose_best(
    field: Field,
    traits: Traits,
    settings: AutoSettings = _NO_SETTINGS,
    earlier: ModelId | None = None,
) -> tuple[ModelId, ...]:
    """Best first; none if no model can do it. earlier: of the conversation's last answer, if it should stay."""
    able = _able(field, traits)
    band = sorted(_band(able, settings), key=lambda one: (-one.quality, one.price, one.model))
    chosen = [one.model for one in band[:CHOSEN_MAX]]
    if earlier is not None and any(one.model == earlier for one in able):
        chosen = [earlier, *(one for one in chosen if one != earlier)][:CHOSEN_MAX]
    return tuple(chosen)


def choose_free(field: Field, traits: Traits, seed: int) -> tuple[ModelId, ...]:
    """One of those that cost nothing, each as likely as any other, and those after it to fall back on.

    seed: 53 bits.
    """
    providers = field.providers
    able = [
        one for one in _able(field, traits) if one.free_at and not one.free_at.isdisjoint(providers)
    ]
    if not able:
        return ()
    first = (seed * len(able)) >> _SEED_BITS
    turned = [*able[first:], *able[:first]]
    return tuple(one.model for one in turned[:CHOSEN_MAX])


def _able(field: Field, traits: Traits) -> list[Contender]:
    """Those that can do what is asked, cheapest first. What they only should do counts if one can."""
    must, should = _needs(traits)
    providers = field.providers
    tokens = traits.prompt_tokens + traits.completion_tokens
    limit = 0 if traits.is_ceiling else (traits.max_tokens or 0)
    able = [
        one
        for one in field.contenders
        if not one.providers.isdisjoint(providers)
        and must <= one.abilities
        and (tokens <= one.context_length or not one.context_length)
        and (one.max_completion_tokens is None or limit <= one.max_completion_tokens)
    ]
    for patterns in field.allowed:
        able = [one for one in able if patterns.match(one.model)]
    for patterns in field.excluded:
        able = [one for one in able if not patterns.match(one.model)]
    able = [one for one in able if not one.is_sandbox] or able
    if tokens > _CONTEXT_ASSUMED:
        able = [one for one in able if one.context_length] or able
    if should:
        able = [one for one in able if should <= one.abilities] or able
    return able


def _needs(traits: Traits) -> tuple[frozenset[str], frozenset[str]]:
    """The abilities without which a model cannot answer, and those without which it ignores a wish."""
    if not traits.parameters and not traits.modalities:
        return frozenset(), frozenset()
    asked = {_MEANT.get(name, name) for name in traits.parameters}
    reads = {f"in:{one}" for one in traits.modalities if one != _READ_FOR_ANY_MODEL}
    return (_MUST & asked) | reads, _SHOULD & asked


def _band(able: Sequence[Contender], settings: AutoSettings) -> Sequence[Contender]:
    """The part of the candidates, by rising price, that was asked for. Of some there is always one."""
    if not able:
        return able
    if settings.cost_tier is not None:
        start, end = _BANDS[settings.cost_tier]
    elif settings.cost_quality_tradeoff is not None:
        start, end = 0, round(90 - 8 * settings.cost_quality_tradeoff)
    else:
        start, end = _BANDS["low"]
    first = len(able) * start // 100
    return able[first : max(first + 1, -(-len(able) * end // 100))]


# --- as the list of models shows them -----------------------------------------------------------------------

_CREATED_S: Final = 1_795_219_200  # 2026-11-21: fixed, so that lists do not change with the clock
_ALL_INPUTS: Final = frozenset(Modality)


def _router(slug: ModelId, name: str, description: str) -> Model:
    return Model(
        id=slug,
        canonical_slug=slug,
        name=f"Fairlead: {name}",
        short_name=name,
        author="fairlead",
        kind=ModelKind.CHAT,
        created=_CREATED_S,
        description=description,
        context_length=0,
        max_completion_tokens=None,
        modality="text+image+file+audio+video->text",
        input_modalities=_ALL_INPUTS,
        output_modalities=("text",),
        tokenizer="Router",
        instruct_type=None,
        knowledge_cutoff=None,
        hugging_face_id=None,
        reasoning=Reasoning(),
        supported_parameters=(
            "include_reasoning", "max_tokens", "reasoning", "response_format", "stop", "structured_outputs",
            "temperature", "tool_choice", "tools", "top_p",
        ),
        endpoints=(),
    )  # fmt: skip


ROUTER_MODELS: Final[Mapping[ModelId, Model]] = {
    AUTO: _router(
        AUTO,
        "Auto",
        "Chooses a model by rules: what the request needs, its length, and a band of prices (the cheapest "
        "fifth unless asked otherwise). The answer names the model, and costs what that costs.",
    ),
    FREE: _router(
        FREE,
        "Free",
        "Draws one of the models that cost nothing and can do what the request needs.",
    ),
}
