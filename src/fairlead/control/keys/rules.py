"""What a key looks like and whether it opens. Pure."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from fairlead.control.keys.types import ApiKey, FoundKey, KeyNameInvalid
from fairlead.core.caller import NO_KEY_LIMITS, Caller, KeyLimits, KeyRefused
from fairlead.core.ids import KeyId
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES, AccountPreferences

__all__ = [
    "ID_ENTROPY_BYTES",
    "SECRET_ENTROPY_BYTES",
    "UNKNOWN",
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
ID_ENTROPY_BYTES: Final = 10
NAME_CHARACTERS_MAX: Final = 200

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
    """One line, not empty. Raises KeyNameInvalid."""
    line = " ".join(text.split())
    if not line:
        raise KeyNameInvalid("a key needs a name")
    if len(line) > NAME_CHARACTERS_MAX:
        raise KeyNameInvalid(f"a key's name has at most {NAME_CHARACTERS_MAX} characters")
    return line


def key_id(unix_ms: int, entropy: bytes) -> KeyId:
    """`key-` + milliseconds since 1970 (12 hex) + the entropy: sorts by time of creation."""
    assert len(entropy) == ID_ENTROPY_BYTES
    return KeyId(f"key-{unix_ms & 0xFFFFFFFFFFFF:012x}{entropy.hex()}")


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
    if key.revoked_ms is not None:
        return KeyRefused("This API key was revoked.")
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
    )


def _rate_limits(key: ApiKey) -> KeyLimits:
    if key.requests_per_minute is None and key.requests_per_day is None:
        return NO_KEY_LIMITS
    return KeyLimits(key.requests_per_minute, key.requests_per_day)
