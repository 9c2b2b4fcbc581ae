"""`fairlead billing`: see purchases, pay them back, look at the payment company, close invoices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from fairlead.cli import opening
from fairlead.cli.account_lookup import account_of
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Place, located
from fairlead.cli.tables import print_json, print_rows

if TYPE_CHECKING:
    from fairlead.compose.billing import BillingServices
    from fairlead.store.database import Database

__all__ = ["command"]

SHOWN_MAX: Final = 100
SYNCED_MAX: Final = 1000


@click.group("billing", short_help="Payments: list, refund, sync, paid.")
def command() -> None:
    """See purchases, pay them back, and compare them with the payment company."""


@command.command("list")
@click.argument("email", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def list_purchases(place: Place, email: str | None, *, as_json: bool) -> None:
    """Print the latest purchases, of one account or of all."""
    from fairlead.control.billing import rules
    from fairlead.control.billing.words import dollars

    with _opened(place) as (database, services):
        account = None if email is None else account_of(database, email).id
        found = services.billing.page(account, limit=SHOWN_MAX)
    rows = [
        {
            "id": one.id,
            "account": one.account,
            "company": one.company,
            "method": one.method.value,
            "amount": dollars(one.amount_cents),
            "fee": dollars(one.fee_cents),
            "state": rules.state(one).value,
            "payment": one.payment or "-",
        }
        for one in found
    ]
    if as_json:
        print_json(rows)
        return
    head = ("ID", "ACCOUNT", "COMPANY", "METHOD", "AMOUNT", "FEE", "STATE", "PAYMENT")
    print_rows(head, [list(row.values()) for row in rows])


@command.command("refund")
@click.argument("purchase")
@located
def refund(place: Place, purchase: str) -> None:
    """Pay the unused part of a purchase back, by the same rules as its buyer could."""
    from fairlead.control.audit.types import OPERATOR
    from fairlead.control.billing.service import Buyer
    from fairlead.control.billing.types import NotFoundHere, PurchaseId, RefundRefused
    from fairlead.control.billing.words import dollars

    with _opened(place) as (_, services):
        try:
            found = services.billing.find_any(PurchaseId(purchase))
            done = services.billing.refund(Buyer(found.account, OPERATOR), found.id)
        except (NotFoundHere, RefundRefused) as error:
            raise Stop(str(error)) from error
    opening.note(f"Refund {done.id}: {done.state.value}.")
    click.echo(dollars(done.amount_cents))


@command.command("sync")
@located
def sync(place: Place) -> None:
    """Look at the latest purchases at the payment company, and go by what it says of them."""
    from fairlead.control.billing import rules
    from fairlead.control.billing.payments import PaymentsAway, PaymentsRefused

    changed = 0
    with _opened(place) as (_, services):
        company = services.payments
        if company is None:
            raise Stop("no payment company is configured; set stripe.secret_key")
        before: str | None = None
        looked = 0
        while looked < SYNCED_MAX:
            page = services.billing.page(None, before=before, limit=SHOWN_MAX)
            for one in page:
                looked += 1
                if one.company != company.name or (one.session is None and one.payment is None):
                    continue
                try:
                    after = services.billing.look(one)
                except PaymentsAway as error:
                    raise Stop(f"the payment company does not answer: {error}") from error
                except PaymentsRefused as error:
                    opening.note(f"{one.id}: {error}")
                    continue
                if rules.state(after) is not rules.state(one):
                    changed += 1
                    click.echo(f"{one.id} {rules.state(one).value} {rules.state(after).value}")
            if len(page) < SHOWN_MAX:
                break
            before = page[-1].id
    opening.note(f"Looked at {looked} purchases; {changed} had changed.")


@command.command("paid")
@click.argument("number", type=click.IntRange(min=1))
@located
def paid(place: Place, number: int) -> None:
    """Close an invoice that was paid in some other way, such as by bank transfer."""
    from fairlead.control.billing.types import NotFoundHere

    with _opened(place) as (_, services):
        try:
            done = services.documents.mark_paid(number)
        except NotFoundHere as error:
            raise Stop(str(error)) from error
    click.echo(done.document.number)


@contextmanager
def _opened(place: Place) -> Iterator[tuple[Database, BillingServices]]:
    from fairlead.compose.billing import build_billing
    from fairlead.control.mail.outbox import Outbox
    from fairlead.settings.addresses import outside_address

    now_ms, entropy = opening.now_ms, opening.entropy
    with opening.opened(place) as here:
        database = here.database
        services = build_billing(
            database,
            here.settings,
            ledger=opening.ledger_in(database),
            audit=opening.audit_in(database),
            outbox=Outbox(database, now_ms=now_ms, entropy=entropy),
            address=outside_address(here.settings.server),
            now_ms=now_ms,
            entropy=entropy,
        )
        yield database, services
