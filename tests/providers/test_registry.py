"""Every provider of the catalogue that speaks a format we have is there."""

from __future__ import annotations

import json
from importlib.resources import files

from fairlead.control.catalog.files import load_seed
from fairlead.core.capability import CAPABILITIES, Capability
from fairlead.core.catalog import ModelKind
from fairlead.core.catalog_sandbox import SANDBOX_PROVIDER
from fairlead.providers.registry import PROVIDERS

CATALOGUE = json.loads((files("fairlead") / "data" / "providers.json").read_bytes())


def test_every_openai_format_provider_of_the_catalogue_is_registered() -> None:
    speakers = {
        row["slug"] for row in CATALOGUE["providers"] if row["api_dialect"] == "openai-chat"
    }
    assert len(speakers) > 40
    assert speakers | {SANDBOX_PROVIDER.slug} <= PROVIDERS.keys()


def test_a_provider_is_found_under_its_own_name() -> None:
    for slug, provider in PROVIDERS.items():
        assert provider.slug == slug
        assert any(provider.adapter(capability) is not None for capability in Capability)


# Offers that the catalogue has and no adapter is written for.
UNSERVED = {
    (Capability.RERANK, "amazon-bedrock"),
    (Capability.EMBEDDINGS, "huggingface"),  # its router speaks another format for these models
    (Capability.RERANK, "vercel"),  # without a price, never routed to
}


def test_every_offer_of_embeddings_and_ranking_has_an_adapter_for_it() -> None:
    wanted = {
        (CAPABILITIES[model.kind], endpoint.provider)
        for model in load_seed().models.values()
        if model.kind in (ModelKind.EMBEDDING, ModelKind.RERANK)
        for endpoint in model.endpoints
    }
    assert len(wanted) > 20
    unserved = {
        (capability, slug)
        for capability, slug in wanted
        if slug not in PROVIDERS or PROVIDERS[slug].adapter(capability) is None
    }
    assert unserved == UNSERVED
