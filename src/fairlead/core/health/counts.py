"""How many outcomes of each kind there were lately: a ring of slots of equal length.

Time is the wall clock, which may be set back. A slot's number is its time divided by its length; a time
a little before the newest slot counts as the newest, and one that is further back means that the clock was
wrong before: what was seen by that clock is forgotten.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from math import ceil
from typing import Annotated, Final

import msgspec

__all__ = ["CLOCK_SLACK_S", "COUNT_MAX", "CountRing", "CountSlot", "is_set_back"]

COUNT_MAX: Final = 1 << 40  # of what others tell us; far from what 64 bits hold
CLOCK_SLACK_S: Final = 5.0  # a clock that is corrected goes back by less


def is_set_back(number: int, newest: int, slot_s: float) -> bool:
    """Whether slot `number` is so far before the newest that the clock must have been set back."""
    return newest - number > ceil(CLOCK_SLACK_S / slot_s)


class CountSlot(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One slot as it is saved. number: its time divided by its length. counts: by column."""

    number: int
    counts: tuple[Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)], ...]


class CountRing:
    """Counts by column over a window of `slots` slots, the newest of which is still filling."""

    __slots__ = (
        "_columns",
        "_counts",
        "_is_empty",
        "_newest",
        "_no_counts",
        "_nothing",
        "_slot_s",
        "_slots",
    )

    def __init__(self, *, slot_s: float, slots: int, columns: int) -> None:
        self._slot_s = slot_s
        self._slots = slots
        self._columns = columns
        self._counts = array("Q", bytes(8 * slots * columns))
        self._newest = -slots  # nothing yet
        self._nothing = (0,) * columns
        self._no_counts = array("Q", self._nothing)
        self._is_empty = True  # then nobody need look; most endpoints' short windows are

    def add(self, column: int, now_s: float, count: int = 1) -> None:
        number = int(now_s // self._slot_s)
        if number != self._newest:
            self._turn(number)
            number = self._newest
        self._is_empty = False
        self._counts[number % self._slots * self._columns + column] += count

    def totals(self, now_s: float, slots: int | None = None) -> tuple[int, ...]:
        """By column, of the newest `slots` slots (all, if None)."""
        number = int(now_s // self._slot_s)
        if number != self._newest:
            self._turn(number)
            number = self._newest
        if self._is_empty:
            return self._nothing
        counts, columns = self._counts, self._columns
        if slots is None or slots >= self._slots:
            return tuple([sum(counts[column::columns]) for column in range(columns)])
        places = [(number - age) % self._slots * columns for age in range(slots)]
        return tuple(
            [sum([counts[place + column] for place in places]) for column in range(columns)]
        )

    def total(self, now_s: float) -> int:
        """Of all columns and slots."""
        number = int(now_s // self._slot_s)
        if number != self._newest:
            self._turn(number)
        return 0 if self._is_empty else sum(self._counts)

    def clear(self) -> None:
        if not self._is_empty:
            self._counts = array("Q", bytes(8 * len(self._counts)))
            self._is_empty = True

    def saved(self) -> tuple[CountSlot, ...]:
        """The slots that hold anything."""
        slots = []
        for number in range(max(0, self._newest - self._slots + 1), self._newest + 1):
            counts = self._slot(number)
            if any(counts):
                slots.append(CountSlot(number, counts))
        return tuple(slots)

    def adopt(self, slots: Iterable[CountSlot], now_s: float) -> None:
        """Take over saved slots that are still within the window.

        Of two accounts of the same slot the fuller one is kept: they may tell of the same outcomes, so
        adding them could count one twice.
        """
        number = int(now_s // self._slot_s)
        if number != self._newest:
            self._turn(number)
        for slot in slots:
            if not self._newest - self._slots < slot.number <= self._newest:
                continue
            if len(slot.counts) != self._columns:
                continue
            held = self._slot(slot.number)
            if (sum(slot.counts), slot.counts) > (sum(held), held):
                self._is_empty = False
                place = slot.number % self._slots * self._columns
                self._counts[place : place + self._columns] = array("Q", slot.counts)

    def _slot(self, number: int) -> tuple[int, ...]:
        place = number % self._slots * self._columns
        return tuple(self._counts[place : place + self._columns])

    def _turn(self, number: int) -> None:
        """Make `number` the newest slot, emptying those that it and its predecessors take over."""
        ahead = number - self._newest
        if ahead < 0 and not is_set_back(number, self._newest, self._slot_s):
            return
        if ahead < 0 or ahead >= self._slots:
            self.clear()
        elif not self._is_empty:
            columns, counts = self._columns, self._counts
            for entered in range(self._newest + 1, number + 1):
                place = entered % self._slots * columns
                counts[place : place + columns] = self._no_counts
        self._newest = number
