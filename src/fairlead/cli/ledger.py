"""`fairlead ledger`: check that history was not edited and everything adds up; show an account's entries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from fairlead.cli import opening
from fairlead.cli.account_lookup import account_of
from fairlead.cli.errors import BROKEN, Stop
from fairlead.cli.opening import Place, located
from fairlead.cli.tables import print_json, print_rows

if TYPE_CHECKING:
    from fairlead.control.ledger.check import Anchor
    from fairlead.control.ledger.types import Entry

__all__ = ["command"]

SHOWN_MAX: Final = 1000


@click.group("ledger", short_help="The ledger: check, show.")
def command() -> None:
    """Check the ledger, and show what is in it."""


@command.command("check")
@click.option(
    "--since",
    type=click.IntRange(min=0),
    default=0,
    metavar="ENTRY",
    help="Only entries behind this number and their calls; not lots and balances.",
)
@click.option(
    "--anchor",
    metavar="NUMBER:HASH",
    help="The last entry as an earlier check printed it: proves that nothing up to there was changed.",
)
@located
def check(place: Place, *, since: int, anchor: str | None) -> None:
    """Check that history was not edited, that debits equal credits, that lots and balances follow from it, and
    that every call was charged once.

    One line for each finding, and exit code 1 if there is any. A running server is not disturbed.
    """
    from fairlead.control.ledger.check import FINDINGS_MAX, check

    noted = None if anchor is None else _anchor(anchor)
    with opening.opened(place) as here, opening.progress("checking the ledger") as say:
        checked = check(
            here.database,
            progress=lambda done, total: say(f"checking the ledger: {done} of {total} entries"),
            after=since,
            anchor=noted,
        )
    for finding in checked.findings:
        click.echo(str(finding))
    if checked.findings:
        more = " or more" if len(checked.findings) >= FINDINGS_MAX else ""
        raise Stop(f"the ledger has {len(checked.findings)}{more} findings", code=BROKEN)
    click.echo(
        f"{checked.entries} entries, {checked.postings} postings, {checked.generations} calls:"
        " everything is in order"
    )
    click.echo(f"last entry {checked.head.number}:{checked.head.digest}")


@command.command("show")
@click.argument("email", required=False)
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=SHOWN_MAX),
    default=50,
    show_default=True,
    metavar="COUNT",
    help="How many entries.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with postings.")
@located
def show(place: Place, email: str | None, limit: int, *, as_json: bool) -> None:
    """Print an account's entries, the latest first, and what each did to its balance.

    Without EMAIL it is the owner's account.
    """
    with opening.opened(place) as here:
        account = account_of(here.database, email)
        entries = opening.ledger_in(here.database).entries(account.id, limit=limit)
    rows = [_row(entry) for entry in entries]
    if as_json:
        print_json(
            [
                row
                | {
                    "postings": [list(posting) for posting in entry.postings],
                    "hash": entry.hash.hex(),
                }
                for row, entry in zip(rows, entries, strict=True)
            ]
        )
    else:
        print_rows(
            ("ENTRY", "TIME", "KIND", "USD", "REFERENCE"),
            [
                [str(row[name]) for name in ("entry", "time", "kind", "usd", "reference")]
                for row in rows
            ],
        )


def _row(entry: Entry) -> dict[str, object]:
    from fairlead.control.ledger.types import credit_of, debt_of
    from fairlead.core.money import NanoUSD, amount_text

    own = (credit_of(entry.account), debt_of(entry.account))
    moved = sum(amount for account, amount, _ in entry.postings if account in own)
    created = datetime.fromtimestamp(entry.created_ms / 1000, UTC)
    return {
        "entry": entry.number,
        "time": created.isoformat(timespec="seconds"),
        "kind": entry.kind,
        "usd": amount_text(NanoUSD(moved)),
        "reference": entry.reference,
    }


def _anchor(text: str) -> Anchor:
    from fairlead.control.ledger.check import Anchor

    number, _, digest = text.partition(":")
    if not number.isdecimal() or not digest:
        raise Stop("--anchor: NUMBER:HASH is wanted, as `fairlead ledger check` prints it")
    return Anchor(int(number), digest)
