"""Values about kept prompts and answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from fairlead.core.ids import AccountId, GenerationId, KeyId, UserId, WorkspaceId

__all__ = ["KeptContent", "Reader"]


@dataclass(frozen=True, slots=True)
class KeptContent:
    """One generation's content, sealed: core.content.Content, compressed."""

    generation: GenerationId
    account: AccountId
    workspace: WorkspaceId
    created_ms: int
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who wants to read what is kept of an account.

    may_manage: a management key, or an admin who is signed in. user: who that is, or who made the key.
    key: None: signed in. workspace: where the key belongs.
    """

    account: AccountId
    may_manage: bool = False
    user: UserId | None = None
    key: KeyId | None = None
    workspace: WorkspaceId | None = None
