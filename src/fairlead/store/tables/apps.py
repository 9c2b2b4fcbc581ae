"""Codes that apps exchange for a key. The apps themselves are in `tables.usage`."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["authorization_codes"]

# What a person agreed to, until the app comes for it. The code itself is nowhere.
authorization_codes: Final = sa.Table(
    "authorization_codes",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),  # SHA-256
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("user_id", sa.Text),
    sa.Column("app_id", sa.BigInteger, nullable=False),
    sa.Column("challenge", sa.Text),
    sa.Column("challenge_method", sa.Text),
    sa.Column("key_name", sa.Text, nullable=False),
    sa.Column("key_workspace_id", sa.Text, nullable=False),
    sa.Column("key_limit_nano", sa.BigInteger),
    sa.Column("key_limit_reset", sa.Text),
    sa.Column("key_expires_ms", sa.BigInteger),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("wrong_count", sa.Integer, nullable=False),  # of verifiers that were not its own
    sa.Column("used_ms", sa.BigInteger),
    sa.CheckConstraint("challenge_method IN ('S256', 'plain')", name="challenge_method"),
    sa.CheckConstraint("key_limit_reset IN ('daily', 'weekly', 'monthly')", name="key_limit_reset"),
    sa.Index(None, "account_id", "expires_ms"),
    sa.Index(None, "expires_ms"),
)
