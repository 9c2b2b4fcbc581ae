"""What was spent before there was a limit: a key that gets one in the middle of a month has used some of it."""

from __future__ import annotations

import sqlalchemy as sa

from fairlead.control.budgets.service import UsedBefore
from fairlead.control.budgets.types import Budget
from fairlead.control.usage.service import Usage
from fairlead.core.budgets.types import BudgetKind, Period, Reset, kind_of
from fairlead.core.ids import KeyId
from fairlead.core.money import NanoUSD

__all__ = ["used_by_keys"]


def used_by_keys(usage: Usage) -> UsedBefore:
    """As far as it has been added up; half a second may be missing. Of other budgets nothing is known."""

    def used(_: sa.Connection, budget: Budget, __: Period) -> NanoUSD:
        if kind_of(budget.id) is not BudgetKind.KEY:
            return NanoUSD(0)
        key = KeyId(budget.id.partition(":")[2])
        found = usage.of_keys([key]).get(key)
        if found is None:
            return NanoUSD(0)
        span = {
            None: found.total,
            Reset.DAILY: found.daily,
            Reset.WEEKLY: found.weekly,
            Reset.MONTHLY: found.monthly,
        }[budget.reset]
        return NanoUSD(span.cost + (span.byok if budget.counts_byok else 0))

    return used
