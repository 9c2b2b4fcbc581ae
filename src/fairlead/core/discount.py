"""What is taken off for accounts that let their prompts and answers be used: 1 % of model usage, by default.

    o1, 1,000 prompt and 500 completion tokens    $0.045
    with the discount of 10 per mille             $0.04455

The fee for a credential of the caller's own is no model usage, and has no discount.
"""

from __future__ import annotations

from typing import Final

from fairlead.core.money import NanoUSD

__all__ = ["discount_of"]

_PERMILLE: Final = 1000


def discount_of(cost: NanoUSD, permille: int) -> NanoUSD:
    """What to take off a charge, rounded down: what remains is never less than the exact amount.

    cost: nanodollars, >= 0. permille: 0 to 1000.
    """
    assert cost >= 0
    assert 0 <= permille <= _PERMILLE
    return NanoUSD(cost * permille // _PERMILLE)
