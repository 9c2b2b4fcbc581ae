"""Whom accounts want written to, and what they were told once and for all."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["ending_notices", "notification_rules"]

# Where an account says nothing of a kind, control.notifications.types.USUAL counts.
notification_rules: Final = sa.Table(
    "notification_rules",
    metadata,
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("is_on", sa.Boolean, nullable=False),
    sa.Column("to_admins", sa.Boolean, nullable=False),
    sa.Column("to_owner", sa.Boolean, nullable=False),  # who made the key
    sa.Column("people", sa.Text, nullable=False),  # JSON: ids of users
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
)

# That an account was told of the end of a model that it uses.
ending_notices: Final = sa.Table(
    "ending_notices",
    metadata,
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("said_ms", sa.BigInteger, nullable=False),
)
