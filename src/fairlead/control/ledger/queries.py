"""SQL about the ledger.

Statements that every batch of usage runs are made once: building and compiling one costs as much as running it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from fairlead.control.ledger.rules import use_order
from fairlead.control.ledger.types import Book, Entry, Lot, LotKind, Posting, Totals
from fairlead.core.budgets.types import account_budget
from fairlead.core.ids import AccountId, LotId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database, in_chunks
from fairlead.store.sums import SumTable
from fairlead.store.tables.budgets import budget_periods, budgets
from fairlead.store.tables.ledger import (
    ledger_accounts,
    ledger_entries,
    ledger_head,
    ledger_postings,
    lots,
)

__all__ = [
    "books",
    "entries_of",
    "expiring",
    "head",
    "insert_entries",
    "keep_budgets",
    "keep_lots",
    "keep_totals",
    "kept_commands",
    "lock_head",
    "lock_leased",
    "lot_of",
    "lots_of",
    "save_head",
    "totals_of",
    "want_back",
]

_NAMES: Final[sa.BindParameter[Any]] = sa.bindparam("names", expanding=True)
_HEAD: Final = sa.select(ledger_head.c.number, ledger_head.c.hash)
_LOCK_HEAD: Final = _HEAD.with_for_update()
_KEPT: Final = sa.select(
    ledger_entries.c.reference, ledger_entries.c.number, ledger_entries.c.command
).where(ledger_entries.c.reference.in_(_NAMES))
_ACCOUNTS: Final = sa.select(ledger_accounts).where(ledger_accounts.c.account_id.in_(_NAMES))
_LOTS_LEFT: Final = sa.select(lots).where(lots.c.account_id.in_(_NAMES), lots.c.remaining_nano > 0)
_LOTS_NAMED: Final = sa.select(lots).where(lots.c.id.in_(_NAMES))
_LOCK_PERIODS: Final = (
    sa.select(budget_periods.c.budget_id, budget_periods.c.leased_nano)
    .where(budget_periods.c.budget_id.in_(_NAMES), budget_periods.c.period == "")
    .order_by(budget_periods.c.budget_id)
    .with_for_update()
)
_SAVE_HEAD: Final = sa.text("UPDATE ledger_head SET number = :number, hash = :hash")
_LOTS: Final = SumTable(lots, summed=(), otherwise={"remaining_nano": "excluded.remaining_nano"})
_TOTALS: Final = SumTable(
    ledger_accounts,
    summed=(),
    otherwise={
        name: f"excluded.{name}"
        for name in ("credits_nano", "usage_nano", "purchased_nano", "debt_nano")
    },
)
_LIMITS: Final = SumTable(
    budgets,
    summed=(),
    otherwise={name: f"excluded.{name}" for name in ("limit_nano", "updated_ms")},
)
_SPENT: Final = SumTable(budget_periods, summed=(), otherwise={"spent_nano": "excluded.spent_nano"})
_WANT_BACK: Final = sa.text(
    "UPDATE budget_periods SET wanted_back_ms = :now_ms WHERE budget_id = :budget AND period = ''"
)


# --- adding entries ---


def lock_head(connection: sa.Connection) -> tuple[int, bytes]:
    """The last entry's number and hash; nobody else adds one before the transaction ends."""
    number, digest = connection.execute(_LOCK_HEAD).one()
    return number, bytes(digest)


def head(connection: sa.Connection) -> tuple[int, bytes]:
    number, digest = connection.execute(_HEAD).one()
    return number, bytes(digest)


def save_head(connection: sa.Connection, number: int, digest: bytes) -> None:
    connection.execute(_SAVE_HEAD, {"number": number, "hash": digest})


def kept_commands(
    connection: sa.Connection, references: Collection[str]
) -> dict[str, tuple[int, str]]:
    """Of those references that entries have: the entry's number, and its command as text."""
    return {
        row.reference: (row.number, row.command) for row in _named(connection, _KEPT, references)
    }


def books(
    connection: sa.Connection,
    accounts: Collection[AccountId],
    *,
    lots_named: Collection[LotId] = (),
) -> dict[AccountId, Book]:
    """Of accounts that the ledger has never heard of, too. lots_named: these as well, used up or not."""
    sums: dict[str, tuple[Totals, NanoUSD]] = {
        row.account_id: (_totals(row), row.debt_nano)
        for row in _named(connection, _ACCOUNTS, accounts)
    }
    found: dict[str, dict[str, Lot]] = {account: {} for account in accounts}
    for row in _named(connection, _LOTS_LEFT, accounts):
        found[row.account_id][row.id] = lot_of(row)
    for row in _named(connection, _LOTS_NAMED, lots_named):
        if row.account_id in found:
            found[row.account_id][row.id] = lot_of(row)
    unknown = (Totals(), NanoUSD(0))
    return {
        account: Book(
            account=account,
            lots=tuple(sorted(found[account].values(), key=use_order)),
            debt=sums.get(account, unknown)[1],
            totals=sums.get(account, unknown)[0],
        )
        for account in accounts
    }


def lock_leased(
    connection: sa.Connection, accounts: Collection[AccountId]
) -> dict[AccountId, NanoUSD]:
    """What processes have leased of these accounts' credit; it stays so until the transaction ends."""
    by_budget = {str(account_budget(account)): account for account in accounts}
    return {
        by_budget[row.budget_id]: row.leased_nano
        for row in _named(connection, _LOCK_PERIODS, sorted(by_budget))
    }


def insert_entries(database: Database, connection: sa.Connection, entries: Sequence[Entry]) -> None:
    inserted = database.insert_many_new(
        connection,
        ledger_entries,
        [
            (
                entry.number,
                entry.reference,
                entry.kind,
                entry.account,
                entry.created_ms,
                entry.command,
                bytearray(entry.hash),
            )
            for entry in entries
        ],
    )
    inserted += database.insert_many_new(
        connection,
        ledger_postings,
        [
            (entry.number, line, posting.account, posting.lot, posting.amount)
            for entry in entries
            for line, posting in enumerate(entry.postings, 1)
        ],
    )
    assert inserted == len(entries) + sum(len(entry.postings) for entry in entries)


def keep_lots(connection: sa.Connection, changed: Iterable[tuple[AccountId, Lot]]) -> None:
    """New ones, and of others what remains of them."""
    _LOTS.add(
        connection,
        (
            (
                lot.id,
                account,
                lot.kind.value,
                lot.amount,
                lot.remaining,
                lot.created_ms,
                lot.expires_ms,
                lot.is_refundable,
                lot.source,
            )
            for account, lot in changed
        ),
    )


def keep_totals(connection: sa.Connection, changed: Iterable[Book]) -> None:
    _TOTALS.add(
        connection,
        (
            (
                book.account,
                book.totals.credits,
                book.totals.usage,
                book.totals.purchased,
                book.debt,
            )
            for book in changed
        ),
    )


def keep_budgets(
    connection: sa.Connection,
    *,
    credits_moved: Collection[Book],
    usage_moved: Collection[Book],
    now_ms: int,
) -> None:
    """The budget of an account is its ledger: limited by all its credit, spent is all its usage.

    So both are set and not added to; what is leased is the budgets' own.
    """
    _LIMITS.add(
        connection,
        (
            (account_budget(book.account), book.account, book.totals.credits, None, False, now_ms)
            for book in credits_moved
        ),
    )
    _SPENT.add(
        connection,
        ((account_budget(book.account), "", book.totals.usage, 0, 0) for book in usage_moved),
    )


def want_back(connection: sa.Connection, accounts: Collection[AccountId], *, now_ms: int) -> None:
    """Ask processes for what they have leased of these accounts' credit in advance."""
    if accounts:
        connection.execute(
            _WANT_BACK,
            [{"budget": account_budget(account), "now_ms": now_ms} for account in accounts],
        )


# --- reading ---


def totals_of(connection: sa.Connection, account: AccountId) -> Totals:
    for row in _named(connection, _ACCOUNTS, [account]):
        return _totals(row)
    return Totals()


def entries_of(
    connection: sa.Connection, account: AccountId, *, before: int | None, limit: int
) -> list[Entry]:
    """The latest first, those before entry `before`."""
    wanted = sa.select(ledger_entries).where(ledger_entries.c.account_id == account)
    if before is not None:
        wanted = wanted.where(ledger_entries.c.number < before)
    rows = connection.execute(wanted.order_by(ledger_entries.c.number.desc()).limit(limit)).all()
    return _with_postings(connection, rows)


def lots_of(
    connection: sa.Connection, account: AccountId, *, after: LotId, limit: int
) -> list[Lot]:
    """All of an account's, in the order in which they were opened."""
    rows = connection.execute(
        sa.select(lots)
        .where(lots.c.account_id == account, lots.c.id > after)
        .order_by(lots.c.id)
        .limit(limit)
    )
    return [lot_of(row) for row in rows]


def expiring(
    connection: sa.Connection, *, before_ms: int, limit: int
) -> list[tuple[AccountId, Lot]]:
    """With something left, and over at that moment; the earliest first."""
    rows = connection.execute(
        sa.select(lots)
        .where(lots.c.remaining_nano > 0, lots.c.expires_ms.is_not(None))
        .where(lots.c.expires_ms <= before_ms)
        .order_by(lots.c.expires_ms)
        .limit(limit)
    )
    return [(row.account_id, lot_of(row)) for row in rows]


# --- details ---


def _named(
    connection: sa.Connection, statement: sa.Select[Any], names: Iterable[str]
) -> Iterator[sa.Row[Any]]:
    """Rows of a statement that takes `names`, a bounded number at a time."""
    for chunk in in_chunks(names):
        yield from connection.execute(statement, {"names": chunk})


def _with_postings(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> list[Entry]:
    """rows: of ledger_entries."""
    postings: dict[int, list[Posting]] = {row.number: [] for row in rows}
    columns = ledger_postings.c
    for numbers in in_chunks(sorted(postings)):
        found = connection.execute(
            sa.select(columns.entry, columns.ledger_account, columns.amount_nano, columns.lot_id)
            .where(columns.entry.in_(numbers))
            .order_by(columns.entry, columns.line)
        )
        for entry, account, amount, lot in found:
            postings[entry].append(Posting(account, amount, lot))
    return [
        Entry(
            number=row.number,
            reference=row.reference,
            kind=row.kind,
            account=row.account_id,
            created_ms=row.created_ms,
            command=row.command,
            postings=tuple(postings[row.number]),
            hash=bytes(row.hash),
        )
        for row in rows
    ]


def _totals(row: sa.Row[Any]) -> Totals:
    return Totals(row.credits_nano, row.usage_nano, row.purchased_nano)


def lot_of(row: sa.Row[Any]) -> Lot:
    """row: of lots."""
    return Lot(
        id=row.id,
        kind=LotKind(row.kind),
        amount=row.amount_nano,
        remaining=row.remaining_nano,
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        is_refundable=row.is_refundable,
        source=row.source,
    )
