"""`fairlead budgets`: which processes hold something of budgets, and what to do when one is lost."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from fairlead.cli import opening
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Place, located
from fairlead.cli.tables import print_json, print_rows

__all__ = ["command"]


@click.group("budgets", short_help="What processes hold of budgets: list, release.")
def command() -> None:
    """What processes hold of budgets."""


@command.command("holders")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def holders(place: Place, *, as_json: bool) -> None:
    """Print each process that has set something aside of budgets, how much, and when it was last heard of."""
    from fairlead.core.money import amount_text

    with opening.opened(place) as here:
        found = opening.budgets_in(here.database).holders()
    rows = [
        {
            "holder": one.name,
            "budgets": one.leases,
            "usd": amount_text(one.amount),
            "last_heard": datetime.fromtimestamp(one.renewed_ms / 1000, UTC).isoformat(
                "T", "seconds"
            ),
        }
        for one in found
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_rows(
            ("HOLDER", "BUDGETS", "USD", "LAST HEARD"),
            [[str(value) for value in row.values()] for row in rows],
        )


@command.command("release")
@click.argument("holder")
@located
def release(place: Place, holder: str) -> None:
    """Free what HOLDER has set aside: a process whose machine is lost for good, with its data directory.

    Never for one that is merely away: should its journal turn up after all, its usage is charged beyond limits
    if need be.
    """
    with opening.opened(place) as here:
        budgets = opening.budgets_in(here.database)
        if holder not in {one.name for one in budgets.holders()}:
            raise Stop(
                f"nothing is set aside by {holder!r}; `fairlead budgets holders` lists who has"
            )
        budgets.release(holder)
    opening.note(f"What {holder} had set aside is free again.")
