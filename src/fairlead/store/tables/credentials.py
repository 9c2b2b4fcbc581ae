"""Accounts' own credentials for providers."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["provider_credentials"]

# `sealed` is what the account wrote as its key (see `store.sealing`); a deleted row has none any more.
provider_credentials: Final = sa.Table(
    "provider_credentials",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # a UUID
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("workspace_id", sa.Text),  # none: for all workspaces of the account
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),  # "sk-...AbCd"
    sa.Column("name", sa.Text),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("is_disabled", sa.Boolean, nullable=False),
    sa.Column("is_fallback", sa.Boolean, nullable=False),
    sa.Column("is_required", sa.Boolean, nullable=False),
    sa.Column("is_exclusive", sa.Boolean, nullable=False),
    sa.Column("region", sa.Text),  # eu or us, as the account says
    sa.Column("sort_order", sa.Integer, nullable=False),
    sa.Column("allowed_models", sa.Text),  # JSON: an array of ids; none: all
    sa.Column("allowed_key_hashes", sa.Text),  # JSON: an array of digests in hexadecimal
    sa.Column("allowed_users", sa.Text),  # JSON: an array of ids
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Column("deleted_ms", sa.BigInteger),
    sa.CheckConstraint("region IN ('eu', 'us')", name="region"),
    sa.CheckConstraint("deleted_ms IS NULL OR sealed IS NULL", name="wiped"),
    sa.Index(None, "account_id", "provider", "sort_order"),
)
