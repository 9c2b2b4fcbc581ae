"""The database: connections, transactions, and keeping SQL off the event loop.

SQLAlchemy Core, synchronous, on worker threads. SQLite by default, PostgreSQL for several machines; the same
statements run on both. Where the two differ for those who write them is here and nowhere else; how PostgreSQL
is connected to is in `store.postgresql`.

SQLite runs in WAL mode, so readers never wait for the writer and other processes (the command line, other
workers) share the file. `synchronous` is FULL: the journal is deleted after a commit here, so a commit must
survive a power cut; commits are few and large, and the price is one fsync each.

What a writer may rely on, on both:

- A transaction happens wholly or not at all, and is on disk when `begin` ends without an exception. When it
  ends with DatabaseUnreadable, usually nothing has happened; but where the connection broke while it was
  committed, nobody knows. So what is written must be right when it is written again: under an id, with an
  idempotency key, as a position.
- What it has changed, or selected `with_for_update()`, nobody else changes before it ends. (SQLite has no such
  clause and needs none: there its writer is alone from the start.)
- Of transactions that called `lock` with the same name, one runs at a time, and sees all that those before it
  have committed.

And on nothing more: on PostgreSQL (READ COMMITTED) each statement sees what was committed when it began, so
what was read without one of these two locks may be out of date when it is acted upon. Either let the statement
that changes decide (`WHERE`, ON CONFLICT), or lock first.

Text is in the order of the database's own collation. Ids, which are lower-case hexadecimal behind a constant
prefix, are in the order of their creation in any.

Writers can be in each other's way: two that want the same rows in another order wait for each other, and the
server ends one of them (DatabaseContended). Names of one `lock` are taken in an order of their own; for
anything beyond, `retrying` begins again. SQLite's writers stand in line and never meet. At READ COMMITTED
nothing else is sacrificed: there are no serialization failures.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError

from fairlead.store import postgresql

__all__ = [
    "DATABASE_FILE",
    "Database",
    "DatabaseContended",
    "DatabaseUnreadable",
    "DatabaseUnusable",
    "in_chunks",
    "objection",
    "open_database",
]

DATABASE_FILE: Final = "fairlead.db"
BUSY_TIMEOUT_S: Final = 5.0  # to wait for another process's transaction; ours last milliseconds
CONNECTIONS_MAX: Final = 6  # threads of `run`, the settler, and one to spare
THREADS_MAX: Final = 4  # SQL that the event loop waits for, at the same time
WAITING_MAX: Final = 1000  # and in line behind it
RUN_TIMEOUT_S: Final = 30.0  # however long its turn and its statements take
RETRIES_MAX: Final = 5  # each takes a second: so long a server looks before it calls it a deadlock
NAMES_MAX: Final = 400  # behind one IN; SQLite takes 999 parameters in its oldest versions
# Of a bulk insert into SQLite. Beyond some dozens nothing is saved, and older versions refuse 1000 values.
ROWS_PER_STATEMENT: Final = 64

_Answer = TypeVar("_Answer")
_Name = TypeVar("_Name")


class DatabaseUnusable(Exception):
    """Root of what keeps us from using the database. The message is one line for the operator."""


class DatabaseUnreadable(DatabaseUnusable):
    """It is no database, may not be opened, is locked, full or away; or we are at a bound of our own."""


class DatabaseContended(DatabaseUnreadable):
    """Another transaction was in the way of this one, which has not happened. Only on PostgreSQL."""


class Database:
    """One database and its connections. Safe to use from several threads.

    with database.begin() as connection:  # writes; commits at the end, rolls back on an exception
        connection.execute(...)
    with database.read() as connection:  # one consistent view, never waits for a writer
        connection.execute(...)
    answer = database.retrying(function)  # `function(connection)` in `begin`, again if it was in the way
    answer = await database.run(function, argument)  # on the event loop: `function` runs in a thread

    All raise DatabaseUnreadable for trouble with the database itself; a broken constraint or an
    impossible value stays sqlalchemy.exc.IntegrityError or DataError.
    """

    def __init__(self, engine: sa.Engine, *, name: str, path: Path | None) -> None:
        self.engine = engine
        self.name = name  # for messages: holds no password
        self.path = path  # of the SQLite file, None otherwise
        self._executor = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="database")
        self._waiting_count = 0
        self._inserts: dict[tuple[str, int], str] = {}  # statements, by table and number of rows
        self._is_postgresql = engine.dialect.name == "postgresql"
        self._read_options = postgresql.READ_OPTIONS if self._is_postgresql else {}

    @contextmanager
    def begin(self, *, statement_timeout_s: float | None = None) -> Iterator[sa.Connection]:
        """A transaction that writes. What it may rely on is told above.

        statement_timeout_s: instead of the usual ten seconds; 0: no limit. SQLite has none in any case.
        """
        with self._translated(), self.engine.connect() as connection:
            connection = connection.execution_options(fairlead_writes=True)
            with connection.begin():
                self._allow(connection, statement_timeout_s)
                yield connection

    @contextmanager
    def read(self, *, statement_timeout_s: float | None = None) -> Iterator[sa.Connection]:
        """A transaction that only reads, and sees the database as it was at its first statement.

        statement_timeout_s: as for `begin`.
        """
        with self._translated(), self.engine.connect() as connection:
            connection = connection.execution_options(**self._read_options)
            with connection.begin():
                self._allow(connection, statement_timeout_s)
                yield connection

    def retrying(self, function: Callable[[sa.Connection], _Answer]) -> _Answer:
        """`function(connection)` in a transaction that writes, a few times if others are in its way.

        It may be called several times, and what it did before has then not happened: so it changes nothing
        but the database. Raises DatabaseContended when it was always in the way.
        """
        for _ in range(RETRIES_MAX):
            try:
                with self.begin() as connection:
                    return function(connection)
            except DatabaseContended:
                continue
        with self.begin() as connection:
            return function(connection)

    def lock(self, connection: sa.Connection, *names: str) -> None:
        """Wait until no other transaction has locked one of these names; they are ours until ours ends.

        names: whatever callers agree on, such as "account acc_1". Locked in one call, they cannot lock each
        other out. Raises DatabaseUnreadable after five seconds. SQLite: nothing to do, its writer is alone.
        """
        if self._is_postgresql and names:
            postgresql.lock(connection, *names)

    async def run(
        self,
        function: Callable[..., _Answer],
        *arguments: Any,  # noqa: ANN401 - any
        timeout_s: float | None = None,
    ) -> _Answer:
        """Call `function(*arguments)` in one of our threads. A cancelled caller leaves it to finish.

        timeout_s: less than the usual RUN_TIMEOUT_S.
        Raises DatabaseUnreadable as well when it takes too long: if it has begun by then, it may finish all
        the same.
        """
        if self._waiting_count >= THREADS_MAX + WAITING_MAX:
            raise DatabaseUnreadable(f"{self.name}: {WAITING_MAX} calls are waiting for it already")
        self._waiting_count += 1
        try:
            job = self._executor.submit(function, *arguments)
        except BaseException:
            self._waiting_count -= 1
            raise
        future = asyncio.wrap_future(job)
        future.add_done_callback(self._one_done)
        patience_s = RUN_TIMEOUT_S if timeout_s is None else timeout_s
        bound = asyncio.timeout(patience_s)
        try:
            async with bound:
                # Shielded: as long as it stands in line or runs, it counts.
                return await asyncio.shield(future)
        except TimeoutError as error:
            if not bound.expired():
                raise
            job.cancel()  # nobody wants it any more, should it still stand in line
            raise DatabaseUnreadable(f"{self.name}: no answer within {patience_s:g} s") from error

    def insert(self, table: sa.Table) -> Any:  # noqa: ANN401 - the two dialects' Insert share no base with this
        """An INSERT that has `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return postgresql_insert(table) if self._is_postgresql else sqlite_insert(table)

    def byte_length(self, text: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
        """In UTF-8; null where the text is null. The databases count characters under the same name."""
        if self._is_postgresql:
            return sa.func.octet_length(text)
        return sa.func.length(sa.cast(text, sa.LargeBinary))

    def insert_many_new(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[object, ...]]
    ) -> int:
        """Insert the rows whose primary key is not there yet. Returns how many were not.

        rows: a value for each column, in the table's order, and plain: the driver gets them as they are.

        Python's SQLite hands over the interpreter for every statement that it runs, and gets it back when
        the other threads like: so many rows to a statement. PostgreSQL: see there.
        """
        if not rows:
            return 0
        if self._is_postgresql:
            columns = tuple(list(column) for column in zip(*rows, strict=True))
            return connection.exec_driver_sql(self._insert_text(table, rows=0), columns).rowcount
        done, count = 0, 0
        text = self._insert_text(table, rows=ROWS_PER_STATEMENT)
        for done in range(ROWS_PER_STATEMENT, len(rows) + 1, ROWS_PER_STATEMENT):
            values = chain.from_iterable(rows[done - ROWS_PER_STATEMENT : done])
            count += connection.exec_driver_sql(text, tuple(values)).rowcount
        if done < len(rows):
            text = self._insert_text(table, rows=1)
            count += connection.exec_driver_sql(text, list(rows[done:])).rowcount
        return count

    def close(self) -> None:
        """Waits for running work, then closes every connection."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self.engine.dispose()

    def _insert_text(self, table: sa.Table, *, rows: int) -> str:
        """rows: to a statement of SQLite; PostgreSQL's takes any number."""
        text = self._inserts.get((table.name, rows))
        if text is None:
            has_arrays = self._is_postgresql
            text = postgresql.insert_text(table) if has_arrays else _sqlite_insert_text(table, rows)
            self._inserts[table.name, rows] = text
        return text

    def _allow(self, connection: sa.Connection, statement_timeout_s: float | None) -> None:
        if self._is_postgresql and statement_timeout_s is not None:
            postgresql.allow(connection, statement_timeout_s)

    def _one_done(self, future: asyncio.Future[Any]) -> None:
        self._waiting_count -= 1
        if not future.cancelled():
            future.exception()  # perhaps nobody waits for it any more: no reason to warn of it

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, DataError):
            raise
        except (DBAPIError, sa.exc.TimeoutError, sqlite3.Error, postgresql.ServerUnfit) as error:
            contended = postgresql.is_contention(getattr(error, "orig", None))
            kind = DatabaseContended if contended else DatabaseUnreadable
            raise kind(f"{self.name}: {_first_line(error)}") from error


def in_chunks(names: Iterable[_Name]) -> Iterator[list[_Name]]:
    """All of them, in their order, at most NAMES_MAX at a time: as many as a statement takes behind an IN."""
    iterator = iter(names)
    while chunk := list(islice(iterator, NAMES_MAX)):
        yield chunk


def objection(error: DBAPIError) -> str:
    """What the database has against a value, in words that hold nothing of the row.

    PostgreSQL quotes all of a row that breaks a constraint, and a number that is too large: so of what it says
    only the constraint's name, or the kind of error. SQLite names columns and constraints, and no value.
    """
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is None:
        return _first_line(error)
    return diagnosis.constraint_name or type(error.orig).__name__


def open_database(where: str | Path) -> Database:
    """Open a database; for SQLite, create the file if it is missing. Its tables: `store.migrate`.

    where: path of the SQLite file, or a URL such as "sqlite:////var/lib/fairlead/fairlead.db" or
    "postgresql://fairlead:password@database.internal/fairlead".
    Raises DatabaseUnreadable, at once rather than at the first query.
    """
    if isinstance(where, Path) or "://" not in where:
        url = sa.URL.create("sqlite", database=str(where))
    else:
        try:
            url = sa.make_url(where)
        except ArgumentError as error:
            raise DatabaseUnreadable("the database URL cannot be understood") from error
    path: Path | None = None
    if (postgresql_url := postgresql.driver_url(url)) is not None:
        url = postgresql_url
        name = postgresql.shown(url)
        options = postgresql.options(url)
    elif url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise DatabaseUnreadable("a SQLite database needs a file: memory cannot be shared")
        path = Path(url.database)
        name = str(path)
        options = {"connect_args": {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}}
    else:
        raise DatabaseUnreadable(
            f"{url.drivername} is no database that is supported: SQLite and PostgreSQL are"
        )
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
    else:
        postgresql.prepare(engine)
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


def _sqlite_insert_text(table: sa.Table, rows: int) -> str:
    row = f"({', '.join(['?'] * len(table.columns))})"
    columns = ", ".join(table.columns.keys())
    key = ", ".join(table.primary_key.columns.keys())
    return (
        f"INSERT INTO {table.name} ({columns}) VALUES {', '.join([row] * rows)}"  # noqa: S608 - our names
        f" ON CONFLICT ({key}) DO NOTHING"
    )


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _first_line(error: BaseException) -> str:
    """The database's own words, without the statement and its parameters (they may be private)."""
    origin = getattr(error, "orig", None) or error
    return str(origin).partition("\n")[0] or type(origin).__name__
