"""Filtering, sorting and paging of the models list. Pure.

One rule for data that a model lacks: a filter that asks for it leaves the model out, a sort that needs
it puts the model last. So `category=legal` finds nothing while no model has a category, and does not
pretend otherwise. Indices are worked out of published results (`core/catalog_indices.py`), not Artificial
Analysis's, whose figures the catalogue does not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final

from fairlead.core.catalog import PARAMETERS, EndpointStatus, Modality, Model, Snapshot
from fairlead.core.catalog_indices import Index
from fairlead.core.errors import RequestInvalid
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.core.pricing import PRICE_NAMES, PriceSheet
from fairlead.web.api.model_listing import prices_of
from fairlead.web.api.model_search import is_called

__all__ = [
    "FIGURES",
    "INDEX_SORTS",
    "MEASURED_SORTS",
    "NOTHING_MEASURED",
    "TOKEN_SORTS",
    "TOOL_SUCCESS",
    "Measured",
    "ModelQuery",
    "Page",
    "called",
    "figures_of",
    "parse_page",
    "parse_query",
    "select",
]

LIMIT_MAX: Final = 1000
LIMIT_DEFAULT: Final = 500
QUERY_CHARACTERS_MAX: Final = 200
_SECONDS_PER_DAY: Final = 86_400
_PICO_PER_TOKEN: Final = 10**6  # of one dollar per million tokens

_OUTPUTS: Final = frozenset(
    {"text", "image", "audio", "embeddings", "speech", "transcription", "video", "rerank"}
)
_CATEGORIES: Final = frozenset(
    {
        "programming", "roleplay", "marketing", "marketing/seo", "technology", "science", "translation",
        "legal", "finance", "health", "trivia", "academia",
    }
)  # fmt: skip
TOOL_SUCCESS: Final = "tool_success_rate"
# What `min_` and `max_` may stand before, besides prices and ages.
FIGURES: Final = (*(f"{index}_index" for index in Index), TOOL_SUCCESS)
INDEX_SORTS: Final[Mapping[str, Index]] = {f"{index}-high-to-low": index for index in Index}

_UNITS: Final = PRICE_NAMES - {"prompt", "completion", "web_search"}

_Keep = Callable[[Model], bool]
_Place = Callable[[Model], tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list. is_whole: neither offset nor limit was given."""

    offset: int = 0
    limit: int = LIMIT_DEFAULT
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class ModelQuery:
    """What was asked for. keeps: all must hold. sort: None for the default order."""

    keeps: tuple[_Keep, ...]
    sort: _Place | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What is measured of models, by their names; who has none of a figure is missing there.

    Of calls of the last seven days through this installation, by the model that was called: weekly_tokens, of
    prompts and completions; latency_s, mean time to the first token; tokens_per_s, mean pace after it.
    tool_success: of answers of the last two hours that ended in tool calls, the share with none that was not
    valid, in [0, 1].
    indices: what published results say, from 0 to 100.
    """

    weekly_tokens: Mapping[ModelId, int] = field(default_factory=dict)
    latency_s: Mapping[ModelId, float] = field(default_factory=dict)
    tokens_per_s: Mapping[ModelId, float] = field(default_factory=dict)
    tool_success: Mapping[ModelId, float] = field(default_factory=dict)
    indices: Mapping[Index, Mapping[ModelId, float]] = field(default_factory=dict)


NOTHING_MEASURED: Final = Measured()


def select(models: Iterable[Model], query: ModelQuery) -> list[Model]:
    """Those that pass, in order. Equals stay in the order in which they came."""
    found = [model for model in models if all(keep(model) for keep in query.keeps)]
    if query.sort is not None:
        found.sort(key=query.sort)
    return found


def parse_page(parameters: Mapping[str, str]) -> Page:
    """Raises RequestInvalid for an offset or limit out of bounds."""
    if not parameters.get("offset") and not parameters.get("limit"):
        return Page()
    offset = _whole_number(parameters, "offset", 0)
    limit = _whole_number(parameters, "limit", LIMIT_DEFAULT)
    if not 1 <= limit <= LIMIT_MAX:
        raise RequestInvalid(f"limit must be 1 to {LIMIT_MAX}, not {limit}.", param="limit")
    return Page(offset, limit, is_whole=False)


def parse_query(
    parameters: Mapping[str, str],
    snapshot: Snapshot,
    *,
    now_s: float,
    measured: Measured = NOTHING_MEASURED,
) -> ModelQuery:
    """The filters and the sort. An empty value counts as absent, an unknown parameter is ignored.

    measured: as far as sort and filters ask for it. Raises RequestInvalid that names the parameter.
    """
    given = {name: value for name, value in parameters.items() if value}
    keeps = [
        *_modality_filters(given),
        *_ability_filters(given),
        *_price_filters(given),
        *_age_filters(given, now_s),
        *_origin_filters(given, snapshot),
        *_figure_filters(given, measured),
        *_category_filters(given),
    ]
    return ModelQuery(tuple(keeps), _sort(given.get("sort"), measured))


def _sort(name: str | None, measured: Measured) -> _Place | None:
    if name is None:
        return None
    if name in _FIGURE_SORTS:
        return _by_figure(figures_of(name, measured), 1 if name == "latency-low-to-high" else -1)
    if name not in _SORTS:
        every = sorted({*_SORTS, *_FIGURE_SORTS})
        raise RequestInvalid(f"sort must be one of {', '.join(every)}, not {name!r}.", param="sort")
    return _SORTS[name]


def figures_of(sort: str, measured: Measured) -> Mapping[ModelId, float]:
    """What a sort by a figure goes by."""
    match sort:
        case "throughput-high-to-low":
            return measured.tokens_per_s
        case "latency-low-to-high":
            return measured.latency_s
        case "most-popular" | "top-weekly":
            return measured.weekly_tokens
        case _:
            index = INDEX_SORTS.get(sort)
            return {} if index is None else measured.indices.get(index, {})


def _by_figure(figures: Mapping[ModelId, float], direction: int) -> _Place:
    """direction: 1 for rising figures, -1 for falling ones. Who has none is last; so is an alias, which has
    none of its own."""

    def place(model: Model) -> tuple[object, ...]:
        figure = figures.get(model.id)
        return (1, 0) if figure is None else (0, direction * figure)

    return place


def called(model: Model) -> ModelId:
    """Under which name its calls are counted: an alias of a family has none of its own."""
    return model.endpoints[0].model if model.endpoints else model.id


def _modality_filters(given: Mapping[str, str]) -> list[_Keep]:
    keeps: list[_Keep] = []
    outputs = _words(given, "output_modalities", _OUTPUTS | {"all"}) or {"text"}
    if "all" not in outputs:
        keeps.append(lambda model: not outputs.isdisjoint(model.output_modalities))
    inputs = _words(given, "input_modalities", frozenset(Modality))
    if inputs:
        keeps.append(lambda model: inputs <= model.input_modalities)
    return keeps


def _ability_filters(given: Mapping[str, str]) -> list[_Keep]:
    keeps: list[_Keep] = []
    parameters = _words(given, "supported_parameters", PARAMETERS)
    if parameters:
        keeps.append(lambda model: parameters <= set(model.supported_parameters))
    if "context" in given:
        context = _whole_number(given, "context", 0)
        keeps.append(lambda model: model.context_length >= context)
    if "q" in given:
        wanted = given["q"].lower()[:QUERY_CHARACTERS_MAX].split()
        keeps.append(lambda model: all(is_called(model, word) for word in wanted))
    return keeps


def _price_filters(given: Mapping[str, str]) -> list[_Keep]:
    keeps: list[_Keep] = []
    if "min_price" in given:
        at_least = _price(given, "min_price")
        keeps.append(_by_price(lambda prices: prices.prompt >= at_least))
    if "max_price" in given:
        at_most = _price(given, "max_price")
        keeps.append(_by_price(lambda prices: prices.prompt <= at_most))
    if "min_output_price" in given:
        out_at_least = _price(given, "min_output_price")
        keeps.append(_by_price(lambda prices: prices.completion >= out_at_least))
    if "max_output_price" in given:
        out_at_most = _price(given, "max_output_price")
        keeps.append(_by_price(lambda prices: prices.completion <= out_at_most))
    return keeps


def _by_price(keep: Callable[[PriceSheet], bool]) -> _Keep:
    return lambda model: (prices := _token_prices(model)) is not None and keep(prices)


def _token_prices(model: Model) -> PriceSheet | None:
    """None: what it costs depends on the call, or it is sold by something else than tokens, which would seem to
    cost nothing."""
    prices = prices_of(model)
    if prices is None or prices.prompt or prices.completion:
        return prices
    return None if any(getattr(prices, unit) for unit in _UNITS) else prices


def _age_filters(given: Mapping[str, str], now_s: float) -> list[_Keep]:
    keeps: list[_Keep] = []
    if "min_age_days" in given:
        newest_s = now_s - _whole_number(given, "min_age_days", 0) * _SECONDS_PER_DAY
        keeps.append(lambda model: 0 < model.created <= newest_s)
    if "max_age_days" in given:
        oldest_s = now_s - _whole_number(given, "max_age_days", 0) * _SECONDS_PER_DAY
        keeps.append(lambda model: model.created > 0 and model.created >= oldest_s)
    return keeps


def _origin_filters(given: Mapping[str, str], snapshot: Snapshot) -> list[_Keep]:
    keeps: list[_Keep] = []
    if "arch" in given:
        family = given["arch"].lower()
        keeps.append(lambda model: model.tokenizer.lower() == family)
    if "model_authors" in given:
        authors = _split(given["model_authors"])
        keeps.append(lambda model: model.author in authors)
    if "providers" in given:
        named = _split(given["providers"])
        slugs = {
            one.slug
            for one in snapshot.providers.values()
            if one.slug in named or one.name.lower() in named
        }
        keeps.append(lambda model: _is_offered_by(slugs, model))
    if _words(given, "zdr", frozenset({"true"})):
        private = {one.slug for one in snapshot.providers.values() if one.data_policy.keeps_nothing}
        keeps.append(lambda model: _is_offered_by(private, model))
    if regions := _words(given, "region", frozenset({"eu", "us"})):
        keeps.append(lambda model: any(one.data_region in regions for one in model.endpoints))
    if wanted := _words(given, "distillable", frozenset({"true", "false"})):
        # As `enforce_distillable_text` has it.
        keeps.append(lambda model: ("true" if model.open_weights is True else "false") in wanted)
    return keeps


def _is_offered_by(providers: AbstractSet[ProviderSlug], model: Model) -> bool:
    return any(
        one.provider in providers and one.status is not EndpointStatus.UNPRICED
        for one in model.endpoints
    )


def _figure_filters(given: Mapping[str, str], measured: Measured) -> list[_Keep]:
    keeps: list[_Keep] = []
    for name in FIGURES:
        figures = _filtered_by(name, measured)
        if f"min_{name}" in given:
            at_least = _bound(given, f"min_{name}")
            keeps.append(_by_bounds(figures, at_least, math.inf))
        if f"max_{name}" in given:
            at_most = _bound(given, f"max_{name}")
            keeps.append(_by_bounds(figures, 0, at_most))
    return keeps


def _filtered_by(name: str, measured: Measured) -> Mapping[ModelId, float]:
    if name == TOOL_SUCCESS:
        return measured.tool_success
    return measured.indices.get(Index(name.removesuffix("_index")), {})


def _bound(given: Mapping[str, str], name: str) -> float:
    number = float(_number(given, name))
    if name.endswith(TOOL_SUCCESS) and number > 1:
        raise RequestInvalid(f"{name} must be 0 to 1, not {given[name]!r}.", param=name)
    return number


def _by_bounds(figures: Mapping[ModelId, float], least: float, most: float) -> _Keep:
    return lambda model: (figure := figures.get(model.id)) is not None and least <= figure <= most


def _category_filters(given: Mapping[str, str]) -> list[_Keep]:
    """No model of ours is in any category: a well-formed one finds nothing."""
    return [lambda _: False] if _words(given, "category", _CATEGORIES) else []


def _by_average_price(direction: int) -> _Place:
    """direction: 1 for rising prices, -1 for falling ones. Without a price of its own a model is last."""

    def place(model: Model) -> tuple[object, ...]:
        prices = _token_prices(model)
        if prices is None:
            return (1, 0)
        return (0, direction * (prices.prompt + prices.completion))

    return place


_SORTS: Final[dict[str, _Place]] = {
    "newest": lambda model: (-model.created,),
    "pricing-low-to-high": _by_average_price(1),
    "pricing-high-to-low": _by_average_price(-1),
    "context-high-to-low": lambda model: (-model.context_length,),
}
TOKEN_SORTS: Final = frozenset({"most-popular", "top-weekly"})  # two names of one
MEASURED_SORTS: Final = TOKEN_SORTS | {"throughput-high-to-low", "latency-low-to-high"}
# The last one is a figure that nobody has published for models of the catalogue: the default order.
_FIGURE_SORTS: Final = MEASURED_SORTS | INDEX_SORTS.keys() | {"design-arena-elo-high-to-low"}


def _split(value: str) -> frozenset[str]:
    return frozenset(word.strip().lower() for word in value.split(",") if word.strip())


def _words(given: Mapping[str, str], name: str, allowed: frozenset[str]) -> frozenset[str]:
    """The comma-separated words of a parameter; none if it is absent."""
    words = _split(given.get(name, ""))
    if not words <= allowed:
        raise RequestInvalid(
            f"{name} takes {', '.join(sorted(allowed))}, not {min(words - allowed)!r}.", param=name
        )
    return words


def _whole_number(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(1 << 53))):
        raise RequestInvalid(
            f"{name} must be a whole number of 0 or more, not {text!r}.", param=name
        )
    return int(text)


def _number(given: Mapping[str, str], name: str) -> Decimal:
    try:
        number = Decimal(given[name])
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise RequestInvalid(
            f"{name} must be a number of 0 or more, not {given[name]!r}.", param=name
        )
    return number


def _price(given: Mapping[str, str], name: str) -> Decimal:
    """Dollars per million tokens to picodollars per token."""
    return _number(given, name) * _PICO_PER_TOKEN
