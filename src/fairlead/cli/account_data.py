"""`fairlead accounts export` and `fairlead accounts delete`: all that there is of an account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairlead.cli import opening
from fairlead.cli.account_lookup import known_account
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Installation, Place, located

if TYPE_CHECKING:
    from fairlead.control.accounts.types import Account
    from fairlead.control.privacy.service import Privacy
    from fairlead.core.ids import AccountId

__all__ = ["delete", "export", "leave"]


@click.command("export")
@click.argument("email")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@located
def export(place: Place, email: str, file: Path) -> None:
    """Write all that there is of an account into FILE, a zip of JSON lines.

    Its profile, keys (without what opens anything), calls, ledger and settings, and the prompts and answers
    that it had kept.
    """
    from fairlead.store.sealing import MasterKeyUnknown, Unsealable

    with opening.opened(place) as here, opening.progress("Collecting") as show:
        account = _found(here, email)
        try:
            count = _privacy(here).export(
                account.id, file, lambda what, rows: show(f"{rows} rows, now {what}")
            )
        except OSError as error:
            raise Stop(f"cannot write {file}: {error.strerror or error}") from error
        except (MasterKeyUnknown, Unsealable) as error:
            raise Stop(f"what was kept of prompts and answers cannot be read: {error}") from error
    opening.note(f"{count} rows are in {file}. Whoever has the file can read all of it.")


@click.command("delete")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
@located
def delete(place: Place, email: str, *, yes: bool) -> None:
    """Delete an account for good, with what is private of it.

    Its keys stop working, its people cannot sign in any more, and what was sealed for it cannot be read by
    anybody. Credits that are left are lost. What it used and paid stays in the books, under an id that leads
    to nobody.
    """
    with opening.opened(place) as here:
        account = _found(here, email)
        if not yes:
            click.confirm(f"Delete the account of {account.email} for good?", abort=True, err=True)
        leave(here, account.id, agent="fairlead accounts delete")
    opening.note(f"The account of {email} is deleted. Running servers follow within two seconds.")


def leave(here: Installation, account: AccountId, *, agent: str) -> None:
    """Delete a person's account. agent: which command it was, for the audit log. Raises Stop."""
    from fairlead.control.people.types import LastAdmin, OwnerStays
    from fairlead.control.people.types import Place as Whence

    privacy = _privacy(here)
    people = opening.people_in(here.database, here.settings, forget=(privacy.forget,))
    user = people.people.of_account(account)
    if user is None:
        raise Stop(f"{account} is no person's account")
    try:
        people.leaving.delete(user, Whence(user_agent=agent))
    except (LastAdmin, OwnerStays) as error:
        raise Stop(str(error).rstrip(".")) from error
    with opening.progress("Scrubbing records") as show:
        privacy.scrub(account, lambda _what, count: show(f"Scrubbing records: {count}"))


def _found(here: Installation, email: str) -> Account:
    account = known_account(here.database, email)
    if account is None:
        raise Stop(f"there is no account {email}")
    return account


def _privacy(here: Installation) -> Privacy:
    from fairlead.control.contents.service import Contents
    from fairlead.control.privacy.service import Privacy

    contents = Contents(
        here.database,
        opening.secrets_in(here.database, here.settings, here.data),
        retention_days=here.settings.privacy.content_retention_days,
        now_ms=opening.now_ms,
    )
    return Privacy(here.database, contents)
