"""What the first start of an installation creates: its owner, and a key to begin with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fairlead.cli import opening

if TYPE_CHECKING:
    from fairlead.store.database import Database

__all__ = ["FirstStart", "first_start"]

FIRST_KEY_NAME: Final = "first key"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """account: how the owner is called. key: the secret, to be shown once."""

    account: str
    key: str = field(repr=False)


def first_start(database: Database) -> FirstStart | None:
    """Create owner and key if there is no owner; None: this is a later start.

    Of several processes on one fresh database, exactly one is the first.
    """
    owner = opening.accounts_in(database).ensure_owner()
    if not owner.is_new:
        return None
    key = opening.keys_in(database).create(owner.account.id, name=FIRST_KEY_NAME)
    return FirstStart(owner.account.name, key.secret)
