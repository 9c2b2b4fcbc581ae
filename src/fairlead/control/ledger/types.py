"""Values of the ledger: what may be asked of it, what becomes of that, and what it has written down.

Amounts are nanodollars and positive. Only postings have a sign: what an account of ours gains is positive,
and the postings of one entry add up to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

import msgspec

from fairlead.core.ids import AccountId, LotId
from fairlead.core.money import NanoUSD

__all__ = [
    "ADJUSTMENTS",
    "ALLOWANCES",
    "BYOK_FEES",
    "DISPUTES",
    "EXPIRED",
    "GRANTS",
    "TRANSFERS",
    "USAGE",
    "WRITE_OFFS",
    "AddCredit",
    "AlreadyDone",
    "Applied",
    "Book",
    "Charge",
    "Command",
    "Dispute",
    "Entry",
    "ExpireLot",
    "Lot",
    "LotKind",
    "PayDebt",
    "Posted",
    "Posting",
    "RefundPurchase",
    "RefusalReason",
    "Refused",
    "ReverseUsage",
    "Totals",
    "TransferOut",
    "WriteOff",
    "credit_of",
    "debt_of",
    "fees",
    "payments",
    "refunds",
]

_NOTHING: Final = NanoUSD(0)

# The accounts of the ledger that are not a customer's. Sums of `payments:<method>` and the like are per way
# of paying; a customer has two, see `credit_of` and `debt_of`.
USAGE: Final = "usage"
BYOK_FEES: Final = "byok_fees"
GRANTS: Final = "grants"
ALLOWANCES: Final = "allowances"
ADJUSTMENTS: Final = "adjustments"
TRANSFERS: Final = "transfers"  # between two customers: always 0 in the end
EXPIRED: Final = "expired"
DISPUTES: Final = "disputes"
WRITE_OFFS: Final = "write_offs"


def credit_of(account: AccountId) -> str:
    """What the customer has, in lots: never below 0."""
    return f"credit:{account}"


def debt_of(account: AccountId) -> str:
    """What the customer owes: never above 0."""
    return f"debt:{account}"


def payments(method: str) -> str:
    return f"payments:{method}"


def fees(method: str) -> str:
    return f"fees:{method}"


def refunds(method: str) -> str:
    return f"refunds:{method}"


class LotKind(StrEnum):
    """Where a lot's credit comes from."""

    PURCHASE = "purchase"
    GRANT = "grant"
    FREE_ALLOWANCE = "free_allowance"
    REFUND = "refund"  # usage or money given back
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class Lot:
    """Credit of one origin.

    remaining: not used yet, between 0 and amount. expires_ms: None: never. source: what it was paid with,
    such as a purchase's id.
    """

    id: LotId
    kind: LotKind
    amount: NanoUSD
    remaining: NanoUSD
    created_ms: int
    expires_ms: int | None = None
    is_refundable: bool = False
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """credits: all that the account ever had to spend, less what was taken away again. usage: all that it
    was charged. purchased: what it has paid in money, less fees and what was paid back."""

    credits: NanoUSD = _NOTHING
    usage: NanoUSD = _NOTHING
    purchased: NanoUSD = _NOTHING

    @property
    def balance(self) -> NanoUSD:
        return NanoUSD(self.credits - self.usage)


@dataclass(frozen=True, slots=True)
class Book:
    """What an account has: credit or debt, never both.

    lots: those with something left, in the order in which they are used. (The service adds one that a
    command names, used up or not.) leased: what processes have set aside for running calls; it may not be
    taken from under them.
    """

    account: AccountId
    lots: tuple[Lot, ...] = ()
    debt: NanoUSD = _NOTHING
    totals: Totals = Totals()
    leased: NanoUSD = _NOTHING

    @property
    def balance(self) -> NanoUSD:
        """What may be spent; below 0: owed. The same as `totals.balance`."""
        return NanoUSD(sum(lot.remaining for lot in self.lots) - self.debt)

    @property
    def free(self) -> NanoUSD:
        """The part of the balance that no process has set aside, at least 0."""
        return NanoUSD(max(self.balance - self.leased, 0))


# Commands. Kept with their entry, as JSON by name: names of fields and tags stay for ever, and a new field
# has a default.


class _Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """account: whose book. reference: the idempotency key, unique in an installation, as "purchase:pay-..."."""

    account: AccountId
    reference: str


class AddCredit(_Command, frozen=True, kw_only=True, tag="add_credit"):
    """Open a lot. If the account owes something, the lot pays that first.

    method: how it was paid ("card", "crypto", "test"); purchases only. fee: paid on top of the amount.
    counter: where the credit comes from; "": what goes without saying for the kind. (A refund that failed
        comes back from `refunds:<method>`, a dispute that was won from `disputes`.)
    reason: for people.
    """

    kind: LotKind
    amount: NanoUSD
    fee: NanoUSD = _NOTHING
    method: str = ""
    expires_ms: int | None = None
    is_refundable: bool = False
    source: str | None = None
    counter: str = ""
    reason: str = ""


class Charge(_Command, frozen=True, kw_only=True, tag="charge"):
    """Usage of generations that were settled together. What no lot covers is owed.

    amount: may be 0, for free models. byok_fees: the part of it that is a fee for a key of the caller's own.
    """

    amount: NanoUSD
    generations_count: int
    byok_fees: NanoUSD = _NOTHING


class RefundPurchase(_Command, frozen=True, kw_only=True, tag="refund_purchase"):
    """Pay an unused part of a purchase back; never its fee. paid_back: at most what the lot has left."""

    lot: LotId
    paid_back: NanoUSD
    method: str


class ReverseUsage(_Command, frozen=True, kw_only=True, tag="reverse_usage"):
    """Take usage back that should not have been charged. It comes back as a lot that does not expire."""

    amount: NanoUSD
    reason: str


class ExpireLot(_Command, frozen=True, kw_only=True, tag="expire_lot"):
    """Take what is left of a lot whose time is over, except for what running calls may need: that is taken
    another time, under another reference. (Waiting for a moment without calls, a busy account's would never
    expire.)"""

    lot: LotId


class Dispute(_Command, frozen=True, kw_only=True, tag="dispute"):
    """The bank has taken a payment back: from the lots of that source, then from others; the rest is owed."""

    source: str
    amount: NanoUSD


class TransferOut(_Command, frozen=True, kw_only=True, tag="transfer_out"):
    """The first half of `Ledger.transfer`; the second is an AddCredit for each lot that it took from."""

    to: AccountId
    amount: NanoUSD


class PayDebt(_Command, frozen=True, kw_only=True, tag="pay_debt"):
    """An invoice was paid: at most what is owed. fee: paid on top."""

    amount: NanoUSD
    method: str
    fee: NanoUSD = _NOTHING
    source: str | None = None


class WriteOff(_Command, frozen=True, kw_only=True, tag="write_off"):
    """Give up on what is owed, or on a part."""

    amount: NanoUSD
    reason: str


Command: TypeAlias = (
    AddCredit
    | Charge
    | RefundPurchase
    | ReverseUsage
    | ExpireLot
    | Dispute
    | TransferOut
    | PayDebt
    | WriteOff
)


# What becomes of a command.


class Posting(NamedTuple):
    """One line of an entry. account: of the ledger, not of a customer. lot: for credit only."""

    account: str
    amount: NanoUSD
    lot: LotId | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """The book afterwards, and the postings that lead there; none for a charge of 0. opened: the new lot,
    as it was before it paid any debt."""

    book: Book
    postings: tuple[Posting, ...]
    opened: Lot | None = None


class RefusalReason(StrEnum):
    """Why a command changes nothing."""

    TEXT_INVALID = (
        "text_invalid"  # a reference, reason, ... that is empty, too long, or not one line
    )
    AMOUNT_INVALID = "amount_invalid"
    OUT_OF_RANGE = "out_of_range"  # a sum beyond 64 bits
    REFERENCE_REUSED = "reference_reused"  # another command has had this reference
    LOT_UNKNOWN = "lot_unknown"
    NOT_REFUNDABLE = "not_refundable"
    NOT_DUE = "not_due"  # the lot has not expired
    EXCEEDS_UNUSED = "exceeds_unused"
    EXCEEDS_CREDIT = "exceeds_credit"
    EXCEEDS_DEBT = "exceeds_debt"
    EXCEEDS_USAGE = "exceeds_usage"
    IN_USE = "in_use"  # set aside for running calls; it can be tried again


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing has changed. message: one line for people."""

    reason: RefusalReason
    message: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it is written down. command: as JSON. hash: of everything here and of all before it."""

    number: int
    reference: str
    kind: str
    account: AccountId
    created_ms: int
    command: str
    postings: tuple[Posting, ...]
    hash: bytes


@dataclass(frozen=True, slots=True)
class Posted:
    """Done, just now. book: afterwards. opened: as in Applied."""

    entry: int
    book: Book
    postings: tuple[Posting, ...]
    opened: Lot | None = None


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """The same command has had this reference: entry `entry` is its outcome."""

    entry: int
