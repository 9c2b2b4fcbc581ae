from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.money import (
    PICO_PER_NANO,
    PICO_PER_USD,
    NanoUSD,
    PicoUSD,
    PriceInvalid,
    nano_from_pico,
    parse_amount,
    parse_price,
    price_text,
    usd,
)


@pytest.mark.parametrize(
    ("text", "pico"),
    [
        ("0", 0),
        ("0.00000015", 150_000),
        ("0.000000000001", 1),
        ("1.5e-6", 1_500_000),
        ("2", 2 * 10**12),
    ],
)
def test_a_price_is_read_exactly(text: str, pico: int) -> None:
    assert parse_price(text) == pico


@pytest.mark.parametrize("text", ["", "free", "-1", "NaN", "Infinity", "0.0000000000001", "1,5"])
def test_a_price_that_cannot_be_held_exactly_is_refused(text: str) -> None:
    with pytest.raises(PriceInvalid):
        parse_price(text)


@pytest.mark.parametrize(
    "text", ["1e999999", "1e900000", "9" * 41, "1e32", "1.00000000000000000000000000000000000001"]
)
def test_an_amount_beyond_all_bounds_is_refused_and_never_rounded(text: str) -> None:
    with pytest.raises(PriceInvalid):
        parse_amount(text)
    assert parse_amount(f"{'9' * 30}.5") == int("9" * 30) * 10**9 + 5 * 10**8


@given(st.integers(min_value=0, max_value=10**18))
def test_a_price_survives_being_written_and_read(pico: int) -> None:
    text = price_text(PicoUSD(pico))
    assert parse_price(text) == pico
    assert "e" not in text.lower()
    assert not (("." in text) and text.endswith("0"))


@given(st.integers(min_value=0, max_value=10**18))
def test_rounding_goes_up_by_less_than_one_nanodollar(pico: int) -> None:
    nano = nano_from_pico(PicoUSD(pico))
    assert 0 <= nano * PICO_PER_NANO - pico < PICO_PER_NANO


@given(st.integers(min_value=0, max_value=4 * 10**15))
def test_an_amount_in_json_is_the_exact_amount(nano: int) -> None:
    assert parse_amount(f"{usd(NanoUSD(nano)):.9f}") == nano


def test_units_agree() -> None:
    assert parse_price("1") == PICO_PER_USD
    assert nano_from_pico(parse_price("1")) == parse_amount("1")
