"""The database goes away while customers call.

Whom the server knows goes on being served within what it has leased of their budgets; whoever needs more, or is
not known, is told 503 and never that a key is wrong. When the database is back everything is settled by itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.away import KINDS, outage


@pytest.mark.parametrize("kind", KINDS)
def test_known_keys_go_on_within_their_leases_and_afterwards_all_is_settled(
    kind: str, tmp_path: Path
) -> None:
    outcome = outage(tmp_path, kind)
    assert outcome.answered > 50
    assert outcome.refused
