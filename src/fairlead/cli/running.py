"""The one server of a data directory: claiming it, and speaking to it from other commands.

A server holds an exclusive lock (flock) on `<data>/server.lock` for as long as its process lives; the
kernel lets go of it however the process ends, so there is nothing stale to clean up, and a process id read
while the lock is held is really the server's. That id is written once the server is ready to take a
signal: SIGHUP makes it read its configuration again.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fairlead.cli.errors import Stop

__all__ = ["Claim", "claimed", "is_claimed", "reload_server", "server_process"]

LOCK_NAME: Final = "server.lock"
LOOK_S: Final = 0.02


class Claim:
    """The lock, held by this process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell_process(self) -> None:
        """From now on other commands may send signals to this process."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)


@contextmanager
def claimed(data: Path) -> Iterator[Claim]:
    """Be the server of this data directory. Raises Stop if another one is."""
    descriptor = os.open(data / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _locked(descriptor):
            process = _written_process(descriptor)
            who = f"process {process}" if process is not None else "which is just starting"
            raise Stop(
                f"{data} is in use by another server ({who}); stop that one, or choose another"
                " directory with --data"
            )
        os.ftruncate(descriptor, 0)
        yield Claim(descriptor)
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def is_claimed(data: Path) -> bool:
    """Whether a server runs on this data directory, or is about to."""
    return _look(data)[0]


def server_process(data: Path) -> int | None:
    """The process id of the server that runs on this data directory and takes signals, if there is one."""
    return _look(data)[1]


def reload_server(data: Path) -> bool:
    """Make the running server read its configuration again. False: none runs."""
    process = server_process(data)
    if process is None:
        return False
    os.kill(process, signal.SIGHUP)
    return True


def _look(data: Path) -> tuple[bool, int | None]:
    try:
        descriptor = os.open(data / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False, None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True, _written_process(descriptor)
    finally:
        os.close(descriptor)
    return False, None


def _locked(descriptor: int) -> bool:
    """Lock it for good. A command that only looks (`_look`) holds it for microseconds, so try again."""
    for is_last in (False, False, True):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_last:
                time.sleep(LOOK_S)
        else:
            return True
    return False


def _written_process(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None
