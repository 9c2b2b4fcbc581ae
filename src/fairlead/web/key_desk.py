"""API keys as the web edge asks for them: who calls, and how often they may."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from fairlead.control.serving.keys import CachedKeyDirectory
from fairlead.control.serving.limits import RateLimits
from fairlead.core.caller import Caller as KnownCaller
from fairlead.core.errors import NotAuthenticated
from fairlead.core.limits import KeyPace
from fairlead.web.services import Caller

__all__ = ["KeyDesk"]

KEY_CHARACTERS_MAX: Final = 512  # ours have 80; other words are not worth hashing
_ANY_PACE: Final = KeyPace(None, None, None, 0)


class KeyDesk:
    """`web.services.Keys` over the key directory. rate_limits: None: the keys' pace is not shown."""

    def __init__(
        self,
        directory: CachedKeyDirectory,
        *,
        now_s: Callable[[], float],
        rate_limits: RateLimits | None = None,
    ) -> None:
        self._directory = directory
        self._now_s = now_s
        self._rate_limits = rate_limits

    async def authenticate(self, authorization: str | None) -> Caller:
        scheme, _, secret = (authorization or "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise NotAuthenticated(
                "No API key was sent. Put it in the header `Authorization: Bearer <key>`."
            )
        if len(secret) > KEY_CHARACTERS_MAX:
            raise NotAuthenticated("This is no API key.")
        digest = sha256(secret.encode("utf-8", "surrogateescape")).digest()
        found = self._directory.peek(digest) or await self._directory.find(digest)
        if not isinstance(found, KnownCaller):
            raise NotAuthenticated(found.reason)
        return found

    async def pace(self, caller: Caller) -> KeyPace:
        if self._rate_limits is None or not isinstance(caller, KnownCaller):
            return _ANY_PACE
        return await self._rate_limits.pace(caller, now_s=self._now_s())
