"""However usage is added up, it is the same usage."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from operator import add
from typing import Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.control.usage import calendar
from fairlead.control.usage.rules import (
    MEASURE_MAX,
    KeySums,
    Rolled,
    cache_saved,
    key_sums_added,
    measures,
    roll,
)
from fairlead.control.usage.samples import Sample, sample
from fairlead.control.usage.series import SeriesBook
from fairlead.control.usage.types import (
    INSTALLATION,
    INSTALLATION_KEPT_AT,
    KEPT_AT,
    Level,
    Resolution,
    Series,
    Sums,
)
from fairlead.core.generation import Attempt, Generation
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceSheet, charge
from fairlead.core.usage import Usage
from fairlead.store.records import pack
from fairlead.store.tables.usage import ENDPOINT_COUNTS, MEASURES
from fairlead.testing.generations import arbitrary_generation, plain_generation
from tests.control.usage.synthetic import made, samples
from tests.seeded import SEEDED


def rolled(of: Iterable[Sample], **options: int) -> Rolled:
    every = list(of)
    apps = {one.id: 7 for one in every if one.attribution is not None}
    return roll(every, SeriesBook(**options), apps=apps, sheets={})


def together(parts: Iterable[Rolled]) -> Rolled:
    """What the database makes of several batches."""
    whole = Rolled()
    for part in parts:
        whole.families |= part.families
        for resolution, spans in part.sums.items():
            into = whole.sums.setdefault(resolution, {})
            for start_ms, rows in spans.items():
                there = into.setdefault(start_ms, {})
                for number, sums in rows.items():
                    before = there.get(number, (0,) * len(MEASURES))
                    there[number] = tuple(map(add, before, sums))
        for key, sums in part.keys.items():
            before = whole.keys.get(key)
            whole.keys[key] = sums if before is None else key_sums_added(before, sums)
        for mine, its in (
            (whole.endpoint_hours, part.endpoint_hours),
            (whole.endpoint_days, part.endpoint_days),
        ):
            for at, counts in its.items():
                mine[at] = list(map(add, mine.get(at, [0] * len(counts)), counts))
        whole.providers |= part.providers
    return whole


def series_of(result: Rolled) -> dict[int, Series]:
    return {
        number: one for family in result.families.values() for number, one in family.series.items()
    }


def total(of: Iterable[Sums]) -> Sums:
    whole = (0,) * len(MEASURES)
    for sums in of:
        whole = tuple(map(add, whole, sums))
    return whole


@given(SEEDED)
@settings(deadline=None, max_examples=40)
def test_any_order_and_any_batches_give_the_same_sums(source: random.Random):
    generations = made(source, 60)
    at_once = rolled(samples(generations))
    source.shuffle(generations)
    cuts = sorted(source.randrange(61) for _ in range(3))
    batches = [generations[low:high] for low, high in zip([0, *cuts], [*cuts, 60], strict=True)]
    assert together(rolled(samples(batch)) for batch in batches) == at_once


@given(SEEDED)
@settings(deadline=None, max_examples=40)
def test_at_every_resolution_and_level_the_sum_is_that_of_the_generations(source: random.Random):
    every = samples(made(source, 60))
    result = rolled(every)
    known = series_of(result)
    for account in ("acc-0", "acc-1", INSTALLATION):
        kept_at = KEPT_AT if account else INSTALLATION_KEPT_AT
        for resolution, levels in kept_at.items():
            for level in levels:
                expected = total(
                    measures(one, None)
                    for one in every
                    if account in ("", one.account)
                    # The installation counts apps alone, accounts also what came from none.
                    and (
                        account
                        or level not in (Level.APP, Level.APP_ALONE)
                        or one.attribution is not None
                    )
                )
                found = total(
                    sums
                    for rows in result.sums[resolution].values()
                    for number, sums in rows.items()
                    if known[number][:2] == (account, level)
                )
                assert found == expected, (account, resolution, level)


LEVELS_OF: Final = {
    "key": (Level.KEY,),
    "workspace": (Level.KEY, Level.WORKSPACE),
    "model": (Level.MODEL, Level.MODEL_ALONE),
    "provider": (Level.MODEL, Level.PROVIDER_ALONE),
}


@given(SEEDED, st.sampled_from(["key", "model", "endpoint", "provider", "workspace", "is_byok"]))
@settings(deadline=None, max_examples=40)
def test_whatever_a_level_tells_apart_has_the_sum_of_its_generations(
    source: random.Random, field: str
):
    every = samples(made(source, 60))
    result = rolled(every)
    known = series_of(result)
    levels = {Level.FULL, *LEVELS_OF.get(field, (Level.MODEL,))}
    for level in levels:
        expected: dict[tuple[int, str, object], Sums] = {}
        for one in every:
            day_ms = calendar.day_start_ms(round(one.created_s * 1000))
            at = (day_ms, one.account, getattr(one, field))
            expected[at] = total([expected.get(at, ()) or total([]), measures(one, None)])
        found: dict[tuple[int, str, object], Sums] = {}
        for day_ms, rows in result.sums[Resolution.DAY].items():
            for number, sums in rows.items():
                series = known[number]
                if series.level == level and series.account:
                    at = (day_ms, series.account, getattr(series, field))
                    found[at] = total([found.get(at, ()) or total([]), sums])
        assert found == expected


@given(SEEDED)
@settings(deadline=None, max_examples=30)
def test_minutes_hours_days_weeks_and_months_agree(source: random.Random):
    result = rolled(samples(made(source, 60)))
    full = {number for number, one in series_of(result).items() if one.level == Level.FULL}
    for resolution, finer in (
        (Resolution.HOUR, Resolution.MINUTE),
        (Resolution.DAY, Resolution.HOUR),
        (Resolution.WEEK, Resolution.DAY),
        (Resolution.MONTH, Resolution.DAY),
    ):
        expected: dict[tuple[int, int], Sums] = {}
        for start_ms, rows in result.sums[finer].items():
            for number in rows.keys() & full:
                at = (calendar.span_start_ms(resolution, start_ms), number)
                expected[at] = total([expected.get(at, total([])), rows[number]])
        found = {
            (start_ms, number): sums
            for start_ms, rows in result.sums[resolution].items()
            for number, sums in rows.items()
            if number in full
        }
        assert found == expected


@given(SEEDED)
@settings(deadline=None, max_examples=40)
def test_a_key_has_used_what_its_generations_of_the_latest_spans_did(source: random.Random):
    every = samples(made(source, 50))
    result = rolled(every)
    for key in {one.key for one in every}:
        own = [one for one in every if one.key == key]
        moments = [round(one.created_s * 1000) for one in own]
        found = result.keys[key]
        assert found.requests == len(own)
        assert found.last_used_ms == max(moments)
        assert found.cost == sum(one.cost for one in own)
        assert found.byok == sum(one.list_cost for one in own if one.is_byok)
        for start, place in (
            (calendar.day_start_ms, 4),
            (calendar.week_start_ms, 7),
            (calendar.month_start_ms, 10),
        ):
            latest = start(max(moments))
            inside = [one for one, at in zip(own, moments, strict=True) if start(at) == latest]
            assert found[place : place + 3] == (
                latest,
                sum(one.cost for one in inside),
                sum(one.list_cost for one in inside if one.is_byok),
            )


@given(st.lists(st.integers(0, 3), min_size=3, max_size=3), SEEDED)
def test_adding_keys_sums_is_associative_and_commutative(days: list[int], source: random.Random):
    def one(day: int) -> KeySums:
        at = day * calendar.DAY_MS
        cost, byok = source.randrange(100), source.randrange(100)
        return KeySums(1, at, cost, byok, at, cost, byok, 0, cost, byok, 0, cost, byok)

    a, b, c = map(one, days)
    assert key_sums_added(a, b) == key_sums_added(b, a)
    assert key_sums_added(key_sums_added(a, b), c) == key_sums_added(a, key_sums_added(b, c))


@given(SEEDED)
@settings(deadline=None, max_examples=30)
def test_endpoints_are_judged_by_the_attempts_that_had_a_chance(source: random.Random):
    every = samples(made(source, 40))
    result = rolled(every)
    names = ("successes", "outages", "limited", "caller_faults")
    counted: Counter[str] = Counter()
    for sums in result.endpoint_hours.values():
        counted.update(dict(zip(names, sums, strict=False)))
        assert sum(sums[len(ENDPOINT_COUNTS) : len(ENDPOINT_COUNTS) + 20]) == sums[0]
    attempts = [attempt for one in every for attempt in one.attempts]
    assert counted["successes"] == sum(attempt.failure is None for attempt in attempts)
    assert counted["outages"] == sum(attempt.failure is not None for attempt in attempts)


def test_who_was_let_go_says_nothing_about_the_endpoint():
    generation = plain_generation(
        1,
        attempts=(
            Attempt("a:m", "a", "m", None, 5, was_let_go=True),
            Attempt("b:m", "b", "m", 429, 5, "rate_limit"),
            Attempt("c:m", "c", "m", 400, 5, "bad_request"),
            Attempt("d:m", "d", "m", 500, 5, "a word of a later version"),
        ),
    )
    found = {at[2]: sums[:4] for at, sums in rolled(samples([generation])).endpoint_days.items()}
    assert found == {"b:m": [0, 0, 1, 0], "c:m": [0, 0, 0, 1], "d:m": [0, 1, 0, 0]}


def test_a_sample_is_the_front_of_a_generation():
    """By position: a field that moved would be counted as another."""
    fields = Sample.__struct_fields__
    assert fields == Generation.__struct_fields__[: len(fields)]


@given(SEEDED)
@settings(deadline=None)
def test_every_generation_can_be_counted(source: random.Random):
    generation = arbitrary_generation(source, 1)
    counted = dict(zip(MEASURES, measures(sample(pack(generation)), None), strict=True))
    assert all(abs(one) <= MEASURE_MAX and type(one) is int for one in counted.values())
    assert counted["requests"] == 1
    assert counted["cost_nano"] == min(generation.cost, MEASURE_MAX)
    assert counted["prompt_tokens"] == min(generation.usage.prompt_tokens, MEASURE_MAX)


def test_what_a_generation_adds():
    generation = plain_generation(
        0,
        usage=Usage(
            prompt=70, cache_read=20, cache_write=10, completion=50, reasoning=10, web_searches=2
        ),
        is_byok=False,
        upstream_cost=4,
        discount=5,
        waived=6,
        list_cost=7,
        cost=300,
        latency_ms=200,
        duration_ms=1200,
        finish_reason="tool_calls",
    )
    sheet = PriceSheet(
        prompt=PicoUSD(10_000), input_cache_read=PicoUSD(1_000), input_cache_write=PicoUSD(12_000),
        web_search=PicoUSD(40_000),
    )  # fmt: skip
    counted = dict(zip(MEASURES, measures(sample(pack(generation)), sheet), strict=True))
    assert counted == {
        "requests": 1, "cancelled": 0, "failed": 0, "tool_calls": 1,
        "prompt_tokens": 100, "cached_tokens": 20, "cache_write_tokens": 10,
        "completion_tokens": 60, "reasoning_tokens": 10, "web_searches": 2,
        "cost_nano": 300, "byok_nano": 0, "upstream_nano": 4,
        "cache_saved_nano": 20 * 9 - 10 * 2, "web_nano": 80, "discount_nano": 5, "waived_nano": 6,
        "latency_ms": 200, "latencies": 1, "paced_ms": 1000, "paced_tokens": 60, "duration_ms": 1200,
    }  # fmt: skip
    own = msgspec.structs.replace(generation, is_byok=True)
    of_own = dict(zip(MEASURES, measures(sample(pack(own)), sheet), strict=True))
    assert (of_own["byok_nano"], of_own["web_nano"]) == (7, 0)


@given(
    st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6),
    st.one_of(st.none(), st.integers(0, 10**7)), st.one_of(st.none(), st.integers(0, 10**7)),
    st.integers(0, 10**7),
)  # fmt: skip
def test_what_a_cache_saved_is_the_difference_to_plain_tokens(
    read: int,
    write: int,
    write_1h: int,
    price_read: int | None,
    price_write: int | None,
    plain: int,
):
    sheet = PriceSheet(
        prompt=PicoUSD(plain), input_cache_read=price_read, input_cache_write=price_write
    )
    usage = Usage(cache_read=read, cache_write=write, cache_write_1h=write_1h)
    without = charge(Usage(prompt=usage.prompt_tokens), sheet, at_s=0).total
    saved = cache_saved(usage, sheet, at_s=0)
    assert abs(without - charge(usage, sheet, at_s=0).total - saved) <= 2


def test_a_book_that_is_full_begins_again_and_says_the_same():
    generations = made(random.Random(5), 60)
    assert rolled(samples(generations), families_max=3) == rolled(samples(generations))
