"""Envelope encryption: what is kept so that the database alone does not give it away. Pure.

    master key ──wraps──> data key of an account ──derives──> a key for each value ──seals──> the value

The master key is never in the database (see `store.master_key`). Each account has a data key of its own, kept
wrapped (see `store.secrets`): when it is destroyed, nothing that was sealed for the account can be read again,
wherever copies of it are. (A backup of the whole database still has the wrapped key: it ends with the backup.)
A new master key means that data keys are wrapped again; values stay as they are.

AES-256-GCM throughout. What is sealed is bound to its place, as "provider_credentials/<id>/key": the place is
both what the value's key is derived from (HKDF, RFC 5869) and its associated data. So bytes that were
changed, or moved to another row, do not open. And since every place has its own key, random nonces of 96 bits
cannot come near their bound, however much an account has sealed.

    sealed value    0x01 | nonce (12) | ciphertext and tag
    wrapped key     0x01 | nonce (12) | ciphertext and tag, bound to the account
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from binascii import Error as Base64Invalid
from collections.abc import Callable
from hashlib import sha256
from typing import Final

__all__ = [
    "KEY_BYTES",
    "MASTER_KEYS_MAX",
    "DataKey",
    "MasterKeyInvalid",
    "MasterKeyUnknown",
    "MasterKeys",
    "Unsealable",
    "read_master_keys",
]

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
MASTER_KEYS_MAX: Final = 16  # the current one, and those that something may still be wrapped with
_VERSION: Final = b"\x01"
_TAG_BYTES: Final = 16
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_ID_CONTEXT: Final = b"fairlead master key id\0"

Entropy = Callable[[int], bytes]


class MasterKeyInvalid(ValueError):
    """The text is no master key. The message shows nothing of it."""


class MasterKeyUnknown(Exception):
    """Something is wrapped with a master key that is not here. The message names both by their ids."""


class Unsealable(Exception):
    """The bytes were changed, moved to another place, or sealed with a data key that was destroyed."""


def read_master_keys(text: str) -> tuple[bytes, ...]:
    """Keys of 32 bytes, in hexadecimal or base64, apart by white space or commas; the first is the current one.

    Raises MasterKeyInvalid.
    """
    words = text.replace(",", " ").split()
    if not words:
        raise MasterKeyInvalid("there is no key in it")
    if len(words) > MASTER_KEYS_MAX:
        raise MasterKeyInvalid(f"there are more than {MASTER_KEYS_MAX} keys in it")
    return tuple(dict.fromkeys(_key(word, number) for number, word in enumerate(words, start=1)))


def _key(word: str, number: int) -> bytes:
    if _HEX.fullmatch(word):
        return bytes.fromhex(word)
    try:
        key = urlsafe_b64decode(word.replace("+", "-").replace("/", "_") + "=" * (-len(word) % 4))
    except (Base64Invalid, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise MasterKeyInvalid(
            f"key {number} is not {KEY_BYTES} bytes in hexadecimal (64 digits) or base64"
        )
    return key


class MasterKeys:
    """The master keys of this process. The first wraps; all unwrap.

    current_id: names the first. An id tells keys apart and nothing about them: they are random.
    """

    __slots__ = ("_keys", "current_id")

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        assert keys
        self._keys = {_id(key): key for key in keys}
        self.current_id = _id(keys[0])

    def knows(self, master_key_id: str) -> bool:
        return master_key_id in self._keys

    def wrap(self, data_key: bytes, account: str, entropy: Entropy) -> bytes:
        """With the current key."""
        return _encrypt(self._keys[self.current_id], data_key, _wrapped_for(account), entropy)

    def unwrap(self, wrapped: bytes, account: str, master_key_id: str) -> DataKey:
        """Raises MasterKeyUnknown; Unsealable for bytes that were changed or are another account's."""
        return DataKey(self.unwrapped(wrapped, account, master_key_id))

    def unwrapped(self, wrapped: bytes, account: str, master_key_id: str) -> bytes:
        """The data key itself, to be wrapped again; as `unwrap`."""
        key = self._keys.get(master_key_id)
        if key is None:
            raise MasterKeyUnknown(
                f"sealed with master key {master_key_id}, and this process has {self.current_id}"
            )
        return _decrypt(key, wrapped, _wrapped_for(account))

    def __repr__(self) -> str:
        return f"MasterKeys({self.current_id})"


class DataKey:
    """Seals and unseals what belongs to one account. place: where the value is kept, of everything the only
    one."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES
        self._key = key

    def seal(self, value: bytes, place: str, entropy: Entropy) -> bytes:
        return _encrypt(self._key_of(place), value, place.encode(), entropy)

    def unseal(self, sealed: bytes, place: str) -> bytes:
        """Raises Unsealable."""
        return _decrypt(self._key_of(place), sealed, place.encode())

    def _key_of(self, place: str) -> bytes:
        # Here, because few commands seal anything, and all would pay for it when they start.
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

        return HKDFExpand(SHA256(), KEY_BYTES, place.encode()).derive(self._key)

    def __repr__(self) -> str:
        return "DataKey(***)"


def _encrypt(key: bytes, value: bytes, bound_to: bytes, entropy: Entropy) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = entropy(NONCE_BYTES)
    assert len(nonce) == NONCE_BYTES
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, value, bound_to)


def _decrypt(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if sealed[:1] != _VERSION or len(sealed) < 1 + NONCE_BYTES + _TAG_BYTES:
        raise Unsealable("these are no sealed bytes of this version")
    nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, rest, bound_to)
    except InvalidTag:
        raise Unsealable("the sealed bytes do not open here") from None


def _wrapped_for(account: str) -> bytes:
    return b"data_keys/" + account.encode()


def _id(key: bytes) -> str:
    """Of 256 random bits: nothing can be guessed from it."""
    return sha256(_ID_CONTEXT + key).hexdigest()[:16]
