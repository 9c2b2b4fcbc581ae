"""What is counted of one generation.

Reading a whole record costs three times as much as reading what the sums want of it, and the settler reads
thousands a second. So here is a generation once more, by position as `store.records` keeps it, in which what
is not wanted stays bytes.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.generation import Attempt, Attribution
from fairlead.core.ids import AccountId, GenerationId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.core.usage import Usage
from fairlead.store.records import RecordUnreadable

__all__ = ["Sample", "sample"]

_NOTHING: Final = msgspec.Raw(b"\xc0")


class _Wishes(msgspec.Struct, frozen=True, gc=False):
    """Of core.routing.preferences.Preferences, what says who may keep prompts."""

    zdr: bool = False
    zdr_authors: tuple[str, ...] = ()


class _Decision(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The first fields of core.routing.decision.Decision."""

    question: msgspec.Raw
    preferences: _Wishes


class Sample(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The fields of core.generation.Generation, in their places, up to the last that is wanted."""

    id: GenerationId
    account: AccountId
    key: KeyId
    created_s: float
    model: str
    endpoint: str
    provider: str
    outcome: str
    usage: Usage
    cost: NanoUSD
    api_type: str
    requested_model: msgspec.Raw
    price_version: str
    cost_prompt: msgspec.Raw
    cost_completion: msgspec.Raw
    streamed: bool
    attempts: tuple[Attempt, ...]
    latency_ms: int = 0
    duration_ms: int = 0
    finish_reason: str | None = None
    native_finish_reason: msgspec.Raw = _NOTHING
    upstream_id: msgspec.Raw = _NOTHING
    upstream_cost: NanoUSD | None = None
    service_tier: msgspec.Raw = _NOTHING
    session_id: str | None = None
    external_user: msgspec.Raw = _NOTHING
    attribution: Attribution | None = None
    error_type: msgspec.Raw = _NOTHING
    catalog_version: msgspec.Raw = _NOTHING
    decision: _Decision | None = None
    splices: msgspec.Raw = _NOTHING
    router: msgspec.Raw = _NOTHING
    workspace: WorkspaceId = WorkspaceId("")
    user: UserId | None = None
    is_byok: bool = False
    list_cost: NanoUSD = NanoUSD(0)
    discount: NanoUSD = NanoUSD(0)
    waived: NanoUSD = NanoUSD(0)

    @property
    def is_private(self) -> bool:
        """Nobody was to keep its prompt: it is in nothing that is published."""
        if self.decision is None:
            return False
        wishes = self.decision.preferences
        return wishes.zdr or self.model.partition("/")[0] in wishes.zdr_authors


_DECODER: Final = msgspec.msgpack.Decoder(Sample)


def sample(record: bytes) -> Sample:
    """record: as `store.records.pack` makes it. Raises RecordUnreadable."""
    try:
        return _DECODER.decode(record)
    except msgspec.MsgspecError as error:
        raise RecordUnreadable(str(error)) from error
