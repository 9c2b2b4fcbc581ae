"""The machinery around a measurement: the C tools, the pinned processes, and what they cost.

Everything started here listens on 127.0.0.1 only, is pinned to one core, dies with this process even if that
is killed, and is stopped in `Rig.close` at the latest.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from machine import Cores, cpu_us
from programs import compiler, nginx

__all__ = [
    "BUILD",
    "FAIRLEAD",
    "MODEL",
    "TRANSLATED_MODEL",
    "Ledger",
    "Rig",
    "RigFailure",
    "Target",
    "opened",
    "pinned",
]

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
FAIRLEAD = HERE.parent / ".venv" / "bin" / "fairlead"

MODEL = "openai/gpt-4o-mini"  # in the catalogue, with a price, served by the provider `openai`
TRANSLATED_MODEL = "anthropic/claude-haiku-4.5"  # the same, served by the provider `anthropic`
DATABASE_FILE = "fairlead.db"
START_S_MAX = 30.0
STOP_S_MAX = 20.0
COMMAND_S_MAX = 120.0
FILES_MAX = 16_384  # descriptors: two for each of 3000 streams, and room
_POLL_S = 0.02
_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG
_QUIET_SHARE = 0.05  # of a core


class RigFailure(Exception):
    """The rig itself cannot work; the message says what to do."""


@dataclass(slots=True)
class Target:
    """Something that forwards calls to the mock upstream."""

    name: str
    port: int
    pid: int
    headers: tuple[str, ...] = ()
    translates: bool = False  # between the formats of caller and upstream

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/v1/{path}"

    def settle_down(self, *, quiet_s: float = 0.1, wait_s_max: float = 20.0) -> float:
        """Wait until it does nothing any more (work put off from a load is part of its cost).

        Returns the seconds waited; at most `wait_s_max`.
        """
        began_s = time.monotonic()
        while True:
            before_us = cpu_us(self.pid)
            time.sleep(quiet_s)
            share = (cpu_us(self.pid) - before_us) / (quiet_s * 1e6)
            waited_s = time.monotonic() - began_s
            if share < _QUIET_SHARE or waited_s > wait_s_max:
                return waited_s


@dataclass(slots=True)
class Ledger:
    """What Fairlead has recorded, read from its database once it has stopped."""

    by_outcome: dict[str, int] = field(default_factory=dict)
    free_count: int = 0
    prompt_tokens: int = 0

    @property
    def completed_count(self) -> int:
        return self.by_outcome.get("completed", 0)


class Rig:
    """The mock upstream and the targets, from the first to the last."""

    def __init__(self, cores: Cores, fairlead: Path = FAIRLEAD) -> None:
        self.cores = cores
        self._fairlead = fairlead
        self.work = BUILD / f"run-{os.getpid()}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._log_files: list[IO[bytes]] = []
        self._upstream_port = 0

    # --- starting ---

    def open(self) -> None:
        """Build the tools and start the upstream. Raises RigFailure."""
        for stale in BUILD.glob("run-*"):
            if not Path(f"/proc/{stale.name.removeprefix('run-')}").exists():
                shutil.rmtree(stale, ignore_errors=True)
        self.work.mkdir(parents=True)
        _raise_file_limit()
        for tool in ("mockup", "loadgen"):
            _build(tool)
        upstream = self._start(
            "upstream",
            [str(BUILD / "mockup"), "-p", "0"],
            core=self.cores.load,
            stdout=subprocess.PIPE,
        )
        assert upstream.stdout is not None
        line = upstream.stdout.readline().decode()
        if not line.startswith("mockup: port "):
            raise RigFailure(f"the mock upstream did not start: {self._log('upstream')}")
        self._upstream_port = int(line.split()[-1])

    def upstream(self) -> Target:
        """The mock upstream itself, without anything between."""
        return Target("direct", self._upstream_port, self._processes["upstream"].pid)

    def start_nginx(self) -> Target | None:
        """A plain reverse proxy; None when nginx is not installed."""
        program = nginx()
        if program is None:
            return None
        prefix = self.work / "nginx"
        prefix.mkdir()
        port = _free_port()
        text = (HERE / "peers" / "nginx.conf").read_text()
        text = text.replace("@PORT@", str(port)).replace(
            "@UPSTREAM_PORT@", str(self._upstream_port)
        )
        (prefix / "nginx.conf").write_text(text)
        process = self._start(
            "nginx",
            [program, "-e", "stderr", "-p", f"{prefix}/", "-c", f"{prefix}/nginx.conf"],
            core=self.cores.target,
        )
        self._wait_for("nginx", port, "/")
        return Target("nginx", port, process.pid)

    def start_fairlead(self) -> Target:
        """Fairlead with a key of its own, in front of the mock upstream, on a fresh data directory."""
        if not self._fairlead.exists():
            raise RigFailure(f"{self._fairlead} is missing: run `make setup` first")
        data = self.data
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.work),
            "OPENAI_API_KEY": "x",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{self._upstream_port}/v1",
            "ANTHROPIC_API_KEY": "x",
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{self._upstream_port}/v1",
        }
        created = subprocess.run(
            [str(self._fairlead), "keys", "create", "--name", "bench", "--data", str(data)],
            env=environment, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False,
        )  # fmt: skip
        if created.returncode:
            raise RigFailure(f"`fairlead keys create` failed: {created.stderr.strip()}")
        key = created.stdout.strip()
        port = _free_port()
        process = self._start(
            "fairlead",
            [str(self._fairlead), "serve", "--port", str(port), "--data", str(data)],
            core=self.cores.target,
            environment=environment,
        )
        self._wait_for("fairlead", port, "/readyz")
        return Target(
            "fairlead", port, process.pid, (f"Authorization: Bearer {key}",), translates=True
        )

    @property
    def data(self) -> Path:
        """Fairlead's data directory: on the disk of the repository, where a sync costs what it costs."""
        return self.work / "data"

    # --- stopping ---

    def stop(self, name: str) -> None:
        """Stop one process gracefully, by force after a while."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        for name in list(self._processes):
            self.stop(name)
        for file in self._log_files:
            file.close()
        shutil.rmtree(self.work, ignore_errors=True)

    def recorded(self) -> Ledger:
        """What the stopped Fairlead left in its database. Raises RigFailure if there is none."""
        path = self.data / DATABASE_FILE
        if not path.exists():
            raise RigFailure(f"there is no database {path.name} in Fairlead's data directory")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            outcomes = database.execute(
                "SELECT outcome, count(*) FROM generations GROUP BY outcome"
            )
            by_outcome = {str(outcome): int(count) for outcome, count in outcomes}
            free, prompt = database.execute(
                "SELECT coalesce(sum(cost_nano <= 0), 0), coalesce(sum(prompt_tokens), 0) FROM generations"
                " WHERE outcome = 'completed'"
            ).fetchone()
        return Ledger(by_outcome, int(free), int(prompt))

    # --- details ---

    def _start(
        self,
        name: str,
        command: list[str],
        *,
        core: int,
        environment: dict[str, str] | None = None,
        stdout: int | None = None,
    ) -> subprocess.Popen[bytes]:
        log = (self.work / f"{name}.log").open("wb")
        self._log_files.append(log)
        self._processes[name] = process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log if stdout is None else stdout,
            stderr=log,
            preexec_fn=pinned(core),  # noqa: PLW1509 — there is one thread here
        )
        return process

    def _log(self, name: str) -> str:
        text = (self.work / f"{name}.log").read_text(errors="replace")
        return text[-2000:].strip()

    def _wait_for(self, name: str, port: int, path: str) -> None:
        process = self._processes[name]
        give_up_s = time.monotonic() + START_S_MAX
        while time.monotonic() < give_up_s:
            if process.poll() is not None:
                break
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                connection.close()
                if answer.status == 200:
                    return
            time.sleep(_POLL_S)
        raise RigFailure(f"{name} did not become ready: {self._log(name)}")


@contextlib.contextmanager
def opened(cores: Cores, fairlead: Path = FAIRLEAD) -> Iterator[Rig]:
    """A rig whose upstream is up, and whatever was started in it is stopped at the end."""
    rig = Rig(cores, fairlead)
    try:
        rig.open()
        yield rig
    finally:
        rig.close()


def pinned(core: int) -> Callable[[], None]:
    """What a child does before it becomes its program: stay on one core, and die with us."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        os.sched_setaffinity(0, {core})
        prctl(_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)

    return prepare


def _build(tool: str) -> None:
    source, program = HERE / f"{tool}.c", BUILD / tool
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return
    command = compiler()
    if command is None:
        raise RigFailure("a C compiler is needed")
    # Built beside and moved: two runs at once must not see half a program.
    fresh = BUILD / f"{tool}.{os.getpid()}"
    done = subprocess.run(
        [command, "-O2", "-o", str(fresh), str(source), "-lm"],
        capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RigFailure(f"{tool}.c does not compile here: {done.stderr.strip()}")
    fresh.replace(program)


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
