"""Who owns keys, credits and settings."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["accounts"]

accounts: Final = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text),  # lower case; only persons have one, the owner perhaps none
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("billing", sa.Text, nullable=False),
    sa.Column("is_owner", sa.Boolean, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("preferences", sa.Text),  # JSON: those of core.routing.preferences that it has set
    sa.Column("kind", sa.Text, nullable=False, server_default="person"),
    sa.Column("deleted_ms", sa.BigInteger),
    # Of a deleted one: records of its calls from before this tell of nobody any more.
    sa.Column("scrubbed_ms", sa.BigInteger),
    sa.UniqueConstraint("email"),
    sa.CheckConstraint("kind IN ('person', 'organisation')", name="kind"),
    sa.CheckConstraint("billing IN ('prepaid', 'postpaid')", name="billing"),
)
# Two processes that start at once agree on one owner.
sa.Index(
    "ix_accounts_one_owner",
    accounts.c.is_owner,
    unique=True,
    sqlite_where=sa.text("is_owner"),
    postgresql_where=sa.text("is_owner"),
)
