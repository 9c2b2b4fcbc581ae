"""The background work of billing: events, looks that are due, refunds, top-ups, notices, expiry, invoices.

Each step takes a bounded number of things that are due, and puts their next turn off before it begins; so
several processes share the work, and what one of them leaves behind another takes up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from fairlead.control.billing import queries
from fairlead.control.billing.documents import Documents
from fairlead.control.billing.inbox import EventInbox
from fairlead.control.billing.notices import Expiry, Notices
from fairlead.control.billing.payments import PaymentsAway, PaymentsRefused
from fairlead.control.billing.service import REFUND_RETRY_MS, Billing
from fairlead.control.billing.types import Observation, Purchase, Purpose
from fairlead.store.database import Database, DatabaseUnreadable

__all__ = ["BillingJobs"]

_log = logging.getLogger(__name__)

TICK_S: Final = 5.0
SLOW_TICK_S: Final = 60.0
TAKEN_AT_ONCE: Final = 20
ROUNDS_MAX: Final = 10  # of one step in one tick
LOOK_RETRY_MS: Final = 10 * 60_000
TOP_UPS_READ_AT_ONCE: Final = 500


class BillingJobs:
    """Belongs to one event loop; the steps block and run in threads of their own, for they wait for others.

    inbox: None: no company tells us anything.
    """

    def __init__(
        self,
        database: Database,
        billing: Billing,
        inbox: EventInbox | None,
        notices: Notices,
        expiry: Expiry,
        documents: Documents,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._billing = billing
        self._inbox = inbox
        self._notices = notices
        self._expiry = expiry
        self._documents = documents
        self._now_ms = now_ms
        self._top_ups_after = ""
        self._there_are_events = asyncio.Event()

    def nudge(self) -> None:
        """There are events; from the loop's thread."""
        self._there_are_events.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._often())
            tasks.create_task(self._every(SLOW_TICK_S, self._slow_steps()))

    async def _often(self) -> None:
        steps = self._quick_steps()
        while True:
            await self._tick(steps)
            try:
                async with asyncio.timeout(TICK_S):
                    await self._there_are_events.wait()
            except TimeoutError:
                pass
            self._there_are_events.clear()

    async def _every(self, pause_s: float, steps: Mapping[str, Callable[[], int]]) -> None:
        while True:
            await asyncio.sleep(pause_s)
            await self._tick(steps)

    async def _tick(self, steps: Mapping[str, Callable[[], int]]) -> None:
        for name, step in steps.items():
            try:
                for _ in range(ROUNDS_MAX):
                    if not await asyncio.to_thread(step):
                        break
            except DatabaseUnreadable as error:
                _log.warning("%s wait for the database: %s", name, error)
            except Exception:  # noqa: BLE001 - the edge of a job: one purchase must not stop all others
                _log.exception("Billing: %s could not be worked on.", name)

    def _quick_steps(self) -> Mapping[str, Callable[[], int]]:
        steps: dict[str, Callable[[], int]] = {"looks": self.look, "refunds": self.pay_back}
        if self._inbox is not None:
            steps = {"events": self._inbox.work, **steps}
        return steps | {"top-ups": self.top_up}

    def _slow_steps(self) -> Mapping[str, Callable[[], int]]:
        steps: dict[str, Callable[[], int]] = {
            "notices": self._notices.work,
            "expiry": self._expiry.work,
            "invoices": self._documents.issue_monthly,
        }
        return steps if self._inbox is None else steps | {"old events": self._inbox.sweep}

    # --- steps ---

    def look(self) -> int:
        """Ask about purchases of which nobody has told us for a while. Returns how many."""
        company = self._billing.payments
        if company is None:
            return 0
        now_ms = self._now_ms()
        with self._database.begin() as connection:
            self._database.lock(connection, "purchases due")
            due = queries.due_purchases(
                connection,
                company=company.name,
                now_ms=now_ms,
                limit=TAKEN_AT_ONCE,
                retry_ms=now_ms + LOOK_RETRY_MS,
            )
        for purchase in due:
            self._look_at(purchase)
        return len(due)

    def _look_at(self, purchase: Purchase) -> None:
        company = self._billing.payments
        assert company is not None
        try:
            if purchase.purpose is Purpose.TOP_UP and purchase.payment is None:
                if not purchase.facts.has_failed:
                    self._billing.charge(purchase)
                    return
            seen = company.look(purchase)
        except PaymentsAway as error:
            _log.warning("a purchase waits for the payment company: %s", error)
            return
        except PaymentsRefused as error:
            _log.warning("a purchase is not known at the company", extra={"problem": str(error)})
            seen = Observation(purchase=purchase.id)
        looked = self._billing.apply(seen, is_scheduled=True)
        if self._billing.is_over(looked):
            # Nobody will pay any more. Should it happen all the same, it counts.
            given_up = Observation(purchase=purchase.id, has_failed=True, problem="nobody has paid")
            self._billing.apply(given_up)

    def pay_back(self) -> int:
        """Send refunds that the company has not confirmed. Returns how many."""
        now_ms = self._now_ms()
        with self._database.begin() as connection:
            self._database.lock(connection, "refunds due")
            due = queries.due_refunds(
                connection, now_ms=now_ms, limit=TAKEN_AT_ONCE, retry_ms=now_ms + REFUND_RETRY_MS
            )
        if self._billing.payments is None:
            return 0
        for refund in due:
            self._billing.send(refund)
        return len(due)

    def top_up(self) -> int:
        """Buy for accounts that are below their threshold. Returns how many purchases were begun."""
        if self._billing.payments is None:
            return 0
        with self._database.read() as connection:
            below, self._top_ups_after = queries.top_ups_below(
                connection,
                after=self._top_ups_after,
                now_ms=self._now_ms(),
                limit=TOP_UPS_READ_AT_ONCE,
            )
        count = 0
        for account in below:
            try:
                count += self._billing.top_up(account) is not None
            except PaymentsAway as error:
                _log.warning("a top-up waits for the payment company: %s", error)
        return count
