"""What a call costs that was made with a credential of the caller's own ("bring your own key"). Pure.

He pays his provider, and us a fee: a share of the list price, above what is free each month. How much is free
is told by list price, or as a number of requests:

    o1, 1,000 prompt and 500 completion tokens: list price $0.045
    within the allowance    $0
    above it, at 5 %        $0.00225

A call that crosses the allowance pays the fee on what is above it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.money import NANO_PER_USD, NanoUSD

__all__ = ["DEFAULT_TERMS", "ByokCharge", "ByokTerms", "byok_charge"]

_PPM: Final = 1_000_000


class ByokTerms(msgspec.Struct, frozen=True, gc=False):
    """fee_ppm: of the list price, in millionths. Of the two allowances that of requests counts, if it is given.

    allowance: list price that is free each month, nanodollars; None: all of it.
    allowance_requests: requests that are free each month; None: the allowance is by list price.
    """

    fee_ppm: int = 50_000
    allowance: NanoUSD | None = NanoUSD(25_000 * NANO_PER_USD)
    allowance_requests: int | None = None

    @property
    def is_free(self) -> bool:
        """Nobody ever pays a fee, so that nothing need be counted."""
        return self.fee_ppm == 0 or (self.allowance_requests is None and self.allowance is None)

    def units(self, list_cost: NanoUSD) -> int:
        """What a call takes of the allowance: its list price, or 1."""
        return list_cost if self.allowance_requests is None else 1

    @property
    def allowance_units(self) -> int | None:
        """The allowance in the same units; None: without end."""
        return self.allowance if self.allowance_requests is None else self.allowance_requests


DEFAULT_TERMS: Final = ByokTerms()


class ByokCharge(msgspec.Struct, frozen=True, gc=False):
    """fee: what the caller owes us. units: what the call took of the allowance, at most what was left of it."""

    fee: NanoUSD
    units: int


def byok_charge(list_cost: NanoUSD, *, left_units: int | None, terms: ByokTerms) -> ByokCharge:
    """The fee of one call, rounded up to a nanodollar.

    list_cost: what it would have cost with our credential, >= 0.
    left_units: of the month's allowance, before this call; None: without end.
    """
    assert list_cost >= 0
    wanted = terms.units(list_cost)
    units = wanted if left_units is None else min(wanted, max(0, left_units))
    # A request is free or it is not; of a list price a part may be.
    charged_in_full = terms.allowance_requests is not None
    above = (0 if units == wanted else list_cost) if charged_in_full else list_cost - units
    return ByokCharge(fee=NanoUSD(-(-above * terms.fee_ppm // _PPM)), units=units)
