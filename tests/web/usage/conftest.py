from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.web.management.stage import Stage


@pytest.fixture
def stage(database_address: str, tmp_path: Path) -> Iterator[Stage]:
    """On both kinds of database."""
    with closing(Stage(database_address, tmp_path)) as stage:
        yield stage
