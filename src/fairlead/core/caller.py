"""Whom a call is for, as both planes see it: the control plane finds it, the data plane acts on it."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.core.ids import AccountId, KeyId

__all__ = ["Caller", "KeyRefused"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a call is for."""

    account: AccountId
    key: KeyId
    is_management: bool = False


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """The store positively says no. reason: for the caller, as "This API key was revoked."."""

    reason: str
