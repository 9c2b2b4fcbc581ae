"""`fairlead accounts link`: a link by which somebody signs in, printed for the operator to hand on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from fairlead.cli import opening
from fairlead.cli.account_lookup import known_account
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Place, located

if TYPE_CHECKING:
    from fairlead.core.ids import AccountId
    from fairlead.store.database import Database

__all__ = ["LINK_VALID_HOURS", "link", "new_link_path"]

LINK_VALID_HOURS: Final = 24


@click.command("link")
@click.argument("email", required=False)
@click.option("--owner", is_flag=True, help="Of the owner's account, which may have no address.")
@located
def link(place: Place, email: str | None, *, owner: bool) -> None:
    """Print a link that signs somebody in. It works once, within a day.

    Whoever has it is let in, so hand it on as you would a password. It proves no address.
    """
    from fairlead.settings.addresses import outside_address

    if owner is (email is not None):
        raise Stop("name either an EMAIL or --owner")
    with opening.opened(place) as here:
        database = here.database
        accounts = opening.accounts_in(database)
        account = accounts.owner() if email is None else known_account(database, email)
        if account is None:
            who = "owner yet: start the server once" if email is None else f"account {email}"
            raise Stop(f"there is no {who}")
        path = new_link_path(database, account.id)
    opening.note(f"It works once, within {LINK_VALID_HOURS} hours:")
    click.echo(f"{outside_address(here.settings.server)}{path}")


def new_link_path(database: Database, account: AccountId) -> str:
    """Where the person whose account it is signs in. Raises Stop for who may not."""
    from fairlead.control.audit.types import OPERATOR
    from fairlead.control.people.rules import Purpose
    from fairlead.control.people.service import People

    user = People(database).of_account(account)
    if user is None or not user.may_sign_in:
        raise Stop("nobody signs in to this account")
    tokens, audit = opening.tokens_in(database), opening.audit_in(database)
    with database.begin() as connection:
        token = tokens.mint(
            connection,
            Purpose.SIGN_IN,
            user.id,
            email=None,
            valid_ms=LINK_VALID_HOURS * 3_600_000,
        )
        audit.note(connection, account, OPERATOR, "link.print", user.id)
    return f"/sign-in/{token}"
