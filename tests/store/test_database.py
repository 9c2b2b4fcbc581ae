"""Transactions are whole, several processes share one file, and SQL stays off the event loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DataError

from fairlead.store import database as database_module
from fairlead.store import postgresql
from fairlead.store.database import (
    RETRIES_MAX,
    ROWS_PER_STATEMENT,
    Database,
    DatabaseContended,
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


def test_readers_see_the_last_commit_while_someone_writes(
    database: Database, database_address: str
):
    other = open_database(database_address)
    with database.begin() as connection:
        connection.execute(sa.insert(meta).values(name="a", value="1"))
        assert names(other) == []
    assert names(other) == ["a"]
    other.close()


def test_a_reader_has_one_view_however_often_it_looks(database: Database):
    counting = sa.select(sa.func.count()).select_from(meta)
    with database.read() as reading:
        assert reading.execute(counting).scalar() == 0
        with database.begin() as writing:
            writing.execute(sa.insert(meta).values(name="a", value="1"))
        assert reading.execute(counting).scalar() == 0
    assert names(database) == ["a"]


def test_a_lock_that_is_never_released_is_reported(
    database: Database, database_address: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.01)
    monkeypatch.setattr(postgresql, "LOCK_TIMEOUT_S", 0.01)
    with closing(open_database(database_address)) as other, database.begin() as first:
        database.lock(first, "one", "two")
        with pytest.raises(DatabaseUnreadable, match="lock"), other.begin() as second:
            other.lock(second, "two", "three")


def test_whoever_locks_a_name_sees_what_the_one_before_has_written(
    database: Database, database_address: str
):
    """Each adds one to what it reads: without the lock, most of it would be lost."""
    rounds = 25

    def count_up(database: Database) -> None:
        for _ in range(rounds):
            with database.begin() as connection:
                database.lock(connection, "count")
                found = connection.execute(sa.select(meta.c.value)).scalar_one()
                connection.execute(sa.update(meta).values(value=str(int(found) + 1)))

    with database.begin() as connection:
        connection.execute(sa.insert(meta).values(name="count", value="0"))
    with closing(open_database(database_address)) as other, ThreadPoolExecutor(4) as threads:
        list(threads.map(count_up, [database, other] * 2))
    with database.read() as connection:
        assert connection.execute(sa.select(meta.c.value)).scalar_one() == str(4 * rounds)


def test_other_names_are_not_waited_for(postgres_url: str):
    with closing(open_database(postgres_url)) as database, database.begin() as first:
        database.lock(first, "one")
        with database.begin() as second:
            database.lock(second, "two")


def test_writers_in_each_others_way_both_succeed(database: Database):
    """Two that change the same rows in opposite order, each after both have changed one."""
    rows = [{"name": name, "value": ""} for name in ("a", "b")]
    with database.begin() as connection:
        connection.execute(sa.insert(meta), rows)
    # On SQLite the other one waits for this one's end, not for the barrier.
    both_have_one = threading.Barrier(2, timeout=0.05 if database.path else PATIENCE_S)

    def write(order: str) -> None:
        def statements(connection: sa.Connection) -> None:
            for name in order:
                changed = sa.update(meta).where(meta.c.name == name)
                connection.execute(changed.values(value=meta.c.value + order))
                with suppress(threading.BrokenBarrierError):
                    both_have_one.wait()
                    both_have_one.abort()

        database.retrying(statements)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write, ["ab", "ba"]))
    with database.read() as connection:
        found = list(connection.execute(sa.select(meta.c.value)).scalars())
    assert [sorted((value[:2], value[2:])) for value in found] == [["ab", "ba"]] * 2


def test_what_keeps_being_in_the_way_is_reported(database: Database):
    calls = []

    def statements(connection: sa.Connection) -> None:
        calls.append(connection)
        raise DatabaseContended("in the way")

    with pytest.raises(DatabaseContended):
        database.retrying(statements)
    assert len(calls) == 1 + RETRIES_MAX


def test_a_foreign_key_must_exist(database: Database):
    with pytest.raises(sa.exc.IntegrityError), database.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO api_keys (id, account_id, digest, label, name, is_management,"
                " is_disabled, created_ms) VALUES ('k', 'nobody', :digest, '', '', false, false, 0)"
            ),
            {"digest": b"d"},
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
    inserted = []
    for some in (first, second, second + second):
        with database.begin() as connection:
            inserted.append(database.insert_many_new(connection, price_sheets, some))
    there = {row[0] for row in first}
    assert inserted == [count, len([row for row in second if row[0] not in there]), 0]
    with database.read() as connection:
        found = connection.execute(sa.select(price_sheets)).all()
    expected = {row[0]: row for row in second} | {row[0]: row for row in first}
    assert sorted(found) == sorted(expected.values())


def test_rows_may_lack_what_none_of_them_has(database: Database):
    table = sa.Table(
        "anything",
        sa.MetaData(),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger),
        sa.Column("text", sa.Text),
        sa.Column("content", sa.LargeBinary),
        sa.Column("is_so", sa.Boolean),
    )
    lacking = [("1", None, None, None, None), ("2", None, None, None, None)]
    mixed = [
        ("3", 2**62, None, b"", True),
        ("4", None, "", None, False),
        ("5", 1, "\u2603", b"\0", None),
    ]
    with database.begin() as connection:
        table.create(connection)
        assert database.insert_many_new(connection, table, lacking) == 2
        assert database.insert_many_new(connection, table, [lacking[0], *mixed, mixed[0]]) == 3
        assert database.insert_many_new(connection, table, []) == 0
        found = connection.execute(sa.select(table).order_by(table.c.id)).all()
    assert [tuple(row) for row in found] == lacking + mixed


def test_a_value_that_cannot_be_kept_is_told_from_trouble(database: Database):
    def row(value: object) -> tuple[object, ...]:
        return (str(value), "", value)

    for value in (2**63, -(2**70)):
        with (
            pytest.raises((OverflowError, DataError)),
            database.begin() as connection,
        ):
            database.insert_many_new(connection, price_sheets, [row(1), row(value)])


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
        await database.run(may_end.wait, 0)
    in_line[-1].cancel()  # which still stands in line
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnreadable, match="waiting"):
        await database.run(may_end.wait, 0)
    may_end.set()
    async with asyncio.timeout(PATIENCE_S):
        assert await asyncio.gather(*in_line[:-1]) == [True] * (len(in_line) - 1)
        assert await database.run(len, "ok") == 2


@pytest.mark.anyio
async def test_nobody_waits_for_ever(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database_module, "RUN_TIMEOUT_S", 0.01)
    may_end = threading.Event()
    with pytest.raises(DatabaseUnreadable, match="no answer within"):
        await database.run(may_end.wait, PATIENCE_S)
    may_end.set()
