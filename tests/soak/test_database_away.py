"""`make soak`: the database is away for a whole minute under load; see tests/faults/away.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.away import KINDS, outage

AWAY_S = 60.0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_a_minute_without_the_database_costs_nobody_anything(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = outage(tmp_path, kind, away_s=AWAY_S)
    with capsys.disabled():
        print(f"\n{kind}: {outcome}")
    assert outcome.away_s >= AWAY_S
    assert outcome.refused
