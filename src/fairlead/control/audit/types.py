"""Values of the audit log: who did what to what, when, and from where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fairlead.core.ids import AccountId, KeyId, UserId

__all__ = ["OPERATOR", "Actor", "AuditEntry"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something. name: a user's or a key's id, or "operator". address: where from, or ""."""

    name: str
    address: str = ""

    @classmethod
    def user(cls, user: UserId, address: str = "") -> Actor:
        return cls(user, address)

    @classmethod
    def key(cls, key: KeyId, address: str = "") -> Actor:
        return cls(key, address)


OPERATOR: Final = Actor("operator")  # at the command line


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """account: to whom it happened. action: as "key.create". subject: the id of what it was done to.

    details: a few short texts; never a secret, a prompt or an answer.
    """

    id: str
    account: AccountId
    actor: Actor
    action: str
    subject: str
    details: Mapping[str, str]
    created_ms: int
