"""Whatever is asked of the sums, the answer is what adding up the generations would give."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairlead.control.usage import sum_queries
from fairlead.control.usage.analysis import Question, QuestionInvalid
from fairlead.control.usage.calendar import DAY_MS, HOUR_MS, MINUTE_MS
from fairlead.control.usage.dimensions import Dimension, Filter, Operator
from fairlead.control.usage.endpoints import together
from fairlead.control.usage.metrics import METRICS
from fairlead.control.usage.rollup import UsageRollup
from fairlead.control.usage.rules import measures
from fairlead.control.usage.samples import Sample
from fairlead.control.usage.service import Usage, _value
from fairlead.control.usage.spans import Granularity, bucket_start_ms
from fairlead.control.usage.types import INSTALLATION, Level, Resolution
from fairlead.core.ids import AccountId, KeyId, UserId
from fairlead.store import migrate
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.store.records import pack
from fairlead.store.tables.generations import generations
from fairlead.store.tables.usage import MEASURES, usage_days
from tests.control.usage.synthetic import BEGIN_S, DAY_S, made, samples
from tests.control.usage.test_rollup import settled
from tests.postgres_server import PostgresDatabases

ACCOUNT = AccountId("acc-1")
DAYS = 70
NOW_MS = (BEGIN_S + DAYS * DAY_S) * 1000 + 5 * HOUR_MS
GENERATIONS = made(random.Random(1), 300, days=DAYS)
SAMPLES = samples(GENERATIONS)
EVERY_MEASURE = list(MEASURES)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database in which GENERATIONS were settled. Tests only read it."""
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("data") / DATABASE_FILE
        with closing(open_database(path)) as database:
            migrate.prepare(database)
            yield fill(database)
    else:
        databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
        with databases.prepared() as url, closing(open_database(url)) as database:
            yield fill(database)


def fill(database: Database) -> Database:
    step = UsageRollup(database)
    for start in range(0, len(GENERATIONS), 90):
        batch = GENERATIONS[start : start + 90]
        with database.begin() as connection:
            connection.execute(sa.insert(generations), list(map(settled, batch)))
            step.add_within(connection, list(map(pack, batch)))
    return database


def usage_of(database: Database, *, now_ms: int = NOW_MS, minutes_days: int = 3650) -> Usage:
    return Usage(
        database, now_ms=lambda: now_ms, minutes_days=minutes_days, hours_days=minutes_days
    )


def expected(
    account: str, start_ms: int, end_ms: int, granularity, dimensions, filters
) -> dict[tuple[object, ...], list[int]]:
    found: dict[tuple[object, ...], list[int]] = {}
    for one in SAMPLES:
        at_ms = round(one.created_s * 1000)
        if account not in ("", one.account) or not start_ms <= at_ms < end_ms:
            continue
        if not all(filter_.holds(_value(one, filter_.dimension)) for filter_ in filters):
            continue
        start = 0 if granularity is None else bucket_start_ms(granularity, at_ms)
        group = (start, *(_value(one, dimension) for dimension in dimensions))
        sums = found.setdefault(group, [0] * len(MEASURES))
        for place, count in enumerate(measures(one, None)):
            sums[place] += count
    return found


PLAIN = [one for one in Dimension if one is not Dimension.APP]
ANSWERED = [
    Dimension.MODEL, Dimension.PROVIDER, Dimension.ENDPOINT, Dimension.API_TYPE, Dimension.BYOK,
]  # fmt: skip


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int]:
    """Of whole minutes, often of whole hours or days."""
    length_ms = draw(st.sampled_from([MINUTE_MS, HOUR_MS, DAY_MS]))
    first = BEGIN_S * 1000 // length_ms
    count = DAYS * DAY_MS // length_ms
    low = draw(st.integers(-1, count))
    high = draw(st.integers(low + 1, count + 2))
    return (first + low) * length_ms, (first + high) * length_ms


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    dimension = draw(st.sampled_from(PLAIN))
    seen = sorted({_value(one, dimension) for one in SAMPLES}, key=str)
    operators = [one for one in Operator if dimension is not Dimension.BYOK or not one.is_ordering]
    operator = draw(st.sampled_from(operators))
    if operator in (Operator.IN, Operator.NOT_IN):
        values = tuple(draw(st.lists(st.sampled_from(seen), min_size=1, max_size=3)))
        return Filter(dimension, operator, values, draw(st.booleans()))
    return Filter(dimension, operator, (draw(st.sampled_from(seen)),))


@given(
    span=ranges(),
    granularity=st.one_of(st.none(), st.sampled_from(list(Granularity))),
    dimensions=st.lists(st.sampled_from(PLAIN), max_size=2, unique=True),
    filters=st.lists(filters(), max_size=2),
)
@settings(deadline=None, max_examples=40)
def test_any_question_is_answered_as_if_generations_were_added_up(
    filled: Database, span, granularity, dimensions, filters
):
    start_ms, end_ms = span
    found = usage_of(filled).sums(
        ACCOUNT, start_ms=start_ms, end_ms=end_ms, granularity=granularity,
        dimensions=dimensions, filters=filters,
    )  # fmt: skip
    assert found == expected(ACCOUNT, start_ms, end_ms, granularity, dimensions, filters)


@given(
    days=st.tuples(st.integers(0, DAYS), st.integers(1, DAYS)),
    granularity=st.sampled_from([None, Granularity.DAY, Granularity.WEEK, Granularity.MONTH]),
    dimensions=st.lists(st.sampled_from(ANSWERED), max_size=2, unique=True),
)
@settings(deadline=None, max_examples=15)
def test_of_the_installation_too(filled: Database, days, granularity, dimensions):
    start_ms = (BEGIN_S + days[0] * DAY_S) * 1000
    end_ms = start_ms + days[1] * DAY_MS
    found = usage_of(filled).sums(
        INSTALLATION, start_ms=start_ms, end_ms=end_ms, granularity=granularity,
        dimensions=dimensions,
    )  # fmt: skip
    assert found == expected("", start_ms, end_ms, granularity, dimensions, [])


@given(
    span=ranges(),
    granularity=st.sampled_from([Granularity.DAY, Granularity.WEEK, Granularity.MONTH]),
    dimension=st.sampled_from(PLAIN),
    biggest=st.integers(0, 4),
    filters=st.lists(filters(), max_size=1),
    has_room=st.booleans(),
)
@example(
    span=(BEGIN_S * 1000, (BEGIN_S + DAYS * DAY_S) * 1000),
    granularity=Granularity.DAY,
    dimension=Dimension.ENDPOINT,
    biggest=0,
    filters=[Filter(Dimension.API_KEY, Operator.NEQ, ("key-3",))],
    has_room=False,
)
@settings(deadline=None, max_examples=25)
def test_a_chart_shows_the_biggest_and_the_rest_is_what_is_left(
    filled: Database, span, granularity, dimension, biggest, filters, has_room
):
    """has_room: whether sums of all groups in all buckets may be read at once."""
    start_ms, end_ms = span
    whole = expected(ACCOUNT, start_ms, end_ms, granularity, [dimension], filters)
    totals = expected(ACCOUNT, start_ms, end_ms, None, [dimension], filters)
    requests = MEASURES.index("requests")
    with pytest.MonkeyPatch.context() as patch:
        if not has_room:
            buckets = expected(ACCOUNT, start_ms, end_ms, granularity, [], filters)
            patch.setattr(sum_queries, "SERIES_MAX", 1)
            patch.setattr(
                sum_queries, "GROUPS_MAX", max(len(totals), (biggest + 1) * len(buckets)) + 1
            )
        chart = usage_of(filled).charted(
            ACCOUNT, dimension, start_ms=start_ms, end_ms=end_ms, granularity=granularity,
            measures=["requests"], biggest=biggest, filters=filters,
        )  # fmt: skip
    sizes = [totals[(0, value)][requests] for value in chart.biggest]
    assert sizes == sorted((sums[requests] for sums in totals.values()), reverse=True)[:biggest]
    assert chart.sums == {
        group: [sums[requests]] for group, sums in whole.items() if group[1] in chart.biggest
    }
    for bucket_ms, (left,) in chart.rest.items():
        others = (
            sums[requests]
            for group, sums in whole.items()
            if group[0] == bucket_ms and group[1] not in chart.biggest
        )
        assert left == sum(others)
    assert chart.rest.keys() == {group[0] for group in whole}


def test_a_chart_goes_by_its_groups_where_undivided_sums_lack_what_an_older_server_settled(
    database: Database,
):
    """One of the version before that still runs adds to the sums alone that it knows."""
    fill(database)
    table = usage_days
    undivided = (table.c.account_id == ACCOUNT) & (table.c.level == Level.PROVIDER_ALONE)
    with database.begin() as connection:
        days = connection.scalars(
            sa.select(table.c.start_ms).where(undivided).distinct().order_by(table.c.start_ms)
        ).all()
        connection.execute(sa.delete(table).where(undivided, table.c.start_ms == days[0]))
        connection.execute(
            sa.update(table).where(undivided, table.c.start_ms == days[1]).values(requests=0)
        )
    start_ms, end_ms = BEGIN_S * 1000, (BEGIN_S + DAYS * DAY_S) * 1000
    chart = usage_of(database).charted(
        ACCOUNT, Dimension.API_KEY, start_ms=start_ms, end_ms=end_ms, granularity=Granularity.DAY,
        measures=["requests"], biggest=100,
    )  # fmt: skip
    of_day: dict[int, int] = {}
    for (day_ms, _), (requests,) in chart.sums.items():
        of_day[day_ms] = of_day.get(day_ms, 0) + requests
    whole = expected(ACCOUNT, start_ms, end_ms, Granularity.DAY, [], [])
    requests = MEASURES.index("requests")
    assert of_day == {day_ms: sums[requests] for (day_ms,), sums in whole.items()}
    assert chart.rest == {day_ms: [0] for day_ms in of_day}


def test_apps_have_the_usage_of_their_calls(filled: Database):
    usage = usage_of(filled)
    start_ms, end_ms = BEGIN_S * 1000, (BEGIN_S + DAYS * DAY_S) * 1000
    whole = {"start_ms": start_ms, "end_ms": end_ms, "measures": ["requests"]}
    by_app = usage.sums(INSTALLATION, dimensions=[Dimension.APP], **whole)
    app = usage.app("https://cline.example")
    assert app is not None
    assert app.title == "Cline"
    of_app = [
        one for one in SAMPLES if one.attribution and "cline" in (one.attribution.referer or "")
    ]
    assert by_app[(0, app.id)] == [len(of_app)]
    own = usage.sums(ACCOUNT, filters=[Filter(Dimension.APP, Operator.EQ, (app.id,))], **whole)
    assert own[(0,)] == [sum(one.account == ACCOUNT for one in of_app)]
    assert usage.apps([app.id]) == {app.id: app}


def test_where_finer_sums_are_gone_the_range_is_widened_and_that_is_said(filled: Database):
    usage = usage_of(filled, minutes_days=7)
    day_ms = (BEGIN_S + 10 * DAY_S) * 1000
    question = Question((METRICS["request_count"],), day_ms + 5 * HOUR_MS, day_ms + DAY_MS)
    analysis = usage.analysed(ACCOUNT, question)
    whole = expected(ACCOUNT, day_ms, day_ms + DAY_MS, None, [], [])
    assert analysis.rows[0].metrics["request_count"] == whole[(0,)][0]
    assert "widened" in analysis.warnings[0]
    with pytest.raises(QuestionInvalid, match="minutes are kept for 7 days"):
        usage.sums(ACCOUNT, start_ms=day_ms, end_ms=day_ms + 1, granularity=Granularity.MINUTE)
    with pytest.raises(QuestionInvalid, match="hours are kept for 7 days"):
        usage.sums(ACCOUNT, start_ms=day_ms, end_ms=day_ms + 1, granularity=Granularity.HOUR)


def test_each_call_by_itself_newest_first(filled: Database):
    question = Question(
        (METRICS["total_usage"], METRICS["tokens_total"]),
        BEGIN_S * 1000,
        (BEGIN_S + 31 * DAY_S) * 1000,
        dimensions=(Dimension.MODEL,),
        by_generation=True,
        filters=(Filter(Dimension.API_KEY, Operator.EQ, ("key-3",)),),
        limit=5,
    )
    own = [one for one in SAMPLES if one.key == "key-3" and one.created_s < BEGIN_S + 31 * DAY_S]
    own.sort(key=lambda one: -one.created_s)
    analysis = usage_of(filled).analysed(ACCOUNT, question)
    assert [(row.generation, row.values) for row in analysis.rows] == [
        (one.id, (one.model,)) for one in own[:5]
    ]
    assert analysis.was_truncated
    assert analysis.rows[0].metrics["total_usage"] == own[0].cost / 1e9


def test_calls_are_looked_through_up_to_a_bound(filled: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fairlead.control.usage.service.CALLS_AT_ONCE", 10)
    monkeypatch.setattr("fairlead.control.usage.service.CALLS_MAX", 30)
    question = Question(
        (METRICS["request_count"],), BEGIN_S * 1000, (BEGIN_S + 31 * DAY_S) * 1000,
        by_generation=True, filters=(Filter(Dimension.API_KEY, Operator.EQ, ("key-none",)),),
    )  # fmt: skip
    analysis = usage_of(filled).analysed(ACCOUNT, question)
    assert analysis.rows == ()
    assert analysis.was_truncated


# Activity.


def activity_of(one: Sample) -> tuple[object, ...]:
    return (one.model, one.endpoint, one.provider)


def test_activity_is_of_the_last_thirty_days_that_are_over(filled: Database):
    rows = usage_of(filled).activity(ACCOUNT)
    today_s = NOW_MS // 1000 // DAY_S * DAY_S
    own = [
        one
        for one in SAMPLES
        if one.account == ACCOUNT and today_s - 30 * DAY_S <= one.created_s < today_s
    ]
    assert sum(row.requests for row in rows) == len(own)
    assert sum(row.cost for row in rows) == sum(one.cost for one in own)
    assert sum(row.byok for row in rows) == sum(one.list_cost for one in own if one.is_byok)
    assert {(row.model, row.endpoint, row.provider) for row in rows} == set(map(activity_of, own))
    assert [row.day_ms for row in rows] == sorted((row.day_ms for row in rows), reverse=True)
    assert {row.workspace for row in rows} == {None}


def test_activity_can_be_narrowed_and_divided(filled: Database):
    usage = usage_of(filled)
    own = [one for one in SAMPLES if one.account == ACCOUNT]
    day_ms = round(own[0].created_s * 1000) // DAY_MS * DAY_MS
    of_day = [one for one in own if day_ms <= one.created_s * 1000 < day_ms + DAY_MS]
    assert sum(row.requests for row in usage.activity(ACCOUNT, day_ms=day_ms)) == len(of_day)
    by_workspace = usage.activity(ACCOUNT, day_ms=day_ms, by_workspace=True)
    assert {row.workspace for row in by_workspace} == {one.workspace for one in of_day}
    one = of_day[0]
    for narrowed, holds in (
        ({"key": one.key}, lambda other: other.key == one.key),
        ({"user": UserId(one.user or "")}, lambda other: (other.user or "") == (one.user or "")),
        ({"workspaces": [one.workspace]}, lambda other: other.workspace == one.workspace),
    ):
        rows = usage.activity(ACCOUNT, day_ms=day_ms, **narrowed)
        assert sum(row.requests for row in rows) == sum(map(holds, of_day))
    assert usage.activity(AccountId("acc-other")) == []


# Keys.


def test_a_key_has_used_nothing_in_a_day_that_has_just_begun(filled: Database):
    key = KeyId("key-3")
    own = [one for one in SAMPLES if one.key == key]
    latest_ms = max(round(one.created_s * 1000) for one in own)
    then = usage_of(filled, now_ms=latest_ms).of_keys([key, KeyId("key-none")])
    assert then.keys() == {key}
    assert then[key].total.cost == sum(one.cost for one in own)
    assert then[key].last_used_ms == latest_ms
    assert then[key].daily.cost == sum(
        one.cost for one in own if one.created_s * 1000 >= latest_ms - latest_ms % DAY_MS
    )
    later = usage_of(filled, now_ms=latest_ms + 40 * DAY_MS).of_keys([key])[key]
    assert later.total == then[key].total
    assert (later.daily.cost, later.weekly.cost, later.monthly.cost) == (0, 0, 0)


# Endpoints.


def test_endpoints_history_by_hour_and_by_day_agrees(filled: Database):
    usage = usage_of(filled)
    whole = {"start_ms": BEGIN_S * 1000, "end_ms": NOW_MS, "model": "openai/o1"}
    by_day = together(usage.endpoint_history(Resolution.DAY, **whole))
    by_hour = together(usage.endpoint_history(Resolution.HOUR, **whole))
    assert {name: one.counts for name, one in by_day.items()} == {
        name: one.counts for name, one in by_hour.items()
    }
    assert by_day.keys() == {"azure:openai/o1", "slow:x"}
    good = by_day["azure:openai/o1"]
    own = [one for one in SAMPLES if one.model == "openai/o1"]
    assert good.calls == good.count("successes") == len(own)
    assert good.uptime == 1.0
    assert by_day["slow:x"].uptime == 0.0
    assert by_day["slow:x"].latency_s is None
    latencies = sorted(one.attempts[-1].latency_ms / 1000 for one in own)
    assert good.latency_s == pytest.approx(sum(latencies) / len(latencies))
    median = good.latency_percentile_s(0.5)
    assert median is not None
    assert latencies[len(latencies) // 2] == pytest.approx(median, rel=0.25)
    assert good.pace_percentile(0.5) is not None
    assert {
        one.model for one in usage.endpoint_history(Resolution.DAY, **(whole | {"model": None}))
    } == {one.model for one in SAMPLES}
