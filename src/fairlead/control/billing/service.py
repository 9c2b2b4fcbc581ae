"""Credit is bought and paid back. One command is one transaction; the company is asked between two of them.

Theory of operation. A purchase is written down before the company hears of it, under an id that is the
company's idempotency key, too. Whatever is seen of it afterwards, from whichever source, goes through `apply`:
one transaction that locks the purchase, joins what was seen, posts the entries that follow, and writes the
mails and receipts that go with them. Credit that is to be paid back is taken before the company is asked to; if
the company refuses, it comes back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa

from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.billing import queries, rules
from fairlead.control.billing.documents import Documents
from fairlead.control.billing.letters import BillingLetters
from fairlead.control.billing.payments import Payments, PaymentsAway, PaymentsRefused
from fairlead.control.billing.profiles import Profiles
from fairlead.control.billing.types import (
    BillingInvalid,
    BillingRules,
    Method,
    NotFoundHere,
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
    SavedMethod,
    SeenDisputeState,
    SeenRefund,
    SeenRefundState,
)
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import AlreadyDone, Posted, RefusalReason, Refused
from fairlead.control.usage.calendar import month_start_ms
from fairlead.core.ids import ID_ENTROPY_BYTES, AccountId
from fairlead.store.database import Database

__all__ = ["Billing", "Buyer"]

_log = logging.getLogger(__name__)

PAGE_MAX: Final = 100
OPEN_MAX: Final = 50  # purchases that an account may begin in an hour
HOUR_MS: Final = 3_600_000
REFUND_RETRY_MS: Final = 5 * 60_000
GIVE_UP_TOP_UP_MS: Final = 20 * HOUR_MS  # Stripe forgets idempotency keys after a day


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys, for which account. email: for the company's own receipt."""

    account: AccountId
    actor: Actor
    email: str | None = None


class Billing:
    """All purchases. Methods block.

    payments: None: nothing can be bought here.
    """

    def __init__(
        self,
        database: Database,
        *,
        ledger: Ledger,
        payments: Payments | None,
        terms: BillingRules,
        profiles: Profiles,
        documents: Documents,
        letters: BillingLetters,
        audit: Audit,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self.payments = payments
        self.terms = terms
        self._profiles = profiles
        self._documents = documents
        self._letters = letters
        self._audit = audit
        self._now_ms = now_ms
        self._entropy = entropy

    # --- buying ---

    def quote(self, amount_cents: int, method: Method) -> Quote:
        """Raises BillingInvalid."""
        if method not in self._company().methods:
            raise BillingInvalid("this way of paying is not offered here", "method")
        return rules.quote(amount_cents, method, self.terms)

    def start(self, buyer: Buyer, *, amount_cents: int, method: Method, key: str) -> Purchase:
        """Begin a purchase: it has a page on which to pay. key: the buyer's own, of this attempt; with the same
        one the same purchase is returned. Raises BillingInvalid, PaymentsAway, PaymentsRefused."""
        wanted = self.quote(amount_cents, method)
        return self._start(buyer, wanted, method, key, Purpose.CREDIT, None)

    def pay_invoice(self, buyer: Buyer, number: int, *, method: Method) -> Purchase:
        """A page on which an open invoice is paid. Raises NotFoundHere, and as `start`."""
        with self._database.read() as connection:
            invoice = self._documents.open_invoice(connection, buyer.account, number)
        if method not in self._company().methods:
            raise BillingInvalid("this way of paying is not offered here", "method")
        wanted = Quote(
            invoice.total_cents, rules.fee_cents(invoice.total_cents, method, self.terms)
        )
        key = f"invoice:{number}:{method.value}"
        return self._start(buyer, wanted, method, key, Purpose.INVOICE, number)

    def _start(
        self,
        buyer: Buyer,
        wanted: Quote,
        method: Method,
        key: str,
        purpose: Purpose,
        invoice: int | None,
    ) -> Purchase:
        if not 0 < len(key) <= rules.KEY_CHARACTERS_MAX or not key.isprintable():
            raise BillingInvalid("one line of up to 200 characters", "idempotency_key")
        purchase = self._database.retrying(
            lambda connection: self._created(
                connection, buyer, wanted, method, key, purpose, invoice
            )
        )
        if purchase.url is not None or purchase.facts.has_failed:
            return purchase
        customer = self._profiles.customer(buyer.account)
        email = buyer.email or self._profiles.email(buyer.account)
        try:
            hosted = self._company().begin(purchase, customer=customer, email=email)
        except PaymentsRefused as error:
            self.apply(Observation(purchase=purchase.id, has_failed=True, problem=str(error)[:200]))
            raise
        return self._database.retrying(
            lambda connection: self._hosted(connection, purchase.id, hosted.session, hosted.url)
        )

    def _created(
        self,
        connection: sa.Connection,
        buyer: Buyer,
        wanted: Quote,
        method: Method,
        key: str,
        purpose: Purpose,
        invoice: int | None,
    ) -> Purchase:
        self._database.lock(connection, f"purchases {buyer.account}")
        known = queries.purchase_by_key(connection, buyer.account, key)
        if known is not None:
            if (known.amount_cents, known.method) != (wanted.amount_cents, method):
                raise BillingInvalid("this key was used for another purchase", "idempotency_key")
            return known
        now_ms = self._now_ms()
        recent = queries.count_since(connection, buyer.account, since_ms=now_ms - HOUR_MS)
        if recent >= OPEN_MAX:
            raise BillingInvalid("too many purchases were begun; try again in an hour", "amount")
        purchase = self._new(buyer.account, wanted, method, purpose, key=key, invoice=invoice)
        queries.insert_purchase(connection, purchase)
        self._audit.note(
            connection,
            buyer.account,
            buyer.actor,
            "purchase.create",
            purchase.id,
            amount_cents=purchase.amount_cents,
            method=method.value,
        )
        return purchase

    def _new(
        self,
        account: AccountId,
        wanted: Quote,
        method: Method,
        purpose: Purpose,
        *,
        key: str | None = None,
        invoice: int | None = None,
    ) -> Purchase:
        now_ms = self._now_ms()
        return Purchase(
            id=rules.purchase_id(now_ms, self._entropy(ID_ENTROPY_BYTES)),
            account=account,
            purpose=purpose,
            method=method,
            company=self._company().name,
            amount_cents=wanted.amount_cents,
            fee_cents=wanted.fee_cents,
            created_ms=now_ms,
            key=key,
            invoice=invoice,
        )

    def _hosted(
        self, connection: sa.Connection, name: PurchaseId, session: str, url: str
    ) -> Purchase:
        found = queries.find_purchase(connection, name, locked=True)
        assert found is not None
        hosted = replace(found, session=session, url=url)
        queries.save_purchase(connection, hosted)
        return hosted

    # --- reading ---

    def find(self, account: AccountId, purchase: PurchaseId) -> Purchase:
        """Raises NotFoundHere."""
        with self._database.read() as connection:
            found = queries.find_purchase(connection, purchase, account=account)
        if found is None:
            raise NotFoundHere("there is no such purchase")
        return found

    def find_any(self, purchase: PurchaseId) -> Purchase:
        """Whosever it is. Raises NotFoundHere."""
        with self._database.read() as connection:
            found = queries.find_purchase(connection, purchase)
        if found is None:
            raise NotFoundHere("there is no such purchase")
        return found

    def page(
        self, account: AccountId | None, *, before: str | None = None, limit: int = PAGE_MAX
    ) -> list[Purchase]:
        """The newest first. account: None: everybody's, for the operator."""
        with self._database.read() as connection:
            return queries.page(connection, account, before=before, limit=min(limit, PAGE_MAX))

    def refunds(self, purchase: PurchaseId) -> list[Refund]:
        with self._database.read() as connection:
            return queries.refunds_of(connection, purchase)

    def refundable_cents(self, purchase: Purchase) -> int:
        """How much would be paid back now; 0: nothing."""
        try:
            return self.refund_offer(purchase)
        except RefundRefused:
            return 0

    def refund_offer(self, purchase: Purchase) -> int:
        """The same; raises RefundRefused, which says why nothing would be."""
        with self._database.read() as connection:
            lot = queries.lot_of(connection, purchase)
        return rules.refundable(purchase, lot, now_ms=self._now_ms(), terms=self.terms)

    # --- what was seen ---

    def look(self, purchase: Purchase) -> Purchase:
        """Ask the company and go by what it says. Raises PaymentsAway, PaymentsRefused."""
        return self.apply(self._company().look(purchase))

    def apply(self, seen: Observation, *, is_scheduled: bool = False) -> Purchase:
        """Go by what was seen. is_scheduled: it was the look that was due."""
        return self._database.retrying(
            lambda connection: self._apply(connection, seen, is_scheduled=is_scheduled)
        )

    def _apply(
        self, connection: sa.Connection, seen: Observation, *, is_scheduled: bool
    ) -> Purchase:
        before = queries.find_purchase(connection, seen.purchase, locked=True)
        if before is None:
            raise NotFoundHere("there is no such purchase")
        ours = {refund.id for refund in queries.refunds_of(connection, before.id)}
        seen = rules.known_refunds(seen, ours)
        after = rules.observed(before, seen)
        commands = rules.due(after, self.terms)
        if rules.is_settled(after) and not rules.is_settled(before):
            self._documents.receive(connection, after)  # locks: before the ledger, which is last
        for refund in seen.refunds:
            if refund.ours is not None:
                self._refund_seen(connection, after, refund)
        outcomes = self._ledger.post_all_within(connection, commands) if commands else []
        for command, outcome in zip(commands, outcomes, strict=True):
            # Credit cannot be refused, and what a bank takes is owed if it is not there.
            assert not isinstance(outcome, Refused), f"{command.reference}: {outcome.message}"
        after = replace(after, posted=after.posted + tuple(one.reference for one in commands))
        is_new_kind = (before.facts.paid_cents is None) != (after.facts.paid_cents is None)
        looks = 0 if is_new_kind else before.looks + int(is_scheduled)
        after = replace(after, looks=looks)
        queries.save_purchase(connection, after)
        if after.purpose is Purpose.TOP_UP:
            self._top_up_over(connection, after)
        self._tell(connection, before, after)
        return after

    def _top_up_over(self, connection: sa.Connection, purchase: Purchase) -> None:
        is_paid = purchase.facts.paid_cents is not None
        if not is_paid and not purchase.facts.has_failed:
            return
        top_up = queries.top_up(connection, purchase.account, locked=True)
        if top_up is None or top_up.purchase != purchase.id:
            return
        over = rules.after_top_up(top_up, is_paid=is_paid, now_ms=self._now_ms())
        queries.save_top_up(self._database, connection, over)
        if not is_paid:
            self._letters.top_up_failed(connection, over, purchase)

    def _tell(self, connection: sa.Connection, before: Purchase, after: Purchase) -> None:
        """Mail about what is new."""
        if rules.is_settled(after) and not rules.is_settled(before):
            self._letters.paid(connection, after)
        if rules.is_strange(after) and not rules.is_strange(before):
            _log.error(
                "a payment is not what was asked for, and nothing follows from it",
                extra={"purchase": after.id, "paid_cents": after.facts.paid_cents},
            )
            self._letters.strange(connection, after)
        for dispute in after.facts.disputes.values():
            known = before.facts.disputes.get(dispute.id)
            if known is None or known.state != dispute.state:
                said = {"purchase": after.id, "state": SeenDisputeState(dispute.state).name.lower()}
                _log.warning("a payment is disputed", extra=said)
                self._letters.dispute(connection, after, SeenDisputeState(dispute.state))

    def is_over(self, purchase: Purchase) -> bool:
        """Nobody has paid, and we will not ask again."""
        return (
            rules.state(purchase) is PurchaseState.CREATED and rules.look_again_ms(purchase) is None
        )

    # --- paying back ---

    def refund(self, buyer: Buyer, purchase: PurchaseId) -> Refund:
        """Pay back what is unused; if the company is away, later. Raises RefundRefused, NotFoundHere."""
        owed = self._database.retrying(lambda connection: self._owe(connection, buyer, purchase))
        return self.send(owed)

    def _owe(
        self, connection: sa.Connection, buyer: Buyer, name: PurchaseId
    ) -> Refund | RefundRefused:
        purchase = queries.find_purchase(connection, name, account=buyer.account, locked=True)
        if purchase is None:
            raise NotFoundHere("there is no such purchase")
        self._ledger.lock_within(connection)  # what is left stays what it is
        lot = queries.lot_of(connection, purchase)
        now_ms = self._now_ms()
        cents = rules.refundable(purchase, lot, now_ms=now_ms, terms=self.terms)
        assert lot is not None
        assert purchase.payment is not None
        refund = Refund(
            id=rules.refund_id(now_ms, self._entropy(ID_ENTROPY_BYTES)),
            purchase=purchase.id,
            account=purchase.account,
            amount_cents=cents,
            state=RefundState.OWED,
            created_ms=now_ms,
            payment=purchase.payment,
        )
        outcome = self._ledger.post_within(connection, rules.refund_command(refund, purchase, lot))
        if isinstance(outcome, Refused):
            # Returned, not raised: that processes shall give back what they do not need must be kept.
            in_use = outcome.reason is RefusalReason.IN_USE
            reason = RefusedBecause.IN_USE if in_use else RefusedBecause.USED_UP
            return RefundRefused(reason, outcome.message)
        queries.insert_refund(connection, refund, due_ms=now_ms + REFUND_RETRY_MS)
        self._audit.note(
            connection,
            buyer.account,
            buyer.actor,
            "purchase.refund",
            purchase.id,
            amount_cents=cents,
        )
        return refund

    def send(self, refund: Refund | RefundRefused) -> Refund:
        """Have the company pay it; if it cannot be reached, a job tries again."""
        if isinstance(refund, RefundRefused):
            raise refund
        try:
            seen = self._company().refund(refund)
        except PaymentsAway as error:
            _log.warning("a refund waits for the payment company: %s", error)
            return refund
        except PaymentsRefused as error:
            seen = SeenRefund("", refund.id, refund.amount_cents, SeenRefundState.FAILED)
            refund = replace(refund, problem=str(error)[:200])
        return self._database.retrying(lambda connection: self._sent(connection, refund, seen))

    def _sent(self, connection: sa.Connection, refund: Refund, seen: SeenRefund) -> Refund:
        purchase = queries.find_purchase(connection, refund.purchase, locked=True)
        assert purchase is not None
        if seen.id:  # otherwise it was never made
            purchase = rules.observed(purchase, Observation(purchase=purchase.id, refunds=(seen,)))
            queries.save_purchase(connection, purchase)
        return self._refund_seen(connection, purchase, seen, problem=refund.problem)

    def _refund_seen(
        self, connection: sa.Connection, purchase: Purchase, seen: SeenRefund, problem: str = ""
    ) -> Refund:
        """The purchase is locked."""
        assert seen.ours is not None
        before = queries.find_refund(connection, RefundId(seen.ours))
        if before is None:
            raise NotFoundHere(f"a refund names {seen.ours}, which we never made")
        after = rules.take_back(replace(before, problem=problem or before.problem), seen.state)
        if after.state is RefundState.FAILED and before.state is not RefundState.FAILED:
            back = self._ledger.post_within(connection, rules.refund_back(after, purchase))
            assert isinstance(back, Posted | AlreadyDone), back
            self._letters.refund_failed(connection, after)
        elif after.state is RefundState.SENT and before.state is RefundState.OWED:
            self._letters.refunded(connection, after)
        if after != before:
            queries.save_refund(connection, after, due_ms=None)
        return after

    # --- topping up ---

    def top_up(self, account: AccountId) -> Purchase | None:
        """Buy if the account is below its threshold now. None: nothing was begun."""
        saved = self._profiles.saved(account)
        if saved is None:
            return None
        begun = self._database.retrying(lambda connection: self._begin_top_up(connection, account))
        return None if begun is None else self.charge(begun, saved)

    def _begin_top_up(self, connection: sa.Connection, account: AccountId) -> Purchase | None:
        """Of several processes one begins; the row says so before anything is charged."""
        top_up = queries.top_up(connection, account, locked=True)
        if top_up is None:
            return None
        now_ms = self._now_ms()
        bought = queries.bought_since(
            connection, account, Purpose.TOP_UP, since_ms=month_start_ms(now_ms)
        )
        balance = queries.balance(connection, account)
        wanted = rules.wants_top_up(
            top_up, balance=balance, bought_this_month_cents=bought, now_ms=now_ms
        )
        if wanted is None:
            return None
        if isinstance(wanted, rules.Paused):
            paused = replace(top_up, not_before_ms=wanted.until_ms)
            queries.save_top_up(self._database, connection, paused)
            self._letters.ceiling(connection, paused)
            return None
        fee = rules.fee_cents(wanted.amount_cents, Method.CARD, self.terms)
        purchase = self._new(account, replace(wanted, fee_cents=fee), Method.CARD, Purpose.TOP_UP)
        queries.insert_purchase(connection, purchase)
        queries.save_top_up(self._database, connection, replace(top_up, purchase=purchase.id))
        return purchase

    def charge(self, purchase: Purchase, saved: SavedMethod | None = None) -> Purchase:
        """Charge the account's card for a top-up. Whoever does not know what became of it charges again: under
        the purchase's id it happens once. Raises PaymentsAway."""
        saved = saved or self._profiles.saved(purchase.account)
        if saved is None or self._now_ms() - purchase.created_ms > GIVE_UP_TOP_UP_MS:
            # Should it have been charged after all, a webhook will say so, and it counts.
            return self.apply(
                Observation(purchase=purchase.id, has_failed=True, problem="the card is gone")
            )
        try:
            seen = self._company().charge(purchase, saved)
        except PaymentsRefused as error:
            seen = Observation(purchase=purchase.id, has_failed=True, problem=str(error)[:200])
        return self.apply(seen)

    def _company(self) -> Payments:
        if self.payments is None:
            raise BillingInvalid("nothing can be bought here", "method")
        return self.payments
