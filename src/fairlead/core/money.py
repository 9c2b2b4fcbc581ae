"""Money is integers: prices in picodollars per unit, amounts in nanodollars.

A price of $0.15 per million tokens is 150,000 picodollars per token; sums of prices are rounded up to
nanodollars once, at the end of a charge. Why: docs/decisions/0005-money-is-integers.md
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final, NewType

__all__ = [
    "NANO_PER_USD",
    "PICO_PER_NANO",
    "PICO_PER_USD",
    "NanoUSD",
    "PicoUSD",
    "PriceInvalid",
    "amount_text",
    "nano_from_pico",
    "nano_from_usd",
    "parse_amount",
    "parse_price",
    "price_text",
    "usd",
]

PicoUSD = NewType("PicoUSD", int)
NanoUSD = NewType("NanoUSD", int)

PICO_PER_USD: Final = 10**12
NANO_PER_USD: Final = 10**9
PICO_PER_NANO: Final = 1000
DIGITS_MAX: Final = 40  # of any amount, in its smallest unit


class PriceInvalid(ValueError):
    """The text is not an amount that we can hold exactly."""


def parse_price(text: str) -> PicoUSD:
    """Dollars per unit as decimal text ("0.00000015") to picodollars, exactly or not at all.

    Raises PriceInvalid for text that is no number, is negative, or is finer than a picodollar.
    """
    return PicoUSD(_scaled(text, PICO_PER_USD, "picodollar"))


def parse_amount(text: str) -> NanoUSD:
    """Dollars as decimal text ("12.50") to nanodollars, exactly or not at all; as `parse_price`."""
    return NanoUSD(_scaled(text, NANO_PER_USD, "nanodollar"))


def nano_from_pico(pico: PicoUSD) -> NanoUSD:
    """Round up to the next nanodollar: a charge is never less than its parts."""
    return NanoUSD(-(-pico // PICO_PER_NANO))


def nano_from_usd(dollars: float) -> NanoUSD:
    """Dollars of a setting: the nearest nanodollar, so what was written with at most nine places is exact."""
    return NanoUSD(round(dollars * NANO_PER_USD))


def usd(amount: NanoUSD) -> float:
    """Dollars for JSON. The nearest double: its shortest text is exact up to $4,000,000."""
    return amount / NANO_PER_USD


def price_text(price: PicoUSD) -> str:
    """Dollars per unit as plain decimal text, without exponent or trailing zeros; 0 is "0"."""
    whole, fraction = divmod(price, PICO_PER_USD)
    if not fraction:
        return str(whole)
    return f"{whole}.{fraction:012d}".rstrip("0")


def amount_text(amount: NanoUSD) -> str:
    """Dollars as plain decimal text, exact, without trailing zeros: "-0.25"."""
    sign = "-" if amount < 0 else ""
    return sign + price_text(PicoUSD(abs(amount) * PICO_PER_NANO))


def _scaled(text: str, scale: int, unit: str) -> int:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise PriceInvalid(f"{text!r} is not a decimal number of dollars") from None
    if not value.is_finite() or value < 0:
        raise PriceInvalid(f"{text!r} is not a non-negative number of dollars")
    try:
        scaled = Context(prec=DIGITS_MAX, Emax=DIGITS_MAX, traps=[Inexact, Overflow]).multiply(
            value, Decimal(scale)
        )
    except ArithmeticError:
        raise PriceInvalid(f"{text[:80]!r} is more than we can hold exactly") from None
    if scaled != int(scaled):
        raise PriceInvalid(f"{text!r} is finer than one {unit}")
    return int(scaled)
