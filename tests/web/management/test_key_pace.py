"""What a key's bearer learns of its pace."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.control.accounts.types import Billing
from fairlead.core.caller import Caller
from tests.api_document import check_answer
from tests.web.management.stage import Stage

NO_LIMIT = {"requests": -1, "interval": "10s", "note": "Not a limit; an old field."}


def shown(stage: Stage, secret: str) -> dict:
    return check_answer(stage.ask("GET /key", key=secret), "GET /key")["data"]


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
def test_a_key_tells_its_pace(stage: Stage, options: dict, expected: dict):
    person = stage.person(f"owner.{stage.ada.account}@example.com", Billing.POSTPAID)
    data = shown(stage, stage.control.keys.create(person.account, name="k", **options).secret)
    assert data["rate_limit"] == expected
    assert data["free_model_daily_requests"] == {"limit": 0, "used": 0, "remaining": 0}
    assert data["is_free_tier"] is False


def test_a_prepaid_key_tells_what_is_left_of_its_accounts_free_requests(stage: Stage):
    key = stage.ada.key
    caller = Caller(stage.ada.account, key.key.id, is_prepaid=True)
    for _ in range(3):
        admitted = stage.control.rate_limits.admit(caller, is_free=True, now_s=stage.clock.now_s())
        assert asyncio.run(admitted) is None
    data = shown(stage, key.secret)
    assert data["free_model_daily_requests"] == {"limit": 50, "used": 3, "remaining": 47}
    assert data["rate_limit"] == NO_LIMIT
