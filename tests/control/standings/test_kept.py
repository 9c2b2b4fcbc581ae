"""Sums that are kept are those of the database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fairlead.control.standings import kept, queries
from fairlead.control.standings.service import Standings
from fairlead.control.standings.types import Period, Subject
from fairlead.control.usage.rollup import UsageRollup
from fairlead.control.usage.service import Usage
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.store.records import pack
from tests.control.standings.test_service import GENERATIONS, NOW_MS


@pytest.fixture
def database(prepared_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    path = shutil.copy(prepared_sqlite, tmp_path / DATABASE_FILE)
    with closing(open_database(path)) as database:
        yield database


def standings_of(database: Database) -> Standings:
    usage = Usage(database, now_ms=lambda: NOW_MS, minutes_days=7, hours_days=95)
    return Standings(database, usage, now_ms=lambda: NOW_MS)


def asked(standings: Standings) -> list[object]:
    return [
        answer
        for subject, category in ((Subject.MODEL, None), (Subject.AUTHOR, "coding"))
        for period in Period
        for answer in (
            standings.rankings(subject, period, category=category),
            standings.shares(subject, period, category=category),
        )
    ]


def test_what_was_added_since_is_in_the_answer(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queries, "SEEK_FROM", 1_000_000)
    standings, records = standings_of(database), list(map(pack, GENERATIONS))
    for part in (records[:100], records[100:101], records[101:]):
        with database.begin() as connection:
            UsageRollup(database).add_within(connection, part)
        assert asked(standings) == asked(standings_of(database))
    with database.begin() as connection:
        UsageRollup(database).subtract_within(connection, records[50:60])
    assert asked(standings) == asked(standings_of(database))


def test_little_is_kept(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept, "SUMS_MAX", 10)
    with database.begin() as connection:
        UsageRollup(database).add_within(connection, list(map(pack, GENERATIONS[:150])))
    standings = standings_of(database)
    assert asked(standings) == asked(standings)
    assert 0 < sum(len(one.series) for _, one in standings._kept._kept.values()) <= 10


def test_what_has_not_changed_is_not_read_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(queries, "SEEK_FROM", 1_000_000)
    with database.begin() as connection:
        UsageRollup(database).add_within(connection, list(map(pack, GENERATIONS)))
    standings = standings_of(database)
    first = asked(standings)
    monkeypatch.setattr(queries, "counted", None)
    assert asked(standings) == first
