"""The benches of usage work, in miniature; how fast a busy machine is says nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN_S_MAX = 100.0


def ran(program: str, *arguments: str, raw: Path) -> dict[str, dict[str, object]]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / program), *arguments, "--json", str(raw)],
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr  # 1: slower than it may be
    result: dict[str, dict[str, object]] = json.loads(raw.read_bytes())
    assert done.stdout
    return result


@pytest.mark.timeout(RUN_S_MAX + 15)
def test_adding_up_is_measured(tmp_path: Path) -> None:
    found = ran("usage.py", "--batches", "2", "--databases", "sqlite", raw=tmp_path / "raw.json")
    assert found["sqlite"]["own_us"] > 0  # type: ignore[operator]  # a number


@pytest.mark.timeout(RUN_S_MAX + 15)
def test_every_dashboard_is_timed(tmp_path: Path) -> None:
    found = ran("dashboards.py", "--quick", "--databases", "sqlite", raw=tmp_path / "raw.json")
    times = found["sqlite"]
    assert {name.partition(":")[0] for name in times} == {"all", "biggest", "typical"}
    assert len(times) > 80
