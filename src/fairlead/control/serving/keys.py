"""The data plane's directory of keys: who is behind a digest, nearly always without waiting.

Every key in use is in memory, and a refresher asks the database about all of them at once every second, so
`peek` answers at any rate and a key that another process revoked, disabled or created is known as such
within two seconds. Nothing depends on the refresher for correctness: an answer that it has not renewed in
time is not given out by `peek`, and `find` then asks the database itself.

When the database is away, keys that it confirmed are honoured for `known_max_s` after that; a key that we
do not know gets Overloaded, never a refusal: only the database can say that a key is wrong. A database that
has said nothing for a second counts as away before any known key waits for it; should it answer after all,
the answer counts.

A key comes with what its account and its workspace have set: how it pays, what they wish of routing. Changes of
those are known in the same two seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from fairlead.control.accounts.types import PreferencesInvalid
from fairlead.control.keys import rules
from fairlead.control.keys.service import Keys
from fairlead.control.keys.types import FoundKey
from fairlead.control.serving.preferences import KnownPreferences
from fairlead.core.caller import Caller, KeyRefused
from fairlead.core.errors import Overloaded
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES, AccountPreferences
from fairlead.store.database import Database, DatabaseUnreadable

__all__ = ["CachedKeyDirectory"]

REFRESH_EVERY_S: Final = 0.8
FRESH_MAX_S: Final = 2.0  # an answer this old is confirmed before it is given
KNOWN_MAX_S: Final = 600.0
IDLE_MAX_S: Final = 60.0  # a key that nobody used for so long is looked up again when it comes back
KNOWN_ENTRIES_MAX: Final = 10_000  # about 3 MB
REFUSED_ENTRIES_MAX: Final = 10_000
# Together with REFRESH_EVERY_S less than FRESH_MAX_S: so callers with a known key never notice a slow database.
ANSWER_MAX_S: Final = 1.0
FIND_MAX_S: Final = 5.0  # for a key that only the database knows, its caller waits so long
REFUSED_MAX_S: Final = 1.0  # against floods only: short, because a key may be created any moment
LOOK_UPS_MAX: Final = 256  # digests being asked for at the same time

_LOG: Final = logging.getLogger(__name__)


class _Known:
    """A digest that belongs to a usable key. Changed in place: `peek` must be cheap."""

    __slots__ = ("caller", "checked_s", "expires_ms", "used_s")

    def __init__(self, caller: Caller, expires_ms: int | None, now_s: float) -> None:
        self.caller = caller
        self.expires_ms = expires_ms
        self.checked_s = now_s
        self.used_s = now_s


class _LookUp:
    """One question to the database, and all who wait for its answer."""

    __slots__ = ("answer", "done")

    def __init__(self) -> None:
        self.done = asyncio.Event()
        # Stays None if the one who asked was cancelled: then another asks.
        self.answer: Caller | KeyRefused | Overloaded | None = None


class CachedKeyDirectory:
    """Implements gateway.ports.KeyDirectory. Belongs to one event loop.

    directory = CachedKeyDirectory(keys, database, now_ms=clock.now_ms, monotonic_s=time.monotonic)
    tasks.start(directory.run())  # the refresher, for as long as the gateway serves
    answer = directory.peek(digest) or await directory.find(digest)

    now_ms: wall-clock time. monotonic_s: a clock that never jumps.
    known_max_s: how long a key is honoured that the database, being away, cannot confirm.
    installation: what holds for accounts that have set nothing else.
    """

    def __init__(
        self,
        keys: Keys,
        database: Database,
        *,
        now_ms: Callable[[], int],
        monotonic_s: Callable[[], float],
        known_max_s: float = KNOWN_MAX_S,
        known_entries_max: int = KNOWN_ENTRIES_MAX,
        installation: AccountPreferences = NO_ACCOUNT_WISHES,
    ) -> None:
        self._keys = keys
        self._database = database
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s
        self._known_max_s = known_max_s
        self._known_entries_max = known_entries_max
        self._known: dict[bytes, _Known] = {}
        self._preferences = KnownPreferences(installation)
        self._refused: dict[bytes, tuple[KeyRefused, float]] = {}  # until when
        self._look_ups: dict[bytes, _LookUp] = {}
        # How old an answer of `peek` may be: known_max_s while the database is away, so that callers do
        # not each wait to learn that.
        self._age_max_s = FRESH_MAX_S

    @property
    def is_away(self) -> bool:
        """The database does not answer: known keys are honoured, and no other."""
        return self._age_max_s != FRESH_MAX_S

    def peek(self, digest: bytes) -> Caller | KeyRefused | None:
        """What is known without waiting; None: ask `find`."""
        now_s = self._monotonic_s()
        known = self._known.get(digest)
        if known is not None:
            if now_s - known.checked_s > self._age_max_s:
                return None
            known.used_s = now_s
            return known.caller
        refused = self._refused.get(digest)
        if refused is not None and now_s < refused[1]:
            return refused[0]
        return None

    async def find(self, digest: bytes) -> Caller | KeyRefused:
        """Asks the database, once for all who ask at the same time.

        Raises Overloaded if it is away and the key is not known, or if too many keys are being looked up.
        """
        while True:
            found = self.peek(digest)
            if found is not None:
                return found
            look_up = self._look_ups.get(digest)
            if look_up is None:
                return await self._look_up(digest)
            await look_up.done.wait()
            match look_up.answer:
                case None:
                    continue
                case Overloaded() as overloaded:
                    raise Overloaded(overloaded.message)
                case answer:
                    return answer

    async def run(self) -> None:
        """Confirms every key in use, for ever. Cancel it to stop."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_EVERY_S)

    async def refresh(self) -> None:
        """Confirm every key in use, once; forget those that nobody uses."""
        now_s = self._monotonic_s()
        now_ms = self._now_ms()
        is_away = self.is_away
        self._known = {
            digest: known
            for digest, known in self._known.items()
            if now_s - known.checked_s <= self._known_max_s
            # While the database is away a key that comes back could not be looked up again. But that a key's
            # time is over needs nobody to say so.
            and (
                known.expires_ms is None or now_ms < known.expires_ms
                if is_away
                else now_s - known.used_s <= IDLE_MAX_S
            )
        }
        self._refused = {
            digest: entry for digest, entry in self._refused.items() if now_s < entry[1]
        }
        digests = list(self._known)
        if not digests and not is_away:
            return
        overdue = asyncio.get_running_loop().call_later(
            ANSWER_MAX_S, self._database_is_away, f"no answer within {ANSWER_MAX_S:g} s"
        )
        try:
            found = await self._database.run(self._keys.by_digests, digests)
        except DatabaseUnreadable as error:
            self._database_is_away(error)
            return
        finally:
            overdue.cancel()
        self._database_is_back()
        for digest in digests:
            self._learn(digest, found.get(digest), asked_s=now_s)
        self._preferences.keep_only([known.caller for known in self._known.values()])

    async def _look_up(self, digest: bytes) -> Caller | KeyRefused:
        if len(self._look_ups) >= LOOK_UPS_MAX:
            raise Overloaded("Too many API keys are being looked up at the moment.")
        look_up = self._look_ups[digest] = _LookUp()
        try:
            look_up.answer = await self._ask(digest)
        except Overloaded as overloaded:
            look_up.answer = overloaded
            raise
        finally:
            del self._look_ups[digest]
            look_up.done.set()
        return look_up.answer

    async def _ask(self, digest: bytes) -> Caller | KeyRefused:
        asked_s = self._monotonic_s()
        patience_s = ANSWER_MAX_S if self.is_away or digest in self._known else FIND_MAX_S
        try:
            found = await self._database.run(self._keys.by_digests, [digest], timeout_s=patience_s)
        except DatabaseUnreadable as error:
            self._database_is_away(error)
            known = self.peek(digest)
            if known is None:
                raise Overloaded("API keys cannot be checked at the moment.") from error
            return known
        self._database_is_back()
        answer = self._learn(digest, found.get(digest), asked_s=asked_s)
        if isinstance(answer, Overloaded):
            raise answer
        return answer

    def _answer(self, found: FoundKey | None) -> Caller | KeyRefused | Overloaded:
        now_ms = self._now_ms()
        if found is None:
            return rules.verdict(None, now_ms=now_ms)
        try:
            preferences = self._preferences.of(found)
        except PreferencesInvalid:
            return Overloaded("The account's preferences cannot be read by this gateway's version.")
        return rules.verdict(found, now_ms=now_ms, preferences=preferences)

    def _learn(
        self, digest: bytes, found: FoundKey | None, *, asked_s: float
    ) -> Caller | KeyRefused | Overloaded:
        """What that means. asked_s: when the question left; the answer cannot be newer than that."""
        answer = self._answer(found)
        if isinstance(answer, Overloaded):
            self._known.pop(digest, None)
            return answer
        if isinstance(answer, KeyRefused):
            self._known.pop(digest, None)
            if len(self._refused) >= REFUSED_ENTRIES_MAX:
                del self._refused[next(iter(self._refused))]
            self._refused[digest] = (answer, asked_s + REFUSED_MAX_S)
            return answer
        assert found is not None, "nobody else may call"
        expires_ms = found.key.expires_ms
        self._refused.pop(digest, None)
        known = self._known.get(digest)
        if known is not None:
            if asked_s >= known.checked_s:  # of two questions on their way, the later one counts
                known.caller = answer
                known.expires_ms = expires_ms
                known.checked_s = asked_s
            return answer
        if len(self._known) >= self._known_entries_max:
            del self._known[next(iter(self._known))]  # the oldest; it comes back if it is in use
        self._known[digest] = _Known(answer, expires_ms, asked_s)
        return answer

    def _database_is_away(self, why: DatabaseUnreadable | str) -> None:
        if self._age_max_s != self._known_max_s:
            self._age_max_s = self._known_max_s
            _LOG.error("keys cannot be checked, known ones are honoured for now: %s", why)

    def _database_is_back(self) -> None:
        if self.is_away:
            self._age_max_s = FRESH_MAX_S
            _LOG.warning("keys can be checked again")
