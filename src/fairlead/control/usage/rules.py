"""Adding usage up. Pure.

Sums of sums are sums: so a batch is added up in memory first, from the finest to the coarsest, and in what
order or in which batches generations come makes no difference.

    generations ── FULL minutes ── FULL hours ── FULL days ── FULL weeks, months
                                      │              ├── WORKSPACE days
                                      │              └── APP, APP_ALONE days, weeks, months  (installation)
                                      ├── KEY, APP_ALONE hours ── the same days, months
                                      └── MODEL hours ── MODEL days, weeks, months
                                               ├── MODEL_ALONE, PROVIDER_ALONE hours ── the same days, months
                                               └── MODEL hours, days, months            (installation)
                                                               └── MODEL_ALONE days, weeks, months

Private calls are counted once more in days of their own (PRIVATE), by model and by app, in the installation's
series: what is published is the installation's sums without them.

What is not kept (a KEY hour) is answered from FULL; what is kept twice is so because FULL would be too many
rows to add up while somebody waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import add
from typing import Final, NamedTuple, TypeAlias

from fairlead.control.usage.calendar import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    month_start_ms,
    week_start_ms,
)
from fairlead.control.usage.histograms import LATENCY_BOUNDS_MS, PACE_BOUNDS, bucket
from fairlead.control.usage.samples import Sample
from fairlead.control.usage.series import Family, SeriesBook
from fairlead.control.usage.types import Level, Resolution, Sums
from fairlead.core.errors import FailureKind
from fairlead.core.generation import Outcome
from fairlead.core.health.outcome import MEANINGS, Meaning
from fairlead.core.pricing import PriceSheet, prices_in_force
from fairlead.core.usage import Usage
from fairlead.store.tables.usage import (
    ENDPOINT_COUNTS,
    LATENCY_BUCKETS,
    MEASURES,
    PACE_BUCKETS,
)

__all__ = [
    "EndpointAt",
    "KeySums",
    "PrivateDays",
    "Rolled",
    "Spans",
    "cache_saved",
    "coarser_sums",
    "key_sums_added",
    "measures",
    "negated",
    "roll",
]

# More than one call can come to: $281,000, or 281 million million tokens. So sums stay within 64 bits.
MEASURE_MAX: Final = 2**48
PICO_PER_NANO: Final = 1000
MS_PER_S: Final = 1000

# Sums by the start of their span, and by series.
Spans: TypeAlias = dict[int, dict[int, Sums]]
PrivateDays: TypeAlias = dict[tuple[int, int, int], Sums]  # level, start of the day, series
EndpointAt: TypeAlias = tuple[str, int, str]  # model, start of the span, endpoint


class KeySums(NamedTuple):
    """What a key has used, and in the latest day, week and month of which we know."""

    requests: int
    last_used_ms: int
    cost: int
    byok: int
    day_ms: int
    day_cost: int
    day_byok: int
    week_ms: int
    week_cost: int
    week_byok: int
    month_ms: int
    month_cost: int
    month_byok: int


@dataclass(slots=True)
class Rolled:
    """A batch, added up.

    families: of the series at level FULL that occur, by number. endpoint_*: in the order of
    ENDPOINT_COUNTS, the latency buckets and the pace buckets. providers: of endpoints. private: of
    private calls, in series of the installation.
    """

    families: dict[int, Family] = field(default_factory=dict)
    sums: dict[Resolution, Spans] = field(default_factory=dict)
    keys: dict[str, KeySums] = field(default_factory=dict)
    endpoint_hours: dict[EndpointAt, list[int]] = field(default_factory=dict)
    endpoint_days: dict[EndpointAt, list[int]] = field(default_factory=dict)
    providers: dict[str, str] = field(default_factory=dict)
    private: PrivateDays = field(default_factory=dict)


def roll(
    samples: Iterable[Sample],
    book: SeriesBook,
    *,
    apps: Mapping[str, int],
    sheets: Mapping[str, PriceSheet],
) -> Rolled:
    """Add up a batch.

    apps: ids by generation, of those that came from an app. sheets: price sheets by version; without one it
    is not known what caching saved and what searches cost, and counts as nothing.
    """
    rolled = Rolled()
    families = rolled.families
    counts: dict[int, dict[int, list[Sums]]] = {}
    last_used_ms: dict[str, int] = {}
    for sample in samples:
        created_ms = round(sample.created_s * MS_PER_S)
        family = book.family(
            sample.account,
            sample.workspace,
            sample.key,
            sample.user or "",
            sample.model,
            sample.endpoint,
            sample.provider,
            sample.api_type,
            sample.is_byok,
            apps.get(sample.id, 0),
        )
        number = family.full
        families[number] = family
        counted = measures(sample, sheets.get(sample.price_version))
        rows = counts.setdefault(created_ms - created_ms % MINUTE_MS, {})
        rows.setdefault(number, []).append(counted)
        if created_ms > last_used_ms.get(sample.key, -1):
            last_used_ms[sample.key] = created_ms
        if sample.is_private:
            _add_private(rolled.private, family, created_ms - created_ms % DAY_MS, counted)
        _add_attempts(rolled, sample, counted, created_ms)
    minutes: Spans = {
        start_ms: {
            # Column by column: half the work of adding row to row.
            number: several[0] if len(several) == 1 else tuple(map(sum, zip(*several, strict=True)))
            for number, several in rows.items()
        }
        for start_ms, rows in counts.items()
    }
    rolled.sums = coarser_sums(families, minutes)
    _add_keys(rolled, last_used_ms)
    for (model, start_ms, endpoint), sums in rolled.endpoint_hours.items():
        at = (model, start_ms - start_ms % DAY_MS, endpoint)
        of_day = rolled.endpoint_days.get(at)
        rolled.endpoint_days[at] = sums if of_day is None else list(map(add, of_day, sums))
    return rolled


def _add_private(private: PrivateDays, family: Family, day_ms: int, counted: Sums) -> None:
    """Once more, beside the installation's sums by model and by app."""
    for level, number in (
        (Level.MODEL_ALONE, family.whole_model),
        (Level.APP_ALONE, family.whole_app_alone),
    ):
        if number:
            at = (int(level), day_ms, number)
            before = private.get(at)
            private[at] = counted if before is None else tuple(map(add, before, counted))


def negated(rolled: Rolled) -> Rolled:
    """What takes the batch out of the sums again when it is added. Keys' own sums are left out: what a span's
    sum was before another began is nowhere."""
    return Rolled(
        families=rolled.families,
        sums={
            resolution: {
                start_ms: {
                    number: tuple(-one for one in counted) for number, counted in rows.items()
                }
                for start_ms, rows in spans.items()
            }
            for resolution, spans in rolled.sums.items()
        },
        endpoint_hours={at: [-one for one in sums] for at, sums in rolled.endpoint_hours.items()},
        endpoint_days={at: [-one for one in sums] for at, sums in rolled.endpoint_days.items()},
        providers=rolled.providers,
        private={at: tuple(-one for one in sums) for at, sums in rolled.private.items()},
    )


def measures(sample: Sample, sheet: PriceSheet | None) -> Sums:
    """What one generation adds, in the order of store.tables.usage.MEASURES."""
    usage = sample.usage
    produced = usage.completion_tokens
    cache_write = usage.cache_write + usage.cache_write_1h
    latency_ms, duration_ms = sample.latency_ms, sample.duration_ms
    # The first token came by itself; the others came in the time that followed.
    paced_ms = duration_ms - latency_ms if produced > 1 and duration_ms > latency_ms > 0 else 0
    saved = web = 0
    if sheet is not None:
        if usage.cache_read or cache_write:
            saved = cache_saved(usage, sheet, at_s=sample.created_s)
        if usage.web_searches and sheet.web_search and not sample.is_byok:
            web = usage.web_searches * sheet.web_search // PICO_PER_NANO
    outcome = sample.outcome
    counted = (
        1,
        1 if outcome == _CANCELLED else 0,
        1 if outcome == _FAILED else 0,
        1 if sample.finish_reason == "tool_calls" else 0,
        usage.prompt_tokens,
        usage.cache_read,
        cache_write,
        produced,
        usage.reasoning,
        usage.web_searches,
        sample.cost,
        sample.list_cost if sample.is_byok else 0,
        sample.upstream_cost or 0,
        saved,
        web,
        sample.discount,
        sample.waived,
        latency_ms,
        1 if latency_ms > 0 else 0,
        paced_ms,
        produced if paced_ms else 0,
        duration_ms,
    )
    if max(counted) > MEASURE_MAX or saved < -MEASURE_MAX:
        return tuple(max(-MEASURE_MAX, min(MEASURE_MAX, one)) for one in counted)
    return counted


def cache_saved(usage: Usage, sheet: PriceSheet, *, at_s: float) -> int:
    """Nanodollars that the prompt would have cost more without a cache; negative where writing cost more."""
    if sheet.overrides:
        sheet = prices_in_force(sheet, prompt_tokens=usage.prompt_tokens, at_s=at_s)
    plain = sheet.prompt
    read = sheet.input_cache_read
    short = plain if sheet.input_cache_write is None else sheet.input_cache_write
    long = short if sheet.input_cache_write_1h is None else sheet.input_cache_write_1h
    pico = (
        usage.cache_read * (0 if read is None else plain - read)
        + usage.cache_write * (plain - short)
        + usage.cache_write_1h * (plain - long)
    )
    return pico // PICO_PER_NANO


def key_sums_added(one: KeySums, other: KeySums) -> KeySums:
    """Of both together. Of two spans the later counts, and both where it is the same."""
    return KeySums(
        one.requests + other.requests,
        max(one.last_used_ms, other.last_used_ms),
        one.cost + other.cost,
        one.byok + other.byok,
        *_later(one[4:7], other[4:7]),
        *_later(one[7:10], other[7:10]),
        *_later(one[10:13], other[10:13]),
    )


def _later(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    if one[0] != other[0]:
        return max(one, other)
    return (one[0], one[1] + other[1], one[2] + other[2])


def coarser_sums(families: Mapping[int, Family], minutes: Spans) -> dict[Resolution, Spans]:
    """The minutes, and everything that follows from them."""
    full_hours = _longer(minutes, lambda start_ms: start_ms - start_ms % HOUR_MS)
    full_days = _longer(full_hours, lambda start_ms: start_ms - start_ms % DAY_MS)
    every = families.values()
    model_hours = _coarser(full_hours, {one.full: one.model for one in every})
    model_days = _longer(model_hours, lambda start_ms: start_ms - start_ms % DAY_MS)
    # What accounts are shown at once: so much less than the rest that it costs little to keep beside it.
    short_hours = _together(
        _coarser(full_hours, {one.full: one.key for one in every}),
        _coarser(full_hours, {one.full: one.app_alone for one in every}),
        _coarser(model_hours, {one.model: one.model_alone for one in every}),
        _coarser(model_hours, {one.model: one.provider_alone for one in every}),
    )
    short_days = _longer(short_hours, lambda start_ms: start_ms - start_ms % DAY_MS)
    to_whole = {one.model: one.whole for one in every}
    whole_days = _coarser(model_days, to_whole)
    whole_app_days = _coarser(
        full_days, {one.full: one.whole_app for one in every if one.whole_app}
    )
    ranked_days = _together(
        _coarser(whole_days, {one.whole: one.whole_model for one in every}),
        _coarser(whole_app_days, {one.whole_app: one.whole_app_alone for one in every}),
        whole_app_days,
    )
    return {
        Resolution.MINUTE: minutes,
        Resolution.HOUR: _together(
            full_hours, model_hours, short_hours, _coarser(model_hours, to_whole)
        ),
        Resolution.DAY: _together(
            full_days,
            model_days,
            short_days,
            _coarser(full_days, {one.full: one.workspace for one in every}),
            whole_days,
            ranked_days,
        ),
        Resolution.WEEK: _longer(_together(full_days, model_days, ranked_days), week_start_ms),
        Resolution.MONTH: _longer(
            _together(full_days, model_days, short_days, whole_days, ranked_days), month_start_ms
        ),
    }


def _longer(spans: Spans, start: Callable[[int], int]) -> Spans:
    """The same sums for longer spans. start: when the one begins in which a moment lies."""
    found: Spans = {}
    for start_ms, rows in spans.items():
        at = start(start_ms)
        there = found.get(at)
        if there is None:
            found[at] = dict(rows)
            continue
        for number, sums in rows.items():
            before = there.get(number)
            there[number] = sums if before is None else tuple(map(add, before, sums))
    return found


def _coarser(spans: Spans, to: Mapping[int, int]) -> Spans:
    """The same sums for series of another level; those that have none there are left out."""
    found: Spans = {}
    for start_ms, rows in spans.items():
        there = found[start_ms] = {}
        for number, sums in rows.items():
            other = to.get(number)
            if other is None:
                continue
            before = there.get(other)
            there[other] = sums if before is None else tuple(map(add, before, sums))
    return found


def _together(*parts: Spans) -> Spans:
    """Sums of several levels, which have no series in common."""
    found: Spans = {}
    for part in parts:
        for start_ms, rows in part.items():
            found.setdefault(start_ms, {}).update(rows)
    return found


def _add_keys(rolled: Rolled, last_used_ms: Mapping[str, int]) -> None:
    for day_ms, rows in rolled.sums[Resolution.DAY].items():
        week_ms, month_ms = week_start_ms(day_ms), month_start_ms(day_ms)
        for number, family in rolled.families.items():
            counted = rows.get(number)
            if counted is None:
                continue
            requests, cost, byok = counted[0], counted[_COST], counted[_BYOK]
            sums = KeySums(
                requests, last_used_ms[family.key_name], cost, byok,
                day_ms, cost, byok, week_ms, cost, byok, month_ms, cost, byok,
            )  # fmt: skip
            before = rolled.keys.get(family.key_name)
            rolled.keys[family.key_name] = sums if before is None else key_sums_added(before, sums)


_COST: Final = MEASURES.index("cost_nano")
_BYOK: Final = MEASURES.index("byok_nano")
_PROMPT_TOKENS: Final = MEASURES.index("prompt_tokens")
_COMPLETION_TOKENS: Final = MEASURES.index("completion_tokens")

# Python 3.11 takes longer to look a member up than to compare it.
_CANCELLED: Final = Outcome.CANCELLED
_FAILED: Final = Outcome.FAILED
_SUCCESS: Final = Meaning.SUCCESS

# Where an endpoint's sums are: what outcomes meant first, then speed and size, then the two histograms.
_LATENCY_MS, _PACED_MS, _PACED_TOKENS, _TOOL_CALLS, _PROMPT, _COMPLETION = range(
    len(Meaning), len(ENDPOINT_COUNTS)
)
_LATENCY_BUCKET: Final = len(ENDPOINT_COUNTS)
_PACE_BUCKET: Final = _LATENCY_BUCKET + LATENCY_BUCKETS
_NOTHING: Final = (0,) * (_PACE_BUCKET + PACE_BUCKETS)


def _add_attempts(rolled: Rolled, sample: Sample, counted: Sums, created_ms: int) -> None:
    """What each endpoint made of it. Who was let go had no chance, so that says nothing.

    counted: the sample's measures.
    """
    answered = False
    start_ms = created_ms - created_ms % HOUR_MS
    for attempt in reversed(sample.attempts):
        if attempt.was_let_go:
            continue
        at = (attempt.model, start_ms, attempt.endpoint)
        sums = rolled.endpoint_hours.get(at)
        if sums is None:
            sums = rolled.endpoint_hours[at] = list(_NOTHING)
            rolled.providers[attempt.endpoint] = attempt.provider
        meaning = _SUCCESS if attempt.failure is None else _meaning(attempt.failure)
        sums[meaning] += 1
        if meaning is _SUCCESS:
            latency_ms = min(attempt.latency_ms, MEASURE_MAX)
            sums[_LATENCY_MS] += latency_ms
            sums[_LATENCY_BUCKET + bucket(latency_ms, LATENCY_BOUNDS_MS)] += 1
            if not answered:
                _add_answer(sums, sample, counted)
            answered = True


def _add_answer(sums: list[int], sample: Sample, counted: Sums) -> None:
    """The attempt that answered: how fast the rest of it came, and how much it was."""
    produced = counted[_COMPLETION_TOKENS]
    paced_ms = sample.duration_ms - sample.latency_ms
    if produced > 1 and paced_ms > 0:
        paced_ms = min(paced_ms, MEASURE_MAX)
        sums[_PACED_MS] += paced_ms
        sums[_PACED_TOKENS] += produced
        sums[_PACE_BUCKET + bucket(produced * MS_PER_S / paced_ms, PACE_BOUNDS)] += 1
    if sample.finish_reason == "tool_calls":
        sums[_TOOL_CALLS] += 1
    sums[_PROMPT] += counted[_PROMPT_TOKENS]
    sums[_COMPLETION] += produced


def _meaning(failure: str) -> Meaning:
    """A word that we do not know is from another version: it failed, and not by its caller."""
    try:
        return MEANINGS[FailureKind(failure)]
    except ValueError:
        return Meaning.OUTAGE
