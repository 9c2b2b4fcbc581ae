"""Calls that say which session they belong to: each of them, and what they came to together.

A session is whatever callers say it is: a word that they put into each call. An account's members may use the
same word, so sums tell them apart, and models, too.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["SESSION_SUMS", "session_calls", "session_sums"]

SESSION_SUMS: Final = (
    "requests",
    "failed",  # ... of those
    "prompt_tokens",
    "cached_tokens",  # ... of those, read from a cache
    "completion_tokens",
    "cost_nano",
    "byok_nano",  # list price of calls with a credential of the caller's own
)

session_sums: Final = sa.Table(
    "session_sums",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),  # who made the key; "": nobody in particular
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("first_ms", sa.BigInteger, nullable=False),  # when its first call began
    sa.Column("last_ms", sa.BigInteger, nullable=False),  # and its last
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in SESSION_SUMS),
    sa.Index(None, "account_id", "last_ms", "session_id"),  # in which order people see them
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": 80},
)

# In the order in which a session's calls are listed. What a call is, is in `generations`.
session_calls: Final = sa.Table(
    "session_calls",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("created_ms", sa.BigInteger, primary_key=True),
    sa.Column("generation_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
