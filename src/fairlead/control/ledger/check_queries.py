"""SQL of the ledger's check: everything there is, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

import sqlalchemy as sa

from fairlead.control.ledger.queries import lot_of
from fairlead.control.ledger.types import Entry, Lot, Posting, Totals
from fairlead.core.budgets.types import account_budget
from fairlead.core.ids import AccountId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database
from fairlead.store.tables.installation import meta
from fairlead.store.tables.ledger import lots

__all__ = [
    "AccountRow",
    "LotRow",
    "account_rows",
    "beyond",
    "entries",
    "generations_of",
    "hash_of",
    "lot_rows",
    "save_standing",
    "standing",
    "strays",
    "sums_of_generations",
    "uncharged",
]

PAGE_ROWS: Final = 5000
_STANDING: Final = "ledger_check"
FOUND_MAX: Final = 100  # rows of one kind that are named

_ENTRIES: Final = sa.text(
    "SELECT number, reference, kind, account_id, created_ms, command, hash FROM ledger_entries"
    " WHERE number > :after AND number <= :last ORDER BY number"
)
_POSTINGS: Final = sa.text(
    "SELECT entry, ledger_account, amount_nano, lot_id FROM ledger_postings"
    " WHERE entry > :after AND entry <= :last ORDER BY entry, line"
)
_SUMS: Final = sa.text(
    "SELECT entry, COUNT(*), SUM(cost_nano) FROM generations"
    " WHERE entry > :after AND entry <= :last GROUP BY entry ORDER BY entry"
)
_UNCHARGED: Final = sa.text(
    "SELECT id FROM generations WHERE entry IS NULL ORDER BY id LIMIT :limit"
)
_BEYOND: Final = sa.text(
    "SELECT id, entry FROM generations WHERE entry > :last OR entry < 1 LIMIT :limit"
)
_OF_ENTRY: Final = sa.text(
    "SELECT id, account_id, cost_nano, record FROM generations WHERE entry = :entry"
)
_LATER_ENTRIES: Final = sa.text(
    "SELECT number FROM ledger_entries WHERE number > :last OR number < 1 LIMIT :limit"
)
_LATER_POSTINGS: Final = sa.text(
    "SELECT DISTINCT entry FROM ledger_postings WHERE entry > :last OR entry < 1 LIMIT :limit"
)
_HASH: Final = sa.text("SELECT hash FROM ledger_entries WHERE number = :number")
_LOTS: Final = (
    sa.select(lots)
    .where(lots.c.id > sa.bindparam("after"))
    .order_by(lots.c.id)
    .limit(sa.bindparam("limit"))
)
# What is kept of an account in three places; any of them may be missing.
_ACCOUNTS: Final = sa.text(
    "SELECT names.id, credits_nano, usage_nano, purchased_nano, debt_nano, limit_nano, spent_nano"
    " FROM (SELECT account_id AS id FROM ledger_accounts WHERE account_id > :after"
    " UNION SELECT substr(id, 9) FROM budgets"
    " WHERE id > 'account:' || :after AND id LIKE 'account:%'"
    " ORDER BY 1 LIMIT :limit) AS names"
    " LEFT JOIN ledger_accounts ON ledger_accounts.account_id = names.id"
    " LEFT JOIN budgets ON budgets.id = 'account:' || names.id"
    " LEFT JOIN budget_periods ON budget_periods.budget_id = 'account:' || names.id"
    " AND budget_periods.period = '' ORDER BY names.id"
)
assert account_budget(AccountId("x")) == "account:x", "as it is written above"


class LotRow(NamedTuple):
    account: AccountId
    lot: Lot


class AccountRow(NamedTuple):
    """totals, debt: None: the ledger keeps none. limit, spent: of the account's budget; None: has none."""

    account: AccountId
    totals: Totals | None
    debt: NanoUSD
    limit: NanoUSD | None
    spent: NanoUSD | None


def entries(
    connection: sa.Connection, after: int, last: int
) -> Iterator[tuple[list[Entry], set[int]]]:
    """Pages of entries with their postings; and the numbers that postings name and no entry has."""
    while after < last:
        until = min(after + PAGE_ROWS, last)
        span = {"after": after, "last": until}
        lines = {
            number: tuple(Posting(account, amount, lot) for _, account, amount, lot in rows)
            for number, rows in groupby(connection.execute(_POSTINGS, span), itemgetter(0))
        }
        page = [
            Entry(
                number, reference, kind, account, created_ms, command, lines.pop(number, ()), hash_
            )
            for number, reference, kind, account, created_ms, command, hash_ in (
                connection.execute(_ENTRIES, span)
            )
        ]
        yield page, set(lines)
        after = until


def sums_of_generations(
    connection: sa.Connection, after: int, last: int
) -> dict[int, tuple[int, int]]:
    """How many generations each of these entries charges, and what they cost together."""
    rows = connection.execute(_SUMS, {"after": after, "last": last})
    return {entry: (count, int(cost)) for entry, count, cost in rows}


def generations_of(connection: sa.Connection, entry: int) -> Iterator[tuple[str, str, int, bytes]]:
    """Id, account, cost and record of each."""
    for id_, account, cost, record in connection.execute(_OF_ENTRY, {"entry": entry}):
        yield id_, account, cost, bytes(record)


def uncharged(connection: sa.Connection) -> list[str]:
    """The first of those that no entry charges."""
    return list(connection.execute(_UNCHARGED, {"limit": FOUND_MAX}).scalars())


def beyond(connection: sa.Connection, last: int) -> list[tuple[str, int]]:
    """Generations that name an entry which cannot be there."""
    rows = connection.execute(_BEYOND, {"last": last, "limit": FOUND_MAX})
    return [(id_, entry) for id_, entry in rows]


def strays(connection: sa.Connection, last: int) -> tuple[list[int], list[int]]:
    """Numbers of entries, and of entries that postings name, which cannot be there."""
    limits = {"last": last, "limit": FOUND_MAX}
    return (
        list(connection.execute(_LATER_ENTRIES, limits).scalars()),
        list(connection.execute(_LATER_POSTINGS, limits).scalars()),
    )


def hash_of(connection: sa.Connection, number: int) -> bytes | None:
    found = connection.execute(_HASH, {"number": number}).scalar_one_or_none()
    return None if found is None else bytes(found)


def lot_rows(connection: sa.Connection) -> Iterator[LotRow]:
    """In the order of their ids."""
    after = ""
    while rows := connection.execute(_LOTS, {"after": after, "limit": PAGE_ROWS}).all():
        for row in rows:
            yield LotRow(row.account_id, lot_of(row))
        after = rows[-1].id


def account_rows(connection: sa.Connection) -> Iterator[AccountRow]:
    """In the order of their ids."""
    after = ""
    while rows := connection.execute(_ACCOUNTS, {"after": after, "limit": PAGE_ROWS}).all():
        for row in rows:
            is_known = row.credits_nano is not None
            yield AccountRow(
                account=row.id,
                totals=(
                    Totals(row.credits_nano, row.usage_nano, row.purchased_nano)
                    if is_known
                    else None
                ),
                debt=row.debt_nano or NanoUSD(0),
                limit=row.limit_nano,
                spent=row.spent_nano,
            )
        after = rows[-1].id


def standing(connection: sa.Connection) -> str | None:
    """How the server's last check stands, as JSON; None: there was none."""
    query = sa.select(meta.c.value).where(meta.c.name == _STANDING)
    return connection.execute(query).scalar()


def save_standing(database: Database, connection: sa.Connection, text: str) -> None:
    query = database.insert(meta).values(name=_STANDING, value=text)
    connection.execute(
        query.on_conflict_do_update(index_elements=["name"], set_={"value": query.excluded.value})
    )
