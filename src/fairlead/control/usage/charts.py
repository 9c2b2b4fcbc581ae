"""Sums over time of as many groups as one can tell apart, and of all others together. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import add
from typing import TypeAlias

from fairlead.control.usage.types import Chart

__all__ = ["Value", "biggest_first", "chart_of"]

Value: TypeAlias = str | int | bool


def chart_of(found: Mapping[tuple[int, Value], Sequence[int]], *, biggest: int) -> Chart:
    """found: sums of all groups, by the start of the bucket and the value. biggest: how many are told apart, by
    the first of the sums."""
    totals: defaultdict[Value, int] = defaultdict(int)
    for (_, value), counted in found.items():
        totals[value] += counted[0]
    values = biggest_first(totals)[:biggest]
    shown = frozenset(values)
    sums: dict[tuple[int, Value], list[int]] = {}
    rest: dict[int, list[int]] = {}
    for (bucket_ms, value), counted in found.items():
        others = rest.setdefault(bucket_ms, [0] * len(counted))
        if value in shown:
            sums[bucket_ms, value] = list(counted)
        else:
            others[:] = map(add, others, counted)
    return Chart(values, sums, rest)


def biggest_first(totals: Mapping[Value, int]) -> tuple[Value, ...]:
    return tuple(sorted(totals, key=lambda value: (-totals[value], str(value))))
