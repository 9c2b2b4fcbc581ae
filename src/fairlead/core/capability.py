"""What models can be asked to do, and where callers ask for it.

A dialect is of one capability, a provider has an adapter for each that it offers, and a kind of model has
one. The pipeline is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from fairlead.core.catalog import ModelKind

__all__ = ["CAPABILITIES", "PATHS", "Capability"]


class Capability(StrEnum):
    """One thing to ask a model for."""

    CHAT = "chat"  # and completions, and images in the answer
    EMBEDDINGS = "embeddings"
    RERANK = "rerank"


# What a kind of model does; one that is absent does nothing of these.
CAPABILITIES: Final[Mapping[ModelKind, Capability]] = MappingProxyType(
    {
        ModelKind.CHAT: Capability.CHAT,
        ModelKind.IMAGE: Capability.CHAT,
        ModelKind.EMBEDDING: Capability.EMBEDDINGS,
        ModelKind.RERANK: Capability.RERANK,
    }
)

# The path, below the API's base, at which a kind of model is called.
PATHS: Final[Mapping[ModelKind, str]] = MappingProxyType(
    {
        ModelKind.CHAT: "/chat/completions",
        ModelKind.IMAGE: "/chat/completions",
        ModelKind.EMBEDDING: "/embeddings",
        ModelKind.RERANK: "/rerank",
        ModelKind.SPEECH: "/audio/speech",
        ModelKind.TRANSCRIPTION: "/audio/transcriptions",
    }
)
