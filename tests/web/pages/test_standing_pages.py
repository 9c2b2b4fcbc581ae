"""`/providers`, `/rankings`, `/apps`, `/status`: what they say, empty and full, and of hostile names."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from html import unescape
from pathlib import Path

import httpx
import pytest
from starlette.datastructures import QueryParams

from fairlead.control.standings.service import Standings
from fairlead.control.standings.types import Period, Ranked, Rankings, Shares, Subject
from fairlead.control.usage.rollup import UsageRollup
from fairlead.control.usage.service import Usage
from fairlead.control.usage.spans import Granularity
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import Overloaded
from fairlead.core.generation import Attempt, Attribution, Generation, Outcome
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.store.records import pack
from fairlead.testing.generations import plain_generation
from fairlead.web.asking import Desk
from fairlead.web.pages.provider_view import catalogue_of, listing, offers, provider_path
from fairlead.web.pages.ranking_view import (
    Board,
    board,
    category_label,
    question_of,
    shares_chart,
)
from fairlead.web.pages.uptime_view import level, strip

pytestmark = pytest.mark.anyio

NOW_S = 1_795_219_200.0 + 5 * 3600  # 2026-11-21, in the morning
HOUR_S, DAY_S = 3600, 86_400
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
PAGES = ("/providers", "/providers/openai", "/rankings", "/apps", "/status")


class Clock:
    def now_s(self) -> float:
        return NOW_S


async def at_once(function: Callable[[], object]) -> object:
    return function()


async def away(_function: Callable[[], object]) -> object:
    raise Overloaded("The database does not answer at the moment.")


def call(number: int, age_s: float, **changes: object) -> Generation:
    made = {
        "model": "openai/o1",
        "endpoint": "openai:o1",
        "provider": "openai",
        "attribution": None,
    }
    return plain_generation(number, created_s=NOW_S - age_s, **{**made, **changes})


def refused(number: int, age_s: float) -> Generation:
    attempt = Attempt("azure:o1", "azure", "openai/o1", 503, 90, "overloaded")
    return call(
        number,
        age_s,
        endpoint="azure:o1",
        provider="azure",
        attempts=(attempt,),
        outcome=Outcome.FAILED,
    )


def called() -> Iterator[Generation]:
    """An app of this week, an evil one, one of nobody; a provider in trouble now, and one yesterday."""
    for number in range(4):
        yield call(
            number, 2 * DAY_S + number,
            attribution=Attribution("https://cline.example", "Cline", ("cli-agent",)),
        )  # fmt: skip
    yield call(10, DAY_S, attribution=Attribution("https://evil.example", HOSTILE, ("game",)))
    yield call(11, 8 * DAY_S, model="gone/model", endpoint="openai:gone", attempts=())
    yield from (refused(20 + number, 60) for number in range(4))
    yield from (refused(30 + number, 20 * HOUR_S) for number in range(3))
    yield call(40, 20 * HOUR_S, endpoint="azure:o1", provider="azure", attempts=(
        Attempt("azure:o1", "azure", "openai/o1", 200, 90),))  # fmt: skip


@pytest.fixture(scope="module")
def database(prepared_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path = shutil.copy(prepared_sqlite, tmp_path_factory.mktemp("standings") / DATABASE_FILE)
    with closing(open_database(path)) as database:
        with database.begin() as connection:
            UsageRollup(database).add_within(connection, [pack(one) for one in called()])
        yield database


@pytest.fixture(scope="module")
def standings(database: Database) -> Standings:
    usage = Usage(database, now_ms=lambda: round(NOW_S * 1000), minutes_days=7, hours_days=95)
    return Standings(database, usage, now_ms=lambda: round(NOW_S * 1000))


@pytest.fixture
async def full(
    browse: Callable[..., httpx.AsyncClient], standings: Standings
) -> AsyncIterator[httpx.AsyncClient]:
    async with browse(clock=Clock(), standings=Desk(standings, at_once)) as client:
        yield client


@pytest.fixture
async def empty(
    browse: Callable[..., httpx.AsyncClient], prepared_sqlite: Path, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    path = shutil.copy(prepared_sqlite, tmp_path / DATABASE_FILE)
    with closing(open_database(path)) as database:
        usage = Usage(database, now_ms=lambda: round(NOW_S * 1000), minutes_days=7, hours_days=95)
        standings = Standings(database, usage, now_ms=lambda: round(NOW_S * 1000))
        async with browse(clock=Clock(), standings=Desk(standings, at_once)) as client:
            yield client


async def text(client: httpx.AsyncClient, path: str, status: int = 200) -> str:
    response = await client.get(path, headers={"accept": "text/html"})
    assert response.status_code == status, response.text[:500]
    return unescape(response.text)


# --- all of them ---


@pytest.mark.parametrize("path", PAGES)
async def test_without_calls_each_says_so(empty: httpx.AsyncClient, path: str) -> None:
    page = await text(empty, path)
    words = {
        "/providers": "54 providers",
        "/providers/openai": "Nothing was called here lately",
        "/rankings": "Nothing was called in the last 7 days",
        "/apps": "No app yet",
        "/status": "Nothing was called lately",
    }
    assert words[path] in page
    assert "made up" not in page


@pytest.mark.parametrize("path", [*PAGES, "/rankings?by=app", "/apps?url=https://evil.example"])
async def test_a_hostile_name_is_text(full: httpx.AsyncClient, path: str) -> None:
    response = await full.get(path)
    assert response.status_code == 200
    assert "<script>alert" not in response.text
    assert "<img" not in response.text
    assert "onerror=alert(2)>" not in response.text
    if "app" in path:
        assert HOSTILE in unescape(response.text)


@pytest.mark.parametrize("path", PAGES)
async def test_hostile_questions_are_answered_like_others(
    full: httpx.AsyncClient, path: str
) -> None:
    query = {
        "q": HOSTILE,
        "by": HOSTILE,
        "period": "\x00",
        "category": HOSTILE,
        "sort": "'",
        "page": "9" * 30,
    }
    response = await full.get(path, params=query)
    assert response.status_code == 200
    assert "<script>alert" not in response.text


async def test_pages_of_the_catalogue_live_without_the_database(
    browse: Callable[..., httpx.AsyncClient], standings: Standings
) -> None:
    async with browse(standings=Desk(standings, away)) as client:
        assert "54 providers" in await text(client, "/providers")
        assert "It does not train on prompts." in await text(client, "/providers/openai")
        for path in ("/", "/compare?models=openai/o1,openai/o3-mini", "/openai/o1"):
            await text(client, path)
        await text(client, "/rankings", status=503)


async def test_made_up_figures_are_called_so(browse: Callable[..., httpx.AsyncClient]) -> None:
    class Here:
        async def is_there(self) -> bool:
            return True

    async with browse(demo=Here()) as client:
        assert "Figures on this site are made up" in await text(client, "/providers")


# --- providers ---


@pytest.fixture(scope="module")
def seed() -> Snapshot:
    from tests.shipped import SEED

    return SEED


async def test_a_provider_says_what_it_is_and_how_it_did(full: httpx.AsyncClient) -> None:
    page = await text(full, "/providers/azure?q=openai/o1")
    assert "It keeps prompts for up to 30 days." in page
    assert (
        "8 calls from this installation in 30 days; of those that count for uptime, 12.50%" in page
    )
    assert 'href="/openai/o1"' in page
    assert "https://privacy.microsoft.com/en-us/privacystatement" in page
    await text(full, "/providers/nobody", status=404)
    await text(full, "/providers/%3Cscript%3E", status=404)


@pytest.mark.parametrize(
    ("query", "there", "gone"),
    [
        ("q=anthrop", "anthropic", "openai"),
        ("policy=zdr", "groq", "deepseek"),
        ("policy=no-training", "openai", "deepseek"),
        ("country=FR", "mistral", "openai"),
        ("here=true", "sandbox", "openai"),
    ],
)
def test_filters_narrow_the_list(seed: Snapshot, query: str, there: str, gone: str) -> None:
    found = listing(catalogue_of(seed), frozenset({"sandbox"}), None, QueryParams(query))
    slugs = {row.slug for row in found.rows}
    assert there in slugs
    assert gone not in slugs
    assert found.is_filtered


def test_the_list_sorts(seed: Snapshot, standings: Standings) -> None:
    from fairlead.control.standings.types import Window

    uptimes = standings.provider_uptimes(Window.DAY)

    def rows(query: str) -> list[str]:
        return [
            row.slug
            for row in listing(catalogue_of(seed), frozenset(), uptimes, QueryParams(query)).rows
        ]

    counts = [
        row.model_count
        for row in listing(catalogue_of(seed), frozenset(), None, QueryParams("sort=models")).rows
    ]
    assert counts == sorted(counts, reverse=True)
    assert rows("sort=uptime")[0] == "azure", "the only one that tells"
    assert rows("sort=nonsense") == rows("")


def test_many_offers_come_page_by_page(seed: Snapshot) -> None:
    info = seed.providers["openrouter"]
    offered = catalogue_of(seed).offered[info.slug]
    first = offers(info, offered, {}, QueryParams(""), now_s=NOW_S)
    assert (len(first.rows), first.before) == (50, None)
    assert first.after == "/providers/openrouter?page=2"
    last = offers(info, offered, {}, QueryParams("page=999"), now_s=NOW_S)
    assert last.after is None
    found = offers(info, offered, {}, QueryParams("q=o4-mini"), now_s=NOW_S)
    assert {"openai/o4-mini"} <= {row.id for row in found.rows}
    assert found.before is found.after is None
    assert provider_path("a b/c") == "/providers/a%20b%2Fc"


def test_an_offer_says_when_it_ends(seed: Snapshot) -> None:
    info = seed.providers["openai"]
    offered = catalogue_of(seed).offered[info.slug]

    def note(now_s: float) -> str:
        (row,) = offers(info, offered, {}, QueryParams("q=openai/o4-mini-deep"), now_s=now_s).rows
        return row.note

    assert note(NOW_S) == "Ended Jul 23, 2026"
    assert note(NOW_S - 365 * 86_400) == "Ends Jul 23, 2026"


async def test_a_list_answers_htmx_with_its_rows_alone(full: httpx.AsyncClient) -> None:
    for path in ("/providers?q=open", "/providers/openai?q=o1"):
        part = await full.get(path, headers={"hx-request": "true"})
        assert part.text.lstrip().startswith('<div id="results">')
        assert "<html" not in part.text


# --- rankings and apps ---


async def test_models_are_ranked_and_one_that_left_is_named(full: httpx.AsyncClient) -> None:
    page = await text(full, "/rankings?period=month")
    ranking = page.partition('id="ranking"')[2]
    assert ranking.index("openai/o1") < ranking.index("gone/model")
    assert "not in the catalogue any more" in page
    assert 'href="/gone/model"' not in page
    assert 'aria-label="Share of tokens over time.' in page
    week = await text(full, "/rankings")
    assert "gone/model" not in week.partition('id="ranking"')[2]


@pytest.mark.parametrize(
    ("by", "name"), [("author", "OpenAI"), ("app", "Cline"), ("category", "CLI agents")]
)
async def test_authors_apps_and_categories_are_ranked(
    full: httpx.AsyncClient, by: str, name: str
) -> None:
    assert name in (await text(full, f"/rankings?by={by}")).partition('id="ranking"')[2]


async def test_a_ranking_of_one_category_counts_only_its_apps(full: httpx.AsyncClient) -> None:
    coding = await text(full, "/rankings?by=app&category=coding")
    ranking = coding.partition('id="ranking"')[2]
    assert "Cline" in ranking
    assert "evil.example" not in ranking
    assert "Nothing was called in this category" in await text(full, "/rankings?category=legal")


def test_the_address_holds_what_is_shown() -> None:
    asked = question_of(QueryParams("by=app&period=month&category=coding&chart=tokens&all=true"))
    assert (asked.subject, asked.period, asked.category) == (Subject.APP, Period.MONTH, "coding")
    assert question_of(QueryParams(asked.address().partition("?")[2])) == asked
    assert question_of(QueryParams("")).address() == "/rankings"
    nonsense = question_of(QueryParams("by=x&period=y&category=z&chart=w"))
    assert nonsense == question_of(QueryParams(""))
    assert question_of(QueryParams("by=category&category=coding")).category == ""


def test_a_ranking_that_ends_before_its_end_says_so(seed: Snapshot) -> None:
    def shown(rows: int, count: int, query: str = "") -> Board:
        ranked = tuple(Ranked(place, f"a/{place}", 1, 1, 0.0, 0) for place in range(1, rows + 1))
        rankings = Rankings(
            Subject.MODEL, Period.WEEK, 0, 1, ranked, tokens=1, requests=1, count=count
        )
        return board(question_of(QueryParams(query)), rankings, seed)

    assert (shown(25, 25).more, shown(25, 25).cut) == (None, "")
    assert shown(30, 30).more == ("/rankings?all=true", "Show all 30")
    assert shown(200, 350).more == ("/rankings?all=true", "Show the first 200 of 350")
    whole = shown(200, 350, "all=true")
    assert (whole.more, whole.cut) == (None, "The first 200 of 350.")


@pytest.mark.parametrize(
    ("rest", "others"), [((0, 0, 0, 0, 0), ()), ((0, 0, 0, 0, 1), ("Others",))]
)
def test_others_are_drawn_where_there_are_any(
    seed: Snapshot, rest: tuple[int, ...], others: tuple[str, ...]
) -> None:
    starts_ms = tuple(range(0, 35 * 86_400_000, 7 * 86_400_000))
    tokens = ((9, 0, 0, 0, 3),)
    shares = Shares(Subject.MODEL, Granularity.WEEK, starts_ms, ("openai/o1",), tokens, rest)
    drawn, _ = shares_chart(question_of(QueryParams("")), shares, seed)
    assert drawn.series == ("o1", *others)


async def test_an_app_has_a_page_by_its_address(full: httpx.AsyncClient) -> None:
    for address in ("https://cline.example", "https://cline.example/?utm=1"):
        page = await text(full, f"/apps?url={address}")
        assert "<h1>Cline</h1>" in page
        assert 'rel="nofollow noopener noreferrer ugc">cline.example</a>' in page
        assert "openai/o1" in page
    for address in ("https://nobody.example", "javascript:alert(1)", "http://localhost:3", ""):
        await text(full, f"/apps?url={address}", status=404)
    assert "Cline" in await text(full, "/apps")
    assert "Cline" not in (await text(full, "/apps?category=game")).partition("<tbody>")[2]


async def test_apps_that_grow_are_ranked_by_what_is_unusual(full: httpx.AsyncClient) -> None:
    page = await text(full, "/apps?sort=trending")
    rows = page.partition("<tbody>")[2]
    assert rows.index("cline.example") < rows.index("evil.example")
    assert "the mean of the three weeks before" in page
    assert "Above usual" in page
    assert "No app grows" in await text(full, "/apps?sort=trending&period=day")


async def test_a_category_of_apps_has_an_address_and_is_marked(full: httpx.AsyncClient) -> None:
    group = await text(full, "/apps?category=coding")
    assert '<a href="/apps?category=cli-agent">CLI agents</a>' in group
    one = await text(full, "/apps?category=cli-agent&period=month&sort=trending")
    kept = "period=month&sort=trending"
    assert f'<a href="/apps?category=cli-agent&{kept}" aria-current="page">CLI agents</a>' in one
    assert f'<a href="/apps?category=coding&{kept}" aria-current="page">Coding</a>' in one
    assert 'href="/apps?category=cli-agent&period=month"' in one
    assert "app-kinds" not in await text(full, "/apps")


def test_every_category_has_words() -> None:
    assert category_label("cli-agent") == "CLI agents"
    assert category_label("something-new") == "Something new"


# --- status ---


async def test_trouble_is_told_while_it_goes_on_and_afterwards(full: httpx.AsyncClient) -> None:
    page = await text(full, "/status")
    assert "Trouble at Microsoft Azure." in page
    assert "4 of 4 calls failed (100%)." in page
    assert "3 of 4 calls failed (75%)." in page.partition("Incidents of the last seven days")[2]


async def test_the_feed_tells_each_incident_once(full: httpx.AsyncClient) -> None:
    response = await full.get("/status/feed.xml")
    assert response.headers["content-type"].startswith("application/rss+xml")
    items = ElementTree.fromstring(response.text).findall("./channel/item")
    titles = [item.findtext("title") for item in items]
    assert titles == [
        "Microsoft Azure: outage of 1 model (ongoing)",
        "Microsoft Azure: outage of 1 model",
    ]
    assert len({item.findtext("guid") for item in items}) == 2


def test_a_strip_says_in_words_what_it_shows() -> None:
    assert [level(one) for one in (None, 1.0, 0.99, 0.95, 0.5)] == [
        "",
        "good",
        "good",
        "fair",
        "poor",
    ]
    shown = strip([None, 1.0, 0.5], [0, DAY_S * 1000, 2 * DAY_S * 1000], unit="day")
    assert [name for name, _ in shown.paths] == ["good", "none", "poor"]
    assert shown.words == "2 days with calls; lowest 50% (Jan 3, 1970)."
    assert strip([None], [0], unit="day").words == "No calls."
    assert strip([1.0], [0], unit="hour").words == "1 hour with calls, none below 99%."
