"""A year of usage as it would lie in the database: the sums of ten million calls, without the calls.

Calls are drawn by the day for each key and model, spread over hours and minutes as far back as those are
kept, and added up by the program's own rules. So the rows are those that as many real calls would have left;
only what they say is made up.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from fairlead.control.usage import keeping
from fairlead.control.usage.apps import CATEGORIES
from fairlead.control.usage.calendar import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    month_start_ms,
    span_start_ms,
    week_start_ms,
)
from fairlead.control.usage.rules import Spans, coarser_sums
from fairlead.control.usage.series import Family, SeriesBook
from fairlead.control.usage.types import Resolution, Series
from fairlead.core.ids import AccountId, KeyId
from fairlead.store.database import Database
from fairlead.store.records import front, pack
from fairlead.store.tables.generations import generations
from fairlead.store.tables.usage import (
    ENDPOINT_COUNTS,
    LATENCY_BUCKETS,
    MEASURES,
    PACE_BUCKETS,
    apps,
    endpoint_days,
    endpoint_hours,
    key_usage,
    provider_days,
    provider_hours,
    usage_series,
)
from fairlead.testing.generations import plain_generation

__all__ = ["BIGGEST", "END_MS", "TYPICAL", "Year", "copy", "fill"]

END_MS: Final = 1_795_219_200_000  # 2026-11-21, a midnight
DAYS: Final = 365
MODELS: Final = 60
MODELS_OF_KEY: Final = (
    (0, 0.7),
    (1, 0.2),
    (2, 0.1),
)  # a key asks three, one of them most of the time
BIGGEST_SHARE: Final = 0.5  # of all calls and of a sixth of the keys
BIGGEST: Final = AccountId("acc-biggest")
TYPICAL: Final = AccountId("acc-0007")
ROWS_AT_ONCE: Final = 20_000
MINUTE_OF_DAY: Final = DAY_MS // MINUTE_MS


@dataclass(frozen=True, slots=True)
class Year:
    """How much there is. stored_calls: of the biggest account, of which there is a row each."""

    calls: int = 10_000_000
    accounts: int = 600
    keys: int = 3_000
    minutes_days: int = 7
    hours_days: int = 95
    stored_calls: int = 100_000


@dataclass(slots=True)
class _Key:
    name: str
    calls_a_day: float
    families: list[Family]  # one for each of its models
    used: dict[int, tuple[int, int]] = field(default_factory=dict)  # requests and cost by day


def fill(database: Database, year: Year) -> int:
    """Returns how many calls were drawn, about as many as wanted."""
    source = random.Random(7)
    keys = _keys(year, source)
    families = {family.full: family for key in keys for family in key.families}
    every: dict[int, Series] = {}
    for family in families.values():
        every |= family.series
    _insert(database, usage_series, ((number, *one) for number, one in every.items()))
    longer: dict[Resolution, Spans] = {Resolution.WEEK: {}, Resolution.MONTH: {}}
    count = 0
    for day in range(DAYS):
        day_ms = END_MS - (DAYS - day) * DAY_MS
        minutes: Spans = {}
        count += _draw_day(keys, year, day_ms, minutes, source)
        sums = coarser_sums(families, minutes)
        for resolution, kept_days in (
            (Resolution.MINUTE, year.minutes_days),
            (Resolution.HOUR, year.hours_days),
            (Resolution.DAY, DAYS),
        ):
            if day >= DAYS - kept_days:
                _insert(database, keeping.TABLES[resolution], _rows(sums[resolution], every))
        for resolution, spans in longer.items():
            if spans and span_start_ms(resolution, day_ms) not in spans:
                _insert(database, keeping.TABLES[resolution], _rows(spans, every))
                spans.clear()
            _add(spans, sums[resolution])
    for resolution, spans in longer.items():
        _insert(database, keeping.TABLES[resolution], _rows(spans, every))
    _insert(database, key_usage, map(_key_row, keys))
    _insert(database, apps, map(_app_row, sorted({one.app for one in every.values() if one.app})))
    _fill_endpoints(database, year, every, source)
    _store_calls(database, year, keys[0].families[0], source)
    _analyze(database)
    return count


def copy(source: Database, target: Database) -> None:
    """A year that is there already into a database of another kind."""
    tables = (
        *keeping.TABLES.values(), usage_series, key_usage,
        endpoint_hours, endpoint_days, provider_hours, provider_days,
    )  # fmt: skip
    with source.read() as connection:
        for table in (*tables, apps, generations):
            rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(sa.select(table))
            for some in rows.partitions():
                _insert(target, table, some)
    _analyze(target)


def _keys(year: Year, source: random.Random) -> list[_Key]:
    """The biggest account's first. How much others use falls off with their number."""
    book = SeriesBook(families_max=year.keys * len(MODELS_OF_KEY))
    biggest = year.keys // 6
    a_day = year.calls / DAYS
    weights = [1 / (1 + number) ** 0.5 for number in range(year.keys - biggest)]
    per_weight = a_day * (1 - BIGGEST_SHARE) / sum(weights)
    keys = []
    for number in range(year.keys):
        if number < biggest:
            account, calls_a_day = str(BIGGEST), a_day * BIGGEST_SHARE / biggest
        else:
            place = number - biggest
            account = f"acc-{place % (year.accounts - 1):04}"
            calls_a_day = weights[place] * per_weight
        name = f"key-{number:032x}"
        models = source.sample(range(MODELS), len(MODELS_OF_KEY))
        families = [
            book.family(
                account,
                f"{account}-workspace-{number % 4}",
                name,
                f"user-{account}-{number % 9}",
                f"author-{model % 11}/model-{model}",
                f"provider-{model % 13}:model-{model}",
                f"provider-{model % 13}",
                "completions",
                is_byok=False,
                app=number % 40 if number % 2 else 0,
            )
            for model in models
        ]
        keys.append(_Key(name, calls_a_day, families))
    return keys


def _draw_day(
    keys: Sequence[_Key], year: Year, day_ms: int, minutes: Spans, source: random.Random
) -> int:
    """As fine as the sums of that day are still kept."""
    age = (END_MS - day_ms) // DAY_MS
    step = MINUTE_MS if age <= year.minutes_days else HOUR_MS if age <= year.hours_days else DAY_MS
    steps = DAY_MS // step
    total = 0
    for key in keys:
        requests = cost = 0
        for place, share in MODELS_OF_KEY:
            expected = key.calls_a_day * share * (0.5 + source.random())
            calls = int(expected) + (source.random() < expected % 1)
            if not calls:
                continue
            number = key.families[place].full
            per_call = source.randrange(100_000, 5_000_000)
            requests += calls
            cost += calls * per_call
            for start_ms, some in _spread(calls, steps, step, day_ms, source):
                minutes.setdefault(start_ms, {})[number] = _sums(some, per_call)
        if requests:
            key.used[day_ms] = (requests, cost)
            total += requests
    return total


def _spread(
    calls: int, steps: int, step: int, day_ms: int, source: random.Random
) -> Iterator[tuple[int, int]]:
    if steps == 1:
        yield day_ms, calls
        return
    drawn: dict[int, int] = {}
    for _ in range(calls):
        at = source.randrange(steps)
        drawn[at] = drawn.get(at, 0) + 1
    for at, some in drawn.items():
        yield day_ms + at * step, some


_PER_CALL: Final = {
    "requests": 1, "prompt_tokens": 1500, "cached_tokens": 300, "completion_tokens": 400,
    "reasoning_tokens": 50, "latency_ms": 700, "latencies": 1, "paced_ms": 4000, "paced_tokens": 400,
    "duration_ms": 4700,
}  # fmt: skip
_SUMS: Final = tuple(_PER_CALL.get(name, 0) for name in MEASURES)
_COST: Final = MEASURES.index("cost_nano")


def _sums(calls: int, cost: int) -> tuple[int, ...]:
    sums = [one * calls for one in _SUMS]
    sums[_COST] = cost * calls
    return tuple(sums)


def _add(into: Spans, more: Spans) -> None:
    for start_ms, rows in more.items():
        there = into.setdefault(start_ms, {})
        for number, sums in rows.items():
            before = there.get(number)
            there[number] = (
                sums if before is None else tuple(map(sum, zip(before, sums, strict=True)))
            )


def _rows(spans: Spans, every: Mapping[int, Series]) -> list[tuple[object, ...]]:
    return sorted(
        (every[number].account, int(every[number].level), start_ms, number, *sums)
        for start_ms, rows in spans.items()
        for number, sums in rows.items()
    )


def _key_row(key: _Key) -> tuple[object, ...]:
    last_ms = max(key.used, default=END_MS - DAYS * DAY_MS)
    week_ms, month_ms = week_start_ms(last_ms), month_start_ms(last_ms)

    def spent(from_ms: int) -> int:
        return sum(cost for day_ms, (_, cost) in key.used.items() if day_ms >= from_ms)

    requests = sum(count for count, _ in key.used.values())
    return (
        key.name, requests, last_ms, spent(0), 0, last_ms, spent(last_ms), 0,
        week_ms, spent(week_ms), 0, month_ms, spent(month_ms), 0,
    )  # fmt: skip


def _app_row(app: int) -> tuple[object, ...]:
    categories = ",".join(sorted(CATEGORIES)[app % 3 :: 7])
    return (app, f"https://app-{app}.example", str(TYPICAL), f"App {app}", categories, True, 0)


def _fill_endpoints(
    database: Database, year: Year, every: Mapping[int, Series], source: random.Random
) -> None:
    """Every endpoint in every hour and day: more than there would be."""
    known = sorted(
        {(one.model, one.endpoint, one.provider) for one in every.values() if one.endpoint}
    )
    width = len(ENDPOINT_COUNTS) + LATENCY_BUCKETS + PACE_BUCKETS
    for table, step, days in (
        (endpoint_hours, HOUR_MS, year.hours_days),
        (endpoint_days, DAY_MS, DAYS),
    ):
        starts = range(END_MS - days * DAY_MS, END_MS, step)
        _insert(
            database,
            table,
            (
                (model, start_ms, endpoint, provider, *(source.randrange(50) for _ in range(width)))
                for model, endpoint, provider in known
                for start_ms in starts
            ),
        )

    for of_providers, of_endpoints in (
        (provider_hours, endpoint_hours),
        (provider_days, endpoint_days),
    ):
        keys = [of_endpoints.c.start_ms, of_endpoints.c.provider]
        sums = [sa.func.sum(of_endpoints.c[name]) for name in list(of_providers.c.keys())[2:]]
        query = sa.select(*keys, *sums).group_by(*keys)
        with database.begin(statement_timeout_s=0) as connection:
            connection.execute(sa.insert(of_providers).from_select(of_providers.c.keys(), query))


def _store_calls(database: Database, year: Year, family: Family, source: random.Random) -> None:
    """The biggest account's latest calls themselves, over a month."""
    series = family.series[family.full]
    records = []
    for number in range(year.stored_calls):
        created_s = (END_MS - 31 * DAY_MS + source.randrange(31 * DAY_MS)) / 1000
        record = pack(
            plain_generation(
                number, account=BIGGEST, key=KeyId(series.key), created_s=created_s,
                model=series.model, endpoint=series.endpoint, provider=series.provider,
            )
        )  # fmt: skip
        first = front(record)
        records.append(
            {
                "id": first.id, "account_id": first.account, "key_id": first.key,
                "created_ms": round(created_s * 1000), "model": first.model,
                "endpoint": first.endpoint, "provider": first.provider, "outcome": first.outcome,
                "prompt_tokens": 0, "cached_tokens": 0, "completion_tokens": 0,
                "reasoning_tokens": 0, "cost_nano": first.cost, "record": record,
            }
        )  # fmt: skip
    for start in range(0, len(records), ROWS_AT_ONCE):
        with database.begin() as connection:
            connection.execute(sa.insert(generations), records[start : start + ROWS_AT_ONCE])


def _analyze(database: Database) -> None:
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def _insert(database: Database, table: sa.Table, rows: object) -> None:
    """As fast as each database takes rows that nobody else is writing."""
    every = list(rows)  # type: ignore[call-overload]
    columns = list(table.columns.keys())
    for start in range(0, len(every), ROWS_AT_ONCE):
        some = every[start : start + ROWS_AT_ONCE]
        with database.begin(statement_timeout_s=0) as connection:
            if connection.dialect.name == "postgresql":
                raw = connection.connection.driver_connection
                assert raw is not None
                with raw.cursor().copy(
                    f"COPY {table.name} ({', '.join(columns)}) FROM STDIN"
                ) as copy:
                    for row in some:
                        copy.write_row(row)
            else:
                places = ", ".join("?" * len(columns))
                connection.exec_driver_sql(
                    f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({places})",
                    some,
                )
