"""What a model costs, in a table and in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.core.catalog import Endpoint, Model, ModelKind, Snapshot
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceOverride, PriceSheet
from fairlead.web.api.model_shapes import listed_endpoints
from fairlead.web.pages import shown

__all__ = [
    "PRICE_COLUMNS",
    "Condition",
    "PriceRow",
    "Pricing",
    "is_per_million",
    "priced_text",
    "pricing_of",
]

# A price's name, its label, and whether it is for a million tokens. In the order of columns.
PRICE_COLUMNS: Final = (
    ("prompt", "Input", True),
    ("completion", "Output", True),
    ("input_cache_read", "Cached input", True),
    ("input_cache_write", "Cache write", True),
    ("input_cache_write_1h", "Cache write, 1 h", True),
    ("internal_reasoning", "Reasoning", True),
    ("image_token", "Image input", True),
    ("image_output_token", "Image output", True),
    ("audio", "Audio input", True),
    ("input_audio_cache", "Cached audio", True),
    ("audio_output", "Audio output", True),
    ("character", "Million characters", True),
    ("request", "Each call", False),
    ("web_search", "Each search", False),
    ("image_output", "Each image", False),
    ("audio_second", "Each second", False),
)
_LABELS: Final = {name: label for name, label, _ in PRICE_COLUMNS}
_PER_MILLION: Final = frozenset(name for name, _, is_so in PRICE_COLUMNS if is_so)
_PLAIN: Final = ("prompt", "completion")
_COUNTED: Final = frozenset({ModelKind.CHAT, ModelKind.EMBEDDING, ModelKind.RERANK})
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_TOKENS_TEXT: Final = (
    "A call costs its prompt tokens at the input price and all that the model wrote at the output"
    " price, summed exactly and rounded up once, to a billionth of a dollar. What a provider"
    " reports is what counts."
)

_CONDITIONS_TEXT: Final = (
    "Some prices hold only for long prompts or at certain hours. The whole call costs what it falls"
    " in, not only the part above. Cached tokens count towards the length."
)

_TIERS_TEXT: Final = (
    "A tier is used only if you ask for it, with service_tier or a variant of the name: priority is"
    " sooner for more, flex later for less. A call costs what the provider says it served."
)


@dataclass(frozen=True, slots=True)
class PriceRow:
    """An endpoint's prices beside the columns. tier: of a service tier."""

    provider_name: str
    tag: str
    tier: str | None
    prices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Prices that replace others. when: as "Over 200K prompt tokens". where: whose they are."""

    when: str
    prices: tuple[tuple[str, str], ...]
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pricing:
    """columns: labels. words: paragraphs with a title each."""

    columns: tuple[str, ...]
    rows: tuple[PriceRow, ...]
    tiers: tuple[PriceRow, ...]
    conditions: tuple[Condition, ...]
    words: tuple[tuple[str, str], ...]


def pricing_of(model: Model, snapshot: Snapshot) -> Pricing:
    endpoints = listed_endpoints(model)
    names = _columns_of(endpoints)
    rows = [_row(one, snapshot, names) for one in endpoints]
    return Pricing(
        columns=tuple(_LABELS[name] for name in names),
        rows=tuple(row for row in rows if row.tier is None),
        tiers=tuple(row for row in rows if row.tier is not None),
        conditions=_conditions(endpoints),
        words=tuple(_words(model, endpoints)),
    )


def _columns_of(endpoints: Sequence[Endpoint]) -> list[str]:
    """Names of the prices that there are. What is sold by the call or the second has none for plain tokens."""
    names = [
        name
        for name, _, _ in PRICE_COLUMNS
        if any(getattr(one.prices, name) is not None for one in endpoints)
    ]
    plain = [name for name in _PLAIN if any(getattr(one.prices, name) != 0 for one in endpoints)]
    others = [name for name in names if name not in _PLAIN]
    return [*(plain if plain or others else _PLAIN), *others]


def priced_text(name: str, price: PicoUSD | None) -> str:
    """A price of a sheet as it is shown: for a million tokens, or for one of what is counted."""
    if price is None:
        return shown.UNKNOWN
    return shown.per_million(price) if is_per_million(name) else shown.unit_price(price)


def is_per_million(name: str) -> bool:
    """Whether a price of a sheet is told for a million, not for one."""
    return name in _PER_MILLION


def _row(endpoint: Endpoint, snapshot: Snapshot, names: Sequence[str]) -> PriceRow:
    return PriceRow(
        provider_name=snapshot.providers[endpoint.provider].name,
        tag=endpoint.tag,
        tier=endpoint.tier,
        prices=tuple(priced_text(name, getattr(endpoint.prices, name)) for name in names),
    )


def _conditions(endpoints: Sequence[Endpoint]) -> tuple[Condition, ...]:
    """Equal ones of several endpoints together."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for endpoint in endpoints:
        for override in endpoint.prices.overrides:
            prices = tuple(
                (_LABELS[name], priced_text(name, override.prices[name]))
                for name, _, _ in PRICE_COLUMNS
                if name in override.prices
            )
            found.setdefault((_when(override), prices), []).append(endpoint.tag)
    return tuple(Condition(when, prices, tuple(where)) for (when, prices), where in found.items())


def _when(override: PriceOverride) -> str:
    said = []
    if override.min_prompt_tokens is not None:
        said.append(f"over {shown.count(override.min_prompt_tokens)} prompt tokens")
    if override.utc_start is not None and override.utc_end is not None:
        said.append(f"{_clock(override.utc_start)} to {_clock(override.utc_end)} UTC")
    if override.weekdays is not None:
        said.append(", ".join(_WEEKDAYS[day - 1] for day in override.weekdays))
    text = "; ".join(said)
    return text[:1].upper() + text[1:]


def _clock(hhmm: int) -> str:
    return f"{hhmm // 100:02d}:{hhmm % 100:02d}"


def _words(model: Model, endpoints: Sequence[Endpoint]) -> list[tuple[str, str]]:
    """What the numbers mean, as far as this model has them."""
    sheets = [one.prices for one in endpoints]
    if not sheets:
        return []
    first = sheets[0]
    words = []
    if model.kind in _COUNTED and (first.prompt or first.completion):
        words.append(("Tokens", _TOKENS_TEXT))
    if model.reasoning.supported:
        own = any(one.internal_reasoning is not None for one in sheets)
        text = "Reasoning tokens are part of the answer, also where they are not shown, and cost"
        words.append(
            (
                "Reasoning",
                f"{text} {'their own price where there is one.' if own else 'as output.'}",
            )
        )
    words += _cache_words(first, sheets)
    if any(one.request for one in sheets):
        price = next(one.request for one in sheets if one.request)
        words.append(
            (
                "Each call",
                f"Besides tokens, a call costs {shown.unit_price(price)} where the table says so.",
            )
        )
    if any(one.web_search for one in sheets):
        words.append(
            (
                "Web search",
                "A search of the provider's own that the model makes is charged one by one.",
            )
        )
    if any(one.overrides for one in sheets):
        words.append(("Conditions", _CONDITIONS_TEXT))
    if any(one.tier for one in endpoints):
        words.append(("Service tiers", _TIERS_TEXT))
    return words


def _cache_words(first: PriceSheet, sheets: Sequence[PriceSheet]) -> list[tuple[str, str]]:
    cached = next((one for one in (first, *sheets) if one.input_cache_read is not None), None)
    if cached is None or cached.input_cache_read is None:
        return []
    text = "Input tokens that the provider has in its cache from an earlier call cost"
    read, plain = shown.per_million(cached.input_cache_read), shown.per_million(cached.prompt)
    text += f" {read} for a million instead of {plain}"
    if cached.prompt and cached.input_cache_read < cached.prompt:
        text += f", {shown.share(1 - cached.input_cache_read / cached.prompt, places=0)} less"
    text += "."
    if any(one.input_cache_write is not None for one in sheets):
        text += " Writing to the cache is asked for with cache_control, and has its own price."
    else:
        text += " Caching happens by itself."
    return [("Cache", text)]
