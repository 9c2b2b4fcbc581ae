"""Calls that say which app they come from, in the order in which an app's calls are listed."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["app_calls"]

# What a call is, is in `generations`; an app, in `apps`. Calls of an app that nobody counts are not here.
app_calls: Final = sa.Table(
    "app_calls",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("app_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("created_ms", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("generation_id", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)
