"""TEST PAYMENT, NO MONEY MOVES. What stands in for a payment company where none is configured.

A purchase is paid when somebody says so (`decide`), on a page that says what this is. Everything behind it is
as with a real company: the ledger has accounts of its own for it (`payments:test`), so nothing that was
pretended is ever added to what was paid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import sqlalchemy as sa

from fairlead.control.billing import rules
from fairlead.control.billing.payments import Event, EventRefused, Hosted, PaymentsRefused
from fairlead.control.billing.types import (
    Method,
    Observation,
    Purchase,
    PurchaseId,
    Refund,
    SavedMethod,
    SeenRefund,
    SeenRefundState,
)
from fairlead.core.ids import AccountId
from fairlead.store.database import Database
from fairlead.store.tables.payments import pretended_payments

__all__ = ["PretendedPayments"]

PAGE: Final = "/billing/test-payment"
_read: Final = msgspec.json.Decoder(Observation)


class PretendedPayments:
    """`payments.Payments` of nobody. address: ours, where the page is."""

    name = "test"
    methods = (Method.CARD, Method.ALIPAY, Method.CRYPTO)
    is_pretended = True
    pages_at: tuple[str, ...] = ()

    def __init__(self, database: Database, *, address: str, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._address = address.rstrip("/")
        self._now_ms = now_ms

    def begin(self, purchase: Purchase, *, customer: str | None, email: str | None) -> Hosted:  # noqa: ARG002
        self._keep_new(purchase)
        return Hosted(f"test-{purchase.id}", f"{self._address}{PAGE}/{purchase.id}")

    def decide(self, purchase: Purchase, *, is_paid: bool) -> Observation:
        """Somebody has pressed the button; the first time counts."""
        with self._database.begin() as connection:
            seen = self._seen(connection, purchase.id)
            if seen.paid_cents is not None or seen.has_failed:
                return seen
            if is_paid:
                decided = msgspec.structs.replace(
                    seen,
                    payment=f"test-{purchase.id}",
                    paid_cents=purchase.total_cents,
                    currency=rules.CURRENCY,
                    paid_ms=self._now_ms(),
                )
            else:
                decided = msgspec.structs.replace(seen, has_failed=True, problem="declined")
            self._keep(connection, decided)
            return decided

    def charge(self, purchase: Purchase, saved: SavedMethod) -> Observation:  # noqa: ARG002
        self._keep_new(purchase)
        return self.decide(purchase, is_paid=True)

    def look(self, purchase: Purchase) -> Observation:
        with self._database.read() as connection:
            found = self._find(connection, purchase.id)
        return found or Observation(purchase=purchase.id)

    def refund(self, refund: Refund) -> SeenRefund:
        made = SeenRefund(f"test-{refund.id}", refund.id, refund.amount_cents, SeenRefundState.DONE)
        with self._database.begin() as connection:
            seen = self._seen(connection, refund.purchase)
            if made not in seen.refunds:
                kept = msgspec.structs.replace(seen, refunds=(*seen.refunds, made))
                self._keep(connection, kept)
        return made

    def begin_saving(
        self,
        account: AccountId,
        *,
        customer: str | None,  # noqa: ARG002
        email: str | None,  # noqa: ARG002
    ) -> Hosted:
        return Hosted(f"test-card-{account}", f"{self._address}{PAGE}/saved")

    def saved(self, session: str) -> SavedMethod | None:
        return SavedMethod(session, "test-card", "test card")

    def forget(self, saved: SavedMethod) -> None:
        """There is nothing to forget."""

    def read_event(self, body: bytes, signature: str, *, now_s: float) -> Event:  # noqa: ARG002
        raise EventRefused("nobody sends events here")

    def kept_event(self, body: bytes) -> Event:  # noqa: ARG002
        raise EventRefused("nobody sends events here")

    def purchase_of(self, event: Event) -> PurchaseId | None:
        return event.purchase

    def _seen(self, connection: sa.Connection, purchase: PurchaseId) -> Observation:
        found = self._find(connection, purchase, locked=True)
        if found is None:
            raise PaymentsRefused("there is no such test payment")
        return found

    def _find(
        self, connection: sa.Connection, purchase: PurchaseId, *, locked: bool = False
    ) -> Observation | None:
        query = sa.select(pretended_payments.c.seen).where(
            pretended_payments.c.purchase_id == purchase
        )
        text = connection.execute(query.with_for_update() if locked else query).scalar()
        return None if text is None else _read.decode(text)

    def _keep_new(self, purchase: Purchase) -> None:
        blank = Observation(purchase=purchase.id)
        with self._database.begin() as connection:
            connection.execute(
                self._database.insert(pretended_payments)
                .values(
                    purchase_id=purchase.id,
                    cents=purchase.total_cents,
                    seen=msgspec.json.encode(blank).decode(),
                )
                .on_conflict_do_nothing(index_elements=["purchase_id"])
            )

    def _keep(self, connection: sa.Connection, seen: Observation) -> None:
        connection.execute(
            sa.update(pretended_payments)
            .where(pretended_payments.c.purchase_id == seen.purchase)
            .values(seen=msgspec.json.encode(seen).decode())
        )
