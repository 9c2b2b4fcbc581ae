"""What is particular to PostgreSQL: how we connect, how long we wait, how many rows go in at once.

Everything is bounded, because calls wait for it: to connect, to have a lock, to run a statement, and to
notice that the other machine is gone, or is there and says nothing. What a connection was set up with holds
while it lives, so between us and the server there may be a pooler only if it leaves a session to one client.

The driver is imported by SQLAlchemy when an engine is made, so never where the database is SQLite.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from hashlib import blake2b
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect

__all__ = [
    "READ_OPTIONS",
    "SCHEMA",
    "ServerUnfit",
    "allow",
    "begin_upgrade",
    "driver_url",
    "insert_text",
    "is_contention",
    "lock",
    "options",
    "prepare",
    "shown",
]

SCHEMA: Final = "fairlead"  # of all our tables: the database may have others' too
VERSION_MIN: Final = 14
ENCODING: Final = "UTF8"
SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")

CONNECT_TIMEOUT_S: Final = 5
STATEMENT_TIMEOUT_S: Final = 10.0  # ours take milliseconds; a page of statistics some hundred
LOCK_TIMEOUT_S: Final = 5.0  # as long as we wait for SQLite's
UPGRADE_LOCK_TIMEOUT_S: Final = (
    4.0  # less: who waits behind the upgrade shall not give up before it does
)
# A server that hangs ends no statement, and where its machine is well, the connection seems so too.
SILENCE_MAX_S: Final = STATEMENT_TIMEOUT_S + 2.0
IDLE_TIMEOUT_S: Final = (
    60.0  # a transaction of a thread that hangs must not hold its locks for ever
)

# One view for all of a transaction's statements. It is not writing, so it is never in anybody's way.
READ_OPTIONS: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

# Each may be set in the URL instead, by the names that libpq gives them.
_CONNECTING: Final[dict[str, object]] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "application_name": "fairlead",
    # A machine that vanishes says nothing: it is given up after some 25 s of silence, or 15 s of no answer.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_SERIALIZATION_FAILURE: Final = "40001"
_DEADLOCK: Final = "40P01"


class ServerUnfit(Exception):
    """It is no server that we can work with. The message is one line."""


def driver_url(url: sa.URL) -> sa.URL | None:
    """The URL with the driver that we use; None: not a URL of PostgreSQL."""
    if url.drivername not in SCHEMES:
        return None
    return url.set(drivername="postgresql+psycopg")


def shown(url: sa.URL) -> str:
    """Which database this is, for people: without a password, also where it hides in the query."""
    where = {name: url.query[name] for name in ("host", "port") if name in url.query}
    return sa.URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database, where
    ).render_as_string()


def options(url: sa.URL) -> dict[str, Any]:
    """For `create_engine`."""
    return {
        "connect_args": {
            name: value for name, value in _CONNECTING.items() if name not in url.query
        },
        "isolation_level": "READ COMMITTED",
        # One short question whenever a connection is taken from the pool. So a server that was started
        # again costs nobody an error.
        "pool_pre_ping": True,
        "use_native_hstore": False,  # or it asks each new connection for a type that we do not use
    }


def prepare(engine: sa.Engine) -> None:
    """Look at the server and set up the session whenever a connection is made.

    A connection then raises ServerUnfit, besides what the driver raises.
    """
    settings = {
        "search_path": SCHEMA,
        "timezone": "UTC",
        "statement_timeout": _ms(STATEMENT_TIMEOUT_S),
        "lock_timeout": _ms(LOCK_TIMEOUT_S),
        "idle_in_transaction_session_timeout": _ms(IDLE_TIMEOUT_S),
    }
    question = f"SELECT {', '.join(['set_config(%s, %s, false)'] * len(settings))}"
    values = [text for setting in settings.items() for text in setting]

    connect = _patient_connect()

    @sa.event.listens_for(engine, "do_connect")
    def open_connection(
        _dialect: object, _record: object, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - the driver is not imported here
        return connect(*arguments, **options)

    @sa.event.listens_for(engine, "checkin")
    def forget_allowance(connection: Any, _: object) -> None:  # noqa: ANN401 - as above
        if connection is not None:  # None: it broke
            connection.silence_max_s = SILENCE_MAX_S

    @sa.event.listens_for(engine, "connect", insert=True)  # before SQLAlchemy asks about the schema
    def set_up(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver is not imported here
        unfit = _unfit(
            connection.info.server_version // 10_000,
            connection.info.parameter_status("server_encoding"),
        )
        if unfit is not None:
            connection.close()
            raise ServerUnfit(unfit)
        connection.execute(question, values)
        connection.commit()


def _patient_connect() -> Any:  # noqa: ANN401 - as above
    """Makes connections that give up a server which says nothing for `silence_max_s`."""
    import psycopg

    class PatientConnection(psycopg.Connection[Any]):
        silence_max_s: float | None = SILENCE_MAX_S

        def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            if self.silence_max_s is not None:
                gen = self._bounded(gen, self.silence_max_s)
            return super().wait(gen, *arguments, **options)

        def _bounded(
            self, waiting: Generator[Any, Any, Any], silence_max_s: float
        ) -> Generator[Any, Any, Any]:
            """The driver asks it several times a second whether there is enough yet."""
            give_up_s = time.monotonic() + silence_max_s
            ready: object = None
            while True:
                try:
                    wanted = waiting.send(ready)
                except StopIteration as ended:
                    return ended.value
                ready = yield wanted
                if not ready and time.monotonic() >= give_up_s:
                    self.pgconn.finish()  # nobody knows where it is in its answer
                    raise psycopg.OperationalError(f"no answer within {silence_max_s:g} s")

    return PatientConnection.connect


def allow(connection: sa.Connection, statement_timeout_s: float) -> None:
    """How long each statement of this transaction may take; 0: as long as it likes."""
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_ms(statement_timeout_s)}'")
    driver: Any = connection.connection.driver_connection
    silence_s = SILENCE_MAX_S - STATEMENT_TIMEOUT_S + statement_timeout_s
    driver.silence_max_s = silence_s if statement_timeout_s else None


def begin_upgrade(connection: sa.Connection) -> None:
    """In a transaction that changes tables: be the only one that does, and have a schema to do it in.

    Another upgrade may take its time, and so may our statements. But while we wait for a table, so does
    everybody who comes after us: rather than keep them, we give up.
    """
    allow(connection, 0)
    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
    lock(connection, "upgrade")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_ms(UPGRADE_LOCK_TIMEOUT_S)}'")
    # "IF NOT EXISTS" would want the right to make one even where it does.
    if not sa.inspect(connection).has_schema(SCHEMA):
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")


def lock(connection: sa.Connection, *names: str) -> None:
    """See Database.lock."""
    # Always in the same order, so that two who want the same ones do not wait for each other.
    keys = sorted(
        int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
        for name in set(names)
    )
    connection.exec_driver_sql(
        "SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key", (keys,)
    )


def is_contention(error: BaseException | None) -> bool:
    """The server has sacrificed this transaction to another; begun again, it may well succeed."""
    return getattr(error, "sqlstate", None) in (_SERIALIZATION_FAILURE, _DEADLOCK)


def insert_text(table: sa.Table) -> str:
    """A statement whose parameters are columns, each an array: as fast as COPY, and it skips what is there.

    Measured with generations of 350 bytes, 1000 at a time (thousands a second; microseconds of our own
    processor time for each): arrays 37; 9. COPY to a temporary table, and from there 35; 8. A statement for
    each row, in a pipeline 23; 28. Rows of a statement with many 9; 87.
    """
    dialect = PGDialect()  # type: ignore[no-untyped-call]
    arrays = ", ".join(f"%b::{column.type.compile(dialect)}[]" for column in table.columns)
    columns = ", ".join(table.columns.keys())
    key = ", ".join(table.primary_key.columns.keys())
    return (
        f"INSERT INTO {table.name} ({columns}) SELECT * FROM unnest({arrays})"  # noqa: S608 - our names
        f" ON CONFLICT ({key}) DO NOTHING"
    )


def _unfit(version: int, encoding: str | None) -> str | None:
    if version < VERSION_MIN:
        return f"PostgreSQL {version} is too old: it takes {VERSION_MIN} or later"
    if encoding != ENCODING:
        return f"the database is encoded in {encoding}: it takes one that was made with {ENCODING}"
    return None


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
