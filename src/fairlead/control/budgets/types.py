"""Values about budgets as the control plane keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.core.budgets.types import Reset
from fairlead.core.ids import AccountId, BudgetId
from fairlead.core.money import NanoUSD

__all__ = ["Budget", "Holder", "Spending"]


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit. account: who is limited, or whose key, workspace or member is.

    counts_byok: calls with credentials of the account's own count, too, at list prices.
    """

    id: BudgetId
    account: AccountId
    limit: NanoUSD | None
    reset: Reset | None = None
    counts_byok: bool = False


@dataclass(frozen=True, slots=True)
class Spending:
    """A budget in its current period. leased: what processes have set aside of it, for calls or in advance."""

    budget: Budget
    period: str
    spent: NanoUSD
    leased: NanoUSD

    @property
    def remaining(self) -> NanoUSD | None:
        """Of the limit, as people understand it: what is not spent. Below zero in debt. None: no limit."""
        return None if self.budget.limit is None else NanoUSD(self.budget.limit - self.spent)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds leases. renewed_ms: when it last said so."""

    name: str
    leases: int
    amount: NanoUSD
    renewed_ms: int
