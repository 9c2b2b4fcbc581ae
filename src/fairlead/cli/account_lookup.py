"""Whose account a command means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.cli import opening
from fairlead.cli.errors import Stop

if TYPE_CHECKING:
    from fairlead.control.accounts.types import Account
    from fairlead.store.database import Database

__all__ = ["account_of", "known_account"]


def account_of(database: Database, email: str | None, *, option: str = "") -> Account:
    """The account with that address; without one, the owner's. option: by which it was given. Raises Stop."""
    if email is None:
        return opening.accounts_in(database).ensure_owner().account
    account = known_account(database, email, option=option)
    if account is None:
        raise Stop(
            f"there is no account {email}; create it with `fairlead accounts create {email}`"
        )
    return account


def known_account(database: Database, email: str, *, option: str = "") -> Account | None:
    """The account with that address. Raises Stop for what is none."""
    from fairlead.control.accounts.types import EmailInvalid

    try:
        return opening.accounts_in(database).find_by_email(email)
    except EmailInvalid as error:
        raise Stop(f"{option}: {error}" if option else str(error)) from error
