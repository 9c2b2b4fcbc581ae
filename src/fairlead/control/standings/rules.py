"""Who stands where, from sums of the whole installation. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

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
    "categories_in",
    "histories",
    "models_of_the_most",
    "provider_uptimes",
    "public",
    "rankings",
    "share_starts_ms",
    "shares",
    "speed",
    "uptimes",
    "window_starts_ms",
    "with_the_rest",
]

_MS_PER_S: Final = 1000
_SHARED: Final = {Granularity.DAY: 30, Granularity.WEEK: 52, Granularity.MONTH: 24}

_Ranked: TypeAlias = str | PublicApp


class CategoryUnknown(ValueError):
    """There is no such category, nor such a group of them."""


class Counted(NamedTuple):
    """What one app asked of one model from start_ms on. app: None: not told apart. model: "": likewise."""

    start_ms: int
    app: PublicApp | None
    model: str
    tokens: int
    requests: int


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
    now: Sequence[Counted],
    before: Iterable[Counted],
    *,
    start_ms: int,
    end_ms: int,
) -> Rankings:
    """What is equal comes in the order of names."""
    tokens: defaultdict[_Ranked, int] = defaultdict(int)
    requests: defaultdict[_Ranked, int] = defaultdict(int)
    tokens_before: defaultdict[_Ranked, int] = defaultdict(int)
    for counted in now:
        for one in _counts_for(subject, counted):
            tokens[one] += counted.tokens
            requests[one] += counted.requests
    for counted in before:
        for one in _counts_for(subject, counted):
            tokens_before[one] += counted.tokens
    whole = sum(counted.tokens for counted in now)
    order = sorted(tokens, key=lambda one: (-tokens[one], -requests[one], _name(one)))
    rows = tuple(
        Ranked(
            place,
            _name(one),
            tokens=tokens[one],
            requests=requests[one],
            share=tokens[one] / whole if whole else 0.0,
            tokens_before=tokens_before[one],
            app=one if isinstance(one, PublicApp) else None,
        )
        for place, one in enumerate(order[:RANKED_MAX], 1)
    )
    return Rankings(
        subject,
        period,
        start_ms,
        end_ms,
        rows,
        tokens=whole,
        requests=sum(counted.requests for counted in now),
        count=len(order),
    )


def shares(
    subject: Subject,
    granularity: Granularity,
    starts_ms: Sequence[int],
    counted: Iterable[Counted],
    *,
    shown: int,
) -> Shares:
    """starts_ms: of every bucket. What counts for several of those shown leaves less for the rest."""
    places = {start_ms: place for place, start_ms in enumerate(starts_ms)}
    whole = [0] * len(starts_ms)
    tokens: defaultdict[_Ranked, list[int]] = defaultdict(lambda: [0] * len(starts_ms))
    for one in counted:
        place = places[one.start_ms]
        whole[place] += one.tokens
        for ranked in _counts_for(subject, one):
            tokens[ranked][place] += one.tokens
    order = sorted(tokens, key=lambda one: (-sum(tokens[one]), _name(one)))[:shown]
    rest = (
        max(0, all_tokens - sum(tokens[one][place] for one in order))
        for place, all_tokens in enumerate(whole)
    )
    return Shares(
        subject,
        granularity,
        tuple(starts_ms),
        names=tuple(map(_name, order)),
        tokens=tuple(tuple(tokens[one]) for one in order),
        rest=tuple(rest),
        apps=tuple(one for one in order if isinstance(one, PublicApp)),
    )


def models_of_the_most(
    subject: Subject, totals: Iterable[Counted], *, shown: int
) -> frozenset[str]:
    """Which models those that a chart shows by themselves consist of. totals: of its whole time."""
    tokens: defaultdict[_Ranked, int] = defaultdict(int)
    models: defaultdict[_Ranked, set[str]] = defaultdict(set)
    for counted in totals:
        for one in _counts_for(subject, counted):
            tokens[one] += counted.tokens
            models[one].add(counted.model)
    most = sorted(tokens, key=lambda one: (-tokens[one], _name(one)))[:shown]
    return frozenset(model for one in most for model in models[one])


def with_the_rest(chosen: Sequence[Counted], whole: Mapping[int, int]) -> list[Counted]:
    """And what is left of all tokens of a bucket, of models that are not told apart. whole: by its start."""
    left = dict(whole)
    for one in chosen:
        left[one.start_ms] -= one.tokens
    return [*chosen, *(Counted(start_ms, None, "", rest, 0) for start_ms, rest in left.items())]


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
    rows: Iterable[tuple[str, int, int, int]], starts_ms: Sequence[int]
) -> tuple[ProviderUptime, ...]:
    """rows: provider, start of the span, successes, outages."""
    of_endpoints = uptimes(
        (
            ("", start_ms, "", provider, successes, outages)
            for provider, start_ms, successes, outages in rows
        ),
        starts_ms,
    )
    return tuple(ProviderUptime(one.provider, one.successes, one.outages) for one in of_endpoints)


def _counts_for(subject: Subject, counted: Counted) -> tuple[_Ranked, ...]:
    app = counted.app
    match subject:
        case Subject.MODEL:
            return (counted.model,) if counted.model else ()
        case Subject.AUTHOR:
            return (counted.model.partition("/")[0],) if counted.model else ()
        case Subject.APP:
            return () if app is None else (app,)
        case Subject.CATEGORY:
            return () if app is None else app.categories


def _name(ranked: _Ranked) -> str:
    return ranked.title if isinstance(ranked, PublicApp) else ranked


def _starts_ms(last_ms: int, step_ms: int, count: int) -> tuple[int, ...]:
    return tuple(last_ms - age * step_ms for age in reversed(range(count)))
