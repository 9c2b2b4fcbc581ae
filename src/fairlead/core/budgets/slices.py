"""What one process has of each budget, and what it does with it: the ledger of holds. Pure.

    free ──hold──> held ──settle──> charged      free, held and charged together are what the store has
      ^              │                           leased to us, less what the settler has made of it
      └──release─────┴── what was not used

Theory of operation. The store leases slices of budgets to processes (`lending.py`). Calls are held against
slices here, several budgets at once, all or nothing and without waiting, so of a thousand parallel calls no two
are held against the same money. A settled call's charge stays part of the slice until the settler has turned
it from lease into spent, in the transaction that records the call: that changes nothing here, because what
the store then has settled for us and what it still leases to us add up to the same.

So one number says how much we may hold: leased and settled together, as the store has them. Every answer of
the store tells it, and `free` is worked out from it anew; should it ever be unknown how a trip to the store
ended, the next answer says so. Until then what was to be given back counts as given back, and what was asked
for as not received.

A store that is away changes nothing here either: what is free may be held, and no more. That is the whole
exposure; see docs/operate/budgets.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from fairlead.core.budgets.lending import SHARE, CallAsk, Order, Standing
from fairlead.core.budgets.types import BudgetKind as Kind
from fairlead.core.budgets.types import (
    BudgetRef,
    CallerBudget,
    Wanted,
    period_of,
    reference,
    split,
)
from fairlead.core.ids import BudgetId
from fairlead.core.money import NANO_PER_USD, NanoUSD

__all__ = ["NOTHING_HELD", "Figures", "Held", "Lack", "NothingHeld", "Slices"]

AHEAD_CALLS: Final = 8  # a slice begins with as many calls like the one that opened it
SLICE_MAX: Final = NanoUSD(5 * NANO_PER_USD)
IDLE_S: Final = 2.0  # so long without a call: near its end, nothing more is wanted in advance
KEPT_S: Final = 60.0  # and so long: far from its end neither, and what is there is given back

_NOTHING: Final = NanoUSD(0)
_ACCOUNT: Final = Kind.ACCOUNT
_BYOK: Final = Kind.BYOK


class _Slice:
    """What we have of one period of one budget.

    base: of what the store had leased and settled when its row was begun anew, the part that is over.
    room: what the store could lease at its last answer; None: any amount. others: what it had leased to them.
    aim: what should be free in advance; low: below this much, it is time for more.
    """

    __slots__ = (
        "aim",
        "amount",
        "base",
        "budget",
        "charged",
        "ends_s",
        "free",
        "has_answer",
        "held",
        "is_wanted_back",
        "last",
        "limit",
        "low",
        "others",
        "ref",
        "reset",
        "room",
        "target",
        "used_s",
    )

    def __init__(self, budget: CallerBudget, ref: BudgetRef, ends_s: float, now_s: float) -> None:
        self.budget = budget.id
        self.reset = budget.reset
        self.ref = ref
        self.ends_s = ends_s
        self.used_s = now_s
        self.free = self.held = self.charged = self.base = 0
        self.amount = self.others = 0
        self.limit: int | None = None
        self.room: int | None = 0
        self.target = self.last = self.aim = self.low = 0
        self.is_wanted_back = False
        self.has_answer = False

    @property
    def left(self) -> int | None:
        """For one more call, here or at the store."""
        return None if self.room is None else max(0, self.free) + max(0, self.room)

    def is_at_rest(self) -> bool:
        return self.free == 0 and self.held == 0 and self.amount == 0


class Lack(msgspec.Struct, frozen=True, gc=False):
    """Why a call cannot be held now.

    needed: the least that it takes. left: of that budget, for it. limit: of the period.
    is_final: not even if all calls under way, here and elsewhere, should cost nothing.
    """

    budget: CallerBudget
    needed: NanoUSD
    left: NanoUSD
    limit: NanoUSD
    is_final: bool


class Figures(msgspec.Struct, frozen=True, gc=False):
    """All slices together, in nanodollars. free: what may be spent while the store is away."""

    slices: int
    free: NanoUSD
    held: NanoUSD


class NothingHeld:
    """For calls that no budget limits."""

    __slots__ = ()

    amount: Final = None
    refs: Final[tuple[BudgetRef, ...]] = ()

    def settle(self, cost: NanoUSD) -> NanoUSD:
        return cost

    def settle_byok(self, fee: NanoUSD, _: NanoUSD) -> NanoUSD:
        return fee

    def undo(self) -> None:
        """Nothing was charged to a budget."""

    def release(self) -> None:
        """Nothing is held."""


NOTHING_HELD: Final = NothingHeld()


class Held:
    """One call's hold on each of its budgets. It is settled or released, once.

    amount: nanodollars, the same of each budget. refs: the budgets that its charge counts in.
    """

    __slots__ = ("_budgets", "_charges", "_is_open", "_owner", "_slices", "amount", "refs")

    def __init__(
        self,
        owner: Slices,
        budgets: Sequence[CallerBudget],
        slices: Sequence[_Slice],
        amount: NanoUSD,
    ) -> None:
        self._owner = owner
        self._budgets = budgets
        self._slices = slices
        self._is_open = True
        self._charges: Sequence[int] = ()
        self.amount = amount
        self.refs = tuple([one.ref for one in slices])

    def settle(self, cost: NanoUSD) -> NanoUSD:
        """Charge what the call cost, and free the rest. Returns what is charged.

        A call that cost more than was held for it takes the rest from the slices; what they do not have, nobody
        is charged: a budget is never overshot.
        """
        assert self._is_open, "a hold ends once"
        self._is_open = False
        held, charged = self.amount, cost
        if cost > held:
            beyond = cost - held
            for one in self._slices:
                if one.free < beyond:
                    beyond = max(0, one.free)
            charged = NanoUSD(held + beyond)
        unused = held - charged
        for one in self._slices:
            one.held -= held
            one.charged += charged
            one.free += unused
        self._charges = (charged,) * len(self._slices)
        if unused > 0:
            self._owner.came_free()
        return charged

    def settle_byok(self, fee: NanoUSD, list_cost: NanoUSD) -> NanoUSD:
        """As `settle`, for a call with a credential of the account's own: the account pays the fee, and of
        the other budgets those count it that are to count such calls, at its list price."""
        assert self._is_open, "a hold ends once"
        self._is_open = False
        charges: list[int] = []
        counted: list[BudgetRef] = []
        charged = fee
        for one, budget in zip(self._slices, self._budgets, strict=True):
            cost = 0
            if budget.kind is _ACCOUNT:
                cost = charged = NanoUSD(min(fee, self.amount + max(0, one.free)))
                counted.append(one.ref)
            elif budget.counts_byok or budget.kind is _BYOK:
                cost = list_cost
                counted.append(one.ref)
            one.held -= self.amount
            one.charged += cost
            one.free += self.amount - cost
            charges.append(cost)
        self._charges = charges
        self.refs = tuple(counted)
        self._owner.came_free()
        return charged

    def undo(self) -> None:
        """What was settled could not be recorded, so it is not charged: the call is held as before.

        Not later than the same turn of the event loop: what had come free is still there.
        """
        assert not self._is_open, "only what was settled"
        self._is_open = True
        charges, self._charges = self._charges, ()
        for one, charged in zip(self._slices, charges, strict=True):
            one.charged -= charged
            one.held += self.amount
            one.free -= self.amount - charged
        self.refs = tuple([one.ref for one in self._slices])

    def release(self) -> None:
        """Nothing is charged. Of a hold that has ended already, nothing is left to release."""
        if not self._is_open:
            return
        self._is_open = False
        for one in self._slices:
            one.held -= self.amount
            one.free += self.amount
        self._owner.came_free()


class Slices:
    """All that this process has of budgets. Belongs to one event loop; nothing here waits.

    wake: called when there is something to ask the store: `order` then says what. It may be called often.
    slice_max: nanodollars of one budget that may lie here in advance.

    slices = Slices(wake=event.set)
    held = slices.hold(caller.budgets, wanted, now_s)  # None: not from what is here
    ...
    order = slices.order(waiting, now_s)  # one at a time: until it is answered, no other
    slices.answered(order, standings, now_s)
    """

    __slots__ = ("_closing", "_current", "_hungry", "_slice_max", "_wake", "waiting_count")

    def __init__(self, *, wake: Callable[[], None], slice_max: NanoUSD = SLICE_MAX) -> None:
        self._wake = wake
        self._slice_max = slice_max
        self._current: dict[BudgetId, _Slice] = {}
        self._closing: dict[BudgetRef, _Slice] = {}  # of periods that are over
        self._hungry: set[BudgetId] = set()  # of which there is little left
        self.waiting_count = 0  # calls that wait for room; kept by who lets them wait

    # --- calls ---

    def hold(self, budgets: Sequence[CallerBudget], wanted: Wanted, now_s: float) -> Held | None:
        """Hold one call on all of its budgets; None: it must be asked for. budgets: at least one."""
        found: list[_Slice] = []
        left: int | None = None
        current = self._current
        for budget in budgets:
            one = current.get(budget.id)
            if one is None or now_s >= one.ends_s or one.reset is not budget.reset:
                return None
            found.append(one)
            room = one.room
            if room is not None:
                reach = one.free + room if room > 0 else one.free
                if left is None or reach < left:
                    left = reach
        amount = wanted.full
        if left is not None and amount << 2 > left:
            chosen = wanted.of(NanoUSD(left))
            if chosen is None:
                return None
            amount = chosen
        for one in found:
            if one.free < amount:
                return None
        for one in found:
            one.free -= amount
            one.held += amount
            one.used_s = now_s
            one.last = amount
            if one.free < one.low:
                self._hungry.add(one.budget)
                self._wake()
        return Held(self, budgets, found, amount)

    def came_free(self) -> None:
        """Something that was held is not any more."""
        if self.waiting_count:
            self._wake()

    def lack(self, budgets: Sequence[CallerBudget], wanted: Wanted, now_s: float) -> Lack | None:
        """Why a call cannot be held, as far as the last answer tells; None: it can, or nobody knows."""
        lack: Lack | None = None
        is_final = False
        for budget in budgets:
            one = self._current.get(budget.id)
            if one is None or now_s >= one.ends_s or not one.has_answer:
                return None
            left = one.left
            if left is None or left >= wanted.least:
                continue
            is_final |= left + one.held + one.others < wanted.least
            if lack is None:
                assert one.limit is not None
                lack = Lack(budget, wanted.least, NanoUSD(left), NanoUSD(one.limit), is_final=False)
        return (
            lack if lack is None or not is_final else msgspec.structs.replace(lack, is_final=True)
        )

    # --- the store ---

    @property
    def is_pressing(self) -> bool:
        """Something had better be ordered soon."""
        return bool(self._hungry) or any(
            one.is_wanted_back and one.free > 0 for one in self._current.values()
        )

    def order(
        self,
        waiting: Iterable[tuple[Sequence[CallerBudget], Wanted]],
        now_s: float,
        *,
        everything: bool = True,
    ) -> Order | None:
        """What to ask the store now; None: nothing.

        waiting: calls that could not be held, in their order. everything: about all slices; else only about
        those that calls wait for, or of which there is little left.
        """
        self._turn(now_s)
        calls, lacking = self._calls(waiting, now_s)
        if everything:
            concerned = self._all()
        else:
            concerned = [
                one
                for one in self._current.values()
                if one.ref in lacking or one.budget in self._hungry or one.is_wanted_back
            ]
        self._hungry.clear()
        in_advance: dict[BudgetRef, NanoUSD] = {}
        given_back: dict[BudgetRef, NanoUSD] = {}
        done_with: list[BudgetRef] = []
        wanted_back: list[BudgetRef] = []
        for one in concerned:
            is_lacking = one.ref in lacking
            self._aim(one, now_s, is_lacking=is_lacking)
            if is_lacking:
                if one.others:
                    wanted_back.append(one.ref)
            elif one.free > one.aim * 2:
                given_back[one.ref] = NanoUSD(one.free - one.aim)
                one.free = one.aim
            if one.free < one.aim >> 1:
                in_advance[one.ref] = NanoUSD(one.aim - max(0, one.free))
            if (
                one.is_at_rest()
                and one.has_answer
                and not is_lacking
                # Used long after now: by a clock that was set back.
                and (one.ref in self._closing or not -KEPT_S <= now_s - one.used_s <= IDLE_S)
            ):
                done_with.append(one.ref)
        if not concerned:
            return None
        return Order(
            watched=tuple([one.ref for one in concerned]),
            free={one.ref: NanoUSD(one.free) for one in concerned if one.ref in lacking},
            calls=calls,
            in_advance=in_advance,
            given_back=given_back,
            wanted_back=tuple(wanted_back),
            done_with=tuple(done_with),
        )

    def answered(self, order: Order, standings: Mapping[BudgetRef, Standing]) -> None:
        """The store's answer to it. Not called where there was none, or nobody knows what it was."""
        for ref in order.watched:
            one = self._closing.get(ref) or self._current.get(split(ref)[0])
            if one is not None and one.ref == ref and (standing := standings.get(ref)) is not None:
                self._learn(one, standing)
        for ref in order.done_with:
            self._forget(ref)

    @property
    def count(self) -> int:
        return len(self._current) + len(self._closing)

    def free(self) -> dict[BudgetRef, NanoUSD]:
        """What nobody holds, of each budget."""
        return {one.ref: NanoUSD(one.free) for one in self._all()}

    def figures(self) -> Figures:
        everything = self._all()
        return Figures(
            slices=len(everything),
            free=NanoUSD(sum(max(0, one.free) for one in everything)),
            held=NanoUSD(sum(one.held for one in everything)),
        )

    def _all(self) -> list[_Slice]:
        return [*self._current.values(), *self._closing.values()]

    def _turn(self, now_s: float) -> None:
        """Slices of periods that are over serve the calls that are held on them, and no other."""
        over = [one for one in self._current.values() if now_s >= one.ends_s]
        for one in over:
            del self._current[one.budget]
            self._closing[one.ref] = one

    def _calls(
        self, waiting: Iterable[tuple[Sequence[CallerBudget], Wanted]], now_s: float
    ) -> tuple[tuple[CallAsk, ...], set[BudgetRef]]:
        calls: list[CallAsk] = []
        lacking: set[BudgetRef] = set()
        for budgets, wanted in waiting:
            slices = [self._of(budget, now_s) for budget in budgets]
            for one in slices:
                one.used_s = now_s
                one.last = wanted.full
                if one.ref not in lacking:
                    one.target = min(
                        self._slice_max, max(one.target * 2, wanted.full * AHEAD_CALLS)
                    )
            refs = tuple([one.ref for one in slices])
            lacking.update(refs)
            calls.append(CallAsk(refs, wanted))
        return tuple(calls), lacking

    def _of(self, budget: CallerBudget, now_s: float) -> _Slice:
        one = self._current.get(budget.id)
        if one is not None and one.reset is budget.reset:
            return one
        if one is not None:  # it has other periods now
            self._closing[one.ref] = one
        period = period_of(budget.reset, now_s)
        ref = reference(budget.id, period.name)
        one = self._closing.pop(
            ref, None
        )  # of a clock that was set back, or periods that begin alike
        if one is None:
            one = _Slice(budget, ref, period.ends_s, now_s)
        one.reset, one.ends_s = budget.reset, period.ends_s
        self._current[budget.id] = one
        return one

    def _aim(self, one: _Slice, now_s: float, *, is_lacking: bool) -> None:
        """How much of it should be free in advance."""
        idle_s = now_s - one.used_s
        if one.free < one.low and not is_lacking:  # it is used faster than we thought
            one.target = min(self._slice_max, max(one.target * 2, one.last * AHEAD_CALLS))
        elif idle_s > KEPT_S or idle_s < -KEPT_S:
            one.target = 0
        aim = one.target
        if one.is_wanted_back or now_s >= one.ends_s or one.ref in self._closing:
            aim = 0
        elif one.has_answer and one.room is not None:
            share = max(0, one.room + one.free) // SHARE
            if share < aim:  # near its end
                aim = share if share >= one.last and idle_s <= IDLE_S else 0
        one.aim = aim
        one.low = aim >> 2

    def _learn(self, one: _Slice, standing: Standing) -> None:
        if standing.is_new:
            one.base = one.held + one.charged
        one.amount = standing.amount
        one.free = standing.amount + standing.settled + one.base - one.held - one.charged
        one.limit = standing.limit
        one.room = standing.room
        one.others = standing.leased - standing.amount
        one.is_wanted_back = standing.is_wanted_back
        one.has_answer = True

    def _forget(self, ref: BudgetRef) -> None:
        one = self._closing.get(ref)
        if one is not None:
            if one.is_at_rest():
                del self._closing[ref]
            return
        one = self._current.get(split(ref)[0])
        if one is not None and one.ref == ref and one.is_at_rest():
            del self._current[one.budget]
