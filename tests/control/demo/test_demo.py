"""A demonstration agrees with itself, says what it is, and leaves no trace in any sum. On both databases."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.catalog.files import load_seed
from fairlead.control.demo.cast import ACCOUNTS, APPS, MODELS, PROVIDERS, UNNAMED
from fairlead.control.demo.drawing import DAY_S, Actor, Drawing, Impossible
from fairlead.control.demo.service import AlreadyThere, Demo
from fairlead.control.ledger.check import check
from fairlead.control.ledger.service import Ledger
from fairlead.control.standings.service import Standings
from fairlead.control.standings.types import Period, Subject, Window
from fairlead.control.usage.rollup import UsageRollup
from fairlead.control.usage.service import Usage
from fairlead.core.catalog import Snapshot
from fairlead.core.generation import Generation
from fairlead.core.ids import AccountId, KeyId, WorkspaceId
from fairlead.store.database import Database
from fairlead.store.records import pack
from fairlead.store.tables.metadata import metadata
from fairlead.testing.generations import plain_generation

NOW_MS = 1_795_219_200_000 + 11 * 3_600_000  # 2026-11-21
DAYS, CALLS = 12, 240
SUMS = ("usage_minutes", "usage_hours", "usage_days", "usage_weeks", "usage_months",
        "endpoint_hours", "endpoint_days", "provider_hours", "provider_days", "apps", "app_calls")  # fmt: skip


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return load_seed()


@pytest.fixture
def demo(database: Database) -> Demo:
    counter = itertools.count()
    return Demo(
        database,
        now_ms=lambda: NOW_MS,
        entropy=lambda length: next(counter).to_bytes(length, "big"),
    )


def fill(demo: Demo, snapshot: Snapshot, data: Path) -> int:
    return demo.fill(
        snapshot,
        random.Random(3),
        journals=data / "journal",
        writer="demo-1",
        days=DAYS,
        calls=CALLS,
    ).calls


def actors() -> list[Actor]:
    return [
        Actor(AccountId(f"acc-{place}"), None, WorkspaceId("w"), tuple(map(KeyId, cast.keys)))
        for place, cast in enumerate(ACCOUNTS)
    ]


def drawn(snapshot: Snapshot, seed: int) -> list[Generation]:
    drawing = Drawing(
        snapshot, actors(), random.Random(seed), end_s=NOW_MS / 1000, days=DAYS, calls=CALLS
    )
    return [one for day in range(DAYS) for one in drawing.day(day)]


def rows(database: Database, name: str) -> list[tuple[object, ...]]:
    table = metadata.tables[name]
    with database.read() as connection:
        found = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
        return [tuple(row) for row in found]


def test_books_sums_and_calls_agree_and_nobody_owes(
    demo: Demo, database: Database, snapshot: Snapshot, tmp_path: Path
) -> None:
    assert demo.is_empty()
    assert not demo.is_there()
    calls = fill(demo, snapshot, tmp_path)
    assert not demo.is_empty()
    assert demo.is_there()
    checked = check(database)
    assert (checked.findings, checked.generations) == ((), calls)
    ledger = Ledger(database, now_ms=lambda: NOW_MS)
    assert all(ledger.book(account).balance > 0 for account in demo.accounts())
    usage = Usage(database, now_ms=lambda: NOW_MS, minutes_days=7, hours_days=95)
    standings = Standings(database, usage, now_ms=lambda: NOW_MS)
    ranked = standings.rankings(Subject.MODEL, Period.MONTH)
    assert ranked.requests == calls
    assert standings.uptimes(Window.DAY).endpoints
    assert list((tmp_path / "journal").iterdir()) == [], "as if its process had ended"
    with pytest.raises(AlreadyThere):
        fill(demo, snapshot, tmp_path)


def test_taken_away_it_leaves_all_sums_as_they_were(
    demo: Demo, database: Database, snapshot: Snapshot, tmp_path: Path
) -> None:
    real = pack(
        plain_generation(
            1, created_s=NOW_MS / 1000 - DAY_S, model=MODELS[0].id, endpoint="anthropic:x"
        )
    )
    with database.begin() as connection:
        UsageRollup(database).add_within(connection, [real])
    before = {name: rows(database, name) for name in SUMS}
    fill(demo, snapshot, tmp_path)
    assert all(rows(database, name) != before[name] for name in SUMS)
    made = demo.remove()
    assert {name: rows(database, name) for name in SUMS} == before
    assert len(made) == len(ACCOUNTS)
    assert not demo.is_there()
    assert demo.remove() == []
    assert check(database).findings == (), "history stays"


def test_whatever_shows_it_says_demo(
    demo: Demo, database: Database, snapshot: Snapshot, tmp_path: Path
) -> None:
    fill(demo, snapshot, tmp_path)
    accounts = Accounts(database, now_ms=lambda: NOW_MS, entropy=bytes)
    for made in demo.accounts():
        found = accounts.find(made)
        assert found is not None
        assert found.name.startswith("Demo")
        assert found.email is not None
        assert found.email.endswith("@demo.invalid")
    for app in APPS:
        assert app.title.endswith("(demo)")
        assert app.address is not None
        assert "demo.invalid" in app.address
    assert all(app.address is None for app in UNNAMED)


def test_the_same_seed_draws_the_same_calls(snapshot: Snapshot) -> None:
    assert drawn(snapshot, 5) == drawn(snapshot, 5)
    assert drawn(snapshot, 5) != drawn(snapshot, 6)


def test_calls_are_as_real_ones_would_be(snapshot: Snapshot) -> None:
    calls = drawn(snapshot, 9)
    assert abs(len(calls) - CALLS) < CALLS / 2
    assert [one.created_s for one in calls] == sorted(one.created_s for one in calls)
    assert all(NOW_MS / 1000 - DAYS * DAY_S <= one.created_s <= NOW_MS / 1000 for one in calls)
    outcomes = Counter(one.outcome.value for one in calls)
    assert outcomes["completed"] > 0.9 * len(calls)
    assert any(len(one.attempts) > 1 for one in calls), "some had to go elsewhere"
    for one in calls:
        assert one.created_s >= snapshot.models[one.model].created, "not before its release"
        assert one.attempts[-1].endpoint == one.endpoint
        assert one.decision is not None
        assert one.endpoint in {choice.endpoint for choice in one.decision.choices}
        assert (one.cost > 0) is (one.outcome.value != "failed")


def test_the_catalogue_has_whoever_appears(snapshot: Snapshot) -> None:
    assert [one.id for one in MODELS if one.id not in snapshot.models] == []
    assert [one for one in PROVIDERS if one not in snapshot.providers] == []


def test_a_catalogue_of_other_models_is_told_so(snapshot: Snapshot) -> None:
    empty = Snapshot("v", "2026-01-01", {}, snapshot.providers, {})
    with pytest.raises(Impossible):
        Drawing(empty, actors(), random.Random(1), end_s=NOW_MS / 1000, days=2, calls=9)
