"""`fairlead accounts disable` and `fairlead accounts enable`: whether somebody may come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fairlead.cli import opening
from fairlead.cli.account_lookup import account_of
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Place, located

if TYPE_CHECKING:
    from fairlead.compose.people import PeopleServices
    from fairlead.control.people.types import User
    from fairlead.store.database import Database

__all__ = ["disable", "enable"]


@click.command("disable")
@click.argument("email")
@located
def disable(place: Place, email: str) -> None:
    """Shut somebody out until `enable`: nothing of theirs is deleted.

    They are signed out everywhere and cannot sign in. Keys of their account, and those that they made in
    organisations, open nothing.
    """
    from fairlead.control.audit.types import OPERATOR
    from fairlead.control.people.types import OwnerStays

    with opening.opened(place) as here:
        people = opening.people_in(here.database, here.settings)
        try:
            people.disabling.disable(_user(people, here.database, email).id, actor=OPERATOR)
        except OwnerStays as error:
            raise Stop(str(error).rstrip(".")) from error
    opening.note(f"{email} is disabled. Running servers follow within two seconds.")


@click.command("enable")
@click.argument("email")
@located
def enable(place: Place, email: str) -> None:
    """Let somebody in again: their keys work as before."""
    from fairlead.control.audit.types import OPERATOR

    with opening.opened(place) as here:
        people = opening.people_in(here.database, here.settings)
        people.disabling.enable(_user(people, here.database, email).id, actor=OPERATOR)
    opening.note(f"{email} is enabled. Running servers follow within two seconds.")


def _user(people: PeopleServices, database: Database, email: str) -> User:
    user = people.people.of_account(account_of(database, email).id)
    assert user is not None, "only a person's account has an address"
    return user
