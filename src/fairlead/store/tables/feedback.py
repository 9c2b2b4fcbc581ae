"""What people say of answers."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["generation_feedback"]

generation_feedback: Final = sa.Table(
    "generation_feedback",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # sorts by time
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("generation_id", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),  # of a key, or of a user
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("comment", sa.Text),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Index(None, "account_id", "id"),
    sa.Index(None, "generation_id"),
)
