"""Two providers, played; without rules at the beginning of a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.replay.replay_server import ReplayServer
from tests.routed.stage import replaying


@pytest.fixture
def upstream() -> Iterator[ReplayServer]:
    with replaying() as server:
        yield server
