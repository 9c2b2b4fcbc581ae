"""The short form of `make soak`: see rounds.py for what must hold after a kill -9."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.rounds import kill_rounds


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("workers", "rounds", "seed"), [(1, 5, 1), (2, 3, 2)])
def test_what_a_caller_saw_finished_survives_the_servers_death_exactly_once(
    workers: int, rounds: int, seed: int, fresh_address: str, database_kind: str, tmp_path: Path
) -> None:
    report = kill_rounds(
        tmp_path,
        rounds=rounds,
        workers=workers,
        seed=seed,
        compare_every=rounds,
        database_url=fresh_address if database_kind == "postgresql" else None,
    )
    assert report.rounds == rounds
    assert report.finished >= 5 * rounds, report  # enough to mean something, on a busy machine too
