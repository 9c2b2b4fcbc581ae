"""Finished calls, and how far the journals of them have been read."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["generations", "journal_positions"]

# One row for each core.generation.Generation. `record` is all of it, as the journal had it; the columns
# beside it are what queries choose by and add up, and can be had from it again when they want another.
# No foreign keys: what was used is recorded whatever has become of its account, key or price.
generations: Final = sa.Table(
    "generations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False),  # all of them
    sa.Column("cached_tokens", sa.BigInteger, nullable=False),  # ... of those, read from a cache
    sa.Column("completion_tokens", sa.BigInteger, nullable=False),  # all of them
    sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),  # ... of those
    sa.Column("cost_nano", sa.BigInteger, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),  # see store.records
    sa.Column("entry", sa.BigInteger),  # of the ledger, which charges it; None: nothing has
    sa.Index(None, "account_id", "created_ms"),
    sa.Index(None, "key_id", "created_ms"),
    sa.Index(None, "entry", "cost_nano"),  # to check that what an entry charges is what they cost
)

# How far each usage journal has been moved into `generations`.
journal_positions: Final = sa.Table(
    "journal_positions",
    metadata,
    sa.Column("journal", sa.Text, primary_key=True),
    sa.Column("segment", sa.BigInteger, nullable=False),
    sa.Column("offset_bytes", sa.BigInteger, nullable=False),
)
