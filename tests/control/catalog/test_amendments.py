"""What the operator changes of the catalogue is kept, told and followed by every process; on both databases."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import msgspec
import pytest

from fairlead.control.accounts.service import Accounts
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.catalog import amendments as amendments_module
from fairlead.control.catalog.amendments import CatalogAmendments, read_amendments
from fairlead.control.catalog.following import AmendmentsFollower
from fairlead.control.catalog.service import Catalog
from fairlead.control.catalog.types import AmendedUnknown, AmendmentInvalid, Change
from fairlead.core.catalog import Snapshot, TierPrices
from fairlead.core.catalog_amendments import NO_AMENDMENTS, EndpointAmendment
from fairlead.core.catalog_assembly import assembled
from fairlead.core.ids import AccountId, EndpointId, ModelId
from fairlead.core.money import PicoUSD
from fairlead.store.database import Database, DatabaseUnreadable
from fairlead.testing.builders import a_model, a_provider, an_endpoint

NOW_MS = 1_795_219_200_000
ONE = EndpointId("acme:acme/one")
TIER = EndpointId("acme/flex:acme/one")
MODEL = ModelId("acme/one")
ADA, BOB = Actor("user-ada", "198.51.100.7"), Actor("user-bob")
PRICES = {"prompt": PicoUSD(150_000), "completion": PicoUSD(600_000)}


def catalogue() -> Snapshot:
    tier = TierPrices("flex", {"prompt": PicoUSD(1), "completion": PicoUSD(1)})
    acme = msgspec.structs.replace(an_endpoint("acme"), service_tiers=(tier,))
    models = (
        a_model(acme, an_endpoint("beta")),
        a_model(an_endpoint("acme", model="acme/two"), slug="acme/two"),
    )
    return assembled(
        version="test",
        as_of="2026-01-01",
        models={one.id: one for one in models},
        providers={one.slug: one for one in map(a_provider, ("acme", "beta"))},
        records={},
    )


SEED = catalogue()


class Desk:
    """The service, in the name of an owner."""

    def __init__(self, database: Database) -> None:
        clock = count(NOW_MS)
        self.audit = Audit(database, now_ms=clock.__next__, entropy=os.urandom)
        self.catalog = Catalog(SEED)
        self.service = CatalogAmendments(
            database,
            self.audit,
            catalogue=lambda: self.catalog.unamended,
            now_ms=lambda: NOW_MS,
        )
        self.follower = AmendmentsFollower(self.service, self.catalog, database)
        accounts = Accounts(database, now_ms=clock.__next__, entropy=os.urandom)
        self.owner: AccountId = accounts.ensure_owner().account.id

    def do(
        self, change: Callable[..., None], *what: object, by: Actor = ADA, **how: object
    ) -> None:
        change(*what, account=self.owner, actor=by, **how)

    def log(self) -> list[tuple[str, str, str]]:
        """What was done to what by whom, the first first."""
        entries = self.audit.page(self.owner)
        return [(one.action, one.subject, one.actor.name) for one in reversed(entries)]


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def test_changes_are_kept_with_who_made_them_and_taken_back_without_a_trace(
    database: Database, desk: Desk
) -> None:
    service = desk.service
    assert service.noted().amendments == NO_AMENDMENTS
    desk.do(service.switch, ONE, is_off=True)
    desk.do(service.price, ONE, PRICES, by=BOB)
    desk.do(service.hide, MODEL)
    noted = service.noted()
    assert noted.amendments.endpoints == {ONE: EndpointAmendment(is_off=True, prices=PRICES)}
    assert noted.endpoints == {ONE: Change("user-bob", NOW_MS)}
    assert noted.hidden == {MODEL: Change("user-ada", NOW_MS)}
    assert read_amendments(database) == noted.amendments
    desk.do(service.reset, ONE)
    desk.do(service.show, MODEL)
    back = service.noted()
    assert (back.amendments, back.endpoints, back.hidden) == (NO_AMENDMENTS, {}, {})
    assert back.revision == 5, "and who looks, sees that something changed"
    assert desk.log() == [
        ("endpoint.switch_off", ONE, "user-ada"),
        ("endpoint.price", ONE, "user-bob"),
        ("model.hide", MODEL, "user-ada"),
        ("endpoint.reset", ONE, "user-ada"),
        ("model.show", MODEL, "user-ada"),
    ]
    told = desk.audit.page(desk.owner)[3].details
    assert told == {
        "usd_before": "as in the catalogue",
        "usd_now": "completion 0.0000006, prompt 0.00000015",
    }


def test_what_is_so_already_is_no_change(desk: Desk) -> None:
    for _ in range(2):
        desk.do(desk.service.switch, ONE, is_off=True)
        desk.do(desk.service.hide, MODEL)
        desk.do(desk.service.price, ONE, PRICES)
    assert desk.service.noted().revision == 3
    assert len(desk.log()) == 3
    desk.do(desk.service.reset, EndpointId("acme:acme/two"))
    desk.do(desk.service.show, ModelId("acme/two"))
    assert desk.service.noted().revision == 3


def test_switched_on_and_without_prices_it_is_as_in_the_catalogue(desk: Desk) -> None:
    desk.do(desk.service.switch, ONE, is_off=True)
    desk.do(desk.service.price, ONE, PRICES)
    desk.do(desk.service.switch, ONE, is_off=False)
    assert desk.service.noted().amendments.endpoints == {ONE: EndpointAmendment(prices=PRICES)}
    desk.do(desk.service.price, ONE, {})
    assert desk.service.noted().amendments == NO_AMENDMENTS


def test_only_what_the_catalogue_has_is_changed(desk: Desk) -> None:
    assert TIER in {one.id for one in SEED.models[MODEL].endpoints}
    for endpoint in (TIER, EndpointId("nobody:nothing")):
        with pytest.raises(AmendedUnknown):
            desk.do(desk.service.switch, endpoint, is_off=True)
        with pytest.raises(AmendedUnknown):
            desk.do(desk.service.price, endpoint, PRICES)
    with pytest.raises(AmendedUnknown):
        desk.do(desk.service.hide, ModelId("acme/none"))
    with pytest.raises(AmendmentInvalid) as refused:
        desk.do(desk.service.price, ONE, {"prompt": PicoUSD(10**12), "wit": PicoUSD(1)})
    assert refused.value.problems.keys() == {"prompt", "wit"}
    assert desk.service.noted().revision == 0
    assert desk.log() == []


def test_there_is_a_bound(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amendments_module, "AMENDMENTS_MAX", 2)
    desk.do(desk.service.switch, ONE, is_off=True)
    desk.do(desk.service.hide, MODEL)
    with pytest.raises(AmendmentInvalid, match="At most 2"):
        desk.do(desk.service.hide, ModelId("acme/two"))
    desk.do(desk.service.switch, ONE, is_off=False)
    desk.do(desk.service.hide, ModelId("acme/two"))


def test_changes_at_the_same_time_are_all_kept_and_each_is_a_revision(desk: Desk) -> None:
    models = [ModelId("acme/one"), ModelId("acme/two")]
    endpoints = [EndpointId(f"acme:{one}") for one in models]
    with ThreadPoolExecutor(4) as threads:
        jobs = [threads.submit(desk.do, desk.service.hide, one) for one in models]
        jobs += [
            threads.submit(desk.do, desk.service.switch, one, is_off=True) for one in endpoints
        ]
        for job in jobs:
            job.result()
    noted = desk.service.noted()
    assert (noted.revision, len(noted.hidden), len(noted.endpoints)) == (4, 2, 2)


@pytest.mark.anyio
async def test_every_process_takes_a_change_over(database: Database, desk: Desk) -> None:
    other = Desk(database)
    before = other.catalog.snapshot
    await other.follower.look()
    assert other.catalog.snapshot is before is SEED
    desk.do(desk.service.switch, ONE, is_off=True)
    desk.do(desk.service.hide, ModelId("acme/two"))
    for process in (desk, other):
        await process.follower.look()
        assert list(process.catalog.snapshot.models) == [MODEL]
        assert [one.tag for one in process.catalog.snapshot.models[MODEL].endpoints] == ["beta"]
        assert process.catalog.unamended is SEED
    assert [one.tag for one in before.models[MODEL].endpoints][:2] == ["acme", "beta"]
    held = other.catalog.snapshot
    await other.follower.look()
    assert other.catalog.snapshot is held, "nothing changed, nothing is swapped"
    other.do(other.service.reset, ONE)
    other.do(other.service.show, ModelId("acme/two"))
    await desk.follower.look()
    assert desk.catalog.snapshot is SEED


@pytest.mark.anyio
async def test_what_configuration_and_engines_change_is_amended_too(desk: Desk) -> None:
    desk.do(desk.service.price, ONE, PRICES)
    await desk.follower.look()
    await desk.catalog.configure([{"id": "acme/one", "name": "The One"}])
    model = desk.catalog.snapshot.models[MODEL]
    assert model.name == "The One"
    assert model.endpoints[0].prices.prompt == 150_000
    assert desk.catalog.unamended.models[MODEL].endpoints[0].prices.prompt == 1_000_000


@pytest.mark.anyio
async def test_a_follower_goes_on_when_the_database_was_away(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.control.catalog.following.LOOK_EVERY_S", 0.001)
    desk.do(desk.service.hide, MODEL)
    look, trouble = desk.follower.look, [DatabaseUnreadable("away"), RuntimeError("strange")]
    is_done = asyncio.Event()

    async def looking() -> None:
        if trouble:
            raise trouble.pop()
        await look()
        is_done.set()

    monkeypatch.setattr(desk.follower, "look", looking)
    task = asyncio.create_task(desk.follower.run())
    async with asyncio.timeout(20):
        await is_done.wait()
    task.cancel()
    assert MODEL not in desk.catalog.snapshot.models
