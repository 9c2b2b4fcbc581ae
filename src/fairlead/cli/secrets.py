"""`fairlead secrets`: the master key, and replacing it."""

from __future__ import annotations

from pathlib import Path

import click

from fairlead.cli import opening
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Place, located

__all__ = ["command"]


@click.group("secrets", short_help="The master key: status, rotate.")
def command() -> None:
    """The master key that opens what is sealed in the database."""


@command.command("status")
@located
def status(place: Place) -> None:
    """Say where the master key comes from and whether it is the database's. Never shows it."""
    from fairlead.store.secrets import check_value

    with opening.opened(place) as here:
        opening.secrets_in(here.database, here.settings, here.data)
        in_use = check_value(here.database)
    source = "security.master_key" if here.settings.security.master_key else f"{_file(here.data)}"
    click.echo(f"master key: {source}")
    click.echo(f"in use: {in_use or 'nothing is sealed yet'}")


@command.command("rotate")
@located
def rotate(place: Place) -> None:
    """Seal everything with a new master key. Servers may go on running.

    With `master.key` in the data directory, the new key is made here; the one before it stays in the file
    until the next rotation. With `security.master_key` put the new key before the old one, separated by a
    comma, restart all servers, and then rotate.
    """
    from fairlead.settings import revealed
    from fairlead.store.master_key import MASTER_KEY_FILE, written_master_keys
    from fairlead.store.sealing import KEY_BYTES, MasterKeyUnknown, read_master_keys
    from fairlead.store.secrets import open_secrets

    with opening.opened(place) as here, opening.progress("Sealing again") as show:
        data, configured = here.data, revealed(here.settings.security.master_key)
        secrets, keys = open_secrets(
            here.database, configured, data, now_ms=opening.now_ms, entropy=opening.entropy
        )
        try:
            count = secrets.rotate(lambda done: show(f"Sealing again: {done}"))
            if configured is None:
                # All is under the current key now, so that older ones may go; it stays itself, for servers that
                # have not yet looked into the file again.
                current = read_master_keys((data / MASTER_KEY_FILE).read_text("ascii"))[0]
                written_master_keys(data, opening.entropy(KEY_BYTES), current)
                count = secrets.rotate(lambda done: show(f"Sealing again: {done}"))
        except MasterKeyUnknown as error:
            raise Stop(f"{error}; put the older key behind the current one") from error
        current_id = keys().current_id
    opening.note(f"{count} accounts' data keys are sealed with master key {current_id}.")


def _file(data: Path) -> Path:
    from fairlead.store.master_key import MASTER_KEY_FILE

    return data / MASTER_KEY_FILE
