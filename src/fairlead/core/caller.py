"""Whom a call is for, as both planes see it: the control plane finds it, the data plane acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fairlead.core.budgets.types import CallerBudget
from fairlead.core.ids import AccountId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES, AccountPreferences

__all__ = ["NO_KEY_LIMITS", "Caller", "KeyLimits", "KeyRefused"]


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How often one key may be used; None: no limit of its own."""

    requests_per_minute: int | None = None
    requests_per_day: int | None = None


NO_KEY_LIMITS: Final = KeyLimits()
_NOTHING: Final = NanoUSD(0)
_NOWHERE: Final = WorkspaceId("")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a call is for.

    is_prepaid: its account spends credits that it has; credits_purchased: ever, in all.
    rate_limits: the key's own; where it has none, NO_KEY_LIMITS itself, so that identity tells.
    preferences: what the account has set for all of its calls, on top of what the installation has.
    workspace, user: where the key belongs, and who made it; None: nobody in particular.
    budgets: what its calls count in, the broadest of a kind first. is_in_debt: its account has less than
        nothing.
    """

    account: AccountId
    key: KeyId
    is_management: bool = False
    is_prepaid: bool = False
    credits_purchased: NanoUSD = _NOTHING
    rate_limits: KeyLimits = NO_KEY_LIMITS
    preferences: AccountPreferences = NO_ACCOUNT_WISHES
    workspace: WorkspaceId = _NOWHERE
    user: UserId | None = None
    budgets: tuple[CallerBudget, ...] = ()
    is_in_debt: bool = False


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """The store positively says no. reason: for the caller, as "This API key was revoked."."""

    reason: str
