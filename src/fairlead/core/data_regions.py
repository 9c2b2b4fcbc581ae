"""Where a cloud's region is, as far as promises about data go: "eu", "us" or neither. Pure.

The European Union, not Europe: regions in London, Zurich or Oslo are neither. What is not known is neither.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

__all__ = ["EU", "US", "region_demanded_by", "region_of", "region_of_address"]

EU: Final = "eu"
US: Final = "us"

# Places outside the Union in families of regions that are otherwise inside.
# https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html (read 2026-11-21)
_AWS_OUTSIDE: Final = frozenset({"eu-west-2", "eu-central-2"})  # London, Zurich
# https://cloud.google.com/about/locations (read 2026-11-21)
_GOOGLE_OUTSIDE: Final = frozenset({"europe-west2", "europe-west6"})  # London, Zurich
# https://learn.microsoft.com/azure/reliability/regions-list (read 2026-11-21)
_AZURE_EU: Final = frozenset(
    {
        "austriaeast", "belgiumcentral", "denmarkeast", "francecentral", "francesouth", "germanynorth",
        "germanywestcentral", "italynorth", "northeurope", "polandcentral", "spaincentral",
        "swedencentral", "swedensouth", "westeurope",
    }
)  # fmt: skip
_AWS: Final = re.compile(r"(eu|eusc|us)(-[a-z]+)+-\d+")  # eu-west-1, us-gov-west-1, eusc-de-east-1
_GOOGLE: Final = re.compile(r"(europe|us)-[a-z]+\d+")  # europe-west4, us-central1
_AZURE_US: Final = re.compile(
    r"(east|west|central|northcentral|southcentral|westcentral)us\d?|us(gov|dod|sec|nat)[a-z]+"
)


def region_of(text: str) -> str | None:
    """Of a region as a provider's option has it (`eu-west-1`, `europe-west4`, `swedencentral`), or `eu`, `us`.

    None: somewhere else, everywhere, or not known.
    """
    name = text.strip().lower().replace(" ", "")
    if name in (EU, US):
        return name
    if _AWS.fullmatch(name):
        if name in _AWS_OUTSIDE:
            return None
        return EU if name.startswith("eu") else US
    if _GOOGLE.fullmatch(name):
        if name in _GOOGLE_OUTSIDE:
            return None
        return EU if name.startswith("europe") else US
    if name in _AZURE_EU:
        return EU
    return US if _AZURE_US.fullmatch(name) else None


def region_of_address(url: str) -> str | None:
    """Of a provider's address whose host names its region, as `bedrock-runtime.eu-west-1.amazonaws.com` does,
    `europe-west4-aiplatform.googleapis.com` or `eu.api.example.com`. None: it names none, or more than one."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    named = {region_of(label.removesuffix(_VERTEX)) for label in host.split(".")} - {None}
    return named.pop() if len(named) == 1 else None


_VERTEX: Final = "-aiplatform"


def region_demanded_by(host: bytes) -> str | None:
    """The region that a caller demands by the host that is called, as `eu.gateway.example`."""
    return _BY_HOST.get(host[:3].lower())


_BY_HOST: Final = {b"eu.": EU, b"us.": US}
