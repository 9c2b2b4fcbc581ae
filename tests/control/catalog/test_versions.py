"""A catalogue that was in force can be had again, for as long as it is within the bound."""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import msgspec
import pytest
import sqlalchemy as sa

from fairlead.control.catalog.files import load_seed
from fairlead.control.catalog.service import Catalog
from fairlead.control.catalog.versions import (
    CatalogVersions,
    VersionUnreadable,
    packed,
    unpacked,
)
from fairlead.core.catalog import Snapshot
from fairlead.store.database import Database, open_database
from fairlead.store.tables.catalogue import catalog_versions
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint

SMALL = a_snapshot(
    a_model(an_endpoint("alpha"), an_endpoint("beta")), providers=(a_provider("alpha"),)
)
OWN = {"id": "acme/own", "provider": "groq", "usd_per_token": {"prompt": "1", "completion": "2"}}


@pytest.fixture
def versions(database: Database) -> CatalogVersions:
    ticks = count(1000, 1000)
    return CatalogVersions(database, now_ms=lambda: next(ticks))


def version_of(snapshot: Snapshot, name: str) -> Snapshot:
    return replace(snapshot, version=name)


def dearer(snapshot: Snapshot) -> Snapshot:
    """Other endpoints under the same version."""
    model = a_model(an_endpoint("alpha", prompt="0.5"))
    return replace(snapshot, models={model.id: model})


def rows(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(sa.select(catalog_versions.c.version)).scalars())


def test_all_that_routing_needs_comes_back() -> None:
    seed = load_seed()
    again = unpacked(packed(seed))
    assert again.providers == seed.providers
    assert list(again.models) == list(seed.models)
    for model in again.models.values():
        assert model == msgspec.structs.replace(seed.models[model.id], description="")


def test_equal_content_gives_equal_bytes_whatever_the_order_of_its_sets() -> None:
    def with_parameters(*names: str) -> Snapshot:
        return a_snapshot(a_model(an_endpoint("alpha", supported=frozenset(names))))

    names = [f"parameter_{number}" for number in range(50)]
    assert packed(with_parameters(*names)) == packed(with_parameters(*reversed(names)))


def test_a_version_is_kept_once_and_found(database: Database, versions: CatalogVersions) -> None:
    for _ in range(3):
        versions.keep(SMALL)
    assert rows(database) == ["test"]
    found = versions.find("test", at_ms=5000)
    assert found is not None
    assert found.models == {
        slug: msgspec.structs.replace(model, description="") for slug, model in SMALL.models.items()
    }
    assert versions.find("unheard-of", at_ms=5000) is None


def test_those_read_last_are_at_hand(versions: CatalogVersions) -> None:
    for name in ("one", "two", "three"):
        versions.keep(version_of(SMALL, name))
    one, two = (versions.find(name, at_ms=9000) for name in ("one", "two"))
    assert versions.find("one", at_ms=9000) is one
    versions.find("three", at_ms=9000)  # in the place of what was wanted longest ago
    assert versions.find("one", at_ms=9000) is one
    assert versions.find("two", at_ms=9000) is not two


def test_processes_that_start_at_once_keep_one(database_address: str, database: Database) -> None:
    others = [open_database(database_address) for _ in range(4)]
    try:
        with ThreadPoolExecutor(len(others)) as threads:
            kept = [CatalogVersions(other, now_ms=lambda: 1) for other in others]
            list(threads.map(lambda one: one.keep(SMALL), kept))
    finally:
        for other in others:
            other.close()
    assert rows(database) == ["test"]


def test_of_two_contents_a_decision_has_the_one_of_its_time(versions: CatalogVersions) -> None:
    """Two programs made them of the same data. The clock stands at 1000, then at 2000."""
    versions.keep(SMALL)
    versions.keep(dearer(SMALL))
    for at_ms, count_of_endpoints in ((500, 2), (1000, 2), (1999, 2), (2000, 1), (9000, 1)):
        found = versions.find("test", at_ms=at_ms)
        assert found is not None
        (model,) = found.models.values()
        assert len(model.endpoints) == count_of_endpoints


@pytest.fixture
def few(database: Database) -> CatalogVersions:
    ticks = count()
    return CatalogVersions(database, now_ms=lambda: next(ticks), versions_max=2)


def test_what_was_out_of_force_for_longest_is_dropped(
    database: Database, few: CatalogVersions
) -> None:
    for name in ("one", "two", "one", "three"):
        few.keep(version_of(SMALL, name))
    assert rows(database) == ["one", "three"]


@pytest.mark.parametrize("content", [b"", b"no zlib", zlib.compress(b"\xc1")])
def test_what_is_damaged_is_not_taken_for_a_catalogue(
    database: Database, versions: CatalogVersions, content: bytes
) -> None:
    versions.keep(SMALL)
    with database.begin() as connection:
        connection.execute(sa.update(catalog_versions).values(content=content))
    with pytest.raises(VersionUnreadable):
        versions.find("test", at_ms=5000)


def test_a_catalogue_is_kept_before_it_comes_into_force(versions: CatalogVersions) -> None:
    async def configured() -> Catalog:
        catalog = Catalog(load_seed(), None, versions)
        await catalog.start()
        await catalog.configure([OWN])
        return catalog

    catalog = asyncio.run(configured())
    found = versions.find(catalog.snapshot.version, at_ms=10_000)
    assert found is not None
    assert "acme/own" in found.models


def test_a_catalogue_that_cannot_be_kept_does_not_come_into_force() -> None:
    class Full:
        async def record(self, snapshot: Snapshot) -> None:
            raise OSError("disk full")

    async def configured(catalog: Catalog) -> None:
        with pytest.raises(OSError, match="disk full"):
            await catalog.configure([OWN])

    seed = load_seed()
    catalog = Catalog(seed, None, Full())
    asyncio.run(configured(catalog))
    assert catalog.snapshot is seed
