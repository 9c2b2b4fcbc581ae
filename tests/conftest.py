"""Shared by all tests: one async backend, loopback only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cache_server import CacheServer, cache_server


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
