"""What a key looks like and whether it opens. Pure."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import asdict

from fairlead.control.keys.types import ApiKey, FoundKey, KeyChange, KeyInvalid
from fairlead.core.caller import NO_KEY_LIMITS, Caller, KeyLimits, KeyRefused
from fairlead.core.ids import KeyId, timed_id
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.core.one_line import one_line
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES, AccountPreferences

__all__ = [
    "CHAT_LABEL",
    "SECRET_ENTROPY_BYTES",
    "UNKNOWN",
    "changed",
    "check_expiry",
    "check_limit",
    "check_rotation",
    "digest",
    "key_id",
    "label",
    "name",
    "secret",
    "verdict",
]

PREFIX: Final = "sk-fl-v1-"
PREFIX_MANAGEMENT: Final = "sk-fl-mgmt-v1-"
SECRET_ENTROPY_BYTES: Final = 32
NAME_CHARACTERS_MAX: Final = 200
# In place of a label: the key of somebody's browser has no secret, and no other key has this.
CHAT_LABEL: Final = "in the browser"
LIMIT_MAX: Final = NanoUSD(1_000_000_000 * NANO_PER_USD)

UNKNOWN: Final = KeyRefused("This API key is not known.")


def secret(entropy: bytes, *, is_management: bool) -> str:
    """What the caller is given: a prefix that says what it is, and 64 hexadecimal digits."""
    assert len(entropy) == SECRET_ENTROPY_BYTES
    return (PREFIX_MANAGEMENT if is_management else PREFIX) + entropy.hex()


def digest(secret: str) -> bytes:
    """What we keep. A plain hash is enough for 256 random bits: there is nothing to guess."""
    return sha256(secret.encode()).digest()


def label(secret: str) -> str:
    """Enough to recognise a key in a list, far too little to use it: "sk-fl-v1-0af...9b3"."""
    prefix = secret[: secret.rindex("-") + 1]
    return f"{prefix}{secret[len(prefix) : len(prefix) + 3]}...{secret[-3:]}"


def name(text: str) -> str:
    """One line of what can be seen, not empty. Raises KeyInvalid."""
    line = one_line(text)
    if not line:
        raise KeyInvalid("a key needs a name", "name")
    if len(line) > NAME_CHARACTERS_MAX:
        raise KeyInvalid(f"a key's name has at most {NAME_CHARACTERS_MAX} characters", "name")
    return line


def check_limit(limit: NanoUSD | None) -> None:
    """Raises KeyInvalid for more than anybody could mean."""
    if limit is not None and not 0 <= limit <= LIMIT_MAX:
        raise KeyInvalid(f"a limit is from 0 to {LIMIT_MAX // NANO_PER_USD:,} dollars", "limit")


def check_expiry(expires_ms: int | None, *, now_ms: int) -> None:
    """Raises KeyInvalid for what is over already."""
    if expires_ms is not None and expires_ms <= now_ms:
        raise KeyInvalid("the time at which a key expires is in the future", "expires_at")


def changed(key: ApiKey, change: KeyChange, *, now_ms: int) -> ApiKey:
    """Raises KeyInvalid, which names the field."""
    wanted: dict[str, Any] = {
        field: value for field, value in asdict(change).items() if value is not UNSET
    }
    if isinstance(text := wanted.get("name"), str):
        wanted["name"] = name(text)
    check_limit(wanted.get("limit"))
    if key.revoked_ms is not None and wanted.get("is_disabled") is False:
        raise KeyInvalid("this key was revoked, which is for good", "disabled")
    return replace(key, **wanted, updated_ms=now_ms)


def check_stricter(key: ApiKey, change: KeyChange) -> None:
    """Raises KeyInvalid for a change by which the key may do more: that is for admins, who may have set what
    it undoes. Written as it is already is no change."""
    if key.is_disabled and change.is_disabled is False:
        raise KeyInvalid("only an admin can enable a key", "disabled")
    if key.limit is None:
        return
    if change.limit is None or (change.limit is not UNSET and change.limit > key.limit):
        raise KeyInvalid("only an admin can raise or remove a limit", "limit")
    if change.limit_reset not in (UNSET, key.limit_reset):
        raise KeyInvalid("only an admin can change when a limit begins anew", "limit_reset")
    if key.includes_byok and change.includes_byok is False:
        raise KeyInvalid("only an admin can let a limit cover less", "include_byok_in_limit")


def check_rotation(key: ApiKey) -> None:
    """Raises KeyInvalid for a key that was revoked: nothing brings it back."""
    if key.revoked_ms is not None:
        raise KeyInvalid("this key was revoked, which is for good", "")


def key_id(unix_ms: int, entropy: bytes) -> KeyId:
    return KeyId(timed_id("key", unix_ms, entropy))


def verdict(
    found: FoundKey | None,
    *,
    now_ms: int,
    preferences: AccountPreferences = NO_ACCOUNT_WISHES,
) -> Caller | KeyRefused:
    """Whom the key stands for at that moment, or why for nobody. preferences: what holds for its account."""
    if found is None:
        return UNKNOWN
    key = found.key
    if key.deleted_ms is not None:
        return KeyRefused("This API key was deleted.")
    if key.revoked_ms is not None:
        return KeyRefused("This API key was revoked.")
    if found.is_account_deleted:
        return KeyRefused("The account of this API key was deleted.")
    if found.is_person_disabled:
        return KeyRefused("The person whose API key this is was disabled.")
    if key.is_disabled:
        return KeyRefused("This API key is disabled.")
    if key.expires_ms is not None and key.expires_ms <= now_ms:
        return KeyRefused("This API key has expired.")
    return Caller(
        account=key.account,
        key=key.id,
        is_management=key.is_management,
        is_prepaid=found.is_prepaid,
        rate_limits=_rate_limits(key),
        preferences=preferences,
        workspace=key.workspace,
        user=key.creator,
        credits_purchased=found.credits_purchased,
        budgets=found.budgets,
        is_in_debt=found.is_in_debt,
    )


def _rate_limits(key: ApiKey) -> KeyLimits:
    if key.requests_per_minute is None and key.requests_per_day is None:
        return NO_KEY_LIMITS
    return KeyLimits(key.requests_per_minute, key.requests_per_day)
