from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fairlead.store.database import DATABASE_FILE
from tests.web.security.house import House


@pytest.fixture(scope="session")
def house(prepared_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One for all tests of a process: none of them changes what another looks at."""
    data = tmp_path_factory.mktemp("house")
    path = str(shutil.copy(prepared_sqlite, data / DATABASE_FILE))
    with closing(House(path, data)) as house:
        house.open()
        yield house
