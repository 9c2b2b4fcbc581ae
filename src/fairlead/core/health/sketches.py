"""How fast an endpoint was lately: percentiles from sketches, one for each minute that saw traffic.

A sketch (DDSketch) counts values in bins that are `RELATIVE_ERROR` wide, so a percentile is at most that far
from the value of that rank, two sketches add up exactly, and memory is bounded by the number of bins. We use
the library's bins and its mapping of values to bins, and do without its shell: our values are positive and
within `VALUE_MIN` and `VALUE_MAX`, which already bounds the bins. Only the minute that is filling is a
live sketch; a minute that is over is packed into a few bytes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add
from typing import Annotated, Final

import msgspec
from ddsketch.mapping import LogarithmicMapping
from ddsketch.store import DenseStore

from fairlead.core.health.counts import COUNT_MAX, is_set_back
from fairlead.core.routing.facts import Percentiles

__all__ = [
    "BINS_MAX",
    "BIN_MAX",
    "BIN_MIN",
    "FIVE_MINUTES",
    "RELATIVE_ERROR",
    "SLOTS",
    "SLOT_S",
    "VALUE_MAX",
    "VALUE_MIN",
    "Merged",
    "SketchRing",
    "SketchSlot",
    "bin_of",
    "percentiles_of_cost",
    "percentiles_of_yield",
    "quantile",
]

RELATIVE_ERROR: Final = 0.02
VALUE_MIN: Final = 0.001  # a millisecond; a token in a quarter of an hour
VALUE_MAX: Final = 100_000.0  # a day; more tokens per second than anyone writes
SLOT_S: Final = 60.0
SLOTS: Final = 30
FIVE_MINUTES: Final = 5  # slots of them
_CHUNK_BINS: Final = 32  # a sketch grows by; most endpoints' figures span two or three
_MAPPING: Final = LogarithmicMapping(RELATIVE_ERROR)
_key: Final = _MAPPING.key
BIN_MIN: Final = _key(VALUE_MIN)
BIN_MAX: Final = _key(VALUE_MAX)
BINS_MAX: Final = BIN_MAX - BIN_MIN + 1  # 461


def bin_of(value: float) -> int:
    """The bin that counts a value. Values out of range count as the nearest within it."""
    if value > VALUE_MIN:
        return _key(value) if value < VALUE_MAX else BIN_MAX
    return BIN_MIN


class SketchSlot(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One minute as it is saved.

    number: its time divided by its length. counts: of the bins from `first` on.
    """

    number: int
    first: int
    counts: tuple[Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)], ...]

    @property
    def is_sound(self) -> bool:
        last = self.first + len(self.counts) - 1
        return BIN_MIN <= self.first <= last <= BIN_MAX and any(self.counts)

    @property
    def fullness(self) -> tuple[int, int, tuple[int, ...]]:
        """Orders accounts of one minute; what follows the total only makes the choice definite."""
        return sum(self.counts), self.first, self.counts


class _Packed:
    """A minute that is over, its counts in the smallest integers that hold them."""

    __slots__ = ("counts", "first", "number")

    def __init__(self, slot: SketchSlot) -> None:
        most = max(slot.counts)
        width = "B" if most < 1 << 8 else "H" if most < 1 << 16 else "Q"
        self.number = slot.number
        self.first = slot.first
        self.counts = array(width, slot.counts)


class SketchRing:
    """The values of the last half hour, by the minute."""

    __slots__ = ("_filling", "_number", "_over", "added")

    def __init__(self) -> None:
        self._number = -SLOTS
        self._filling: DenseStore | None = None
        self._over: deque[_Packed] = deque(maxlen=SLOTS - 1)
        self.added = 0  # values ever; tells whether anything is new

    def add(self, value_bin: int, now_s: float, count: int = 1) -> None:
        """value_bin: as `bin_of` gives it."""
        number = int(now_s // SLOT_S)
        if number != self._number:
            self._turn(number)
        store = self._filling
        if store is None:
            store = self._filling = _new_store()
        store.add(value_bin, count)
        self.added += 1

    def merged(self, now_s: float, slots: int) -> Merged:
        """One sketch of the newest `slots` minutes; the newest of them is still filling."""
        number = int(now_s // SLOT_S)
        if number != self._number:
            self._turn(number)
        minutes: list[tuple[int, Sequence[float]]] = []
        if self._filling is not None:
            minutes.append((self._filling.offset, self._filling.bins))
        oldest = self._number - slots
        for packed in reversed(self._over):
            if packed.number <= oldest:
                break
            minutes.append((packed.first, packed.counts))
        return _merged(minutes)

    def lately(self, now_s: float) -> tuple[int, int, int]:
        """Equal as long as what is within the last five minutes, or the half hour, is the same."""
        number = int(now_s // SLOT_S)
        if number != self._number:
            self._turn(number)
        return (
            self.added,
            self._first_after(self._number - FIVE_MINUTES),
            self._first_after(self._number - SLOTS),
        )

    def _first_after(self, number: int) -> int:
        """The oldest minute after this one that holds anything; 0 if none does."""
        first = self._number if self._filling is not None and self._number > number else 0
        for packed in reversed(self._over):
            if packed.number <= number:
                break
            first = packed.number
        return first

    def saved(self) -> tuple[SketchSlot, ...]:
        slots = [SketchSlot(one.number, one.first, tuple(one.counts)) for one in self._over]
        if self._filling is not None:
            slots.append(_slot_of(self._number, self._filling))
        return tuple(slots)

    def adopt(self, slots: Iterable[SketchSlot], now_s: float) -> None:
        """Take over saved minutes that are still within the window.

        Of two accounts of the same minute the fuller one is kept, as with counts.
        """
        number = int(now_s // SLOT_S)
        if number != self._number:
            self._turn(number)
        kept = {slot.number: slot for slot in self.saved()}
        for slot in slots:
            if self._number - SLOTS < slot.number <= self._number and slot.is_sound:
                mine = kept.get(slot.number)
                if mine is None or slot.fullness > mine.fullness:
                    kept[slot.number] = slot
        filling = kept.pop(self._number, None)
        self._filling = None if filling is None else _store_of(filling.first, filling.counts)
        self._over.clear()
        self._over.extend(_Packed(kept[one]) for one in sorted(kept))
        self.added += 1

    def _turn(self, number: int) -> None:
        """Close the minute that was filling, and let go of those out of the window."""
        if number < self._number:
            if not is_set_back(number, self._number, SLOT_S):
                return
            self._over.clear()
        elif self._filling is not None:
            self._over.append(_Packed(_slot_of(self._number, self._filling)))
        self._filling = None
        self._number = number
        while self._over and self._over[0].number <= number - SLOTS:
            self._over.popleft()


@dataclass(frozen=True, slots=True)
class Merged:
    """Several minutes as one sketch, to be read.

    running: how many values are in each bin and those before it. first: which bin the first of these is.
    """

    first: int
    running: list[float]

    @property
    def count(self) -> float:
        return self.running[-1] if self.running else 0

    def value_at(self, share: float) -> float:
        """The value below which a share of the values are. There must be some."""
        running = self.running
        return _VALUES[bisect_right(running, share * (running[-1] - 1)) + self.first - BIN_MIN]


_VALUES: Final = tuple([_MAPPING.value(key) for key in range(BIN_MIN, BIN_MAX + 1)])


def _merged(minutes: Sequence[tuple[int, Sequence[float]]]) -> Merged:
    """minutes: of each its first bin and the counts from there on."""
    if not minutes:
        return Merged(BIN_MIN, [])
    if len(minutes) == 1:
        first, counts = minutes[0]
        return Merged(first, list(accumulate(counts)))
    first = min([start for start, _ in minutes])
    total = [0.0] * (max([start + len(counts) for start, counts in minutes]) - first)
    for start, counts in minutes:
        place, after = start - first, start - first + len(counts)
        total[place:after] = map(add, total[place:after], counts)
    return Merged(first, list(accumulate(total)))


def quantile(merged: Merged, share: float) -> float | None:
    """The value below which a share of the values are; None of an empty sketch."""
    return merged.value_at(share) if merged.running else None


def percentiles_of_cost(merged: Merged) -> Percentiles | None:
    """Of a quantity that is better the lower it is: p99 is what 99 % stayed under."""
    if not merged.running:
        return None
    return Percentiles(*map(merged.value_at, (0.50, 0.75, 0.90, 0.99)))


def percentiles_of_yield(merged: Merged) -> Percentiles | None:
    """Of a quantity that is better the higher it is: p99 is what 99 % reached."""
    if not merged.running:
        return None
    return Percentiles(*map(merged.value_at, (0.50, 0.25, 0.10, 0.01)))


def _new_store() -> DenseStore:
    return DenseStore(chunk_size=_CHUNK_BINS)


def _store_of(first: int, counts: Sequence[int]) -> DenseStore:
    store = _new_store()
    store.bins = list(counts)
    store.offset = store.min_key = first
    store.max_key = first + len(counts) - 1
    store.count = sum(counts)
    return store


def _slot_of(number: int, store: DenseStore) -> SketchSlot:
    low = store.min_key
    bins = store.bins[low - store.offset : store.max_key - store.offset + 1]
    return SketchSlot(number, low, tuple([int(count) for count in bins]))
