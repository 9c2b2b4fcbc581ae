"""What may be spent: limits, what is spent of them, and the slices that processes have leased."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["budget_periods", "budgets", "leases"]

# One row for each limit. The ids say whose: see core.budgets.types.
budgets: Final = sa.Table(
    "budgets",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("limit_nano", sa.BigInteger),  # None: unlimited
    sa.Column("reset", sa.Text),  # None: never
    sa.Column("counts_byok", sa.Boolean, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.CheckConstraint("reset IN ('daily', 'weekly', 'monthly')", name="reset"),
    sa.Index(None, "account_id"),
)

# What is spent and leased in each period of a budget. When something is leased, both together are not more
# than the limit; leased is the sum of the leases.
budget_periods: Final = sa.Table(
    "budget_periods",
    metadata,
    sa.Column("budget_id", sa.Text, primary_key=True),
    sa.Column(
        "period", sa.Text, primary_key=True
    ),  # ISO date of its first day; "" for the only one
    sa.Column("spent_nano", sa.BigInteger, nullable=False),
    sa.Column("leased_nano", sa.BigInteger, nullable=False),
    sa.Column(
        "wanted_back_ms", sa.BigInteger, nullable=False
    ),  # when somebody last lacked it; 0: never
)

# Who has leased how much. settled_nano: what the holder has spent of it since the row began.
leases: Final = sa.Table(
    "leases",
    metadata,
    sa.Column("budget_id", sa.Text, primary_key=True),
    sa.Column("period", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, primary_key=True),  # name of a process's journal
    sa.Column("amount_nano", sa.BigInteger, nullable=False),
    sa.Column("settled_nano", sa.BigInteger, nullable=False),
    sa.Column("renewed_ms", sa.BigInteger, nullable=False),
    sa.Index(None, "holder"),
)
