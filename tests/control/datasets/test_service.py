"""What may be published of calls, in both databases."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from fairlead.control.datasets.dates import DateRange, date_range
from fairlead.control.datasets.service import DataSets
from fairlead.control.datasets.types import MODELS_PER_PERIOD, OTHER, AppSort, CalendarPeriod
from fairlead.control.usage.rollup import UsageRollup
from fairlead.control.usage.service import Usage
from fairlead.core.generation import Attribution, Generation
from fairlead.core.routing.decision import Decision
from fairlead.core.routing.preferences import Preferences
from fairlead.core.usage import Usage as Tokens
from fairlead.store.database import Database
from fairlead.store.records import pack
from fairlead.testing.decisions import arbitrary_decision
from fairlead.testing.generations import plain_generation

NOW_S = datetime(2026, 11, 22, 5, 30, tzinfo=UTC).timestamp()
CLINE = Attribution("https://cline.example", "Cline", ("cli-agent",))
TALES = Attribution("https://tales.example", "Tales", ("roleplay",))
OWN = Attribution("http://localhost:3000", "At home", ("cli-agent",))


def days(start: str, end: str) -> DateRange:
    return date_range(start, end, now_ms=round(NOW_S * 1000))


def call(number: int, day: str, tokens: int, **changes: object) -> Generation:
    made = {
        "created_s": datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp(),
        "usage": Tokens(prompt=tokens - 1, completion=1),
        "attribution": None,
        "finish_reason": "stop",
    }
    return plain_generation(number, **{**made, **changes})


def wishing(wishes: Preferences) -> Decision:
    return msgspec.structs.replace(arbitrary_decision(random.Random(1)), preferences=wishes)


@pytest.fixture
def datasets(database: Database) -> DataSets:
    now_ms = round(NOW_S * 1000)
    usage = Usage(database, now_ms=lambda: now_ms, minutes_days=7, hours_days=95)
    return DataSets(database, usage)


@pytest.fixture
def settle(database: Database) -> Callable[..., None]:
    step = UsageRollup(database)

    def add(*calls: Generation) -> None:
        with database.begin() as connection:
            step.add_within(connection, list(map(pack, calls)))

    return add


def ranked(
    datasets: DataSets,
    start: str,
    end: str,
    period: CalendarPeriod = CalendarPeriod.DAY,
    **only: object,
):
    found = datasets.model_rankings(days(start, end), period, **only)  # type: ignore[arg-type]
    return [(one.date, one.model, one.tokens) for one in found]


def test_models_are_told_by_day_week_and_month(datasets: DataSets, settle: Callable[..., None]):
    settle(
        call(1, "2026-10-31", 10, model="a/one"),
        call(2, "2026-11-01", 20, model="a/one"),
        call(3, "2026-11-02", 30, model="b/two", finish_reason="tool_calls"),
        call(4, "2026-11-02", 30, model="a/one"),
        call(5, "2026-11-03", 999, model="a/one"),
    )
    assert ranked(datasets, "2026-10-31", "2026-11-02") == [
        ("2026-10-31", "a/one", 10),
        ("2026-11-01", "a/one", 20),
        ("2026-11-02", "a/one", 30),
        ("2026-11-02", "b/two", 30),
    ]
    assert ranked(datasets, "2026-10-31", "2026-11-02", CalendarPeriod.WEEK) == [
        ("2026-10-26", "a/one", 30),
        ("2026-11-02", "a/one", 30),
        ("2026-11-02", "b/two", 30),
    ]
    assert ranked(datasets, "2026-10-01", "2026-11-02", CalendarPeriod.MONTH) == [
        ("2026-10-01", "a/one", 10),
        ("2026-11-01", "a/one", 50),
        ("2026-11-01", "b/two", 30),
    ]
    assert ranked(datasets, "2026-11-02", "2026-11-02", only=["b/two"]) == [
        ("2026-11-02", "b/two", 30)
    ]
    assert ranked(datasets, "2026-11-02", "2026-11-03", with_tools=True) == [
        ("2026-11-02", "b/two", 30)
    ]
    assert ranked(datasets, "2026-11-02", "2026-11-02", hidden=["a/one"]) == [
        ("2026-11-02", "b/two", 30),
        ("2026-11-02", OTHER, 30),
    ]
    assert ranked(datasets, "2026-11-02", "2026-11-02", only=[]) == []


def test_beyond_fifty_all_are_one_row_at_the_end(datasets: DataSets, settle: Callable[..., None]):
    settle(*(call(one, "2026-11-02", 100 + one, model=f"a/m{one:02}") for one in range(60)))
    found = ranked(datasets, "2026-11-02", "2026-11-02")
    assert len(found) == MODELS_PER_PERIOD + 1
    assert found[0] == ("2026-11-02", "a/m59", 159)
    assert found[-1] == ("2026-11-02", OTHER, sum(range(100, 110)))


def test_private_calls_are_in_nothing_that_is_published(
    database: Database, datasets: DataSets, settle: Callable[..., None]
):
    private = [
        call(1, "2026-11-02", 500, decision=wishing(Preferences(zdr=True)), attribution=CLINE),
        call(
            2, "2026-11-02", 700, model="b/two", decision=wishing(Preferences(zdr_authors=("b",)))
        ),
    ]
    settle(
        *private,
        call(3, "2026-11-02", 40, attribution=CLINE, decision=wishing(Preferences())),
        call(4, "2026-11-02", 2, decision=wishing(Preferences(zdr_authors=("b",)))),
    )
    rows = [("2026-11-02", "openai/gpt-4o-mini", 42)]
    assert ranked(datasets, "2026-11-02", "2026-11-02") == rows
    found = datasets.app_rankings(days("2026-11-02", "2026-11-02"), AppSort.POPULAR)
    assert [(one.title, one.tokens, one.requests) for one in found] == [("Cline", 40, 1)]
    with database.begin() as connection:
        UsageRollup(database).subtract_within(connection, list(map(pack, private)))
    assert ranked(datasets, "2026-11-02", "2026-11-02") == rows


def test_apps_rank_by_what_they_use_or_by_what_they_use_more(
    datasets: DataSets, settle: Callable[..., None]
):
    settle(
        call(1, "2026-11-10", 100, attribution=TALES),
        call(2, "2026-11-10", 60, attribution=CLINE),
        call(3, "2026-11-10", 999, attribution=OWN),
        call(4, "2026-11-07", 90, attribution=TALES),
        call(5, "2026-11-08", 90, attribution=TALES),
        call(6, "2026-11-09", 90, attribution=TALES),
        call(7, "2026-11-06", 900, attribution=CLINE),
        call(8, "2026-11-09", 10, attribution=CLINE),
    )
    day = days("2026-11-10", "2026-11-10")

    def order(sort: AppSort, wanted: frozenset[str] | None = None):
        found = datasets.app_rankings(day, sort, wanted=wanted)
        return [(one.rank, one.title, one.tokens) for one in found]

    assert order(AppSort.POPULAR) == [(1, "Tales", 100), (2, "Cline", 60)]
    assert order(AppSort.TRENDING) == [(1, "Cline", 60), (2, "Tales", 100)]
    assert order(AppSort.POPULAR, frozenset({"cli-agent", "game"})) == [(1, "Cline", 60)]
    settle(call(9, "2026-11-08", 30, attribution=TALES))
    assert order(AppSort.TRENDING) == [(1, "Cline", 60)]
