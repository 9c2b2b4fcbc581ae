"""Whom a caller acts for, as providers are told.

`user` names a person in the caller's own words, an address of mail as often as not, and is never passed on.
Where a provider takes a name for an end user, to find abuse without shutting out everybody behind us, it is
told a digest: the same for the same user of an account, another for any other account. The account's id has
80 random bits that no provider knows, so a digest cannot be found by trying likely names. Without `user`
nothing is told: then a provider sees one customer, whose key it is.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, TypeVar

import msgspec

from fairlead.core.chat import ChatRequest
from fairlead.core.ids import AccountId

__all__ = ["end_user", "with_end_user"]

_DIGEST_BYTES: Final = 16
_KEY_BYTES_MAX: Final = 64  # of the digest, by its definition

_Request = TypeVar("_Request", bound=ChatRequest)


def end_user(account: AccountId, user: str) -> str:
    """32 hexadecimal digits; every provider takes that many."""
    key = account.encode()[:_KEY_BYTES_MAX]
    return blake2b(
        user.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES, key=key
    ).hexdigest()


def with_end_user(request: _Request, account: AccountId) -> _Request:
    """The request as providers may be asked: with the digest of its user, if it has one."""
    user = request.body.user
    if not user:
        return request
    return msgspec.structs.replace(request, end_user=end_user(account, user))
