"""`GET /activity` over HTTP."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead.core.generation import Attribution
from fairlead.web.csv_export import csv_text
from tests.web.management.stage import Stage

DAY_S = 86_400


def yesterday(stage: Stage) -> float:
    """A moment of the last day that is over."""
    return stage.clock.now_s() // DAY_S * DAY_S - 3600


def rows(stage: Stage, **query: Any) -> list[dict[str, Any]]:
    answer = stage.ask("GET /activity", key=stage.ada.management.secret, query=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def test_a_day_that_is_over_is_told_by_endpoint(stage: Stage):
    at_s = yesterday(stage)
    stage.settle(stage.ada, cost=1, created_s=at_s)
    stage.settle(stage.ada, cost=2_925_000, created_s=at_s)
    stage.settle(stage.ada, cost=3)  # today
    stage.settle(stage.bob, cost=4, created_s=at_s)
    assert rows(stage) == [
        {
            "date": datetime.fromtimestamp(at_s, UTC).date().isoformat(),
            "model": "openai/o1",
            "model_permaslug": stage.control.catalog.snapshot.models["openai/o1"].canonical_slug,  # type: ignore[index]  # as text
            "endpoint_id": "openai:o1",
            "provider_name": "OpenAI",
            "usage": 0.002925001,
            "byok_usage_inference": 0.0,
            "requests": 2,
            "prompt_tokens": 200,
            "completion_tokens": 50,
            "reasoning_tokens": 10,
            "cached_tokens": 20,
        }
    ]


def test_it_is_narrowed_by_key_member_workspace_and_day(stage: Stage):
    at_s = yesterday(stage)
    key = stage.ada.key.key
    stage.settle(stage.ada, cost=1, created_s=at_s)
    stage.settle(stage.ada, cost=2, created_s=at_s - DAY_S)
    day = datetime.fromtimestamp(at_s, UTC).date()
    assert [row["date"] for row in rows(stage)] == [str(day), str(day - timedelta(days=1))]
    assert len(rows(stage, date=str(day))) == 1
    assert len(rows(stage, api_key_hash=key.digest.hex())) == 2
    assert len(rows(stage, user_id=key.creator or "")) == 2
    assert rows(stage, user_id="user-nobody") == []
    assert len(rows(stage, workspace_id=key.workspace)) == 2
    (first, _) = rows(stage, group_by="workspace")
    assert first["workspace_id"] == key.workspace


def test_calls_from_before_there_were_workspaces_are_the_default_ones(stage: Stage):
    stage.settle(stage.ada, cost=1, created_s=yesterday(stage), workspace="")
    default = stage.ada.key.key.workspace
    (row,) = rows(stage, group_by="workspace")
    assert row["workspace_id"] == default
    assert len(rows(stage, workspace_id=default)) == 1


WRONG: list[tuple[dict[str, str], int, str | None]] = [
    ({"date": "yesterday"}, 400, "date"),
    ({"date": "20260101"}, 400, "date"),
    ({"date": "2020-01-01"}, 400, "date"),
    ({"date": "2999-01-01"}, 400, "date"),
    ({"api_key_hash": "abc"}, 400, "api_key_hash"),
    ({"api_key_hash": "z" * 64}, 400, "api_key_hash"),
    ({"api_key_hash": "0" * 64}, 404, None),
    ({"workspace_id": "default"}, 400, "workspace_id"),
    ({"workspace_id": "550e8400-e29b-41d4-a716-446655440000"}, 404, None),
    ({"group_by": "key"}, 400, "group_by"),
    ({"format": "pdf"}, 400, "format"),
    ({"user_id": "\x00"}, 400, "user_id"),
]


def test_what_is_wrong_is_named(stage: Stage):
    for query, status, param in WRONG:
        answer = stage.ask("GET /activity", key=stage.ada.management.secret, query=query)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, status), query
        if param is not None:
            assert param in error["message"], query


def test_today_is_not_over(stage: Stage):
    today = datetime.fromtimestamp(stage.clock.now_s(), UTC).date()
    answer = stage.ask("GET /activity", key=stage.ada.management.secret, query={"date": str(today)})
    assert answer.status_code == 400


def test_another_accounts_key_is_no_key(stage: Stage):
    stage.settle(stage.bob, cost=1, created_s=yesterday(stage))
    answer = stage.ask(
        "GET /activity",
        key=stage.ada.management.secret,
        query={"api_key_hash": stage.bob.key.key.digest.hex()},
    )
    assert answer.status_code == 404
    answer = stage.ask(
        "GET /activity",
        key=stage.ada.management.secret,
        query={"workspace_id": stage.bob.key.key.workspace},
    )
    assert answer.status_code == 404
    assert rows(stage) == []


def test_every_member_sees_it_and_their_own_key_by_itself(stage: Stage):
    crew = stage.organisation(stage.ada, stage.bob)
    admin, member = (stage.signed_in(one.user, crew) for one in (stage.ada, stage.bob))
    keys = [
        stage.ask("POST /keys", headers=who, body={"name": "k"}).json()["data"]["hash"]
        for who in (admin, member)
    ]
    for who in (stage.ada, stage.bob):
        stage.settle(who, account=crew, created_s=yesterday(stage))

    def asked(who: dict[str, str], **query: str) -> Any:
        return stage.ask("GET /activity", headers=who, query=query)

    for who in (admin, member):
        assert asked(who).json()["data"][0]["requests"] == 2
    assert [asked(admin, api_key_hash=one).status_code for one in keys] == [200, 200]
    assert [asked(member, api_key_hash=one).status_code for one in keys] == [404, 200]
    assert asked(stage.signed_in(stage.bob.user)).json()["data"] == []


@pytest.mark.parametrize("name", ["GET /activity", "GET /analytics/meta", "POST /analytics/query"])
def test_it_takes_a_management_key(stage: Stage, name: str):
    assert stage.ask(name, key=stage.ada.key.secret).status_code == 403
    assert stage.ask(name, key="sk-fl-v1-unknown").status_code == 401
    assert stage.ask(name).status_code == 401


def test_a_table_can_be_saved(stage: Stage):
    stage.settle(stage.ada, cost=1, created_s=yesterday(stage), provider="=1+1", endpoint="=1+1:x")
    answer = stage.ask(
        "GET /activity",
        key=stage.ada.management.secret,
        query={"format": "csv", "group_by": "workspace"},
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="activity.csv"' in answer.headers["content-disposition"]
    names, row = csv.reader(io.StringIO(answer.text))
    told = dict(zip(names, row, strict=True))
    assert told["usage"] == "1e-09"
    assert told["provider_name"] == "'=1+1", "a spreadsheet would run it"
    assert told["workspace_id"] == stage.ada.key.key.workspace


def test_cells_that_a_spreadsheet_would_run_are_text():
    text = csv_text(["a", "b"], [("@SUM(A1)", -1), ('say "no", \n', None)])
    assert text == 'a,b\r\n\'@SUM(A1),-1\r\n"say ""no"", \n",\r\n'


def test_a_generation_tells_its_app_and_its_workspace(stage: Stage):
    made = stage.settle(
        stage.ada,
        rule="completed",
        attribution=Attribution(referer="https://app.example/x?y=1", title="App"),
    )
    answer = stage.ask("GET /generation", key=stage.ada.key.secret, query={"id": made.id})
    told = answer.json()["data"]
    assert isinstance(told["app_id"], int)
    assert told["app_id"] > 0
    assert told["origin"] == "https://app.example/"
    assert told["http_referer"] == "https://app.example/x?y=1"
    assert told["workspace_id"] == stage.ada.key.key.workspace
    assert told["payment"]["rule"] == "completed"
    assert "complete" in told["payment"]["explanation"]
    assert told["cache_discount"] is None, "the prices are not known"
    model = stage.control.catalog.snapshot.models["openai/o1"]  # type: ignore[index]  # as text
    endpoint = next(one for one in model.endpoints if one.prices.input_cache_read is not None)
    priced = stage.settle(stage.ada, cost=5, price_version=endpoint.price_version)
    answer = stage.ask("GET /generation", key=stage.ada.key.secret, query={"id": priced.id})
    saved = 10 * (endpoint.prices.prompt - (endpoint.prices.input_cache_read or 0))
    assert answer.json()["data"]["cache_discount"] == pytest.approx(saved / 1e12)
