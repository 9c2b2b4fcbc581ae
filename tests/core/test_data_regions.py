"""Regions of clouds, and where they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.data_regions import region_of, region_of_address


@pytest.mark.parametrize(
    "name",
    [
        "eu", "EU", "eu-west-1", "eu-central-1", "eu-north-1", "eusc-de-east-1", "europe-west4",
        "europe-north1", "westeurope", "West Europe", "swedencentral", " northeurope ",
    ],
)  # fmt: skip
def test_the_union(name: str) -> None:
    assert region_of(name) == "eu"


@pytest.mark.parametrize(
    "name",
    [
        "us", "us-east-1", "us-gov-west-1", "us-central1", "us-east5", "eastus", "eastus2", "West US 3",
        "southcentralus", "usgovvirginia",
    ],
)  # fmt: skip
def test_the_states(name: str) -> None:
    assert region_of(name) == "us"


@pytest.mark.parametrize(
    "name",
    [
        "", "global", "eu-west-2", "eu-central-2", "europe-west2", "europe-west6", "uksouth",
        "switzerlandnorth", "norwayeast", "ap-northeast-1", "me-central1", "europe", "turbo", "euro",
        "us-", "australiaeast", "2", "priority",
    ],
)  # fmt: skip
def test_elsewhere_everywhere_or_unknown(name: str) -> None:
    """A promise about data is kept or not made: what is only nearby does not count."""
    assert region_of(name) is None


@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    assert region_of(text) in ("eu", "us", None)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", "eu"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/v1", "us"),
        ("https://bedrock-runtime.eu-west-2.amazonaws.com", None),
        (
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4",
            "eu",
        ),
        ("https://aiplatform.us.rep.googleapis.com/v1", "us"),
        ("https://aiplatform.googleapis.com/v1/projects/p/locations/eu", None),
        ("https://eu.api.openai.com/v1", "eu"),
        ("https://api.openai.com/v1", None),
        ("https://us.eu.example.com", None),
        ("http://127.0.0.1:8000", None),
        ("http://[broken", None),
        ("", None),
    ],
)
def test_an_address_says_where_it_leads_by_its_host_alone(url: str, region: str | None) -> None:
    assert region_of_address(url) == region


@given(st.text())
def test_any_address_has_an_answer(url: str) -> None:
    assert region_of_address(url) in ("eu", "us", None)
