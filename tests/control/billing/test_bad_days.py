"""Days on which everything goes wrong that can: in the end the book is what the company's own says.

A seed has people buy, banks change their minds, refunds fail, answers get lost, the company be away; events
arrive in any order, several times or never. Afterwards everybody looks once.
"""

from __future__ import annotations

import contextlib
import random

import pytest

from fairlead.control.billing.payments import PaymentsAway, PaymentsRefused
from fairlead.control.billing.types import Method, Purchase, RefundRefused
from fairlead.store.database import Database
from tests.control.billing.world import World, build_world
from tests.stripe_server import DECLINED_CARD, GOOD_CARD, StripeServer, signed

STEPS = 60
TROUBLES = (PaymentsAway, PaymentsRefused, RefundRefused)


class BadDay:
    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self.billing = world.services.billing
        self.open: list[Purchase] = []
        self.paid: list[Purchase] = []
        self.keys = 0

    def step(self) -> None:
        stripe = self.world.stripe
        stripe.is_away = self.dice.random() < 0.08
        stripe.loses_answers = self.dice.random() < 0.05
        with contextlib.suppress(*TROUBLES):
            self.dice.choices(
                [
                    self.buy,
                    self.pay,
                    self.deliver,
                    self.look,
                    self.refund,
                    self.refund_elsewhere,
                    self.fail,
                    self.dispute,
                    self.decide,
                ],
                weights=[4, 4, 5, 1, 4, 1, 3, 1, 1],
            )[0]()

    def buy(self) -> None:
        self.keys += 1
        self.open.append(
            self.billing.start(
                self.world.buyer,
                amount_cents=self.dice.choice([500, 1000, 1999]),
                method=self.dice.choice([Method.CARD, Method.CARD, Method.CRYPTO]),
                key=str(self.keys),
            )
        )

    def pay(self) -> None:
        self.calm()
        if not self.open:
            return
        purchase = self.dice.choice(self.open)
        if self.world.stripe.pay(
            purchase.session, self.dice.choice([GOOD_CARD] * 3 + [DECLINED_CARD])
        ):
            self.open.remove(purchase)
            self.paid.append(purchase)

    def deliver(self) -> None:
        """Some events, in any order, some of them twice."""
        inbox, events = self.world.services.inbox, self.world.stripe.events
        for event in self.dice.choices(events, k=min(6, 2 * len(events))) if events else []:
            inbox.store(*signed(event, at_s=self.world.clock.ms / 1000))
        inbox.work()
        self.world.clock.ms += self.dice.choice([1000, 60_000, 600_000])

    def look(self) -> None:
        self.world.services.jobs.look()
        self.world.services.jobs.pay_back()

    def refund(self) -> None:
        if self.paid:
            self.billing.refund(self.world.buyer, self.dice.choice(self.paid).id)

    def refund_elsewhere(self) -> None:
        self.calm()
        payment = self.payment()
        if payment is not None and not self.bank(payment)[0] and not self.bank(payment)[1]:
            self.world.stripe.refund_elsewhere(payment, self.dice.choice([100, 500]))

    def fail(self) -> None:
        self.calm()
        payment = self.payment()
        refunds = [] if payment is None else self.bank(payment)[0]
        if refunds:
            self.world.stripe.fail_refund(self.dice.choice(refunds)["id"])

    def dispute(self) -> None:
        self.calm()
        payment = self.payment()
        if payment is not None and self.bank(payment) == ([], []):
            self.world.stripe.dispute(payment)

    def decide(self) -> None:
        self.calm()
        disputes = self.world.stripe.disputes
        still = [name for name, one in disputes.items() if one["status"] == "needs_response"]
        if still:
            self.world.stripe.decide(self.dice.choice(still), self.dice.choice(["won", "lost"]))

    def calm(self) -> None:
        """What people and banks do there, they do whether or not we can reach it."""
        self.world.stripe.is_away = self.world.stripe.loses_answers = False

    def payment(self) -> str | None:
        if not self.paid:
            return None
        return self.world.stripe.sessions[self.dice.choice(self.paid).session]["payment_intent"]

    def bank(self, payment: str) -> tuple[list[dict], list[dict]]:
        """Its refunds and its disputes."""
        stripe = self.world.stripe
        refunds = stripe.get(f"/v1/refunds?payment_intent={payment}&limit=100")["data"]
        disputes = [one for one in stripe.disputes.values() if one["payment_intent"] == payment]
        return refunds, disputes

    def settle(self) -> None:
        """Everybody looks once more, when all is quiet."""
        self.calm()
        self.world.clock.ms += 3_600_000
        while self.world.services.jobs.pay_back():
            pass
        for purchase in self.billing.page(self.world.account):
            if purchase.session is not None:
                self.billing.look(purchase)

    def owed_cents(self) -> int:
        """The credit that there must be, by the company's own book."""
        total = 0
        for purchase in self.paid:
            refunds, disputes = self.bank(
                self.world.stripe.sessions[purchase.session]["payment_intent"]
            )
            total += purchase.amount_cents
            for one in refunds:
                if one["status"] == "failed":
                    continue
                ours = "fairlead_refund" in (one["metadata"] or {})
                total -= one["amount"] if ours else share(purchase, one["amount"])
            for one in disputes:
                if one["status"] != "won":
                    total -= share(purchase, one["amount"])
        return total


def share(purchase: Purchase, cents: int) -> int:
    return cents * purchase.amount_cents // purchase.total_cents


@pytest.mark.parametrize("seed", range(4))
def test_after_a_bad_day_the_book_is_the_banks(database: Database, stripe: StripeServer, seed: int):
    day = BadDay(build_world(database, stripe, seed=seed), seed)
    for _ in range(STEPS):
        day.step()
    day.settle()
    assert day.paid
    assert round(day.world.balance * 100, 6) == day.owed_cents()
    settled = day.world.letters()
    day.settle()
    assert round(day.world.balance * 100, 6) == day.owed_cents()
    assert day.world.letters() == settled
    day.world.check()
