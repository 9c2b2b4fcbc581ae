"""Shared by all tests: one async backend, loopback only, a real cache, databases of both kinds."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from fairlead.store import migrate
from fairlead.store.database import DATABASE_FILE, Database, open_database
from tests.cache_server import CacheServer, cache_server
from tests.postgres_server import PostgresDatabases, shared_databases

MEMORY = Path("/dev/shm")
ROOM_BYTES_MIN = 4 << 30  # far more than a run needs: what a passed test wrote is removed


def pytest_configure() -> None:
    """No example fails for being slow: a busy machine is no mistake of ours.

    What tests write goes into memory, where there is a place for it, unless TMPDIR says where it should go.

    A database of PostgreSQL is 300 files: to make one on a disk takes ten times as long as in memory. Nothing
    here switches the machine off, so there is no other difference.
    """
    settings.register_profile("patient", deadline=None)
    settings.load_profile("patient")
    has_room = (
        os.access(MEMORY, os.W_OK)
        and min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) > ROOM_BYTES_MIN
    )
    if has_room and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # it is looked up again


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: much of their time tests wait, for a moment or for a server."""
    return 1 + (len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage in what is collected: it stays, and the search took an eighth of all time."""
    gc.disable()
    collected = yield
    gc.collect()
    gc.freeze()
    gc.enable()
    return collected


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is heavy; else they stay in the order they are in.

    So one process does all of that, one after the other, while others do the rest: servers and browsers do not
    slow each other down, and none is still busy for a minute when all others have ended.
    """
    items.sort(key=lambda item: item.get_closest_marker("heavy") is None)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def _cache_server() -> Iterator[CacheServer]:
    with cache_server() as server:
        yield server


@pytest.fixture
def shared_cache(_cache_server: CacheServer) -> CacheServer:
    """A real, empty server for `store.cache`; one per test process, started when first asked for."""
    _cache_server.clear()
    return _cache_server


@pytest.fixture(scope="session")
def postgres_databases(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[PostgresDatabases]:
    """Of one server for the whole run, started when first asked for."""
    own = tmp_path_factory.getbasetemp()
    place = own if worker_id == "master" else own.parent
    with shared_databases(place, prefix=worker_id) as databases:
        yield databases


@pytest.fixture
def postgres_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """A database of this test in PostgreSQL, with our tables and nothing in them."""
    with postgres_databases.prepared() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """A test that has one of the fixtures below runs once for each kind."""
    return str(request.param)


@pytest.fixture
def fresh_address(
    request: pytest.FixtureRequest, database_kind: str, tmp_path: Path
) -> Iterator[str]:
    """What `open_database` takes; there is nothing in that database, not even tables."""
    if database_kind == "sqlite":
        yield str(tmp_path / DATABASE_FILE)
    else:
        databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
        with databases.empty() as url:
            yield url


@pytest.fixture(scope="session")
def prepared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed SQLite file with our tables and nothing in them, all in one file: it may be copied."""
    path = tmp_path_factory.mktemp("prepared") / DATABASE_FILE
    with closing(open_database(str(path))) as database:
        migrate.prepare(database)
    return path


@pytest.fixture
def database_address(request: pytest.FixtureRequest, database_kind: str, tmp_path: Path) -> str:
    """What `open_database` takes; that database has our tables and nothing in them."""
    if database_kind == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    prepared: Path = request.getfixturevalue("prepared_sqlite")
    return str(shutil.copy(prepared, tmp_path / DATABASE_FILE))


@pytest.fixture
def database(database_address: str) -> Iterator[Database]:
    """The same, opened."""
    with closing(open_database(database_address)) as database:
        yield database
