"""Charts, from sums by start of the bucket and one value. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import add, sub
from typing import Any

from fairlead.control.usage.types import Chart

__all__ = ["biggest_of", "chart", "chart_of_chosen", "totals"]


def totals(sums: Mapping[tuple[Any, ...], Sequence[int]], measure: int) -> dict[Any, int]:
    """One of the measures, by value, of all buckets together."""
    found: dict[Any, int] = {}
    for (_, value), counted in sums.items():
        found[value] = found.get(value, 0) + counted[measure]
    return found


def biggest_of(of: Mapping[Any, int], count: int) -> tuple[Any, ...]:
    """The biggest first; what is equal in the order of its text."""
    return tuple(sorted(of, key=lambda value: (-of[value], str(value)))[:count])


def chart(sums: Mapping[tuple[Any, ...], Sequence[int]], biggest: int) -> Chart:
    """sums: all that there are."""
    values = biggest_of(totals(sums, 0), biggest)
    shown = frozenset(values)
    whole: dict[int, Sequence[int]] = {}
    for (start_ms, _), counted in sums.items():
        before = whole.get(start_ms)
        whole[start_ms] = counted if before is None else list(map(add, before, counted))
    chosen = {group: counted for group, counted in sums.items() if group[1] in shown}
    return chart_of_chosen(values, chosen, whole)


def chart_of_chosen(
    values: tuple[Any, ...],
    chosen: Mapping[tuple[Any, ...], Sequence[int]],
    whole: Mapping[int, Sequence[int]],
) -> Chart:
    """chosen: sums of those values only. whole: of all, by start of the bucket."""
    rest = {start_ms: list(counted) for start_ms, counted in whole.items()}
    for (start_ms, _), counted in chosen.items():
        rest[start_ms] = list(map(sub, rest[start_ms], counted))
    return Chart(values, {group: list(counted) for group, counted in chosen.items()}, rest)
