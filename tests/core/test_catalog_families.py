"""What `~author/family-latest` means, in the catalogue and in principle."""

from __future__ import annotations

import doctest
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core import catalog_families
from fairlead.core.catalog import EndpointStatus, Model, ModelKind
from fairlead.core.catalog_families import families_of, family_name
from fairlead.testing.builders import a_model, a_provider, an_endpoint
from tests.shipped import SEED


def of_age(slug: str, created: int, **about: Any) -> Model:
    model = a_model(an_endpoint(model=slug), slug=slug)
    return msgspec.structs.replace(model, created=created, **about)


def newest(*models: Model) -> dict[str, str]:
    return {alias: one.newest for alias, one in families_of(models, {}).items()}


def test_the_examples_of_the_docstring_hold() -> None:
    assert doctest.testmod(catalog_families).failed == 0


@pytest.mark.parametrize(
    ("slug", "family"),
    [
        ("claude-opus-4.8", "claude-opus"),
        ("claude-3.5-sonnet", "claude-sonnet"),
        ("claude-opus-4.8-fast", "claude-opus-fast"),
        ("gemini-3.1-pro-preview", "gemini-pro"),
        ("gemini-2.5-flash-lite-preview-09-2025", "gemini-flash-lite"),
        ("gpt-5.6-sol", "gpt-sol"),
        ("gpt-4o-mini-2024-07-18", "gpt-o-mini"),
        ("o3", "o"),
        ("kimi-k2.7-code", "kimi-code"),
        ("qwen3.8-max-0902", "qwen-max"),
        ("deepseek-v4.1-flash", "deepseek-flash"),
        ("llama-3.3-70b-instruct", "llama-70b-instruct"),
        ("mistral-large-4-0", "mistral-large"),
    ],
)
def test_a_family_is_the_name_without_what_passes(slug: str, family: str) -> None:
    assert family_name(slug) == family


@given(st.text())
def test_any_slug_has_a_family(slug: str) -> None:
    family_name(slug)


def test_the_newest_of_a_family_is_meant_and_the_plainer_of_one_day() -> None:
    assert newest(of_age("acme/one-2", 20), of_age("acme/one-3", 30), of_age("acme/two-9", 99)) == {
        "~acme/one-latest": "acme/one-3",
        "~acme/two-latest": "acme/two-9",
    }
    assert newest(of_age("acme/one-3", 30), of_age("acme/one-3-preview", 30)) == {
        "~acme/one-latest": "acme/one-3"
    }


@pytest.mark.parametrize(
    "newer",
    [
        of_age("acme/one-9", 99, kind=ModelKind.EMBEDDING),
        of_age("acme/one-9", 99, output_modalities=("text", "image")),
        of_age("acme/one-9", 99, preset_effort="high"),
        of_age("acme/one-9", 99, endpoints=()),
        of_age("acme/one-9", 99, endpoints=(an_endpoint(status=EndpointStatus.UNPRICED),)),
        of_age("acme/one-9", 99, endpoints=(an_endpoint(status=EndpointStatus.DEPRECATED),)),
        of_age("acme/one-9:free", 99),
        of_age("acme/one-latest", 99),
    ],
    ids=["no chat", "images", "preset", "no endpoint", "unpriced", "going", "variant", "alias"],
)
def test_what_is_no_concrete_chat_model_is_never_meant(newer: Model) -> None:
    assert newest(of_age("acme/one-2", 20), newer)["~acme/one-latest"] == "acme/one-2"


def test_a_family_of_nothing_callable_does_not_exist() -> None:
    assert newest(of_age("acme/one-9", 99, endpoints=())) == {}


def test_only_families_with_a_choice_by_authors_who_serve_them_are_listed() -> None:
    lab = msgspec.structs.replace(a_provider(), authors=("acme",))
    models = [of_age(f"{author}/one-{n}", n) for author in ("acme", "other") for n in (1, 2)]
    families = families_of([*models, of_age("acme/solo-1", 1)], {lab.slug: lab})
    assert {alias for alias, one in families.items() if one.is_listed} == {"~acme/one-latest"}


def test_the_catalogues_families_mean_models_that_can_be_called() -> None:
    assert SEED.families["~anthropic/claude-opus-latest"].newest == "anthropic/claude-opus-5.5"
    for alias, family in SEED.families.items():
        model = SEED.models[family.newest]
        assert alias.startswith(f"~{model.author}/")
        assert any(one.status is EndpointStatus.ACTIVE for one in model.endpoints)
        assert alias not in SEED.names
