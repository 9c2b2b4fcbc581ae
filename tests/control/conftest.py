from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory; the file of a SQLite `database` is in it."""
    return tmp_path
