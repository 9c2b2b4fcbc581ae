"""Budgets in the database: limits, what is spent, and the slices that processes lease.

Whatever anybody does, at the moment when something is leased, spent and leased are not more than the limit;
and what is leased of a period is the sum of its leases. A lease becomes spent in the transaction that records
the call (`settle_within`); it comes back when its process says so, or when the journal of a process that has
died is finished (`give_back_all`), never by time alone while a journal may still hold usage.

The credit of an account is a budget too, and the ledger's: its limit is all that was ever added, and what was
used of it is spent. So of an account's budget `settle_within` only ends the lease; limit and spent are what the
ledger writes there, in the same transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Final, TypeAlias

import sqlalchemy as sa

from fairlead.control.budgets import queries
from fairlead.control.budgets.queries import LeaseRow, PeriodRow
from fairlead.control.budgets.types import Budget, Holder, Spending
from fairlead.core.budgets.lending import Order, Row, Standing, lend
from fairlead.core.budgets.types import (
    BudgetKind,
    BudgetRef,
    Period,
    Reset,
    kind_of,
    period_of,
    reference,
    split,
)
from fairlead.core.ids import AccountId, BudgetId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database, DatabaseUnreadable

__all__ = ["LOST_AFTER_S", "Budgets", "Leasing", "UsedBefore"]

LOST_AFTER_S: Final = 86_400.0
# So many looks in a row, a minute apart, must find a process silent. A clock that was set forward, or a
# database that was away, makes all of them look as if they had said nothing for long, until they say something.
SILENT_LOOKS_MIN: Final = 5
TURN_TIMEOUT_S: Final = 5.0
WANTED_BACK_S: Final = (
    3.0  # so long after somebody lacked something, others keep nothing in advance
)
ASK_AGAIN_S: Final = 1.0  # not at every trip
PERIODS_KEPT_DAYS: Final = 400

_MS_PER_S: Final = 1000
_DAY_S: Final = 86_400
_NO_PERIOD: Final = PeriodRow(NanoUSD(0), NanoUSD(0), 0)
_NOTHING: Final = NanoUSD(0)


# Of what a budget limits, in a period that has begun: nanodollars.
UsedBefore: TypeAlias = Callable[[sa.Connection, Budget, Period], NanoUSD]


def _nothing_used(_: sa.Connection, __: Budget, ___: Period) -> NanoUSD:
    return _NOTHING


class Budgets:
    """All budgets. Methods block: call them from a thread. All raise DatabaseUnreadable if it is away.

    now_ms: wall-clock time. lost_after_s: how long a process may say nothing before `reap` takes it for lost.
    used_before: what was spent in a period before there was a budget for it.
    Those that take a connection are for a transaction that does more than this.
    """

    def __init__(
        self,
        database: Database,
        *,
        now_ms: Callable[[], int],
        lost_after_s: float = LOST_AFTER_S,
        used_before: UsedBefore = _nothing_used,
    ) -> None:
        self._database = database
        self._used_before = used_before
        self._now_ms = now_ms
        self._lost_after_s = lost_after_s
        # By holder: when it was heard last, by its own clock, and how many looks in a row found no more.
        self._silent: dict[str, tuple[int, int]] = {}

    # --- limits ---

    def define(
        self,
        connection: sa.Connection,
        *,
        budget: BudgetId,
        account: AccountId,
        limit: NanoUSD | None,
        reset: str | None = None,
        counts_byok: bool = False,
        spent: NanoUSD | None = None,
    ) -> None:
        """Set a limit, or change it. Processes know of it within two seconds. reset: a core.budgets Reset.

        spent: in the current period so far, for a budget that is new or has other periods now; None: what
        `used_before` says. What is known here already counts if it is more.
        """
        now_ms = self._now_ms()
        wanted = Budget(
            budget, account, limit, None if reset is None else Reset(reset), counts_byok
        )
        before = queries.by_ids(connection, [budget]).get(budget)
        queries.save(self._database, connection, wanted, now_ms=now_ms)
        if before is not None and before.reset is wanted.reset:
            return
        period = period_of(wanted.reset, now_ms / _MS_PER_S)
        if spent is None:
            spent = self._used_before(connection, wanted, period)
        ref = reference(budget, period.name)
        queries.raise_spent(self._database, connection, ref, 0, at_least=spent)

    def remove(self, connection: sa.Connection, budget: BudgetId) -> None:
        """Nothing limits any more what it did. Calls under way are recorded without it. Again is fine."""
        queries.delete_budget(connection, budget)

    def standing(self, ids: Iterable[BudgetId]) -> dict[BudgetId, Spending]:
        """How those that exist stand in their current periods."""
        with self._database.read() as connection:
            return self.standing_within(connection, ids)

    def standing_within(
        self, connection: sa.Connection, ids: Iterable[BudgetId]
    ) -> dict[BudgetId, Spending]:
        now_s = self._now_ms() / _MS_PER_S
        found = queries.by_ids(connection, ids)
        refs = {
            budget.id: reference(budget.id, period_of(budget.reset, now_s).name)
            for budget in found.values()
        }
        rows = queries.periods(connection, refs.values())
        return {
            name: Spending(
                budget=found[name],
                period=split(ref)[1],
                spent=rows.get(ref, _NO_PERIOD).spent,
                leased=rows.get(ref, _NO_PERIOD).leased,
            )
            for name, ref in refs.items()
        }

    def of_account(self, account: AccountId) -> list[Budget]:
        """All limits that the account is concerned by: its own, its keys', its workspaces', its members'."""
        with self._database.read() as connection:
            return queries.by_account(connection, account)

    # --- leases ---

    def exchange(self, holder: str, order: Order) -> dict[BudgetRef, Standing]:
        """Carry out what a process orders, in one transaction, and tell how its budgets stand after it."""
        if not order.changes_something:
            with self._database.read() as connection:
                periods = queries.periods(connection, order.watched)
                own = queries.leases_of(connection, holder, order.watched)
                found = _budgets(connection, order.watched)
            return self._standings(order.watched, found, periods, own, known=own.keys())
        return self._database.retrying(lambda connection: self._exchange(connection, holder, order))

    def settle_within(
        self, connection: sa.Connection, holder: str, charged: Mapping[BudgetRef, NanoUSD]
    ) -> None:
        """Turn leases into spent: `holder` has charged so much to each. Only for calls not recorded before.

        A budget that was removed meanwhile counts nothing. Should there be no such lease any more, it is spent
        all the same: what was used is the truth.
        """
        refs = [ref for ref, amount in charged.items() if amount]
        if not refs:
            return
        rows = queries.lock_periods(connection, refs)
        own = queries.leases_of(connection, holder, refs)
        missing = [ref for ref in refs if ref not in rows]
        if missing:
            found = _budgets(connection, missing)
            begun = [ref for ref in missing if split(ref)[0] in found]
            queries.insert_periods(self._database, connection, begun)
            rows |= dict.fromkeys(begun, _NO_PERIOD)
        ended = {
            ref: min(charged[ref], own[ref].amount) if ref in own else 0
            for ref in refs
            if ref in rows
        }
        queries.change_periods(
            connection,
            {
                ref: (0 if _is_ledgers(ref) else charged[ref], -amount, 0)
                for ref, amount in ended.items()
            },
        )
        queries.change_leases(
            connection,
            holder,
            {ref: (-ended[ref], charged[ref]) for ref in ended if ref in own},
            now_ms=self._now_ms(),
        )

    def give_back_all(self, connection: sa.Connection, holder: str) -> None:
        """The process is gone and its journal finished: what it had leased is nobody's any more."""
        # Again, should it not be gone and lease something while we look.
        while seen := queries.leases_of_holder(connection, holder):
            rows = queries.lock_periods(connection, seen.keys())
            own = queries.leases_of(connection, holder, seen)
            queries.change_periods(
                connection, {ref: (0, -own[ref].amount, 0) for ref in own if ref in rows}
            )
            queries.delete_leases(connection, holder, seen)

    def renew(self, holder: str) -> None:
        """The process is there."""
        with self._database.begin() as connection:
            queries.renew(connection, holder, now_ms=self._now_ms())

    def holders(self) -> list[Holder]:
        """Processes that hold leases."""
        with self._database.read() as connection:
            return queries.holders(connection)

    def release(self, holder: str) -> None:
        """Take back the leases of a process whose machine is lost for good, with its journal.

        Should the journal turn up after all, what it holds is charged then, beyond limits if need be.
        """
        with self._database.begin() as connection:
            self.give_back_all(connection, holder)

    def reap(self) -> list[Holder]:
        """Take back the leases of processes that have said nothing for `lost_after_s`. Returns those.

        To be called regularly, as often as processes `renew`: it believes only what it has seen several times.
        """
        before_ms = self._now_ms() - round(self._lost_after_s * _MS_PER_S)
        with self._database.read() as connection:
            silent = queries.lost_holders(connection, before_ms=before_ms)
        looks = {holder.name: (holder.renewed_ms, self._looks(holder) + 1) for holder in silent}
        self._silent = looks
        lost = [holder for holder in silent if looks[holder.name][1] >= SILENT_LOOKS_MIN]
        for holder in lost:
            self.release(holder.name)
        return lost

    def forget_old_periods(self) -> int:
        """Those that nobody asks for any more. Returns how many."""
        first_day = period_of(Reset.DAILY, self._now_ms() / _MS_PER_S - PERIODS_KEPT_DAYS * _DAY_S)
        with self._database.begin() as connection:
            return queries.delete_old_periods(connection, before=first_day.name)

    def _looks(self, holder: Holder) -> int:
        """So many times before has it been found as silent as now."""
        heard_ms, looks = self._silent.get(holder.name, (holder.renewed_ms, 0))
        return looks if heard_ms == holder.renewed_ms else 0

    def _exchange(
        self, connection: sa.Connection, holder: str, order: Order
    ) -> dict[BudgetRef, Standing]:
        now_ms = self._now_ms()
        leasing = dict.fromkeys(ref for call in order.calls for ref in call.refs)
        leasing |= dict.fromkeys(order.in_advance)
        changing = leasing | dict.fromkeys((*order.given_back, *order.wanted_back))
        periods = queries.lock_periods(connection, changing)
        if new := [ref for ref in leasing if ref not in periods]:
            queries.insert_periods(self._database, connection, new)
            periods = queries.lock_periods(connection, changing)
        # Only now that nobody else can lease: what a limit was lowered to before is seen.
        found = _budgets(connection, order.watched)
        own = queries.leases_of(connection, holder, order.watched)

        back = {
            ref: min(amount, own[ref].amount)
            for ref, amount in order.given_back.items()
            if ref in own and ref in periods
        }
        rows = {
            ref: Row(
                limit=_limit(ref, found),
                spent=row.spent,
                leased=NanoUSD(row.leased - back.get(ref, 0)),
            )
            for ref, row in periods.items()
        }
        given = lend(rows, free=order.free, calls=order.calls, in_advance=order.in_advance)
        moved = {
            ref: delta
            for ref in changing
            if (delta := given.get(ref, 0) - back.get(ref, 0)) != 0 and ref in periods
        }
        asked = {
            ref: now_ms
            for ref in order.wanted_back
            if ref in periods and now_ms - periods[ref].wanted_back_ms > ASK_AGAIN_S * _MS_PER_S
        }
        queries.change_periods(
            connection,
            {ref: (0, moved.get(ref, 0), asked.get(ref, 0)) for ref in (moved | asked)},
        )
        queries.change_leases(
            connection,
            holder,
            {ref: (delta, 0) for ref, delta in moved.items() if ref in own},
            now_ms=now_ms,
        )
        queries.insert_leases(
            connection,
            holder,
            {ref: delta for ref, delta in moved.items() if ref not in own},
            now_ms=now_ms,
        )
        queries.delete_empty_leases(connection, holder, order.done_with)

        after = {ref: LeaseRow(_NOTHING, _NOTHING) for ref in moved} | own
        after = {
            ref: LeaseRow(NanoUSD(row.amount + moved.get(ref, 0)), row.settled)
            for ref, row in after.items()
        }
        for ref in order.done_with:
            if ref in after and not after[ref].amount:
                del after[ref], own[ref]
        periods |= queries.periods(connection, [ref for ref in order.watched if ref not in periods])
        return self._standings(
            order.watched,
            found,
            {
                ref: PeriodRow(
                    row.spent, NanoUSD(row.leased + moved.get(ref, 0)), row.wanted_back_ms
                )
                for ref, row in periods.items()
            },
            after,
            known=own.keys(),
        )

    def _standings(
        self,
        watched: Iterable[BudgetRef],
        found: Mapping[BudgetId, Budget],
        periods: Mapping[BudgetRef, PeriodRow],
        own: Mapping[BudgetRef, LeaseRow],
        *,
        known: Iterable[BudgetRef],
    ) -> dict[BudgetRef, Standing]:
        """known: those that the process had a row of before."""
        wanted_since_ms = self._now_ms() - round(WANTED_BACK_S * _MS_PER_S)
        had = set(known)
        standings: dict[BudgetRef, Standing] = {}
        for ref in watched:
            period = periods.get(ref, _NO_PERIOD)
            lease = own.get(ref)
            standings[ref] = Standing(
                limit=_limit(ref, found),
                spent=period.spent,
                leased=period.leased,
                amount=_NOTHING if lease is None else lease.amount,
                settled=_NOTHING if lease is None else lease.settled,
                is_new=ref not in had,
                is_wanted_back=period.wanted_back_ms > wanted_since_ms,
            )
        return standings


class Leasing:
    """One process's trips to the store, one after another.

    A trip that is not waited for any longer may still be under way, or not even have begun. It then does
    nothing if it begins at last, and the next trip begins when it has ended: so an answer always tells of
    everything before it.
    """

    def __init__(self, budgets: Budgets, holder: str) -> None:
        self._budgets = budgets
        self._holder = holder
        self._turn = threading.Lock()
        self._trips = 0

    def trip(self) -> Callable[[Order], dict[BudgetRef, Standing]]:
        """A new one; those before it that have not begun never will. To be called in a thread, once."""
        self._trips += 1
        number = self._trips

        def exchange(order: Order) -> dict[BudgetRef, Standing]:
            if not self._turn.acquire(timeout=TURN_TIMEOUT_S):
                raise DatabaseUnreadable("an earlier trip for leases has not come back")
            try:
                if number != self._trips:
                    return {}
                return self._budgets.exchange(self._holder, order)
            finally:
                self._turn.release()

        return exchange


def _budgets(connection: sa.Connection, refs: Iterable[BudgetRef]) -> dict[BudgetId, Budget]:
    return queries.by_ids(connection, dict.fromkeys(split(ref)[0] for ref in refs))


def _limit(ref: BudgetRef, found: Mapping[BudgetId, Budget]) -> NanoUSD | None:
    """Of one period. None: no limit, or a budget that was removed."""
    budget, period = split(ref)
    known = found.get(budget)
    if known is None:
        return _NOTHING if _is_ledgers(ref) else None  # an account that never had credit
    if known.limit is not None and not _is_period(known, period):
        return _NOTHING  # it has other periods now; nothing more is leased of this one
    return known.limit


def _is_period(budget: Budget, period: str) -> bool:
    if budget.reset is None or not period:
        return budget.reset is None and not period
    began_s = (date.fromisoformat(period) - date(1970, 1, 1)).days * _DAY_S
    return period_of(budget.reset, began_s).name == period


def _is_ledgers(ref: BudgetRef) -> bool:
    return kind_of(split(ref)[0]) is BudgetKind.ACCOUNT
