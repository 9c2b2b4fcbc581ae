"""All providers, by slug."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fairlead.providers.anthropic import ANTHROPIC
from fairlead.providers.azure import AZURE
from fairlead.providers.base import Provider
from fairlead.providers.bedrock import BEDROCK
from fairlead.providers.cohere import COHERE
from fairlead.providers.compatible import COMPATIBLE
from fairlead.providers.google import GOOGLE_AI_STUDIO
from fairlead.providers.google_vertex import GOOGLE_VERTEX
from fairlead.providers.voyage import VOYAGE

__all__ = ["PROVIDERS"]

PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType(
    {
        **COMPATIBLE,
        ANTHROPIC.slug: ANTHROPIC,
        AZURE.slug: AZURE,
        BEDROCK.slug: BEDROCK,
        COHERE.slug: COHERE,
        GOOGLE_AI_STUDIO.slug: GOOGLE_AI_STUDIO,
        GOOGLE_VERTEX.slug: GOOGLE_VERTEX,
        VOYAGE.slug: VOYAGE,
    }
)
