"""A server of PostgreSQL that goes, hangs or does not fit: everything ends in time, and names no secret."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from fairlead.store import database as database_module
from fairlead.store import migrate, postgresql
from fairlead.store.database import Database, DatabaseUnreadable, open_database
from fairlead.store.tables.installation import meta
from tests.postgres_server import PostgresDatabases, PostgresServer, postgres_server

PATIENCE_S = 30.0


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    with postgres_server(is_durable=True) as server:
        yield server


def add(database: Database, name: str) -> None:
    with database.begin() as connection:
        connection.execute(sa.insert(meta).values(name=name, value=""))


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(sa.select(meta.c.name).order_by(meta.c.name)).scalars())


def test_after_a_restart_nobody_notices_and_while_it_is_away_everybody_is_told_at_once(
    own_server: PostgresServer,
):
    with closing(open_database(own_server.url("postgres"))) as database:
        migrate.prepare(database)
        with ThreadPoolExecutor(database_module.CONNECTIONS_MAX) as threads:
            all_open = threading.Barrier(database_module.CONNECTIONS_MAX, timeout=PATIENCE_S)

            def write(number: int) -> None:
                with database.begin() as connection:
                    connection.execute(sa.insert(meta).values(name=f"{number:02}", value=""))
                    all_open.wait()

            list(threads.map(write, range(database_module.CONNECTIONS_MAX)))
        own_server.kill()
        own_server.start()
        assert len(names(database)) == database_module.CONNECTIONS_MAX, "committed is committed"
        add(database, "after")

        own_server.kill()
        began_s = time.monotonic()
        for use in (names, migrate.state, lambda one: add(one, "lost")):
            with pytest.raises(DatabaseUnreadable) as raised:
                use(database)
            assert "\n" not in str(raised.value)
        assert time.monotonic() - began_s < postgresql.CONNECT_TIMEOUT_S
        own_server.start()
        assert names(database)[-1] == "after"


def test_a_transaction_that_the_server_does_not_survive_is_reported_and_has_not_happened(
    own_server: PostgresServer,
):
    with closing(open_database(own_server.url("postgres"))) as database:
        migrate.prepare(database)

        def write_and_kill() -> None:
            with database.begin() as connection:
                connection.execute(sa.insert(meta).values(name="lost", value=""))
                own_server.kill()

        with pytest.raises(DatabaseUnreadable):
            write_and_kill()
        own_server.start()
        assert names(database) == []


@pytest.mark.anyio
async def test_the_event_loop_is_not_kept_waiting_by_a_server_that_hangs(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    """It accepts, and never answers: only we can end that."""
    monkeypatch.setattr(database_module, "RUN_TIMEOUT_S", 0.2)
    database = open_database(own_server.url("postgres"))
    with closing(database):
        migrate.prepare(database)
        backend = await database.run(backend_of, database)
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(DatabaseUnreadable, match="no answer"):
                await database.run(names, database)
        finally:
            os.kill(backend, signal.SIGCONT)


def test_a_server_that_says_nothing_is_given_up_and_used_again_when_it_does(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    """It accepts connections, and the machine is well: nobody but us would ever end it."""
    monkeypatch.setattr(postgresql, "SILENCE_MAX_S", 0.3)
    monkeypatch.setitem(postgresql._CONNECTING, "connect_timeout", 2)
    with closing(open_database(own_server.url("postgres"))) as database:
        migrate.prepare(database)
        own_server.freeze()
        try:
            for use in (names, lambda one: add(one, "lost")):
                with pytest.raises(DatabaseUnreadable) as raised:
                    use(database)
                assert "\n" not in str(raised.value)
        finally:
            own_server.thaw()
        add(database, "after")
        assert names(database) == ["after"]


def backend_of(database: Database) -> int:
    """The process of the server that answers the next one, too: the pool gives what it got last."""
    with database.read() as connection:
        return int(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())


def test_a_statement_that_takes_too_long_is_ended(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(postgresql, "STATEMENT_TIMEOUT_S", 0.05)
    sleep = sa.text("SELECT pg_sleep(0.1)")
    with closing(open_database(postgres_url)) as database:
        for use in (database.begin, database.read):
            with pytest.raises(DatabaseUnreadable, match="timeout"), use() as connection:
                connection.execute(sleep)
            with use(statement_timeout_s=0) as connection:
                connection.execute(sleep)


def test_a_reader_cannot_write(postgres_url: str):
    with (
        closing(open_database(postgres_url)) as database,
        pytest.raises(DatabaseUnreadable, match="read-only"),
        database.read() as connection,
    ):
        connection.execute(sa.insert(meta).values(name="a", value=""))


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_url_may_be_written_in_each_of_the_usual_ways(postgres_url: str, scheme: str):
    with closing(open_database(postgres_url.replace("postgresql", scheme))) as database:
        migrate.require_current(database)
        assert database.path is None


def test_what_the_url_sets_is_not_set_by_us(postgres_url: str):
    named = f"{postgres_url}&application_name=mine&connect_timeout=3"
    with closing(open_database(named)) as database, database.read() as connection:
        assert connection.execute(sa.text("SHOW application_name")).scalar() == "mine"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:{secret}@127.0.0.1:1/x",
        "postgresql://me@127.0.0.1:1/x?password={secret}",
        "postgresql://me:{secret}@/x?host=/nowhere/at/all",
        "postgresql://me:{secret}@127.0.0.1:1/x?nonsense={secret}",
        "postgresql+other://me:{secret}@127.0.0.1/x",
        "mysql://me:{secret}@127.0.0.1/x",
    ],
)
def test_no_message_holds_a_password(url: str):
    with pytest.raises(DatabaseUnreadable) as raised:
        open_database(url.format(secret="hunter2"))
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_database_in_another_encoding_is_refused(postgres_databases: PostgresDatabases):
    with (
        postgres_databases.empty("ENCODING 'LATIN1'") as url,
        pytest.raises(DatabaseUnreadable, match="LATIN1"),
    ):
        open_database(url)


def test_the_driver_is_loaded_only_where_it_is_wanted(tmp_path: Path):
    program = textwrap.dedent("""
        import sys
        from fairlead.store import migrate
        from fairlead.store.database import open_database
        migrate.prepare(open_database(sys.argv[1]))
        print([name for name in sys.modules if name.partition(".")[0] == "psycopg"])
    """)
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "x.db")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert ran.stdout == "[]\n"
