"""What a model costs, as short as it can be said. Pure.

Most are sold by tokens read and written. Some cost nothing for these and something for each call, character or
second: to call such a model free would be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fairlead.core.catalog import Model, ModelKind
from fairlead.core.pricing import PriceSheet
from fairlead.web.api.model_listing import prices_of
from fairlead.web.api.model_shapes import listed_endpoints
from fairlead.web.pages import shown

__all__ = [
    "FREE_LINE",
    "PER_MILLION",
    "UNKNOWN_LINE",
    "VARIES",
    "PriceLine",
    "price_line",
    "sheet_line",
]

VARIES: Final = "Varies"
PER_MILLION: Final = "per million tokens"
# What is charged where tokens cost nothing: its name in a price sheet, whether that is for a million, its unit.
_UNITS: Final = (
    ("request", False, "a call"),
    ("character", True, "per million characters"),
    ("audio_second", False, "a second"),
    ("image_output", False, "an image"),
    ("audio", True, "per million tokens of audio"),
    ("audio_output", True, "per million tokens of audio"),
    ("image_token", True, "per million tokens of pictures"),
    ("image_output_token", True, "per million tokens of pictures"),
)
_WITHOUT_OUTPUT: Final = frozenset({ModelKind.EMBEDDING, ModelKind.RERANK})


@dataclass(frozen=True, slots=True)
class PriceLine:
    """prompt: for what is read, or for each `unit`. completion: for what is written, or UNKNOWN."""

    prompt: str
    completion: str
    unit: str
    is_free: bool

    @property
    def input(self) -> str:
        """For a column of prices per million tokens: with its unit, where that is another."""
        return self.prompt if self.unit == PER_MILLION else f"{self.prompt} {self.unit}"

    @property
    def text(self) -> str:
        """In one line: "$1.10 in · $4.40 out"."""
        if self.is_free:
            return "Free"
        if self.prompt == VARIES:
            return "Price varies"
        if self.prompt == shown.UNKNOWN:
            return "No price is known"
        if self.unit != PER_MILLION:
            return f"{self.prompt} {self.unit}"
        if self.completion == shown.UNKNOWN:
            return f"{self.prompt} in"
        return f"{self.prompt} in · {self.completion} out"


FREE_LINE: Final = PriceLine("Free", "Free", PER_MILLION, is_free=True)


UNKNOWN_LINE: Final = PriceLine(shown.UNKNOWN, shown.UNKNOWN, PER_MILLION, is_free=False)


def price_line(model: Model) -> PriceLine:
    """As the list of models has its prices."""
    prices = prices_of(model)
    if prices is None:
        return PriceLine(VARIES, VARIES, PER_MILLION, is_free=False)
    if model.endpoints and not listed_endpoints(model):  # known, but sold by nobody
        return UNKNOWN_LINE
    return sheet_line(model.kind, prices)


def sheet_line(kind: ModelKind, prices: PriceSheet) -> PriceLine:
    """As `price_line`, of one sheet of prices."""
    if prices.prompt == 0 and prices.completion == 0:
        for name, is_per_million, unit in _UNITS:
            if price := getattr(prices, name):
                written = shown.per_million(price) if is_per_million else shown.unit_price(price)
                return PriceLine(written, shown.UNKNOWN, unit, is_free=False)
        return FREE_LINE
    is_output_nothing = kind in _WITHOUT_OUTPUT and prices.completion == 0
    return PriceLine(
        shown.per_million(prices.prompt),
        shown.UNKNOWN if is_output_nothing else shown.per_million(prices.completion),
        PER_MILLION,
        is_free=False,
    )
