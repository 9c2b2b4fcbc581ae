"""What the operator sees of everybody: figures of the installation, accounts, payments."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.control.accounts.types import Account
from fairlead.core.money import NanoUSD

__all__ = ["AccountFigures", "Counts", "Event", "GrantRefused", "Troubles"]


class GrantRefused(ValueError):
    """No credit was given. field: of the form, "" for the whole."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Counts:
    """Of what there is. purchased: credit that was paid for since the day began, fees apart.

    balance: all credit that accounts have left. debt: what they owe, the owner's apart.
    """

    accounts: int
    organisations: int
    disabled: int
    keys: int
    purchased: NanoUSD
    balance: NanoUSD
    debt: NanoUSD


@dataclass(frozen=True, slots=True)
class Troubles:
    """How much waits for a person. mails: given up. events: of the payment company, not taken in yet after an
    attempt. strange: payments of another sum than was asked for. disputes: open. refunds: that failed."""

    mails: int
    events: int
    strange: int
    disputes: int
    refunds: int


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """keys: that are not deleted. disabled_ms: of its person."""

    account: Account
    balance: NanoUSD
    usage: NanoUSD
    keys: int
    disabled_ms: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a payment company told us. outcome: what became of it; "": nothing yet."""

    id: str
    company: str
    kind: str
    received_ms: int
    attempts: int
    outcome: str
    is_waiting: bool
