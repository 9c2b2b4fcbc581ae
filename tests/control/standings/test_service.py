"""What everybody may see agrees with the generations, on both databases."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from fairlead.control.standings import incidents, queries
from fairlead.control.standings.incidents import FailingHour
from fairlead.control.standings.service import Standings
from fairlead.control.standings.types import Period, Subject, Window
from fairlead.control.usage.calendar import DAY_MS, HOUR_MS, week_start_ms
from fairlead.control.usage.rollup import UsageRollup
from fairlead.control.usage.samples import Sample
from fairlead.control.usage.service import Usage
from fairlead.store import migrate
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.store.records import pack
from fairlead.store.tables.generations import generations
from tests.control.usage.synthetic import BEGIN_S, DAY_S, made, samples
from tests.control.usage.test_rollup import settled
from tests.postgres_server import PostgresDatabases

DAYS = 40
NOW_MS = (BEGIN_S + (DAYS - 1) * DAY_S) * 1000 + 5 * HOUR_MS
GENERATIONS = [
    one for one in made(random.Random(11), 300, days=DAYS) if one.created_s * 1000 < NOW_MS
]
SAMPLES = samples(GENERATIONS)
CLINE = "https://cline.example"
SECRETS = {
    name for one in SAMPLES for name in (one.account, one.key, one.user, one.workspace) if name
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def standings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standings]:
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("data") / DATABASE_FILE
        with closing(open_database(path)) as database:
            migrate.prepare(database)
            yield filled(database)
    else:
        databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
        with databases.prepared() as url, closing(open_database(url)) as database:
            yield filled(database)


def filled(database: Database) -> Standings:
    step = UsageRollup(database)
    for start in range(0, len(GENERATIONS), 90):
        batch = GENERATIONS[start : start + 90]
        with database.begin() as connection:
            connection.execute(sa.insert(generations), list(map(settled, batch)))
            step.add_within(connection, list(map(pack, batch)))
    usage = Usage(database, now_ms=lambda: NOW_MS, minutes_days=7, hours_days=95)
    return Standings(database, usage, now_ms=lambda: NOW_MS)


def age_days(one: Sample) -> int:
    """0: today."""
    return (NOW_MS // DAY_MS) - round(one.created_s * 1000) // DAY_MS


def tokens(one: Sample) -> int:
    return one.usage.prompt_tokens + one.usage.completion_tokens


def is_clines(one: Sample) -> bool:
    return one.attribution is not None and one.attribution.referer == f"{CLINE}/"


@pytest.mark.parametrize("period", list(Period))
def test_models_are_ranked_by_their_tokens(standings: Standings, period: Period):
    found = standings.rankings(Subject.MODEL, period)
    now, before = Counter[str](), Counter[str]()
    for one in SAMPLES:
        if age_days(one) < period.days:
            now[one.model] += tokens(one)
        elif age_days(one) < 2 * period.days:
            before[one.model] += tokens(one)
    assert {row.name: row.tokens for row in found.rows} == now
    assert [row.name for row in found.rows] == [name for name, _ in now.most_common()]
    assert {row.name: row.tokens_before for row in found.rows} == {
        name: before[name] for name in now
    }
    assert found.tokens == now.total()
    assert found.end_ms == NOW_MS


def test_authors_are_ranked_by_all_their_models(standings: Standings):
    found = standings.rankings(Subject.AUTHOR, Period.MONTH)
    expected = Counter[str]()
    for one in SAMPLES:
        if age_days(one) < 30:
            expected[one.model.split("/")[0]] += tokens(one)
    assert {row.name: row.tokens for row in found.rows} == expected


def test_apps_and_their_categories_are_ranked(standings: Standings):
    of_apps = [one for one in SAMPLES if one.attribution is not None and age_days(one) < 30]
    apps = standings.rankings(Subject.APP, Period.MONTH)
    assert apps.tokens == sum(map(tokens, of_apps))
    assert apps.requests == len(of_apps)
    by_address = {row.app.address: row for row in apps.rows if row.app is not None}
    clines = sum(tokens(one) for one in of_apps if is_clines(one))
    assert by_address[CLINE].tokens == clines
    assert by_address[CLINE].name == "Cline"
    categories = standings.rankings(Subject.CATEGORY, Period.MONTH)
    by_name = {row.name: row.tokens for row in categories.rows}
    assert by_name.keys() == {"cli-agent", "game"}
    assert by_name["cli-agent"] == clines
    assert categories.tokens == apps.tokens


def test_a_ranking_can_be_of_one_category(standings: Standings):
    expected = Counter[str]()
    for one in SAMPLES:
        if is_clines(one) and age_days(one) < 7:
            expected[one.model] += tokens(one)
    for category in ("cli-agent", "coding"):
        found = standings.rankings(Subject.MODEL, Period.WEEK, category=category)
        assert {row.name: row.tokens for row in found.rows} == expected
        (app,) = standings.rankings(Subject.APP, Period.WEEK, category=category).rows
        assert (app.name, app.share) == ("Cline", 1.0)


def test_whether_sums_are_sought_or_all_are_read_is_the_same(
    standings: Standings, monkeypatch: pytest.MonkeyPatch
):
    def asked() -> list[object]:
        return [
            standings.rankings(Subject.MODEL, Period.MONTH, category="coding"),
            standings.shares(Subject.AUTHOR, Period.WEEK, category="coding"),
            standings.apps_of_model("openai/o1", Period.MONTH),
            standings.app(CLINE, Period.WEEK),
        ]

    monkeypatch.setattr(queries, "SEEK_FROM", 0)
    sought = asked()
    monkeypatch.setattr(queries, "SEEK_FROM", 1_000_000)
    assert sought == asked()


def test_both_at_once_are_the_same(standings: Standings):
    assert standings.rankings_and_shares(
        Subject.AUTHOR, Period.WEEK, shown=3, category="coding"
    ) == (
        standings.rankings(Subject.AUTHOR, Period.WEEK, category="coding"),
        standings.shares(Subject.AUTHOR, Period.WEEK, shown=3, category="coding"),
    )


def test_shares_over_weeks_are_all_of_it(standings: Standings):
    found = standings.shares(Subject.MODEL, Period.WEEK, shown=2)
    assert len(found.names) == 2
    expected = Counter(dict.fromkeys(found.starts_ms, 0))
    for one in SAMPLES:
        expected[week_start_ms(round(one.created_s * 1000))] += tokens(one)
    assert [found.total(place) for place in range(52)] == list(expected.values())
    assert len(standings.shares(Subject.CATEGORY, Period.DAY).starts_ms) == 30
    assert sum(standings.shares(Subject.APP, Period.MONTH).rest) == 0


def test_a_models_days_are_there_without_calls_too(standings: Standings):
    found = standings.model_activity("openai/o1", days=20)
    assert len(found.days) == 20
    own = [one for one in SAMPLES if one.model == "openai/o1" and age_days(one) < 20]
    assert found.requests == len(own)
    assert found.tokens == sum(map(tokens, own))
    assert found.days[-1].start_ms == NOW_MS - NOW_MS % DAY_MS
    assert found.week_tokens == standings.weekly_tokens()["openai/o1"]
    speeds = standings.weekly_speeds()
    assert speeds.keys() == standings.weekly_tokens().keys()
    assert 0 < (speeds["openai/o1"].latency_s or 0) < 60
    assert sum(day.tool_calls for day in found.days) == sum(
        one.finish_reason == "tool_calls" for one in own
    )
    nobodys = standings.model_activity("nobody/nothing", days=3)
    assert (nobodys.requests, nobodys.tokens, len(nobodys.days)) == (0, 0, 3)


def test_an_app_has_a_page(standings: Standings):
    found = standings.app(CLINE, Period.MONTH, days=30)
    assert found is not None
    own = [one for one in SAMPLES if is_clines(one) and age_days(one) < 30]
    assert found.app.title == "Cline"
    assert found.models.tokens == sum(day.tokens for day in found.days) == sum(map(tokens, own))
    assert {row.name for row in found.models.rows} == {one.model for one in own}
    assert standings.app("https://nobody.example") is None
    of_model = standings.apps_of_model("openai/o1", Period.MONTH)
    assert {row.app.address: row.tokens for row in of_model.rows if row.app}[CLINE] == sum(
        tokens(one) for one in own if one.model == "openai/o1"
    )


def test_endpoints_have_histories_and_uptimes_that_agree(standings: Standings):
    own = [one for one in SAMPLES if one.model == "openai/o1" and age_days(one) < 30]
    found = standings.histories("openai/o1", Window.MONTH)
    by_endpoint = {one.endpoint: one for one in found.endpoints}
    azure = by_endpoint["azure:openai/o1"]
    assert (azure.provider, azure.whole.calls, azure.whole.uptime) == ("azure", len(own), 1.0)
    assert found.endpoints[0] == azure
    assert {span.start_ms for span in azure.spans} <= set(found.starts_ms)
    assert azure.whole.latency_percentile_s(0.5) is not None
    by_uptime = {
        one.endpoint: one for one in standings.uptimes(Window.MONTH, model="openai/o1").endpoints
    }
    assert by_uptime.keys() == by_endpoint.keys()
    for name, one in by_uptime.items():
        assert one.uptime == by_endpoint[name].whole.uptime
        assert len(one.successes) == len(one.outages) == 30
    every = standings.uptimes(Window.WEEK).endpoints
    assert {one.model for one in every} == {one.model for one in SAMPLES if age_days(one) < 7}


def test_a_providers_endpoints_together_are_the_provider(standings: Standings):
    (azure,) = (
        one
        for one in standings.histories("openai/o1", Window.MONTH).endpoints
        if one.provider == "azure"
    )
    history = standings.provider_history("azure", Window.MONTH)
    assert [one.counts for one in history.spans] == [one.counts for one in azure.spans]
    wholes = standings.wholes_at("azure", ["openai/o1", "nobody/nothing"], Window.MONTH)
    assert {name: one.counts for name, one in wholes.items()} == {
        azure.endpoint: azure.whole.counts
    }
    assert standings.wholes_at("groq", ["openai/o1"], Window.MONTH) == {}
    every = standings.uptimes(Window.MONTH).endpoints
    providers = standings.provider_uptimes(Window.MONTH)
    totals = standings.provider_totals(Window.MONTH)
    assert [one.provider for one in providers.providers] == sorted({one.provider for one in every})
    for provider in providers.providers:
        own = [one for one in every if one.provider == provider.provider]
        assert provider.outages == tuple(map(sum, zip(*(one.outages for one in own), strict=True)))
        assert sum(provider.successes) == sum(sum(one.successes) for one in own)
    assert {name: (told.successes, told.outages) for name, told in totals.items()} == {
        one.provider: (sum(one.successes), sum(one.outages)) for one in providers.providers
    }
    slow = next(one for one in providers.providers if one.provider == "slow")
    assert slow.uptime == 0.0
    assert slow.uptime_at(-1) in (0.0, None)


def test_incidents_are_what_hours_say(standings: Standings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(incidents, "FAILURES_MIN", 1)
    week, providers = standings.uptimes(Window.WEEK), standings.provider_uptimes(Window.WEEK)
    plain = incidents.incidents(
        week.starts_ms,
        [
            FailingHour(one.provider, start_ms, good, bad)
            for one in providers.providers
            for start_ms, good, bad in zip(week.starts_ms, one.successes, one.outages, strict=True)
        ],
        [
            FailingHour(one.provider, start_ms, good, bad, one.endpoint, one.model)
            for one in week.endpoints
            for start_ms, good, bad in zip(week.starts_ms, one.successes, one.outages, strict=True)
            if bad
        ],
        heard_now=[
            one.provider for one in providers.providers if one.successes[-1] or one.outages[-1]
        ],
    )
    assert plain
    assert standings.incidents() == plain


@pytest.mark.parametrize("category", [None, "coding"])
@pytest.mark.parametrize("subject", [Subject.MODEL, Subject.AUTHOR])
def test_those_that_are_not_shown_are_in_the_rest(
    standings: Standings, subject: Subject, category: str | None
):
    every = standings.shares(subject, Period.MONTH, shown=20, category=category)
    one = standings.shares(subject, Period.MONTH, shown=1, category=category)
    assert (one.names, one.tokens) == (every.names[:1], every.tokens[:1])
    assert sum(every.tokens[0])
    buckets = range(len(every.starts_ms))
    assert [one.total(at) for at in buckets] == [every.total(at) for at in buckets]
    assert not any(every.rest)


def test_shares_can_be_of_one_category(standings: Standings):
    found = standings.shares(Subject.APP, Period.MONTH, category="coding")
    assert found.names == ("Cline",)
    assert sum(found.tokens[0]) == sum(tokens(one) for one in SAMPLES if is_clines(one))
    assert sum(found.rest) == 0


def test_nobody_is_named(standings: Standings):
    said = repr(
        [
            [standings.rankings(subject, Period.MONTH) for subject in Subject],
            [standings.shares(subject, Period.MONTH) for subject in Subject],
            standings.app(CLINE),
            standings.model_activity("openai/o1"),
            standings.histories("openai/o1", Window.QUARTER),
            standings.uptimes(Window.QUARTER),
        ]
    )
    assert "Cline" in said
    assert not [secret for secret in SECRETS if repr(secret) in said]
