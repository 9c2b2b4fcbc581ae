"""`fairlead doctor`: is this installation in order?

Each check says one line and never stops the next one. "warn" works but deserves a look; "BROKEN" makes the
exit code 1.
"""

from __future__ import annotations

import platform
import resource
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from fairlead.cli import opening
from fairlead.cli.errors import BROKEN, Stop
from fairlead.cli.listening import listen
from fairlead.cli.opening import Place, located
from fairlead.cli.running import is_claimed

if TYPE_CHECKING:
    from fairlead.core.catalog import Snapshot
    from fairlead.settings import Settings

__all__ = ["Finding", "Mark", "command"]

FREE_BYTES_BROKEN: Final = 50 * 1024 * 1024  # a few minutes of journal under full load
FREE_BYTES_WARN: Final = 1024 * 1024 * 1024
BACKLOG_BYTES_WARN: Final = (
    256 * 1024 * 1024
)  # minutes behind; the settler usually keeps it under one
FILES_BROKEN: Final = 256
FILES_WARN: Final = 4096  # two sockets for each call in progress
ANSWER_S: Final = 2.0
ANSWER_BYTES_MAX: Final = 4096


class Mark(StrEnum):
    OK = "ok"
    WARN = "warn"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Finding:
    mark: Mark
    subject: str
    text: str


@click.command("doctor", short_help="Check this installation.")
@located
def command(place: Place) -> int:
    """Check this installation; exit code 1 if something is broken.

    Shows whether credentials are there, never what they are.
    """
    is_broken = False
    for finding in _findings(place):
        is_broken = is_broken or finding.mark is Mark.BROKEN
        click.echo(f"{finding.mark:<6}  {finding.subject:<14}  {finding.text}")
    return BROKEN if is_broken else 0


def _findings(place: Place) -> Iterator[Finding]:
    snapshot = opening.seed()
    yield _python()
    yield _clock(opening.now_ms(), snapshot.as_of)
    yield _open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield from _directory(place.data)
    try:
        settings = opening.load_settings(place, snapshot.providers)
    except Stop as wrong:
        yield Finding(Mark.BROKEN, "configuration", wrong.message)
        return
    yield _configuration(place, settings, snapshot)
    yield _database(settings, place.data)
    yield from _journal(place.data)
    yield from _credentials(settings, snapshot)
    yield _port(settings, place.data)


def _python() -> Finding:
    return Finding(
        Mark.OK, "python", f"{platform.python_version()} ({platform.python_implementation()})"
    )


def _clock(now_ms: int, as_of: str) -> Finding:
    """A clock before the catalogue's own date is certainly wrong; keys, prices and ids depend on it."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    text = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if now.date().isoformat() < as_of:
        return Finding(
            Mark.BROKEN, "clock", f"{text} is before {as_of}, the date of this release; set it"
        )
    return Finding(Mark.OK, "clock", text)


def _open_files(count_max: int) -> Finding:
    if count_max == resource.RLIM_INFINITY:
        return Finding(Mark.OK, "open files", "no limit")
    text = f"{count_max} at most, so some {max(count_max - 64, 0) // 2} calls at once"
    if count_max < FILES_BROKEN:
        return Finding(Mark.BROKEN, "open files", f"{text}; raise it with `ulimit -n`")
    if count_max < FILES_WARN:
        return Finding(Mark.WARN, "open files", f"{text}; `ulimit -n` raises it")
    return Finding(Mark.OK, "open files", text)


def _directory(data: Path) -> Iterator[Finding]:
    subject = "data directory"
    if not data.exists():
        yield Finding(Mark.WARN, subject, f"{data} does not exist yet; `fairlead serve` creates it")
        return
    try:
        with tempfile.TemporaryFile(dir=data):
            pass
        free_bytes = shutil.disk_usage(data).free
        is_open_to_others = bool(data.stat().st_mode & 0o077)
    except OSError as error:
        yield Finding(Mark.BROKEN, subject, f"cannot write to {data}: {error.strerror or error}")
        return
    if is_open_to_others:
        yield Finding(
            Mark.WARN, subject, f"others on this machine can look into {data}; `chmod 700` it"
        )
    else:
        yield Finding(Mark.OK, subject, str(data))
    text = f"{free_bytes / 2**30:.1f} GiB free"
    if free_bytes < FREE_BYTES_BROKEN:
        yield Finding(Mark.BROKEN, "disk", f"{text}; without space no call can be recorded")
    else:
        yield Finding(Mark.WARN if free_bytes < FREE_BYTES_WARN else Mark.OK, "disk", text)


def _configuration(place: Place, settings: Settings, snapshot: Snapshot) -> Finding:
    subject = "configuration"
    path = place.config_path
    try:
        opening.check_servable(settings, snapshot)
    except Stop as wrong:
        return Finding(Mark.BROKEN, subject, wrong.message)
    if not path.exists():
        return Finding(Mark.OK, subject, f"defaults and environment; there is no {path}")
    if path.stat().st_mode & 0o007:
        return Finding(
            Mark.WARN, subject, f"others on this machine can read or change {path}; `chmod 600` it"
        )
    return Finding(Mark.OK, subject, str(path))


def _database(settings: Settings, data: Path) -> Finding:
    from fairlead.store.database import DATABASE_FILE, open_database
    from fairlead.store.migrate import require_current

    subject = "database"
    url = settings.database.url
    where: str | Path = data / DATABASE_FILE if url is None else url.reveal()
    if isinstance(where, Path) and not where.exists():
        return Finding(
            Mark.WARN, subject, f"{where} does not exist yet; the first start creates it"
        )
    try:
        with opening.stop_on_database_trouble(), closing(open_database(where)) as database:
            require_current(database)
            return Finding(Mark.OK, subject, f"{database.name} is up to date")
    except Stop as wrong:
        return Finding(Mark.BROKEN, subject, wrong.message)


def _journal(data: Path) -> Iterator[Finding]:
    from fairlead.store.journal import JOURNAL_DIRECTORY
    from fairlead.store.journal_files import QUARANTINE_DIRECTORY

    root = data / JOURNAL_DIRECTORY
    waiting_bytes = sum(_size(path) for path in root.glob("*/*.log"))
    text = f"{waiting_bytes / 2**20:.1f} MiB in {root}"
    if waiting_bytes > BACKLOG_BYTES_WARN:
        yield Finding(
            Mark.WARN,
            "journal",
            f"{text}: usage that is not in the database yet; is a server running?",
        )
    else:
        yield Finding(Mark.OK, "journal", text)
    damaged_count = sum(1 for _ in (data / QUARANTINE_DIRECTORY).glob("*"))
    if damaged_count:
        yield Finding(
            Mark.WARN,
            "journal",
            f"{damaged_count} damaged files put aside in {data / QUARANTINE_DIRECTORY}",
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a running server settles and deletes while we look
        return 0


def _credentials(settings: Settings, snapshot: Snapshot) -> Iterator[Finding]:
    from fairlead.gateway.keyring import open_providers
    from fairlead.providers.registry import PROVIDERS

    subject = "credentials"
    opened = open_providers(snapshot.providers, settings.providers, spoken=PROVIDERS)
    present = [slug for slug in settings.providers if slug in opened.credentials]
    for slug in settings.providers:
        found = opened.lacking.get(slug)
        if slug in opened.unreadable and found is not None:
            yield Finding(Mark.WARN, subject, f"{slug}: {found.remedy}")
        elif found is not None and found.is_mistake:
            yield Finding(Mark.WARN, subject, f"{slug} is configured in part: {found.remedy}")
    if present:
        names = ", ".join(present)
        yield Finding(Mark.OK, subject, f"{names} (`fairlead providers check` calls them)")
    else:
        yield Finding(
            Mark.WARN, subject, "no provider has a key here: only the sandbox's models answer"
        )


def _port(settings: Settings, data: Path) -> Finding:
    host, port = settings.server.host, settings.server.port
    subject, where = "port", f"{host} port {port}"
    if port and (status := _readiness(host, port)) is not None:
        if not is_claimed(data):
            return Finding(
                Mark.WARN, subject, f"a Fairlead of another data directory answers on {where}"
            )
        if status != 200:
            return Finding(
                Mark.BROKEN, subject, f"Fairlead answers on {where} but is not ready ({status})"
            )
        return Finding(Mark.OK, subject, f"Fairlead answers on {where}")
    if is_claimed(data):
        return Finding(
            Mark.WARN,
            subject,
            f"a server uses this data directory, but none answers on {where}; it was started with"
            " another address, or hangs",
        )
    try:
        listen(host, port).close()
    except Stop as wrong:
        return Finding(Mark.BROKEN, subject, wrong.message)
    return Finding(Mark.OK, subject, f"{where} is free")


def _readiness(host: str, port: int) -> int | None:
    """The status of /readyz, None if no Fairlead answers there."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    asked = f"GET /readyz HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n\r\n"
    try:
        with socket.create_connection((host, port), timeout=ANSWER_S) as connection:
            connection.sendall(asked.encode())
            answer = _read(lambda: connection.recv(ANSWER_BYTES_MAX))
    except OSError:
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    is_ours = b'"status"' in body and b"ready" in body
    return int(words[1]) if is_ours and len(words) > 1 and words[1].isdigit() else None


def _read(receive: Callable[[], bytes]) -> bytes:
    answer = b""
    while len(answer) < ANSWER_BYTES_MAX and (chunk := receive()):
        answer += chunk
    return answer
