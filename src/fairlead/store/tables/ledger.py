"""The ledger: entries and their postings, and the lots in which credit is held.

Entries and postings are only ever added. Lots and accounts follow from them: they are kept because a charge
must not add up an account's whole history. What connects these tables is checked by `fairlead ledger check`
rather than by foreign keys, which would cost every charge.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["ledger_accounts", "ledger_entries", "ledger_head", "ledger_postings", "lots"]

# One row: the last entry. Who adds entries locks it first, so they are added one after the other.
ledger_head: Final = sa.Table(
    "ledger_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # 1
    sa.Column("number", sa.BigInteger, nullable=False),  # 0: there is no entry yet
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
)

ledger_entries: Final = sa.Table(
    "ledger_entries",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),  # from 1, no gaps
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("command", sa.Text, nullable=False),  # JSON: one of control.ledger.types.Command
    sa.Column("hash", sa.LargeBinary, nullable=False),  # see control.ledger.chain
    sa.UniqueConstraint("reference"),
    sa.Index(None, "account_id", "number"),
)

ledger_postings: Final = sa.Table(
    "ledger_postings",
    metadata,
    sa.Column("entry", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),  # from 1
    sa.Column("ledger_account", sa.Text, nullable=False),
    sa.Column("lot_id", sa.Text),
    sa.Column("amount_nano", sa.BigInteger, nullable=False),
)

lots: Final = sa.Table(
    "lots",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("amount_nano", sa.BigInteger, nullable=False),
    sa.Column("remaining_nano", sa.BigInteger, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger),
    sa.Column("is_refundable", sa.Boolean, nullable=False),
    sa.Column("source", sa.Text),
    sa.CheckConstraint("remaining_nano >= 0 AND remaining_nano <= amount_nano", name="remaining"),
    sa.Index(None, "account_id", "id"),
)
# What charges look for, and what may expire: of all lots few have something left.
sa.Index(
    "ix_lots_left",
    lots.c.account_id,
    sqlite_where=sa.text("remaining_nano > 0"),
    postgresql_where=sa.text("remaining_nano > 0"),
)
sa.Index(
    "ix_lots_expiring",
    lots.c.expires_ms,
    sqlite_where=sa.text("remaining_nano > 0 AND expires_ms IS NOT NULL"),
    postgresql_where=sa.text("remaining_nano > 0 AND expires_ms IS NOT NULL"),
)

# One row for each account that the ledger has heard of; see control.ledger.types.Totals.
ledger_accounts: Final = sa.Table(
    "ledger_accounts",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("credits_nano", sa.BigInteger, nullable=False),
    sa.Column("usage_nano", sa.BigInteger, nullable=False),
    sa.Column("purchased_nano", sa.BigInteger, nullable=False),
    sa.Column("debt_nano", sa.BigInteger, nullable=False),
)
