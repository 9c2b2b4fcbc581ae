"""The files in which processes leave what they know of endpoints' health.

    <data>/health/<n>.state     one process's book
    <data>/health/<n>.lock      locked by the process whose book that is, for as long as it lives

A process takes the first number that no living process holds, and with it the file of one that has ended: so
there are never more files than processes lived at the same time.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["AGE_MAX_S", "STATE_BYTES_MAX", "HealthFiles"]

PROCESSES_MAX: Final = 256
STATE_BYTES_MAX: Final = 16 << 20  # some 2,600 busy endpoints
AGE_MAX_S: Final = 86_400.0  # older than anything that is still looked at


class HealthFiles:
    """The files of one installation. All methods block and raise OSError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock: int | None = None
        self._path: Path | None = None
        self._writing = threading.Lock()  # a write may still be under way in a thread at the end
        self._is_closed = False

    def read(self, *, now_s: float) -> Iterator[tuple[Path, bytes]]:
        """What every process saved within a day; deletes what is older. now_s: Unix seconds."""
        for path in sorted(self._directory.glob("*.state")):
            status = path.stat()
            if now_s - status.st_mtime > AGE_MAX_S:
                path.unlink(missing_ok=True)
            elif status.st_size <= STATE_BYTES_MAX:
                yield path, path.read_bytes()

    def write(self, state: bytes) -> None:
        """Replace what this process saved before, in one step. A crash leaves the one or the other.

        Nothing is written once it is closed: that file is another process's.
        """
        with self._writing:
            if self._is_closed:
                return
            path = self._own()
            fresh = path.with_suffix(".new")
            fresh.write_bytes(state)
            fresh.replace(path)

    def close(self) -> None:
        """Leave the number, and the file, to another process."""
        with self._writing:
            self._is_closed = True
            if self._lock is not None:
                os.close(self._lock)
                self._lock = self._path = None

    def _own(self) -> Path:
        if self._path is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            for number in range(PROCESSES_MAX):
                lock = os.open(
                    self._directory / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
                )
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(lock)
                    continue
                except OSError:
                    os.close(lock)
                    raise
                self._lock, self._path = lock, self._directory / f"{number}.state"
                break
            else:
                raise FileExistsError(f"{PROCESSES_MAX} processes keep their health already")
        return self._path
