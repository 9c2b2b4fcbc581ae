"""What people say of answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fairlead.core.ids import AccountId, GenerationId

__all__ = ["Category", "Remark"]


class Category(StrEnum):
    """What was wrong."""

    LATENCY = "latency"
    INCOHERENCE = "incoherence"
    INCORRECT_RESPONSE = "incorrect_response"
    FORMATTING = "formatting"
    BILLING = "billing"
    API_ERROR = "api_error"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Remark:
    """author: the id of a key, or of a user."""

    id: str
    account: AccountId
    generation: GenerationId
    author: str
    category: Category
    comment: str | None
    created_ms: int
