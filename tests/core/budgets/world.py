"""Processes that share budgets, one step at a time, and what must hold after each of them.

The store is given: the model below, or the real one. Everything random is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fairlead.core.budgets.lending import Order, Row, Standing, lend
from fairlead.core.budgets.slices import Held, Slices
from fairlead.core.budgets.types import BudgetRef, CallerBudget, Wanted, split
from fairlead.core.ids import BudgetId
from fairlead.core.money import NanoUSD

PATIENCE_ORDERS = 200


@dataclass
class Shelf:
    """One budget's period as the store has it. leases: by holder."""

    limit: int | None
    spent: int = 0
    leases: dict[str, int] = field(default_factory=dict)

    @property
    def leased(self) -> int:
        return sum(self.leases.values())


class Store(Protocol):
    now_s: float

    def exchange(self, holder: str, order: Order) -> dict[BudgetRef, Standing]: ...

    def settle(self, holder: str, charged: Mapping[BudgetRef, NanoUSD]) -> None: ...

    def give_back_all(self, holder: str) -> None: ...

    def limit(self, budget: CallerBudget, limit: int | None) -> None: ...

    def shelves(self) -> dict[BudgetRef, Shelf]: ...


class ModelStore:
    """As the database does it, in a dictionary."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._limits: dict[BudgetId, int | None] = {}
        self._shelves: dict[BudgetRef, Shelf] = {}
        self._settled: dict[tuple[BudgetRef, str], int] = {}  # a key: the lease has a row
        self._wanted_back_s: dict[BudgetRef, float] = {}

    def exchange(self, holder: str, order: Order) -> dict[BudgetRef, Standing]:
        leasing = {ref for call in order.calls for ref in call.refs} | set(order.in_advance)
        had = {ref for ref in order.watched if (ref, holder) in self._settled}
        for ref in leasing:
            self._shelves.setdefault(ref, Shelf(self._limits.get(split(ref)[0])))
        for ref, amount in order.given_back.items():
            if ref in had:
                self._shelves[ref].leases[holder] -= min(amount, self._shelves[ref].leases[holder])
        rows = {
            ref: Row(_nano(shelf.limit), NanoUSD(shelf.spent), NanoUSD(shelf.leased))
            for ref, shelf in self._shelves.items()
            if ref in leasing
        }
        given = lend(rows, free=order.free, calls=order.calls, in_advance=order.in_advance)
        for ref, amount in given.items():
            shelf = self._shelves[ref]
            shelf.leases[holder] = shelf.leases.get(holder, 0) + amount
            self._settled.setdefault((ref, holder), 0)
        for ref in order.wanted_back:
            self._wanted_back_s[ref] = self.now_s
        for ref in order.done_with:
            if (ref, holder) in self._settled and not self._shelves[ref].leases[holder]:
                del self._settled[ref, holder]
                had.discard(ref)
        return {ref: self._standing(ref, holder, is_new=ref not in had) for ref in order.watched}

    def settle(self, holder: str, charged: Mapping[BudgetRef, NanoUSD]) -> None:
        for ref, amount in charged.items():
            shelf = self._shelves.setdefault(ref, Shelf(self._limits.get(split(ref)[0])))
            shelf.spent += amount
            if (ref, holder) in self._settled:
                shelf.leases[holder] -= min(shelf.leases[holder], amount)
                self._settled[ref, holder] += amount

    def give_back_all(self, holder: str) -> None:
        for ref, shelf in self._shelves.items():
            shelf.leases.pop(holder, None)
            self._settled.pop((ref, holder), None)

    def limit(self, budget: CallerBudget, limit: int | None) -> None:
        self._limits[budget.id] = limit
        for ref, shelf in self._shelves.items():
            if split(ref)[0] == budget.id:
                shelf.limit = limit

    def shelves(self) -> dict[BudgetRef, Shelf]:
        return self._shelves

    def _standing(self, ref: BudgetRef, holder: str, *, is_new: bool) -> Standing:
        shelf = self._shelves.get(ref, Shelf(self._limits.get(split(ref)[0])))
        return Standing(
            limit=_nano(shelf.limit),
            spent=NanoUSD(shelf.spent),
            leased=NanoUSD(shelf.leased),
            amount=NanoUSD(shelf.leases.get(holder, 0)),
            settled=NanoUSD(self._settled.get((ref, holder), 0)),
            is_new=is_new,
            is_wanted_back=self.now_s - self._wanted_back_s.get(ref, -100.0) < 3.0,
        )


def _nano(amount: int | None) -> NanoUSD | None:
    return None if amount is None else NanoUSD(amount)


@dataclass
class Process:
    """journal: charges that the settler has not taken yet."""

    name: str
    slices: Slices
    holds: list[Held] = field(default_factory=list)
    journal: list[tuple[tuple[BudgetRef, ...], NanoUSD]] = field(default_factory=list)
    waiting: list[tuple[tuple[CallerBudget, ...], Wanted]] = field(default_factory=list)
    wakes: int = 0


class World:
    """charged: to each budget's period, by all calls that were recorded. cap: the highest limit so far."""

    def __init__(self, store: Store, processes: int) -> None:
        self.store = store
        self.charged: dict[BudgetRef, int] = {}
        self.cap: dict[BudgetId, int] = {}
        self.now_s = 1_795_305_540.0  # 2026-11-21, a minute before midnight
        self.store.now_s = self.now_s
        self._births = 0
        self.processes = [self._born() for _ in range(processes)]

    def set_limit(self, budget: CallerBudget, limit: int) -> None:
        self.cap[budget.id] = max(limit, self.cap.get(budget.id, 0))
        self.store.limit(budget, limit)

    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.store.now_s = self.now_s

    def call(self, process: Process, budgets: tuple[CallerBudget, ...], wanted: Wanted) -> bool:
        held = process.slices.hold(budgets, wanted, self.now_s)
        if held is None:
            process.waiting.append((budgets, wanted))
            process.slices.waiting_count += 1
            return False
        assert wanted.least <= held.amount <= wanted.full
        process.holds.append(held)
        return True

    def end(self, process: Process, index: int, cost: int) -> None:
        """cost: what it used, perhaps more than was held."""
        held = process.holds.pop(index)
        charged = held.settle(NanoUSD(cost))
        assert 0 <= charged <= cost
        process.journal.append((held.refs, charged))

    def fail(self, process: Process, index: int, *, is_settled: bool) -> None:
        held = process.holds.pop(index)
        if is_settled:
            held.settle(held.amount)
            held.undo()
        held.release()
        held.release()

    def trip(self, process: Process, *, arrives: bool = True, answers: bool = True) -> bool:
        """To the store and back. arrives: it gets there. answers: we learn what became of it."""
        order = process.slices.order(process.waiting, self.now_s)
        if order is None:
            return False
        if arrives:
            before = {ref: shelf.leased for ref, shelf in self.store.shelves().items()}
            standings = self.store.exchange(process.name, order)
            for ref, shelf in self.store.shelves().items():
                if shelf.leased > before.get(ref, 0) and shelf.limit is not None:
                    assert shelf.spent + shelf.leased <= shelf.limit, ref
            if answers:
                process.slices.answered(order, standings)
        self.serve(process)
        return order.changes_something

    def serve(self, process: Process) -> None:
        """Those who wait try again."""
        waiting, process.waiting = process.waiting, []
        process.slices.waiting_count = 0
        for budgets, wanted in waiting:
            self.call(process, budgets, wanted)

    def settler(self, process: Process, count: int) -> None:
        for _ in range(min(count, len(process.journal))):
            refs, charged = process.journal.pop(0)
            self._settle(process, refs, charged)

    def crash(self, process: Process) -> None:
        """kill -9: what it held is gone; whoever finishes its journal gives its leases back."""
        self.processes.remove(process)
        for refs, charged in process.journal:
            self._settle(process, refs, charged)
        self.store.give_back_all(process.name)
        self.processes.append(self._born())

    def check(self) -> None:
        for ref, shelf in self.store.shelves().items():
            assert all(amount >= 0 for amount in shelf.leases.values())
            if (cap := self.cap.get(split(ref)[0])) is not None:
                assert shelf.spent + shelf.leased <= cap, ref
            assert shelf.spent == self.charged.get(ref, 0), ref
        for process in self.processes:
            mine: dict[BudgetRef, int] = {}
            for refs, charged in process.journal:
                for ref in refs:
                    mine[ref] = mine.get(ref, 0) + charged
            for held in process.holds:
                for ref in held.refs:
                    mine[ref] = mine.get(ref, 0) + held.amount
            for ref, free in process.slices.free().items():
                mine[ref] = mine.get(ref, 0) + max(0, free)
            for ref, amount in mine.items():
                leased = self.store.shelves()[ref].leases.get(process.name, 0) if amount else 0
                assert amount <= leased, f"{process.name} spends what it has not leased of {ref}"

    def rest(self) -> None:
        """Everything ends well, and an hour passes."""
        for process in self.processes:
            process.waiting.clear()
            process.slices.waiting_count = 0
            while process.holds:
                self.fail(process, 0, is_settled=False)
            self.settler(process, len(process.journal))
        for _ in range(PATIENCE_ORDERS):
            self.passes(90.0)
            moved = [self.trip(process) for process in self.processes]
            self.check()
            if not any(moved) and not any(p.slices.count for p in self.processes):
                break
        else:
            raise AssertionError("it does not come to rest")
        assert all(not shelf.leased for shelf in self.store.shelves().values())

    def _settle(self, process: Process, refs: tuple[BudgetRef, ...], charged: NanoUSD) -> None:
        for ref in refs:
            self.charged[ref] = self.charged.get(ref, 0) + charged
        self.store.settle(process.name, dict.fromkeys(refs, charged))

    def _born(self) -> Process:
        self._births += 1
        process = Process(f"process-{self._births}", Slices(wake=lambda: None))

        def woken() -> None:
            process.wakes += 1

        process.slices = Slices(wake=woken)
        return process
