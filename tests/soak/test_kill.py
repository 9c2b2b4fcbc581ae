"""`make soak`: kill -9 at random moments under 64 parallel calls, 1000 rounds on both databases together.

What is compared, and what may be recorded although its caller did not see the end, is told in
tests/crash/rounds.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.rounds import kill_rounds


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("workers", "rounds", "seed"), [(1, 350, 2026), (2, 150, 2027)])
def test_no_death_loses_or_invents_a_record_or_a_nanodollar(
    workers: int,
    rounds: int,
    seed: int,
    fresh_address: str,
    database_kind: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = kill_rounds(
        tmp_path,
        rounds=rounds,
        workers=workers,
        seed=seed,
        compare_every=20,
        database_url=fresh_address if database_kind == "postgresql" else None,
    )
    with capsys.disabled():
        print(f"\n{database_kind}, {workers} worker(s), seed {seed}: {report}")
    assert report.rounds == rounds
    assert report.finished > 20 * rounds
