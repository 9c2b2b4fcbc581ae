"""What an account wishes of routing: from JSON that somebody wrote to a value that is right. Pure.

The text is kept, not the value: it says which fields were set, and a field that an account left alone follows
the installation, whatever that will be tomorrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import Final, get_args, get_type_hints

import msgspec

from fairlead.control.accounts.types import PreferencesInvalid
from fairlead.core.catalog import ProviderInfo
from fairlead.core.ids import ProviderSlug
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES, AccountPreferences
from fairlead.settings import Routing

__all__ = [
    "PREFERENCES_BYTES_MAX",
    "CheckedPreferences",
    "checked",
    "effective",
    "installation_preferences",
    "present",
]

PREFERENCES_BYTES_MAX: Final = 32 * 1024  # every gateway holds those in use in memory
SEEN_CHARACTERS_MAX: Final = 60  # of a wrong name, in a message

# Presets were part of the text once; a server of that version may still write them.
_FORMER: Final = "presets"
# A wish of the installation's that no account can take back.
_FOR_ALL: Final = ("data_collection_deny",)
_PROVIDER_LISTS: Final = ("allowed_providers", "ignored_providers", "default_provider_order")

_Fields = dict[str, msgspec.Raw]
_read_fields: Final = msgspec.json.Decoder(_Fields)
_read: Final = msgspec.json.Decoder(AccountPreferences)


@dataclass(frozen=True, slots=True)
class CheckedPreferences:
    """text: JSON with the fields that were set and no others."""

    text: str
    value: AccountPreferences


def checked(text: bytes, providers: Mapping[ProviderSlug, ProviderInfo]) -> CheckedPreferences:
    """Read what an account wants to set.

    providers: the catalogue's; a name that is none of them is most likely misspelt, and would cost the account
        every endpoint.
    Raises PreferencesInvalid, which names the field.
    """
    if len(text) > PREFERENCES_BYTES_MAX:
        raise PreferencesInvalid(f"preferences have at most {PREFERENCES_BYTES_MAX} bytes")
    fields = _fields_of(text, "")
    if _FORMER in fields:
        raise PreferencesInvalid("presets: each workspace has its own now, see /presets", _FORMER)
    _check_fields(fields)
    value = _read.decode(text)
    for path, name in _named_providers(value):
        _check_provider(path, name, providers)
    return CheckedPreferences(msgspec.json.format(text, indent=-1).decode(), value)


def present(text: str) -> str:
    """A text as it was kept, without what is kept elsewhere by now."""
    if f'"{_FORMER}"' not in text:
        return text
    fields = _fields_of(text, "")
    fields.pop(_FORMER, None)
    return msgspec.json.encode(fields).decode()


def effective(text: str | None, installation: AccountPreferences) -> AccountPreferences:
    """What holds for an account: `text` as it was kept by an earlier `checked`, over the installation's wishes.

    Raises PreferencesInvalid if it was written by a version that knew other fields: to leave one out could mean
    to send prompts where they must not go.
    """
    if text is None:
        return installation
    kept = _fields_of(present(text), "")
    merged = {**_read_fields.decode(msgspec.json.encode(installation)), **kept}
    for name in _FOR_ALL:
        if getattr(installation, name):
            merged[name] = msgspec.Raw(b"true")
    try:
        return _read.decode(msgspec.json.encode(merged))
    except msgspec.ValidationError as error:
        raise PreferencesInvalid(str(error)) from error


def installation_preferences(routing: Routing) -> AccountPreferences:
    """The operator's wishes for all accounts, as the lowest layer of an account's."""
    wishes = AccountPreferences(
        continue_streams=routing.continue_streams,
        hedge=routing.hedge,
        data_collection_deny=routing.data_collection == "deny",
    )
    return NO_ACCOUNT_WISHES if wishes == NO_ACCOUNT_WISHES else wishes  # known by its identity


def _fields_of(text: bytes | str | msgspec.Raw, path: str) -> _Fields:
    try:
        return _read_fields.decode(text)
    except msgspec.ValidationError as error:
        raise PreferencesInvalid(f"{path or 'preferences'}: wanted an object", path) from error
    except msgspec.DecodeError as error:
        raise PreferencesInvalid(f"this is not JSON: {error}") from error


def _check_fields(fields: Mapping[str, msgspec.Raw]) -> None:
    """Each field by itself, so that a message names the field."""
    hints = get_type_hints(AccountPreferences)
    for name, raw in fields.items():
        path = _shown(name)
        if name not in hints:
            near = get_close_matches(name, list(hints), n=1, cutoff=0.0)[0]
            raise PreferencesInvalid(f"{path} is unknown; did you mean {near}?", path)
        try:
            msgspec.json.decode(raw, type=hints[name])
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$")
            path += where.removesuffix("`")
            raise PreferencesInvalid(f"{path}: {what}{_choices(hints[name])}", path) from error


def _choices(annotation: object) -> str:
    """The words that a field may be, where it is one of a few."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Enum):
            return "; wanted one of " + ", ".join(str(member.value) for member in kind)
    return ""


def _named_providers(value: AccountPreferences) -> Iterator[tuple[str, str]]:
    for field in _PROVIDER_LISTS:
        for index, name in enumerate(getattr(value, field) or ()):
            yield f"{field}[{index}]", name


def _check_provider(path: str, name: str, providers: Mapping[ProviderSlug, ProviderInfo]) -> None:
    """A slug, a tag that begins with one ("google-vertex/europe"), or a display name, in any case."""
    wanted = name.lower()
    if wanted.partition("/")[0] in providers:
        return
    if any(wanted == info.name.lower() for info in providers.values()):
        return
    near = get_close_matches(wanted, list(providers), n=1, cutoff=0.0)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise PreferencesInvalid(f"{path}: there is no provider {_shown(name)!r}{hint}", path)


def _shown(name: str) -> str:
    return name if len(name) <= SEEN_CHARACTERS_MAX else f"{name[:SEEN_CHARACTERS_MAX]}..."
