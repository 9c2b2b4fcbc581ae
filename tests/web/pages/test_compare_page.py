"""`/compare`: the address is the state, the best is marked, nothing needs a script."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import httpx
import pytest

from fairlead.control.catalog.benchmarks import load_benchmarks
from fairlead.core.catalog import Snapshot
from fairlead.web.pages.compare_view import COMPARED_MAX

pytestmark = pytest.mark.anyio

HTML = {"accept": "text/html"}
O_MODELS = "/compare?models=openai/o1,openai/o3-mini,openai/o4-mini"


def heads(text: str) -> list[str]:
    return re.findall(r'class="compare-name" href="/([^"]+)"', text)


async def test_models_stand_in_the_order_of_the_address(client: httpx.AsyncClient) -> None:
    text = unescape((await client.get(O_MODELS, headers=HTML)).text)
    assert heads(text) == ["openai/o1", "openai/o3-mini", "openai/o4-mini"]
    assert 'href="/compare?models=openai/o1,openai/o4-mini"' in text  # without the second
    for said in ("$15", "$4.40", "200K", "Dec 17, 2024", "text, image, file"):
        assert said in text


async def test_the_same_comes_of_commas_and_of_several(client: httpx.AsyncClient) -> None:
    address = "/compare?models=openai/o1&models=o3-mini&models=openai/o4-mini-2025-04-16"
    text = (await client.get(address, headers=HTML)).text
    assert heads(text) == ["openai/o1", "openai/o3-mini", "openai/o4-mini"]


async def test_the_best_of_a_row_is_marked_and_equals_are_not(
    browse: Callable[..., httpx.AsyncClient],
) -> None:
    async with browse(benchmarks=load_benchmarks()) as client:
        text = unescape((await client.get(O_MODELS, headers=HTML)).text)
    rows = dict(re.findall(r'<th scope="row">([\w ]+)<(.*?)</tr>', text, re.DOTALL))
    assert "compare-best" not in rows["Context"]
    assert rows["Cached input"].count("compare-best") == 1
    assert rows["Cached input"].index("$0.275") > rows["Cached input"].index("compare-best")
    assert "91.8%" in rows["MMLU"]


async def test_what_reads_as_the_best_does_is_marked_too(client: httpx.AsyncClient) -> None:
    address = "/compare?models=openai/gpt-6-sol,deepseek/deepseek-v4.1-flash,openai/o1"
    text = unescape((await client.get(address, headers=HTML)).text)
    rows = dict(re.findall(r'<th scope="row">([\w ]+)<(.*?)</tr>', text, re.DOTALL))
    assert rows["Context"].count("1.05M") == rows["Context"].count("compare-best") == 2
    assert "1, 1 with a key" not in text


async def test_nothing_chosen_offers_the_newest(client: httpx.AsyncClient) -> None:
    text = (await client.get("/compare", headers=HTML)).text
    assert "Choose the first" in text
    assert text.count('href="/compare?models=') == 8


async def test_a_search_adds_to_what_was_chosen(client: httpx.AsyncClient) -> None:
    text = (await client.get("/compare?models=openai/o1&q=o3-mini", headers=HTML)).text
    assert 'href="/compare?models=openai/o1,openai/o3-mini"' in unescape(text)
    assert 'name="models" value="openai/o1"' in text
    nothing = (await client.get("/compare?q=nobody-is-called-that", headers=HTML)).text
    assert "No model is called that" in nothing


async def test_five_are_all(client: httpx.AsyncClient, seed: Snapshot) -> None:
    names = list(seed.models)[: COMPARED_MAX + 2]
    text = (await client.get(f"/compare?models={','.join(names)}", headers=HTML)).text
    assert len(heads(text)) == COMPARED_MAX
    assert "Only the first 5 are shown" in text
    assert "compare-q" not in text


async def test_who_is_not_there_is_named_as_text(client: httpx.AsyncClient) -> None:
    name = '"><script>alert(1)</script>'
    answer = await client.get(
        "/compare", params={"models": f"openai/o1,{name}", "q": name}, headers=HTML
    )
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "There is no model" in answer.text
    assert heads(answer.text) == ["openai/o1"]


async def test_routers_embeddings_and_a_hundred_names_are_compared_too(
    client: httpx.AsyncClient,
) -> None:
    address = "/compare?models=fairlead/auto,cohere/embed-v4.0,sandbox/echo"
    text = (await client.get(address, headers=HTML)).text
    assert "Varies" in text
    many = ",".join(f"nobody/n{number}" for number in range(100))
    answer = await client.get(f"/compare?models={many}", headers=HTML)
    assert answer.text.count("There is no model") == 10
