"""What a payment costs, what follows from what was seen of it, and when to look again. Pure.

Theory of operation. Whatever the payment company tells, and whenever, is joined to the purchase's facts by
`observed`: facts only grow, each in one direction, so order and repetition do not matter. `due` derives from
the facts alone which entries the ledger must have; each has a reference of its own, under which it is made
once. `state` says in a word where the purchase stands. So lost, late and repeated webhooks end in the same book
as soon as anybody has looked at the payment once after it last changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from msgspec import structs

from fairlead.control.billing.types import (
    NANO_PER_CENT,
    BillingInvalid,
    BillingRules,
    Facts,
    Method,
    Observation,
    Purchase,
    PurchaseId,
    PurchaseState,
    Purpose,
    Quote,
    Refund,
    RefundId,
    RefundRefused,
    RefundState,
    RefusedBecause,
    SeenDisputeState,
    SeenRefundState,
    TopUp,
    TopUpState,
)
from fairlead.control.billing.words import dollars
from fairlead.control.ledger.types import (
    DISPUTES,
    AddCredit,
    Command,
    Dispute,
    Lot,
    LotKind,
    RefundPurchase,
    refunds,
)
from fairlead.control.usage.calendar import month_after_ms
from fairlead.core.ids import timed_id
from fairlead.core.money import NanoUSD

__all__ = [
    "CURRENCY",
    "TOP_UP_ATTEMPTS_MAX",
    "Paused",
    "after_top_up",
    "check_top_up",
    "credit_reference",
    "due",
    "is_settled",
    "is_strange",
    "known_refunds",
    "ledger_method",
    "look_again_ms",
    "observed",
    "purchase_id",
    "quote",
    "refund_back",
    "refund_command",
    "refund_id",
    "refundable",
    "state",
    "take_back",
    "wants_top_up",
]

CURRENCY: Final = "usd"
KEY_CHARACTERS_MAX: Final = 200
_BASIS_POINTS: Final = 10_000
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000

# When to look at a payment by ourselves: webhooks may be lost. Unpaid ones until their page has expired for
# sure (a day, at Stripe), paid ones for as long as they are usually disputed.
_LOOKS_UNPAID_MS: Final[tuple[int, ...]] = (
    5 * _MINUTE_MS,
    30 * _MINUTE_MS,
    2 * _HOUR_MS,
    6 * _HOUR_MS,
    25 * _HOUR_MS,
)
_LOOKS_PAID_MS: Final = tuple(days * _DAY_MS for days in (1, 3, 7, 14, 30, 60, 90, 120, 180))
TOP_UP_PAUSES_MS: Final = (_HOUR_MS, 6 * _HOUR_MS, 24 * _HOUR_MS)
TOP_UP_ATTEMPTS_MAX: Final = len(TOP_UP_PAUSES_MS) + 1

_Seen = TypeVar("_Seen")


def purchase_id(unix_ms: int, entropy: bytes) -> PurchaseId:
    """`pay-` + milliseconds since 1970 (12 hex) + the entropy."""
    return PurchaseId(timed_id("pay", unix_ms, entropy))


def refund_id(unix_ms: int, entropy: bytes) -> RefundId:
    """`back-` + milliseconds since 1970 (12 hex) + the entropy."""
    return RefundId(timed_id("back", unix_ms, entropy))


# --- what it costs ---


def quote(amount_cents: int, method: Method, terms: BillingRules) -> Quote:
    """The fee comes on top of the amount, rounded up to the cent. Raises BillingInvalid beyond the bounds."""
    if not terms.purchase_cents_min <= amount_cents <= terms.purchase_cents_max:
        raise BillingInvalid(
            f"a purchase is from {dollars(terms.purchase_cents_min)}"
            f" to {dollars(terms.purchase_cents_max)}",
            "amount",
        )
    return Quote(amount_cents, fee_cents(amount_cents, method, terms))


def fee_cents(amount_cents: int, method: Method, terms: BillingRules) -> int:
    if method is Method.CRYPTO:
        return max(_share(amount_cents, terms.crypto_fee_bp), terms.crypto_fee_cents_min)
    return max(_share(amount_cents, terms.card_fee_bp), terms.card_fee_cents_min)


def _share(cents: int, basis_points: int) -> int:
    return -(-cents * basis_points // _BASIS_POINTS)


# --- what was seen ---


def observed(purchase: Purchase, seen: Observation) -> Purchase:
    """The purchase with what was seen joined to its facts: commutative, associative, idempotent."""
    assert seen.purchase == purchase.id
    facts = purchase.facts
    paid = max(
        _paid(facts.paid_cents, facts.currency, facts.paid_ms),
        _paid(seen.paid_cents, seen.currency, seen.paid_ms),
    )
    joined = Facts(
        paid_cents=None if paid[0] < 0 else paid[0],
        currency=paid[1],
        paid_ms=paid[2],
        has_failed=facts.has_failed or seen.has_failed,
        problem=max(facts.problem, seen.problem),
        refunds=_joined(
            facts.refunds.values(),
            seen.refunds,
            key=lambda one: one.id,
            rank=lambda one: (one.state, one.cents),
        ),
        disputes=_joined(
            facts.disputes.values(),
            seen.disputes,
            key=lambda one: one.id,
            rank=lambda one: (one.state, one.cents),
        ),
    )
    # An attempt that failed may have another name than the one that went through.
    known = (facts.paid_cents is not None, purchase.payment or "")
    payment = max(known, (seen.paid_cents is not None, seen.payment or ""))[1] or None
    return replace(purchase, payment=payment, facts=joined)


def known_refunds(seen: Observation, ours: Collection[str]) -> Observation:
    """A refund under an id that we do not have, perhaps since a backup was restored, was made elsewhere."""
    refunds_seen = tuple(
        one if one.ours in ours else structs.replace(one, ours=None) for one in seen.refunds
    )
    return structs.replace(seen, refunds=refunds_seen)


def _paid(cents: int | None, currency: str, at_ms: int) -> tuple[int, str, int]:
    return (-1, "", 0) if cents is None else (cents, currency, at_ms)


def _joined(
    known: Iterable[_Seen],
    seen: Iterable[_Seen],
    *,
    key: Callable[[_Seen], str],
    rank: Callable[[_Seen], tuple[int, int]],
) -> dict[str, _Seen]:
    """Of each the one that is further on."""
    joined: dict[str, _Seen] = {}
    for one in (*known, *seen):
        other = joined.get(key(one))
        if other is None or rank(one) > rank(other):
            joined[key(one)] = one
    return dict(sorted(joined.items()))


def is_strange(purchase: Purchase) -> bool:
    """Another sum was paid than was asked for, or another currency: nothing follows from it by itself."""
    facts = purchase.facts
    return facts.paid_cents is not None and (
        facts.paid_cents != purchase.total_cents or facts.currency.lower() != CURRENCY
    )


def state(purchase: Purchase) -> PurchaseState:
    facts = purchase.facts
    if facts.paid_cents is None:
        return PurchaseState.FAILED if facts.has_failed else PurchaseState.CREATED
    if is_strange(purchase):
        return PurchaseState.STRANGE
    disputes = {dispute.state for dispute in facts.disputes.values()}
    if SeenDisputeState.OPEN in disputes:
        return PurchaseState.DISPUTED
    if SeenDisputeState.LOST in disputes:
        return PurchaseState.DISPUTE_LOST
    back = sum(one.cents for one in facts.refunds.values() if one.state < SeenRefundState.FAILED)
    if back >= purchase.amount_cents:
        return PurchaseState.REFUNDED
    if back:
        return PurchaseState.PARTLY_REFUNDED
    if SeenDisputeState.WON in disputes:
        return PurchaseState.DISPUTE_WON
    return PurchaseState.PAID


def is_settled(purchase: Purchase) -> bool:
    """It was paid as asked for."""
    return purchase.facts.paid_cents is not None and not is_strange(purchase)


# --- what follows ---


def credit_reference(purchase: Purchase) -> str:
    return f"purchase:{purchase.id}"


def ledger_method(purchase: Purchase) -> str:
    """As the ledger's accounts name it: what was pretended is never added to what was paid."""
    return "test" if purchase.company == "test" else purchase.method.value


def due(purchase: Purchase, terms: BillingRules) -> tuple[Command, ...]:
    """Every entry that the ledger must have for what was seen, in the order in which to make them; without
    those that it has already."""
    if not is_settled(purchase):
        return ()
    commands: list[Command] = [_credit(purchase, terms)]
    facts = purchase.facts
    for refund in facts.refunds.values():
        if refund.ours is not None:
            continue  # its credit was taken before it was sent
        taken = _credit_part(purchase, refund.cents)
        commands += _taken(
            purchase,
            f"refund:{refund.id}",
            taken,
            is_back=refund.state is SeenRefundState.FAILED,
            reason="a refund made elsewhere has failed",
        )
    for dispute in facts.disputes.values():
        if dispute.state is SeenDisputeState.WARNED:
            continue
        taken = _credit_part(purchase, dispute.cents)
        commands += _taken(
            purchase,
            f"dispute:{dispute.id}",
            taken,
            is_back=dispute.state is SeenDisputeState.WON,
            reason="the dispute was won",
        )
    return tuple(one for one in commands if one.reference not in purchase.posted)


def _credit(purchase: Purchase, terms: BillingRules) -> AddCredit:
    expires_ms = None
    if terms.expire_days is not None and purchase.purpose is not Purpose.INVOICE:
        expires_ms = purchase.facts.paid_ms + terms.expire_days * _DAY_MS
    return AddCredit(
        account=purchase.account,
        reference=credit_reference(purchase),
        kind=LotKind.PURCHASE,
        amount=purchase.amount,
        fee=purchase.fee,
        method=ledger_method(purchase),
        expires_ms=expires_ms,
        is_refundable=purchase.method is not Method.CRYPTO
        and purchase.purpose is not Purpose.INVOICE,
        source=purchase.source,
    )


def _credit_part(purchase: Purchase, cents: int) -> NanoUSD:
    """The credit in a part of what was paid: fees are in it in proportion, rounded for the buyer."""
    part = min(cents, purchase.total_cents) * purchase.amount_cents // purchase.total_cents
    return NanoUSD(part * NANO_PER_CENT)


def _taken(
    purchase: Purchase, reference: str, amount: NanoUSD, *, is_back: bool, reason: str
) -> list[Command]:
    """What the bank has taken, and given back if it has: both, whichever of them was seen."""
    if not amount:
        return []
    taken: list[Command] = [
        Dispute(
            account=purchase.account,
            reference=reference,
            source=purchase.source,
            amount=amount,
        )
    ]
    if is_back:
        taken.append(
            AddCredit(
                account=purchase.account,
                reference=f"{reference}:back",
                kind=LotKind.REFUND,
                amount=amount,
                source=purchase.source,
                counter=DISPUTES,
                reason=reason,
            )
        )
    return taken


# --- paying back ---


def refundable(purchase: Purchase, lot: Lot | None, *, now_ms: int, terms: BillingRules) -> int:
    """How many cents may go back: the unused part of the credit, in whole cents; never the fee.

    lot: what the purchase became; None: nothing of it is left. Raises RefundRefused.
    """
    if not is_settled(purchase):
        raise RefundRefused(RefusedBecause.NOT_PAID, "this purchase has not been paid")
    if purchase.method is Method.CRYPTO:
        raise RefundRefused(RefusedBecause.NEVER, "payments in cryptocurrency are never refunded")
    if purchase.purpose is Purpose.INVOICE or (lot is not None and not lot.is_refundable):
        raise RefundRefused(RefusedBecause.NEVER, "payments of an invoice are not refunded here")
    if any(
        one.state in (SeenDisputeState.OPEN, SeenDisputeState.LOST)
        for one in purchase.facts.disputes.values()
    ):
        raise RefundRefused(RefusedBecause.DISPUTED, "this payment is disputed at the bank")
    if now_ms - purchase.facts.paid_ms > terms.refund_ms:
        hours = terms.refund_ms // _HOUR_MS
        raise RefundRefused(
            RefusedBecause.TOO_LATE, f"a purchase is refunded within {hours} hours of its payment"
        )
    cents = 0 if lot is None else lot.remaining // NANO_PER_CENT
    if not cents:
        left = "less than a cent" if lot is not None and lot.remaining else "nothing"
        raise RefundRefused(RefusedBecause.USED_UP, f"{left} of this purchase is left")
    return cents


def refund_command(refund: Refund, purchase: Purchase, lot: Lot) -> RefundPurchase:
    return RefundPurchase(
        account=refund.account,
        reference=f"refund:{refund.id}",
        lot=lot.id,
        paid_back=NanoUSD(refund.amount_cents * NANO_PER_CENT),
        method=ledger_method(purchase),
    )


def take_back(refund: Refund, seen: SeenRefundState) -> Refund:
    """What has become of it; it never comes back from FAILED."""
    if refund.state is RefundState.FAILED:
        return refund
    match seen:
        case SeenRefundState.FAILED:
            return replace(refund, state=RefundState.FAILED)
        case SeenRefundState.PENDING | SeenRefundState.DONE:
            return replace(refund, state=RefundState.SENT)


def refund_back(refund: Refund, purchase: Purchase) -> AddCredit:
    """A refund has failed: its credit comes back."""
    return AddCredit(
        account=refund.account,
        reference=f"refund:{refund.id}:back",
        kind=LotKind.REFUND,
        amount=NanoUSD(refund.amount_cents * NANO_PER_CENT),
        source=purchase.source,
        counter=refunds(ledger_method(purchase)),
        reason="the refund has failed",
    )


# --- looking again ---


def look_again_ms(purchase: Purchase) -> int | None:
    """When to ask the company by ourselves. None: not any more."""
    if purchase.facts.paid_cents is None:
        start_ms, looks_ms = purchase.created_ms, _LOOKS_UNPAID_MS
    else:
        start_ms, looks_ms = purchase.facts.paid_ms, _LOOKS_PAID_MS
    return start_ms + looks_ms[purchase.looks] if purchase.looks < len(looks_ms) else None


# --- topping up ---


@dataclass(frozen=True, slots=True)
class Paused:
    """The month's ceiling is reached. until_ms: when the next one begins."""

    until_ms: int


def check_top_up(top_up: TopUp, terms: BillingRules) -> None:
    """Raises BillingInvalid."""
    if not terms.purchase_cents_min <= top_up.amount_cents <= terms.purchase_cents_max:
        quote(top_up.amount_cents, Method.CARD, terms)
    if not 0 < top_up.threshold_cents <= terms.purchase_cents_max:
        raise BillingInvalid("the threshold is above $0", "threshold")
    if top_up.month_cents_max < top_up.amount_cents:
        raise BillingInvalid("the month's ceiling is at least one top-up", "monthly_max")


def wants_top_up(
    top_up: TopUp, *, balance: NanoUSD, bought_this_month_cents: int, now_ms: int
) -> Quote | Paused | None:
    """Whether to buy now. Quote without a fee: the amount; Paused: the ceiling is reached; None: no need."""
    if (
        top_up.state is not TopUpState.ON
        or top_up.purchase is not None
        or now_ms < top_up.not_before_ms
        or balance >= top_up.threshold_cents * NANO_PER_CENT
    ):
        return None
    if bought_this_month_cents + top_up.amount_cents > top_up.month_cents_max:
        return Paused(month_after_ms(now_ms))
    return Quote(top_up.amount_cents, 0)


def after_top_up(top_up: TopUp, *, is_paid: bool, now_ms: int) -> TopUp:
    """How it goes on when an attempt is over."""
    over = replace(top_up, purchase=None)
    if is_paid:
        return replace(over, failures=0, not_before_ms=0)
    failures = top_up.failures + 1
    if failures >= TOP_UP_ATTEMPTS_MAX:
        kept = TopUpState.STOPPED if over.state is TopUpState.ON else over.state
        return replace(over, failures=failures, state=kept)
    return replace(over, failures=failures, not_before_ms=now_ms + TOP_UP_PAUSES_MS[failures - 1])
