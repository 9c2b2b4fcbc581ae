"""How uptime is shown: a number, a word, and a strip of bars. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.web.pages import shown

__all__ = ["Strip", "level", "strip"]

GOOD_FROM: Final = 0.99
FAIR_FROM: Final = 0.9

_MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class Strip:
    """A bar for each day or hour. levels: as `level` says, "" where nothing was called. words: the same for who
    cannot see it."""

    levels: tuple[str, ...]
    words: str


def level(uptime: float | None) -> str:
    """good, fair, poor; "": nothing tells."""
    if uptime is None:
        return ""
    if uptime >= GOOD_FROM:
        return "good"
    return "fair" if uptime >= FAIR_FROM else "poor"


def strip(uptimes: Sequence[float | None], starts_ms: Sequence[int], *, unit: str) -> Strip:
    """unit: of a bar, "day" or "hour"."""
    told = [
        (one, start_ms) for one, start_ms in zip(uptimes, starts_ms, strict=True) if one is not None
    ]
    if not told:
        return Strip(tuple(level(one) for one in uptimes), "No calls.")
    worst, at_ms = min(told)
    words = f"{shown.plural(len(told), unit)} with calls"
    if worst < GOOD_FROM:
        at_s = at_ms // _MS_PER_S
        when = shown.date(at_s) if unit == "day" else shown.moment(at_s)
        words += f"; lowest {shown.share(worst)} ({when})"
    else:
        words += f", none below {shown.share(GOOD_FROM)}"
    return Strip(tuple(level(one) for one in uptimes), f"{words}.")
