"""`/analytics/meta` and `/analytics/query` over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fairlead.core.generation import Attribution, Outcome
from tests.web.management.stage import Stage

DAY_S = 86_400


def today(stage: Stage) -> str:
    day = datetime.fromtimestamp(stage.clock.now_s(), UTC).date()
    return f"{day}T00:00:00.000Z"


def asked(stage: Stage, **body: Any) -> dict[str, Any]:
    answer = stage.ask("POST /analytics/query", key=stage.ada.management.secret, body=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    assert found["metadata"]["row_count"] == len(found["data"])
    return found


def rows(stage: Stage, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked(stage, **body)["data"]
    return found


def test_everything_that_meta_names_can_be_asked(stage: Stage):
    stage.settle(stage.ada)
    meta = stage.ask("GET /analytics/meta", key=stage.ada.management.secret).json()["data"]
    names = [metric["name"] for metric in meta["metrics"]]
    assert len(names) == len(set(names))
    for documented in (
        "request_count", "total_usage", "tokens_total", "tokens_prompt", "tokens_completion",
        "reasoning_tokens", "cache_hit_rate", "usage_upstream", "usage_cache", "usage_data", "usage_web",
        "usage_file",
    ):  # fmt: skip
        assert documented in names
    (row,) = rows(stage, metrics=names)
    assert set(row) == set(names)
    for granularity in [one["name"] for one in meta["granularities"]]:
        (row,) = rows(stage, metrics=["request_count"], granularity=granularity)
        assert row["request_count"] == 1
        assert f"date__{granularity}" in row
    for dimension in [one["name"] for one in meta["dimensions"]]:
        (row,) = rows(stage, metrics=["request_count"], dimensions=[dimension])
        assert dimension in row
    values = {"scalar": "openai/o1", "array": ["openai/o1"]}
    for operator in meta["operators"]:
        one = {
            "field": "model",
            "operator": operator["name"],
            "value": values[operator["value_type"]],
        }
        asked(stage, metrics=["request_count"], filters=[one])


def test_sums_by_day_and_model(stage: Stage):
    stage.settle(stage.ada, cost=1_000_000_000)
    stage.settle(stage.ada, cost=500_000_000, outcome=Outcome.FAILED)
    stage.settle(stage.ada, cost=7, model="meta/llama", endpoint="groq:llama")
    stage.settle(stage.bob, cost=8)
    slug = stage.control.catalog.snapshot.models["openai/o1"].canonical_slug  # type: ignore[index]  # as text
    found = rows(
        stage,
        metrics=["total_usage", "tokens_total", "cache_hit_rate", "error_rate"],
        dimensions=["model"],
        granularity="day",
        order_by={"field": "total_usage", "direction": "desc"},
    )
    assert found == [
        {
            "date__day": today(stage), "model": slug, "total_usage": 1.5, "tokens_total": 250,
            "cache_hit_rate": 0.1, "error_rate": 0.5,
        },
        {
            "date__day": today(stage), "model": "meta/llama", "total_usage": 7e-9,
            "tokens_total": 125, "cache_hit_rate": 0.1, "error_rate": 0.0,
        },
    ]  # fmt: skip


def test_things_are_named_as_people_know_them_and_filtered_by_what_is_told(stage: Stage):
    key = stage.ada.key.key
    attribution = Attribution(referer="https://named.example", title="App")
    stage.settle(stage.ada, attribution=attribution)
    (row,) = rows(stage, metrics=["request_count"], dimensions=["api_key_id", "user"])
    assert row["api_key_id"] == key.digest.hex()
    assert row["api_key_name"] == "laptop"
    assert row["user"] == key.creator
    (other,) = rows(stage, metrics=["request_count"], dimensions=["workspace", "app"])
    assert other["workspace"] == key.workspace
    assert other["workspace_name"]
    assert other["app_title"] == "App"
    slug = stage.control.catalog.snapshot.models["openai/o1"].canonical_slug  # type: ignore[index]  # as text
    for field, value in (
        ("api_key_id", row["api_key_id"]),
        ("workspace", other["workspace"]),
        ("app", other["app"]),
        ("app", str(other["app"])),
        ("model", slug),
        ("model", "openai/o1"),
        ("provider", "openai"),
        ("is_byok", False),
        ("is_byok", "false"),
    ):
        one = {"field": field, "operator": "eq", "value": value}
        (found,) = rows(stage, metrics=["request_count"], filters=[one])
        assert found["request_count"] == 1, field
        without = {"field": field, "operator": "neq", "value": value}
        assert rows(stage, metrics=["request_count"], filters=[without]) == [], field


def test_a_hash_that_is_no_key_of_the_account_is_warned_of(stage: Stage):
    stage.settle(stage.ada)
    stage.settle(stage.bob)
    foreign = stage.bob.key.key.digest.hex()
    own = stage.ada.key.key.digest.hex()
    one = {"field": "api_key_id", "operator": "in", "value": [own, foreign]}
    found = asked(stage, metrics=["request_count"], filters=[one])
    assert found["data"] == [{"request_count": 1}]
    assert foreign in found["warnings"][0]


def test_each_call_by_itself(stage: Stage):
    now_s = stage.clock.now_s()
    first = stage.settle(stage.ada, cost=1, created_s=now_s - 120)
    second = stage.settle(stage.ada, cost=2, created_s=now_s - 60)
    found = asked(stage, metrics=["total_usage"], dimensions=["generation_id", "model"], limit=1)
    assert [row["generation_id"] for row in found["data"]] == [second.id]
    assert found["metadata"]["truncated"]
    assert "created_at" in found["data"][0]
    ordered = rows(
        stage, metrics=["total_usage"], dimensions=["generation_id"],
        order_by={"field": "total_usage", "direction": "asc"},
    )  # fmt: skip
    assert [row["generation_id"] for row in ordered] == [first.id, second.id]


def test_limits_cut_and_say_so(stage: Stage):
    now_s = stage.clock.now_s()
    for days in range(3):
        stage.settle(stage.ada, cost=days, created_s=now_s - days * DAY_S)
        stage.settle(stage.ada, cost=days, created_s=now_s - days * DAY_S, model="meta/llama")
    body = {"metrics": ["request_count"], "dimensions": ["model"], "granularity": "day"}
    whole = asked(stage, **body)
    assert (len(whole["data"]), whole["metadata"]["truncated"]) == (6, False)
    cut = asked(stage, **body, limit=4)
    assert (len(cut["data"]), cut["metadata"]["truncated"]) == (4, True)
    of_group = asked(stage, **body, group_limit=1)
    assert len({row["model"] for row in of_group["data"]}) == len(of_group["data"]) == 2
    assert of_group["metadata"]["truncated"]
    latest = rows(stage, **body, order_by={"field": "date", "direction": "desc"})
    assert [row["date__day"] for row in latest] == sorted(
        (row["date__day"] for row in latest), reverse=True
    )


def test_a_series_keeps_the_biggest_groups_whole(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    now_s = stage.clock.now_s()
    for days in range(3):
        for number in range(4):
            for _ in range(number + 1):
                stage.settle(
                    stage.ada, cost=days * 100 + number * 10 + _, model=f"m/{number}",
                    created_s=now_s - days * DAY_S,
                )  # fmt: skip
    monkeypatch.setattr("fairlead.control.usage.service.SERIES_ROWS_MAX", 10)
    found = asked(
        stage, metrics=["request_count"], dimensions=["model"], granularity="day",
        time_range={
            "start": datetime.fromtimestamp(now_s - 2 * DAY_S, UTC).date().isoformat() + "T00:00:00Z",
            "end": datetime.fromtimestamp(now_s + 60, UTC).isoformat(),
        },
    )  # fmt: skip
    assert {row["model"] for row in found["data"]} == {"m/3", "m/2"}
    assert len(found["data"]) == 6
    assert found["metadata"]["truncated"]


DAY = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
YEAR = {"start": "2026-01-01T00:00:00Z", "end": "2026-12-31T00:00:00Z"}
CLASSIFIER = "550e8400-e29b-41d4-a716-446655440000"


def a_filter(**changed: object) -> list[dict[str, object]]:
    return [{"field": "model", "operator": "eq", "value": "x"} | changed]


WRONG: list[tuple[dict[str, object], str]] = [
    ({"metrics": []}, "metrics"),
    ({"metrics": None}, "metrics"),
    ({"metrics": ["nothing"]}, "nothing"),
    ({"metrics": "request_count"}, "metrics"),
    ({"dimensions": ["model", "user", "app"]}, "dimensions"),
    ({"dimensions": ["country"]}, "country"),
    ({"dimensions": ["app", "generation_id"]}, "app"),
    ({"granularity": "year"}, "year"),
    ({"filters": a_filter(field="nothing")}, "nothing"),
    ({"filters": a_filter(operator="like")}, "like"),
    ({"filters": a_filter(value=["x"])}, "one value"),
    ({"filters": a_filter(operator="in")}, "an array"),
    ({"filters": a_filter(operator="in", value=[])}, "at least one"),
    ({"filters": a_filter(value=1.5)}, "text"),
    ({"filters": a_filter(field="app", value="x")}, "number"),
    ({"filters": a_filter(field="app", value=1.5)}, "number"),
    ({"filters": a_filter(field="is_byok", value="perhaps")}, "true or false"),
    ({"filters": a_filter(field="is_byok", operator="gt", value=True)}, "order"),
    ({"filters": a_filter() * 21}, "filters"),
    ({"time_range": {"start": DAY["end"], "end": DAY["start"]}}, "before"),
    ({"time_range": {"start": "0001-01-01T00:00:00Z", "end": DAY["end"]}}, "ten years"),
    ({"time_range": {"start": "yesterday", "end": DAY["end"]}}, "time_range"),
    ({"time_range": YEAR, "metrics": ["latency_avg"]}, "31 days"),
    ({"time_range": YEAR, "dimensions": ["generation_id"]}, "31 days"),
    ({"time_range": DAY, "granularity": "minute"}, "minutes are kept"),
    ({"order_by": {"field": "tokens_total", "direction": "asc"}}, "tokens_total"),
    ({"order_by": {"field": "date", "direction": "asc"}}, "date"),
    ({"order_by": {"field": "request_count", "direction": "up"}}, "direction"),
    ({"limit": 0}, "limit"),
    ({"group_limit": 0}, "group_limit"),
    ({"classifier_dimensions": {"classifier_id": CLASSIFIER}}, CLASSIFIER),
    (
        {"classifier_filters": {"classifier_id": CLASSIFIER, "filters": a_filter()}},
        CLASSIFIER,
    ),
]


def test_what_is_wrong_is_named(stage: Stage):
    for changed, part in WRONG:
        body = {"metrics": ["request_count"]} | changed
        answer = stage.ask("POST /analytics/query", key=stage.ada.management.secret, body=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, 400), changed
        assert part in error["message"].lower(), changed


def test_a_database_that_is_away_is_no_fault_of_the_callers(stage: Stage):
    body = {"metrics": ["request_count"]}
    asked(stage, **body)
    with stage.without_a_database():
        answer = stage.ask("POST /analytics/query", key=stage.ada.management.secret, body=body)
        assert answer.status_code == 503
        assert stage.ask("GET /activity", key=stage.ada.management.secret).status_code == 503
