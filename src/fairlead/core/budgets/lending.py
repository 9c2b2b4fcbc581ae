"""What the store gives to a process that asks for slices of budgets. Pure: the store's transaction applies it.

Two rules. No budget's spent and leased exceed its limit when something is given out. And a call gets what it
lacks of all of its budgets, or nothing: a part would be stranded.

Beyond what calls need, a process may have something in advance, but only from the eighth part of what is left:
far from its end a budget costs no trip to the store for most calls, near its end slices are exactly what calls
need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from fairlead.core.budgets.types import BudgetRef, Wanted
from fairlead.core.money import NanoUSD

__all__ = ["SHARE", "CallAsk", "Order", "Row", "Standing", "lend", "room_of"]

SHARE: Final = 8  # one process has in advance at most this part of what is left

_NOTHING: Final = NanoUSD(0)


class Row(msgspec.Struct, frozen=True, gc=False):
    """A budget's period as the store has it. limit None: unlimited."""

    limit: NanoUSD | None
    spent: NanoUSD
    leased: NanoUSD


class CallAsk(msgspec.Struct, frozen=True, gc=False):
    """One call that waits for room in all of these."""

    refs: tuple[BudgetRef, ...]
    wanted: Wanted


class Order(msgspec.Struct, frozen=True, gc=False):
    """One trip to the store.

    free: what the process has of each budget and nobody holds. calls: in the order of waiting.
    in_advance: wanted beyond what calls need. given_back: no longer wanted.
    wanted_back: budgets of which others are asked to give back what they do not need.
    done_with: nothing of ours may be left there, so the row can go.
    watched: whose standing is to be told; all of the above are among them.
    """

    watched: tuple[BudgetRef, ...]
    free: Mapping[BudgetRef, NanoUSD] = {}
    calls: tuple[CallAsk, ...] = ()
    in_advance: Mapping[BudgetRef, NanoUSD] = {}
    given_back: Mapping[BudgetRef, NanoUSD] = {}
    wanted_back: tuple[BudgetRef, ...] = ()
    done_with: tuple[BudgetRef, ...] = ()

    @property
    def changes_something(self) -> bool:
        return bool(
            self.calls or self.in_advance or self.given_back or self.wanted_back or self.done_with
        )


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How a budget's period stands after an order, for one process.

    leased: by all processes. amount: of those, by ours. settled: what ours has turned from lease into spent
        since its row began. is_new: it had no row before.
    is_wanted_back: somebody lacks what others hold without need.
    """

    limit: NanoUSD | None
    spent: NanoUSD
    leased: NanoUSD
    amount: NanoUSD = _NOTHING
    settled: NanoUSD = _NOTHING
    is_new: bool = False
    is_wanted_back: bool = False

    @property
    def room(self) -> NanoUSD | None:
        return room_of(Row(self.limit, self.spent, self.leased))


def room_of(row: Row) -> NanoUSD | None:
    """What can still be leased; below zero where a limit was lowered under what is spent. None: any amount."""
    return None if row.limit is None else NanoUSD(row.limit - row.spent - row.leased)


def lend(
    rows: Mapping[BudgetRef, Row],
    *,
    free: Mapping[BudgetRef, NanoUSD],
    calls: Iterable[CallAsk],
    in_advance: Mapping[BudgetRef, NanoUSD],
) -> dict[BudgetRef, NanoUSD]:
    """What to lease to the process in addition, for each budget; nothing where it is not named.

    rows: after what the process gave back. The rest: as in its Order.
    """
    room = {ref: room_of(row) for ref, row in rows.items()}
    unheld = {ref: max(_NOTHING, free.get(ref, _NOTHING)) for ref in rows}
    given: dict[BudgetRef, NanoUSD] = {}

    def give(ref: BudgetRef, amount: int) -> None:
        left = room[ref]
        if left is not None:
            assert amount <= left, "never more than there is"
            room[ref] = NanoUSD(left - amount)
        given[ref] = NanoUSD(given.get(ref, 0) + amount)

    for call in calls:
        least: int | None = None
        for ref in call.refs:
            left = room[ref]
            if left is not None:
                reach = unheld[ref] + max(0, left)
                least = reach if least is None or reach < least else least
        amount = call.wanted.of(None if least is None else NanoUSD(least))
        if amount is None:
            continue
        for ref in call.refs:
            taken = min(unheld[ref], amount)
            unheld[ref] = NanoUSD(unheld[ref] - taken)
            if taken < amount:
                give(ref, amount - taken)
    for ref, amount in in_advance.items():
        left = room[ref]
        if left is None or amount <= left // SHARE:
            give(ref, amount)
    return given
