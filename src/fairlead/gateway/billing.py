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

    discount: what was taken off. waived: what he does not pay because his budgets ended. refs: the budgets
    that count it.
    """

    charge: Charge
    list_cost: NanoUSD
    waived: NanoUSD
    refs: tuple[BudgetRef, ...]
    discount: NanoUSD = _NOTHING


def billed(
    hold: Hold,
    charge: Charge,
    *,
    is_byok: bool,
    fee: NanoUSD = _NOTHING,
    discount: NanoUSD = _NOTHING,
) -> Billed:
    """Settles the hold. is_byok: with a credential of the account's own, whose owner pays the provider, and us
    the fee. discount: taken off what is not."""
    cost = charge.total
    if is_byok:
        paid = hold.settle_byok(fee, cost)
        told = msgspec.structs.replace(charge, total=paid, upstream=cost)
        return Billed(told, cost, NanoUSD(fee - paid), hold.refs)
    owed = NanoUSD(cost - discount)
    charged = hold.settle(owed)
    if charged == cost:
        return Billed(charge, cost, _NOTHING, hold.refs)
    told = msgspec.structs.replace(charge, total=charged)
    return Billed(told, cost, NanoUSD(owed - charged), hold.refs, discount)
