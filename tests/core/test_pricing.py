from __future__ import annotations

import calendar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.money import PicoUSD, parse_price
from fairlead.core.pricing import PriceOverride, PriceSheet, charge, prices_in_force
from fairlead.core.usage import Usage

_PRICE_NAMES = [
    field
    for field in PriceSheet.__struct_fields__
    if field not in ("overrides", "prompt", "completion")
]
_TOKEN_NAMES = [
    "prompt", "cache_read", "cache_write", "cache_write_1h", "prompt_audio", "prompt_image", "prompt_video",
    "completion", "reasoning", "completion_audio", "completion_image",
]  # fmt: skip

counts = st.integers(min_value=0, max_value=10**7)
pico = st.integers(min_value=0, max_value=10**9).map(PicoUSD)
usages = st.builds(Usage, **dict.fromkeys([*_TOKEN_NAMES, "requests", "web_searches"], counts))
sheets = st.builds(
    PriceSheet,
    prompt=pico,
    completion=pico,
    **dict.fromkeys(_PRICE_NAMES, st.none() | pico),
)


def _sum(a: Usage, b: Usage) -> Usage:
    names = [*_TOKEN_NAMES, "requests", "web_searches"]
    return Usage(**{name: getattr(a, name) + getattr(b, name) for name in names})


@given(usages, usages, sheets)
def test_splitting_a_call_is_never_cheaper(a: Usage, b: Usage, sheet: PriceSheet) -> None:
    whole = charge(_sum(a, b), sheet, at_s=0).total
    assert whole <= charge(a, sheet, at_s=0).total + charge(b, sheet, at_s=0).total


@given(usages, sheets)
def test_a_charge_is_never_negative_and_its_parts_do_not_exceed_it_by_more_than_rounding(
    usage: Usage, sheet: PriceSheet
) -> None:
    charged = charge(usage, sheet, at_s=0)
    assert charged.total >= 0
    assert charged.prompt + charged.completion <= charged.total + 1


@given(sheets, st.sampled_from(_TOKEN_NAMES), st.integers(min_value=1, max_value=10**6))
def test_no_kind_of_token_is_free_where_plain_tokens_are_not(
    sheet: PriceSheet, name: str, count: int
) -> None:
    """A provider that lists no price for, say, cached tokens must not make them free."""
    bare = PriceSheet(prompt=PicoUSD(sheet.prompt + 1), completion=PicoUSD(sheet.completion + 1))
    assert charge(Usage(**{name: count}), bare, at_s=0).total > 0


def test_each_bucket_is_charged_at_its_own_price() -> None:
    sheet = PriceSheet(
        prompt=parse_price("0.000001"),
        completion=parse_price("0.000010"),
        input_cache_read=parse_price("0.0000001"),
        input_cache_write=parse_price("0.00000125"),
        input_cache_write_1h=parse_price("0.000002"),
        internal_reasoning=parse_price("0.000020"),
        request=parse_price("0.005"),
    )
    usage = Usage(
        prompt=1000,
        cache_read=2000,
        cache_write=400,
        cache_write_1h=100,
        completion=50,
        reasoning=10,
    )
    charged = charge(usage, sheet, at_s=0)
    # $0.001 + $0.0002 + $0.0005 + $0.0002, then $0.0005 + $0.0002, then $0.005 for the request.
    assert charged.prompt == 1_900_000
    assert charged.completion == 700_000
    assert charged.total == 7_600_000


def test_o1_costs_what_its_price_list_says() -> None:
    sheet = PriceSheet(
        prompt=parse_price("0.000015"),
        completion=parse_price("0.00006"),
        input_cache_read=parse_price("0.0000075"),
    )
    usage = Usage(prompt=744, cache_read=256, completion=200, reasoning=300)
    assert charge(usage, sheet, at_s=0).total == 744 * 15_000 + 256 * 7_500 + 500 * 60_000


_LONG = PriceOverride(prices={"prompt": parse_price("0.0000025")}, min_prompt_tokens=200_000)
_TIERED = PriceSheet(
    prompt=parse_price("0.00000125"), completion=parse_price("0.00001"), overrides=(_LONG,)
)


@pytest.mark.parametrize(
    ("prompt", "cached", "price"), [(200_000, 0, 1_250), (150_000, 50_001, 2_500)]
)
def test_a_long_prompt_is_billed_whole_at_the_long_price(
    prompt: int, cached: int, price: int
) -> None:
    """Strictly more than the threshold, cached tokens included."""
    usage = Usage(prompt=prompt, cache_read=cached)
    assert charge(usage, _TIERED, at_s=0).total == (prompt + cached) * price


def _at(text: str) -> float:
    day, clock = text.split()
    year, month, date = map(int, day.split("-"))
    hour, minute = map(int, clock.split(":"))
    return float(calendar.timegm((year, month, date, hour, minute, 0)))


@pytest.mark.parametrize(
    ("when", "start", "end", "weekdays", "holds"),
    [
        ("2026-11-20 01:00", 100, 400, None, True),  # a Friday
        ("2026-11-20 00:59", 100, 400, None, False),
        ("2026-11-20 04:00", 100, 400, None, False),  # half open
        ("2026-11-20 23:30", 2200, 600, None, True),  # wraps midnight
        ("2026-11-20 05:59", 2200, 600, None, True),
        ("2026-11-20 12:00", 2200, 600, None, False),
        ("2026-11-20 01:00", 100, 400, (1, 2, 3, 4, 5), True),
        ("2026-11-21 01:00", 100, 400, (1, 2, 3, 4, 5), False),  # a Saturday
    ],
)
def test_prices_by_time_of_day(
    when: str, start: int, end: int, weekdays: tuple[int, ...] | None, holds: bool
) -> None:
    override = PriceOverride(
        prices={"prompt": PicoUSD(2)}, utc_start=start, utc_end=end, weekdays=weekdays
    )
    sheet = PriceSheet(prompt=PicoUSD(1), overrides=(override,))
    assert prices_in_force(sheet, prompt_tokens=1, at_s=_at(when)).prompt == (2 if holds else 1)


def test_of_overrides_that_apply_the_later_wins_price_by_price() -> None:
    sheet = PriceSheet(
        prompt=PicoUSD(1),
        completion=PicoUSD(1),
        overrides=(
            PriceOverride(
                prices={"prompt": PicoUSD(2), "completion": PicoUSD(2)}, min_prompt_tokens=1
            ),
            PriceOverride(prices={"prompt": PicoUSD(3)}, min_prompt_tokens=2),
        ),
    )
    in_force = prices_in_force(sheet, prompt_tokens=3, at_s=0)
    assert (in_force.prompt, in_force.completion) == (3, 2)
    assert msgspec.structs.replace(in_force, overrides=()).prompt == 3
