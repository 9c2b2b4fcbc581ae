"""From a charge to what is charged: the call's hold is settled, and what budgets do not have is waived.

Why there is never more charged than was held and left: core/budgets/slices.py. No I/O.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.budgets.types import BudgetRef
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.gateway.ports import Hold

__all__ = ["Billed", "billed"]

_NOTHING: Final = NanoUSD(0)


class Billed(msgspec.Struct, frozen=True, gc=False):
    """charge: what the caller pays. list_cost: what it costs at list prices, whoever pays that.

    waived: what he does not pay because his budgets ended. refs: the budgets that count it.
    """

    charge: Charge
    list_cost: NanoUSD
    waived: NanoUSD
    refs: tuple[BudgetRef, ...]


def billed(hold: Hold, charge: Charge, *, is_byok: bool) -> Billed:
    """Settles the hold. is_byok: with a credential of the account's own, whose owner pays the provider."""
    cost = charge.total
    if is_byok:
        fee = hold.settle_byok(_NOTHING, cost)
        return Billed(Charge(fee, _NOTHING, _NOTHING), cost, _NOTHING, hold.refs)
    charged = hold.settle(cost)
    if charged == cost:
        return Billed(charge, cost, _NOTHING, hold.refs)
    return Billed(
        msgspec.structs.replace(charge, total=charged), cost, NanoUSD(cost - charged), hold.refs
    )
