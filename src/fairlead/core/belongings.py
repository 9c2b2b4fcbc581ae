"""What an account has that its calls make use of: credentials of its own, and what it lets us keep. Pure.

Nearly every account has nothing of this: `NOTHING` itself, so that identity tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Protocol

from fairlead.core.ids import AccountId, GenerationId, KeyId, ProviderSlug, UserId, WorkspaceId
from fairlead.core.own_keys import OwnKey

__all__ = [
    "NOTHING",
    "PPM",
    "Belongings",
    "ContentPolicy",
    "OwnCredential",
    "is_sampled",
]

PPM: Final = 1_000_000


class _Caller(Protocol):
    """What decides of a caller (core.caller.Caller)."""

    @property
    def account(self) -> AccountId: ...

    @property
    def key(self) -> KeyId: ...

    @property
    def workspace(self) -> WorkspaceId: ...

    @property
    def user(self) -> UserId | None: ...


@dataclass(frozen=True, slots=True)
class OwnCredential:
    """One credential of an account for one provider, open.

    keys: in the order of trying; see core.own_keys.
    is_fallback: after the installation's own. is_required: in place of it, for its models; is_exclusive: for
    any.
    models: None: all. region: "eu" or "us", as the account says; None: what the key tells.
    workspace, callers, users: whose calls may use it; None: anybody's of the account.
    """

    id: str
    provider: ProviderSlug
    keys: tuple[OwnKey, ...] = field(repr=False)
    name: str | None = None
    is_fallback: bool = False
    is_required: bool = False
    is_exclusive: bool = False
    models: tuple[str, ...] | None = None
    region: str | None = None
    workspace: WorkspaceId | None = None
    callers: frozenset[KeyId] | None = None
    users: frozenset[UserId] | None = None

    def is_for(self, caller: _Caller) -> bool:
        """Whether this caller's calls may use it: all that is said must hold."""
        return (
            (self.workspace is None or self.workspace == caller.workspace)
            and (self.callers is None or caller.key in self.callers)
            and (self.users is None or caller.user in self.users)
        )


@dataclass(frozen=True, slots=True)
class ContentPolicy:
    """Of which calls prompts and answers are kept. share_ppm: of all, in millionths. callers: None: all
    keys."""

    share_ppm: int
    callers: frozenset[KeyId] | None = None

    def keeps(self, caller: _Caller, generation: GenerationId) -> bool:
        if self.callers is not None and caller.key not in self.callers:
            return False
        return is_sampled(generation, self.share_ppm)


def is_sampled(generation: GenerationId, share_ppm: int) -> bool:
    """Whether a generation is in a sample of that share: by its id, so that everybody says the same."""
    if share_ppm >= PPM:
        return True
    number = int.from_bytes(blake2b(generation.encode(), digest_size=8).digest())
    return number % PPM < share_ppm


@dataclass(frozen=True, slots=True)
class Belongings:
    """contents: by workspace, where any are kept. shared: the workspaces that let us use what they send."""

    credentials: tuple[OwnCredential, ...] = ()
    contents: Mapping[WorkspaceId, ContentPolicy] = field(default_factory=dict)
    shared: frozenset[WorkspaceId] = frozenset()

    def keeps(self, caller: _Caller, generation: GenerationId) -> bool:
        """Whether the prompt and the answer of this call are kept."""
        policy = self.contents.get(caller.workspace)
        return policy is not None and policy.keeps(caller, generation)


NOTHING: Final = Belongings()
