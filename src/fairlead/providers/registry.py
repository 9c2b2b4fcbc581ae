"""All providers, by slug."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fairlead.providers.base import Provider
from fairlead.providers.compatible import COMPATIBLE

__all__ = ["PROVIDERS"]

PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType({**COMPATIBLE})
