"""`/models`: found, filtered, sorted, told to htmx and to feed readers."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from html import unescape

import httpx
import msgspec
import pytest
from starlette.datastructures import QueryParams

from fairlead.core.catalog import Snapshot
from fairlead.core.catalog_indices import Index
from fairlead.core.ids import ModelId
from fairlead.web.api.model_query import INDEX_SORTS, Measured
from fairlead.web.pages.model_list import SORTS, Listing, catalogue_of, listing, row_of
from tests.web.conftest import HeldCatalog

pytestmark = pytest.mark.anyio

HTML = {"accept": "text/html"}
NOW_S = 1_795_219_200.0


@pytest.fixture(scope="module")
def listed(seed: Snapshot) -> Callable[[str], Listing]:
    catalogue = catalogue_of(seed)
    return lambda query: listing(catalogue, QueryParams(query), now_s=NOW_S)


@pytest.fixture(scope="module")
def seed() -> Snapshot:
    from tests.shipped import SEED

    return SEED


def test_what_is_shown_of_a_model_is_what_the_api_says(listed: Callable[[str], Listing]) -> None:
    row = next(row for row in listed("q=openai/o1").rows if row.id == "openai/o1")
    assert (row.name, row.author_name, row.path) == ("o1", "OpenAI", "/openai/o1")
    assert (row.price.prompt, row.price.completion, row.context) == ("$15", "$60", "200K")


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("o1", "openai/o1"),
        ("gpt4o", "openai/gpt-4o"),
        ("DeepSeek R1", "deepseek/deepseek-r1"),
        ("claude sonnet 4.5", "anthropic/claude-sonnet-4.5"),
    ],
)
def test_who_is_called_just_so_is_found_first(
    listed: Callable[[str], Listing], typed: str, first: str
) -> None:
    assert listed(f"q={typed}").rows[0].id == first
    ages = [row.created_s for row in listed(f"q={typed}&sort=newest").rows]
    assert ages == sorted(ages, reverse=True)


def test_boxes_of_a_group_come_one_by_one_or_with_commas(
    listed: Callable[[str], Listing],
) -> None:
    one_by_one = listed("input_modalities=text&input_modalities=image")
    assert one_by_one == listed("input_modalities=text,image")
    assert 0 < one_by_one.total < listed("input_modalities=text").total


@pytest.mark.parametrize(
    "query",
    [
        "q=claude",
        "context=200000",
        "max_price=0",
        "supported_parameters=tools",
        "providers=anthropic",
        "model_authors=openai",
        "arch=Claude",
        "output_modalities=image",
        "max_output_price=1",
        "max_age_days=90",
        "zdr=true",
        "distillable=true",
    ],
)
def test_every_filter_narrows_the_list(listed: Callable[[str], Listing], query: str) -> None:
    narrowed = listed(query)
    assert 0 < narrowed.total < listed("").total
    assert narrowed.is_filtered


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("category=legal", "no model into a category"),
        ("region=eu", "set its provider up in a region"),
        ("min_coding_index=50", "results of benchmarks are published"),
        ("min_tool_success_rate=0.9", "tools called here"),
    ],
)
def test_what_the_catalogue_does_not_know_finds_nothing_and_says_why(
    listed: Callable[[str], Listing], query: str, words: str
) -> None:
    assert listed(query).rows == ()
    assert words in listed(query).why_none


async def test_a_filter_of_the_address_stays_when_the_form_is_sent(
    client: httpx.AsyncClient,
) -> None:
    """Also one that is not among the usual, or has no field."""
    query = "context=64000&max_price=3&min_price=1&region=us&zdr=true"
    text = (await client.get(f"/models?{query}", headers=HTML)).text
    for chosen in (
        '<option value="64000" selected>64000 tokens or more</option>',
        '<option value="3" selected>Up to $3</option>',
        '<option value="us" selected>United States</option>',
        '<option value="true" selected>Zero data retention</option>',
        '<input type="hidden" name="min_price" value="1">',
    ):
        assert chosen in text


@pytest.mark.parametrize("sort", [value for value, _ in SORTS])
def test_every_sort_keeps_every_model(listed: Callable[[str], Listing], sort: str) -> None:
    assert listed(f"sort={sort}").total == listed("").total


def test_a_measured_sort_shows_its_figure_and_puts_the_others_last(seed: Snapshot) -> None:
    fast, slow = ModelId("openai/o1"), ModelId("openai/o3-mini")
    measured = Measured(
        weekly_tokens={fast: 5, slow: 8_350_000_000},
        latency_s={fast: 0.34, slow: 1.2},
        tokens_per_s={fast: 82.4, slow: 20.0},
    )
    catalogue = catalogue_of(seed)

    def shown(query: str) -> Listing:
        return listing(catalogue, QueryParams(query), now_s=NOW_S, measured=measured)

    for query, first, figure, text in (
        ("sort=throughput-high-to-low", fast, "Throughput", "82.4 tok/s"),
        ("sort=latency-low-to-high", fast, "Latency", "340 ms"),
        ("sort=most-popular", slow, "Weekly tokens", "8.35B tokens"),
        ("sort=top-weekly", slow, "Weekly tokens", "8.35B tokens"),
    ):
        found = shown(query)
        assert (found.rows[0].id, found.figure, found.figures[first]) == (first, figure, text)
        assert len(found.figures) == 2, "an alias has none of its own"
        assert "2 models had any" in found.note
        assert [row.id for row in found.rows[2:]] == [
            row.id for row in shown("").rows if row.id not in (fast, slow)
        ][: len(found.rows) - 2]
    assert "None of these was called" in shown("q=claude&sort=most-popular").note
    assert "published" in shown("sort=design-arena-elo-high-to-low").note
    assert not shown("sort=newest").note


def test_indices_are_offered_where_there_are_any(seed: Snapshot) -> None:
    catalogue = catalogue_of(seed)
    measured = Measured(indices={Index.CODING: {ModelId("openai/o1"): 61.4}})
    query = QueryParams("sort=coding-high-to-low")
    without = listing(catalogue, QueryParams(), now_s=NOW_S)
    found = listing(catalogue, query, now_s=NOW_S, measured=measured)
    assert (found.rows[0].id, found.figures[ModelId("openai/o1")]) == ("openai/o1", "61")
    assert "1 model has any" in found.note
    assert dict(found.sorts).keys() - dict(without.sorts).keys() == INDEX_SORTS.keys()
    names = {one.name for one in found.choices} - {one.name for one in without.choices}
    assert names == {f"min_{index}_index" for index in Index}


def test_what_has_no_figures_is_not_offered_unless_it_was_chosen(
    listed: Callable[[str], Listing],
) -> None:
    arena = "design-arena-elo-high-to-low"
    assert arena not in dict(listed("").sorts)
    assert arena in dict(listed(f"sort={arena}").sorts)
    assert "category" not in {one.name for one in listed("").choices}
    assert ("category", "legal") in listed("category=legal").unshown


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("openai/o1", "$15 in · $60 out"),
        ("openai/tts-1", "$15 per million characters"),
        ("openai/whisper-1", "$0.0001 a second"),
        ("cohere/rerank-v3.5", "$0.002 a call"),
        ("openai/text-embedding-3-small", "$0.02 in"),
        ("fairlead/free", "Free"),
    ],
)
def test_only_what_charges_nothing_is_free(seed: Snapshot, model: str, text: str) -> None:
    row = next(row_of(one) for one in catalogue_of(seed).models if one.id == model)
    assert row.price.text == text
    assert row.price.is_free == (text == "Free")


def test_what_cannot_be_called_is_marked(seed: Snapshot) -> None:
    assert not row_of(seed.models[ModelId("openai/tts-1")]).is_served
    assert row_of(seed.models[ModelId("openai/gpt-image-1")]).is_served


def test_pages_hold_every_model_once(listed: Callable[[str], Listing]) -> None:
    seen: list[str] = []
    address: str | None = "/models?"
    while address is not None:
        shown = listed(address.partition("?")[2])
        seen += [row.id for row in shown.rows]
        address = shown.after
    assert len(seen) == len(set(seen)) == shown.total


@pytest.mark.parametrize("page", ["0", "-1", "x", "999999", "9" * 400, "\u0663"])
def test_a_page_that_is_not_there_is_the_nearest_that_is(
    listed: Callable[[str], Listing], page: str
) -> None:
    assert listed(f"page={page}").rows


def test_addresses_keep_what_was_chosen_and_no_more(listed: Callable[[str], Listing]) -> None:
    shown = listed("q=gpt&sort=newest&view=table&page=1&max_price=")
    assert shown.clear == "/models?view=table&sort=newest"
    assert shown.feed == "/models/feed.xml?q=gpt"
    assert {name: address for name, _, address in shown.views}["list"] == (
        "/models?q=gpt&sort=newest&view=list"
    )


async def test_htmx_gets_a_part_and_history_the_whole(client: httpx.AsyncClient) -> None:
    part = await client.get("/models?q=claude", headers=HTML | {"hx-request": "true"})
    whole = await client.get("/models?q=claude", headers=HTML)
    assert part.text.startswith('<div id="results">')
    assert part.text.strip() in whole.text
    assert "hx-request" in part.headers["vary"]
    restored = {"hx-request": "true", "hx-history-restore-request": "true"}
    assert (await client.get("/models", headers=HTML | restored)).text.startswith("<!doctype")


async def test_nothing_found_says_so_and_leads_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/models?q=nobody-calls-it-that", headers=HTML)
    assert "No model is like that" in answer.text
    assert 'href="/models"' in answer.text


async def test_what_was_typed_comes_back_as_text(client: httpx.AsyncClient) -> None:
    answer = await client.get("/models", params={"q": '"><script>alert(1)</script>'}, headers=HTML)
    assert "<script>alert" not in answer.text
    assert 'value="&#34;&gt;&lt;script&gt;' in answer.text


async def test_a_model_with_a_hostile_name_is_only_text(
    browse: Callable[..., httpx.AsyncClient], seed: Snapshot
) -> None:
    name = "<img src=x onerror=alert(1)>"
    o1 = seed.models[ModelId("openai/o1")]
    hostile = msgspec.structs.replace(o1, name=f"{name}: {name}", description=name * 40)
    models = {**seed.models, ModelId("openai/o1"): hostile}
    async with browse(catalog=HeldCatalog(replace(seed, models=models))) as client:
        for path in ("/models?q=openai/o1", "/models?q=openai/o1&view=table", "/"):
            answer = await client.get(path, headers=HTML)
            assert "<img" not in answer.text
        feed = await client.get("/models/feed.xml?q=openai/o1")
    titles = [one.text for one in ElementTree.fromstring(feed.content).iter("title")]
    assert f"{name}: {name}" in titles


async def test_the_feed_is_rss_of_the_same_list(client: httpx.AsyncClient) -> None:
    answer = await client.get("/models/feed.xml?q=claude")
    assert answer.headers["content-type"].startswith("application/rss+xml")
    items = list(ElementTree.fromstring(answer.content).iter("item"))
    assert items
    assert all("claude" in (one.findtext("guid") or "").lower() for one in items)
    assert all((one.findtext("link") or "").startswith("http://fairlead.test/") for one in items)


async def test_the_api_leads_to_the_feed_of_the_same_list(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/models?q=claude&use_rss=true&use_rss_chat_links=true")
    assert answer.status_code == 307
    feed = await client.get(answer.headers["location"])
    items = list(ElementTree.fromstring(feed.content).iter("item"))
    links = [one.findtext("link") or "" for one in items]
    listed = (await client.get("/api/v1/models?q=claude")).json()["data"]
    assert {one.findtext("guid") for one in items} <= {one["id"] for one in listed}
    assert links
    assert all(link.startswith("http://fairlead.test/chat?model=") for link in links)


async def test_home_counts_what_is_there_and_shows_its_own_address(
    client: httpx.AsyncClient,
) -> None:
    text = unescape((await client.get("/", headers=HTML)).text)
    assert "curl http://fairlead.test/api/v1/chat/completions" in text
    assert 'base_url="http://fairlead.test/api/v1"' in text
