"""The data sets: who may ask, how often, for what; and that answers are as documented."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead.control.datasets import session_queries
from fairlead.control.datasets.types import SessionCell, SessionCosts, TurnRange
from fairlead.control.serving.limits import RateLimits
from fairlead.core.errors import RateLimited
from fairlead.core.generation import Attribution
from fairlead.core.ids import AccountId
from fairlead.core.limits import RequestLimits
from fairlead.core.usage import Usage
from fairlead.web.data_desk import PER_DAY, PER_MINUTE, DataDesk
from tests.api_document import check_answer
from tests.web.management.stage import Person, Stage

NAMES = (
    "/datasets/rankings-daily",
    "/datasets/app-rankings",
    "/datasets/session-cost",
    "/benchmarks",
    "/classifications/task",
)


def told(stage: Stage, path: str, status: int = 200, **query: object) -> Any:
    """The body of an answer that is as documented."""
    name = f"GET {path}"
    answer = stage.ask(name, key=stage.ada.key.secret, query=query)
    assert answer.status_code == status, answer.text
    return check_answer(answer, name)


def refused(stage: Stage, path: str, **query: object) -> str:
    return str(told(stage, path, 400, **query)["error"]["param"])


def used(stage: Stage, person: Person, tokens: int, app: str, **changes: object) -> None:
    stage.settle(
        person,
        usage=Usage(prompt=tokens - 1, completion=1),
        attribution=Attribution(f"https://{app}.example", app.title(), ("cli-agent",)),
        **changes,
    )


@pytest.mark.parametrize("path", NAMES)
def test_it_wants_a_key_and_any_will_do(stage: Stage, path: str):
    name = f"GET {path}"
    assert stage.ask(name).status_code == 401
    assert stage.ask(name, key="sk-fl-v1-wrong").status_code == 401
    for key in (stage.ada.key, stage.ada.management):
        answer = stage.ask(name, key=key.secret)
        assert answer.status_code == 200
        meta = check_answer(answer, name)["meta"]
        if path != "/benchmarks":
            assert meta["license"] == "CC-BY-4.0"
            assert meta["citation"].startswith("Source: Fairlead (fairlead.test/")
            assert meta["citation"].endswith(f"as of {meta['as_of']}.")


def test_what_was_used_today_is_told_as_strings(stage: Stage):
    today = datetime.now(UTC).date()
    dates = {"start_date": today, "end_date": today}
    used(stage, stage.ada, 2**40, "harbour", model="lab/tide")
    used(stage, stage.ada, 1_000, "harbour", model="lab/tide")
    body = told(stage, "/datasets/rankings-daily", **dates)
    assert [one for one in body["data"] if one["model_permaslug"] == "lab/tide"] == [
        {
            "date": today.isoformat(),
            "model_permaslug": "lab/tide",
            "total_tokens": str(2**40 + 1_000),
        }
    ]
    assert body["meta"]["start_date"] == body["meta"]["end_date"] == today.isoformat()
    (app,) = [
        one
        for one in told(stage, "/datasets/app-rankings", **dates)["data"]
        if one["app_name"] == "Harbour"
    ]
    assert (app["total_tokens"], app["total_requests"]) == (str(2**40 + 1_000), 2)
    after = told(stage, "/datasets/app-rankings", offset=1, category="coding", **dates)["data"]
    assert [one["rank"] for one in after] == list(range(2, 2 + len(after)))
    # It is no model of the catalogue, so nothing is known of what it writes.
    only = told(stage, "/datasets/rankings-daily", modality="text", **dates)["data"]
    assert "lab/tide" not in [one["model_permaslug"] for one in only]


def test_dates_are_clamped_at_the_first_day_and_refused_elsewhere(stage: Stage):
    path = "/datasets/rankings-daily"
    first = told(stage, path, start_date="2024-05-01", end_date="2025-02-01")["meta"]
    assert (first["start_date"], first["end_date"]) == ("2025-01-01", "2025-02-01")
    assert refused(stage, path, end_date="2024-12-31") == "end_date"
    assert refused(stage, path, start_date="2025-01-01", end_date="2026-02-01") == "start_date"
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert refused(stage, "/datasets/app-rankings", end_date=tomorrow) == "end_date"


def test_what_there_are_no_figures_for_is_checked_and_told_so(stage: Stage):
    path = "/datasets/rankings-daily"
    for query in ({"context_bucket": "10K"}, {"category": "legal"}, {"language_type": "natural"}):
        body = told(stage, path, **query)
        assert body["data"] == []
        assert "no figures" in body["meta"]["note"]
    assert told(stage, path, category="legal")["meta"]["period"] == "week"
    assert "note" not in told(stage, path)["meta"]
    assert refused(stage, path, category="cooking") == "category"
    assert refused(stage, path, context_bucket="2K") == "context_bucket"
    assert refused(stage, path, category="legal", period="day") == "period"
    assert refused(stage, path, category="legal", language_type="natural") == "language_type"
    assert refused(stage, path, category="legal", modality="text") == "category"
    assert refused(stage, path, modality="smell") == "modality"


def test_pages_have_bounds(stage: Stage):
    assert refused(stage, "/datasets/app-rankings", limit=101) == "limit"
    assert refused(stage, "/datasets/app-rankings", offset=101) == "offset"
    assert refused(stage, "/datasets/app-rankings", sort="loud") == "sort"
    wrong = {"category": "creative", "subcategory": "cli-agent"}
    assert refused(stage, "/datasets/app-rankings", **wrong) == "subcategory"
    assert refused(stage, "/datasets/session-cost", limit=501) == "limit"
    assert refused(stage, "/datasets/session-cost", offset=5001) == "offset"
    assert refused(stage, "/datasets/session-cost", turn_range="3-turns") == "turn_range"
    assert refused(stage, "/benchmarks", max_results=0) == "max_results"
    assert refused(stage, "/classifications/task", window="30d") == "window"


def test_sessions_are_told_once_they_were_counted(stage: Stage):
    path, database = "/datasets/session-cost", stage.control.database
    body = told(stage, path)
    assert (body["data"], body["meta"]["window_days"]) == ([], None)
    assert "20 sessions" in body["meta"]["note"]
    cells = [
        SessionCell(f"{app}.example", app.title(), turns, model, 0.25)
        for app in ("buoy", "cline")
        for model in ("a/one", "b/two")
        for turns in (TurnRange.ONE, TurnRange.MANY)
    ]
    costs = SessionCosts(stage.clock.now_ms(), "2026-11-19", 30, tuple(cells))
    with database.begin() as connection:
        session_queries.keep(database, connection, session_queries.Kept(0, costs))
    try:
        whole = told(stage, path)
        assert len(whole["data"]) == len(cells)
        assert whole["data"][0] == {
            "app_slug": "buoy.example",
            "app_name": "Buoy",
            "turn_range": "1-turn",
            "model_permaslug": "a/one",
            "median_session_cost_usd": 0.25,
        }
        assert whole["meta"]["window_end_date"] == "2026-11-19"
        assert told(stage, path, offset=2, limit=3)["data"] == whole["data"][2:5]
        for query, place in (
            ({"app_slug": "cline.example"}, "app_slug"),
            ({"model": "b/two"}, "model_permaslug"),
            ({"turn_range": "50-plus-turns"}, "turn_range"),
        ):
            found = told(stage, path, **query)["data"]
            assert {one[place] for one in found} == set(query.values())
            assert len(found) == len(cells) / 2
        assert told(stage, path, app_slug="nobody.example")["data"] == []
    finally:
        stage.execute("DELETE FROM meta WHERE name = :name", name=session_queries.KEPT)


def test_benchmarks_are_those_of_the_catalogue_and_say_whose(stage: Stage):
    body = told(stage, "/benchmarks", source="openrouter")
    assert {one["benchmark_type"] for one in body["data"]} == {"gpqa_diamond"}
    models = [one["model_permaslug"] for one in body["data"]]
    assert len(models) == len(set(models)) == body["meta"]["model_count"] > 50
    assert all(0 < one["accuracy"] < 1 and one["source_url"] for one in body["data"])
    assert body["meta"]["citation"] is None
    assert body["data"] == told(stage, "/benchmarks")["data"]
    assert len(told(stage, "/benchmarks", max_results=3)["data"]) == 3
    for query in (
        {"source": "artificial-analysis"},
        {"source": "design-arena", "arena": "models"},
        {"task_type": "search"},
        {"benchmark_type": "search_hle"},
        {"benchmark_type": "tau_bench_verified_airline"},
        {"task_type": "coding"},
    ):
        assert told(stage, "/benchmarks", **query)["data"] == [], query
    answer = stage.ask(
        "GET /benchmarks",
        key=stage.ada.key.secret,
        query={"source": "catalogue", "task_type": "coding"},
    )
    found = answer.json()["data"]
    assert "Aider Polyglot" in {one["benchmark"] for one in found}
    assert "GPQA Diamond" not in {one["benchmark"] for one in found}
    assert refused(stage, "/benchmarks", source="hearsay") == "source"


def test_nothing_is_said_of_what_calls_are_about(stage: Stage):
    body = told(stage, "/classifications/task", window="7d")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert body["data"] == {
        "window_days": 7,
        "as_of": yesterday.isoformat(),
        "classifications": [],
        "macro_categories": [],
    }
    assert "Prompts are not read" in body["meta"]["note"]


@pytest.mark.anyio
async def test_a_key_may_ask_so_often_in_a_minute_and_its_account_in_a_day():
    now = [1_795_219_200.0]
    sets: Any = None
    desk = DataDesk(sets, RateLimits(RequestLimits()), lambda: now[0])
    account = AccountId("acc-1")
    for _ in range(PER_MINUTE):
        await desk.admit("key-1", account)
    with pytest.raises(RateLimited) as refusal:
        await desk.admit("key-1", account)
    headers = dict(refusal.value.problem().headers)
    assert headers["retry-after"] == "2"
    assert "data-requests-per-min" in str(refusal.value)
    await desk.admit("key-2", account)
    now[0] += 2
    await desk.admit("key-1", account)
    for number in range(PER_DAY - PER_MINUTE - 2):
        await desk.admit(f"other-{number}", account)
    with pytest.raises(RateLimited, match="data-requests-per-day"):
        await desk.admit("one-more", account)
    await desk.admit("key-9", AccountId("acc-2"))
    now[0] += 86_400
    await desk.admit("one-more", account)


def test_one_request_too_many_is_told_when_to_come_again(stage: Stage):
    for _ in range(PER_MINUTE):
        told(stage, "/classifications/task")
    answer = stage.ask("GET /benchmarks", key=stage.ada.key.secret)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    check_answer(answer, "GET /benchmarks")
