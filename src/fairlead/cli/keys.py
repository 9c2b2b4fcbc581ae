"""`fairlead keys`: create, list, disable, rotate and revoke API keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from fairlead.cli import opening
from fairlead.cli.account_lookup import account_of
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Place, located
from fairlead.cli.tables import print_json, print_rows

if TYPE_CHECKING:
    from fairlead.control.accounts.types import Account
    from fairlead.control.keys.service import Keys
    from fairlead.control.keys.types import ApiKey
    from fairlead.core.ids import WorkspaceId
    from fairlead.store.database import Database

__all__ = ["command"]

REQUESTS_MAX: Final = 1_000_000

_whose_key = click.option("--account", metavar="EMAIL", help="Whose key.  [default: the owner's]")
_KEY_HELP: Final = "KEY is its id, its shortened form from `keys list`, or the key itself."


@click.group("keys", short_help="API keys: create, list, disable, rotate, revoke.")
def command() -> None:
    """Create, list, disable, rotate and revoke API keys."""


@command.command("create")
@click.option("--name", required=True, metavar="NAME", help="By which people recognise the key.")
@_whose_key
@click.option("--limit", metavar="USD", help="The most the key may spend, as 12.50.")
@click.option(
    "--limit-reset",
    type=click.Choice(["daily", "weekly", "monthly"]),
    help="When what was spent counts from nought again (UTC).",
)
@click.option(
    "--requests-per-minute",
    type=click.IntRange(1, REQUESTS_MAX),
    metavar="N",
    help="The most requests per minute.",
)
@click.option(
    "--requests-per-day",
    type=click.IntRange(1, REQUESTS_MAX),
    metavar="N",
    help="The most requests per day (UTC).",
)
@click.option(
    "--workspace", metavar="SLUG", help="Where the key belongs.  [default: the default workspace]"
)
@click.option("--management", is_flag=True, help="A key for managing, not for calling models.")
@located
def create(
    place: Place,
    name: str,
    account: str | None,
    limit: str | None,
    limit_reset: str | None,
    requests_per_minute: int | None,
    requests_per_day: int | None,
    workspace: str | None,
    *,
    management: bool,
) -> None:
    """Create a key and print it, alone, on standard output. It is shown this once."""
    from fairlead.control.keys.types import KeyInvalid, LimitReset
    from fairlead.core.money import PriceInvalid, parse_amount

    try:
        amount = None if limit is None else parse_amount(limit)
    except PriceInvalid as error:
        raise Stop(f"--limit: {error}") from error
    if limit_reset is not None and amount is None:
        raise Stop("--limit-reset needs a --limit that is reset")
    if management and workspace is not None:
        raise Stop("--management: such a key belongs to all workspaces, so leave out --workspace")
    with opening.opened(place) as here:
        database, owner = here.database, account_of(here.database, account, option="--account")
        try:
            new = opening.keys_in(database).create(
                owner.id,
                name=name,
                is_management=management,
                limit=amount,
                limit_reset=None if limit_reset is None else LimitReset(limit_reset),
                requests_per_minute=requests_per_minute,
                requests_per_day=requests_per_day,
                workspace=_workspace(database, owner, workspace),
            )
        except KeyInvalid as error:
            raise Stop(f"--{error.path}: {error}") from error
    opening.note(f"Key {new.key.label} for {owner.email or owner.name}. It is shown this once:")
    click.echo(new.secret)


@command.command("list")
@click.option("--account", metavar="EMAIL", help="Whose keys.  [default: the owner's]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def list_keys(place: Place, account: str | None, *, as_json: bool) -> None:
    """List an account's keys, without their secrets."""
    with opening.opened(place) as here:
        keys = _all_keys(here.database, account_of(here.database, account, option="--account"))
    if as_json:
        print_json([_row(key) for key in keys])
    else:
        headings = ("ID", "KEY", "NAME", "STATE", "LIMIT USD", "RESET", "PER MINUTE", "PER DAY")
        print_rows(headings, [[str(cell or "-") for cell in _row(key).values()] for key in keys])


@command.command("revoke", help=f"Revoke a key for good. {_KEY_HELP}")
@click.argument("key")
@_whose_key
@located
def revoke(place: Place, key: str, account: str | None) -> None:
    with _found(place, account, key) as (keys, found):
        keys.revoke(found.account, found.id)
    opening.note(f"Revoked {found.label}. Running servers refuse it within two seconds.")


@command.command("disable", help=f"Disable a key until it is enabled again. {_KEY_HELP}")
@click.argument("key")
@_whose_key
@located
def disable(place: Place, key: str, account: str | None) -> None:
    with _found(place, account, key) as (keys, found):
        keys.disable(found.account, found.id)
    opening.note(f"Disabled {found.label}. Running servers refuse it within two seconds.")


@command.command("enable", help=f"Enable a key that was disabled. {_KEY_HELP}")
@click.argument("key")
@_whose_key
@located
def enable(place: Place, key: str, account: str | None) -> None:
    with _found(place, account, key) as (keys, found):
        keys.enable(found.account, found.id)
    opening.note(f"Enabled {found.label}.")


@command.command(
    "rotate",
    help="Give a key another secret and print it, alone, on standard output. What the key has spent and may"
    f" spend stays; the old secret opens nothing any more. {_KEY_HELP}",
)
@click.argument("key")
@_whose_key
@located
def rotate(place: Place, key: str, account: str | None) -> None:
    with _found(place, account, key) as (keys, found):
        new = keys.rotate(found.account, found.id)
    opening.note(f"{found.label} is {new.key.label} now. It is shown this once:")
    click.echo(new.secret)


@contextmanager
def _found(place: Place, account: str | None, key: str) -> Iterator[tuple[Keys, ApiKey]]:
    """The one key that is meant, in an open database."""
    from fairlead.control.keys.types import KeyInvalid

    with opening.opened(place) as here:
        database, owner = here.database, account_of(here.database, account, option="--account")
        found = _matching(_all_keys(database, owner), key)
        if len(found) != 1:
            count = "several keys are" if found else "no key is"
            raise Stop(
                f"{count} meant by that; `fairlead keys list` shows the ids of {owner.email or owner.name}"
            )
        try:
            yield opening.keys_in(database), found[0]
        except KeyInvalid as error:
            raise Stop(str(error)) from error


def _workspace(database: Database, account: Account, name: str | None) -> WorkspaceId | None:
    """None: the default one."""
    if name is None:
        return None
    from fairlead.control.workspaces.types import WorkspaceUnknown

    try:
        return opening.workspaces_in(database).find(account.id, name).id
    except WorkspaceUnknown as error:
        raise Stop(f"--workspace: {error}") from error


def _all_keys(database: Database, account: Account) -> list[ApiKey]:
    keys = opening.keys_in(database)
    found = page = keys.page(account.id)
    while page:
        page = keys.page(account.id, after=page[-1].id)
        found = found + page
    return found


def _matching(keys: list[ApiKey], given: str) -> list[ApiKey]:
    from fairlead.control.keys.rules import digest

    secret = digest(given)
    return [key for key in keys if given in (key.id, key.label) or key.digest == secret]


def _row(key: ApiKey) -> dict[str, object]:
    from fairlead.core.money import usd

    state = "revoked" if key.revoked_ms else "disabled" if key.is_disabled else "active"
    return {
        "id": key.id,
        "key": key.label,
        "name": key.name,
        "state": state,
        "limit_usd": None if key.limit is None else usd(key.limit),
        "limit_reset": key.limit_reset,
        "requests_per_minute": key.requests_per_minute,
        "requests_per_day": key.requests_per_day,
    }
