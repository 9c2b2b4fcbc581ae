"""Rankings, shares and histories, from sums."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.standings import rules
from fairlead.control.standings.rules import CategoryUnknown, Counted, Members
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

MODELS = ("openai/o1", "openai/o3", "meta/llama", "x/", "")
APPS = (
    CLINE,
    TALES,
    PublicApp(3, "https://other.example", "Cline", ()),
    PublicApp(4, "https://quiet.example", "Quiet", ("cli-agent",)),
)
STARTS_MS = (0, DAY_MS, 2 * DAY_MS)
OTHERS_SERIES = 99


class Call(NamedTuple):
    """Of one model by one app, where there is one."""

    start_ms: int
    model: str
    app: PublicApp | None
    tokens: int
    requests: int


calls = st.lists(
    st.builds(
        Call,
        st.sampled_from(STARTS_MS),
        st.sampled_from(MODELS),
        st.sampled_from([None, *APPS]),
        st.integers(0, 1000),
        st.integers(1, 9),
    )
)
subjects = st.sampled_from(list(Subject))


def members_of(subject: Subject) -> Members:
    """Each name has two series."""
    names: tuple[str | PublicApp, ...] = MODELS
    if subject in (Subject.APP, Subject.CATEGORY):
        names = APPS
    return Members([(name, (2 * place, 2 * place + 1)) for place, name in enumerate(names)])


def counted(subject: Subject, of: Iterable[Call]) -> list[Counted]:
    """By start, with what is nobody's among it."""
    names = members_of(subject).names
    found = []
    for start_ms in STARTS_MS:
        rows = [
            (2 * names.index(name) + at % 2, one.tokens, one.requests)
            for at, one in enumerate(of)
            for name in (one.model if subject in (Subject.MODEL, Subject.AUTHOR) else one.app,)
            if one.start_ms == start_ms and name is not None
        ]
        series, tokens, requests = zip(*rows, (OTHERS_SERIES, 7, 7), strict=True)
        found.append(Counted(start_ms, series, (tokens, requests)))
    return found


def is_in(subject: Subject, one: Call) -> bool:
    """Whether it is in such a ranking at all."""
    return subject in (Subject.MODEL, Subject.AUTHOR) or one.app is not None


def names_of(subject: Subject, one: Call) -> tuple[str | PublicApp, ...]:
    """Plainly, what it counts for."""
    match subject:
        case Subject.MODEL:
            return (one.model,) if one.model else ()
        case Subject.AUTHOR:
            return (one.model.split("/")[0],) if one.model else ()
        case Subject.APP:
            return () if one.app is None else (one.app,)
        case Subject.CATEGORY:
            return () if one.app is None else one.app.categories


def ranked(subject: Subject, now: list[Call], before: list[Call]) -> Rankings:
    return rules.rankings(
        subject,
        Period.WEEK,
        members_of(subject),
        counted(subject, now),
        counted(subject, before),
        start_ms=0,
        end_ms=1,
    )


def called(app: PublicApp | None, model: str, tokens: int, requests: int = 1) -> Call:
    return Call(0, model, app, tokens, requests)


@given(calls, calls)
def test_apps_trend_by_what_they_have_above_the_mean_before(now, before):
    found = rules.trending_apps(
        Period.WEEK,
        members_of(Subject.APP),
        counted(Subject.APP, now),
        counted(Subject.APP, before),
        start_ms=0,
        end_ms=1,
    )
    more: Counter[PublicApp] = Counter()
    for sign, every in ((3, now), (-1, before)):
        for one in every:
            if one.app is not None:
                more[one.app] += sign * one.tokens
    growing = {app: count for app, count in more.items() if count > 0}
    assert {row.app for row in found.rows} == growing.keys()
    assert found.count == len(growing)
    sizes = [growing[row.app] for row in found.rows if row.app is not None]
    assert sizes == sorted(sizes, reverse=True)
    assert [row.place for row in found.rows] == list(range(1, len(sizes) + 1))


@given(subjects, calls, calls)
def test_a_ranking_is_what_one_gets_by_adding_up_call_by_call(subject, now, before):
    tokens, requests, earlier = Counter(), Counter(), Counter()
    for one in now:
        for name in names_of(subject, one):
            tokens[name] += one.tokens
            requests[name] += one.requests
    for one in before:
        for name in names_of(subject, one):
            earlier[name] += one.tokens
    found = ranked(subject, now, before)
    whole = sum(one.tokens for one in now if is_in(subject, one))
    assert {
        (row.app or row.name): (row.tokens, row.requests, row.tokens_before) for row in found.rows
    } == {name: (tokens[name], requests[name], earlier[name]) for name in tokens}
    assert (found.tokens, found.count) == (whole, len(tokens))
    assert found.requests == sum(one.requests for one in now if is_in(subject, one))
    order = [(-row.tokens, -row.requests, row.name) for row in found.rows]
    assert order == sorted(order)
    for place, row in enumerate(found.rows, 1):
        assert row.place == place
        assert row.share == pytest.approx(row.tokens / whole if whole else 0)


@given(subjects, calls, st.integers(1, 3))
def test_shares_are_what_one_gets_by_adding_up_call_by_call(subject, of, shown):
    by_name: defaultdict[str | PublicApp, Counter[int]] = defaultdict(Counter)
    whole = Counter()
    for one in of:
        whole[one.start_ms] += one.tokens if is_in(subject, one) else 0
        for name in names_of(subject, one):
            by_name[name][one.start_ms] += one.tokens
    starts_ms = (-DAY_MS, *STARTS_MS)
    found = rules.shares(
        subject, Granularity.DAY, starts_ms, members_of(subject), counted(subject, of), shown=shown
    )
    totals = sorted((sum(one.values()) for one in by_name.values()), reverse=True)
    assert [sum(of_one) for of_one in found.tokens] == [one for one in totals if one][:shown]
    for name, of_one in zip(found.apps or found.names, found.tokens, strict=True):
        assert of_one == tuple(by_name[name][start_ms] for start_ms in starts_ms)
    assert [app.title for app in found.apps] == (
        list(found.names) if subject is Subject.APP else []
    )
    for place, start_ms in enumerate(starts_ms):
        of_shown = sum(of_one[place] for of_one in found.tokens)
        assert found.rest[place] == max(0, whole[start_ms] - of_shown)


def test_models_of_one_author_count_together():
    now = [
        called(None, "openai/o1", 30),
        called(None, "meta/llama", 40, 2),
        called(None, "openai/o3", 20),
    ]
    found = ranked(Subject.AUTHOR, now, [called(None, "openai/o1", 25)])
    assert [(row.name, row.tokens, row.requests) for row in found.rows] == [
        ("openai", 50, 2),
        ("meta", 40, 2),
    ]
    assert [row.growth for row in found.rows] == [1.0, None]


def test_an_app_counts_for_each_of_its_categories_and_once_in_all():
    found = ranked(Subject.CATEGORY, [called(CLINE, "", 60), called(TALES, "", 40)], [])
    assert [(row.name, row.share) for row in found.rows] == [
        ("cli-agent", 0.6),
        ("ide-extension", 0.6),
        ("roleplay", 0.4),
    ]
    assert found.tokens == 100


def test_a_ranking_is_bounded_and_says_of_how_many_it_is():
    members = Members([(f"author/model-{number:04}", (number,)) for number in range(501)])
    now = Counted(0, range(500), (range(500), [1] * 500))
    found = rules.rankings(Subject.MODEL, Period.WEEK, members, [now], [], start_ms=0, end_ms=1)
    assert len(found.rows) == RANKED_MAX
    assert (found.rows[0].name, found.count) == ("author/model-0499", 500)


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
