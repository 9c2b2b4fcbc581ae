"""Running the command line in this process and as a program of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairlead.cli import opening
from fairlead.cli.main import run
from fairlead.control.catalog.files import load_seed
from fairlead.core.catalog import Snapshot
from fairlead.store.database import DATABASE_FILE

PROGRAM = (sys.executable, "-m", "fairlead")
ANSWER_S = 60  # far more than any command needs, on a machine that is busy with other tests


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting or key of the machine that runs the tests; a data directory of this test."""
    for name in os.environ:
        clouds = ("AWS_", "AZURE_", "CLOUDFLARE_", "GOOGLE_")
        is_key = name.endswith(("_API_KEY", "_TOKEN", "_BASE_URL"))
        if is_key or name.startswith(("FAIRLEAD_", *clouds)):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FAIRLEAD_DATA", str(tmp_path / "data"))


@pytest.fixture(scope="session")
def shipped() -> Snapshot:
    """The catalogue that comes with the package."""
    return load_seed()


@pytest.fixture(autouse=True)
def read_once(shipped: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command in this process need not read the catalogue's files, half of what most commands take."""
    monkeypatch.setattr(opening, "seed", lambda: shipped)


@pytest.fixture
def installed(tmp_path: Path, prepared_sqlite: Path) -> Path:
    """The data directory of this test, with a database that is set up: the first command need not do it."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    shutil.copy(prepared_sqlite, data / DATABASE_FILE)
    return data


@pytest.fixture
def fairlead(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command in this process, as `main` does."""

    def called(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return called


@pytest.fixture
def program() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the real program; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=ANSWER_S)
