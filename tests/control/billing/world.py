"""Payments with everything behind them, on a database of either kind, and what stands in for Stripe."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from fairlead.compose.billing import BillingServices, build_billing
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing as BillingKind
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.billing.service import Buyer
from fairlead.control.billing.types import Method, Purchase
from fairlead.control.ledger.check import check
from fairlead.control.ledger.derived import Damage
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import Charge, Posted
from fairlead.control.mail.outbox import Outbox
from fairlead.core.ids import AccountId
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.settings import Billing, Secret, Settings, Stripe
from fairlead.store.database import Database
from fairlead.store.tables.people import mails
from tests.stripe_server import SECRET_KEY, WEBHOOK_SECRET, StripeServer, signed

ADDRESS = "https://gate.example.com"
ADA = "ada@example.com"
OPERATOR = "operator@example.com"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Clock:
    """Real time at first: what stands in for Stripe goes by it."""

    def __init__(self) -> None:
        self.ms = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        return self.ms


class Entropy:
    def __init__(self, seed: int = 0) -> None:
        self._count = seed << 32

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(16, "big")[-size:].rjust(size, b"\0")


@dataclass
class World:
    """account: a prepaid one of Ada's."""

    database: Database
    clock: Clock
    ledger: Ledger
    services: BillingServices
    account: AccountId
    stripe: StripeServer | None

    @property
    def buyer(self) -> Buyer:
        return Buyer(self.account, Actor("user-ada"), ADA)

    @property
    def balance(self) -> float:
        return self.ledger.book(self.account).balance / NANO_PER_USD

    def buy(
        self, cents: int = 1000, method: Method = Method.CARD, *, key: str = "1", card: str = ""
    ) -> Purchase:
        """Bought and paid; nobody here has been told yet."""
        purchase = self.services.billing.start(
            self.buyer, amount_cents=cents, method=method, key=key
        )
        assert purchase.session is not None
        assert self.stripe is not None
        self.stripe.pay(purchase.session, *([card] if card else []))
        return purchase

    def deliver(self, *, secret: str = WEBHOOK_SECRET) -> int:
        """Hand over all events that there are, and let them be understood. Returns how many were new."""
        assert self.stripe is not None
        assert self.services.inbox is not None
        new = 0
        for event in self.stripe.events:
            body, signature = signed(event, at_s=self.clock.ms / 1000, secret=secret)
            new += self.services.inbox.store(body, signature)
        self.work()
        return new

    def work(self) -> None:
        assert self.services.inbox is not None
        while self.services.inbox.work():
            pass

    def found(self, purchase: Purchase) -> Purchase:
        return self.services.billing.find(self.account, purchase.id)

    def use(self, dollars: float, reference: str = "use") -> None:
        command = Charge(
            account=self.account,
            reference=reference,
            amount=NanoUSD(round(dollars * NANO_PER_USD)),
            generations_count=1,
        )
        assert isinstance(self.ledger.post(command), Posted)

    def letters(self) -> list[tuple[str, str]]:
        """Kind and recipient of all that was written so far."""
        with self.database.read() as connection:
            found = connection.execute(sa.select(mails.c.kind, mails.c.recipient, mails.c.id))
            return [(row[0], row[1]) for row in sorted(found, key=lambda row: row[2])]

    def check(self) -> None:
        """The ledger is whole, but for usage that tests charge without any generation."""
        found = check(self.database).findings
        assert not [one for one in found if one.damage is not Damage.CHARGE_WRONG], found


def build_world(
    database: Database,
    stripe: StripeServer | None,
    *,
    billing: Billing | None = None,
    clock: Callable[[], int] | None = None,
    account: AccountId | None = None,
    seed: int = 0,
) -> World:
    """stripe: None: payments are pretended. account: of a world on the same database."""
    now = clock if isinstance(clock, Clock) else Clock()
    entropy = Entropy(seed)
    ledger = Ledger(database, now_ms=now)
    accounts = Accounts(database, now_ms=now, entropy=entropy)
    if account is None:
        owner = accounts.ensure_owner().account.id
        with database.begin() as connection:
            connection.execute(
                sa.text("UPDATE users SET email = :email WHERE account_id = :id"),
                {"email": OPERATOR, "id": owner},
            )
        account = accounts.create(email=ADA, name="Ada", billing=BillingKind.PREPAID).id
    settings = Settings(
        billing=billing or Billing(test_payments=True),
        stripe=Stripe()
        if stripe is None
        else Stripe(
            secret_key=Secret(SECRET_KEY),
            webhook_secret=Secret(WEBHOOK_SECRET),
            api_base=stripe.url,
        ),
    )
    services = build_billing(
        database,
        settings,
        ledger=ledger,
        audit=Audit(database, now_ms=now, entropy=entropy),
        outbox=Outbox(database, now_ms=now, entropy=entropy),
        address=ADDRESS,
        now_ms=now,
        entropy=entropy,
    )
    return World(database, now, ledger, services, account, stripe)
