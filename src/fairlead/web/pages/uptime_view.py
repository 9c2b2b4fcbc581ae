"""How uptime is shown: a number, a word, and a strip of bars. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.web.pages import shown

__all__ = ["Strip", "level", "strip"]

GOOD_FROM: Final = 0.99
FAIR_FROM: Final = 0.9
BAR: Final = 4

_MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class Strip:
    """A bar for each day or hour, BAR wide with its gap. paths: of all bars of one level ("none" where nothing
    was called) as SVG has it. words: the same for who cannot see it."""

    width: int
    paths: tuple[tuple[str, str], ...]
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
    paths: dict[str, list[str]] = {}
    for place, one in enumerate(uptimes):
        of_level = level(one)
        shape = f"M{place * BAR} 0h3v24h-3z" if of_level else f"M{place * BAR} 18h3v6h-3z"
        paths.setdefault(of_level or "none", []).append(shape)
    return Strip(
        BAR * len(uptimes),
        tuple((name, "".join(shapes)) for name, shapes in sorted(paths.items())),
        _words(told, unit),
    )


def _words(told: Sequence[tuple[float, int]], unit: str) -> str:
    if not told:
        return "No calls."
    worst, at_ms = min(told)
    words = f"{shown.plural(len(told), unit)} with calls"
    if worst >= GOOD_FROM:
        return f"{words}, none below {shown.share(GOOD_FROM)}."
    at_s = at_ms // _MS_PER_S
    when = shown.date(at_s) if unit == "day" else shown.moment(at_s)
    return f"{words}; lowest {shown.share(worst)} ({when})."
