"""API keys."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["api_keys"]

api_keys: Final = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column(
        "digest", sa.LargeBinary, nullable=False
    ),  # SHA-256 of the key; the key itself is nowhere
    sa.Column("label", sa.Text, nullable=False),  # "sk-fl-v1-abc...123"
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("is_management", sa.Boolean, nullable=False),
    sa.Column("is_disabled", sa.Boolean, nullable=False),
    sa.Column("limit_nano", sa.BigInteger),
    sa.Column("limit_reset", sa.Text),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger),
    sa.Column("revoked_ms", sa.BigInteger),
    sa.Column("requests_per_minute", sa.Integer),
    sa.Column("requests_per_day", sa.Integer),
    sa.Column("workspace_id", sa.Text),  # none: the account's default one
    sa.Column("creator_user_id", sa.Text),
    sa.Column("include_byok_in_limit", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column(
        "app_id", sa.BigInteger
    ),  # that it was made for, see tables.apps; 0: one without a name
    sa.Column("updated_ms", sa.BigInteger),
    sa.Column("deleted_ms", sa.BigInteger),  # nobody sees it any more, but what it used stays
    sa.UniqueConstraint("digest"),
    sa.CheckConstraint("limit_reset IN ('daily', 'weekly', 'monthly')", name="limit_reset"),
    sa.Index(None, "account_id", "created_ms"),
    sa.Index(None, "workspace_id"),
)
