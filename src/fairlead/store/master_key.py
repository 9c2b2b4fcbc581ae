"""Where the master key comes from: the configuration, or a file in the data directory.

    keys = master_keys("", data, entropy=os.urandom, may_create=True)

The file is made at the first start, for its owner alone (0600); of several processes that start at once one
makes it, and the others read it. One that others may read is refused: whoever has it and a copy of the
database has every secret in it. It may hold several keys, a line each: the first is the current one, see
`store.sealing`.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Final

from fairlead.store.database import DatabaseUnusable
from fairlead.store.sealing import (
    KEY_BYTES,
    Entropy,
    MasterKeyInvalid,
    MasterKeys,
    read_master_keys,
)

__all__ = [
    "MASTER_KEY_FILE",
    "KnownMasterKeys",
    "MasterKeyUnusable",
    "master_keys",
    "written_master_keys",
]

MASTER_KEY_FILE: Final = "master.key"
FILE_BYTES_MAX: Final = 4096
_MODE: Final = 0o600
_LOG: Final = logging.getLogger(__name__)
_HINT: Final = "FAIRLEAD_SECURITY__MASTER_KEY"


class MasterKeyUnusable(DatabaseUnusable):
    """There is none, or it may not be used. One line for the operator, without the key."""


def master_keys(
    configured: str | None, data: Path, *, entropy: Entropy, may_create: bool
) -> MasterKeys:
    """The configured ones, else those of the file, which is made if it is missing.

    may_create: False where something was sealed already: a new key would open none of it.
    Raises MasterKeyUnusable.
    """
    if configured is not None:
        try:
            return MasterKeys(read_master_keys(configured))
        except MasterKeyInvalid as error:
            raise MasterKeyUnusable(f"security.master_key: {error}") from error
    path = data / MASTER_KEY_FILE
    text = _read(path)
    if text is None:
        if not may_create:
            raise MasterKeyUnusable(
                f"{path} is missing, and the database has secrets that were sealed with it: put it back,"
                f" or set {_HINT}"
            )
        _create(path, f"{entropy(KEY_BYTES).hex()}\n", suffix=entropy(8).hex())
        text = _read(path)
        if text is None:
            raise MasterKeyUnusable(f"{path} was removed while it was read")
    try:
        return MasterKeys(read_master_keys(text))
    except MasterKeyInvalid as error:
        raise MasterKeyUnusable(f"{path}: {error}") from error


class KnownMasterKeys:
    """The master keys at this moment: a process that runs takes over what is written into the file.

    keys = KnownMasterKeys(configured, data, entropy=os.urandom, may_create=True)
    keys().wrap(...)

    As `master_keys`; a file that is no use later on changes nothing, and is said once.
    """

    __slots__ = ("_data", "_entropy", "_keys", "_seen")

    def __init__(
        self, configured: str | None, data: Path, *, entropy: Entropy, may_create: bool
    ) -> None:
        self._data = None if configured is not None else data
        self._entropy = entropy
        self._keys = master_keys(configured, data, entropy=entropy, may_create=may_create)
        self._seen = _state(self._data)

    def __call__(self) -> MasterKeys:
        data = self._data
        if data is None or (now := _state(data)) == self._seen:
            return self._keys
        self._seen = now
        try:
            self._keys = master_keys(None, data, entropy=self._entropy, may_create=False)
        except MasterKeyUnusable as error:
            _LOG.error("the master key stays as it was: %s", error)
        return self._keys


def _state(data: Path | None) -> tuple[int, int, int] | None:
    """What changes with the file; None: there is none."""
    if data is None:
        return None
    try:
        status = (data / MASTER_KEY_FILE).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_mode


def written_master_keys(data: Path, *keys: bytes) -> None:
    """Replace the file by one with these keys, the current one first. Raises MasterKeyUnusable."""
    path = data / MASTER_KEY_FILE
    unfinished = path.with_name(f"{path.name}.new")
    try:
        unfinished.unlink(missing_ok=True)
        _write(unfinished, "".join(f"{key.hex()}\n" for key in keys))
        unfinished.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise MasterKeyUnusable(f"{path} cannot be written: {error.strerror or error}") from error


def _read(path: Path) -> str | None:
    """None: there is no such file."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                mode = stat.S_IMODE(status.st_mode)
                raise MasterKeyUnusable(
                    f"{path} can be read by others (mode {mode:04o}), and it opens every secret in the"
                    f" database: `chmod 600 {path}`"
                )
            return file.read(FILE_BYTES_MAX).decode("ascii", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MasterKeyUnusable(f"{path} cannot be read: {error.strerror or error}") from error


def _create(path: Path, text: str, *, suffix: str) -> None:
    """Whole or not at all, and never over another: who comes second reads the first one's."""
    unfinished = path.with_name(f"{path.name}.{suffix}")
    try:
        try:
            _write(unfinished, text)
            os.link(unfinished, path)
        except FileExistsError:
            return
        finally:
            unfinished.unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        raise MasterKeyUnusable(f"{path} cannot be made: {error.strerror or error}") from error


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _sync(directory: Path) -> None:
    """What was sealed is lost with its key: the name must be on disk before anything is sealed."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
