"""A charge taken apart: what was used, at which price each, adding up to the picodollar. Pure.

lines = price_lines(usage, sheet, at_s=began_s)
nano_from_pico(sum(line.amount for line in lines)) == charge(usage, sheet, at_s=began_s).total
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceSheet, prices_in_force
from fairlead.core.usage import Usage

__all__ = ["PriceLine", "Priced", "price_lines"]

_FREE: Final = PicoUSD(0)


class Priced(StrEnum):
    """What a line is about."""

    PROMPT = "prompt"
    CACHE_READ = "cache_read"
    CACHE_WRITE = "cache_write"
    CACHE_WRITE_1H = "cache_write_1h"
    AUDIO_IN = "audio_in"
    PICTURES_IN = "pictures_in"  # and films
    COMPLETION = "completion"
    REASONING = "reasoning"
    AUDIO_OUT = "audio_out"
    IMAGES_OUT = "images_out"
    REQUEST = "request"
    WEB_SEARCH = "web_search"

    @property
    def is_tokens(self) -> bool:
        return self not in (Priced.REQUEST, Priced.WEB_SEARCH)


class PriceLine(NamedTuple):
    """quantity: tokens, requests or searches. price: of one."""

    kind: Priced
    quantity: int
    price: PicoUSD

    @property
    def amount(self) -> PicoUSD:
        return PicoUSD(self.quantity * self.price)


def price_lines(usage: Usage, sheet: PriceSheet, *, at_s: float) -> tuple[PriceLine, ...]:
    """In the order in which people read a bill; without what was not used. As `pricing.charge` counts."""
    prices = prices_in_force(sheet, prompt_tokens=usage.prompt_tokens, at_s=at_s)
    plain_in, plain_out = prices.prompt, prices.completion
    short = _or(prices.input_cache_write, plain_in)
    every = (
        PriceLine(Priced.PROMPT, usage.prompt, plain_in),
        PriceLine(Priced.CACHE_READ, usage.cache_read, _or(prices.input_cache_read, plain_in)),
        PriceLine(Priced.CACHE_WRITE, usage.cache_write, short),
        PriceLine(
            Priced.CACHE_WRITE_1H, usage.cache_write_1h, _or(prices.input_cache_write_1h, short)
        ),
        PriceLine(Priced.AUDIO_IN, usage.prompt_audio, _or(prices.audio, plain_in)),
        PriceLine(
            Priced.PICTURES_IN,
            usage.prompt_image + usage.prompt_video,
            _or(prices.image_token, plain_in),
        ),
        PriceLine(Priced.COMPLETION, usage.completion, plain_out),
        PriceLine(Priced.REASONING, usage.reasoning, _or(prices.internal_reasoning, plain_out)),
        PriceLine(Priced.AUDIO_OUT, usage.completion_audio, _or(prices.audio_output, plain_out)),
        PriceLine(
            Priced.IMAGES_OUT, usage.completion_image, _or(prices.image_output_token, plain_out)
        ),
        PriceLine(
            Priced.REQUEST,
            0 if prices.request is None else usage.requests,
            _or(prices.request, _FREE),
        ),
        PriceLine(Priced.WEB_SEARCH, usage.web_searches, _or(prices.web_search, _FREE)),
    )
    return tuple(line for line in every if line.quantity)


def _or(price: PicoUSD | None, otherwise: PicoUSD) -> PicoUSD:
    return otherwise if price is None else price
