"""A database as an earlier version of the program left it, and what it differs in from this one's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from fairlead.store import migrate, postgresql
from fairlead.store.database import Database
from fairlead.store.tables import metadata


def revisions() -> list[str]:
    """All of them, the first one first."""
    script = ScriptDirectory.from_config(_config())
    return [step.revision for step in script.walk_revisions()][::-1]


def head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def migrate_to(database: Database, revision: str) -> None:
    with database.begin() as connection:
        migrate_within(database, connection, revision)


def migrate_within(database: Database, connection: sa.Connection, revision: str) -> None:
    """The same in a transaction of yours."""
    if database.path is None:
        postgresql.begin_upgrade(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def differences(database: Database) -> list[object]:
    """Between the tables that are there and those that are declared: tables, columns, types, keys, indexes."""
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = list(compare_metadata(context, metadata))
        there = sa.inspect(connection)
        for table in metadata.tables.values():
            indexes = {
                index["name"]
                for index in there.get_indexes(table.name)
                if "duplicates_constraint" not in index  # PostgreSQL's, of something UNIQUE
            }
            declared = {index.name for index in table.indexes}
            found += [(table.name, index) for index in indexes ^ declared]
    return found


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
