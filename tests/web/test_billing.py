"""`/billing` and `/hooks/stripe`: what they say, whom they refuse, and that nothing of others is shown."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
import sqlalchemy as sa

from fairlead.compose.billing import billing_edge
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import NotAuthenticated
from fairlead.core.ids import AccountId
from fairlead.store.database import Database
from fairlead.store.tables.payments import payment_events
from fairlead.web.app import build_web_app
from fairlead.web.services import WebServices
from tests.control.billing.world import World, build_world
from tests.stripe_server import StripeServer, signed, stripe_server
from tests.web.conftest import FixedClock, HeldCatalog, HeldGenerations, OneCaller, OneKey

pytestmark = pytest.mark.anyio

MANAGER = {"authorization": "Bearer manager"}
OTHER = {"authorization": "Bearer other"}
ORDINARY = {"authorization": "Bearer ordinary"}


class Doorkeeper(OneKey):
    """Three keys: a manager's, another account's manager's, and an ordinary one."""

    def __init__(self, account: AccountId) -> None:
        super().__init__()
        object.__setattr__(self, "account", account)

    async def authenticate(self, authorization: str | None) -> OneCaller:
        caller = OneCaller(account=self.account, is_management=True)
        match authorization:
            case "Bearer manager":
                return caller
            case "Bearer other":
                return replace(caller, account=AccountId("acc-other"))
            case "Bearer ordinary":
                return replace(caller, is_management=False)
            case _:
                raise NotAuthenticated("This key is not known.")


@pytest.fixture(scope="module")
def _stripe() -> StripeServer:
    with stripe_server() as server:
        yield server


@pytest.fixture
def stripe(_stripe: StripeServer) -> StripeServer:
    _stripe.clear()
    return _stripe


@pytest.fixture
def world(database: Database) -> World:
    return build_world(database, None)


def client_of(world: World, seed: Snapshot) -> httpx.AsyncClient:
    app = build_web_app(
        WebServices(
            catalog=HeldCatalog(seed),
            keys=Doorkeeper(world.account),
            generations=HeldGenerations(),
            clock=FixedClock(),
            billing=billing_edge(world.services, world.ledger),
        )
    )
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://gate", headers=MANAGER)


@pytest.fixture
async def client(world: World, seed: Snapshot) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(world, seed) as client:
        yield client


async def bought(client: httpx.AsyncClient, *, amount: float = 10, key: str = "1") -> dict:
    wanted = {"amount": amount, "method": "card", "idempotency_key": key}
    answer = await client.post("/api/v1/billing/purchases", json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


async def test_from_a_quote_to_credit_and_back(client: httpx.AsyncClient):
    quote = await client.post("/api/v1/billing/quote", json={"amount": 100, "method": "card"})
    assert quote.json()["data"] == {"amount": 100.0, "fee": 5.5, "total": 105.5}
    purchase = await bought(client)
    assert (purchase["state"], purchase["fee"], purchase["is_test"]) == ("created", 0.8, True)
    place = f"/api/v1/billing/purchases/{purchase['id']}"
    assert purchase["url"] is not None
    paid = await client.post(
        f"/api/v1/billing/test-payments/{purchase['id']}", json={"outcome": "pay"}
    )
    assert paid.json()["data"]["state"] == "paid"
    found = (await client.get(place)).json()["data"]
    assert (found["state"], found["refundable"], found["url"]) == ("paid", 10.0, None)
    overview = (await client.get("/v1/billing")).json()["data"]
    assert overview["account"]["balance"] == 10.0
    assert [lot["purchase_id"] for lot in overview["account"]["lots"]] == [purchase["id"]]
    assert overview["terms"]["card_fee_percent"] == 5.5
    refund = await client.post(f"{place}/refund")
    assert (refund.json()["data"]["amount"], refund.json()["data"]["state"]) == (10.0, "sent")
    again = await client.post(f"{place}/refund")
    assert again.status_code == 409
    assert "used_up" in again.json()["error"]["message"]
    receipt = await client.get(f"{place}/receipt")
    assert receipt.headers["content-type"] == "application/pdf"
    assert receipt.content.startswith(b"%PDF")
    listed = (await client.get("/api/v1/billing/documents")).json()["data"]
    assert [(one["number"], one["kind"], one["total"]) for one in listed] == [(1, "receipt", 10.8)]
    assert (await client.get("/api/v1/billing/documents/1")).content == receipt.content


async def test_a_declined_test_payment_is_no_credit(client: httpx.AsyncClient, world: World):
    purchase = await bought(client)
    where = f"/api/v1/billing/test-payments/{purchase['id']}"
    assert (await client.post(where, json={"outcome": "decline"})).json()["data"][
        "state"
    ] == "failed"
    assert (await client.post(where, json={"outcome": "pay"})).json()["data"]["state"] == "failed"
    assert world.balance == 0


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("quote", {"amount": 4.99, "method": "card"}, "amount"),
        ("quote", {"amount": 10.001, "method": "card"}, "amount"),
        ("quote", {"amount": -1, "method": "card"}, "amount"),
        ("quote", {"amount": 1e300, "method": "card"}, "amount"),
        ("quote", {"amount": "10", "method": "card"}, "amount"),
        ("quote", {"amount": 10, "method": "cash"}, "method"),
        ("quote", {"method": "card"}, "amount"),
        ("purchases", {"amount": 10, "method": "card"}, "idempotency_key"),
        ("purchases", {"amount": 10, "method": "card", "idempotency_key": ""}, "idempotency_key"),
        (
            "purchases",
            {"amount": 10, "method": "card", "idempotency_key": "a\nb"},
            "idempotency_key",
        ),
    ],
)
async def test_what_cannot_be_is_refused_with_the_fields_name(client, path, body, param):
    answer = await client.post(f"/api/v1/billing/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_top_up_card_and_profile(client: httpx.AsyncClient):
    wanted = {"enabled": True, "threshold": 10, "amount": 20, "monthly_max": 100}
    refused = await client.put("/api/v1/billing/top-up", json=wanted)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "enabled")
    assert (await client.post("/api/v1/billing/card")).status_code == 201
    assert (await client.get("/api/v1/billing/card")).json()["data"] == {"label": "test card"}
    done = (await client.put("/api/v1/billing/top-up", json=wanted)).json()["data"]
    assert (done["state"], done["threshold"], done["monthly_max"]) == ("on", 10.0, 100.0)
    small = await client.put("/api/v1/billing/top-up", json=wanted | {"monthly_max": 19})
    assert small.json()["error"]["param"] == "monthly_max"
    assert (await client.delete("/api/v1/billing/card")).status_code == 200
    overview = (await client.get("/api/v1/billing")).json()["data"]
    assert (overview["card"], overview["top_up"]["state"]) == (None, "off")
    said = {"name": "Ada Ltd", "address": "A\nB", "tax_ids": ["X1"], "low_balance": 5}
    assert (await client.put("/api/v1/billing/profile", json=said)).json()["data"] == said
    many = await client.put("/api/v1/billing/profile", json={"tax_ids": ["X"] * 6})
    assert many.json()["error"]["param"] == "tax_ids"


PATHS = [
    ("GET", ""),
    ("POST", "/quote"),
    ("GET", "/purchases"),
    ("POST", "/purchases"),
    ("PUT", "/top-up"),
    ("PUT", "/profile"),
    ("DELETE", "/card"),
    ("GET", "/documents"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_only_managers_may(client: httpx.AsyncClient, method, path):
    where = f"/api/v1/billing{path}"
    assert (await client.request(method, where, headers=ORDINARY)).status_code == 403
    nobody = await client.request(method, where, headers={"authorization": "Bearer x"})
    assert nobody.status_code == 401


async def test_nobody_sees_or_touches_what_is_anothers(client: httpx.AsyncClient, world: World):
    purchase = await bought(client)
    place = f"/api/v1/billing/purchases/{purchase['id']}"
    await client.post(f"/api/v1/billing/test-payments/{purchase['id']}", json={"outcome": "pay"})
    for method, path in [
        ("GET", place),
        ("POST", f"{place}/refund"),
        ("GET", f"{place}/receipt"),
        ("GET", "/api/v1/billing/documents/1"),
    ]:
        assert (await client.request(method, path, headers=OTHER)).status_code == 404, path
    pay = f"/api/v1/billing/test-payments/{purchase['id']}"
    assert (await client.post(pay, json={"outcome": "pay"}, headers=OTHER)).status_code == 404
    assert (await client.get("/api/v1/billing/purchases", headers=OTHER)).json()["data"] == []
    assert world.balance == 10


@pytest.mark.parametrize("name", ["pay-x", "%00", "' OR 1=1 --", "1" * 500, "%0d%0aX: y"])
async def test_a_strange_name_is_nothing(client: httpx.AsyncClient, name):
    for path in (f"purchases/{name}", f"documents/{name}", f"purchases/{name}/receipt"):
        assert (await client.get(f"/api/v1/billing/{path}")).status_code == 404


async def test_without_a_company_there_is_no_hook(client: httpx.AsyncClient):
    assert (await client.post("/hooks/stripe", content=b"{}")).status_code == 404


# --- webhooks ---


@pytest.fixture
def real(database: Database, stripe: StripeServer) -> World:
    return build_world(database, stripe)


@pytest.fixture
async def hooked(real: World, seed: Snapshot) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(real, seed) as client:
        yield client


def kept(world: World) -> int:
    with world.database.read() as connection:
        return len(connection.execute(sa.select(payment_events)).all())


async def test_a_signed_event_is_stored_answered_and_understood_later(
    hooked: httpx.AsyncClient, real: World
):
    real.buy()
    for event in real.stripe.events * 2:
        body, signature = signed(event, at_s=real.clock.ms / 1000)
        answer = await hooked.post(
            "/hooks/stripe", content=body, headers={"stripe-signature": signature}
        )
        assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert (kept(real), real.balance) == (3, 0)
    real.work()
    assert real.balance == 10


@pytest.mark.parametrize(
    "signature", ["", "t=1,v1=00", "v1=", "t=99999999999999999999,v1=" + "0" * 64, "x" * 9000]
)
async def test_an_unsigned_event_is_refused_and_not_kept(hooked, real: World, signature):
    body = json.dumps({"id": "evt_1", "type": "x", "data": {"object": {}}}).encode()
    answer = await hooked.post(
        "/hooks/stripe", content=body, headers={"stripe-signature": signature}
    )
    assert answer.status_code == 400
    assert "whsec" not in answer.text
    assert kept(real) == 0


async def test_a_signed_body_that_is_no_event_is_refused(hooked, real: World):
    for event in ({}, {"id": "evt_1"}, {"id": "evt_1", "type": "x", "data": {"object": []}}):
        body, signature = signed(event, at_s=real.clock.ms / 1000)
        answer = await hooked.post(
            "/hooks/stripe", content=body, headers={"stripe-signature": signature}
        )
        assert answer.status_code == 400
    assert kept(real) == 0


async def test_an_event_beyond_any_size_is_refused(hooked: httpx.AsyncClient):
    assert (await hooked.post("/hooks/stripe", content=b"x" * 600_000)).status_code == 413


async def test_a_company_that_is_away_is_nobodys_fault(hooked: httpx.AsyncClient, real: World):
    real.stripe.is_away = True
    wanted = {"amount": 10, "method": "card", "idempotency_key": "1"}
    answer = await hooked.post("/api/v1/billing/purchases", json=wanted)
    assert answer.status_code == 503
    assert "sk_test" not in answer.text
    real.stripe.is_away = False
    assert (await hooked.post("/api/v1/billing/purchases", json=wanted)).status_code == 201
