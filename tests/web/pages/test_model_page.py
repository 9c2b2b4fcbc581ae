"""`/{author}/{slug}`: nine tabs that work at their own addresses, other names, and names that nobody has."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from html import unescape
from typing import Any, TypeVar

import httpx
import msgspec
import pytest

from fairlead.control.catalog.benchmarks import Benchmarks, load_benchmarks
from fairlead.control.standings.types import (
    DayOfModel,
    EndpointHistory,
    EndpointUptime,
    Histories,
    ModelActivity,
    Period,
    PublicApp,
    Ranked,
    Rankings,
    Subject,
    Uptimes,
    Window,
)
from fairlead.control.usage.endpoints import EndpointSpan
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import Overloaded
from fairlead.core.health import EndpointFigures
from fairlead.core.ids import ModelId
from fairlead.core.routing.facts import Percentiles, Standing
from fairlead.store.tables.usage import ENDPOINT_COUNTS, LATENCY_BUCKETS, PACE_BUCKETS
from fairlead.web.asking import Desk
from fairlead.web.pages.model_endpoints import taken_by_endpoints
from fairlead.web.pages.model_view import TABS
from tests.web.conftest import HeldCatalog

pytestmark = pytest.mark.anyio

_Answer = TypeVar("_Answer")
HTML = {"accept": "text/html"}
PART = HTML | {"hx-request": "true"}
TAB_NAMES = [name for name, _ in TABS]
DAY_MS = 86_400_000
TODAY_MS = 1_795_219_200_000
HOSTILE = '"><img src=x onerror=alert(1)>'


async def at_once(function: Callable[[], _Answer], /) -> _Answer:
    return function()


@dataclass
class Standings:
    """As a week with some calls would have it. calls: of every day."""

    calls: int = 20
    app_title: str = "Cline"

    def model_activity(self, model: str, *, days: int) -> ModelActivity:
        starts = range(TODAY_MS - (days - 1) * DAY_MS, TODAY_MS + 1, DAY_MS)
        one = {"prompt_tokens": 900, "completion_tokens": 300, "reasoning_tokens": 100}
        return ModelActivity(
            model,
            tuple(
                DayOfModel(start, self.calls, **{k: v * self.calls for k, v in one.items()})
                for start in starts
            ),
        )

    def apps_of_model(self, model: str) -> Rankings:
        app = PublicApp(7, "https://cline.example", self.app_title, ())
        row = Ranked(1, app.title, tokens=600, requests=6, share=0.6, tokens_before=300, app=app)
        rows = (row,) if self.calls else ()
        return Rankings(Subject.APP, Period.WEEK, 0, 1, rows, 1000, 10, len(rows))

    def histories(self, model: str, window: Window) -> Histories:
        if not self.calls:
            return Histories(window, (TODAY_MS,), ())
        counts = dict.fromkeys(ENDPOINT_COUNTS, 0) | {"successes": 19, "outages": 1}
        latencies = [0] * LATENCY_BUCKETS
        latencies[5] = 19
        paces = [0] * PACE_BUCKETS
        paces[6] = 19
        span = EndpointSpan(
            model, TODAY_MS, "openai:o1", "openai", (*counts.values(), *latencies, *paces)
        )
        history = EndpointHistory("openai:o1", "openai", model, (span,), span)
        return Histories(window, (TODAY_MS - DAY_MS, TODAY_MS), (history,))

    def uptimes(self, window: Window, *, model: str) -> Uptimes:
        one = EndpointUptime("openai:o1", "openai", model, (0, 100, 19), (0, 0, 1))
        starts = (TODAY_MS - 2 * DAY_MS, TODAY_MS - DAY_MS, TODAY_MS)
        return Uptimes(window, starts, (one,) if self.calls else ())


Ask = Callable[..., Awaitable[str]]


@pytest.fixture(scope="module")
def benchmarks() -> Benchmarks:
    return load_benchmarks()


@pytest.fixture
async def client(
    browse: Callable[..., httpx.AsyncClient], benchmarks: Benchmarks
) -> AsyncIterator[httpx.AsyncClient]:
    standings: Any = Desk(Standings(), in_thread=at_once)
    async with browse(standings=standings, benchmarks=benchmarks) as client:
        yield client


@pytest.fixture
def read(client: httpx.AsyncClient) -> Ask:
    async def page(address: str, **headers: str) -> str:
        answer = await client.get(address, headers=HTML | headers)
        assert answer.status_code == 200, answer.text[:300]
        return unescape(answer.text)

    return page


@pytest.mark.parametrize(
    ("model", "name", "prompt", "completion", "released", "reads"),
    [
        ("openai/o1", "OpenAI: o1", "$15", "$60", "Dec 17, 2024", "text, image, file"),
        ("openai/o3-mini", "OpenAI: o3-mini", "$1.10", "$4.40", "Jan 31, 2025", "text"),
        ("openai/o4-mini", "OpenAI: o4-mini", "$1.10", "$4.40", "Apr 16, 2025", "text, image"),
    ],
)
async def test_the_head_says_what_it_is_and_costs(
    read: Ask, model: str, name: str, prompt: str, completion: str, released: str, reads: str
) -> None:
    text = await read(f"/{model}")
    head = text[text.index("<h1>") : text.index('<div id="model-view">')]
    assert f"<h1>{name}</h1>" in head
    assert f"<code>{model}</code>" in head
    for value in (prompt, completion, "200K", "168K", released):
        assert f"<dd>{value}</dd>" in head
    assert f">{reads} → text<" in head
    assert f'href="/compare?models={model}"' in head
    assert f'href="/chat?model={model}"' in head
    assert "switched off on Oct 23, 2026" in head
    assert f'<meta property="og:title" content="{name}">' in text


async def test_every_tab_has_an_address_and_is_a_part_for_htmx(client: httpx.AsyncClient) -> None:
    for tab in TAB_NAMES:
        address = f"/openai/o1?tab={tab}"
        whole = await client.get(address, headers=HTML)
        part = await client.get(address, headers=PART)
        assert (whole.status_code, part.status_code) == (200, 200)
        assert part.text.startswith("<title>OpenAI: o1")
        assert not re.search(r"<[^>]* (style|on\w+)=", part.text)
        view = part.text[part.text.index('<div id="model-view">') :]
        assert view.strip() in whole.text
        assert view.count('aria-current="page"') == 1
        current = view[: view.index('aria-current="page"')].rsplit("<a", 1)[1]
        assert f'id="tab-{tab}" href=' in current


@pytest.mark.parametrize(
    "model", ["openai/o1", "sandbox/echo", "fairlead/auto", "~openai/o-latest", "cohere/embed-v4.0"]
)
async def test_without_a_call_every_tab_says_so(
    browse: Callable[..., httpx.AsyncClient], model: str
) -> None:
    standings: Any = Desk(Standings(calls=0), in_thread=at_once)
    async with browse(standings=standings) as client:
        for tab in TAB_NAMES:
            answer = await client.get(f"/{model}?tab={tab}", headers=HTML)
            assert answer.status_code == 200
            if tab in ("performance", "apps", "activity", "uptime", "benchmarks"):
                assert 'class="empty"' in answer.text
            assert "<dt>Weekly tokens</dt><dd>0</dd>" in answer.text, "which is known"


async def test_without_a_database_the_catalogue_is_still_told(
    browse: Callable[..., httpx.AsyncClient],
) -> None:
    async def away(_function: object, /) -> Any:
        raise Overloaded("The database does not answer at the moment.")

    standings: Any = Desk(Standings(), in_thread=away)
    async with browse(standings=standings) as client:
        for tab in ("overview", "pricing", "api"):
            answer = await client.get(f"/openai/o1?tab={tab}", headers=HTML)
            assert "$15" in answer.text
        answer = await client.get("/openai/o1?tab=activity", headers=HTML)
    assert answer.status_code == 503


async def test_a_tab_that_there_is_not_is_the_overview(read: Ask) -> None:
    assert 'id="overview-providers"' in await read("/openai/o1?tab=%3Cscript%3E")


async def test_another_name_leads_to_the_models_own(client: httpx.AsyncClient) -> None:
    for name in ("openai/o1-2024-12-17", "OpenAI/O1"):
        answer = await client.get(f"/{name}?tab=api", headers=HTML)
        assert answer.status_code == 308
        assert answer.headers["location"] == "/openai/o1?tab=api"


async def test_a_variant_is_the_same_page_under_its_own_name(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openai/o1:nitro?tab=api", headers=HTML)
    text = unescape(answer.text)
    assert "the fastest endpoint first" in text
    assert 'model="openai/o1:nitro"' in text
    assert answer.headers["link"] == '<http://fairlead.test/openai/o1>; rel="canonical"'
    assert '<meta name="robots" content="noindex">' in answer.text
    free = unescape((await client.get("/openai/o1:free", headers=HTML)).text)
    assert "Nobody offers this model for nothing" in free


async def test_a_latest_alias_says_what_it_means_today(read: Ask) -> None:
    text = await read("/~openai/o-mini-latest")
    assert 'Today this name means <a href="/openai/o4-mini">OpenAI: o4-mini</a>' in text


async def test_an_unknown_name_is_a_404_with_near_ones(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openai/o3-minni", headers=HTML)
    assert answer.status_code == 404
    assert 'href="/openai/o3-mini"' in answer.text
    program = await client.get("/openai/o3-minni")
    assert program.status_code == 404
    assert "openai/o3-mini" in program.json()["error"]["message"]


async def test_a_hostile_name_in_the_address_is_only_text(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openai/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E", headers=HTML)
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


async def test_what_is_no_model_is_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.get("/zzzzzzzz/qqqqqqqqqqqqqqqq", headers=HTML)
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


async def test_providers_are_told_with_price_policy_and_end(read: Ask) -> None:
    text = await read("/openai/o1?tab=providers")
    for said in ("OpenAI", "DigitalOcean", "Ended Oct 23, 2026", 'data-copy="digitalocean"'):
        assert said in text
    assert text.count('<th scope="row">') == 6


async def test_what_is_known_now_is_beside_each_endpoint(
    browse: Callable[..., httpx.AsyncClient],
) -> None:
    fast = Percentiles(0.25, 0.3, 0.4, 0.9)

    class Busy:
        def figures(self, _endpoint: object) -> EndpointFigures:
            return EndpointFigures(Standing.DEGRADED, None, None, 90.25, fast, fast, 200, 3)

        def can_serve(self, _provider: object) -> bool:
            return True

    standings: Any = Desk(Standings(), in_thread=at_once)
    async with browse(health=Busy(), standings=standings) as client:
        providers = (await client.get("/openai/o1?tab=providers", headers=HTML)).text
        performance = (await client.get("/openai/o1?tab=performance", headers=HTML)).text
    for said in ("Degraded", "250 ms", "90.25%", "1.5%"):
        assert said in providers
    assert "1.5%" in performance


async def test_a_provider_without_a_key_is_not_called_up(
    browse: Callable[..., httpx.AsyncClient],
) -> None:
    class Keyless:
        def figures(self, _endpoint: object) -> EndpointFigures:
            return EndpointFigures()

        def can_serve(self, _provider: object) -> bool:
            return False

    async with browse(health=Keyless()) as client:
        text = (await client.get("/openai/o1?tab=providers", headers=HTML)).text
    assert "None of its providers has a key" in text
    assert ">Ready<" not in text


async def test_each_endpoint_tells_what_it_takes(read: Ask, seed: Snapshot) -> None:
    text = unescape(await read("/openai/gpt-oss-120b?tab=providers"))
    model = seed.models[ModelId("openai/gpt-oss-120b")]
    for one in taken_by_endpoints(model, seed):
        assert f'<code class="tiny faint">{one.tag}</code>' in text
        assert not set(one.parameters) & set(one.lacking)
    assert "Not here, but at others: " in text
    limited = await read("/openai/gpt-5?tab=providers")
    assert "<dt>Longest prompt</dt><dd>272,000 tokens</dd>" in limited
    assert "<dt>Caching</dt><dd>happens by itself</dd>" in limited
    asked = await read("/anthropic/claude-opus-4.5?tab=providers")
    assert "<dt>Caching</dt><dd>asked for with cache_control</dd>" in asked


async def test_prices_are_told_in_words_with_tiers_and_conditions(read: Ask) -> None:
    text = await read("/openai/o4-mini?tab=pricing")
    assert "$0.275" in text
    assert "75% less" in text
    assert "openai/priority" in text
    assert "Each search" in text
    long = await read("/google/gemini-2.5-pro?tab=pricing")
    assert "Over 200,000 prompt tokens" in long


async def test_the_calculator_is_exact_and_keeps_what_was_typed(read: Ask) -> None:
    asked = "prompt=1%2C000&cached=400&completion=500&calls=1000"
    text = await read(f"/openai/o1?tab=pricing&at=openai&{asked}")
    # 600 x $15 + 400 x $7.50 + 500 x $60, for a million each.
    assert "$0.042" in text
    assert "$42.00" in text
    assert 'value="1,000"' in text
    assert '<option value="openai" selected>' in text


async def test_the_calculator_asks_for_what_the_model_has_prices_of(read: Ask) -> None:
    plain = await read("/openai/o1?tab=pricing")
    assert not {"image", "audio", "image_output", "audio_output", "searches"} & fields(plain)
    draws = "/google/gemini-3-pro-image?tab=pricing"
    text = await read(f"{draws}&prompt=1000&completion=0&image_output=1120&searches=2&calls=10")
    assert {"prompt", "completion", "image_output", "searches", "calls"} <= fields(text)
    assert "About 1,120 an image." in text
    # 1,000 x $2 + 1,120 x $120 for a million each, and two searches at $0.014.
    assert "$0.1644" in text
    assert "$1.644" in text
    hears = await read("/google/gemini-2.5-flash?tab=pricing&prompt=0&completion=0&audio=1000000")
    assert "1,000,000 audio tokens at $1 per million" in hears


async def test_the_calculator_counts_what_is_written_to_a_cache(read: Ask) -> None:
    asked = "prompt=1000&cached=300&written=200&written_1h=100&completion=0"
    text = await read(f"/anthropic/claude-sonnet-4.5?tab=pricing&at=anthropic&{asked}")
    # 400 x $3 + 300 x $0.30 + 200 x $3.75 + 100 x $6, for a million each.
    assert "$0.00264" in text
    assert "100 input tokens cached for an hour at $6 per million" in text
    assert "written" not in fields(await read("/openai/o1?tab=pricing"))
    full = await read("/anthropic/claude-sonnet-4.5?tab=pricing&prompt=5&cached=3&written=3")
    assert "Not more than there are" in full


def fields(text: str) -> set[str]:
    return set(re.findall(r'<input class="input" id="field-[a-z0-9_]+" name="([a-z0-9_]+)"', text))


@pytest.mark.parametrize("wrong", ["-1", "1e9", "9" * 19, "٣", "x", "<script>alert(1)</script>"])
async def test_a_count_that_is_none_is_told_at_its_field(
    client: httpx.AsyncClient, wrong: str
) -> None:
    answer = await client.get(
        "/openai/o1", params={"tab": "pricing", "prompt": wrong}, headers=HTML
    )
    assert "A whole number from 0 to 1,000,000,000." in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "<script>alert" not in answer.text


async def test_more_cannot_be_cached_than_there_is(read: Ask) -> None:
    assert "Not more than there are" in await read("/openai/o1?tab=pricing&prompt=1&cached=2")


async def test_results_of_benchmarks_name_their_source(read: Ask) -> None:
    text = await read("/openai/o3-mini?tab=benchmarks")
    assert text.count('<th scope="row">DROP</th>') == 1
    assert "plain 79.2%, low 77.6%" in text
    text = await read("/openai/o1?tab=benchmarks")
    assert "Intelligence index" in text
    assert "91.8%" in text
    assert "https://github.com/openai/simple-evals" in text
    assert "MMLU" in text


async def test_what_was_counted_is_drawn_and_told(read: Ask) -> None:
    activity = await read("/openai/o1?tab=activity&days=90")
    assert activity.count('data-value="18000"') == 90
    assert "2.16M" in activity  # 90 days of 20 calls with 1200 tokens
    uptime = await read("/openai/o1?tab=uptime")
    assert "99.17%" in uptime
    assert "Nov 21, 2026: 95%, 1 call failed" in uptime
    performance = await read("/openai/o1?tab=performance&window=week")
    assert 'data-format="ms"' in performance
    assert ">95%<" in performance
    apps = await read("/openai/o1?tab=apps")
    assert "cline.example" in apps
    assert "+100%" in apps


async def test_an_app_with_a_hostile_title_is_only_text(
    browse: Callable[..., httpx.AsyncClient],
) -> None:
    standings: Any = Desk(Standings(app_title=HOSTILE), in_thread=at_once)
    async with browse(standings=standings) as client:
        for tab in ("apps", "overview"):
            answer = await client.get(f"/openai/o1?tab={tab}", headers=HTML)
            assert "<img" not in answer.text
            assert "&lt;img" in answer.text


async def test_a_model_with_hostile_words_is_only_text(
    browse: Callable[..., httpx.AsyncClient], seed: Snapshot
) -> None:
    o1 = seed.models[ModelId("openai/o1")]
    hostile = msgspec.structs.replace(
        o1, name=HOSTILE, description=HOSTILE, hugging_face_id=HOSTILE, tokenizer=HOSTILE
    )
    models = {**seed.models, o1.id: hostile}
    async with browse(catalog=HeldCatalog(replace(seed, models=models))) as client:
        for tab in TAB_NAMES:
            answer = await client.get(f"/openai/o1?tab={tab}", headers=HTML)
            assert "<img" not in answer.text
            assert "<title>\n" not in answer.text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("python", 'base_url="http://fairlead.test/api/v1"'),
        ("requests", '"http://fairlead.test/api/v1/chat/completions"'),
        ("typescript", 'baseURL: "http://fairlead.test/api/v1"'),
        ("fetch", 'await fetch("http://fairlead.test/api/v1/chat/completions"'),
        ("curl", "curl http://fairlead.test/api/v1/chat/completions"),
        ("cobol", 'base_url="http://fairlead.test/api/v1"'),
    ],
)
async def test_code_is_for_this_installation(read: Ask, language: str, said: str) -> None:
    text = await read(f"/openai/o1?tab=api&language={language}")
    assert said in text
    assert "stream" in text
    assert "example.com/picture.jpg" in text


async def test_parameters_are_those_of_the_model(read: Ask, seed: Snapshot) -> None:
    o1 = await read("/openai/o1?tab=api")
    for name in seed.models[ModelId("openai/o1")].supported_parameters:
        assert f'<th scope="row"><code>{name}</code>' in o1
    assert '<th scope="row"><code>temperature</code>' not in o1
    assert "at most 100,000" in o1


@pytest.mark.parametrize(
    ("model", "path"),
    [("cohere/embed-v4.0", "/embeddings"), ("cohere/rerank-english-v3.0", "/rerank")],
)
async def test_what_is_no_chat_model_is_called_at_its_own_address(
    read: Ask, model: str, path: str
) -> None:
    for language in ("curl", "requests"):
        text = await read(f"/{model}?tab=api&language={language}")
        assert f"http://fairlead.test/api/v1{path}" in text
        assert model in text


def test_every_parameter_of_the_catalogue_has_words() -> None:
    from fairlead.core.catalog import PARAMETERS
    from fairlead.web.pages.model_code import _PARAMETERS

    assert set(_PARAMETERS) == set(PARAMETERS)


async def test_every_model_of_the_catalogue_has_a_page(
    client: httpx.AsyncClient, seed: Snapshot
) -> None:
    """The pages that are made of most kinds of data; each kind of model, and those that are largest."""
    by_kind = {model.kind: model for model in seed.models.values()}
    largest = max(seed.models.values(), key=lambda model: len(model.endpoints))
    for model in (*by_kind.values(), largest):
        for tab in ("overview", "pricing", "api", "providers"):
            answer = await client.get(f"/{model.id}?tab={tab}", headers=HTML)
            assert answer.status_code == 200
            assert len(answer.content) < 250_000
