"""What was settled is in the sums, in both databases."""

from __future__ import annotations

import random
from contextlib import closing

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings

from fairlead.control.usage import app_queries, keeping, rollup
from fairlead.control.usage.calendar import DAY_MS
from fairlead.control.usage.jobs import UsageKeeper
from fairlead.control.usage.queries import ENDPOINT_COLUMNS
from fairlead.control.usage.rollup import UsageRollup
from fairlead.control.usage.rules import roll
from fairlead.control.usage.series import SeriesBook
from fairlead.control.usage.types import INSTALLATION, KEPT_AT, Level, Resolution
from fairlead.core.generation import Attribution, Generation
from fairlead.core.ids import AccountId
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceSheet
from fairlead.core.usage import Usage
from fairlead.store import migrate
from fairlead.store.database import Database, open_database
from fairlead.store.records import pack
from fairlead.store.tables.catalogue import price_sheets
from fairlead.store.tables.generations import generations
from fairlead.store.tables.usage import (
    MEASURES,
    apps,
    endpoint_days,
    endpoint_hours,
    key_usage,
    provider_days,
    provider_hours,
    usage_backlog,
    usage_hours,
    usage_minutes,
    usage_series,
)
from fairlead.testing.generations import arbitrary_generation, plain_generation
from tests.control.usage.synthetic import BEGIN_S, DAY_S, made, samples
from tests.seeded import SEEDED
from tests.store.revisions import migrate_to

NOW_MS = BEGIN_S * 1000
TABLES = (
    *keeping.TABLES.values(),
    usage_series,
    key_usage,
    endpoint_hours,
    endpoint_days,
    provider_hours,
    provider_days,
)


def settled(generation: Generation) -> dict[str, object]:
    return {
        "id": generation.id,
        "account_id": generation.account,
        "key_id": generation.key,
        "created_ms": round(generation.created_s * 1000),
        "model": generation.model,
        "endpoint": generation.endpoint,
        "provider": generation.provider,
        "outcome": generation.outcome.value,
        "prompt_tokens": generation.usage.prompt_tokens,
        "cached_tokens": generation.usage.cache_read,
        "completion_tokens": generation.usage.completion_tokens,
        "reasoning_tokens": generation.usage.reasoning,
        "cost_nano": generation.cost,
        "record": pack(generation),
    }


def add_up(database: Database, *batches: list[Generation]) -> None:
    step = UsageRollup(database)
    for batch in batches:
        with database.begin() as connection:
            step.add_within(connection, list(map(pack, batch)))


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table)))) for table in TABLES
        }


def clear(database: Database) -> None:
    with database.begin() as connection:
        for table in TABLES:
            connection.execute(sa.delete(table))


@given(SEEDED)
@settings(
    deadline=None,
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_batches_leave_the_same_rows(database: Database, source: random.Random):
    clear(database)
    every = made(source, 60)
    add_up(database, every)
    at_once = everything(database)
    clear(database)
    source.shuffle(every)
    add_up(database, every[:1], every[1:20], [], every[20:])
    assert everything(database) == at_once
    assert all(at_once.values())


def test_an_accounts_days_add_up_to_its_generations(database: Database):
    every = made(random.Random(1), 80)
    add_up(database, every[:50], every[50:])
    table = keeping.TABLES[Resolution.DAY]
    with database.read() as connection:
        for level in KEPT_AT[Resolution.DAY]:
            found = connection.execute(
                sa.select(
                    *(sa.func.sum(table.c[name]) for name in ("requests", "cost_nano"))
                ).where(table.c.account_id == "acc-1", table.c.level == level)
            ).one()
            own = [one for one in every if one.account == "acc-1"]
            assert tuple(map(int, found)) == (len(own), sum(one.cost for one in own))


def test_a_providers_sums_are_those_of_its_endpoints(database: Database):
    every = made(random.Random(3), 80)
    add_up(database, every[:30], every[30:])
    with database.read() as connection:
        for sums, of_endpoints in (
            (provider_hours, endpoint_hours), (provider_days, endpoint_days)
        ):  # fmt: skip
            keys = ("start_ms", "provider")
            found = connection.execute(
                sa.select(*(sums.c[name] for name in (*keys, *ENDPOINT_COLUMNS))).order_by(
                    sums.c.start_ms, sums.c.provider
                )
            )
            added = connection.execute(
                sa.select(
                    *(of_endpoints.c[key] for key in keys),
                    *(sa.func.sum(of_endpoints.c[name]) for name in ENDPOINT_COLUMNS),
                )
                .group_by(*(of_endpoints.c[key] for key in keys))
                .order_by(*(of_endpoints.c[key] for key in keys))
            )
            assert [tuple(row) for row in found] == [tuple(row) for row in added]


def test_a_transaction_that_does_not_happen_leaves_nothing_and_can_be_done_again(
    database: Database,
):
    every = made(random.Random(2), 20)
    step = UsageRollup(database)
    with database.engine.connect() as connection:
        step.add_within(connection, list(map(pack, every)))
        connection.rollback()
    assert not any(everything(database).values())
    with database.begin() as connection:
        step.add_within(connection, list(map(pack, every)))
    first = everything(database)
    clear(database)
    add_up(database, every)
    assert everything(database) == first


def test_generations_at_their_extremes_can_be_added(database: Database):
    source = random.Random(3)
    add_up(database, [arbitrary_generation(source, number) for number in range(40)])


def test_what_caching_saved_is_known_from_the_prices_in_force(database: Database):
    sheet = PriceSheet(prompt=PicoUSD(10_000), input_cache_read=PicoUSD(1_000))
    with database.begin() as connection:
        connection.execute(
            sa.insert(price_sheets).values(
                version="v1", sheet='{"prompt":10000,"input_cache_read":1000}', first_seen_ms=0
            )
        )
        assert keeping.sheets(connection, ["v1", "v0"]) == {"v1": sheet}
    generation = plain_generation(1, price_version="v1", usage=Usage(cache_read=100))
    unknown = plain_generation(2, price_version="v0", usage=Usage(cache_read=100))
    add_up(database, [generation, unknown])
    place = 4 + MEASURES.index("cache_saved_nano")
    assert {row[place] for row in everything(database)["usage_months"]} == {900}


# Apps.


def app_call(
    number: int, referer: str, account: str = "acc-1", **attribution: object
) -> Generation:
    return plain_generation(
        number,
        account=AccountId(account),
        attribution=Attribution(referer=referer, **attribution),  # type: ignore[arg-type]  # by name
    )


def app_rows(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as connection:
        rows = connection.execute(sa.select(apps).order_by(apps.c.identity))
        return [(row.identity, row.title, row.categories) for row in rows]


def test_an_app_takes_on_what_calls_of_its_own_account_say_and_no_others(database: Database):
    where = "https://a.example"
    add_up(
        database,
        [app_call(1, where, title="A", categories=("game",))],
        [app_call(2, where, title="A 2", categories=("legal",))],
        [app_call(3, where, "acc-2", title="Not A", categories=("roleplay",))],
    )
    assert app_rows(database) == [(where, "A 2", "game,legal")]
    table = keeping.TABLES[Resolution.DAY]
    with database.read() as connection:
        app = app_queries.by_identities(connection, [where])[where]
        requests = connection.execute(
            sa.select(sa.func.sum(table.c.requests))
            .join(usage_series, usage_series.c.id == table.c.series_id)
            .where(
                table.c.account_id == INSTALLATION,
                table.c.level == Level.APP,
                usage_series.c.app_id == app.id,
            )
        ).scalar_one()
    assert int(requests) == 3


def test_an_account_brings_so_many_apps_and_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rollup, "APPS_PER_ACCOUNT_MAX", 3)
    calls = [app_call(number, f"https://{number}.example") for number in range(5)]
    add_up(database, calls[:2], calls[2:])
    add_up(database, [app_call(9, "https://other.example", "acc-2")])
    assert len(app_rows(database)) == 4


# The keeper.


def keeper(database: Database, *, now_ms: int = NOW_MS) -> UsageKeeper:
    return UsageKeeper(database, now_ms=lambda: now_ms, minutes_days=7, hours_days=30, pause_s=0.0)


def test_what_was_settled_before_there_were_sums_is_added_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("fairlead.control.usage.jobs.BACKLOG_AT_ONCE", 7)
    every = made(random.Random(4), 30)
    add_up(database, every)
    expected = everything(database)
    clear(database)
    with database.begin() as connection:
        connection.execute(sa.insert(generations), list(map(settled, every)))
        ids = sa.select(generations.c.id)
        connection.execute(sa.insert(usage_backlog).from_select(["generation_id"], ids))
        connection.execute(sa.insert(usage_backlog).values(generation_id="gen-deleted-since"))
    assert keeper(database).catch_up() == 31
    assert keeper(database).catch_up() == 0
    assert everything(database) == expected


def test_a_record_that_cannot_be_read_holds_up_no_others(database: Database):
    with database.begin() as connection:
        row = settled(plain_generation(1)) | {"record": b"no record"}
        connection.execute(sa.insert(generations).values(row))
        connection.execute(sa.insert(usage_backlog).values(generation_id=plain_generation(1).id))
    assert keeper(database).catch_up() == 1


def test_old_minutes_and_hours_go_and_days_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("fairlead.control.usage.jobs.ROWS_AT_ONCE", 10)
    add_up(database, made(random.Random(5), 120, days=40))
    before = everything(database)
    later_ms = (BEGIN_S + 40 * DAY_S) * 1000
    keeper(database, now_ms=later_ms).forget()
    after = everything(database)
    for table, days in ((usage_minutes, 7), (usage_hours, 30)):
        from_ms = later_ms - days * DAY_MS
        kept = [row for row in before[table.name] if row[2] >= from_ms]
        assert after[table.name] == kept
        assert 0 < len(kept) < len(before[table.name])
    for name, place in (("endpoint_hours", 1), ("provider_hours", 0)):
        kept = [row for row in before[name] if row[place] >= later_ms - 30 * DAY_MS]
        assert after[name] == kept
        assert len(kept) < len(before[name])
    for name in ("usage_days", "usage_months", "endpoint_days", "provider_days", "key_usage"):
        assert after[name] == before[name]


def test_the_keeper_stops_when_told(database: Database):
    add_up(database, made(random.Random(6), 10))
    one = keeper(database)
    one.start()
    one.stop()
    assert one.forget() >= 0


def test_adding_is_associative_in_the_database_too(database: Database):
    """The later span of a key counts, whichever comes first; see rules.key_sums_added."""
    old = plain_generation(1, created_s=BEGIN_S - 40 * DAY_S)
    new = plain_generation(2, created_s=float(BEGIN_S))
    found = []
    for order in ([old], [new]), ([new], [old]):
        clear(database)
        add_up(database, *order)
        found.append(everything(database)["key_usage"])
    assert found[0] == found[1]
    (row,) = found[0]
    assert row[3] == old.cost + new.cost
    assert row[6] == new.cost  # of the latest day


def test_short_sums_from_before_they_were_kept_are_made_by_the_upgrade(fresh_address: str):
    """As if they had been kept from the beginning."""
    shorter = (Level.PROVIDER_ALONE, Level.APP_ALONE, Level.MODEL_ALONE)
    every = samples(made(random.Random(3), 80))
    apps = {one.id: 7 for one in every if one.attribution is not None}
    with closing(open_database(fresh_address)) as database:
        migrate_to(database, "0016")
        with database.begin() as connection:
            keeping.add(connection, roll(every, SeriesBook(), apps=apps, sheets={}))
        as_kept = everything(database)
        with database.begin() as connection:
            for table in (usage_series, *keeping.TABLES.values()):
                is_short = table.c.level.in_(shorter) & (table.c.account_id != INSTALLATION)
                connection.execute(sa.delete(table).where(is_short))
            connection.execute(sa.delete(usage_hours).where(usage_hours.c.level == Level.KEY))
        assert everything(database) != as_kept
        migrate.upgrade(database)
        assert everything(database) == as_kept
