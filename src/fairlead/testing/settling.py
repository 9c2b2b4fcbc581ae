"""What a settler needs beside its journal, for tests: the real ledger and the real budgets."""

from __future__ import annotations

from fairlead.control.budgets.service import Budgets
from fairlead.control.generations.steps import Steps, UsageRollup
from fairlead.control.ledger.service import Ledger
from fairlead.store.database import Database

__all__ = ["NOW_MS", "settling_steps"]

NOW_MS = 1_763_700_000_000


def settling_steps(database: Database, *, usage: UsageRollup | None = None) -> Steps:
    """At a moment that does not pass."""
    return Steps(
        ledger=Ledger(database, now_ms=lambda: NOW_MS),
        budgets=Budgets(database, now_ms=lambda: NOW_MS),
        usage=usage,
    )
