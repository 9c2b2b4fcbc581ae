"""Names of things. Ids are not just `str`: the type checker keeps them apart."""

from __future__ import annotations

from typing import Final, NewType, Protocol
from uuid import UUID

__all__ = [
    "ID_ENTROPY_BYTES",
    "UUID_ENTROPY_BYTES",
    "AccountId",
    "BudgetId",
    "EndpointId",
    "GenerationId",
    "IdSource",
    "KeyId",
    "LotId",
    "ModelId",
    "ProviderSlug",
    "UserId",
    "WorkspaceId",
    "first_timed_id",
    "generation_id",
    "random_uuid",
    "timed_id",
]

ID_ENTROPY_BYTES: Final = (
    10  # of one that sorts by time: of a million in one millisecond no two are alike
)
UUID_ENTROPY_BYTES: Final = 16  # of one that says nothing of when it was made

AccountId = NewType("AccountId", str)
KeyId = NewType("KeyId", str)
UserId = NewType("UserId", str)  # a person: "user-" + time-ordered
WorkspaceId = NewType("WorkspaceId", str)  # a UUID
LotId = NewType("LotId", str)  # credit of one origin: "lot-" + time-ordered
BudgetId = NewType("BudgetId", str)  # what limits spending, as "key:key-..."; see core.budgets
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
    return GenerationId(f"{first_timed_id('gen', unix_ms)}{entropy & ((1 << 80) - 1):020x}")


def timed_id(prefix: str, unix_ms: int, entropy: bytes) -> str:
    """`prefix-` + milliseconds since 1970 (12 hex) + the entropy: sorts by time of creation."""
    assert len(entropy) == ID_ENTROPY_BYTES
    return first_timed_id(prefix, unix_ms) + entropy.hex()


def first_timed_id(prefix: str, unix_ms: int) -> str:
    """Sorts before every id of that moment, and behind all earlier ones."""
    return f"{prefix}-{unix_ms & 0xFFFFFFFFFFFF:012x}"


def random_uuid(entropy: bytes) -> str:
    """Version 4, in lower case with hyphens."""
    assert len(entropy) == UUID_ENTROPY_BYTES
    return str(UUID(bytes=entropy, version=4))
