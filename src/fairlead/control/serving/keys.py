"""The data plane's directory of keys: who is behind a digest, nearly always without waiting.

Every key in use is in memory (see lookups.py), and a refresher asks the database about all of them at once
every second, so a key that another process revoked, disabled or created is known as such within two seconds.
When the database is away, keys that it confirmed are honoured for a while; a key that we do not know gets
Overloaded, never a refusal: only the database can say that a key is wrong.

A key comes with what its account and its workspace have set: how it pays, what they wish of routing. Changes of
those are known in the same two seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.control.accounts.types import PreferencesInvalid
from fairlead.control.keys import rules
from fairlead.control.keys.service import Keys
from fairlead.control.keys.types import FoundKey
from fairlead.control.serving.lookups import Absent, LookUps, Terms
from fairlead.control.serving.preferences import KnownPreferences
from fairlead.core.caller import Caller, KeyRefused
from fairlead.core.errors import Overloaded
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES, AccountPreferences
from fairlead.store.database import Database

__all__ = ["CachedKeyDirectory"]

LOOK_UP_TERMS: Final = Terms(
    things="API keys",
    unknown="API keys cannot be checked at the moment.",
    known_entries_max=10_000,  # about 3 MB
)
REFUSED_MAX_S: Final = 1.0  # against floods only: short, because a key may be created any moment
REFRESH_EVERY_S: Final = 0.8  # and answer_max_s, together: less than fresh_max_s


@dataclass(frozen=True, slots=True)
class _Key:
    """A usable one. expires_ms: Unix time; None: never."""

    caller: Caller
    expires_ms: int | None


# None: there is such a key, but what its account has set cannot be read by this version.
_Refusal = KeyRefused | None
_Answer = _Key | Absent[_Refusal]


class CachedKeyDirectory:
    """Implements gateway.ports.KeyDirectory. Belongs to one event loop.

    directory = CachedKeyDirectory(keys, database, now_ms=clock.now_ms, monotonic_s=time.monotonic)
    tasks.start(directory.run())  # the refresher, for as long as the gateway serves
    answer = directory.peek(digest) or await directory.find(digest)

    now_ms: wall-clock time. monotonic_s: a clock that never jumps.
    installation: what holds for accounts that have set nothing else.
    """

    def __init__(
        self,
        keys: Keys,
        database: Database,
        *,
        now_ms: Callable[[], int],
        monotonic_s: Callable[[], float],
        terms: Terms = LOOK_UP_TERMS,
        installation: AccountPreferences = NO_ACCOUNT_WISHES,
    ) -> None:
        self._keys = keys
        self._database = database
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s
        self._preferences = KnownPreferences(installation)
        self._look_ups: LookUps[bytes, _Key, _Refusal] = LookUps(
            self._load, terms=terms, monotonic_s=monotonic_s
        )
        self._known = self._look_ups.known

    @property
    def is_away(self) -> bool:
        """The database does not answer: known keys are honoured, and no other."""
        return self._look_ups.is_away

    def peek(self, digest: bytes) -> Caller | KeyRefused | None:
        """What is known without waiting; None: ask `find`."""
        try:
            known = self._known[digest]  # for every call: hence no call of look_ups.peek
        except KeyError:
            found = self._look_ups.peek(digest)
            return found.why if isinstance(found, Absent) else None
        now_s = self._monotonic_s()
        if now_s - known.checked_s >= self._look_ups.age_max_s:
            return None
        known.used_s = now_s
        return known.value.caller

    async def find(self, digest: bytes) -> Caller | KeyRefused:
        """Asks the database, once for all who ask at the same time.

        Raises Overloaded if it is away and the key is not known, if what its account has set cannot be read, or
        if too many keys are being looked up.
        """
        found = await self._look_ups.find(digest)
        if isinstance(found, _Key):
            return found.caller
        if found.why is None:
            raise Overloaded("The account's preferences cannot be read by this gateway's version.")
        return found.why

    async def run(self) -> None:
        """Confirms every key in use, for ever. Cancel it to stop."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_EVERY_S)

    async def refresh(self) -> None:
        """Confirm every key in use, once; forget those that nobody uses."""
        if self.is_away:
            self._forget_expired()
        await self._look_ups.confirm(self._load_all)
        self._preferences.keep_only([known.value.caller for known in self._known.values()])

    def _forget_expired(self) -> None:
        """That a key's time is over needs no database to say so."""
        now_ms = self._now_ms()
        for digest, known in list(self._known.items()):
            expires_ms = known.value.expires_ms
            if expires_ms is not None and now_ms >= expires_ms:
                self._look_ups.forget(digest)

    async def _load(self, digest: bytes, _known: _Key | None, timeout_s: float) -> _Answer:
        found = await self._database.run(self._keys.by_digests, [digest], timeout_s=timeout_s)
        return self._answer(found.get(digest))

    async def _load_all(self, digests: Sequence[bytes]) -> dict[bytes, _Answer]:
        found = await self._database.run(self._keys.by_digests, digests)
        return {digest: self._answer(found.get(digest)) for digest in digests}

    def _answer(self, found: FoundKey | None) -> _Answer:
        if found is None:
            return Absent(rules.UNKNOWN, REFUSED_MAX_S)
        try:
            preferences = self._preferences.of(found)
        except PreferencesInvalid:
            return Absent(None)
        verdict = rules.verdict(found, now_ms=self._now_ms(), preferences=preferences)
        if isinstance(verdict, KeyRefused):
            return Absent(verdict, REFUSED_MAX_S)
        return _Key(verdict, found.key.expires_ms)
