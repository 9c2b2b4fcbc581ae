"""`fairlead migrate`: bring the database up to this version."""

from __future__ import annotations

import click

from fairlead.cli import opening
from fairlead.cli.opening import Place, located

__all__ = ["command"]


@click.command("migrate", short_help="Bring the database up to this version.")
@located
def command(place: Place) -> None:
    """Bring the database up to this version.

    A SQLite database is copied beside itself first. Servers of the version before may go on meanwhile.
    """
    from fairlead.store.database import DATABASE_FILE, open_database
    from fairlead.store.migrate import Current, state, upgrade

    data = opening.create_data_directory(place.data)
    settings = opening.load_settings(place, opening.seed().providers)
    url = settings.database.url
    with opening.stop_on_database_trouble():
        database = open_database(url.reveal() if url is not None else data / DATABASE_FILE)
        try:
            if state(database) == Current():
                click.echo(f"{database.name} is up to date.")
                return
            with opening.progress(f"Upgrading {database.name} ..."):
                backup = upgrade(database)
        finally:
            database.close()
    click.echo(f"{database.name} is up to date now.")
    if backup is not None:
        opening.note(f"The database as it was before: {backup}")
