"""Values about payments: what is bought, what the payment company says of it, and what follows.

What was seen of a payment is kept as `Facts`, which only ever grow. Facts that were seen twice, late, or in
another order add up to the same, so whatever is derived from them is the same, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, NewType

import msgspec

from fairlead.core.ids import AccountId
from fairlead.core.money import NANO_PER_USD, NanoUSD

__all__ = [
    "NANO_PER_CENT",
    "NOTHING_SEEN",
    "BillingInvalid",
    "BillingRules",
    "Facts",
    "Method",
    "NotFoundHere",
    "Observation",
    "Purchase",
    "PurchaseId",
    "PurchaseState",
    "Purpose",
    "Quote",
    "Refund",
    "RefundId",
    "RefundRefused",
    "RefundState",
    "RefusedBecause",
    "SavedMethod",
    "SeenDispute",
    "SeenDisputeState",
    "SeenRefund",
    "SeenRefundState",
    "TopUp",
    "TopUpState",
]

NANO_PER_CENT: Final = NANO_PER_USD // 100

PurchaseId = NewType("PurchaseId", str)  # "pay-" + time-ordered
RefundId = NewType("RefundId", str)  # "back-" + time-ordered


class Method(StrEnum):
    """How somebody pays; the fee depends on it."""

    CARD = "card"
    ALIPAY = "alipay"
    CRYPTO = "crypto"


class Purpose(StrEnum):
    """What a payment is for. All of them become credit, which pays what is owed first."""

    CREDIT = "credit"
    TOP_UP = "top_up"  # automatic
    INVOICE = "invoice"  # of a postpaid account


@dataclass(frozen=True, slots=True)
class BillingRules:
    """The operator's numbers. Fees in basis points (hundredths of a percent) of the amount, on top of it.

    expire_days: None: credit that was bought never expires. low_balance_cents: where accounts are told that
    they run low, unless they chose another sum; 0: nowhere.
    """

    card_fee_bp: int = 550
    card_fee_cents_min: int = 80
    crypto_fee_bp: int = 500
    crypto_fee_cents_min: int = 0
    purchase_cents_min: int = 500
    purchase_cents_max: int = 1_000_000
    refund_ms: int = 24 * 3_600_000
    expire_days: int | None = None
    low_balance_cents: int = 10_000


@dataclass(frozen=True, slots=True)
class Quote:
    """What an amount of credit costs. All in US cents."""

    amount_cents: int
    fee_cents: int

    @property
    def total_cents(self) -> int:
        return self.amount_cents + self.fee_cents


class SeenRefundState(IntEnum):
    """In the order in which a refund's states may follow each other: one that went through may still fail."""

    PENDING = 0
    DONE = 1
    FAILED = 2


class SeenDisputeState(IntEnum):
    """In the order in which a dispute's states may follow each other. WARNED: an inquiry; no money moves."""

    WARNED = 0
    OPEN = 1
    LOST = 2
    WON = 3


class SeenRefund(msgspec.Struct, frozen=True, array_like=True):
    """A refund as the company has it. ours: the id that we gave it; None: it was made elsewhere."""

    id: str
    ours: str | None
    cents: int
    state: SeenRefundState


class SeenDispute(msgspec.Struct, frozen=True, array_like=True):
    """cents: of the payment, fee included."""

    id: str
    cents: int
    state: SeenDisputeState


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """All that the payment company says of one payment at one moment.

    purchase: ours, as we noted it there. payment: its name there; None: nobody has begun to pay.
    paid_cents, currency, paid_ms: of a payment that went through. has_failed: it was declined or cancelled, or
    the page on which it could be made has expired. problem: why, for people.
    """

    purchase: PurchaseId
    payment: str | None = None
    paid_cents: int | None = None
    currency: str = ""
    paid_ms: int = 0
    has_failed: bool = False
    problem: str = ""
    refunds: tuple[SeenRefund, ...] = ()
    disputes: tuple[SeenDispute, ...] = ()


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that was ever seen of a payment. refunds, disputes: by the company's ids."""

    paid_cents: int | None = None
    currency: str = ""
    paid_ms: int = 0
    has_failed: bool = False
    problem: str = ""
    refunds: Mapping[str, SeenRefund] = {}
    disputes: Mapping[str, SeenDispute] = {}


NOTHING_SEEN: Final = Facts()


class PurchaseState(StrEnum):
    """What has become of a purchase, for people. It follows from the facts."""

    CREATED = "created"
    FAILED = "failed"
    STRANGE = "strange"  # another sum or currency was paid than was asked for: somebody must look
    PAID = "paid"
    PARTLY_REFUNDED = "partly_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"


@dataclass(frozen=True, slots=True)
class Purchase:
    """One payment that was asked for. amount: credit; fee: on top.

    company: who takes it, as "stripe" or "test". key: the buyer's idempotency key. session, url: the page on
    which it can be made. payment: its name at the company. invoice: the one that it pays.
    posted: references of the ledger's entries that it has led to. looks: how often we asked by ourselves
    since it was begun, or paid.
    """

    id: PurchaseId
    account: AccountId
    purpose: Purpose
    method: Method
    company: str
    amount_cents: int
    fee_cents: int
    created_ms: int
    key: str | None = None
    session: str | None = None
    url: str | None = None
    payment: str | None = None
    invoice: int | None = None
    facts: Facts = NOTHING_SEEN
    posted: tuple[str, ...] = ()
    looks: int = 0

    @property
    def amount(self) -> NanoUSD:
        return NanoUSD(self.amount_cents * NANO_PER_CENT)

    @property
    def fee(self) -> NanoUSD:
        return NanoUSD(self.fee_cents * NANO_PER_CENT)

    @property
    def total_cents(self) -> int:
        return self.amount_cents + self.fee_cents

    @property
    def source(self) -> str:
        """As lots name it."""
        return self.id


class RefundState(StrEnum):
    """OWED: the credit is taken, the company has not confirmed. SENT: it has. FAILED: the credit is back."""

    OWED = "owed"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Refund:
    """An unused part of a purchase on its way back to whoever paid."""

    id: RefundId
    purchase: PurchaseId
    account: AccountId
    amount_cents: int
    state: RefundState
    created_ms: int
    payment: str
    attempts: int = 0
    problem: str = ""


class RefusedBecause(StrEnum):
    """Why a purchase is not paid back."""

    NOT_PAID = "not_paid"
    TOO_LATE = "too_late"
    NEVER = "never"  # of this kind nothing is
    USED_UP = "used_up"
    DISPUTED = "disputed"
    IN_USE = "in_use"  # calls under way hold the rest; a moment later it may work


class RefundRefused(Exception):
    """Nothing was paid back."""

    def __init__(self, reason: RefusedBecause, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """What automatic top-up charges. customer, method: the company's ids. label: as "visa 4242"."""

    customer: str
    method: str
    label: str


class TopUpState(StrEnum):
    ON = "on"
    OFF = "off"
    STOPPED = "stopped"  # by us, after it was declined too often


@dataclass(frozen=True, slots=True)
class TopUp:
    """Credit that is bought by itself. Below the threshold `amount_cents` are bought, at most
    `month_cents_max` in a month (UTC), fees apart.

    failures: since it last worked. not_before_ms: no attempt before. purchase: the one under way.
    """

    account: AccountId
    state: TopUpState = TopUpState.OFF
    threshold_cents: int = 0
    amount_cents: int = 0
    month_cents_max: int = 0
    failures: int = 0
    not_before_ms: int = 0
    purchase: PurchaseId | None = None


class BillingInvalid(ValueError):
    """It cannot be like that. path: of the field."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class NotFoundHere(LookupError):
    """The account has nothing of that name."""
