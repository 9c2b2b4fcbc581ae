"""Names of things. Ids are not just `str`: the type checker keeps them apart."""

from __future__ import annotations

from typing import NewType, Protocol

__all__ = [
    "AccountId",
    "EndpointId",
    "GenerationId",
    "IdSource",
    "KeyId",
    "ModelId",
    "ProviderSlug",
    "generation_id",
]

AccountId = NewType("AccountId", str)
KeyId = NewType("KeyId", str)
ModelId = NewType("ModelId", str)  # "author/slug", lower case
ProviderSlug = NewType("ProviderSlug", str)
EndpointId = NewType("EndpointId", str)  # "provider:model-name-there", unique in a snapshot
GenerationId = NewType("GenerationId", str)  # "gen-" + time-ordered


class IdSource(Protocol):
    """Where new ids and seeds come from; itself seeded in tests."""

    def generation(self) -> GenerationId: ...

    def seed(self) -> int:
        """53 random bits, for one routing decision."""
        ...


def generation_id(unix_ms: int, entropy: int) -> GenerationId:
    """`gen-` + milliseconds since 1970 (12 hex) + 80 random bits (20 hex): sorts by time of creation."""
    return GenerationId(f"gen-{unix_ms & 0xFFFFFFFFFFFF:012x}{entropy & ((1 << 80) - 1):020x}")
