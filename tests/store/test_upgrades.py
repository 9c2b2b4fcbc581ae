"""Upwards from every released schema, with what was in it, and under programs of the version before.

`statements/REVISION.KIND.json` is what the program of that revision said to a database of that kind, recorded:
all that it writes, and what it reads afterwards, with the rows it got. Whoever releases a version with a new
revision adds that revision to RELEASED, and its recording; from then on its statements must keep meaning the
same for one release more.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fairlead.store import migrate
from fairlead.store.database import Database, open_database
from fairlead.store.migrate import Current, DatabaseUnknown, Old
from tests.postgres_server import PostgresDatabases
from tests.store.revisions import differences, migrate_to, migrate_within, revisions

PATIENCE_S = 30.0
RELEASED = ("0001", "0002", "0003", "0004")
BEFORE = RELEASED[-1]  # the version before this one, whose programs may still run
STATEMENTS = Path(__file__).parent / "statements"
ROWS = 3  # in each table
# What each table's rows have where anything else would be no record or break a rule.
CHOSEN = {
    "billing": "prepaid",
    "limit_reset": "weekly",
    "is_owner": False,
    "attempts": "[]",
    "app_categories": "[]",
    "usage_source": "reported",
}

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def database(fresh_address: str) -> Iterator[Database]:
    with closing(open_database(fresh_address)) as database:
        yield database


@pytest.mark.parametrize("revision", RELEASED)
def test_what_was_there_is_there_after_the_upgrade(database: Database, revision: str):
    migrate_to(database, revision)
    assert migrate.state(database) == Old(revision)
    before = filled(database)
    migrate.upgrade(database)
    assert migrate.state(database) == Current()
    assert differences(database) == []
    after = contents(database, before)
    for table, rows in before.items():
        assert len(after[table]) == len(rows), table
        for old, new in zip(rows, after[table], strict=True):
            kept = old.keys() & new.keys()
            assert {name: new[name] for name in kept} == {name: old[name] for name in kept}
            assert "id" in kept or len(kept) == len(old), table


def test_every_step_alone_leads_to_the_next(database: Database):
    """As whoever upgrades at each release does; a step sees the tables as they were, not as they are now."""
    for revision in revisions():
        migrate_to(database, revision)
    assert migrate.state(database) == Current()
    assert differences(database) == []


def test_what_the_version_before_wrote_is_read_as_it_read_it(
    database: Database, database_kind: str
):
    said = recording(BEFORE, database_kind)
    migrate_to(database, BEFORE)
    write(database, said)
    migrate.upgrade(database)
    compare(database, said)


def test_the_version_before_goes_on_working_on_the_new_schema(
    database: Database, database_kind: str
):
    said = recording(BEFORE, database_kind)
    migrate_to(database, BEFORE)
    migrate.upgrade(database)
    write(database, said)
    compare(database, said)


def test_the_version_before_does_not_notice_that_the_schema_changes_under_it(
    database: Database, database_kind: str, fresh_address: str
):
    """One writes and reads all the time, with connections that it opened before, during and after."""
    said = recording(BEFORE, database_kind)
    migrate_to(database, BEFORE)
    write(database, said)
    insert = next(step for step in said["writes"] if step["many"])
    steady = [step for step in said["reads"] if "FROM generations" not in step["statement"]]
    rounds = {"before": threading.Event(), "after": threading.Event()}
    is_upgraded = threading.Event()
    written: list[str] = []
    trouble: list[BaseException] = []

    def old_program() -> None:
        with closing(open_database(fresh_address)) as connections:
            while True:
                number = len(written)
                is_after = is_upgraded.is_set()
                row = [f"gen-{number:06}", *insert["parameters"][0][1:]]

                def statements(connection: sa.Connection, row: list[Any] = row) -> None:
                    connection.exec_driver_sql(insert["statement"], [as_parameters(row)])

                connections.retrying(statements)
                written.append(row[0])
                compare(connections, {"reads": steady})
                rounds["after" if is_after else "before"].set()
                if is_after:
                    return

    def watched(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - told below
            trouble.append(error)
            for event in rounds.values():
                event.set()

    thread = threading.Thread(target=watched, args=(old_program,))
    thread.start()
    assert rounds["before"].wait(PATIENCE_S)
    migrate.upgrade(database)
    is_upgraded.set()
    assert rounds["after"].wait(PATIENCE_S)
    thread.join(PATIENCE_S)
    assert trouble == []
    with database.read() as connection:
        found = set(connection.exec_driver_sql("SELECT id FROM generations").scalars())
    assert set(written) <= found
    assert differences(database) == []


def test_nobody_is_kept_from_sums_while_the_steps_that_read_everything_go_on(
    postgres_databases: PostgresDatabases,
):
    """What an upgrade has locked it holds to its end, and reading all calls takes minutes."""
    with postgres_databases.empty() as url, closing(open_database(url)) as database:
        migrate_to(database, "0016")
        with database.begin() as connection:
            migrate_within(database, connection, "0017")
            locked = connection.exec_driver_sql(
                "SELECT relation::regclass::text FROM pg_locks"
                " WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock' AND relation IS NOT NULL"
            )
            assert "usage_series" not in set(locked.scalars())


def test_every_program_but_the_newest_refuses_to_start_on_the_newest_schema(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """It is one thing to go on, another to begin."""
    migrate.upgrade(database)
    steps = tmp_path / "migrations" / "versions"
    steps.mkdir(parents=True)
    for name in (migrate.MIGRATIONS / "versions").glob(f"r{RELEASED[0]}*.py"):
        (steps / name.name).write_text(name.read_text())
    for use in (migrate.prepare, migrate.require_current, migrate.upgrade):
        with pytest.raises(DatabaseUnknown, match="newer"):
            use(database, migrations=tmp_path / "migrations")


# What was said.


def recording(revision: str, kind: str) -> dict[str, list[dict[str, Any]]]:
    return json.loads((STATEMENTS / f"{revision}.{kind}.json").read_text())


def write(database: Database, said: dict[str, list[dict[str, Any]]]) -> None:
    for step in said["writes"]:
        with database.begin() as connection:
            parameters = as_parameters(step["parameters"])
            connection.exec_driver_sql(
                step["statement"], list(parameters) if step["many"] else parameters
            )


def compare(database: Database, said: dict[str, list[dict[str, Any]]]) -> None:
    assert said["reads"]
    for step in said["reads"]:
        with database.read() as connection:
            found = connection.exec_driver_sql(
                step["statement"], as_parameters(step["parameters"])
            ).all()
        rows = [as_parameters(row) for row in step["rows"]]
        assert sorted(map(tuple, found), key=repr) == sorted(rows, key=repr), step["statement"]


def as_parameters(value: Any) -> Any:
    """From JSON: bytes are {"hex": ...}, and what a driver takes is a tuple or a dict."""
    if isinstance(value, dict):
        if value.keys() == {"hex"}:
            return bytes.fromhex(value["hex"])
        return {name: as_parameters(one) for name, one in value.items()}
    return tuple(map(as_parameters, value)) if isinstance(value, list) else value


# Rows of any table, as its columns want them.


def filled(database: Database) -> Rows:
    """Some rows in every table that is there. Returns them, in the order of their keys."""
    found = sa.MetaData()
    with database.begin() as connection:
        found.reflect(connection)
        for table in found.sorted_tables:
            if table.name != "alembic_version":
                rows = [plain_row(table, number) for number in range(ROWS)]
                connection.execute(sa.insert(table), rows)
    with database.read() as connection:
        return {
            table.name: rows_of(connection, table)
            for table in found.sorted_tables
            if table.name != "alembic_version"
        }


def contents(database: Database, tables: Rows) -> Rows:
    found = sa.MetaData()
    with database.read() as connection:
        found.reflect(connection)
        return {name: rows_of(connection, found.tables[name]) for name in tables}


def rows_of(connection: sa.Connection, table: sa.Table) -> list[dict[str, Any]]:
    query = sa.select(table).order_by(*table.primary_key.columns)
    return [dict(row) for row in connection.execute(query).mappings()]


def plain_row(table: sa.Table, number: int) -> dict[str, Any]:
    return {column.name: plain_value(column, number) for column in table.columns}


def plain_value(column: sa.Column[Any], number: int) -> Any:
    if column.name in CHOSEN:
        return CHOSEN[column.name]
    match column.type:
        case sa.Boolean():
            return bool(number % 2)
        case sa.Integer():
            return number
        case sa.LargeBinary():
            return b"%d" % number
        case _:
            return f"text {number}"
