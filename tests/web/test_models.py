"""The catalogue over HTTP: shapes, filters, sorts, pages, caching."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from fairlead.control.catalog.benchmarks import load_benchmarks
from fairlead.core.catalog import EndpointStatus, Modality
from fairlead.core.catalog_indices import Index
from fairlead.core.catalog_overlay import Discovered, overlay
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.core.routing.preferences import AccountPreferences
from tests.web.conftest import HeldCatalog

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["/api/v1", "/v1"])
def base(request):
    return request.param


async def test_models_answer_as_documented_with_every_text_model(client, base, seed, check_schema):
    answer = await client.get(f"{base}/models")
    assert answer.status_code == 200
    document = answer.json()
    check_schema(document, "ModelsListAnswer")
    text_models = {one.id for one in seed.models.values() if "text" in one.output_modalities}
    assert models_of(document) == text_models
    assert document["total_count"] == len(document["data"]) > 500
    assert document["links"] == {"next": None}


async def test_every_model_of_every_modality_answers_as_documented(client, seed, check_schema):
    document = (await client.get("/api/v1/models?output_modalities=all")).json()
    check_schema(document, "ModelsListAnswer")
    assert models_of(document) == set(seed.models)
    for model in document["data"]:
        if model["id"] == "fairlead/auto":
            continue
        prices = {name: text for name, text in model["pricing"].items() if name != "overrides"}
        assert all(isinstance(text, str) and Decimal(text) >= 0 for text in prices.values())


def models_of(document):
    """Those that are neither a router nor another name of one."""
    return {one["id"] for one in document["data"]} - {
        one["id"]
        for one in document["data"]
        if one["owned_by"] == "fairlead" or "alias_target" in one
    }


async def test_routers_are_listed_as_models_whose_price_is_not_known_before(client, check_schema):
    everything = {one["id"]: one for one in (await client.get("/api/v1/models")).json()["data"]}
    auto, free = everything["fairlead/auto"], everything["fairlead/free"]
    assert (auto["pricing"], free["pricing"]) == (
        {"prompt": "-1", "completion": "-1"},
        {"prompt": "0", "completion": "0"},
    )
    assert auto["architecture"]["tokenizer"] == "Router"
    assert auto["context_length"] is None
    for name in ("fairlead/auto", "openrouter/auto", "Fairlead/auto:online"):
        one = (await client.get(f"/api/v1/model/{name}")).json()
        check_schema(one, "ModelAnswer")
        assert one["data"] == auto
    endpoints = (await client.get("/api/v1/models/fairlead/auto/endpoints")).json()
    check_schema(endpoints, "ModelEndpointsAnswer")
    assert endpoints["data"]["endpoints"] == []


async def test_latest_aliases_are_listed_as_what_they_mean(client, seed, check_schema):
    everything = {one["id"]: one for one in (await client.get("/api/v1/models")).json()["data"]}
    shown = {slug: one for slug, one in everything.items() if slug.startswith("~")}
    assert shown.keys() == {alias for alias, one in seed.families.items() if one.is_listed}
    for alias, one in shown.items():
        target = everything[seed.families[alias].newest]
        assert one["alias_target"] == {"slug": target["id"], "name": target["name"]}
        assert one["name"].endswith(" (latest)")
        for field in ("pricing", "context_length", "top_provider", "supported_parameters"):
            assert one[field] == target[field]
    alone = (await client.get("/api/v1/models/~anthropic/claude-opus-latest")).json()
    assert alone == everything["~anthropic/claude-opus-latest"]
    check_schema({"data": alone}, "ModelAnswer")
    endpoints = (await client.get("/api/v1/models/~anthropic/claude-opus-latest/endpoints")).json()
    assert endpoints["data"]["endpoints"]


async def test_latest_aliases_are_written_as_their_models_and_makers_write_themselves(client):
    names = {one["id"]: one["name"] for one in (await client.get("/api/v1/models")).json()["data"]}
    assert names["~openai/gpt-latest"] == "OpenAI: GPT (latest)"
    assert names["~z-ai/glm-latest"] == "Z.ai: GLM (latest)"
    assert names["~deepseek/deepseek-chat-latest"] == "DeepSeek: DeepSeek Chat (latest)"
    assert names["~openai/o-mini-latest"] == "OpenAI: o mini (latest)"


async def test_a_family_that_is_not_listed_answers_by_its_name(client, seed):
    alias = min(slug for slug, one in seed.families.items() if not one.is_listed)
    model = (await client.get(f"/api/v1/model/{alias}")).json()["data"]
    assert model["alias_target"]["slug"] == seed.families[alias].newest


async def test_service_tiers_are_endpoints_and_count_nowhere_else(client, seed):
    document = (await client.get("/api/v1/models/openai/gpt-5.4/endpoints")).json()
    shown = {one["tag"]: one for one in document["data"]["endpoints"]}
    assert {"openai", "openai/priority", "openai/flex"} <= shown.keys()
    assert shown["openai/priority"]["service_tier"] == "priority"
    assert shown["openai"]["service_tier"] is None
    prices = {tag: Decimal(one["pricing"]["prompt"]) for tag, one in shown.items()}
    assert prices["openai/flex"] < prices["openai"] < prices["openai/priority"]
    model = (await client.get("/api/v1/model/openai/gpt-5.4")).json()["data"]
    usual = [price for tag, price in prices.items() if shown[tag]["service_tier"] is None]
    assert Decimal(model["pricing"]["prompt"]) == min(usual)
    private = (await client.get("/api/v1/endpoints/zdr")).json()["data"]
    assert {one["service_tier"] for one in private} == {None}


async def test_every_models_endpoints_answer_as_documented(client, seed, check_schema):
    for slug in sorted(seed.models)[::9]:
        answer = await client.get(f"/api/v1/models/{slug}/endpoints")
        assert answer.status_code == 200, slug
        check_schema(answer.json(), "ModelEndpointsAnswer")


async def test_endpoints_without_a_price_are_not_shown(client, seed):
    model = seed.models[ModelId("openai/o4-mini")]
    assert any(one.status is EndpointStatus.UNPRICED for one in model.endpoints)
    shown = (await client.get("/api/v1/models/openai/o4-mini/endpoints")).json()["data"][
        "endpoints"
    ]
    assert len(shown) == sum(one.status is not EndpointStatus.UNPRICED for one in model.endpoints)
    assert "aimlapi" not in {one["tag"] for one in shown}


async def test_o1_is_shown_with_its_published_facts(client):
    model = (await client.get("/api/v1/model/openai/o1")).json()["data"]
    assert model["pricing"]["prompt"] == "0.000015"
    assert model["pricing"]["completion"] == "0.00006"
    assert model["context_length"] == 200_000
    assert model["created"] == 1_734_393_600
    assert model["knowledge_cutoff"] == "2023-10-31"
    assert model["expiration_date"] == "2026-10-23"
    assert model["reasoning"] == {"mandatory": True, "supported_efforts": ["high", "medium", "low"]}
    assert model["architecture"]["input_modalities"] == ["text", "image", "file"]


async def test_a_preset_slug_shows_the_effort_it_presets(client):
    model = (await client.get("/api/v1/model/openai/o3-mini-high")).json()["data"]
    assert model["reasoning"]["default_effort"] == "high"


@pytest.mark.parametrize(
    "path",
    ["/model/openai/o1", "/model/o1", "/model/OPENAI/O1", "/model/openai/o1-2024-12-17",
     "/model/openai/o1:nitro"],
)  # fmt: skip
async def test_a_model_is_found_by_any_of_its_names(client, base, path, check_schema):
    document = (await client.get(base + path)).json()
    check_schema(document, "ModelAnswer")
    assert document["data"]["id"] == "openai/o1"


async def test_a_models_path_may_have_its_slash_encoded(client):
    document = (await client.get("/api/v1/models/openai%2Fo1")).json()
    assert (document["id"], document["object"], document["owned_by"]) == (
        "openai/o1",
        "model",
        "openai",
    )


async def test_an_unknown_model_is_404_with_near_names(client, check_schema):
    for path in ("/model/openai/o11", "/models/openai/o11", "/models/openai/o11/endpoints"):
        answer = await client.get(f"/api/v1{path}")
        assert answer.status_code == 404
        check_schema(answer.json(), "ErrorAnswer")
        assert "openai/o1" in answer.json()["error"]["message"]


async def test_models_of_local_engines_have_paths_of_their_own(browse, services, seed):
    engines = {
        ProviderSlug("ollama"): [Discovered("llama3:8b")],
        ProviderSlug("vllm"): [Discovered("meta-llama/Llama-3.1-8B", context_length=8192)],
    }
    held = type(services.catalog)(overlay(seed, discovered=engines))
    async with browse(catalog=held) as client:
        model = (await client.get("/api/v1/model/ollama/llama3:8b")).json()["data"]
        assert model["id"] == "ollama/llama3:8b"
        assert model["context_length"] is None
        document = (await client.get("/v1/models/vllm/meta-llama/llama-3.1-8b/endpoints")).json()
        assert document["data"]["endpoints"][0]["context_length"] == 8192


async def test_count_agrees_with_the_list(client, base, check_schema):
    for query in ("", "?output_modalities=embeddings", "?output_modalities=all"):
        count = (await client.get(f"{base}/models/count{query}")).json()
        check_schema(count, "ModelsCountAnswer")
        listed = (await client.get(f"{base}/models{query}")).json()
        assert count["data"]["count"] == listed["total_count"] == len(listed["data"]) > 0


async def test_a_callers_own_list_needs_a_key(client, signed_in, check_schema):
    refused = await client.get("/api/v1/models/user")
    assert refused.status_code == 401
    check_schema(refused.json(), "ErrorAnswer")
    own = await client.get("/api/v1/models/user", headers=signed_in)
    everyone = await client.get("/api/v1/models")
    assert own.headers["etag"] == everyone.headers["etag"]
    assert len(own.content) == len(everyone.content)


async def test_a_callers_own_list_has_what_the_account_leaves(
    browse, services, signed_in, seed, check_schema
):
    wishes = AccountPreferences(
        allowed_models=("openai/*", "anthropic/*"), ignored_providers=("OpenAI", "azure")
    )
    async with browse(keys=replace(services.keys, preferences=wishes)) as client:
        document = (await client.get("/api/v1/models/user", headers=signed_in)).json()
        everyone = (await client.get("/api/v1/models")).json()
    check_schema(document, "ModelsListAnswer")
    listed = {one["id"] for one in document["data"]}
    assert document["total_count"] == len(listed) < everyone["total_count"]
    assert {one.lstrip("~").partition("/")[0] for one in listed} == {
        "openai",
        "anthropic",
        "fairlead",
    }
    left_out = ("openai", "azure")
    for model in seed.models.values():
        elsewhere = [
            one for one in model.usual_endpoints
            if one.provider not in left_out and one.status is not EndpointStatus.UNPRICED
        ]  # fmt: skip
        if model.author == "openai" and "text" in model.output_modalities:
            assert (model.id in listed) == bool(elsewhere), model.id


async def test_a_callers_own_list_on_a_regions_host_has_what_is_there(browse, signed_in, seed):
    async with browse() as client:
        document = (
            await client.get(
                "/api/v1/models/user", headers={**signed_in, "host": "eu.fairlead.test"}
            )
        ).json()
    there = {
        model.id
        for model in seed.models.values()
        if any(one.data_region == "eu" and one.tier is None for one in model.endpoints)
        and "text" in model.output_modalities
    }
    listed = {one["id"] for one in document["data"] if one["id"] in seed.models}
    assert listed == there


async def test_providers_answer_as_documented(client, base, seed, check_schema):
    document = (await client.get(f"{base}/providers")).json()
    check_schema(document, "ProvidersAnswer")
    assert {one["slug"] for one in document["data"]} == set(seed.providers)


async def test_embedding_models_are_all_embedding_models(client, base, seed, check_schema):
    document = (await client.get(f"{base}/embeddings/models")).json()
    check_schema(document, "ModelsListAnswer")
    wanted = {one.id for one in seed.models.values() if one.kind == "embedding"}
    assert {one["id"] for one in document["data"]} == wanted


async def test_zero_retention_leaves_out_providers_whose_policy_is_unknown(
    client, base, seed, check_schema
):
    document = (await client.get(f"{base}/endpoints/zdr")).json()
    check_schema(document, "ZeroRetentionEndpointsAnswer")
    by_name = {one.name: one for one in seed.providers.values()}
    shown = {one["provider_name"] for one in document["data"]}
    assert shown
    for name in shown:
        policy = by_name[name].data_policy
        assert (policy.retains_prompts, policy.trains_on_prompts) == (False, False)


# -- Filters and sorts -----------------------------------------------------------------------------------


async def listed(client, query):
    answer = await client.get(f"/api/v1/models?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


FILTERS = {
    "q=o4+mini": lambda one: "o4" in one["id"] and "mini" in one["id"],
    "supported_parameters=tools,response_format": lambda one: (
        {"tools", "response_format"} <= set(one["supported_parameters"])
    ),
    "input_modalities=image,file": lambda one: (
        {"image", "file"} <= set(one["architecture"]["input_modalities"])
    ),
    "output_modalities=image": lambda one: "image" in one["architecture"]["output_modalities"],
    "context=1000000": lambda one: (one["context_length"] or 0) >= 1_000_000,
    "min_price=5": lambda one: Decimal(one["pricing"]["prompt"]) * 10**6 >= 5,
    "max_price=0.15": lambda one: Decimal(one["pricing"]["prompt"]) * 10**6 <= Decimal("0.15"),
    "min_output_price=30": lambda one: Decimal(one["pricing"]["completion"]) * 10**6 >= 30,
    "max_output_price=0.4": lambda one: (
        Decimal(one["pricing"]["completion"]) * 10**6 <= Decimal("0.4")
    ),
    "arch=claude": lambda one: one["architecture"]["tokenizer"] == "Claude",
    "model_authors=openai,anthropic": lambda one: one["owned_by"] in ("openai", "anthropic"),
    "max_age_days=90": lambda one: one["created"] >= 1_795_219_200 - 90 * 86_400,
    "min_age_days=700": lambda one: 0 < one["created"] <= 1_795_219_200 - 700 * 86_400,
}


@pytest.mark.parametrize("query", FILTERS)
async def test_a_filter_keeps_exactly_what_it_says(client, query):
    everything = await listed(client, "output_modalities=all")
    everything = [
        one for one in everything if one["pricing"]["prompt"] != "-1" or "price" not in query
    ]
    kept = await listed(client, query)
    passes = FILTERS[query]
    wants_text = not query.startswith("output_modalities")
    expected = [
        one["id"]
        for one in everything
        if passes(one) and (not wants_text or "text" in one["architecture"]["output_modalities"])
    ]
    assert [one["id"] for one in kept] == expected
    assert 0 < len(kept) < len(everything)


async def test_a_provider_is_named_by_slug_or_by_name(client, seed):
    by_slug = await listed(client, "providers=aimlapi")
    by_name = await listed(client, f"providers={seed.providers[ProviderSlug('aimlapi')].name}")
    assert [one["id"] for one in by_slug] == [one["id"] for one in by_name]
    assert "openai/o1" in {one["id"] for one in by_slug}


async def test_zero_retention_models_have_such_an_endpoint(client):
    endpoints = (await client.get("/api/v1/endpoints/zdr")).json()["data"]
    expected = {one["model_id"] for one in endpoints}
    kept = await listed(client, "zdr=true&output_modalities=all")
    assert models_of({"data": kept}) == expected


async def test_models_of_a_region_have_an_endpoint_there(browse, seed):
    model = seed.models[ModelId("openai/o1")]
    there = msgspec.structs.replace(model.endpoints[0], data_region="eu")
    moved = msgspec.structs.replace(model, endpoints=(there, *model.endpoints[1:]))
    snapshot = replace(seed, models={**seed.models, model.id: moved})
    async with browse(catalog=HeldCatalog(snapshot)) as client:
        assert "openai/o1" in {one["id"] for one in await listed(client, "region=eu")}
        assert "openai/o1" not in {one["id"] for one in await listed(client, "region=us")}


async def test_distillable_models_are_those_that_routing_takes_for_such(client, seed):
    """And every model is one or the other."""
    open_ones = {one.id for one in seed.models.values() if one.open_weights is True}
    found = {one["id"] for one in await listed(client, "distillable=true&output_modalities=all")}
    others = {one["id"] for one in await listed(client, "distillable=false&output_modalities=all")}
    everything = {one["id"] for one in await listed(client, "output_modalities=all")}
    assert found & seed.models.keys() == open_ones & everything
    assert found | others == everything
    assert not found & others


@pytest.mark.parametrize(
    "query",
    ["category=legal", "min_intelligence_index=1", "max_tool_success_rate=0.5"],
)
async def test_a_filter_on_what_no_model_has_data_for_finds_nothing(client, query):
    assert await listed(client, query) == []


@pytest.mark.parametrize(
    ("sort", "figure"),
    [
        ("newest", lambda one: -one["created"]),
        ("context-high-to-low", lambda one: -(one["context_length"] or 0)),
        ("pricing-low-to-high", lambda one: +price_of(one)),
        ("pricing-high-to-low", lambda one: -price_of(one)),
    ],
)
async def test_a_sort_orders_by_its_figure(client, sort, figure):
    models = await listed(client, f"sort={sort}")
    if "pricing" in sort:
        assert models.pop()["id"] == "fairlead/auto"  # nobody knows its price
    figures = [figure(one) for one in models]
    assert figures == sorted(figures)
    assert len(set(figures)) > 10


async def test_what_is_sold_by_something_else_than_tokens_is_not_free(client):
    free = await listed(client, "max_price=0&output_modalities=all")
    assert [one["id"] for one in free] == ["fairlead/free"]
    cheapest = await listed(client, "sort=pricing-low-to-high&output_modalities=all")
    places = {one["id"]: place for place, one in enumerate(cheapest)}
    assert places["openai/tts-1"] > places["openai/o1-pro"]


def price_of(model):
    return Decimal(model["pricing"]["prompt"]) + Decimal(model["pricing"]["completion"])


@pytest.mark.parametrize("index", Index)
async def test_an_index_is_what_published_results_say(browse, index):
    """It sorts and cuts; without results a model is last, or left out."""
    benchmarks = load_benchmarks()
    figures = benchmarks.indices[index]
    async with browse(benchmarks=benchmarks) as client:
        models = [one["id"] for one in await listed(client, f"sort={index}-high-to-low")]
        known = [figures[model] for model in models if model in figures]
        assert models[: len(known)] == [model for model in models if model in figures]
        assert known == sorted(known, reverse=True)
        assert len(known) > 40
        found = await listed(client, f"min_{index}_index=60&max_{index}_index=80")
        assert {one["id"] for one in found} == {m for m in models if 60 <= figures.get(m, 0) <= 80}
        query = f"min_{index}_index=60&output_modalities=all"
        count = (await client.get(f"/api/v1/models/count?{query}")).json()["data"]["count"]
        assert 0 < count == len(await listed(client, query)) < len(models)


async def test_tool_success_is_of_all_endpoints_together(browse, seed):
    o1, o3 = (seed.models[ModelId(name)] for name in ("openai/o1", "openai/o3-mini"))

    class Health:
        def tool_calls(self):
            calls = [(o1.endpoints[0].id, (3, 0)), (o1.endpoints[1].id, (1, 1))]
            return dict([*calls, (o3.endpoints[0].id, (10, 0))])

    async with browse(health=Health()) as client:
        for query, found in (
            ("min_tool_success_rate=0.75", ["openai/o3-mini", "openai/o1"]),
            ("min_tool_success_rate=0.76", ["openai/o3-mini"]),
            ("max_tool_success_rate=0.9", ["openai/o1"]),
        ):
            assert [one["id"] for one in await listed(client, query)] == found


async def test_the_permanent_name_is_found_as_a_whole_only(client):
    found = [one["id"] for one in await listed(client, "q=openai/o1-2024-12-17")]
    assert found == [one["id"] for one in await listed(client, "q=o1-2024-12-17")] == ["openai/o1"]
    assert "openai/o1" not in {one["id"] for one in await listed(client, "q=2024-12")}


async def test_a_sort_by_what_was_never_measured_keeps_the_default_order(client):
    default = [one["id"] for one in await listed(client, "")]
    assert [one["id"] for one in await listed(client, "sort=top-weekly")] == default


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("offset=-1", "offset"),
        ("offset=99999999999999999999", "offset"), ("sort=best", "sort"), ("context=-5", "context"),
        ("output_modalities=smell", "output_modalities"), ("max_price=cheap", "max_price"),
        ("min_price=NaN", "min_price"), ("min_price=-1", "min_price"), ("zdr=no", "zdr"),
        ("supported_parameters=tool", "supported_parameters"), ("category=cats", "category"),
        ("min_coding_index=high", "min_coding_index"), ("max_tool_success_rate=90", "max_tool_success_rate"),
        ("max_age_days=1.5", "max_age_days"),
    ],
)  # fmt: skip
async def test_a_wrong_value_is_400_and_names_its_parameter(client, query, parameter, check_schema):
    answer = await client.get(f"/api/v1/models?{query}")
    assert answer.status_code == 400
    check_schema(answer.json(), "ErrorAnswer")
    assert answer.json()["error"]["param"] == parameter


# -- Pages -----------------------------------------------------------------------------------------------


async def test_following_next_gives_every_model_once_and_then_ends(client, base):
    url, ids, totals = f"{base}/models?limit=100&sort=newest", [], set()
    while url is not None:
        document = (await client.get(url)).json()
        ids += [one["id"] for one in document["data"]]
        totals.add(document["total_count"])
        url = document["links"]["next"]
        assert url is None or url.startswith(f"{base}/models?")
    assert totals == {len(ids)}
    assert ids == [one["id"] for one in await listed(client, "sort=newest")]


async def test_an_offset_past_the_end_is_an_empty_page(client):
    document = (await client.get("/api/v1/models?offset=100000")).json()
    assert document["data"] == []
    assert document["links"]["next"] is None


# -- Caching ---------------------------------------------------------------------------------------------


async def test_the_list_is_gzipped_only_for_those_who_accept_it(client):
    plain = await client.get("/api/v1/models", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    refused = await client.get("/api/v1/models", headers={"accept-encoding": "gzip;q=0, br"})
    assert "content-encoding" not in refused.headers
    async with client.stream(
        "GET", "/api/v1/models", headers={"accept-encoding": "gzip"}
    ) as zipped:
        raw = b"".join([chunk async for chunk in zipped.aiter_raw()])
    assert zipped.headers["content-encoding"] == "gzip"
    is_same = gzip.decompress(raw) == plain.content
    assert (
        is_same
    )  # not compared inside `assert`: a difference of 1.5 MB takes pytest minutes to show
    assert len(raw) < len(plain.content) / 5


async def test_who_has_the_list_already_gets_304(client):
    for path in ("/models", "/models?sort=newest", "/endpoints/zdr"):
        first = await client.get(f"/api/v1{path}")
        again = await client.get(
            f"/api/v1{path}", headers={"if-none-match": f'"other", {first.headers["etag"]}'}
        )
        assert (again.status_code, again.content) == (304, b"")


async def test_a_new_snapshot_is_a_new_list_with_a_new_tag(browse, services, seed):
    held = type(services.catalog)(seed)
    async with browse(catalog=held) as client:
        first = await client.get("/api/v1/models")
        table = {"id": "acme/own", "provider": "ollama"}
        held.snapshot = overlay(seed, [table])
        second = await client.get(
            "/api/v1/models", headers={"if-none-match": first.headers["etag"]}
        )
    assert second.status_code == 200
    added = {one["id"] for one in second.json()["data"]} - {
        one["id"] for one in first.json()["data"]
    }
    assert added == {"acme/own"}


async def test_prices_under_conditions_are_shown_with_their_conditions(client, seed):
    model = next(
        one
        for one in seed.models.values()
        if any(override.weekdays for override in one.endpoints[0].prices.overrides)
    )
    shown = (await client.get(f"/api/v1/model/{model.id}")).json()["data"]["pricing"]["overrides"]
    override = model.endpoints[0].prices.overrides[0]
    assert shown[0]["utc_start"] == override.utc_start
    assert shown[0]["weekdays"] == list(override.weekdays)
    assert Decimal(shown[0]["prompt"]) * 10**12 == override.prices["prompt"]


async def test_input_modalities_keep_one_order(client):
    order = list(Modality)
    for model in await listed(client, "output_modalities=all"):
        shown = model["architecture"]["input_modalities"]
        assert shown == sorted(shown, key=order.index)


async def test_the_list_is_one_json_document_whatever_its_filter(client):
    answer = await client.get("/api/v1/models?q=nothing-is-called-so")
    assert json.loads(answer.content) == {
        "object": "list",
        "data": [],
        "total_count": 0,
        "links": {"next": None},
    }
