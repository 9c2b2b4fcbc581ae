"""What happens beside recording finished calls, in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa

from fairlead.control.ledger.service import Ledger
from fairlead.core.budgets.types import BudgetRef
from fairlead.core.money import NanoUSD

__all__ = ["BudgetSettlement", "Steps", "UsageRollup"]


class BudgetSettlement(Protocol):
    """Budgets, as far as finished calls concern them. holder: name of the journal, which is its process's."""

    def settle_within(
        self, connection: sa.Connection, holder: str, charged: Mapping[BudgetRef, NanoUSD]
    ) -> None:
        """Turn leases into spent. Of an account's own budget the ledger says what is spent."""
        ...

    def give_back_all(self, connection: sa.Connection, holder: str) -> None:
        """The journal is finished, its process gone: nothing of what it leased is spent any more."""
        ...


class UsageRollup(Protocol):
    """Statistics that are kept up to date with every batch."""

    def add_within(self, connection: sa.Connection, records: Sequence[bytes]) -> None:
        """records: of calls that were not recorded before, as `store.records.pack` makes them."""
        ...


@dataclass(frozen=True, slots=True)
class Steps:
    """All of them. usage: None: nobody wants statistics."""

    ledger: Ledger
    budgets: BudgetSettlement
    usage: UsageRollup | None = None
