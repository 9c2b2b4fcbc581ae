"""What a credential may be. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Final

import msgspec
from msgspec import UNSET

from fairlead.control.credentials.types import (
    Changes,
    CredentialId,
    CredentialInvalid,
    ProviderCredential,
)
from fairlead.core.catalog import ProviderInfo
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.core.own_keys import OwnKeyInvalid, masked_label, read_own_key

__all__ = [
    "CREDENTIALS_MAX",
    "FILTER_ENTRIES_MAX",
    "changed",
    "checked_changes",
    "label_of",
    "place_of",
    "provider_of",
]

CREDENTIALS_MAX: Final = 500  # of one account; each gateway holds those in use in memory
FILTER_ENTRIES_MAX: Final = 100
ENTRY_CHARACTERS_MAX: Final = 200
NAME_CHARACTERS_MAX: Final = 255
SORT_ORDER_MAX: Final = 1_000_000
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SEEN_CHARACTERS_MAX: Final = 40  # of a wrong provider, in a message
_WITHOUT_KEYS: Final = ("local", "sandbox")  # kinds of providers


def place_of(credential: CredentialId) -> str:
    """Where its key is sealed."""
    return f"provider_credentials/{credential}/key"


def provider_of(slug: str, providers: Mapping[ProviderSlug, ProviderInfo]) -> ProviderInfo:
    """Raises CredentialInvalid for one that there is not, or that needs no key."""
    info = providers.get(ProviderSlug(slug))
    if info is not None and info.kind not in _WITHOUT_KEYS:
        return info
    if info is not None:
        raise CredentialInvalid(f"{info.name} needs no key", param="provider")
    shown = slug if len(slug) <= _SEEN_CHARACTERS_MAX else f"{slug[:_SEEN_CHARACTERS_MAX]}..."
    near = get_close_matches(slug[:_SEEN_CHARACTERS_MAX], list(providers), n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise CredentialInvalid(f"there is no provider {shown!r} here{hint}", param="provider")


def label_of(info: ProviderInfo, key: str) -> str:
    """The label of a key that is one for this provider. Raises CredentialInvalid."""
    try:
        read_own_key(info, key)
    except OwnKeyInvalid as error:
        raise CredentialInvalid(str(error), param="key") from None
    return masked_label(key)


def checked_changes(changes: Changes, *, model_named: Callable[[str], ModelId | None]) -> Changes:
    """The same, tidied. model_named: the model that a name means, None for one that nobody knows.

    What only the database knows (whose keys and users they are) is not checked here. Raises CredentialInvalid.
    """
    if isinstance(changes.name, str) and len(changes.name) > NAME_CHARACTERS_MAX:
        raise CredentialInvalid(f"at most {NAME_CHARACTERS_MAX} characters", param="name")
    if isinstance(changes.sort_order, int) and not 0 <= changes.sort_order <= SORT_ORDER_MAX:
        raise CredentialInvalid(f"from 0 to {SORT_ORDER_MAX}", param="sort_order")
    for param, entries in (
        ("allowed_models", changes.allowed_models),
        ("allowed_api_key_hashes", changes.allowed_key_hashes),
        ("allowed_user_ids", changes.allowed_users),
    ):
        if isinstance(entries, tuple):
            _check_entries(entries, param)
    hashes = changes.allowed_key_hashes
    if isinstance(hashes, tuple):
        for number, one in enumerate(hashes):
            if not _HASH.fullmatch(one):
                raise CredentialInvalid(
                    "64 lower-case hexadecimal digits, the `hash` of a key",
                    param=f"allowed_api_key_hashes[{number}]",
                )
    models = changes.allowed_models
    if not isinstance(models, tuple):
        return changes
    # A model that nobody knows may be in tomorrow's catalogue.
    known = tuple(dict.fromkeys(model_named(one.lower()) or one.lower() for one in models))
    return msgspec.structs.replace(changes, allowed_models=known)


def _check_entries(entries: tuple[str, ...], param: str) -> None:
    if not entries:
        raise CredentialInvalid("at least one entry; null allows all", param=param)
    if len(entries) > FILTER_ENTRIES_MAX:
        raise CredentialInvalid(f"at most {FILTER_ENTRIES_MAX} entries", param=param)
    for number, one in enumerate(entries):
        if not 0 < len(one) <= ENTRY_CHARACTERS_MAX:
            raise CredentialInvalid(
                f"1 to {ENTRY_CHARACTERS_MAX} characters", param=f"{param}[{number}]"
            )


def changed(
    before: ProviderCredential, changes: Changes, *, label: str | None, now_ms: int
) -> ProviderCredential:
    """label: of a new key; None: the key stays. Raises CredentialInvalid for what cannot be together.

    updated_ms is another one after every change: gateways know by it whether to look again.
    """
    fields = {
        name: value
        for name in changes.__struct_fields__
        if name != "key" and (value := getattr(changes, name)) is not UNSET
    }
    after = replace(
        before,
        **fields,
        label=before.label if label is None else label,
        updated_ms=max(now_ms, before.updated_ms + 1),
    )
    if after.is_fallback and after.is_exclusive:
        raise CredentialInvalid(
            "a fallback credential cannot be `is_byok_only`: there is nothing that it would follow",
            param="is_fallback",
        )
    return after
