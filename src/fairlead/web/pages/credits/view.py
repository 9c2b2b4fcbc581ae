"""Credit, purchases and documents as their pages show them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from fairlead.control.billing import rules
from fairlead.control.billing.documents import Issued
from fairlead.control.billing.profiles import Profile
from fairlead.control.billing.types import (
    NANO_PER_CENT,
    BillingRules,
    Method,
    Purchase,
    PurchaseState,
    Purpose,
    Quote,
    Refund,
    RefundState,
    TopUp,
    TopUpState,
)
from fairlead.control.ledger.types import (
    AddCredit,
    Book,
    Charge,
    Command,
    Dispute,
    Entry,
    ExpireLot,
    Lot,
    LotKind,
    PayDebt,
    RefundPurchase,
    ReverseUsage,
    TransferOut,
    WriteOff,
    credit_of,
    debt_of,
)
from fairlead.core.money import NanoUSD
from fairlead.web.pages.form_fields import typed_dollars
from fairlead.web.pages.shown import dollars, dollars_from_cents, money, plural, signed_dollars

__all__ = [
    "TABS",
    "Balance",
    "BuyForm",
    "DetailsForm",
    "DocumentRow",
    "Fees",
    "LotRow",
    "PostingRow",
    "PurchaseRow",
    "QuoteView",
    "RefundRow",
    "TopUpForm",
    "TopUpView",
    "balance_of",
    "buy_form",
    "details_of",
    "document_row",
    "fees_of",
    "lot_row",
    "posting_row",
    "purchase_row",
    "quote_view",
    "refund_row",
    "top_up_form",
    "top_up_view",
]

TABS: Final = (
    ("credits", "Credits", "/credits"),
    ("top-up", "Auto top-up", "/credits/top-up"),
    ("invoices", "Invoices", "/credits/invoices"),
    ("history", "Ledger", "/credits/history"),
)
SOON_S: Final = 14 * 86_400  # credit that expires by then is marked
_MS_PER_S: Final = 1000
_HOUR_MS: Final = 3_600_000
_METHODS: Final = {
    Method.CARD: "Card",
    Method.ALIPAY: "Alipay",
    Method.CRYPTO: "Cryptocurrency",
}
_STATES: Final = {
    PurchaseState.CREATED: ("Not paid yet", ""),
    PurchaseState.FAILED: ("Failed", "danger"),
    PurchaseState.STRANGE: ("Being looked at", "warning"),
    PurchaseState.PAID: ("Paid", "success"),
    PurchaseState.PARTLY_REFUNDED: ("Partly refunded", ""),
    PurchaseState.REFUNDED: ("Refunded", ""),
    PurchaseState.DISPUTED: ("Disputed", "warning"),
    PurchaseState.DISPUTE_WON: ("Paid, dispute over", "success"),
    PurchaseState.DISPUTE_LOST: ("Taken back by the bank", "danger"),
}
_PURPOSES: Final = {
    Purpose.CREDIT: "Credit",
    Purpose.TOP_UP: "Auto top-up",
    Purpose.INVOICE: "Payment of an invoice",
}
_REFUNDS: Final = {
    RefundState.OWED: ("On its way", ""),
    RefundState.SENT: ("Sent", "success"),
    RefundState.FAILED: ("Failed, the credit is back", "danger"),
}
_LOTS: Final = {
    LotKind.PURCHASE: "Purchase",
    LotKind.GRANT: "Grant",
    LotKind.FREE_ALLOWANCE: "Free allowance",
    LotKind.REFUND: "Given back",
    LotKind.TRANSFER: "Transfer",
}
_read_command: Final = msgspec.json.Decoder(Command)


@dataclass(frozen=True, slots=True)
class Balance:
    """low: what to say about a balance that runs low, and its tone; "" if it does not."""

    balance: str
    is_owed: bool
    bought: str
    used: str
    added: str
    low: str
    tone: str


def balance_of(book: Book, profile: Profile, terms: BillingRules, *, is_prepaid: bool) -> Balance:
    cents = profile.low_balance_cents
    threshold = (terms.low_balance_cents if cents is None else cents) * NANO_PER_CENT
    low, tone = "", ""
    if is_prepaid and book.balance <= 0:
        low, tone = "There is no credit left: calls that cost something are refused.", "danger"
    elif is_prepaid and book.balance < threshold:
        low, tone = f"Less than {dollars(NanoUSD(threshold))} is left.", "warning"
    return Balance(
        money(book.balance) if is_prepaid else money(book.debt),
        bool(book.debt),
        money(book.totals.purchased),
        money(book.totals.usage),
        money(book.totals.credits),
        low,
        tone,
    )


@dataclass(frozen=True, slots=True)
class LotRow:
    kind: str
    purchase: str | None
    remaining: str
    amount: str
    used_share: float
    created_s: float
    expires_s: float | None
    is_soon: bool


def lot_row(lot: Lot, *, now_s: float) -> LotRow:
    expires_s = None if lot.expires_ms is None else lot.expires_ms / _MS_PER_S
    return LotRow(
        _LOTS[lot.kind],
        _purchase_path(lot.source),
        money(lot.remaining),
        dollars(lot.amount),
        lot.remaining / lot.amount if lot.amount else 0.0,
        lot.created_ms / _MS_PER_S,
        expires_s,
        expires_s is not None and expires_s - now_s < SOON_S,
    )


def _purchase_path(source: str | None) -> str | None:
    if source is None or not source.startswith("pay-"):
        return None
    return f"/credits/purchases/{source}"


# --- buying -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fees:
    """The rules in words. refund: when a purchase is refunded."""

    least: str
    most: str
    fees: tuple[str, ...]
    refund: str
    expiry: str


def fees_of(terms: BillingRules, methods: tuple[Method, ...]) -> Fees:
    said = []
    if Method.CARD in methods or Method.ALIPAY in methods:
        names = " and ".join(
            _METHODS[one] for one in (Method.CARD, Method.ALIPAY) if one in methods
        )
        said.append(f"{names}: {_fee(terms.card_fee_bp, terms.card_fee_cents_min)}")
    if Method.CRYPTO in methods:
        fee = _fee(terms.crypto_fee_bp, terms.crypto_fee_cents_min)
        said.append(f"{_METHODS[Method.CRYPTO]}: {fee}")
    hours = plural(terms.refund_ms // _HOUR_MS, "hour")
    return Fees(
        dollars_from_cents(terms.purchase_cents_min),
        dollars_from_cents(terms.purchase_cents_max),
        tuple(said),
        f"Within {hours} of its payment, what is unused of a purchase is refunded the way it was"
        " paid. The fee is not. Payments in cryptocurrency, of invoices, and those that are disputed"
        " at a bank are not refunded.",
        "Credit that was bought does not expire."
        if terms.expire_days is None
        else f"Credit that was bought expires after {plural(terms.expire_days, 'day')}.",
    )


def _fee(basis_points: int, cents_min: int) -> str:
    if not basis_points and not cents_min:
        return "no fee"
    percent = f"{basis_points / 100:g}%"
    return f"{percent}, at least {dollars_from_cents(cents_min)}" if cents_min else percent


@dataclass(frozen=True, slots=True)
class BuyForm:
    """As somebody typed it. methods: pairs of value and name. key: of this attempt."""

    amount: str
    method: str
    methods: tuple[tuple[str, str], ...]
    key: str
    problems: Mapping[str, str] = field(default_factory=dict)


def buy_form(
    amount: str, method: str, methods: tuple[Method, ...], key: str, problems: Mapping[str, str]
) -> BuyForm:
    return BuyForm(
        amount, method, tuple((one.value, _METHODS[one]) for one in methods), key, problems
    )


@dataclass(frozen=True, slots=True)
class QuoteView:
    """None: there is nothing to buy, see the form's problems."""

    amount: str
    fee: str
    total: str
    is_test: bool


def quote_view(quote: Quote, *, is_test: bool) -> QuoteView:
    return QuoteView(
        dollars_from_cents(quote.amount_cents),
        dollars_from_cents(quote.fee_cents),
        dollars_from_cents(quote.total_cents),
        is_test,
    )


# --- purchases --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PurchaseRow:
    """pay_at: where it can be paid still. again_at: where another can be begun. problem: why it failed, in the
    payment company's words."""

    id: str
    path: str
    purpose: str
    method: str
    amount: str
    fee: str
    total: str
    state: str
    tone: str
    is_open: bool
    is_paid: bool
    is_test: bool
    problem: str
    pay_at: str | None
    again_at: str
    created_s: float
    paid_s: float | None


def purchase_row(purchase: Purchase) -> PurchaseRow:
    facts = purchase.facts
    state = rules.state(purchase)
    said, tone = _STATES[state]
    is_open = state is PurchaseState.CREATED
    return PurchaseRow(
        purchase.id,
        f"/credits/purchases/{purchase.id}",
        _PURPOSES[purchase.purpose],
        _METHODS[purchase.method],
        dollars_from_cents(purchase.amount_cents),
        dollars_from_cents(purchase.fee_cents),
        dollars_from_cents(purchase.total_cents),
        said,
        tone,
        is_open,
        rules.is_settled(purchase),
        purchase.company == "test",
        facts.problem,
        purchase.url if is_open else None,
        "/credits/invoices" if purchase.purpose is Purpose.INVOICE else "/credits/buy",
        purchase.created_ms / _MS_PER_S,
        facts.paid_ms / _MS_PER_S if facts.paid_cents is not None else None,
    )


@dataclass(frozen=True, slots=True)
class RefundRow:
    amount: str
    state: str
    tone: str
    problem: str
    created_s: float


def refund_row(refund: Refund) -> RefundRow:
    said, tone = _REFUNDS[refund.state]
    return RefundRow(
        dollars_from_cents(refund.amount_cents),
        said,
        tone,
        refund.problem,
        refund.created_ms / _MS_PER_S,
    )


# --- documents and details --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DocumentRow:
    number: int
    name: str
    kind: str
    about: str
    total: str
    is_open: bool
    issued_s: float


def document_row(issued: Issued) -> DocumentRow:
    return DocumentRow(
        issued.number,
        issued.document.number,
        issued.kind.capitalize(),
        issued.period or ", ".join(line.text for line in issued.document.lines[:1]),
        dollars_from_cents(issued.total_cents),
        issued.kind == "invoice" and issued.paid_ms is None,
        issued.issued_ms / _MS_PER_S,
    )


@dataclass(frozen=True, slots=True)
class DetailsForm:
    name: str = ""
    address: str = ""
    tax_ids: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)


def details_of(profile: Profile) -> DetailsForm:
    return DetailsForm(profile.name, profile.address, "\n".join(profile.tax_ids))


# --- topping up -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TopUpForm:
    """As somebody typed it."""

    is_on: bool
    threshold: str
    amount: str
    monthly_max: str
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopUpView:
    """card: as "visa 4242". trouble: what is wrong with it, if anything is."""

    card: str | None
    is_stopped: bool
    trouble: str
    next_s: float | None


def top_up_form(top_up: TopUp) -> TopUpForm:
    """What has never been set has figures to begin with."""
    return TopUpForm(
        top_up.state is TopUpState.ON,
        _typed(top_up.threshold_cents or 1_000),
        _typed(top_up.amount_cents or 2_000),
        _typed(top_up.month_cents_max or 10_000),
    )


def top_up_view(top_up: TopUp, profile: Profile) -> TopUpView:
    trouble = ""
    if top_up.state is TopUpState.STOPPED:
        trouble = (
            "It was stopped: the card was declined too often. Turn it on again to try once more."
        )
    elif top_up.failures:
        trouble = f"The card was declined, {plural(top_up.failures, 'time')} in a row."
    return TopUpView(
        None if profile.saved is None else profile.saved.label,
        top_up.state is TopUpState.STOPPED,
        trouble,
        top_up.not_before_ms / _MS_PER_S if top_up.not_before_ms else None,
    )


def _typed(cents: int) -> str:
    return typed_dollars(cents * NANO_PER_CENT)


# --- the ledger -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PostingRow:
    """amount: what the account gained or lost by it. link: to what it is about."""

    number: int
    created_s: float
    what: str
    amount: str
    is_gain: bool
    reference: str
    link: str | None


def posting_row(entry: Entry) -> PostingRow:
    own = (credit_of(entry.account), debt_of(entry.account))
    amount = sum(one.amount for one in entry.postings if one.account in own)
    command = _read_command.decode(entry.command)
    source = command.source if isinstance(command, AddCredit | Dispute | PayDebt) else None
    return PostingRow(
        entry.number,
        entry.created_ms / _MS_PER_S,
        _what(command),
        signed_dollars(NanoUSD(amount)),
        amount > 0,
        entry.reference,
        _purchase_path(source),
    )


def _what(command: Command) -> str:
    match command:
        case AddCredit():
            said = _LOTS[command.kind]
            return f"{said}: {command.reason}" if command.reason else said
        case Charge():
            return f"Usage, {plural(command.generations_count, 'call')}"
        case RefundPurchase():
            return "Purchase refunded"
        case ReverseUsage():
            return f"Usage taken back: {command.reason}"
        case ExpireLot():
            return "Credit expired"
        case Dispute():
            return "Taken back by the bank"
        case TransferOut():
            return "Transfer to another account"
        case PayDebt():
            return "Payment of what was owed"
        case WriteOff():
            return f"Written off: {command.reason}"
