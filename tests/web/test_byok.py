"""`/byok` over HTTP: the documented object, who may, and what is refused."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar

import httpx
import pytest

from fairlead.control.accounts.service import Accounts
from fairlead.control.credentials.service import Credentials
from fairlead.core.errors import NotAuthenticated
from fairlead.core.ids import AccountId, KeyId, UserId, WorkspaceId
from fairlead.core.limits import KeyPace
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES, AccountPreferences
from fairlead.store.database import Database
from fairlead.store.sealing import MasterKeys
from fairlead.store.secrets import Secrets
from fairlead.web.app import build_web_app
from fairlead.web.asking import Desk
from fairlead.web.services import WebServices
from tests.shipped import SEED
from tests.web.conftest import NOWHERE

pytestmark = pytest.mark.anyio

MASTER = MasterKeys((bytes(32),))
KEY = KeyId("key-1")
SECRET = "sk-proj-canary-0123456789"
MANAGING = {"authorization": "Bearer manage"}
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Known:
    account: AccountId
    is_management: bool
    key: KeyId = KEY
    preferences: AccountPreferences = NO_ACCOUNT_WISHES
    workspace: WorkspaceId = NOWHERE
    user: UserId | None = None


@dataclass(frozen=True)
class Keys:
    callers: dict[str, Known]

    async def authenticate(self, authorization: str | None) -> Known:
        found = self.callers.get((authorization or "").removeprefix("Bearer "))
        if found is None:
            raise NotAuthenticated("This key is not known.")
        return found

    async def pace(self, caller: object) -> KeyPace:
        raise AssertionError


async def at_once(function: Callable[[], _Answer], /) -> _Answer:
    return function()


@pytest.fixture
async def api(database: Database, services: WebServices) -> AsyncIterator[httpx.AsyncClient]:
    account = Accounts(database, now_ms=lambda: 1000, entropy=os.urandom).ensure_owner().account.id
    other = AccountId("acc-other")
    ticks = count(1_795_219_200_250)
    credentials = Credentials(
        database,
        Secrets(database, lambda: MASTER, now_ms=lambda: 0, entropy=os.urandom),
        lambda: MASTER,
        lambda: SEED,
        now_ms=lambda: next(ticks),
        entropy=os.urandom,
    )
    keys = Keys(
        {
            "manage": Known(account, is_management=True),
            "other": Known(other, is_management=True),
            "use": Known(account, is_management=False),
        }
    )
    app = build_web_app(replace(services, keys=keys, byok=Desk(credentials, in_thread=at_once)))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://fairlead.test/api/v1", headers=MANAGING
    ) as client:
        yield client


async def test_a_credential_lives_from_creation_to_deletion(api: httpx.AsyncClient) -> None:
    made = await api.post("/byok", json={"provider": "openai", "key": SECRET, "name": "Production"})
    assert made.status_code == 201
    shown = made.json()["data"]
    assert shown | {"id": "", "workspace_id": ""} == {
        "id": "",
        "provider": "openai",
        "workspace_id": "",
        "label": "sk-...6789",
        "name": "Production",
        "disabled": False,
        "is_fallback": False,
        "allowed_models": None,
        "allowed_api_key_hashes": None,
        "allowed_user_ids": None,
        "sort_order": 0,
        "created_at": "2026-11-21T00:00:00.250Z",
        "declared_region": None,
        "declared_zdr": None,
        "is_byok_only": False,
        "is_required": False,
    }
    path = f"/byok/{shown['id']}"
    assert (await api.get(path)).json() == {"data": shown}
    assert (await api.get("/byok")).json() == {"data": [shown], "total_count": 1}
    changes = {"is_required": True, "declared_region": "europe", "key": "sk-proj-new-9876543210"}
    changed = (await api.patch(path, json=changes)).json()["data"]
    assert changed == shown | {
        "is_required": True,
        "declared_region": "europe",
        "label": "sk-...3210",
    }
    cleared = (await api.patch(path, json={"declared_region": "global", "name": None})).json()
    assert cleared["data"] == changed | {"declared_region": None, "name": None}
    assert (await api.delete(path)).json() == {"deleted": True}
    for gone in (await api.delete(path), await api.get(path), await api.patch(path, json={})):
        assert gone.status_code == 404
    assert (await api.get("/byok")).json() == {"data": [], "total_count": 0}


async def test_null_means_every_workspace(api: httpx.AsyncClient) -> None:
    made = await api.post("/byok", json={"provider": "groq", "key": SECRET, "workspace_id": None})
    assert made.json()["data"]["workspace_id"] is None
    assert (await api.get("/byok", params={"provider": "groq"})).json()["total_count"] == 1
    assert (await api.get("/byok", params={"provider": "openai"})).json()["total_count"] == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/byok", 401),
        ("POST", "/byok", 403),
        ("GET", "/byok/11111111-2222-3333-4444-555555555555", 401),
        ("PATCH", "/byok/11111111-2222-3333-4444-555555555555", 401),
        ("DELETE", "/byok/11111111-2222-3333-4444-555555555555", 401),
    ],
)
async def test_only_management_keys_may(
    api: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    for key, expected in (("use", status), ("nobody", 401)):
        headers = {"authorization": f"Bearer {key}"}
        answer = await api.request(method, path, headers=headers, content=b"not even json")
        assert answer.status_code == expected
        assert ("Only management keys" in answer.text) == (key == "use")


async def test_anothers_credential_is_one_that_there_is_not(api: httpx.AsyncClient) -> None:
    made = (await api.post("/byok", json={"provider": "openai", "key": SECRET})).json()["data"]
    stranger = {"authorization": "Bearer other"}
    path = f"/byok/{made['id']}"
    answers = [
        await api.get(path, headers=stranger),
        await api.patch(path, headers=stranger, json={"name": "mine"}),
        await api.delete(path, headers=stranger),
        await api.get("/byok/nonsense", headers=stranger),
    ]
    assert [one.status_code for one in answers] == [404] * 4
    assert len({one.text for one in answers}) == 1
    assert (await api.get(path)).json()["data"] == made


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"provider": "openai"}, "key"),
        ({"provider": "openai", "key": ""}, "key"),
        ({"provider": "openai", "key": 7}, "key"),
        ({"provider": "openai", "key": "two words canary"}, "key"),
        ({"provider": "opnai", "key": SECRET}, "provider"),
        ({"provider": "openai", "key": SECRET, "workspace_id": "default"}, "workspace_id"),
        (
            {
                "provider": "openai",
                "key": SECRET,
                "workspace_id": "550e8400-e29b-41d4-a716-446655440000",
            },
            "workspace_id",
        ),
        ({"provider": "openai", "key": SECRET, "allowed_api_key_hashes": []}, "allowed_api_key_hashes"),
        ({"provider": "openai", "key": SECRET, "allowed_models": [1]}, "allowed_models[0]"),
        ({"provider": "openai", "key": SECRET, "declared_zdr": True}, "declared_zdr"),
        ({"provider": "openai", "key": SECRET, "is_fallback": True, "is_byok_only": True}, "is_fallback"),
    ],
)  # fmt: skip
async def test_a_wrong_body_is_refused_by_its_field_and_never_echoed(
    api: httpx.AsyncClient, body: dict[str, object], param: str | None
) -> None:
    answer = await api.post("/byok", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error.get("param", error.get("metadata", {}).get("param")) == param
    assert "canary" not in answer.text


async def test_malformed_and_oversized_bodies_are_refused(api: httpx.AsyncClient) -> None:
    assert (await api.post("/byok", content=b"{")).status_code == 400
    assert (await api.post("/byok", content=b"[" * 100_000)).status_code == 400
    assert (await api.post("/byok", content=b" " * 200_000)).status_code == 413


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "101"}, {"offset": "-1"}, {"offset": "x"}, {"limit": "1e1"}]
)
async def test_pages_are_bounded(api: httpx.AsyncClient, query: dict[str, str]) -> None:
    assert (await api.get("/byok", params=query)).status_code == 400
