"""What the first start of an installation creates: its owner, a key to begin with, and a way to sign in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fairlead.cli import opening
from fairlead.cli.account_link import new_link_path

if TYPE_CHECKING:
    from fairlead.store.database import Database

__all__ = ["FirstStart", "first_start"]

FIRST_KEY_NAME: Final = "first key"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """account: how the owner is called. key: the secret, to be shown once.

    link_path: where the owner signs in, once.
    """

    account: str
    key: str = field(repr=False)
    link_path: str = field(repr=False)


def first_start(database: Database) -> FirstStart | None:
    """Create owner and key if there is no owner; None: this is a later start.

    Of several processes on one fresh database, exactly one is the first.
    """
    owner = opening.accounts_in(database).ensure_owner()
    if not owner.is_new:
        return None
    key = opening.keys_in(database).create(owner.account.id, name=FIRST_KEY_NAME)
    return FirstStart(owner.account.name, key.secret, new_link_path(database, owner.account.id))
