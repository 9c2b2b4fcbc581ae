"""Whose account a command means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.cli import opening
from fairlead.cli.errors import Stop

if TYPE_CHECKING:
    from fairlead.control.accounts.types import Account
    from fairlead.store.database import Database

__all__ = ["account_of"]


def account_of(database: Database, email: str | None) -> Account:
    """The account with that address; without one, the owner's. Raises Stop."""
    from fairlead.control.accounts.types import EmailInvalid

    accounts = opening.accounts_in(database)
    if email is None:
        return accounts.ensure_owner().account
    try:
        account = accounts.find_by_email(email)
    except EmailInvalid as error:
        raise Stop(str(error)) from error
    if account is None:
        raise Stop(
            f"there is no account {email}; create it with `fairlead accounts create {email}`"
        )
    return account
