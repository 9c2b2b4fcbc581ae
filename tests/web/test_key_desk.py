"""`/key` over the real keys, limits and records: what its bearer learns of its pace."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.generations.service import GenerationStore
from fairlead.control.keys import rules
from fairlead.control.keys.service import Keys
from fairlead.control.serving.keys import CachedKeyDirectory
from fairlead.control.serving.limits import RateLimits, request_limits
from fairlead.core.caller import Caller
from fairlead.settings import Limits
from fairlead.store import migrate
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.web.key_desk import KeyDesk

pytestmark = pytest.mark.anyio

NOW_S = 1_795_219_200.0  # 2026-11-21
NO_LIMIT = {"requests": -1, "interval": "10s", "note": "Not a limit; an old field."}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path / DATABASE_FILE)
    migrate.prepare(database)
    yield database
    database.close()


class Desk:
    """A key desk and what is behind it."""

    def __init__(self, database: Database, tmp_path: Path) -> None:
        self.keys = Keys(database, now_ms=lambda: round(NOW_S * 1000), entropy=os.urandom)
        self.accounts = Accounts(database, now_ms=lambda: 0, entropy=os.urandom)
        self.rate_limits = RateLimits(request_limits(Limits()))
        self.directory = CachedKeyDirectory(
            self.keys, database, now_ms=lambda: round(NOW_S * 1000), monotonic_s=lambda: 0.0
        )
        self.desk = KeyDesk(
            self.directory,
            self.keys,
            GenerationStore(database, journals=tmp_path / "journals"),
            in_thread=database.run,
            now_s=lambda: NOW_S,
            rate_limits=self.rate_limits,
        )

    def secret(self, billing: Billing, **options: int) -> str:
        account = self.accounts.create(email=f"{billing}@example.com", billing=billing).id
        return self.keys.create(account, name="laptop", **options).secret


@pytest.fixture
def behind(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


@pytest.fixture
async def client(behind: Desk, browse: Callable[..., httpx.AsyncClient]):
    async with browse(keys=behind.desk) as client:
        yield client


async def shown(client: httpx.AsyncClient, secret: str, check_schema) -> dict:
    answer = await client.get("/api/v1/key", headers={"authorization": f"Bearer {secret}"})
    check_schema(answer.json(), "CurrentKeyAnswer")
    return answer.json()["data"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, NO_LIMIT),
        (
            {"requests_per_minute": 30},
            {"requests": 30, "interval": "1m", "note": "No limit per day."},
        ),
        (
            {"requests_per_day": 900},
            {"requests": 900, "interval": "1d", "note": "At most 900 requests per day (UTC)."},
        ),
        (
            {"requests_per_minute": 30, "requests_per_day": 900},
            {"requests": 30, "interval": "1m", "note": "At most 900 requests per day (UTC)."},
        ),
    ],
)
async def test_a_key_tells_its_pace(
    client: httpx.AsyncClient, behind: Desk, check_schema, options: dict, expected: dict
):
    data = await shown(client, behind.secret(Billing.POSTPAID, **options), check_schema)
    assert data["rate_limit"] == expected
    assert data["free_model_daily_requests"] == {"limit": 0, "used": 0, "remaining": 0}


async def test_a_prepaid_key_tells_what_is_left_of_its_accounts_free_requests(
    client: httpx.AsyncClient, behind: Desk, check_schema
):
    secret = behind.secret(Billing.PREPAID)
    caller = await behind.directory.find(rules.digest(secret))
    assert isinstance(caller, Caller)
    for _ in range(3):
        assert await behind.rate_limits.admit(caller, is_free=True, now_s=NOW_S) is None
    data = await shown(client, secret, check_schema)
    assert data["free_model_daily_requests"] == {"limit": 50, "used": 3, "remaining": 47}
    assert data["rate_limit"] == NO_LIMIT
