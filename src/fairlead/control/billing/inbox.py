"""What the payment company tells us: stored first, understood later, as often as it takes.

An event is only a hint that something has changed: the purchase that it is about is looked at afresh. So it
does not matter in which order events come, or whether one comes twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from fairlead.control.billing import queries
from fairlead.control.billing.payments import Event, Payments, PaymentsAway, PaymentsRefused
from fairlead.control.billing.profiles import Profiles
from fairlead.control.billing.service import Billing
from fairlead.control.billing.types import NotFoundHere, PurchaseId
from fairlead.store.database import Database

__all__ = ["EventInbox"]

_log = logging.getLogger(__name__)

TAKEN_AT_ONCE: Final = 20
RETRY_FIRST_MS: Final = 30_000
RETRY_MAX_MS: Final = 3 * 3_600_000
ATTEMPTS_MAX: Final = 40  # over some four days; after that the reconciliation looks
KEPT_MS: Final = 400 * 86_400_000  # longer than anything is disputed
SWEPT_AT_ONCE: Final = 1000
_KINDS: Final = ("checkout.session.", "payment_intent.", "charge.", "refund.", "setup_intent.")


class EventInbox:
    """All events. Methods block."""

    def __init__(
        self,
        database: Database,
        payments: Payments,
        billing: Billing,
        profiles: Profiles,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._payments = payments
        self._billing = billing
        self._profiles = profiles
        self._now_ms = now_ms

    def store(self, body: bytes, signature: str) -> bool:
        """Keep it; False: it was kept before. Raises EventRefused."""
        now_ms = self._now_ms()
        event = self._payments.read_event(body, signature, now_s=now_ms / 1000)
        with self._database.begin() as connection:
            return queries.insert_event(
                self._database,
                connection,
                id=event.id,
                company=self._payments.name,
                kind=event.kind,
                body=body.decode(),
                now_ms=now_ms,
            )

    def work(self) -> int:
        """Understand some that are due. Returns how many there were."""
        now_ms = self._now_ms()
        with self._database.begin() as connection:
            self._database.lock(connection, "payment events")
            due = queries.due_events(
                connection,
                company=self._payments.name,
                now_ms=now_ms,
                limit=TAKEN_AT_ONCE,
                retry_ms=now_ms + RETRY_FIRST_MS,
            )
        for name, body, attempts in due:
            self._work_on(name, body, attempts + 1)
        return len(due)

    def sweep(self) -> int:
        """Forget some that were understood long ago. Returns how many."""
        with self._database.begin() as connection:
            before_ms = self._now_ms() - KEPT_MS
            return queries.sweep_events(connection, before_ms=before_ms, limit=SWEPT_AT_ONCE)

    def _work_on(self, name: str, body: bytes, attempts: int) -> None:
        due_ms = None
        try:
            outcome = self._understood(self._payments.kept_event(body))
        except PaymentsAway as error:
            outcome = f"waits: {error}"[:200]
            pause_ms = min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** min(attempts - 1, 20))
            due_ms = self._now_ms() + pause_ms if attempts < ATTEMPTS_MAX else None
        except (PaymentsRefused, NotFoundHere) as error:
            outcome = f"ignored: {error}"[:200]
        if due_ms is not None or outcome.startswith("ignored:"):
            _log.warning(
                "an event of the payment company", extra={"event": name, "outcome": outcome}
            )
        with self._database.begin() as connection:
            queries.event_done(connection, name, outcome, attempts=attempts, due_ms=due_ms)

    def _understood(self, event: Event) -> str:
        """What became of it, in a few words."""
        if event.is_ours is False:
            return "another installation's"
        if not event.kind.startswith(_KINDS):
            return "of a kind that says nothing about payments"
        if event.saving is not None:
            self._profiles.look_for_saved(event.saving, event.session)
            return "looked for a saved card"
        purchase = self._purchase_of(event)
        if purchase is None:
            return "about nothing of ours"
        found = self._billing.find_any(purchase)
        if found.payment is None and event.payment is not None:
            found = replace(
                found, payment=event.payment
            )  # which the page knows no sooner than we do
        self._billing.look(found)
        return "looked at its purchase"

    def _purchase_of(self, event: Event) -> PurchaseId | None:
        if event.purchase is not None:
            return event.purchase
        with self._database.read() as connection:
            known = queries.purchase_by_name(
                connection, payment=event.payment, session=event.session
            )
        return known or self._payments.purchase_of(event)
