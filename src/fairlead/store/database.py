"""The database: connections, transactions, and keeping SQL off the event loop.

SQLAlchemy Core, synchronous, on worker threads. SQLite by default; statements stay within what PostgreSQL
understands too, and the two places where dialects differ (upserts and how a transaction begins) are here.

SQLite runs in WAL mode, so readers never wait for the writer and other processes (the command line, other
workers) share the file. `synchronous` is FULL: the journal is deleted after a commit here, so a commit must
survive a power cut; commits are few and large, and the price is one fsync each.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError

__all__ = [
    "DATABASE_FILE",
    "Database",
    "DatabaseUnreadable",
    "DatabaseUnusable",
    "open_database",
]

DATABASE_FILE: Final = "fairlead.db"
BUSY_TIMEOUT_S: Final = (
    5.0  # how long to wait for another process's transaction; ours last milliseconds
)
CONNECTIONS_MAX: Final = 6  # threads of `run`, the settler, and one to spare
THREADS_MAX: Final = 4  # SQL that the event loop waits for, at the same time
WAITING_MAX: Final = 1000  # and in line behind it
# Of a bulk insert into SQLite. Beyond some dozens nothing is saved, and older versions refuse 1000 values.
ROWS_PER_STATEMENT: Final = 64

_Answer = TypeVar("_Answer")


class DatabaseUnusable(Exception):
    """Root of what keeps us from using the database. The message is one line for the operator."""


class DatabaseUnreadable(DatabaseUnusable):
    """It is no database, may not be opened, is locked, full or away; or we are at a bound of our own."""


class Database:
    """One database and its connections. Safe to use from several threads.

    with database.begin() as connection:  # writes; commits at the end, rolls back on an exception
        connection.execute(...)
    with database.read() as connection:  # one consistent view, never waits for a writer
        connection.execute(...)
    answer = await database.run(function, argument)  # on the event loop: `function` runs in a thread

    All three raise DatabaseUnreadable for trouble with the database itself; a broken constraint or an
    impossible value stays sqlalchemy.exc.IntegrityError or DataError.
    """

    def __init__(self, engine: sa.Engine, *, name: str, path: Path | None) -> None:
        self.engine = engine
        self.name = name  # for messages: holds no password
        self.path = path  # of the SQLite file, None otherwise
        self._executor = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="database")
        self._waiting_count = 0
        self._inserts: dict[tuple[str, int], str] = {}  # statements, by table and number of rows

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction that writes. It has the write lock from the start, so it never fails half-way."""
        with self._translated(), self.engine.connect() as connection:
            connection = connection.execution_options(fairlead_writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self._translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    async def run(self, function: Callable[..., _Answer], *arguments: Any) -> _Answer:  # noqa: ANN401 - any
        """Call `function(*arguments)` in one of our threads. A cancelled caller leaves it to finish."""
        if self._waiting_count >= THREADS_MAX + WAITING_MAX:
            raise DatabaseUnreadable(f"{self.name}: {WAITING_MAX} calls are waiting for it already")
        self._waiting_count += 1
        try:
            future = asyncio.get_running_loop().run_in_executor(
                self._executor, function, *arguments
            )
        except BaseException:
            self._waiting_count -= 1
            raise
        future.add_done_callback(self._one_done)
        return await future

    def insert(self, table: sa.Table) -> Any:  # noqa: ANN401 - the two dialects' Insert share no base with this
        """An INSERT that has `on_conflict_do_nothing` and `on_conflict_do_update`."""
        if self.engine.dialect.name == "postgresql":
            return postgresql_insert(table)
        return sqlite_insert(table)

    def insert_many_new(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[object, ...]]
    ) -> None:
        """Insert the rows whose primary key is not there yet.

        rows: a value for each column, in the table's order, and plain: the driver gets them as they are.

        Python's SQLite hands over the interpreter for every statement that it runs, and gets it back when
        the other threads like: so many rows to a statement. A driver that sends statements over a
        connection rather has a short one, which it understands once, and many rows for it.
        """
        done = 0
        if self.path is not None:
            text = self._insert_text(table, rows=ROWS_PER_STATEMENT)
            for done in range(ROWS_PER_STATEMENT, len(rows) + 1, ROWS_PER_STATEMENT):
                values = chain.from_iterable(rows[done - ROWS_PER_STATEMENT : done])
                connection.exec_driver_sql(text, tuple(values))
        if done < len(rows):
            connection.exec_driver_sql(self._insert_text(table, rows=1), list(rows[done:]))

    def close(self) -> None:
        """Waits for running work, then closes every connection."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self.engine.dispose()

    def _insert_text(self, table: sa.Table, *, rows: int) -> str:
        text = self._inserts.get((table.name, rows))
        if text is None:
            mark = "?" if self.engine.dialect.paramstyle == "qmark" else "%s"
            row = f"({', '.join([mark] * len(table.columns))})"
            columns = ", ".join(table.columns.keys())
            key = ", ".join(table.primary_key.columns.keys())
            text = (
                f"INSERT INTO {table.name} ({columns}) VALUES {', '.join([row] * rows)}"  # noqa: S608 - our names
                f" ON CONFLICT ({key}) DO NOTHING"
            )
            self._inserts[table.name, rows] = text
        return text

    def _one_done(self, _: asyncio.Future[Any]) -> None:
        self._waiting_count -= 1

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, DataError):
            raise
        except (DBAPIError, sa.exc.TimeoutError, sqlite3.Error) as error:
            raise DatabaseUnreadable(f"{self.name}: {_first_line(error)}") from error


def open_database(where: str | Path) -> Database:
    """Open a database; for SQLite, create the file if it is missing. Its tables: `store.migrate`.

    where: path of the SQLite file, or a URL such as "sqlite:////var/lib/fairlead/fairlead.db".
    Raises DatabaseUnreadable, at once rather than at the first query.
    """
    if isinstance(where, Path) or "://" not in where:
        url = sa.URL.create("sqlite", database=str(where))
    else:
        try:
            url = sa.make_url(where)
        except ArgumentError as error:
            raise DatabaseUnreadable("the database URL cannot be understood") from error
    name = url.render_as_string(hide_password=True)
    path: Path | None = None
    options: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise DatabaseUnreadable("a SQLite database needs a file: memory cannot be shared")
        path = Path(url.database)
        name = str(path)
        options["connect_args"] = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    try:
        engine = sa.create_engine(
            url,
            pool_size=CONNECTIONS_MAX,
            max_overflow=0,
            pool_timeout=BUSY_TIMEOUT_S,
            hide_parameters=True,  # in messages of errors
            json_serializer=_json_text,
            json_deserializer=msgspec.json.decode,
            **options,
        )
    except (ArgumentError, ImportError) as error:
        raise DatabaseUnreadable(f"{name}: {_first_line(error)}") from error
    if path is not None:
        _prepare_sqlite(engine)
    database = Database(engine, name=name, path=path)
    try:
        with database.read() as connection:
            sa.inspect(connection).has_table("meta")
    except DatabaseUnreadable:
        database.close()
        raise
    return database


def _prepare_sqlite(engine: sa.Engine) -> None:
    """Python's driver begins transactions at moments of its own; we say when, and which kind."""

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("fairlead_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _first_line(error: BaseException) -> str:
    """The database's own words, without the statement and its parameters (they may be private)."""
    origin = getattr(error, "orig", None) or error
    return str(origin).partition("\n")[0] or type(origin).__name__
