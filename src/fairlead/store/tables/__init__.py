"""Every table, a file for each subject. Money is nanodollars in 64 bits; times are integer milliseconds
since 1970, UTC (`_ms`).

A change here needs a revision in `migrations/versions`; a test compares the two. Queries import a subject's
file; who needs all tables at once imports `metadata` from here.
"""

from __future__ import annotations

from fairlead.store.tables import (
    accounts,
    apps,
    budgets,
    call_apps,
    call_sessions,
    catalogue,
    contents,
    credentials,
    feedback,
    generations,
    installation,
    keys,
    ledger,
    notifications,
    payments,
    people,
    presets,
    secrets,
    usage,
)
from fairlead.store.tables.metadata import metadata

__all__ = [
    "accounts",
    "apps",
    "budgets",
    "call_apps",
    "call_sessions",
    "catalogue",
    "contents",
    "credentials",
    "feedback",
    "generations",
    "installation",
    "keys",
    "ledger",
    "metadata",
    "notifications",
    "payments",
    "people",
    "presets",
    "secrets",
    "usage",
]
