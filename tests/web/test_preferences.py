"""`/preferences`: every key reads what its account has set, management keys change it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import httpx
import pytest

from fairlead.control.accounts.preferences import PREFERENCES_BYTES_MAX
from fairlead.control.accounts.service import Accounts
from fairlead.core.errors import NotAuthenticated
from fairlead.core.ids import AccountId
from fairlead.store.database import Database
from fairlead.web.asking import Desk
from tests.web.conftest import OneCaller

pytestmark = pytest.mark.anyio

PATH = "/api/v1/preferences"
READS = {"authorization": "Bearer reads"}
MANAGES = {"authorization": "Bearer manages"}


@dataclass
class TwoKeys:
    """An inference key and a management key of one account."""

    account: AccountId

    async def authenticate(self, authorization: str | None) -> OneCaller:
        caller = replace(OneCaller(), account=self.account)
        match authorization:
            case "Bearer reads":
                return caller
            case "Bearer manages":
                return replace(caller, is_management=True)
        raise NotAuthenticated("This key is not known.")


@pytest.fixture
async def client(database: Database, browse: Callable[..., httpx.AsyncClient]):
    accounts = Accounts(database, now_ms=lambda: 0, entropy=os.urandom)
    desk = Desk(accounts, in_thread=database.run)
    account = accounts.ensure_owner().account.id
    async with browse(keys=TwoKeys(account), accounts=desk) as client:
        yield client


async def test_what_is_put_is_what_every_key_of_the_account_gets(client: httpx.AsyncClient):
    assert (await client.get(PATH, headers=READS)).json() == {"data": {}}
    wanted = {"hedge": True, "default_model": "openai/o1"}
    put = await client.put(PATH, headers=MANAGES, json=wanted)
    assert (put.status_code, put.json()) == (200, {"data": wanted})
    for headers in (READS, MANAGES):
        assert (await client.get(PATH, headers=headers)).json() == {"data": wanted}
    await client.put(PATH, headers=MANAGES, json={})
    assert (await client.get("/v1/preferences", headers=READS)).json() == {"data": {}}


async def test_an_inference_key_changes_nothing(client: httpx.AsyncClient, check_schema):
    answer = await client.put(PATH, headers=READS, json={"hedge": True})
    assert answer.status_code == 403
    check_schema(answer.json(), "ErrorAnswer")
    assert (await client.get(PATH, headers=READS)).json() == {"data": {}}


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_without_a_key_there_is_nothing_to_see(client: httpx.AsyncClient, method: str):
    assert (await client.request(method, PATH, content=b"{}")).status_code == 401


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b'{"presets": {}}', "presets", "see /presets"),
        (b'{"zdr": 1}', "zdr", "Expected `bool`, got `int`."),
        (b"nothing", None, "not JSON"),
        (b"", None, "not JSON"),
    ],
)
async def test_a_wrong_field_is_400_with_its_path(
    client: httpx.AsyncClient, body: bytes, param: str | None, words: str, check_schema
):
    answer = await client.put(PATH, headers=MANAGES, content=body)
    assert answer.status_code == 400
    check_schema(answer.json(), "ErrorAnswer")
    assert answer.json()["error"]["param"] == param
    assert words in answer.json()["error"]["message"]


async def test_more_than_can_be_kept_is_413(client: httpx.AsyncClient):
    body = b" " * (PREFERENCES_BYTES_MAX + 1)
    assert (await client.put(PATH, headers=MANAGES, content=body)).status_code == 413


async def test_an_account_that_is_gone_is_404(
    database: Database, browse: Callable[..., httpx.AsyncClient]
):
    accounts = Accounts(database, now_ms=lambda: 0, entropy=os.urandom)
    desk = Desk(accounts, in_thread=database.run)
    async with browse(keys=TwoKeys(AccountId("acc-gone")), accounts=desk) as client:
        assert (await client.get(PATH, headers=READS)).status_code == 404
        assert (await client.put(PATH, headers=MANAGES, json={})).status_code == 404


async def test_a_wrong_method_says_which_are_right(client: httpx.AsyncClient):
    answer = await client.delete(PATH, headers=MANAGES)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, PUT")
