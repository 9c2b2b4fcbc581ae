"""Prompts and answers of accounts that asked us to keep them, encrypted."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["contents"]

# `sealed` is control.contents.types.Content, compressed; see `store.sealing`.
contents: Final = sa.Table(
    "contents",
    metadata,
    sa.Column("generation_id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Index(None, "account_id", "created_ms"),
    sa.Index(None, "created_ms"),
)
