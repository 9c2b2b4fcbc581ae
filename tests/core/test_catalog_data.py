"""The package's own data: complete, exact, and refused as a whole when it is not as expected."""

from __future__ import annotations

import json
import tracemalloc
from decimal import Decimal
from importlib.resources import files

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.catalog import PARAMETERS, EndpointStatus, Resolved, Snapshot, UnknownModel
from fairlead.core.catalog_data import UNPRICED, CatalogInvalid, load_snapshot
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.core.money import parse_price, price_text
from fairlead.core.pricing import PriceSheet, price_version

DATA = files("fairlead") / "data"
MODELS = (DATA / "models.json").read_bytes()
PROVIDERS = (DATA / "providers.json").read_bytes()
SNAPSHOT_BYTES_MAX = 12_000_000


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return load_snapshot(MODELS, PROVIDERS)


@pytest.fixture(scope="module")
def rows():
    return {row["id"]: row for row in json.loads(MODELS)["models"]}


def all_endpoints(snapshot):
    return [one for model in snapshot.models.values() for one in model.endpoints]


def altered(change, *, of="openai/o1"):
    """The models file with one model's row changed."""
    document = json.loads(MODELS)
    change(next(row for row in document["models"] if row["id"] == of))
    return json.dumps(document).encode()


# -- Complete and exact ----------------------------------------------------------------------------------


def test_every_model_and_every_endpoint_is_there(snapshot, rows):
    assert set(rows) < set(snapshot.models)
    for slug, row in rows.items():
        if snapshot.models[slug].preset_effort is None:
            offered = {
                (one.provider, one.provider_model_id) for one in snapshot.models[slug].endpoints
            }
            assert offered == {
                (one["provider"], one["provider_model_id"]) for one in row["endpoints"]
            }


def test_every_price_is_exactly_what_the_data_says(snapshot, rows):
    checked = 0
    for slug, row in rows.items():
        by_provider = {one.provider: one for one in snapshot.models[slug].usual_endpoints}
        for written in row["endpoints"]:
            endpoint = by_provider[written["provider"]]
            for name, text in (written["pricing"] or {}).items():
                if name == "overrides":
                    assert len(endpoint.prices.overrides) == len(text)
                    for override, said in zip(endpoint.prices.overrides, text, strict=True):
                        for price, pico in override.prices.items():
                            assert parse_price(said[price]) == pico
                else:
                    assert getattr(endpoint.prices, name) == Decimal(text) * 10**12
                    checked += 1
            for tier in endpoint.service_tiers:
                said = written["service_tiers"][tier.tier]
                assert {name: price_text(one) for name, one in tier.prices.items()} == said
    assert checked > 5000


def test_ids_are_unique(snapshot):
    endpoints = all_endpoints(snapshot)
    assert len({one.id for one in endpoints}) == len(endpoints) > 2500
    canonical = [model.canonical_slug for model in snapshot.models.values()]
    assert len(set(canonical)) == len(canonical)


def test_what_has_no_price_can_never_be_taken_for_free(snapshot):
    unpriced = [one for one in all_endpoints(snapshot) if one.price_version == UNPRICED]
    assert len(unpriced) > 250
    assert {one.status for one in unpriced} == {EndpointStatus.UNPRICED}
    assert all(
        one.status is not EndpointStatus.UNPRICED
        for one in all_endpoints(snapshot)
        if one not in unpriced
    )


def test_a_price_version_means_one_sheet_for_ever(snapshot):
    sheets: dict[str, PriceSheet] = {}
    for one in all_endpoints(snapshot):
        if one.status is not EndpointStatus.UNPRICED:
            assert sheets.setdefault(one.price_version, one.prices) == one.prices
            assert price_version(one.prices) == one.price_version
    assert len(sheets) > 1000
    # Written down, because a version that changed would orphan every recorded charge.
    assert price_version(PriceSheet(prompt=1, completion=2)) == "ps-00431b6ce6c676c9f7d0"


def test_endpoints_come_cheapest_routable_first(snapshot):
    rank = {EndpointStatus.ACTIVE: 0, EndpointStatus.DEPRECATED: 1, EndpointStatus.UNPRICED: 2}
    for model in snapshot.models.values():
        order = [
            (rank[one.status], one.prices.prompt + one.prices.completion)
            for one in model.usual_endpoints
        ]
        assert order == sorted(order)
        assert model.endpoints[: len(order)] == model.usual_endpoints
        assert order[0][0] < 2, f"{model.id} cannot be called at all"


def test_parameters_are_words_of_the_public_vocabulary(snapshot):
    for model in snapshot.models.values():
        assert set(model.supported_parameters) <= PARAMETERS
        assert all(one.supported_parameters <= PARAMETERS for one in model.endpoints)


def test_every_endpoints_provider_and_model_are_known(snapshot):
    for slug, model in snapshot.models.items():
        assert {one.provider for one in model.endpoints} <= set(snapshot.providers)
        assert {one.model for one in model.endpoints} == {slug} == {model.id}


@pytest.mark.parametrize(
    ("slug", "prompt", "completion", "canonical", "created", "inputs"),
    [
        ("openai/o1", "0.000015", "0.00006", "openai/o1-2024-12-17", 1_734_393_600, {"text", "image", "file"}),
        ("openai/o3-mini", "0.0000011", "0.0000044", "openai/o3-mini-2025-01-31", 1_738_281_600, {"text"}),
        ("openai/o4-mini", "0.0000011", "0.0000044", "openai/o4-mini-2025-04-16", 1_744_761_600,
         {"text", "image"}),
    ],
)  # fmt: skip
def test_the_o_series_has_its_published_facts(
    snapshot, slug, prompt, completion, canonical, created, inputs
):
    model = snapshot.models[ModelId(slug)]
    own = next(one for one in model.endpoints if one.provider == "openai")
    assert (price_text(own.prices.prompt), price_text(own.prices.completion)) == (
        prompt,
        completion,
    )
    assert (model.canonical_slug, model.created) == (canonical, created)
    assert (model.context_length, model.max_completion_tokens) == (200_000, 100_000)
    assert model.input_modalities == inputs
    assert model.reasoning.efforts == ("high", "medium", "low")
    assert model.reasoning.mandatory
    assert {"openai", "azure", "aimlapi"} <= {one.provider for one in model.endpoints}
    assert own.status is EndpointStatus.DEPRECATED
    assert model.expiration_date == own.deprecation_date == "2026-10-23"


def test_models_with_a_switch_or_a_budget_may_go_without_reasoning(snapshot):
    assert not snapshot.models[ModelId("anthropic/claude-sonnet-4")].reasoning.mandatory


@pytest.mark.parametrize("base", ["openai/o3-mini", "openai/o4-mini"])
def test_a_preset_slug_is_served_wherever_its_model_is(snapshot, base):
    preset, model = snapshot.models[ModelId(f"{base}-high")], snapshot.models[ModelId(base)]
    assert (preset.preset_effort, model.preset_effort) == ("high", None)
    assert [(one.provider, one.provider_model_id, one.prices) for one in preset.endpoints] == [
        (one.provider, one.provider_model_id, one.prices) for one in model.endpoints
    ]
    assert not {one.id for one in preset.endpoints} & {one.id for one in model.endpoints}


def test_local_engines_are_known_without_models_of_their_own(snapshot):
    for slug in ("ollama", "vllm", "lmstudio", "llama.cpp"):
        assert snapshot.providers[ProviderSlug(slug)].kind == "local"
    assert not {one.provider for one in all_endpoints(snapshot)} & {"ollama", "vllm"}


def test_the_sandbox_is_always_there_and_its_costs_can_be_seen(snapshot):
    slugs = {slug for slug in snapshot.models if slug.startswith("sandbox/")}
    names = ("echo", "story", "reasoner", "tools", "embed", "rerank", "flaky", "slow")
    assert slugs == {f"sandbox/{name}" for name in names}
    for slug in slugs:
        (endpoint,) = snapshot.models[slug].endpoints
        assert endpoint.status is EndpointStatus.ACTIVE
        assert endpoint.prices.prompt > 0


def test_a_snapshot_stays_small():
    """Equal sheets and lists are one object; without that it would be several times as large."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        snapshot = load_snapshot(MODELS, PROVIDERS)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(snapshot.models) > 600
    assert after - before < SNAPSHOT_BYTES_MAX


def test_equal_data_is_an_equal_version_and_other_data_is_another(snapshot):
    assert load_snapshot(MODELS, PROVIDERS).version == snapshot.version
    assert snapshot.version.startswith(snapshot.as_of)
    changed = altered(lambda row: row.update(context_length=1))
    assert load_snapshot(changed, PROVIDERS).version != snapshot.version


# -- Refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.update(id="openai/o3"), "openai/o3 is there twice"),
        (lambda row: row["endpoints"][0].update(provider="nobody"), "unknown provider nobody"),
        (lambda row: row["endpoints"][0]["pricing"].update(prompt="cheap"), "price of openai/o1 at openai"),
        (lambda row: row["endpoints"][0]["pricing"].update(prompt="-1"), "price of openai/o1 at openai"),
        (lambda row: row["endpoints"][0]["pricing"].update(tea="1"), "no price is called tea"),
        (lambda row: row["endpoints"][0]["pricing"].pop("completion"), "no completion price"),
        (lambda row: row["endpoints"][0]["pricing"].update(prompt="1e-13"), "finer than one picodollar"),
        (lambda row: row["endpoints"][0]["service_tiers"]["batch"].update(tea="1"), "no price is called tea"),
        (lambda row: row["endpoints"][0].update(pricing=None), "its status and its price disagree"),
        (
            lambda row: row["endpoints"][0]["pricing"].update(overrides=[{"moon": 1, "prompt": "1"}]),
            "other conditions than we know",
        ),
        (lambda row: row.pop("author"), "cannot be read"),
    ],
)  # fmt: skip
def test_data_that_is_not_as_expected_is_refused_with_its_place(change, message):
    with pytest.raises(CatalogInvalid, match=message):
        load_snapshot(altered(change), PROVIDERS)


def test_another_format_is_refused():
    other = MODELS.replace(b'{"format": 1,', b'{"format": 2,', 1)
    assert other != MODELS
    with pytest.raises(CatalogInvalid, match="another format"):
        load_snapshot(other, PROVIDERS)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_and_nothing_else(data):
    with pytest.raises(CatalogInvalid):
        load_snapshot(data, PROVIDERS)


# -- Names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "slug", "variants"),
    [
        ("openai/o1", "openai/o1", ()),
        ("o1", "openai/o1", ()),
        ("O1", "openai/o1", ()),
        ("o1-2024-12-17", "openai/o1", ()),
        ("openai/o1-2024-12-17", "openai/o1", ()),
        ("o3-mini-high", "openai/o3-mini-high", ()),
        ("o3-mini-2025-01-31", "openai/o3-mini", ()),
        ("openai/o1:nitro", "openai/o1", ("nitro",)),
        ("o1:floor:online", "openai/o1", ("floor", "online")),
        ("openai/O1:Nitro", "openai/o1", ("nitro",)),
        ("claude-sonnet-4-0", "anthropic/claude-sonnet-4", ()),
        ("openai/o4-mini-2025-04-16", "openai/o4-mini", ()),
        ("deepseek-ai/DeepSeek-R1", "deepseek/deepseek-r1", ()),
        ("sandbox/echo", "sandbox/echo", ()),
    ],
)
def test_a_name_means_the_model_that_people_mean(snapshot, name, slug, variants):
    found = snapshot.resolve(name)
    assert isinstance(found, Resolved)
    assert (found.model.id, found.variants) == (slug, variants)


def test_every_id_and_canonical_slug_means_its_own_model(snapshot):
    for slug, model in snapshot.models.items():
        for name in (slug, model.canonical_slug, slug.upper(), f"{slug}:nitro"):
            found = snapshot.resolve(name)
            assert isinstance(found, Resolved)
            assert found.model.id == slug


@pytest.mark.parametrize(
    "name", ["", ":", "/", "o1:", "o1:cheap", ":nitro", "openai/o1:nitro:cheap", "openai/"]
)
def test_a_name_that_means_nothing_is_unknown(snapshot, name):
    assert isinstance(snapshot.resolve(name), UnknownModel)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("openai/gtp-4o", "openai/gpt-4o"),
        ("claude-sonet-4", "anthropic/claude-sonnet-4"),
        ("opnai/o3-mini", "openai/o3-mini"),
        ("anthropic/claude-3-5-sonet", "anthropic/claude-3.5-sonnet"),
    ],
)
def test_a_misspelt_name_gets_the_one_that_was_meant(snapshot, name, meant):
    found = snapshot.resolve(name)
    assert isinstance(found, UnknownModel)
    assert meant in found.near
    assert len(found.near) <= 3


@given(st.text(max_size=300))
def test_any_text_is_a_model_or_unknown(name):
    found = RESOLVING.resolve(name)
    assert isinstance(found, Resolved | UnknownModel)


RESOLVING = load_snapshot(
    msgspec.json.encode({"format": 1, "as_of": "2026-01-01", "models": []}), PROVIDERS
)


@pytest.mark.parametrize(
    ("model", "lacks", "has"),
    [
        ("anthropic/claude-opus-5", {"temperature", "top_p", "top_k"}, {"verbosity"}),
        ("anthropic/claude-fable-5.1", {"temperature", "top_p", "top_k"}, {"verbosity"}),
        ("anthropic/claude-opus-4.6", set(), {"temperature", "verbosity"}),
        ("anthropic/claude-3.7-sonnet", {"structured_outputs", "verbosity"}, {"temperature"}),
    ],
)
def test_what_the_sources_have_wrong_is_corrected(snapshot, model, lacks, has):
    """See tools/catalogue/corrections.py: an import without them would undo them silently."""
    found = snapshot.models[ModelId(model)]
    endpoint = next(one for one in found.endpoints if one.provider == "anthropic")
    for parameters in (set(found.supported_parameters), set(endpoint.supported_parameters)):
        assert not parameters & lacks
        assert has <= parameters
