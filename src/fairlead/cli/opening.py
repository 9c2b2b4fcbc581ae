"""What commands open before they work: the data directory, the settings, the catalogue, the database.

Each step raises `Stop` with one line for the operator. Imports are inside the functions: a command pays for
what it opens.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

import click

from fairlead.cli.errors import Stop

if TYPE_CHECKING:
    from fairlead.compose.people import PeopleServices
    from fairlead.control.accounts.service import Accounts
    from fairlead.control.audit.service import Audit
    from fairlead.control.budgets.service import Budgets
    from fairlead.control.keys.service import Keys
    from fairlead.control.ledger.service import Ledger
    from fairlead.control.people.leaving import Forget
    from fairlead.control.people.tokens import OneTimeTokens
    from fairlead.control.workspaces.service import Workspaces
    from fairlead.core.catalog import ProviderInfo, Snapshot
    from fairlead.core.catalog_amendments import Amendments
    from fairlead.core.ids import ProviderSlug
    from fairlead.settings import Settings
    from fairlead.store.database import Database
    from fairlead.store.secrets import Secrets

__all__ = [
    "Installation",
    "Place",
    "accounts_in",
    "amendments_in",
    "audit_in",
    "budgets_in",
    "check_servable",
    "create_data_directory",
    "entropy",
    "has_database",
    "keys_in",
    "ledger_in",
    "load_settings",
    "located",
    "note",
    "now_ms",
    "opened",
    "opened_database",
    "people_in",
    "progress",
    "secrets_in",
    "seed",
    "stop_on_database_trouble",
    "tokens_in",
    "workspaces_in",
]

_Parameters = ParamSpec("_Parameters")
_Answer = TypeVar("_Answer")

DIRECTORY_MODE: Final = 0o700  # the database holds who called what and when


@dataclass(frozen=True, slots=True)
class Place:
    """Where an installation lives. config: a file other than fairlead.toml in the data directory."""

    data: Path
    config: Path | None

    @property
    def config_path(self) -> Path:
        from fairlead.settings import CONFIG_NAME

        return self.config if self.config is not None else self.data / CONFIG_NAME


def located(
    command: Callable[Concatenate[Place, _Parameters], _Answer],
) -> Callable[_Parameters, _Answer]:
    """Give a command `--data` and `--config`, and what they mean as its first argument."""

    @click.option(
        "--data",
        envvar="FAIRLEAD_DATA",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Data directory.  [env: FAIRLEAD_DATA; default: the XDG user data directory]",
    )
    @click.option(
        "--config",
        envvar="FAIRLEAD_CONFIG",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Configuration file.  [env: FAIRLEAD_CONFIG; default: fairlead.toml in the data directory]",
    )
    @wraps(command)
    def with_place(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Answer:
        data, config = kwargs.pop("data"), kwargs.pop("config")
        assert data is None or isinstance(data, Path)
        assert config is None or isinstance(config, Path)
        place = Place(data=(data or _default_data()).absolute(), config=config)
        return command(place, *args, **kwargs)

    return with_place


def _default_data() -> Path:
    from platformdirs import user_data_path

    return user_data_path("fairlead", appauthor=False)


def create_data_directory(data: Path) -> Path:
    """Make sure the directory exists and can be written. Raises Stop."""
    try:
        data.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data):
            pass
    except OSError as error:
        raise Stop(
            f"cannot write to the data directory {data}: {error.strerror or error};"
            " change its permissions, or choose another with --data or FAIRLEAD_DATA"
        ) from error
    return data


def seed() -> Snapshot:
    """The catalogue that comes with the package; 70 ms."""
    from fairlead.control.catalog.files import load_seed

    return load_seed()


def load_settings(
    place: Place,
    providers: Mapping[ProviderSlug, ProviderInfo],
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """All sources of settings together. flags: by dotted name, None for those not given."""
    from fairlead.settings import SettingsError, load

    try:
        return load(
            flags or {},
            os.environ,
            data=place.data,
            config=place.config,
            providers=providers,
        )
    except SettingsError as error:
        raise Stop(str(error)) from error


def check_servable(settings: Settings, snapshot: Snapshot) -> None:
    """What a type cannot tell about the settings. Raises Stop."""
    from fairlead.core.catalog_overlay import ConfigurationInvalid, overlay

    ca_file = settings.upstream.ca_file
    if ca_file is not None and not os.access(ca_file, os.R_OK):
        raise Stop(f"upstream.ca_file: cannot read {ca_file}")
    font_file = settings.billing.font_file
    if font_file is not None and not os.access(font_file, os.R_OK):
        raise Stop(f"billing.font_file: cannot read {font_file}")
    if not settings.models:
        return
    try:
        overlay(snapshot, settings.models, {})
    except ConfigurationInvalid as error:
        raise Stop(str(error)) from error


@contextmanager
def opened_database(settings: Settings, data: Path) -> Iterator[Database]:
    """The installation's database, current; a fresh one is set up first. Raises Stop."""
    from fairlead.store.database import DATABASE_FILE, open_database
    from fairlead.store.migrate import prepare

    url = settings.database.url
    with stop_on_database_trouble():
        database = open_database(url.reveal() if url is not None else data / DATABASE_FILE)
        try:
            prepare(database)
            yield database
        finally:
            database.close()


def has_database(place: Place, settings: Settings) -> bool:
    """Whether there is one to open: an installation that was never started has none."""
    from fairlead.store.database import DATABASE_FILE

    return settings.database.url is not None or (place.data / DATABASE_FILE).exists()


def amendments_in(place: Place, settings: Settings) -> Amendments:
    """What the operator changed of the catalogue while servers ran. Raises Stop."""
    from fairlead.control.catalog.amendments import read_amendments
    from fairlead.core.catalog_amendments import NO_AMENDMENTS

    if not has_database(place, settings):
        return NO_AMENDMENTS
    with opened_database(settings, place.data) as database:
        return read_amendments(database)


@dataclass(frozen=True, slots=True)
class Installation:
    """What most commands work on. seed: the package's catalogue, without what the settings change in it."""

    data: Path
    seed: Snapshot
    settings: Settings
    database: Database


@contextmanager
def opened(place: Place) -> Iterator[Installation]:
    """All of it, for as long as the block lasts. Raises Stop."""
    data = create_data_directory(place.data)
    snapshot = seed()
    settings = load_settings(place, snapshot.providers)
    with opened_database(settings, data) as database:
        yield Installation(data, snapshot, settings, database)


def secrets_in(database: Database, settings: Settings, data: Path) -> Secrets:
    """Secrets at rest; the first start makes their master key. Inside of `opened_database`: that tells what is
    wrong with it."""
    from fairlead.settings import revealed
    from fairlead.store.secrets import open_secrets

    configured = revealed(settings.security.master_key)
    return open_secrets(database, configured, data, now_ms=now_ms, entropy=entropy)[0]


def accounts_in(database: Database) -> Accounts:
    from fairlead.control.accounts.service import Accounts

    return Accounts(database, now_ms=now_ms, entropy=entropy)


def keys_in(database: Database) -> Keys:
    from fairlead.control.keys.service import Keys

    limits = budgets_in(database)
    return Keys(database, now_ms=now_ms, entropy=entropy, audit=audit_in(database), limits=limits)


def budgets_in(database: Database) -> Budgets:
    from fairlead.control.budgets.service import Budgets

    return Budgets(database, now_ms=now_ms)


def ledger_in(database: Database) -> Ledger:
    from fairlead.control.ledger.service import Ledger

    return Ledger(database, now_ms=now_ms)


def workspaces_in(database: Database) -> Workspaces:
    from fairlead.control.keys.service import LiveKeys
    from fairlead.control.workspaces.service import Workspaces

    return Workspaces(
        database,
        audit_in(database),
        keys=LiveKeys(now_ms=now_ms),
        limits=budgets_in(database),
        now_ms=now_ms,
        entropy=entropy,
    )


def audit_in(database: Database) -> Audit:
    """Who did what; the operator, here."""
    from fairlead.control.audit.service import Audit

    return Audit(database, now_ms=now_ms, entropy=entropy)


def people_in(
    database: Database, settings: Settings, *, forget: Sequence[Forget] = ()
) -> PeopleServices:
    """Everything about people; half a second to import. forget: what else is deleted with an account."""
    from fairlead.compose.people import build_people

    return build_people(
        database,
        settings,
        accounts=accounts_in(database),
        audit=audit_in(database),
        workspaces=workspaces_in(database),
        limits=budgets_in(database),
        now_ms=now_ms,
        entropy=entropy,
        forget=forget,
    )


def tokens_in(database: Database) -> OneTimeTokens:
    """Links that work once."""
    from fairlead.control.people.tokens import OneTimeTokens

    return OneTimeTokens(database, now_ms=now_ms, entropy=entropy)


# The real clock and the real entropy, as in compose/system.py, which takes half a second to import.


def now_ms() -> int:
    return time.time_ns() // 1_000_000  # noqa: TID251 - see above


def entropy(bytes_count: int) -> bytes:
    return os.urandom(bytes_count)  # noqa: TID251 - see above


@contextmanager
def stop_on_database_trouble() -> Iterator[None]:
    """What the database says, with what to do about it."""
    from fairlead.store.database import DatabaseUnusable
    from fairlead.store.master_key import MasterKeyUnusable
    from fairlead.store.migrate import DatabaseOld, DatabaseUnknown

    try:
        yield
    except DatabaseUnusable as error:
        text = str(error)
        if isinstance(error, MasterKeyUnusable):
            remedy = ""  # it is in the text
        elif isinstance(error, DatabaseOld):
            remedy = "" if "fairlead" in text else "; run `fairlead migrate`"
        elif isinstance(error, DatabaseUnknown):
            remedy = "; install the version that wrote it, or choose another directory with --data"
        elif "not a database" in text:
            remedy = "; move the file away, or choose another directory with --data"
        else:
            remedy = "; `fairlead doctor` looks closer"
        raise Stop(f"{text}{remedy}") from error


def note(text: str) -> None:
    """Say something beside the result: on standard error, so that the result can be piped."""
    click.echo(text, err=True)


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """Show what long work is doing while a person watches; nothing when the output goes elsewhere.

    Yields a function that changes the text; the line is gone at the end.
    """
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield lambda _: None
        return

    def show(now: str) -> None:
        click.echo(f"\r\x1b[2K{now}", err=True, nl=False)

    show(text)
    try:
        yield show
    finally:
        show("")
