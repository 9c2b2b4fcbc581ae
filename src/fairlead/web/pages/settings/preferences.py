"""What an account has set of routing and privacy, as forms change it: field by field, over the JSON that is
kept.

A field that says what holds anyway is taken out, so that the account goes on following the installation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from fairlead.control.accounts.preferences import CheckedPreferences, checked
from fairlead.control.accounts.service import Accounts
from fairlead.core.ids import AccountId
from fairlead.core.routing.preferences import AccountPreferences
from fairlead.web.asking import Desk
from fairlead.web.pages.attempts import Refused, attempted
from fairlead.web.pages.settings.desk import lines
from fairlead.web.services import CatalogFeed

__all__ = [
    "Fields",
    "Preferences",
    "change_preferences",
    "put",
    "put_list",
    "put_switch",
    "read_preferences",
]

# JSON as it is kept: what a version that knows more has written stays as it is.
Fields = dict[str, Any]
_read: Final = msgspec.json.Decoder(AccountPreferences)
_read_fields: Final = msgspec.json.Decoder(Fields)
_DEFAULTS: Final = AccountPreferences()


@dataclass(frozen=True, slots=True)
class Preferences:
    """value: what is set; fields: the same as JSON, with no field that was left alone."""

    value: AccountPreferences
    fields: Mapping[str, Any]


async def read_preferences(accounts: Desk[Accounts], account: AccountId) -> Preferences:
    text = await accounts.do(lambda: accounts.service.preferences(account))
    return Preferences(_read.decode(text), _read_fields.decode(text))


async def change_preferences(
    accounts: Desk[Accounts],
    catalog: CatalogFeed,
    account: AccountId,
    change: Callable[[Fields], None],
) -> Refused | None:
    """change: alters the fields; may raise RequestInvalid. Gateways follow within two seconds."""
    providers = catalog.snapshot.providers

    def rewritten(before: str) -> CheckedPreferences:
        fields = _read_fields.decode(before)
        change(fields)
        return checked(msgspec.json.encode(fields), providers)

    done = await attempted(
        accounts.do(partial(accounts.service.change_preferences, account, rewritten))
    )
    return done if isinstance(done, Refused) else None


def put(fields: Fields, name: str, value: object) -> None:
    """Set, or taken out where it is nothing."""
    if value in (None, "", [], ()):
        fields.pop(name, None)
    else:
        fields[name] = value


def put_list(fields: Fields, name: str, text: str) -> None:
    put(fields, name, list(dict.fromkeys(lines(text))))


def put_switch(fields: Fields, name: str, *, is_on: bool) -> None:
    """Of an account's own fields."""
    if is_on == getattr(_DEFAULTS, name):
        fields.pop(name, None)
    else:
        fields[name] = is_on
