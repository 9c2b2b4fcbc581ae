"""`fairlead demo`: made-up accounts and calls, so that an installation's pages can be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from fairlead.cli import opening
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Installation, Place, located

if TYPE_CHECKING:
    from fairlead.control.demo.service import Demo

__all__ = ["command"]

SEED: Final = 7
CALLS_MAX: Final = 500_000  # all of them are in memory for a while, some 3 KB each
DAYS_MAX: Final = 365


@click.command("demo", short_help="Fill an empty installation with made-up calls.")
@click.option("--remove", is_flag=True, help="Take the demonstration away again.")
@click.option("--yes", is_flag=True, help="Even though there are real calls here.")
@click.option(
    "--calls",
    type=click.IntRange(1, CALLS_MAX),
    default=20_000,
    show_default=True,
    metavar="N",
    help="About so many.",
)
@click.option(
    "--days",
    type=click.IntRange(2, DAYS_MAX),
    default=90,
    show_default=True,
    metavar="N",
    help="Over so many days, up to now.",
)
@click.option(
    "--seed", type=int, default=SEED, show_default=True, help="Another one gives other calls."
)
@located
def command(place: Place, *, remove: bool, yes: bool, calls: int, days: int, seed: int) -> None:
    """Fill an empty installation with made-up calls, so that charts and rankings have something to show.

    Accounts, keys, apps and calls of the last days are made up; prices and routing are this catalogue's. They
    belong to accounts of their own, marked "Demo", and go through the ledger like real ones. As long as they
    are here, every page says so. Nothing is sent anywhere.
    """
    with opening.opened(place) as here:
        demo = _demo(here)
        if remove:
            _remove(here, demo)
        else:
            _fill(here, demo, is_sure=yes, calls=calls, days=days, seed=seed)


def _demo(here: Installation) -> Demo:
    from fairlead.control.demo.service import Demo

    return Demo(here.database, now_ms=opening.now_ms, entropy=opening.entropy)


def _fill(
    here: Installation, demo: Demo, *, is_sure: bool, calls: int, days: int, seed: int
) -> None:
    import os
    import random  # noqa: TID251 - seeded, and nothing secret comes of it

    from fairlead.control.accounts.types import EmailTaken
    from fairlead.control.demo.cast import ACCOUNTS
    from fairlead.control.demo.drawing import Impossible
    from fairlead.control.demo.service import AlreadyThere
    from fairlead.core.catalog_overlay import overlay
    from fairlead.store.journal import JOURNAL_DIRECTORY, JournalUnwritable

    if not (is_sure or demo.is_empty()):
        raise Stop(
            "there are real calls here, and rankings would show made-up ones among them;"
            " choose an empty directory with --data, or say --yes"
        )
    snapshot = overlay(here.seed, here.settings.models, {})
    with opening.progress("Making up calls ...") as show:
        try:
            filled = demo.fill(
                snapshot,
                random.Random(seed),  # noqa: S311 - no secret
                journals=here.data / JOURNAL_DIRECTORY,
                writer=f"demo-{opening.now_ms():x}-{os.getpid()}",
                days=days,
                calls=calls,
                progress=lambda count: show(f"Making up calls: {count}"),
            )
        except AlreadyThere as error:
            raise Stop(f"{error}; `fairlead demo --remove` takes it away") from error
        except (EmailTaken, Impossible, JournalUnwritable) as error:
            raise Stop(str(error)) from error
    opening.note(
        f"Made up {filled.calls} calls of {len(filled.accounts)} demo accounts over {days} days."
        " `fairlead demo --remove` takes them away.\n"
        f"To look at one of the accounts: fairlead accounts link {ACCOUNTS[0].email}"
    )


def _remove(here: Installation, demo: Demo) -> None:
    from fairlead.cli.account_data import leave

    accounts = demo.remove()
    if not accounts:
        raise Stop("there is no demonstration here")
    for account in accounts:
        leave(here, account, agent="fairlead demo --remove")
    opening.note(
        "The demonstration is gone from all pages. Its accounts' entries stay in the ledger, whose history is"
        " never changed."
    )
