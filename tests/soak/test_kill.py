"""`make soak`: kill -9 at random moments under 64 parallel calls, 200 rounds and more.

What is compared, and what may be recorded although its caller did not see the end, is told in
tests/crash/rounds.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.rounds import kill_rounds


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("workers", "rounds", "seed"), [(1, 140, 2026), (2, 70, 2027)])
def test_no_death_loses_or_invents_a_record(
    workers: int, rounds: int, seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = kill_rounds(tmp_path, rounds=rounds, workers=workers, seed=seed, compare_every=20)
    with capsys.disabled():
        print(f"\n{workers} worker(s), seed {seed}: {report}")
    assert report.rounds == rounds
    assert report.finished > 20 * rounds
