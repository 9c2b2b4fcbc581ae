"""`fairlead credits`: give an account credit, and see what it has."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from fairlead.cli import opening
from fairlead.cli.account_lookup import account_of
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Place, located
from fairlead.cli.tables import print_json, print_rows

if TYPE_CHECKING:
    from fairlead.control.ledger.types import Lot

__all__ = ["command"]

_MS_PER_DAY: Final = 86_400_000


@click.group("credits", short_help="Credits: grant, show.")
def command() -> None:
    """Give accounts credit, and see what they have."""


@command.command("grant")
@click.argument("email")
@click.argument("usd")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the ledger for ever.")
@click.option(
    "--expires-in-days",
    type=click.IntRange(min=1, max=36_500),
    metavar="DAYS",
    help="What is left then is taken back.  [default: never]",
)
@click.option(
    "--reference",
    metavar="TEXT",
    help="A name of your own for this grant: the same one again grants nothing more.",
)
@located
def grant(
    place: Place,
    email: str,
    usd: str,
    reason: str,
    expires_in_days: int | None,
    reference: str | None,
) -> None:
    """Give an account so many dollars of credit, and print its new balance.

    The dollars are exact to nine places, such as 5 or 0.25.
    """
    from fairlead.control.ledger.types import AddCredit, AlreadyDone, LotKind, Posted, Refused
    from fairlead.core.money import PriceInvalid, amount_text, parse_amount

    try:
        amount = parse_amount(usd)
    except PriceInvalid as error:
        raise Stop(str(error)) from error
    now_ms = opening.now_ms()
    with opening.opened(place) as here:
        account = account_of(here.database, email)
        ledger = opening.ledger_in(here.database)
        outcome = ledger.post(
            AddCredit(
                account=account.id,
                # Two commands at one moment are two processes.
                reference=f"grant:{reference or f'{now_ms}-{os.getpid()}'}",
                kind=LotKind.GRANT,
                amount=amount,
                expires_ms=(
                    None if expires_in_days is None else now_ms + expires_in_days * _MS_PER_DAY
                ),
                reason=reason,
            )
        )
        balance = ledger.book(account.id).balance
    match outcome:
        case Posted(entry):
            opening.note(f"Granted {amount_text(amount)} dollars to {email}: entry {entry}.")
        case AlreadyDone(entry):
            opening.note(f"Entry {entry} was this grant already: nothing was added.")
        case Refused(_, message):
            raise Stop(message)
    click.echo(amount_text(balance))


@command.command("show")
@click.argument("email", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def show(place: Place, email: str | None, *, as_json: bool) -> None:
    """Print an account's balance, and its credit by origin; below 0, it owes.

    Without EMAIL it is the owner's account.
    """
    from fairlead.core.money import amount_text

    with opening.opened(place) as here:
        book = opening.ledger_in(here.database).book(account_of(here.database, email).id)
    lots = [_row(lot) for lot in book.lots]
    if as_json:
        print_json(
            [
                {
                    "balance_usd": amount_text(book.balance),
                    "total_credits_usd": amount_text(book.totals.credits),
                    "total_usage_usd": amount_text(book.totals.usage),
                    "lots": lots,
                }
            ]
        )
        return
    click.echo(amount_text(book.balance))
    if lots:
        print_rows(
            ("LOT", "KIND", "LEFT", "OF", "EXPIRES"),
            [
                [row[name] or "-" for name in ("id", "kind", "left_usd", "of_usd", "expires")]
                for row in lots
            ],
        )


def _row(lot: Lot) -> dict[str, str | None]:
    from fairlead.core.money import amount_text

    expires = lot.expires_ms
    return {
        "id": lot.id,
        "kind": lot.kind.value,
        "left_usd": amount_text(lot.remaining),
        "of_usd": amount_text(lot.amount),
        "expires": None
        if expires is None
        else datetime.fromtimestamp(expires / 1000, UTC).isoformat(timespec="seconds"),
        "source": lot.source,
    }
