"""What an operator and local engines add; and how precisely a wrong table is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.catalog import EndpointStatus, Modality, Resolved
from fairlead.core.catalog_overlay import ConfigurationInvalid, Discovered, overlay
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.core.money import price_text
from tests.shipped import SEED

OLLAMA = ProviderSlug("ollama")
VLLM = ProviderSlug("vllm")
PRICES = {"usd_per_million_tokens": {"prompt": "0.15", "completion": "0.60"}}


def model_of(snapshot, slug):
    return snapshot.models[ModelId(slug)]


def endpoint_of(snapshot, slug, provider):
    return next(one for one in model_of(snapshot, slug).endpoints if one.provider == provider)


def test_nothing_to_add_is_the_same_snapshot():
    assert overlay(SEED) is SEED
    assert overlay(SEED, [], {OLLAMA: []}) is SEED


def test_a_new_model_is_named_priced_and_routable():
    table = {"id": "acme/own-1", "name": "Own", "provider": "groq", "provider_model_id": "Own-1-AWQ",
             "context_length": 32_000, "input_modalities": ["image", "text"],
             "supported_parameters": ["tools"], **PRICES}  # fmt: skip
    snapshot = overlay(SEED, [table])
    model = model_of(snapshot, "acme/own-1")
    (endpoint,) = model.endpoints
    assert (model.name, model.author, model.modality) == ("Own", "acme", "text+image->text")
    assert (endpoint.id, endpoint.provider_model_id) == ("groq:Own-1-AWQ", "Own-1-AWQ")
    assert (endpoint.prices.prompt, endpoint.prices.completion) == (150_000, 600_000)
    assert endpoint.status is EndpointStatus.ACTIVE
    assert isinstance(found := snapshot.resolve("own-1:nitro"), Resolved)
    assert found.model.id == "acme/own-1"


def test_an_endpoint_is_added_to_a_known_model_and_to_its_preset():
    snapshot = overlay(SEED, [{"id": "openai/o3-mini", "provider": "groq", **PRICES}])
    for slug in ("openai/o3-mini", "openai/o3-mini-high"):
        assert model_of(snapshot, slug).endpoints[0].provider == "groq"
        assert len(model_of(snapshot, slug).endpoints) == len(model_of(SEED, slug).endpoints) + 1


def test_ones_own_price_replaces_the_list_price_and_is_a_new_version():
    table = {"id": "openai/o1", "provider": "openai", **PRICES}
    endpoint = endpoint_of(overlay(SEED, [table]), "openai/o1", "openai")
    before = endpoint_of(SEED, "openai/o1", "openai")
    assert (endpoint.prices.prompt, endpoint.prices.completion) == (150_000, 600_000)
    assert endpoint.prices.input_cache_read == before.prices.input_cache_read
    assert endpoint.price_version != before.price_version
    assert endpoint.id == before.id


def test_a_price_makes_an_unpriced_endpoint_routable():
    assert endpoint_of(SEED, "openai/o4-mini", "aimlapi").status is EndpointStatus.UNPRICED
    table = {"id": "openai/o4-mini", "provider": "aimlapi", **PRICES}
    endpoint = endpoint_of(overlay(SEED, [table]), "openai/o4-mini", "aimlapi")
    assert endpoint.status is EndpointStatus.ACTIVE


def test_a_model_is_changed_without_touching_its_endpoints():
    snapshot = overlay(SEED, [{"id": "openai/o1", "name": "Our o1", "context_length": 1000}])
    model = model_of(snapshot, "openai/o1")
    assert (model.name, model.context_length) == ("Our o1", 1000)
    assert model.endpoints == model_of(SEED, "openai/o1").endpoints


def test_two_tables_of_one_id_are_two_endpoints():
    tables = [{"id": "acme/own", "provider": one, **PRICES} for one in ("groq", "together")]
    assert {one.provider for one in model_of(overlay(SEED, tables), "acme/own").endpoints} == {
        "groq",
        "together",
    }


def test_two_models_that_are_one_at_a_provider_have_endpoints_of_different_ids():
    table = {"id": "acme/fast", "provider": "openai", "provider_model_id": "o1", **PRICES}
    snapshot = overlay(SEED, [table])
    ids = [one.id for model in snapshot.models.values() for one in model.endpoints]
    assert len(ids) == len(set(ids))
    assert endpoint_of(snapshot, "acme/fast", "openai").provider_model_id == "o1"


@given(st.decimals(min_value=0, max_value=1000, places=6))
def test_a_price_per_million_is_read_exactly(amount):
    prices = {"prompt": str(amount), "completion": 0}
    tables = [{"id": "acme/own", "provider": "groq", "usd_per_million_tokens": prices}]
    endpoint = endpoint_of(overlay(SEED, tables), "acme/own", "groq")
    assert Decimal(price_text(endpoint.prices.prompt)) == amount / 10**6


@pytest.mark.parametrize(
    ("unit", "written", "pico"),
    [
        ("usd_per_million_tokens", 0.15, 150_000), ("usd_per_million_tokens", 3, 3_000_000),
        ("usd_per_million_tokens", 1e-6, 1), ("usd_per_token", "0.00000015", 150_000),
        ("usd_per_token", 0.00000015, 150_000), ("usd_per_token", 0, 0),
    ],
)  # fmt: skip
def test_a_price_may_be_text_or_a_number_in_either_unit(unit, written, pico):
    tables = [{"id": "acme/own", "provider": "groq", unit: {"prompt": written, "completion": 0}}]
    assert endpoint_of(overlay(SEED, tables), "acme/own", "groq").prices.prompt == pico


def table(**fields):
    return {"id": "acme/own", "provider": "groq", **PRICES, **fields}


def unpriced(**fields):
    return {"id": "acme/own", "provider": "groq", **fields}


@pytest.mark.parametrize(
    ("wrong", "path", "message"),
    [
        (table(contxt_length=1), "models[1].contxt_length", "did you mean 'context_length'"),
        (table(context_length="8k"), "models[1].context_length", "Expected `int | null`, got `str`"),
        (table(context_length=0), "models[1].context_length", "more than 0"),
        (table(provider="grok-cloud"), "models[1].provider", "no provider"),
        (table(provider="gorq"), "models[1].provider", "did you mean 'groq'"),
        ({"provider": "groq"}, "models[1]", "missing required field `id`"),
        (table(id="own"), "models[1].id", "author/slug"),
        (table(id="acme/own model"), "models[1].id", "without spaces"),
        (table(id="Acme/Own"), "models[1].id", "lower case"),
        (table(id="acme/own:nitro"), "models[1].id", "works on every model"),
        (table(kind="poem"), "models[1].kind", "Invalid enum value"),
        (table(input_modalities=["smell"]), "models[1].input_modalities[0]", "Invalid enum value"),
        (table(supported_parameters=["tool"]), "models[1].supported_parameters", "did you mean 'tools'"),
        (unpriced(), "models[1]", "needs prices"),
        (unpriced(usd_per_token={"prompt": "1"}), "models[1]", "no completion price"),
        (unpriced(usd_per_token={"prmpt": "1"}), "models[1].usd_per_token.prmpt", "did you mean 'prompt'"),
        (unpriced(usd_per_token={"prompt": "-1"}), "models[1].usd_per_token.prompt", "not a price"),
        (unpriced(usd_per_token={"prompt": "1e-13"}), "models[1].usd_per_token.prompt", "exactly"),
        (unpriced(usd_per_token={"prompt": float("nan")}), "models[1].usd_per_token.prompt", "not a price"),
        (unpriced(usd_per_token={"prompt": True}), "models[1].usd_per_token[...]", "got `bool`"),
        (unpriced(usd_per_unit={"prompt": "1"}), "models[1].usd_per_unit.prompt", "no price in this unit"),
        (table(usd_per_token={"prompt": "1"}), "models[1].usd_per_token.prompt", "in another unit too"),
        ({"id": "openai/o11", "name": "x"}, "models[1].provider", "did you mean 'openai/o1'"),
        ({"id": "openai/o1", **PRICES}, "models[1].usd_per_million_tokens", "belongs to an endpoint"),
        (
            {"id": "openai/o4-mini", "provider": "aimlapi", "usd_per_token": {"prompt": "1"}},
            "models[1]",
            "no completion price",
        ),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_with_the_path_of_what_is_wrong(wrong, path, message):
    with pytest.raises(ConfigurationInvalid) as refused:
        overlay(SEED, [table(id="acme/right"), wrong])
    assert refused.value.path == path
    assert message in refused.value.message


# -- Engines ---------------------------------------------------------------------------------------------


def test_a_colon_in_an_engines_name_is_no_variant():
    snapshot = overlay(
        SEED, discovered={OLLAMA: [Discovered("llama3:8b"), Discovered("Qwen3:FREE")]}
    )
    found = snapshot.resolve("ollama/llama3:8b")
    assert isinstance(found, Resolved)
    assert (found.model.id, found.variants) == ("ollama/llama3:8b", ())
    assert found.model.endpoints[0].provider_model_id == "llama3:8b"
    varied = snapshot.resolve("ollama/llama3:8b:nitro")
    assert isinstance(varied, Resolved)
    assert (varied.model.id, varied.variants) == ("ollama/llama3:8b", ("nitro",))
    cased = snapshot.resolve("ollama/Qwen3:FREE")
    assert isinstance(cased, Resolved)
    assert cased.model.endpoints[0].provider_model_id == "Qwen3:FREE"


def test_an_engines_model_costs_nothing_and_is_routable():
    snapshot = overlay(SEED, discovered={VLLM: [Discovered("meta-llama/Llama-3.1-8B", 8192)]})
    (endpoint,) = model_of(snapshot, "vllm/meta-llama/llama-3.1-8b").endpoints
    assert (endpoint.prices.prompt, endpoint.prices.completion) == (0, 0)
    assert endpoint.status is EndpointStatus.ACTIVE
    assert endpoint.context_length == 8192


def test_an_engine_is_believed_about_what_its_model_takes():
    """Where it says nothing, an image is worth the try."""
    offers = {VLLM: [Discovered("a"), Discovered("b", input_modalities=(Modality.TEXT,))]}
    snapshot = overlay(SEED, discovered=offers)
    assert model_of(snapshot, "vllm/a").input_modalities == {"text", "image"}
    assert model_of(snapshot, "vllm/b").input_modalities == {"text"}


def test_an_engine_never_takes_a_name_from_the_catalogue():
    snapshot = overlay(SEED, discovered={VLLM: [Discovered("o1"), Discovered("openai/o3-mini")]})
    for name in ("o1", "openai/o3-mini"):
        assert snapshot.resolve(name) == Resolved(
            model_of(snapshot, name if "/" in name else f"openai/{name}")
        )


def test_a_bare_name_that_two_engines_have_means_neither():
    offers = {OLLAMA: [Discovered("my-model")], VLLM: [Discovered("my-model")]}
    assert "my-model" not in overlay(SEED, discovered=offers).names
    assert "my-model" in overlay(SEED, discovered={OLLAMA: [Discovered("my-model")]}).names


def test_a_table_of_the_same_id_goes_before_what_an_engine_says():
    tables = [{"id": "ollama/llama3:8b", "provider": "ollama", "context_length": 4096}]
    snapshot = overlay(SEED, tables, {OLLAMA: [Discovered("llama3:8b")]})
    assert model_of(snapshot, "ollama/llama3:8b").context_length == 4096


def test_a_model_that_is_named_for_embeddings_is_one():
    snapshot = overlay(SEED, discovered={OLLAMA: [Discovered("nomic-embed-text:latest")]})
    assert model_of(snapshot, "ollama/nomic-embed-text:latest").kind == "embedding"


def test_equal_input_is_an_equal_version_and_any_change_is_another():
    offers = {OLLAMA: [Discovered("a")], VLLM: [Discovered("b")]}
    first = overlay(SEED, [table()], offers)
    again = overlay(SEED, [table()], dict(reversed(offers.items())))
    assert first.version == again.version != SEED.version
    others = [
        overlay(SEED, [table(name="x")], offers),
        overlay(SEED, [table()]),
        overlay(SEED, [], offers),
    ]
    assert len({first.version, *(one.version for one in others)}) == 4


def test_the_seed_is_never_changed():
    before = {slug: len(model.endpoints) for slug, model in SEED.models.items()}
    overlay(SEED, [{"id": "openai/o1", "provider": "groq", **PRICES}], {OLLAMA: [Discovered("x")]})
    assert {slug: len(model.endpoints) for slug, model in SEED.models.items()} == before


# -- Tags, regions and service tiers ---------------------------------------------------------------------

SONNET = "anthropic/claude-sonnet-5"
VERTEX = {"id": SONNET, "provider": "google-vertex"}


def tagged(snapshot, slug, tag):
    return next(one for one in model_of(snapshot, slug).endpoints if one.tag == tag)


def test_a_tag_is_another_endpoint_of_the_provider_and_like_the_first():
    snapshot = overlay(SEED, [{**VERTEX, "tag": "europe-west4"}])
    first = tagged(snapshot, SONNET, "google-vertex")
    regional = tagged(snapshot, SONNET, "google-vertex/europe-west4")
    assert regional.id == f"google-vertex/europe-west4:{first.provider_model_id}"
    assert (regional.prices, regional.data_region) == (first.prices, "eu")
    assert first == tagged(SEED, SONNET, "google-vertex")


def test_a_table_with_a_tag_changes_the_endpoint_of_that_tag():
    tables = [{**VERTEX, "tag": "fast"}, {**VERTEX, "tag": "fast", "data_region": "us", **PRICES}]
    snapshot = overlay(SEED, tables)
    assert tagged(snapshot, SONNET, "google-vertex/fast").data_region == "us"
    assert tagged(snapshot, SONNET, "google-vertex/fast").prices.prompt == 150_000
    count = len(model_of(SEED, SONNET).endpoints)
    assert len(model_of(snapshot, SONNET).endpoints) == count + 1


def test_a_new_model_may_have_a_tag_and_a_region():
    table = {"id": "acme/own-1", "provider": "groq", "tag": "eu", **PRICES}
    (endpoint,) = model_of(overlay(SEED, [table]), "acme/own-1").endpoints
    assert (endpoint.id, endpoint.tag, endpoint.data_region) == ("groq/eu:own-1", "groq/eu", "eu")


def test_a_table_can_give_the_prices_of_a_tier():
    own = {"id": "acme/own-1", "provider": "groq"}
    tier = {"service_tier": "flex", "usd_per_million_tokens": {"prompt": "0.05"}}
    snapshot = overlay(SEED, [{**own, **PRICES}, {**own, **tier}])
    usual, flex = model_of(snapshot, "acme/own-1").endpoints
    assert (usual.tier, flex.tier, flex.tag) == (None, "flex", "groq/flex")
    assert (flex.prices.prompt, flex.prices.completion) == (50_000, 600_000)
    assert overlay(snapshot, [{"id": "acme/other", "provider": "groq", **PRICES}]).models[
        ModelId("acme/own-1")
    ] == model_of(snapshot, "acme/own-1")


def test_ones_own_price_ends_the_list_prices_of_tiers():
    snapshot = overlay(SEED, [{"id": "openai/gpt-5.4", "provider": "openai", **PRICES}])
    tags = {one.tag for one in model_of(snapshot, "openai/gpt-5.4").endpoints}
    assert "azure/priority" in tags
    assert not tags & {"openai/priority", "openai/flex"}


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({**VERTEX, "tag": "flex"}, "models[0].tag"),
        ({**VERTEX, "tag": "a/b"}, "models[0].tag"),
        ({**VERTEX, "tag": ""}, "models[0].tag"),
        ({"id": SONNET, "tag": "eu"}, "models[0].tag"),
        ({"id": SONNET, "data_region": "eu"}, "models[0].data_region"),
        ({**VERTEX, "data_region": "moon"}, "models[0].data_region"),
        ({**VERTEX, "service_tier": "batch"}, "models[0].service_tier"),
        ({**VERTEX, "service_tier": "flex"}, "models[0]"),
        ({**VERTEX, "service_tier": "flex", "context_length": 5, **PRICES}, "models[0].context_length"),
        ({**VERTEX, "tag": "new", "service_tier": "flex", **PRICES}, "models[0].service_tier"),
        (
            {"id": "acme/none", "provider": "groq", "service_tier": "flex", **PRICES},
            "models[0].service_tier",
        ),
    ],
)  # fmt: skip
def test_a_tag_region_or_tier_that_makes_no_sense_is_refused(table, path):
    with pytest.raises(ConfigurationInvalid) as refused:
        overlay(SEED, [table])
    assert refused.value.path == path
