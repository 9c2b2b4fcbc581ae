"""The words of budgets: what limits spending, in which period, and what one call wants of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import inf
from typing import Final, NewType, assert_never

import msgspec

from fairlead.core.ids import AccountId, BudgetId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD

__all__ = [
    "LIFETIME",
    "BudgetKind",
    "BudgetRef",
    "CallerBudget",
    "Period",
    "Reset",
    "Wanted",
    "account_budget",
    "key_budget",
    "kind_of",
    "member_budget",
    "period_of",
    "reference",
    "split",
    "workspace_budget",
]

# One budget in one of its periods, as text: "key:key-...@2026-11-01", "account:acc-...@".
BudgetRef = NewType("BudgetRef", str)

_DAY_S: Final = 86_400
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_SEPARATOR: Final = "@"


class Reset(StrEnum):
    """When what was spent counts from nought again, in UTC. Weeks begin on Monday."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class BudgetKind(StrEnum):
    """What a budget limits; the first part of its id."""

    ACCOUNT = "account"  # the credit of a prepaid account: its limit is all that was ever added
    KEY = "key"
    WORKSPACE = "workspace"
    MEMBER = "member"  # of an organisation
    BYOK = "byok"
    GUARDRAIL = "guardrail"


class Period(msgspec.Struct, frozen=True, gc=False):
    """name: ISO date of its first day; "" for the only one of a budget that never resets.

    ends_s: Unix time at which the next one begins.
    """

    name: str
    ends_s: float


LIFETIME: Final = Period("", inf)


def period_of(reset: Reset | None, now_s: float) -> Period:
    """The period that a moment is in. now_s: Unix time."""
    if reset is None:
        return LIFETIME
    today = int(now_s // _DAY_S)
    day = date.fromordinal(_EPOCH_ORDINAL + today)
    match reset:
        case Reset.DAILY:
            first, after = today, today + 1
        case Reset.WEEKLY:
            first = today - day.weekday()
            after = first + 7
        case Reset.MONTHLY:
            first = today - (day.day - 1)
            year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
            after = date(year, month, 1).toordinal() - _EPOCH_ORDINAL
        case _:
            assert_never(reset)
    return Period(date.fromordinal(_EPOCH_ORDINAL + first).isoformat(), float(after * _DAY_S))


def account_budget(account: AccountId) -> BudgetId:
    return BudgetId(f"account:{account}")


def key_budget(key: KeyId) -> BudgetId:
    return BudgetId(f"key:{key}")


def workspace_budget(workspace: WorkspaceId, reset: Reset | None) -> BudgetId:
    """A workspace may have one for each interval, and one for all time."""
    return BudgetId(f"workspace:{workspace}:{'lifetime' if reset is None else reset.value}")


def member_budget(account: AccountId, user: UserId) -> BudgetId:
    """account: of the organisation."""
    return BudgetId(f"member:{account}:{user}")


def kind_of(budget: BudgetId) -> BudgetKind:
    return BudgetKind(budget.partition(":")[0])


def reference(budget: BudgetId, period: str) -> BudgetRef:
    return BudgetRef(f"{budget}{_SEPARATOR}{period}")


def split(ref: BudgetRef) -> tuple[BudgetId, str]:
    """The budget, and its period's name."""
    budget, _, period = ref.rpartition(_SEPARATOR)
    return BudgetId(budget), period


@dataclass(frozen=True, slots=True)
class CallerBudget:
    """One budget that a caller's calls count in. Not among them: budgets without a limit.

    counts_byok: calls with a credential of the account's own count, too, at list prices.
    """

    id: BudgetId
    reset: Reset | None = None
    counts_byok: bool = False

    @property
    def kind(self) -> BudgetKind:
        return kind_of(self.id)


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """What one call wants held of each of its budgets, in nanodollars: least <= floor <= full.

    full: the most that it can cost. floor: with an answer of a usual length. least: with one that is just
    worth having. A call whose answer has a length of its caller's choosing has all three the same.
    """

    full: NanoUSD
    floor: NanoUSD
    least: NanoUSD

    @classmethod
    def exactly(cls, amount: NanoUSD) -> Wanted:
        return cls(amount, amount, amount)

    def of(self, left: NanoUSD | None) -> NanoUSD | None:
        """How much to hold where so much is left; None: not even `least` fits. left None: no limit.

        No call whose answer may be shorter takes more than a quarter of what is left, unless that would not
        do for an answer of usual length: one call must not keep all others out.
        """
        full = self.full
        if left is None or full <= left >> 2:
            return full
        if self.least == full:
            return full if full <= left else None
        amount = min(full, left, max(left >> 2, self.floor))
        return NanoUSD(amount) if amount >= self.least else None
