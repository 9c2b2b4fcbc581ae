"""Every provider of the catalogue that speaks a format we have is there."""

from __future__ import annotations

import json
from importlib.resources import files

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
        assert provider.chat is not None
