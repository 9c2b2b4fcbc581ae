"""`fairlead`, or parts of it, as a fork of a process that has imported it: most of a start is importing.

Whoever starts many saves two thirds of their processor time. Workers of a server, which it starts itself, are
as ever. What a start needs, and how long it takes, is shown with `running_program`.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TextIO, cast

from fairlead.testing.serving import Program

__all__ = ["Forked", "forked", "forked_command", "forked_program"]

INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
IMPORTED = [
    "alembic.script",
    "fairlead.cli.first_start",
    "fairlead.cli.serve",
    "fairlead.compose.serving",
    "fairlead.sandbox.twin",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
]


@contextmanager
def forked_program(
    arguments: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """As `running_program`."""
    with forked(partial(_fairlead, arguments, environment or {}), log) as process:
        program = Program(cast("Any", process), log)
        try:
            yield program
        finally:
            program.end()


def forked_command(
    arguments: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> str:
    """What a command prints that ends by itself, and well. log: where its standard error goes."""
    with forked(partial(_fairlead, arguments, environment or {}), log) as process:
        printed = process.stdout.read()
        code = process.wait()
    assert code == 0, f"{arguments} ended with {code}: {log.read_text('utf-8')}"
    return printed


@contextmanager
def forked(run: Callable[[], None], log: Path) -> Iterator[Forked]:
    """run: what the process does; the process imports it by its name. log: where its standard error goes."""
    log.write_bytes(b"")  # it may not live to do so itself
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    output, its_output = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(run, log, its_output))
    process.start()
    its_output.close()
    with os.fdopen(os.dup(output.fileno()), encoding="utf-8") as stdout:
        output.close()
        yield Forked(process, stdout)


class Forked:
    """What it prints is `stdout`. What `Program` asks of a subprocess.Popen."""

    def __init__(self, process: BaseProcess, stdout: TextIO) -> None:
        assert process.pid is not None
        self.pid = process.pid
        self.stdout = stdout
        self._process = process

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutError(f"it has not ended within {timeout} s")
        return code


def _main(run: Callable[[], None], log: Path, output: Connection) -> None:
    with log.open("ab") as errors:
        os.dup2(errors.fileno(), 2)
    os.dup2(output.fileno(), 1)
    output.close()
    run()


def _fairlead(arguments: list[str], environment: Mapping[str, str]) -> None:
    bare = {name: os.environ[name] for name in INHERITED if name in os.environ}
    os.environ.clear()
    os.environ.update({**bare, **environment})
    sys.argv = ["fairlead", *arguments]

    from fairlead.cli.main import main

    main()
