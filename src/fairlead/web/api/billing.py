"""`/billing`: buy credit, have it bought automatically, refunds, receipts and invoices.

For a management key, or an admin who is signed in. Amounts are dollars; times are as everywhere in the API.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from fairlead.control.billing import rules
from fairlead.control.billing.documents import Issued
from fairlead.control.billing.profiles import Profile
from fairlead.control.billing.service import Buyer
from fairlead.control.billing.types import (
    NANO_PER_CENT,
    BillingRules,
    Method,
    Purchase,
    PurchaseId,
    Quote,
    Refund,
    TopUp,
)
from fairlead.control.ledger.types import Book, Lot
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.money import NanoUSD, usd
from fairlead.web.answers import answer, timestamp, timestamp_or_none
from fairlead.web.billing import BillingEdge
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.pdf_export import pdf_answer
from fairlead.web.reading import nano_dollars

__all__ = ["billing_operations"]

_NUMBER_MAX: Final = 10**15
_WHO: Final = Who.MANAGER_ELSE_403

_Dollars = Annotated[float, Meta(ge=0, le=100_000_000)]


class _Wanted(msgspec.Struct):
    amount: _Dollars
    method: Method


class _Purchase(_Wanted):
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=200)]


class _TopUp(msgspec.Struct):
    enabled: bool
    threshold: _Dollars = 10.0
    amount: _Dollars = 20.0
    monthly_max: _Dollars = 100.0


class _Profile(msgspec.Struct):
    name: str = ""
    address: str = ""
    tax_ids: tuple[str, ...] = ()
    low_balance: _Dollars | None = None


class _InvoicePayment(msgspec.Struct):
    method: Method


class _Decision(msgspec.Struct):
    outcome: Literal["pay", "decline"]


def billing_operations(edge: BillingEdge | None) -> list[Operation]:
    if edge is None:
        return []
    it = _Endpoints(edge)
    operations = [
        Operation("GET", "/billing", it.overview, _WHO),
        Operation("POST", "/billing/quote", it.quote, _WHO, body=_Wanted),
        Operation("GET", "/billing/purchases", it.purchases, _WHO),
        Operation("POST", "/billing/purchases", it.buy, _WHO, body=_Purchase),
        Operation("GET", "/billing/purchases/{id}", it.purchase, _WHO),
        Operation("POST", "/billing/purchases/{id}/refund", it.refund, _WHO),
        Operation("GET", "/billing/purchases/{id}/receipt", it.receipt, _WHO),
        Operation("PUT", "/billing/top-up", it.set_top_up, _WHO, body=_TopUp),
        Operation("POST", "/billing/card", it.save_card, _WHO),
        Operation("GET", "/billing/card", it.card, _WHO),
        Operation("DELETE", "/billing/card", it.forget_card, _WHO),
        Operation("PUT", "/billing/profile", it.describe, _WHO, body=_Profile),
        Operation("GET", "/billing/documents", it.documents, _WHO),
        Operation("GET", "/billing/documents/{number}", it.document, _WHO),
        Operation(
            "POST",
            "/billing/documents/{number}/pay",
            it.pay_invoice,
            _WHO,
            body=_InvoicePayment,
        ),
    ]
    if edge.pretended is not None:
        operations.append(
            Operation("POST", "/billing/test-payments/{id}", it.decide, _WHO, body=_Decision),
        )
    return operations


class _Endpoints:
    """An endpoint each."""

    def __init__(self, edge: BillingEdge) -> None:
        self._edge = edge

    async def overview(self, asked: Asked) -> Response:
        """All that a page about credit needs, in one answer."""
        account, edge = asked.requester.account, self._edge
        billing = edge.billing

        def read() -> dict[str, object]:
            profile = edge.profiles.find(account)
            return {
                "account": _book(edge.ledger.book(account)),
                "terms": _terms(billing.terms),
                "methods": [] if billing.payments is None else list(billing.payments.methods),
                "is_test": billing.payments is not None and billing.payments.is_pretended,
                "top_up": _top_up(edge.profiles.top_up(account)),
                "card": None if profile.saved is None else {"label": profile.saved.label},
                "profile": _profile(profile),
            }

        return answer({"data": await edge.do(read)})

    async def quote(self, asked: Asked) -> Response:
        wanted = await asked.body(_Wanted)
        cents = _cents(wanted.amount, "amount")
        return answer({"data": _quote(await self._quoted(cents, wanted.method))})

    async def _quoted(self, cents: int, method: Method) -> Quote:
        return await self._edge.do(partial(self._edge.billing.quote, cents, method))

    async def buy(self, asked: Asked) -> Response:
        wanted = await asked.body(_Purchase)
        begin = partial(
            self._edge.billing.start,
            _buyer(asked),
            amount_cents=_cents(wanted.amount, "amount"),
            method=wanted.method,
            key=wanted.idempotency_key,
        )
        purchase = await self._edge.do(begin)
        return answer({"data": _purchase(purchase)}, status=201)

    async def purchases(self, asked: Asked) -> Response:
        """The newest first; `before` is the last id of the page before."""
        find = partial(
            self._edge.billing.page,
            asked.requester.account,
            before=asked.parameter("before"),
            limit=asked.page().limit,
        )
        return answer({"data": [_purchase(one) for one in await self._edge.do(find)]})

    async def purchase(self, asked: Asked) -> Response:
        """With what may be refunded now. It only reads: a page that people return to may ask often."""
        account, name = asked.requester.account, PurchaseId(asked.segment("id"))
        billing = self._edge.billing

        def read() -> dict[str, object]:
            found = billing.find(account, name)
            return _purchase(found) | {
                "refundable": _dollars(billing.refundable_cents(found)),
                "refunds": [_refund(one) for one in billing.refunds(found.id)],
            }

        return answer({"data": await self._edge.do(read)})

    async def refund(self, asked: Asked) -> Response:
        name = PurchaseId(asked.segment("id"))
        done = await self._edge.do(partial(self._edge.billing.refund, _buyer(asked), name))
        return answer({"data": _refund(done)})

    async def receipt(self, asked: Asked) -> Response:
        account, name = asked.requester.account, PurchaseId(asked.segment("id"))
        find = partial(self._edge.documents.receipt, account, name)
        return pdf_answer(name, await self._edge.pdf(find))

    async def set_top_up(self, asked: Asked) -> Response:
        wanted = await asked.body(_TopUp)
        change = partial(
            self._edge.profiles.set_top_up,
            asked.requester.account,
            asked.requester.actor,
            is_on=wanted.enabled,
            threshold_cents=_cents(wanted.threshold, "threshold"),
            amount_cents=_cents(wanted.amount, "amount"),
            month_cents_max=_cents(wanted.monthly_max, "monthly_max"),
        )
        return answer({"data": _top_up(await self._edge.do(change))})

    async def save_card(self, asked: Asked) -> Response:
        """A page on which to do it."""
        account, actor = asked.requester.account, asked.requester.actor
        begin = partial(self._edge.profiles.begin_saving, account, actor, None)
        return answer({"data": {"url": (await self._edge.do(begin)).url}}, status=201)

    async def card(self, asked: Asked) -> Response:
        """Looks whether one was saved meanwhile."""
        look = partial(self._edge.profiles.look_for_saved, asked.requester.account)
        found = await self._edge.do(look)
        return answer({"data": None if found is None else {"label": found.label}})

    async def forget_card(self, asked: Asked) -> Response:
        account, actor = asked.requester.account, asked.requester.actor
        await self._edge.do(partial(self._edge.profiles.forget_saved, account, actor))
        return answer({"data": {"deleted": True}})

    async def describe(self, asked: Asked) -> Response:
        wanted = await asked.body(_Profile)
        low = wanted.low_balance
        change = partial(
            self._edge.profiles.describe,
            asked.requester.account,
            asked.requester.actor,
            name=wanted.name,
            address=wanted.address,
            tax_ids=wanted.tax_ids,
            low_balance_cents=None if low is None else _cents(low, "low_balance"),
        )
        return answer({"data": _profile(await self._edge.do(change))})

    async def documents(self, asked: Asked) -> Response:
        """Receipts and invoices, the newest first; `before` is the last number of the page before."""
        before = asked.parameter("before")
        find = partial(
            self._edge.documents.page,
            asked.requester.account,
            before=None if before is None else _number(before),
            limit=asked.page().limit,
        )
        return answer({"data": [_issued(one) for one in await self._edge.do(find)]})

    async def document(self, asked: Asked) -> Response:
        account, number = asked.requester.account, _number(asked.segment("number"))
        find = partial(self._edge.documents.find, account, number)
        return pdf_answer(f"document-{number}", await self._edge.pdf(find))

    async def pay_invoice(self, asked: Asked) -> Response:
        number = _number(asked.segment("number"))
        wanted = await asked.body(_InvoicePayment)
        begin = partial(self._edge.billing.pay_invoice, _buyer(asked), number, method=wanted.method)
        return answer({"data": _purchase(await self._edge.do(begin))}, status=201)

    async def decide(self, asked: Asked) -> Response:
        """A test payment is made, or declined. No money moves."""
        account, name = asked.requester.account, PurchaseId(asked.segment("id"))
        decision = await asked.body(_Decision)
        billing, pretended = self._edge.billing, self._edge.pretended
        if pretended is None:
            raise NotFound("There are no test payments here.")

        def decide() -> Purchase:
            found = billing.find(account, name)
            return billing.apply(pretended.decide(found, is_paid=decision.outcome == "pay"))

        return answer({"data": _purchase(await self._edge.do(decide))})


def _buyer(asked: Asked) -> Buyer:
    return Buyer(asked.requester.account, asked.requester.actor)


def _cents(amount: float, name: str) -> int:
    """Raises RequestInvalid for parts of a cent."""
    cents, rest = divmod(nano_dollars(amount, name), NANO_PER_CENT)
    if rest:
        raise RequestInvalid(f"`{name}` is in whole cents.", param=name)
    return cents


def _dollars(cents: int) -> float:
    return usd(NanoUSD(cents * NANO_PER_CENT))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < len(str(_NUMBER_MAX))):
        raise NotFound("There is no document of that number.")
    return int(text)


def _quote(quote: Quote) -> dict[str, object]:
    return {
        "amount": _dollars(quote.amount_cents),
        "fee": _dollars(quote.fee_cents),
        "total": _dollars(quote.total_cents),
    }


def _purchase(purchase: Purchase) -> dict[str, object]:
    facts = purchase.facts
    return {
        "id": purchase.id,
        "state": rules.state(purchase).value,
        "purpose": purchase.purpose.value,
        "method": purchase.method.value,
        "is_test": purchase.company == "test",
        **_quote(Quote(purchase.amount_cents, purchase.fee_cents)),
        "url": purchase.url if facts.paid_cents is None and not facts.has_failed else None,
        "problem": facts.problem or None,
        "created_at": timestamp(purchase.created_ms),
        "paid_at": timestamp(facts.paid_ms) if facts.paid_cents is not None else None,
    }


def _refund(refund: Refund) -> dict[str, object]:
    return {
        "id": refund.id,
        "purchase_id": refund.purchase,
        "amount": _dollars(refund.amount_cents),
        "state": refund.state.value,
        "problem": refund.problem or None,
        "created_at": timestamp(refund.created_ms),
    }


def _book(book: Book) -> dict[str, object]:
    return {
        "balance": usd(book.balance),
        "owed": usd(book.debt),
        "total_credits": usd(book.totals.credits),
        "total_usage": usd(book.totals.usage),
        "lots": [_lot(lot) for lot in book.lots],
    }


def _lot(lot: Lot) -> dict[str, object]:
    return {
        "id": lot.id,
        "kind": lot.kind.value,
        "amount": usd(lot.amount),
        "remaining": usd(lot.remaining),
        "created_at": timestamp(lot.created_ms),
        "expires_at": timestamp_or_none(lot.expires_ms),
        "purchase_id": lot.source if lot.kind.value == "purchase" else None,
    }


def _terms(terms: BillingRules) -> dict[str, object]:
    return {
        "card_fee_percent": terms.card_fee_bp / 100,
        "card_fee_min": _dollars(terms.card_fee_cents_min),
        "crypto_fee_percent": terms.crypto_fee_bp / 100,
        "crypto_fee_min": _dollars(terms.crypto_fee_cents_min),
        "purchase_min": _dollars(terms.purchase_cents_min),
        "purchase_max": _dollars(terms.purchase_cents_max),
        "refund_hours": terms.refund_ms / 3_600_000,
        "credits_expire_days": terms.expire_days,
        "low_balance": _dollars(terms.low_balance_cents),
    }


def _top_up(top_up: TopUp) -> dict[str, object]:
    return {
        "state": top_up.state.value,
        "threshold": _dollars(top_up.threshold_cents),
        "amount": _dollars(top_up.amount_cents),
        "monthly_max": _dollars(top_up.month_cents_max),
        "failures": top_up.failures,
        "next_attempt_at": timestamp(top_up.not_before_ms) if top_up.not_before_ms else None,
    }


def _profile(profile: Profile) -> dict[str, object]:
    low = profile.low_balance_cents
    return {
        "name": profile.name,
        "address": profile.address,
        "tax_ids": list(profile.tax_ids),
        "low_balance": None if low is None else _dollars(low),
    }


def _issued(issued: Issued) -> dict[str, object]:
    return {
        "number": issued.number,
        "name": issued.document.number,
        "kind": issued.kind,
        "purchase_id": issued.purchase,
        "period": issued.period,
        "total": _dollars(issued.total_cents),
        "issued_at": timestamp(issued.issued_ms),
        "paid_at": timestamp_or_none(issued.paid_ms),
    }
