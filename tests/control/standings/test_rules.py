"""Rankings, shares and histories, from sums."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.standings import rules
from fairlead.control.standings.rules import CategoryUnknown, Counted
from fairlead.control.standings.types import (
    RANKED_MAX,
    Period,
    PublicApp,
    Rankings,
    Subject,
    Window,
)
from fairlead.control.usage.apps import CATEGORIES, CATEGORY_GROUPS
from fairlead.control.usage.calendar import DAY_MS, HOUR_MS, MINUTE_MS
from fairlead.control.usage.spans import Granularity, bucket_start_ms

NOW_MS = 1_795_219_200_000 + 5 * HOUR_MS + 7 * MINUTE_MS  # 2026-11-21, a Saturday
CLINE = PublicApp(1, "https://cline.example", "Cline", ("cli-agent", "ide-extension"))
TALES = PublicApp(2, "https://tales.example", "Tales", ("roleplay",))

counted = st.builds(
    Counted,
    st.just(0),
    st.sampled_from([CLINE, TALES]),
    st.sampled_from(["openai/o1", "openai/o3", "meta/llama"]),
    st.integers(0, 1000),
    st.integers(1, 9),
)


def ranked(subject: Subject, now: list[Counted], before: list[Counted]) -> Rankings:
    return rules.rankings(subject, Period.WEEK, now, before, start_ms=0, end_ms=1)


@given(st.sampled_from(list(Subject)), st.lists(counted), st.lists(counted))
def test_a_ranking_adds_up_to_what_was_counted(subject: Subject, now, before):
    found = ranked(subject, now, before)
    assert found.tokens == sum(one.tokens for one in now)
    assert found.requests == sum(one.requests for one in now)
    assert [row.place for row in found.rows] == list(range(1, len(found.rows) + 1))
    sizes = [row.tokens for row in found.rows]
    assert sizes == sorted(sizes, reverse=True)
    if subject is not Subject.CATEGORY:
        assert sum(sizes) == found.tokens
        assert sum(row.share for row in found.rows) == pytest.approx(1 if found.tokens else 0)
    for row in found.rows:
        if subject is Subject.MODEL:
            assert row.tokens_before == sum(one.tokens for one in before if one.model == row.name)


def test_models_of_one_author_count_together():
    now = [
        Counted(0, None, "openai/o1", 30, 1),
        Counted(0, None, "meta/llama", 40, 2),
        Counted(0, None, "openai/o3", 20, 1),
    ]
    found = ranked(Subject.AUTHOR, now, [Counted(0, None, "openai/o1", 25, 1)])
    assert [(row.name, row.tokens, row.requests) for row in found.rows] == [
        ("openai", 50, 2),
        ("meta", 40, 2),
    ]
    assert [row.growth for row in found.rows] == [1.0, None]


def test_an_app_counts_for_each_of_its_categories_and_once_in_all():
    now = [Counted(0, CLINE, "", 60, 1), Counted(0, TALES, "", 40, 1)]
    found = ranked(Subject.CATEGORY, now, [])
    assert [(row.name, row.share) for row in found.rows] == [
        ("cli-agent", 0.6),
        ("ide-extension", 0.6),
        ("roleplay", 0.4),
    ]
    assert found.tokens == 100


def test_a_ranking_is_bounded_and_says_of_how_many_it_is():
    now = [Counted(0, None, f"author/model-{number:04}", number, 1) for number in range(500)]
    found = ranked(Subject.MODEL, now, [])
    assert len(found.rows) == RANKED_MAX
    assert (found.rows[0].name, found.count) == ("author/model-0499", 500)


def test_two_apps_of_one_title_stay_two():
    twin = PublicApp(3, "https://other.example", "Cline", ())
    found = ranked(Subject.APP, [Counted(0, CLINE, "", 1, 1), Counted(0, twin, "", 2, 1)], [])
    assert [(row.name, row.app) for row in found.rows] == [("Cline", twin), ("Cline", CLINE)]


@given(
    st.sampled_from([Subject.MODEL, Subject.AUTHOR, Subject.APP]),
    st.lists(counted.map(lambda one: one._replace(start_ms=one.tokens % 3 * DAY_MS))),
    st.integers(1, 3),
)
def test_shares_and_the_rest_are_all_of_it(subject: Subject, of, shown: int):
    starts_ms = (0, DAY_MS, 2 * DAY_MS)
    found = rules.shares(subject, Granularity.DAY, starts_ms, of, shown=shown)
    assert len(found.names) == len(found.tokens) <= shown
    for place, start_ms in enumerate(starts_ms):
        assert found.total(place) == sum(one.tokens for one in of if one.start_ms == start_ms)
        assert sum(found.share(name, place) for name in range(len(found.names))) <= 1 + 1e-9
    if subject is Subject.APP:
        assert [app.title for app in found.apps] == list(found.names)


@pytest.mark.parametrize("granularity", [Granularity.DAY, Granularity.WEEK, Granularity.MONTH])
def test_a_chart_of_shares_ends_with_the_span_that_is_now(granularity: Granularity):
    starts_ms = rules.share_starts_ms(granularity, NOW_MS)
    assert len(starts_ms) == {"day": 30, "week": 52, "month": 24}[granularity]
    assert list(starts_ms) == sorted(set(starts_ms))
    assert starts_ms[-1] <= NOW_MS
    assert all(bucket_start_ms(granularity, one) == one for one in starts_ms)
    assert bucket_start_ms(granularity, NOW_MS) == starts_ms[-1]


@pytest.mark.parametrize(
    ("window", "points", "step_ms"),
    [
        (Window.DAY, 24, HOUR_MS),
        (Window.WEEK, 168, HOUR_MS),
        (Window.MONTH, 30, DAY_MS),
        (Window.QUARTER, 90, DAY_MS),
    ],
)
def test_a_window_has_so_many_points_up_to_now(window: Window, points: int, step_ms: int):
    starts_ms = rules.window_starts_ms(window, NOW_MS)
    assert len(starts_ms) == points
    assert starts_ms[-1] <= NOW_MS < starts_ms[-1] + step_ms
    assert {later - one for one, later in pairwise(starts_ms)} == {step_ms}


def test_an_uptime_is_of_calls_that_tell():
    rows = [
        ("openai/o1", 0, "azure:o1", "azure", 3, 1),
        ("openai/o1", HOUR_MS, "azure:o1", "azure", 0, 0),
        ("openai/o1", HOUR_MS, "openai:o1", "openai", 5, 0),
    ]
    azure, openai = rules.uptimes(rows, (0, HOUR_MS))
    assert (azure.endpoint, azure.uptime) == ("azure:o1", 0.75)
    assert (azure.uptime_at(0), azure.uptime_at(1)) == (0.75, None)
    assert (openai.successes, openai.outages, openai.uptime) == ((0, 5), (0, 0), 1.0)


def test_a_group_of_categories_is_all_of_them():
    assert rules.categories_in("game") == {"game"}
    assert rules.categories_in("entertainment") == CATEGORY_GROUPS["entertainment"]
    assert frozenset().union(*CATEGORY_GROUPS.values()) == CATEGORIES
    with pytest.raises(CategoryUnknown, match="'cooking'"):
        rules.categories_in("cooking")
