from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.store import migrate
from fairlead.store.database import DATABASE_FILE, Database, open_database


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory."""
    return tmp_path


@pytest.fixture
def database(data: Path) -> Iterator[Database]:
    database = open_database(data / DATABASE_FILE)
    migrate.prepare(database)
    yield database
    database.close()
