"""The bench works: `make bench` in miniature, every load and check, a few hundred milliseconds each."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).resolve().parents[2]
RUN_S_MAX = 100.0

FIGURES_WITHOUT_PEER = {
    "call_us", "chunk_us", "translated_ratio", "to_messages_ratio", "big_ms", "streams", "idle_mb", "loaded_mb",
    "plan_us", "plan_usual_us", "admission_us", "admission_trips", "settle_sqlite", "settle_postgresql",
}  # fmt: skip
FIGURES_AGAINST_PEER = {"call_ratio", "rate_ratio", "added_p50_ms", "added_p99_ms"}


@pytest.mark.timeout(RUN_S_MAX + 15)
def test_a_quick_run_fills_every_row_and_finds_every_call_recorded(tmp_path: Path) -> None:
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        pytest.skip("the bench's load generator is C, and no C compiler is installed here")
    raw = tmp_path / "raw.json"

    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "run.py"), "--quick", "--json", str(raw)],
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    result = json.loads(raw.read_bytes())
    assert result["complaints"] == []
    targets = {sample["label"] for sample in result["samples"]}
    expected = FIGURES_WITHOUT_PEER | (FIGURES_AGAINST_PEER if "nginx" in targets else set())
    assert result["figures"].keys() == expected
    for sample in result["samples"] + result["stream_tries"]:
        assert sample["answered"] > 0
        assert sample["bad"] == 0
        assert sample["frames_lost"] == 0
    # The run itself has compared records and answers; this says that there was something to compare.
    assert result["recorded"]["completed"] > 100
    assert "verdict" in done.stdout
    assert str(int(result["answered"])) in done.stdout


def test_planning_is_measured_without_servers(tmp_path: Path) -> None:
    raw = tmp_path / "raw.json"
    run = [str(ROOT / "bench" / "run.py"), "--quick", "--loads", "plan", "--no-streams"]

    done = subprocess.run(
        [sys.executable, *run, "--json", str(raw)],
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    result = json.loads(raw.read_bytes())
    assert result["figures"].keys() == {"plan_us", "plan_usual_us"}
    assert len(result["plans"]) == 7
    assert all(row["count"] >= 50 and row["median_us"] > 0 for row in result["plans"])
    assert "planning a call, 30 endpoints and every wish" in done.stdout
