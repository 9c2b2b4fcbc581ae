"""Named parts of requests, and all their versions."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["preset_versions", "presets"]

presets: Final = sa.Table(
    "presets",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # a UUID
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("slug", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_updated_ms", sa.BigInteger),  # none: it has been active for ever
    sa.Column("creator_user_id", sa.Text),
    sa.Column("designated_version_id", sa.Text, nullable=False),  # that calls get
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("workspace_id", "slug"),
    sa.CheckConstraint("status IN ('active', 'disabled', 'archived')", name="status"),
    sa.Index(None, "account_id"),
)

# What a preset says. A version never changes.
preset_versions: Final = sa.Table(
    "preset_versions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # a UUID
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("preset_id", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),  # from 1
    sa.Column("system_prompt", sa.Text),
    sa.Column("config", sa.Text, nullable=False),  # JSON: fields of a chat request
    sa.Column("creator_user_id", sa.Text),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("preset_id", "version"),
    sa.Index(None, "account_id"),
)
