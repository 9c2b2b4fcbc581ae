"""The tables of money, for tests that use one database again and again."""

from __future__ import annotations

import sqlalchemy as sa

from fairlead.control.ledger.chain import FIRST
from fairlead.store.tables.budgets import budget_periods, budgets, leases
from fairlead.store.tables.ledger import (
    ledger_accounts,
    ledger_entries,
    ledger_head,
    ledger_postings,
    lots,
)

MONEY = (ledger_entries, ledger_postings, lots, ledger_accounts, budgets, budget_periods, leases)


def forget_money(connection: sa.Connection) -> None:
    """As if nothing had ever been posted."""
    for table in MONEY:
        connection.execute(sa.delete(table))
    connection.execute(sa.update(ledger_head).values(number=0, hash=FIRST))
