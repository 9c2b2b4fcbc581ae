"""SQL about budgets, their periods, and leases.

Whoever changes a period or a lease of it first locks the period's row (`lock_periods`), several in the order of
their names; so processes, the settler and the ledger take turns at a budget and never wait for each other in
a circle. Accounts' own come before all others in that order: the ledger, which locks only those, does so before
the same transaction locks others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from fairlead.control.budgets.types import Budget, Holder
from fairlead.core.budgets.types import BudgetRef, Reset, reference, split
from fairlead.core.ids import AccountId, BudgetId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database, in_chunks
from fairlead.store.tables.budgets import budget_periods, budgets, leases

__all__ = [
    "LeaseRow",
    "PeriodRow",
    "by_account",
    "by_ids",
    "change_leases",
    "change_periods",
    "delete_budget",
    "delete_empty_leases",
    "delete_leases",
    "delete_old_periods",
    "holders",
    "insert_leases",
    "insert_periods",
    "leases_of",
    "leases_of_holder",
    "lock_periods",
    "lost_holders",
    "periods",
    "raise_spent",
    "renew",
    "save",
]


class PeriodRow(msgspec.Struct, frozen=True, gc=False):
    spent: NanoUSD
    leased: NanoUSD
    wanted_back_ms: int


class LeaseRow(msgspec.Struct, frozen=True, gc=False):
    amount: NanoUSD
    settled: NanoUSD


_IDS: Final[sa.BindParameter[Any]] = sa.bindparam("ids", expanding=True)
_PERIODS: Final[sa.BindParameter[Any]] = sa.bindparam("periods", expanding=True)
_SELECT_PERIODS: Final = sa.select(budget_periods).where(
    budget_periods.c.budget_id.in_(_IDS), budget_periods.c.period.in_(_PERIODS)
)
_LOCK_PERIODS: Final = _SELECT_PERIODS.order_by(
    budget_periods.c.budget_id, budget_periods.c.period
).with_for_update()
_SELECT_LEASES: Final = sa.select(leases).where(
    leases.c.holder == sa.bindparam("holder"),
    leases.c.budget_id.in_(_IDS),
    leases.c.period.in_(_PERIODS),
)
_SELECT_BUDGETS: Final = sa.select(budgets).where(budgets.c.id.in_(_IDS))
_CHANGE_PERIODS: Final = sa.text(
    "UPDATE budget_periods SET spent_nano = spent_nano + :spent, leased_nano = leased_nano + :leased,"
    " wanted_back_ms = CASE WHEN :wanted_back_ms > wanted_back_ms THEN :wanted_back_ms"
    " ELSE wanted_back_ms END WHERE budget_id = :id AND period = :period"
)
_CHANGE_LEASES: Final = sa.text(
    "UPDATE leases SET amount_nano = amount_nano + :amount, settled_nano = settled_nano + :settled,"
    " renewed_ms = :now_ms WHERE budget_id = :id AND period = :period AND holder = :holder"
)
_DELETE_EMPTY_LEASES: Final = sa.text(
    "DELETE FROM leases WHERE budget_id = :id AND period = :period AND holder = :holder"
    " AND amount_nano = 0"
)
_DELETE_LEASES: Final = sa.text(
    "DELETE FROM leases WHERE budget_id = :id AND period = :period AND holder = :holder"
)
_RENEW: Final = sa.text("UPDATE leases SET renewed_ms = :now_ms WHERE holder = :holder")


# --- budgets ---


def by_ids(connection: sa.Connection, ids: Iterable[BudgetId]) -> dict[BudgetId, Budget]:
    found: dict[BudgetId, Budget] = {}
    for chunk in in_chunks(ids):
        for row in connection.execute(_SELECT_BUDGETS, {"ids": chunk}):
            found[row.id] = _budget(row)
    return found


def by_account(connection: sa.Connection, account: AccountId) -> list[Budget]:
    rows = connection.execute(
        sa.select(budgets).where(budgets.c.account_id == account).order_by(budgets.c.id)
    )
    return [_budget(row) for row in rows]


def save(database: Database, connection: sa.Connection, budget: Budget, *, now_ms: int) -> None:
    values = {
        "account_id": budget.account,
        "limit_nano": budget.limit,
        "reset": None if budget.reset is None else budget.reset.value,
        "counts_byok": budget.counts_byok,
        "updated_ms": now_ms,
    }
    connection.execute(
        database.insert(budgets)
        .values(id=budget.id, **values)
        .on_conflict_do_update(index_elements=["id"], set_=values)
    )


def delete_budget(connection: sa.Connection, budget: BudgetId) -> None:
    # Its periods first, as everybody does: a lease that is being made now is seen, or is not made.
    connection.execute(
        sa.select(budget_periods.c.period)
        .where(budget_periods.c.budget_id == budget)
        .order_by(budget_periods.c.period)
        .with_for_update()
    ).all()
    connection.execute(sa.delete(leases).where(leases.c.budget_id == budget))
    connection.execute(sa.delete(budget_periods).where(budget_periods.c.budget_id == budget))
    connection.execute(sa.delete(budgets).where(budgets.c.id == budget))


# --- periods ---


def periods(connection: sa.Connection, refs: Collection[BudgetRef]) -> dict[BudgetRef, PeriodRow]:
    return _periods(connection, _SELECT_PERIODS, refs)


def lock_periods(
    connection: sa.Connection, refs: Collection[BudgetRef]
) -> dict[BudgetRef, PeriodRow]:
    """Those that are there, and nobody else changes them or their leases until the transaction ends."""
    return _periods(connection, _LOCK_PERIODS, refs)


def insert_periods(
    database: Database, connection: sa.Connection, refs: Iterable[BudgetRef]
) -> None:
    """Those that are not there yet, with nothing spent."""
    rows = [(*split(ref), 0, 0, 0) for ref in sorted(refs)]
    database.insert_many_new(connection, budget_periods, rows)


def change_periods(
    connection: sa.Connection, changes: Mapping[BudgetRef, tuple[int, int, int]]
) -> None:
    """Locked ones. changes: what is spent more, what is leased more, and when it was wanted back or 0."""
    if changes:
        connection.execute(
            _CHANGE_PERIODS,
            [
                _key(ref) | {"spent": spent, "leased": leased, "wanted_back_ms": wanted_back_ms}
                for ref, (spent, leased, wanted_back_ms) in sorted(changes.items())
            ],
        )


def raise_spent(
    database: Database, connection: sa.Connection, ref: BudgetRef, amount: int, *, at_least: int = 0
) -> None:
    """Add to what is spent. at_least: so much is then spent in all, whatever there was."""
    if ref not in lock_periods(connection, [ref]):
        insert_periods(database, connection, [ref])
    found = lock_periods(connection, [ref])[ref]
    spent = max(found.spent + amount, at_least)
    change_periods(connection, {ref: (spent - found.spent, 0, 0)})


def delete_old_periods(connection: sa.Connection, *, before: str) -> int:
    """Periods that began before that date and of which nothing is leased."""
    columns = budget_periods.c
    return connection.execute(
        sa.delete(budget_periods).where(
            columns.period != "", columns.period < before, columns.leased_nano == 0
        )
    ).rowcount


# --- leases ---


def leases_of(
    connection: sa.Connection, holder: str, refs: Collection[BudgetRef]
) -> dict[BudgetRef, LeaseRow]:
    found: dict[BudgetRef, LeaseRow] = {}
    for ids, names in _named(refs):
        rows = connection.execute(_SELECT_LEASES, {"holder": holder, "ids": ids, "periods": names})
        for row in rows:
            found[reference(row.budget_id, row.period)] = LeaseRow(
                row.amount_nano, row.settled_nano
            )
    return {ref: found[ref] for ref in refs if ref in found}


def leases_of_holder(connection: sa.Connection, holder: str) -> dict[BudgetRef, LeaseRow]:
    rows = connection.execute(sa.select(leases).where(leases.c.holder == holder))
    return {
        reference(row.budget_id, row.period): LeaseRow(row.amount_nano, row.settled_nano)
        for row in rows
    }


def insert_leases(
    connection: sa.Connection, holder: str, amounts: Mapping[BudgetRef, int], *, now_ms: int
) -> None:
    """Rows that are not there."""
    if amounts:
        connection.execute(
            sa.insert(leases),
            [
                {
                    "budget_id": budget,
                    "period": period,
                    "holder": holder,
                    "amount_nano": amount,
                    "settled_nano": 0,
                    "renewed_ms": now_ms,
                }
                for (budget, period), amount in (
                    (split(ref), amount) for ref, amount in amounts.items()
                )
            ],
        )


def change_leases(
    connection: sa.Connection,
    holder: str,
    changes: Mapping[BudgetRef, tuple[int, int]],
    *,
    now_ms: int,
) -> None:
    """Rows that are there. changes: what is leased more, what is settled more."""
    if changes:
        connection.execute(
            _CHANGE_LEASES,
            [
                _key(ref)
                | {"holder": holder, "amount": amount, "settled": settled, "now_ms": now_ms}
                for ref, (amount, settled) in changes.items()
            ],
        )


def delete_empty_leases(connection: sa.Connection, holder: str, refs: Sequence[BudgetRef]) -> None:
    if refs:
        connection.execute(_DELETE_EMPTY_LEASES, [_key(ref) | {"holder": holder} for ref in refs])


def delete_leases(connection: sa.Connection, holder: str, refs: Iterable[BudgetRef]) -> None:
    connection.execute(_DELETE_LEASES, [_key(ref) | {"holder": holder} for ref in refs])


def renew(connection: sa.Connection, holder: str, *, now_ms: int) -> None:
    connection.execute(_RENEW, {"holder": holder, "now_ms": now_ms})


def holders(connection: sa.Connection) -> list[Holder]:
    return _holders(connection, sa.true())


def lost_holders(connection: sa.Connection, *, before_ms: int) -> list[Holder]:
    """Those of whom nothing was heard since."""
    return _holders(connection, sa.func.max(leases.c.renewed_ms) < before_ms)


def _holders(connection: sa.Connection, having: sa.ColumnElement[bool]) -> list[Holder]:
    columns = leases.c
    rows = connection.execute(
        sa.select(
            columns.holder,
            sa.func.count(),
            sa.func.sum(columns.amount_nano),
            sa.func.max(columns.renewed_ms),
        )
        .group_by(columns.holder)
        .having(having)
        .order_by(columns.holder)
    )
    return [
        Holder(name, int(count), NanoUSD(int(amount)), int(renewed_ms))
        for name, count, amount, renewed_ms in rows
    ]


# --- details ---


def _periods(
    connection: sa.Connection, statement: sa.Select[Any], refs: Collection[BudgetRef]
) -> dict[BudgetRef, PeriodRow]:
    found: dict[BudgetRef, PeriodRow] = {}
    for ids, names in _named(refs):
        for row in connection.execute(statement, {"ids": ids, "periods": names}):
            found[reference(row.budget_id, row.period)] = PeriodRow(
                row.spent_nano, row.leased_nano, row.wanted_back_ms
            )
    return {ref: found[ref] for ref in refs if ref in found}


def _named(refs: Collection[BudgetRef]) -> Iterator[tuple[list[str], list[str]]]:
    """Ids and periods that name the refs, and perhaps others, a bounded number at a time, in order."""
    for chunk in in_chunks(sorted(refs)):
        pairs = [split(ref) for ref in chunk]
        yield [budget for budget, _ in pairs], sorted({period for _, period in pairs})


def _key(ref: BudgetRef) -> dict[str, Any]:
    budget, period = split(ref)
    return {"id": budget, "period": period}


def _budget(row: sa.Row[Any]) -> Budget:
    return Budget(
        id=row.id,
        account=row.account_id,
        limit=row.limit_nano,
        reset=None if row.reset is None else Reset(row.reset),
        counts_byok=row.counts_byok,
    )
