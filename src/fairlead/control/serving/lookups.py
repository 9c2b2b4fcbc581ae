"""What the database says of many things, nearly always without waiting for it.

What it has said is remembered. While that is fresh, `peek` gives it without an await; `find` asks the database
otherwise, once for all who want to know the same at the same time. Where `confirm` is called regularly, it asks
about all that is in use at once, and nobody waits for what is known. Nothing depends on that for correctness:
what was not confirmed in time is not given out, and the next one who wants it asks.

When the database is away, what it said holds for `known_max_s` after that; of a thing that is not known nobody
can say that there is none, so who asks for it gets Overloaded. A database that has said nothing for
`answer_max_s` counts as away before anybody waits longer for what is known; should it answer after all, the
answer counts.

An answer is as old as its question. Of two on their way the one that was asked for later counts. One that was
overtaken, by `forget` or by word that there is nothing, is given to nobody: those who waited look again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from fairlead.core.errors import Overloaded
from fairlead.store.database import DatabaseUnreadable

__all__ = ["Absent", "Known", "LookUps", "Terms"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Why = TypeVar("Why")
Entry = TypeVar("Entry")

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long what is remembered, how long is waited, and how much of it there may be.

    things: in the plural, for messages as "Too many presets are being looked up at the moment.".
    unknown: what a caller is told when the database is away and there is nothing to go by.

    fresh_max_s: an answer this old is confirmed before it is given.
    known_max_s: how long a value holds that the database, being away, cannot confirm.
    idle_max_s: a value that nobody used for so long is not confirmed any more, but forgotten.
    answer_max_s: for what is known, and while the database is away, nobody waits longer than this.
    find_max_s: for what only the database knows.
    retry_after_s: a database that is away is asked again after so long, by whoever comes then. For things that
        nobody confirms: where somebody does, he learns when it is back.
    look_ups_max: things being asked about one by one, at the same time.
    """

    things: str
    unknown: str
    fresh_max_s: float = 2.0
    known_max_s: float = 600.0
    idle_max_s: float = 60.0
    answer_max_s: float = 1.0
    find_max_s: float = 5.0
    retry_after_s: float = math.inf
    known_entries_max: int = 10_000
    absent_entries_max: int = 10_000
    look_ups_max: int = 256


@dataclass(frozen=True, slots=True)
class Absent(Generic[Why]):
    """The database positively says that there is nothing of use, and why.

    believed_s: for how long. Short, because it may be made any moment.
    """

    why: Why
    believed_s: float = 0.0


class Known(Generic[Value]):
    """A value, and when the database was last asked for it. Changed in place: `peek` must be cheap."""

    __slots__ = ("checked_s", "used_s", "value")

    def __init__(self, value: Value, now_s: float) -> None:
        self.value = value
        self.checked_s = now_s
        self.used_s = now_s


class _LookUp(Generic[Value, Why]):
    """One question to the database, and all who wait for its answer."""

    __slots__ = ("answer", "done", "is_overtaken")

    def __init__(self) -> None:
        self.done = asyncio.Event()
        # Stays None if the one who asked was cancelled, or the answer was overtaken: those who wait look again.
        self.answer: Value | Absent[Why] | Overloaded | None = None
        self.is_overtaken = False


class LookUps(Generic[Key, Value, Why]):
    """What is known of things by their keys. Belongs to one event loop.

    look_ups = LookUps(load, terms=terms, monotonic_s=time.monotonic)
    found = look_ups.peek(key)
    if found is None:
        found = await look_ups.find(key)

    load: asks the database about one thing, for at most that many seconds; the value is what is known of it.
        Raises DatabaseUnreadable.
    monotonic_s: a clock that never jumps.

    known: always the same dictionary, and age_max_s the age from which on a value in it is not given out. Where
        things are confirmed regularly, an owner on a hot path may do by himself what `peek` does.
    """

    def __init__(
        self,
        load: Callable[[Key, Value | None, float], Awaitable[Value | Absent[Why]]],
        *,
        terms: Terms,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._load = load
        self._terms = terms
        self._monotonic_s = monotonic_s
        self.known: Final[dict[Key, Known[Value]]] = {}
        self._absent: dict[Key, tuple[Absent[Why], float]] = {}  # until when
        self._look_ups: dict[Key, _LookUp[Value, Why]] = {}
        self.is_away = False
        self.age_max_s = terms.fresh_max_s  # known_max_s while the database is away
        self._ask_again_s = math.inf

    def peek(self, key: Key) -> Value | Absent[Why] | None:
        """What is known without waiting; None: ask `find`."""
        now_s = self._monotonic_s()
        if now_s >= self._ask_again_s:
            self._ask_again_s = math.inf
            self.age_max_s = self._terms.fresh_max_s
        known = self.known.get(key)
        if known is not None:
            if now_s - known.checked_s >= self.age_max_s:
                return None
            known.used_s = now_s
            return known.value
        absent = self._absent.get(key)
        if absent is not None and now_s < absent[1]:
            return absent[0]
        return None

    async def find(self, key: Key) -> Value | Absent[Why]:
        """Asks the database if need be, once for all who ask at the same time.

        Raises Overloaded if the database is away and there is nothing to go by, or if too many things are being
        looked up.
        """
        while (found := self.peek(key)) is None:
            look_up = self._look_ups.get(key)
            if look_up is None:
                look_up = await self._look_up(key)
            else:
                await look_up.done.wait()
            if isinstance(look_up.answer, Overloaded):
                raise Overloaded(look_up.answer.message) from look_up.answer
            if look_up.answer is not None:
                return look_up.answer
        return found

    def forget(self, key: Key) -> None:
        """What is known of it holds no longer, and neither does the answer that somebody is waiting for."""
        self.known.pop(key, None)
        self._absent.pop(key, None)
        look_up = self._look_ups.get(key)
        if look_up is not None:
            look_up.is_overtaken = True

    async def confirm(
        self,
        load_all: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value | Absent[Why]]]],
    ) -> None:
        """Ask about all that is in use, once, and forget the rest.

        load_all: asks about many things at once. Raises DatabaseUnreadable.
        """
        now_s = self._monotonic_s()
        self._forget_old(now_s)
        asked = dict(self.known)
        if not asked and not self.is_away:
            return
        patience_s = self._terms.answer_max_s
        overdue = asyncio.get_running_loop().call_later(
            patience_s, self._database_is_away, f"no answer within {patience_s:g} s"
        )
        try:
            answers = await load_all(list(asked))
        except DatabaseUnreadable as error:
            self._database_is_away(error)
            return
        finally:
            overdue.cancel()
        self._database_is_back()
        for key, known in asked.items():
            if self.known.get(key) is known:  # nobody has forgotten it since
                self._learn(key, answers[key], asked_s=now_s)

    async def _look_up(self, key: Key) -> _LookUp[Value, Why]:
        """The question, with its answer."""
        if len(self._look_ups) >= self._terms.look_ups_max:
            raise Overloaded(f"Too many {self._terms.things} are being looked up at the moment.")
        look_up: _LookUp[Value, Why] = _LookUp()
        self._look_ups[key] = look_up
        try:
            look_up.answer = await self._ask(key, look_up)
        except Overloaded as overloaded:
            look_up.answer = overloaded
            raise
        finally:
            del self._look_ups[key]
            look_up.done.set()
        return look_up

    async def _ask(self, key: Key, look_up: _LookUp[Value, Why]) -> Value | Absent[Why] | None:
        """None: the answer was overtaken."""
        terms = self._terms
        asked_s = self._monotonic_s()
        known = self.known.get(key)
        patience_s = terms.find_max_s if known is None and not self.is_away else terms.answer_max_s
        try:
            answer = await self._load(key, None if known is None else known.value, patience_s)
        except DatabaseUnreadable as error:
            self._database_is_away(error)
            found = self.peek(key)
            if found is None:
                raise Overloaded(terms.unknown) from error
            return found
        self._database_is_back()
        return None if look_up.is_overtaken else self._learn(key, answer, asked_s=asked_s)

    def _learn(
        self, key: Key, answer: Value | Absent[Why], *, asked_s: float
    ) -> Value | Absent[Why]:
        """What holds now. asked_s: when the question left; the answer cannot be newer than that."""
        known = self.known.get(key)
        if known is not None and asked_s < known.checked_s:
            return known.value
        if isinstance(answer, Absent):
            self.forget(key)
            if answer.believed_s:
                _make_room(self._absent, self._terms.absent_entries_max)
                self._absent[key] = (answer, asked_s + answer.believed_s)
            return answer
        if known is None:
            self._absent.pop(key, None)
            _make_room(self.known, self._terms.known_entries_max)
            self.known[key] = Known(answer, asked_s)
        else:
            known.value = answer
            known.checked_s = asked_s
        return answer

    def _forget_old(self, now_s: float) -> None:
        """While the database is away, what comes back after a rest could not be looked up again."""
        terms = self._terms
        old = [
            key
            for key, known in self.known.items()
            if now_s - known.checked_s > terms.known_max_s
            or (not self.is_away and now_s - known.used_s > terms.idle_max_s)
        ]
        for key in old:
            del self.known[key]
        self._absent = {key: entry for key, entry in self._absent.items() if now_s < entry[1]}

    def _database_is_away(self, why: DatabaseUnreadable | str) -> None:
        self.age_max_s = self._terms.known_max_s
        self._ask_again_s = self._monotonic_s() + self._terms.retry_after_s
        if not self.is_away:
            self.is_away = True
            _LOG.error(
                "%s cannot be checked, known ones are honoured for now: %s", self._terms.things, why
            )

    def _database_is_back(self) -> None:
        if self.is_away:
            self.is_away = False
            self.age_max_s = self._terms.fresh_max_s
            self._ask_again_s = math.inf
            _LOG.warning("%s can be checked again", self._terms.things)


def _make_room(entries: dict[Key, Entry], entries_max: int) -> None:
    """For one more: the oldest goes. It comes back if it is in use."""
    if len(entries) >= entries_max:
        del entries[next(iter(entries))]
