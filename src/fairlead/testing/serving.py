"""The real programs, each a process of its own with a directory of its own: `fairlead serve` and its twin.

    with running_pair(tmp_path) as pair:
        OpenAI(base_url=pair.fairlead.openai_url, api_key=pair.fairlead.key)

A program is ready when it says so; it is ended by SIGTERM, and a program that does not end is a failure.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

__all__ = [
    "Pair",
    "Program",
    "RunningFairlead",
    "RunningTwinProcess",
    "running_pair",
    "running_program",
]

READY_TIMEOUT_S: Final = 60.0  # a cold start on a busy machine takes a tenth of it
STOP_TIMEOUT_S: Final = 20.0
REQUESTS_KEPT: Final = 10_000
_ADDRESS: Final = re.compile(r"ready at (http://\S+)")
_KEY: Final = re.compile(r"shown this once: (\S+)")
# Whatever keys and addresses the machine has, tests neither see them nor use them.
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_START")


@dataclass(frozen=True, slots=True)
class RunningFairlead:
    """url: `http://127.0.0.1:port`. key: of the owner account, from the first start."""

    url: str
    key: str = field(repr=False)
    data: Path

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def openrouter_url(self) -> str:
        return f"{self.url}/api/v1"

    @property
    def anthropic_url(self) -> str:
        """Without a version segment: Anthropic's clients add it."""
        return f"{self.url}/api"


@dataclass(frozen=True, slots=True)
class RunningTwinProcess:
    """url: `http://127.0.0.1:port`, without a version segment."""

    url: str

    def calls(self, tag: str) -> list[dict[str, Any]]:
        """The calls of its bill with this tag, once none of them is open any more."""
        found: list[dict[str, Any]] = self._get("/_twin/calls", tag=tag, ended="1")["calls"]
        return found

    def every_call(self) -> list[dict[str, Any]]:
        """All calls of its bill, as `calls`."""
        found: list[dict[str, Any]] = self._get("/_twin/calls", ended="1")["calls"]
        return found

    def requests(self, tag: str) -> list[dict[str, Any]]:
        """The bodies that it received with this tag, oldest first."""
        return [request["body"] for request in self._get("/_twin/requests", tag=tag)["requests"]]

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=STOP_TIMEOUT_S) as response:  # noqa: S310 - loopback
            answer: dict[str, Any] = json.load(response)
        return answer


@dataclass(frozen=True, slots=True)
class Pair:
    """A server, and the twin that stands in for its providers."""

    fairlead: RunningFairlead
    twin: RunningTwinProcess


@contextmanager
def running_pair(
    directory: Path,
    *,
    providers: tuple[str, ...] = ("OPENAI", "DEEPSEEK"),
    run: Callable[..., AbstractContextManager[Program]] | None = None,
) -> Iterator[Pair]:
    """Both, until the block ends. providers: configured at the server, all of them played by the twin.

    run: starts a program, as `running_program` does, which it is if None.
    """
    run = run or running_program
    directory.mkdir(parents=True, exist_ok=True)
    keep = ["--keep-requests", str(REQUESTS_KEPT)]
    with run(["twin", "--port", "0", *keep], directory / "twin.log") as program:
        twin = RunningTwinProcess(program.wait_for(_ADDRESS))
        environment = {f"{name}_API_KEY": "sk-upstream" for name in providers}
        environment |= {f"{name}_BASE_URL": f"{twin.url}/v1" for name in providers}
        data = directory / "data"
        with run(
            ["serve", "--port", "0", "--data", str(data)], directory / "serve.log", environment
        ) as program:
            url = program.wait_for(_ADDRESS)
            yield Pair(RunningFairlead(url, program.wait_for(_KEY), data), twin)


class Program:
    """One running program. log: where its standard error goes."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def wait_for(self, pattern: re.Pattern[str]) -> str:
        """The first group of the first line of output that matches, from where the last wait ended.

        Fails if the program ends without it; one that takes too long is killed, which ends its output.
        """
        assert self._process.stdout is not None
        watchdog = threading.Timer(READY_TIMEOUT_S, self._process.kill)
        watchdog.start()
        try:
            for line in self._process.stdout:
                if found := pattern.search(line):
                    return found[1]
        finally:
            watchdog.cancel()
        raise AssertionError(f"it ended without {pattern.pattern!r}: {self._log.read_text()}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def terminate(self) -> None:
        """Ask it to stop, and do not wait."""
        self._process.terminate()

    def exit_code(self, *, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Once it has ended, which must be soon. Negative: the signal that killed it."""
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """At once, as the kernel would (SIGKILL)."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """As an operator would; fails if that is not enough."""
        assert self._process.stdout is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()


@contextmanager
def running_program(
    arguments: list[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    *,
    module: str = "fairlead",
) -> Iterator[Program]:
    """`fairlead ARGUMENTS`, until the block ends. log: where its standard error goes.

    environment: on top of a bare one; the machine's own provider keys are not passed on.
    module: another one that takes the same arguments.
    """
    bare = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**bare, **(environment or {})},
        )
    program = Program(process, log)
    try:
        yield program
    finally:
        program.end()
