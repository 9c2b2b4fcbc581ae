"""Values about kept prompts and answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from fairlead.core.ids import AccountId, GenerationId, WorkspaceId

__all__ = ["KeptContent"]


@dataclass(frozen=True, slots=True)
class KeptContent:
    """One generation's content, sealed: core.content.Content, compressed."""

    generation: GenerationId
    account: AccountId
    workspace: WorkspaceId
    created_ms: int
    sealed: bytes = field(repr=False)
