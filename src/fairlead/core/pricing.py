"""What a call costs: usage times the price sheet in force when the call began, rounded up once.

A sheet may hold overrides: replacement prices that apply under conditions (a long prompt, hours of the
day). The whole request is billed at the tier it falls in, not marginally. Of the overrides that apply,
the later wins, price by price; a price that an override does not name keeps its base value.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from fairlead.core.money import NanoUSD, PicoUSD, nano_from_pico
from fairlead.core.usage import Usage

__all__ = [
    "PRICE_NAMES",
    "Charge",
    "PriceOverride",
    "PriceSheet",
    "charge",
    "charges",
    "price_version",
    "prices_in_force",
]

_MINUTES_PER_DAY = 24 * 60
_SECONDS_PER_DAY = 86_400
_EPOCH_ISO_WEEKDAY = 4  # 1970-01-01 was a Thursday


class PriceOverride(msgspec.Struct, frozen=True, omit_defaults=True):
    """Replacement prices and when they hold: all conditions given must.

    min_prompt_tokens: prompt tokens, cached ones included, are strictly more than this.
    utc_start, utc_end: UTC clock time as HHMM is in [start, end); may wrap midnight.
    weekdays: ISO weekday in UTC, 1 = Monday.
    prices: the sheet's price names to picodollars.
    """

    prices: dict[str, PicoUSD]
    min_prompt_tokens: int | None = None
    utc_start: int | None = None
    utc_end: int | None = None
    weekdays: tuple[int, ...] | None = None


class PriceSheet(msgspec.Struct, frozen=True, omit_defaults=True):
    """Picodollars per unit. None means "no price of its own": see `charge` for what is taken instead."""

    prompt: PicoUSD = PicoUSD(0)
    completion: PicoUSD = PicoUSD(0)
    internal_reasoning: PicoUSD | None = None
    input_cache_read: PicoUSD | None = None
    input_cache_write: PicoUSD | None = None
    input_cache_write_1h: PicoUSD | None = None
    audio: PicoUSD | None = None
    audio_output: PicoUSD | None = None
    input_audio_cache: PicoUSD | None = None
    image_token: PicoUSD | None = None
    image_output_token: PicoUSD | None = None
    request: PicoUSD | None = None
    web_search: PicoUSD | None = None
    image_output: PicoUSD | None = None  # per image
    audio_second: PicoUSD | None = None
    character: PicoUSD | None = None
    overrides: tuple[PriceOverride, ...] = ()


PRICE_NAMES: Final = frozenset(PriceSheet.__struct_fields__) - {"overrides"}


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What one generation costs, in nanodollars. `total` is rounded once; the parts are for display.

    upstream: where the caller pays his provider himself, what that is at list prices; `total` is our fee.
    """

    total: NanoUSD
    prompt: NanoUSD
    completion: NanoUSD
    upstream: NanoUSD | None = None


def price_version(sheet: PriceSheet) -> str:
    """A name that means exactly these prices, for ever: equal sheets share it, others never do."""
    canonical = msgspec.json.encode(sheet, order="sorted")
    return f"ps-{blake2b(canonical, digest_size=10).hexdigest()}"


def charge(usage: Usage, sheet: PriceSheet, *, at_s: float) -> Charge:
    """Price one finished generation.

    usage: disjoint counts, each >= 0.
    sheet: the version in force when the call began.
    at_s: when it began, Unix seconds.

    A token kind without a price of its own costs what plain tokens of its side cost: cached, image,
    audio and video input as `prompt`; reasoning, image and audio output as `completion`; a one-hour
    cache write as a short one. That can charge too much where a provider is generous, never too little.
    """
    pico_in, pico_out, pico_other = _pico(usage, sheet, at_s)
    return _rounded(pico_in, pico_out, pico_other)


def charges(parts: Sequence[tuple[Usage, PriceSheet]], at_s: float) -> Charge:
    """Price one generation of several parts, each at its own prices; rounded once, as `charge`."""
    picos = [_pico(usage, sheet, at_s) for usage, sheet in parts]
    return _rounded(*(sum(column) for column in zip(*picos, strict=True)))


def _rounded(pico_in: int, pico_out: int, pico_other: int) -> Charge:
    return Charge(
        total=nano_from_pico(PicoUSD(pico_in + pico_out + pico_other)),
        prompt=nano_from_pico(PicoUSD(pico_in)),
        completion=nano_from_pico(PicoUSD(pico_out)),
    )


def _pico(usage: Usage, sheet: PriceSheet, at_s: float) -> tuple[int, int, int]:
    """Picodollars for the prompt, for the answer, and for what is no token."""
    if sheet.overrides:
        sheet = prices_in_force(sheet, prompt_tokens=usage.prompt_tokens, at_s=at_s)
    plain_in = sheet.prompt
    pico_in = usage.prompt * plain_in
    if usage.cache_read:
        pico_in += usage.cache_read * _or(sheet.input_cache_read, plain_in)
    if usage.cache_write or usage.cache_write_1h:
        short = _or(sheet.input_cache_write, plain_in)
        pico_in += usage.cache_write * short
        pico_in += usage.cache_write_1h * _or(sheet.input_cache_write_1h, short)
    if usage.prompt_audio:
        pico_in += usage.prompt_audio * _or(sheet.audio, plain_in)
    if usage.prompt_image or usage.prompt_video:
        pico_in += (usage.prompt_image + usage.prompt_video) * _or(sheet.image_token, plain_in)

    plain_out = sheet.completion
    pico_out = usage.completion * plain_out
    if usage.reasoning:
        pico_out += usage.reasoning * _or(sheet.internal_reasoning, plain_out)
    if usage.completion_audio:
        pico_out += usage.completion_audio * _or(sheet.audio_output, plain_out)
    if usage.completion_image:
        pico_out += usage.completion_image * _or(sheet.image_output_token, plain_out)

    pico_other = 0
    if sheet.request is not None:
        pico_other += usage.requests * sheet.request
    if usage.web_searches and sheet.web_search is not None:
        pico_other += usage.web_searches * sheet.web_search
    return pico_in, pico_out, pico_other


def prices_in_force(sheet: PriceSheet, *, prompt_tokens: int, at_s: float) -> PriceSheet:
    """The sheet with the overrides that hold for this request folded in."""
    replaced: dict[str, PicoUSD] = {}
    for override in sheet.overrides:
        if _holds(override, prompt_tokens=prompt_tokens, at_s=at_s):
            replaced.update(override.prices)
    if not replaced:
        return sheet
    return msgspec.structs.replace(sheet, **replaced)


def _holds(override: PriceOverride, *, prompt_tokens: int, at_s: float) -> bool:
    threshold = override.min_prompt_tokens
    if threshold is not None and prompt_tokens <= threshold:
        return False
    days, second_of_day = divmod(int(at_s), _SECONDS_PER_DAY)
    if override.weekdays is not None:
        if (days + _EPOCH_ISO_WEEKDAY - 1) % 7 + 1 not in override.weekdays:
            return False
    if override.utc_start is not None and override.utc_end is not None:
        minute = second_of_day // 60
        start, end = _minute_of(override.utc_start), _minute_of(override.utc_end)
        inside = start <= minute < end if start <= end else (minute >= start or minute < end)
        if not inside:
            return False
    return True


def _minute_of(hhmm: int) -> int:
    return (hhmm // 100 * 60 + hhmm % 100) % _MINUTES_PER_DAY


def _or(price: PicoUSD | None, otherwise: PicoUSD) -> PicoUSD:
    return otherwise if price is None else price
