"""Values about notifications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from fairlead.core.ids import UserId

__all__ = ["PEOPLE_MAX", "USUAL", "Kind", "NotificationInvalid", "Rule", "TooSoon", "Wanted"]

PEOPLE_MAX: Final = 20  # named for one kind


class Kind(StrEnum):
    """What an account is written about, and can choose to whom."""

    LOW_BALANCE = "low_balance"
    WORKSPACE_BUDGET = "workspace_budget"
    KEY_LIMIT = "key_limit"
    MODEL_ENDING = "model_ending"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who is written to.

    to_admins: whoever answers for the account. to_owner: who made the key that it is about. people: members who
        are named.
    """

    is_on: bool = True
    to_admins: bool = True
    to_owner: bool = False
    people: tuple[UserId, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rule as somebody writes it. people: members' addresses or ids."""

    is_on: bool
    to_admins: bool
    to_owner: bool
    people: tuple[str, ...]


USUAL: Final[Mapping[Kind, Rule]] = MappingProxyType(
    {
        Kind.LOW_BALANCE: Rule(),
        Kind.WORKSPACE_BUDGET: Rule(),
        Kind.KEY_LIMIT: Rule(to_admins=False, to_owner=True),
        Kind.MODEL_ENDING: Rule(),
    }
)


class NotificationInvalid(ValueError):
    """It cannot be like that. kind: of the rule that is wrong."""

    def __init__(self, message: str, kind: Kind) -> None:
        super().__init__(message)
        self.kind = kind


class TooSoon(Exception):
    """A test message went there a moment ago."""
