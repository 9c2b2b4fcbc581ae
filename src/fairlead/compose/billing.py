"""Payments, plugged together: the company, purchases, documents, notices, and the work behind them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fairlead.compose.control_plane import ControlPlane
from fairlead.compose.system import SystemClock
from fairlead.control.audit.service import Audit
from fairlead.control.billing import queries
from fairlead.control.billing.documents import Documents, Seller
from fairlead.control.billing.inbox import EventInbox
from fairlead.control.billing.jobs import BillingJobs
from fairlead.control.billing.letters import BillingLetters
from fairlead.control.billing.notices import Expiry, Notices
from fairlead.control.billing.payments import Payments
from fairlead.control.billing.pretended import PretendedPayments
from fairlead.control.billing.profiles import Profiles
from fairlead.control.billing.service import Billing
from fairlead.control.billing.stripe import StripePayments
from fairlead.control.billing.types import BillingRules
from fairlead.control.ledger.service import Ledger
from fairlead.control.mail.outbox import Outbox
from fairlead.core.errors import Overloaded
from fairlead.settings import Billing as BillingSettings
from fairlead.settings import Settings, revealed
from fairlead.store.database import Database, DatabaseUnreadable
from fairlead.web.asking import InThread
from fairlead.web.billing import BillingEdge

__all__ = [
    "BillingServices",
    "billing_edge",
    "billing_rules",
    "build_billing",
    "build_billing_plane",
]

_INSTALLATION_BYTES = 8
_CALLS_AT_ONCE = 8  # of people who wait for the payment company, or for a document to be drawn

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class BillingServices:
    """Everything about payments that blocks. inbox: None: no company tells us anything."""

    billing: Billing
    profiles: Profiles
    documents: Documents
    inbox: EventInbox | None
    jobs: BillingJobs
    payments: Payments | None
    font_file: str | None


def build_billing_plane(
    control: ControlPlane,
    settings: Settings,
    *,
    outbox: Outbox,
    clock: SystemClock,
    address: str,
) -> BillingServices:
    """On a control plane. address: ours, as links begin with it."""
    return build_billing(
        control.database,
        settings,
        ledger=control.ledger,
        audit=control.audit,
        outbox=outbox,
        address=address,
        now_ms=clock.now_ms,
        entropy=os.urandom,
    )


def billing_edge(services: BillingServices, ledger: Ledger) -> BillingEdge:
    """For the web. On the event loop."""
    payments = services.payments
    return BillingEdge(
        billing=services.billing,
        profiles=services.profiles,
        documents=services.documents,
        ledger=ledger,
        inbox=services.inbox,
        pretended=payments if isinstance(payments, PretendedPayments) else None,
        in_thread=_outside(),
        font_file=services.font_file,
        on_event=services.jobs.nudge,
    )


def _outside() -> InThread:
    """Threads that are not the database's: whoever waits for the payment company keeps nobody else waiting."""
    places = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def call(function: Callable[[], _Answer], /) -> _Answer:
        async with places:
            try:
                return await asyncio.to_thread(function)
            except DatabaseUnreadable as error:
                raise Overloaded("The database does not answer at the moment.") from error

    return call


def build_billing(
    database: Database,
    settings: Settings,
    *,
    ledger: Ledger,
    audit: Audit,
    outbox: Outbox | None,
    address: str,
    now_ms: Callable[[], int],
    entropy: Callable[[int], bytes],
) -> BillingServices:
    """address: ours, as links begin with it; where the hosted page sends people back to."""
    terms = billing_rules(settings.billing)
    payments = _payments(database, settings, address=address, now_ms=now_ms, entropy=entropy)
    letters = BillingLetters(outbox)
    profiles = Profiles(database, payments, terms, audit, now_ms=now_ms)
    documents = Documents(
        database, ledger=ledger, letters=letters, seller=_seller(settings.billing), now_ms=now_ms
    )
    billing = Billing(
        database,
        ledger=ledger,
        payments=payments,
        terms=terms,
        profiles=profiles,
        documents=documents,
        letters=letters,
        audit=audit,
        now_ms=now_ms,
        entropy=entropy,
    )
    inbox = None
    if payments is not None and not payments.is_pretended:
        inbox = EventInbox(database, payments, billing, profiles, now_ms=now_ms)
    jobs = BillingJobs(
        database,
        billing,
        inbox,
        Notices(database, letters, terms, now_ms=now_ms),
        Expiry(database, ledger, letters, now_ms=now_ms),
        documents,
        now_ms=now_ms,
    )
    return BillingServices(
        billing=billing,
        profiles=profiles,
        documents=documents,
        inbox=inbox,
        jobs=jobs,
        payments=payments,
        font_file=settings.billing.font_file,
    )


def billing_rules(settings: BillingSettings) -> BillingRules:
    """The operator's numbers, as the rules count by them."""
    return BillingRules(
        card_fee_bp=settings.card_fee_basis_points,
        card_fee_cents_min=settings.card_fee_cents_min,
        crypto_fee_bp=settings.crypto_fee_basis_points,
        crypto_fee_cents_min=settings.crypto_fee_cents_min,
        purchase_cents_min=settings.purchase_cents_min,
        purchase_cents_max=settings.purchase_cents_max,
        refund_ms=round(settings.refund_hours * 3_600_000),
        expire_days=settings.credits_expire_days,
        low_balance_cents=settings.low_balance_cents,
    )


def _payments(
    database: Database,
    settings: Settings,
    *,
    address: str,
    now_ms: Callable[[], int],
    entropy: Callable[[int], bytes],
) -> Payments | None:
    secret_key = revealed(settings.stripe.secret_key)
    if secret_key is None:
        if not settings.billing.test_payments:  # credit of them pays for real calls
            return None
        return PretendedPayments(database, address=address, now_ms=now_ms)
    with database.begin() as connection:
        proposed = f"fairlead-{entropy(_INSTALLATION_BYTES).hex()}"
        installation = queries.installation(database, connection, proposed)
    return StripePayments(
        secret_key=secret_key,
        webhook_secret=revealed(settings.stripe.webhook_secret),
        installation=installation,
        return_url=f"{address.rstrip('/')}/credits",
        tolerance_s=settings.stripe.webhook_tolerance_s,
        api_base=settings.stripe.api_base,
    )


def _seller(settings: BillingSettings) -> Seller:
    return Seller(
        name=settings.seller_name,
        address=settings.seller_address,
        tax_ids=_lines(settings.seller_tax_ids),
        tax_lines=_lines(settings.tax_note),
        number_prefix=settings.invoice_prefix,
    )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())
