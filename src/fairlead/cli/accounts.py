"""`fairlead accounts`: create and list accounts, and set what they wish of routing."""

from __future__ import annotations

from typing import IO

import click

from fairlead.cli import opening
from fairlead.cli.account_data import delete, export
from fairlead.cli.account_disabling import disable, enable
from fairlead.cli.account_link import link
from fairlead.cli.account_lookup import account_of
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Place, located
from fairlead.cli.tables import print_json, print_rows

__all__ = ["command"]


@click.group("accounts", short_help="Accounts: create, list, routing, disable, export, delete.")
def command() -> None:
    """Create and list accounts, set what they wish of routing, disable, export and delete them."""


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
    """Create an account and print its id. A prepaid one begins with the configured free allowance."""
    from fairlead.control.accounts.types import Billing, EmailInvalid, EmailTaken
    from fairlead.core.money import nano_from_usd

    with opening.opened(place) as here:
        accounts = opening.accounts_in(here.database)
        try:
            account = accounts.create(email=email, name=name, billing=Billing(billing))
        except (EmailInvalid, EmailTaken) as error:
            raise Stop(str(error)) from error
        if account.billing is Billing.PREPAID:
            allowance = nano_from_usd(here.settings.billing.free_allowance_usd)
            opening.ledger_in(here.database).welcome(account.id, allowance)
    opening.note(f"Created the {account.billing} account of {account.email}.")
    click.echo(account.id)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def list_accounts(place: Place, *, as_json: bool) -> None:
    """List all accounts."""
    rows: list[dict[str, object]] = []
    with opening.opened(place) as here:
        accounts = opening.accounts_in(here.database)
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


@command.command("routing")
@click.argument("email", required=False)
@click.option(
    "--set",
    "file",
    type=click.File("rb"),
    metavar="FILE",
    help="Replace all that is set by this JSON; `-` is standard input.",
)
@click.option("--clear", is_flag=True, help="Set nothing: the installation's defaults hold.")
@located
def routing(place: Place, email: str | None, file: IO[bytes] | None, *, clear: bool) -> None:
    """Print what an account wishes of routing, as JSON; with --set or --clear, after changing it.

    Without EMAIL it is the owner's account.
    """
    import msgspec

    from fairlead.control.accounts.preferences import PREFERENCES_BYTES_MAX, checked
    from fairlead.control.accounts.types import PreferencesInvalid

    if clear and file is not None:
        raise Stop("--set and --clear exclude each other")
    with opening.opened(place) as here:
        accounts = opening.accounts_in(here.database)
        account = account_of(here.database, email)
        if file is not None or clear:
            text = b"{}" if file is None else file.read(PREFERENCES_BYTES_MAX + 1)
            try:
                accounts.set_preferences(account.id, checked(text, here.seed.providers))
            except PreferencesInvalid as error:
                raise Stop(str(error)) from error
            opening.note("Running servers follow within two seconds.")
        click.echo(msgspec.json.format(accounts.preferences(account.id)))


command.add_command(export)
command.add_command(delete)
command.add_command(disable)
command.add_command(enable)
command.add_command(link)
