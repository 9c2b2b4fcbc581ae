"""`fairlead accounts`: create and list accounts."""

from __future__ import annotations

import click

from fairlead.cli import opening
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Place, located
from fairlead.cli.tables import print_json, print_rows

__all__ = ["command"]


@click.group("accounts", short_help="Accounts: create, list.")
def command() -> None:
    """Create and list accounts."""


@command.command("create")
@click.argument("email")
@click.option("--name", default="", metavar="NAME", help="Display name.  [default: the address]")
@click.option(
    "--prepaid",
    "billing",
    flag_value="prepaid",
    default=True,
    help="Spends credits that it has.  [default]",
)
@click.option(
    "--postpaid", "billing", flag_value="postpaid", help="Spend is recorded, not limited."
)
@located
def create(place: Place, email: str, name: str, billing: str) -> None:
    """Create an account and print its id."""
    from fairlead.control.accounts.types import Billing, EmailInvalid, EmailTaken

    data = opening.create_data_directory(place.data)
    settings = opening.load_settings(place, opening.seed().providers)
    with opening.opened_database(settings, data) as database:
        accounts = opening.accounts_in(database)
        try:
            account = accounts.create(email=email, name=name, billing=Billing(billing))
        except (EmailInvalid, EmailTaken) as error:
            raise Stop(str(error)) from error
    opening.note(f"Created the {account.billing} account of {account.email}.")
    click.echo(account.id)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def list_accounts(place: Place, *, as_json: bool) -> None:
    """List all accounts."""
    data = opening.create_data_directory(place.data)
    settings = opening.load_settings(place, opening.seed().providers)
    rows: list[dict[str, object]] = []
    with opening.opened_database(settings, data) as database:
        accounts = opening.accounts_in(database)
        page = accounts.page()
        while page:
            rows += [
                {
                    "id": account.id,
                    "email": account.email,
                    "name": account.name,
                    "billing": account.billing,
                    "is_owner": account.is_owner,
                }
                for account in page
            ]
            page = accounts.page(after=page[-1].id)
    if as_json:
        print_json(rows)
    else:
        cells = [
            [str(row["id"]), str(row["email"] or "-"), str(row["name"]), str(row["billing"])]
            for row in rows
        ]
        print_rows(("ID", "EMAIL", "NAME", "BILLING"), cells)
