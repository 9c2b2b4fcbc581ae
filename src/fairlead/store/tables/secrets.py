"""What secrets are sealed with; see `store.sealing`."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["data_keys"]

# One for each account of which anything is sealed. Without it all of that is unreadable for ever.
data_keys: Final = sa.Table(
    "data_keys",
    metadata,
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("master_key_id", sa.Text, nullable=False),  # which master key it is wrapped with
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Index(None, "master_key_id"),
)
