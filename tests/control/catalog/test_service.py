"""The catalogue in force: swapped as a whole, prices recorded first, engines that are off are absent."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.control.catalog.rules import EngineListInvalid, offered_models
from fairlead.control.catalog.service import Catalog
from fairlead.core.catalog import EndpointStatus
from fairlead.core.catalog_overlay import ConfigurationInvalid, Discovered
from tests.shipped import SEED

pytestmark = pytest.mark.anyio

OWN = {"id": "acme/own", "provider": "groq", "usd_per_token": {"prompt": "1", "completion": "2"}}


class Book:
    """Keeps sheets, and what was in force at the moment of recording."""

    def __init__(self):
        self.sheets = {}
        self.in_force = []
        self.catalog = None

    async def record(self, sheets):
        assert not sheets.keys() & self.sheets.keys(), "a version is recorded once"
        self.sheets.update(sheets)
        self.in_force.append(self.catalog.snapshot.version if self.catalog else None)


async def test_prices_are_recorded_before_they_come_into_force():
    book = Book()
    catalog = book.catalog = Catalog(SEED, book)
    await catalog.start()
    assert book.in_force == [SEED.version]
    await catalog.configure([OWN])
    assert book.in_force == [SEED.version, SEED.version]
    priced = [
        one
        for model in catalog.snapshot.models.values()
        for one in model.endpoints
        if one.status is not EndpointStatus.UNPRICED
    ]
    assert all(book.sheets[one.price_version] == one.prices for one in priced)
    assert "unpriced" not in book.sheets


async def test_prices_that_cannot_be_recorded_never_come_into_force():
    class Full:
        async def record(self, sheets):
            raise OSError("disk full")

    catalog = Catalog(SEED, Full())
    with pytest.raises(OSError, match="disk full"):
        await catalog.configure([OWN])
    assert catalog.snapshot is SEED


async def test_who_holds_a_snapshot_keeps_it():
    catalog = Catalog(SEED)
    held = catalog.snapshot
    await catalog.configure([OWN])
    assert held is SEED
    assert "acme/own" not in held.models
    assert "acme/own" in catalog.snapshot.models
    await catalog.configure([])
    assert catalog.snapshot is SEED


async def test_an_unchanged_configuration_swaps_nothing():
    catalog = Catalog(SEED)
    await catalog.configure([OWN])
    held = catalog.snapshot
    await catalog.configure([dict(OWN)])
    assert catalog.snapshot is held


async def test_a_wrong_configuration_changes_nothing():
    catalog = Catalog(SEED)
    await catalog.configure([OWN])
    held = catalog.snapshot
    with pytest.raises(ConfigurationInvalid):
        await catalog.configure([OWN, {"id": "x"}])
    assert catalog.snapshot is held
    await catalog.reseed(SEED)
    assert "acme/own" in catalog.snapshot.models


async def test_changes_at_once_are_applied_one_after_the_other():
    """Each swap is made from what the others left, so that none is lost."""
    catalog = Catalog(SEED, Book())

    async def fetch(provider, *, bytes_max):
        await asyncio.sleep(0)
        return b'{"data":[{"id":"m"}]}' if provider == "ollama" else b"{}"

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(catalog.configure([OWN]))
        tasks.create_task(catalog.discover(fetch))
        tasks.create_task(catalog.reseed(SEED))
    assert {"acme/own", "ollama/m"} <= set(catalog.snapshot.models)


async def test_engines_that_are_off_slow_or_strange_are_simply_absent(monkeypatch):
    monkeypatch.setattr("fairlead.control.catalog.service.DISCOVERY_TIMEOUT_S", 0.01)
    asked = []

    async def fetch(provider, *, bytes_max):
        asked.append(provider)
        if provider == "vllm":
            await asyncio.Event().wait()
        if provider == "lmstudio":
            raise ConnectionRefusedError
        return b'{"data":[{"id":"llama3:8b"}]}' if provider == "ollama" else b"<html>"

    catalog = Catalog(SEED)
    found = await catalog.discover(fetch)
    assert sorted(asked) == ["llama.cpp", "lmstudio", "ollama", "vllm"]
    assert found == {"ollama": (Discovered("llama3:8b"),)}
    assert "ollama/llama3:8b" in catalog.snapshot.models


async def test_an_engine_that_was_switched_off_takes_its_models_along():
    catalog = Catalog(SEED)

    async def running(provider, *, bytes_max):
        return b'{"data":[{"id":"m"}]}'

    async def off(provider, *, bytes_max):
        raise ConnectionRefusedError

    await catalog.discover(running)
    assert "vllm/m" in catalog.snapshot.models
    await catalog.discover(off)
    assert catalog.snapshot is SEED


async def test_a_list_beyond_its_bound_is_not_read():
    async def fetch(provider, *, bytes_max):
        return b'{"data":[{"id":"m"}]}' + b" " * bytes_max

    catalog = Catalog(SEED)
    assert await catalog.discover(fetch) == {}


@pytest.mark.parametrize(
    ("body", "offered"),
    [
        (b'{"data":[{"id":"a","max_model_len":4096}]}', (Discovered("a", 4096),)),
        (b'{"data":[{"id":"a","meta":{"n_ctx":2048}}]}', (Discovered("a", 2048),)),
        (b'{"data":[{"id":"a","meta":null,"max_context_length":9}]}', (Discovered("a", 9),)),
        (
            b'{"data":[{"id":"a","architecture":{"input_modalities":["text","image","smell"]}}]}',
            (Discovered("a", input_modalities=("image", "text")),),
        ),
        (b'{"data":[{"id":"a","architecture":"llama"}]}', (Discovered("a"),)),
        (b'{"data":[{"id":"a","architecture":{"input_modalities":[7]}}]}', (Discovered("a"),)),
        (b'{"object":"list","data":null}', ()),
        (b'{"data":[{"id":""},{"id":"a b"},{"id":"a\\u0000b"},{"id":"ok"}]}', (Discovered("ok"),)),
    ],
)
async def test_each_engines_list_is_understood(body, offered):
    assert offered_models(body) == offered


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":[{}]}', b'{"data":[{"id":1}]}'])
async def test_what_is_no_list_of_models_is_refused(body):
    with pytest.raises(EngineListInvalid):
        offered_models(body)


async def test_an_endless_list_is_refused():
    with pytest.raises(EngineListInvalid, match="at most"):
        offered_models(b'{"data":[' + b",".join([b'{"id":"m"}'] * 501) + b"]}")
