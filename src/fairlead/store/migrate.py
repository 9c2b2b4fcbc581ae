"""The database's revisions: where it stands, and bringing it up to date.

The steps are in `migrations/versions`, run by Alembic without a configuration file. An upgrade is one
transaction: it happens wholly or not at all. No other upgrade runs beside it, so of two processes that start
at once one does it and the other finds it done. On SQLite nobody else writes meanwhile. On PostgreSQL servers
go on: they wait for a table while it is changed, and their statements mean the same afterwards, because steps
expand: what the version before reads and writes stays until the version after next.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import sqlalchemy as sa

from fairlead.store import postgresql
from fairlead.store.database import Database, DatabaseUnusable

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = [
    "HEAD",
    "MIGRATIONS",
    "Current",
    "DatabaseOld",
    "DatabaseUnknown",
    "Fresh",
    "Old",
    "State",
    "Unknown",
    "prepare",
    "require_current",
    "state",
    "upgrade",
]

MIGRATIONS: Final = Path(__file__).parent / "migrations"
# The newest revision there; a test compares. Alembic costs 11 MB of memory, so a process that finds its
# database current never loads it.
HEAD: Final = "0018"
_REVISION: Final = sa.table("alembic_version", sa.column("version_num", sa.String))


class DatabaseOld(DatabaseUnusable):
    """It was written by an older version and must be upgraded before it is used."""


class DatabaseUnknown(DatabaseUnusable):
    """It was written by a newer version of this program, or by another program."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Nothing in it yet."""


@dataclass(frozen=True, slots=True)
class Current:
    """As this version wants it."""


@dataclass(frozen=True, slots=True)
class Old:
    """At an earlier revision, from which `upgrade` leads here."""

    revision: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """At a revision that this version has never heard of; None: tables, but no revision at all."""

    revision: str | None


State: TypeAlias = Fresh | Current | Old | Unknown


def state(database: Database, *, migrations: Path = MIGRATIONS) -> State:
    """Where the database stands. Raises DatabaseUnreadable."""
    with database.read() as connection:
        return _state(connection, migrations)


def require_current(database: Database, *, migrations: Path = MIGRATIONS) -> None:
    """Refuse, in one line, to work on anything but a current database.

    Raises DatabaseOld, DatabaseUnknown, DatabaseUnreadable.
    """
    match state(database, migrations=migrations):
        case Current():
            return
        case Fresh():
            raise DatabaseOld(f"{database.name} is empty: `fairlead serve` sets it up")
        case Old(revision):
            raise DatabaseOld(
                f"{database.name} is at revision {revision}, which is older than this program:"
                " run `fairlead migrate`"
            )
        case Unknown(revision):
            raise _unknown(database, revision)


def prepare(database: Database, *, migrations: Path = MIGRATIONS) -> None:
    """Set up a fresh database; otherwise as `require_current`. An old one is never upgraded unasked."""
    if state(database, migrations=migrations) == Fresh():
        upgrade(database, migrations=migrations)
    else:
        require_current(database, migrations=migrations)


def upgrade(database: Database, *, migrations: Path = MIGRATIONS) -> Path | None:
    """Bring the database to the current revision, from fresh or old; nothing to do is fine.

    An old SQLite database is first copied beside itself, with the write lock held so that nothing is
    missing in the copy. Returns the copy's path, None if none was needed. (PostgreSQL has tools for that.)
    Raises DatabaseUnknown, DatabaseUnreadable.
    """
    return database.retrying(lambda connection: _upgrade(database, connection, migrations))


def _upgrade(database: Database, connection: sa.Connection, migrations: Path) -> Path | None:
    if database.path is None:
        postgresql.begin_upgrade(connection)
    backup: Path | None = None
    match _state(connection, migrations):
        case Current():
            return None
        case Unknown(revision):
            raise _unknown(database, revision)
        case Old(revision):
            if database.path is not None:
                backup = _copy(database.path, revision)
        case Fresh():
            pass
    _run(connection, migrations)
    return backup


def _config(migrations: Path) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _state(connection: sa.Connection, migrations: Path) -> State:
    revision = _revision(connection)
    if revision is None:
        return Unknown(None) if sa.inspect(connection).get_table_names() else Fresh()
    if migrations == MIGRATIONS and revision == HEAD:
        return Current()
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config(migrations))
    if revision == script.get_current_head():
        return Current()
    known = {step.revision for step in script.walk_revisions()}
    return Old(revision) if revision in known else Unknown(revision)


def _revision(connection: sa.Connection) -> str | None:
    """What Alembic wrote of where the database stands; None if it never did."""
    if not sa.inspect(connection).has_table(_REVISION.name):
        return None
    return connection.execute(sa.select(_REVISION.c.version_num)).scalar()


def _run(connection: sa.Connection, migrations: Path) -> None:
    from alembic import command

    config = _config(migrations)
    config.attributes["connection"] = connection  # taken up by migrations/env.py
    command.upgrade(config, "head")


def _copy(path: Path, revision: str) -> Path:
    backup = path.with_name(f"{path.name}.{revision}.backup")
    unfinished = backup.with_name(f"{backup.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    source = sqlite3.connect(path)
    target = sqlite3.connect(unfinished)
    try:
        source.backup(target)
    finally:
        target.close()
        source.close()
    unfinished.replace(backup)
    return backup


def _unknown(database: Database, revision: str | None) -> DatabaseUnknown:
    if revision is None:
        return DatabaseUnknown(f"{database.name} is a database of another program")
    return DatabaseUnknown(
        f"{database.name} is at revision {revision}, which this version of the program does not know:"
        " it was probably written by a newer one"
    )
