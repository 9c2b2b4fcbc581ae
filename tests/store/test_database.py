"""Transactions are whole, several processes share one file, and SQL stays off the event loop."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from fairlead.store import database as database_module
from fairlead.store.database import (
    DATABASE_FILE,
    ROWS_PER_STATEMENT,
    Database,
    DatabaseUnreadable,
    open_database,
)
from fairlead.store.tables.catalogue import price_sheets
from fairlead.store.tables.installation import meta

PATIENCE_S = 30.0


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(sa.select(meta.c.name).order_by(meta.c.name)).scalars())


def test_a_transaction_that_fails_leaves_nothing(database: Database):
    row = {"name": "a", "value": "1"}
    with pytest.raises(sa.exc.IntegrityError), database.begin() as connection:
        connection.execute(sa.insert(meta), [row, row])
    assert names(database) == []


def test_readers_see_the_last_commit_while_someone_writes(database: Database, data: Path):
    other = open_database(data / DATABASE_FILE)
    with database.begin() as connection:
        connection.execute(sa.insert(meta).values(name="a", value="1"))
        assert names(other) == []
    assert names(other) == ["a"]
    other.close()


def test_a_lock_that_is_never_released_is_reported(
    database: Database, data: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.01)
    other = open_database(data / DATABASE_FILE)
    with database.begin(), pytest.raises(DatabaseUnreadable, match="locked"), other.begin():
        pass
    other.close()


def test_a_foreign_key_must_exist(database: Database):
    with pytest.raises(sa.exc.IntegrityError), database.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO api_keys (id, account_id, digest, label, name, is_management,"
                " is_disabled, created_ms) VALUES ('k', 'nobody', x'00', '', '', false, false, 0)"
            )
        )


def test_errors_do_not_quote_the_values_of_a_statement(database: Database):
    with pytest.raises(DatabaseUnreadable) as raised, database.begin() as connection:
        connection.execute(sa.text("INSERT INTO missing VALUES (:secret)"), {"secret": "sk-secret"})
    assert "sk-secret" not in str(raised.value)
    assert "missing" in str(raised.value)


@pytest.mark.parametrize(
    "count", [0, 1, ROWS_PER_STATEMENT - 1, ROWS_PER_STATEMENT, ROWS_PER_STATEMENT * 2 + 1]
)
def test_rows_that_are_there_are_left_as_they_are(database: Database, count: int):
    def rows(text: str, numbers: range) -> list[tuple[object, ...]]:
        return [(f"{number:04}", text, 1) for number in numbers]

    first, second = rows("first", range(0, count * 2, 2)), rows("second", range(count))
    for some in (first, second, second + second):
        with database.begin() as connection:
            database.insert_many_new(connection, price_sheets, some)
    with database.read() as connection:
        found = connection.execute(sa.select(price_sheets)).all()
    expected = {row[0]: row for row in second} | {row[0]: row for row in first}
    assert sorted(found) == sorted(expected.values())


@pytest.mark.anyio
async def test_the_event_loop_goes_on_while_sql_runs(database: Database):
    loop = asyncio.get_running_loop()
    begun, may_end = asyncio.Event(), threading.Event()

    def slow_query() -> str:
        with database.read() as connection:
            loop.call_soon_threadsafe(begun.set)
            assert may_end.wait(PATIENCE_S)
            return str(connection.execute(sa.text("SELECT 'done'")).scalar())

    async with asyncio.timeout(PATIENCE_S):
        asking = asyncio.ensure_future(database.run(slow_query))
        await begun.wait()
        assert not asking.done()
        may_end.set()
        assert await asking == "done"


@pytest.mark.anyio
async def test_the_line_for_the_database_is_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database_module, "WAITING_MAX", 1)
    may_end = threading.Event()
    in_line = [
        asyncio.ensure_future(database.run(may_end.wait, PATIENCE_S))
        for _ in range(database_module.THREADS_MAX + 1)
    ]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnreadable, match="waiting"):
        await database.run(may_end.wait)
    may_end.set()
    async with asyncio.timeout(PATIENCE_S):
        assert await asyncio.gather(*in_line) == [True] * len(in_line)
        assert await database.run(len, "ok") == 2
