"""Who stands where, from sums of the whole installation. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from fairlead.control.datasets.rules import WINDOWS_BEFORE
from fairlead.control.standings.types import (
    RANKED_MAX,
    EndpointHistory,
    EndpointUptime,
    Period,
    ProviderUptime,
    PublicApp,
    Ranked,
    Rankings,
    Shares,
    Speed,
    Subject,
    Window,
)
from fairlead.control.usage.apps import CATEGORIES, CATEGORY_GROUPS
from fairlead.control.usage.calendar import (
    DAY_MS,
    HOUR_MS,
    WEEK_MS,
    day_start_ms,
    month_start_ms,
    week_start_ms,
)
from fairlead.control.usage.endpoints import EndpointSpan, together
from fairlead.control.usage.spans import Granularity
from fairlead.control.usage.types import App

__all__ = [
    "CategoryUnknown",
    "Counted",
    "Members",
    "categories_in",
    "histories",
    "provider_uptimes",
    "public",
    "rankings",
    "share_starts_ms",
    "shares",
    "speed",
    "trending_apps",
    "uptimes",
    "window_starts_ms",
]

_MS_PER_S: Final = 1000
_SHARED: Final = {Granularity.DAY: 30, Granularity.WEEK: 52, Granularity.MONTH: 24}

_Named: TypeAlias = str | PublicApp


class CategoryUnknown(ValueError):
    """There is no such category, nor such a group of them."""


class Counted(NamedTuple):
    """What began at start_ms: numbers of series, and beside them what each measure of theirs came to."""

    start_ms: int
    series: Sequence[int]
    sums: tuple[Sequence[int], ...]


class Members:
    """Models or public apps, and where each is counted: the numbers of its series. All others are nobody's."""

    def __init__(self, series: Iterable[tuple[_Named, Sequence[int]]]) -> None:
        every = tuple(series)
        self.names = tuple(name for name, _ in every)
        self._places = {
            number: place for place, (_, numbers) in enumerate(every) for number in numbers
        }

    def added(self, counted: Iterable[Counted], measure: int = 0) -> list[int]:
        """What each came to over all of the time, beside names. measure: its place in the sums."""
        places, nobody = self._places, len(self.names)
        found = [0] * (nobody + 1)
        for one in counted:
            for number, count in zip(one.series, one.sums[measure], strict=True):
                found[places.get(number, nobody)] += count
        return found[:-1]


def categories_in(name: str) -> frozenset[str]:
    """A category by itself, or those of a group. Raises CategoryUnknown."""
    if name in CATEGORIES:
        return frozenset({name})
    try:
        return CATEGORY_GROUPS[name]
    except KeyError:
        raise CategoryUnknown(f"there is no category {name!r}") from None


def public(app: App) -> PublicApp:
    """Without whose it is."""
    assert app.is_public, "only apps that everybody may know"
    return PublicApp(app.id, app.identity, app.title, app.categories)


def rankings(
    subject: Subject,
    period: Period,
    members: Members,
    now: Sequence[Counted],
    before: Iterable[Counted],
    *,
    start_ms: int,
    end_ms: int,
) -> Rankings:
    """now: tokens and requests. before: tokens. What is equal comes in the order of names."""
    sums = _Sums.of(members, now, before)
    called = [
        (-_added(sums.tokens, places), -requests, _name(one), one, places)
        for one, places in _grouped(subject, members.names).items()
        if (requests := _added(sums.requests, places))
    ]
    called.sort(key=lambda row: row[:3])
    ordered = [(one, places) for *_, one, places in called]
    return _ranked(subject, period, ordered, sums, start_ms=start_ms, end_ms=end_ms)


def trending_apps(
    period: Period,
    members: Members,
    now: Sequence[Counted],
    before: Iterable[Counted],
    *,
    start_ms: int,
    end_ms: int,
) -> Rankings:
    """Apps with more tokens than is usual for them, which is the mean of the WINDOWS_BEFORE windows before:
    those with the most more first. Their tokens_before is that mean.

    members: apps. now: tokens and requests. before: tokens of all those windows together.
    """
    sums = _Sums.of(members, now, before)
    growing = [
        (tokens_before - WINDOWS_BEFORE * tokens, app.address, place)
        for place, (app, tokens, tokens_before) in enumerate(
            zip(members.names, sums.tokens, sums.tokens_before, strict=True)
        )
        if isinstance(app, PublicApp) and WINDOWS_BEFORE * tokens > tokens_before
    ]
    growing.sort()
    ordered = [(members.names[place], (place,)) for _, _, place in growing]
    usual = [round(tokens / WINDOWS_BEFORE) for tokens in sums.tokens_before]
    return _ranked(
        Subject.APP,
        period,
        ordered,
        sums._replace(tokens_before=usual),
        start_ms=start_ms,
        end_ms=end_ms,
    )


def shares(
    subject: Subject,
    granularity: Granularity,
    starts_ms: Sequence[int],
    members: Members,
    counted: Iterable[Counted],
    *,
    shown: int,
) -> Shares:
    """starts_ms: of every bucket. counted: tokens, one for each bucket that has any. What counts for several of
    those shown leaves less for the rest."""
    by_start = {one.start_ms: members.added([one]) for one in counted}
    none = members.added([])
    buckets = [by_start.get(start_ms, none) for start_ms in starts_ms]
    totals = list(map(sum, zip(*buckets, strict=True)))
    of_each = [
        (one, total, places)
        for one, places in _grouped(subject, members.names).items()
        if (total := _added(totals, places))
    ]
    of_each.sort(key=lambda row: (-row[1], _name(row[0])))
    biggest = of_each[:shown]
    of_biggest = tuple(
        tuple(_added(bucket, places) for bucket in buckets) for _, _, places in biggest
    )
    return Shares(
        subject,
        granularity,
        tuple(starts_ms),
        names=tuple(_name(one) for one, _, _ in biggest),
        tokens=of_biggest,
        rest=tuple(
            max(0, sum(bucket) - sum(of_one[place] for of_one in of_biggest))
            for place, bucket in enumerate(buckets)
        ),
        apps=tuple(one for one, _, _ in biggest if isinstance(one, PublicApp)),
    )


def share_starts_ms(granularity: Granularity, now_ms: int) -> tuple[int, ...]:
    """When the days, weeks or months of a chart of shares begin; the last is the one that is now."""
    count = _SHARED[granularity]
    if granularity is Granularity.MONTH:
        starts = [month_start_ms(now_ms)]
        while len(starts) < count:
            starts.append(month_start_ms(starts[-1] - 1))
        return tuple(reversed(starts))
    if granularity is Granularity.WEEK:
        return _starts_ms(week_start_ms(now_ms), WEEK_MS, count)
    return _starts_ms(day_start_ms(now_ms), DAY_MS, count)


def window_starts_ms(window: Window, now_ms: int) -> tuple[int, ...]:
    """When its hours or days begin; the last is the one that is now."""
    step_ms = HOUR_MS if window.is_by_hour else DAY_MS
    return _starts_ms(now_ms - now_ms % step_ms, step_ms, window.points)


def speed(successes: int, latency_ms: int, paced_ms: int, paced_tokens: int) -> Speed:
    """Of calls together: their times to the first token, and what was written in which time after it."""
    return Speed(
        latency_ms / successes / _MS_PER_S if successes else None,
        paced_tokens * _MS_PER_S / paced_ms if paced_ms else None,
    )


def histories(spans: Iterable[EndpointSpan]) -> tuple[EndpointHistory, ...]:
    """By endpoint, most calls first. spans: of one model, in the order of time."""
    found: defaultdict[str, list[EndpointSpan]] = defaultdict(list)
    for one in spans:
        found[one.endpoint].append(one)
    every = [
        EndpointHistory(whole.endpoint, whole.provider, whole.model, tuple(of_one), whole)
        for of_one in found.values()
        for whole in together(of_one).values()
    ]
    every.sort(key=lambda one: (-one.whole.calls, one.endpoint))
    return tuple(every)


def uptimes(
    rows: Iterable[tuple[str, int, str, str, int, int]], starts_ms: Sequence[int]
) -> tuple[EndpointUptime, ...]:
    """rows: model, start of the span, endpoint, provider, successes, outages."""
    places = {start_ms: place for place, start_ms in enumerate(starts_ms)}
    counts: defaultdict[tuple[str, str, str], tuple[list[int], list[int]]] = defaultdict(
        lambda: ([0] * len(starts_ms), [0] * len(starts_ms))
    )
    for model, start_ms, endpoint, provider, successes, outages in rows:
        good, bad = counts[model, endpoint, provider]
        good[places[start_ms]] += successes
        bad[places[start_ms]] += outages
    return tuple(
        EndpointUptime(endpoint, provider, model, tuple(good), tuple(bad))
        for (model, endpoint, provider), (good, bad) in sorted(counts.items())
    )


def provider_uptimes(
    rows: Iterable[tuple[str, Sequence[int], Sequence[int], Sequence[int]]],
    starts_ms: Sequence[int],
) -> tuple[ProviderUptime, ...]:
    """rows: provider, starts of spans, and beside these successes and outages."""
    places = {start_ms: place for place, start_ms in enumerate(starts_ms)}
    found = []
    for provider, starts, successes, outages in rows:
        good, bad = [0] * len(starts_ms), [0] * len(starts_ms)
        for start_ms, succeeded, failed in zip(starts, successes, outages, strict=True):
            place = places[start_ms]
            good[place], bad[place] = succeeded, failed
        found.append(ProviderUptime(provider, tuple(good), tuple(bad)))
    return tuple(sorted(found, key=lambda one: one.provider))


def _grouped(subject: Subject, names: Sequence[_Named]) -> dict[_Named, list[int]]:
    """What is ranked, and the places of its names."""
    found: defaultdict[_Named, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        for one in _counts_for(subject, name):
            found[one].append(place)
    return found


def _counts_for(subject: Subject, name: _Named) -> Sequence[_Named]:
    if isinstance(name, PublicApp):
        return name.categories if subject is Subject.CATEGORY else (name,)
    if subject is Subject.AUTHOR:
        name = name.partition("/")[0]
    return (name,) if name else ()


class _Sums(NamedTuple):
    """Of all members, each beside its name."""

    tokens: list[int]
    requests: list[int]
    tokens_before: list[int]

    @classmethod
    def of(cls, members: Members, now: Sequence[Counted], before: Iterable[Counted]) -> _Sums:
        return cls(members.added(now), members.added(now, 1), members.added(before))


def _added(counts: Sequence[int], places: Sequence[int]) -> int:
    return sum(map(counts.__getitem__, places))


def _ranked(
    subject: Subject,
    period: Period,
    ordered: Sequence[tuple[_Named, Sequence[int]]],
    sums: _Sums,
    *,
    start_ms: int,
    end_ms: int,
) -> Rankings:
    """ordered: what is ranked, and the places at which it is counted."""
    whole = sum(sums.tokens)
    rows = []
    for number, (one, places) in enumerate(ordered[:RANKED_MAX], 1):
        tokens = _added(sums.tokens, places)
        row = Ranked(
            number,
            _name(one),
            tokens=tokens,
            requests=_added(sums.requests, places),
            share=tokens / whole if whole else 0.0,
            tokens_before=_added(sums.tokens_before, places),
            app=one if isinstance(one, PublicApp) else None,
        )
        rows.append(row)
    return Rankings(
        subject,
        period,
        start_ms,
        end_ms,
        tuple(rows),
        tokens=whole,
        requests=sum(sums.requests),
        count=len(ordered),
    )


def _name(ranked: _Named) -> str:
    return ranked.title if isinstance(ranked, PublicApp) else ranked


def _starts_ms(last_ms: int, step_ms: int, count: int) -> tuple[int, ...]:
    return tuple(last_ms - age * step_ms for age in reversed(range(count)))
