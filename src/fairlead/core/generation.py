"""The record of one call: what the journal holds, what the ledger will charge, what `/generation` shows.

It holds no prompt and no answer. Times are Unix seconds (floats only here: they are never money).

Everything here is kept by position (`store/records.py`): a field stays in its place for ever, and a new one
goes to the end, with a default.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from fairlead.core.ids import AccountId, GenerationId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.core.routing.decision import Decision
from fairlead.core.usage import Usage

__all__ = ["Attempt", "AttemptKind", "Attribution", "Generation", "Outcome", "Splice"]


class Outcome(StrEnum):
    """How the call ended, as the caller saw it."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"  # the caller left
    FAILED = "failed"  # an error inside the answer, or in its place once somebody had been asked


class AttemptKind(StrEnum):
    """Why an endpoint was tried."""

    TURN = "turn"  # it was its turn: the first of the plan, or the next after a failure
    PROBE = "probe"  # the same, and it was down before
    HEDGE = "hedge"  # beside another that was slow to begin
    CONTINUATION = "continuation"  # to go on with a stream that broke


class Attempt(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One try at one endpoint.

    status: HTTP status there, None if no answer came. failure: FailureKind; None: it answered, or was let go.
    latency_ms: to its first token, or to its end without one.
    key: the caller's own credential that was used; None: the installation's.
    was_let_go: another answered first, or the caller left.
    spend: what it may cost the installation without being charged to the caller, nanodollars, estimated.
    """

    endpoint: str
    provider: str
    model: str
    status: int | None
    latency_ms: int
    failure: str | None = None
    kind: AttemptKind = AttemptKind.TURN
    key: str | None = None
    was_let_go: bool = False
    spend: NanoUSD = NanoUSD(0)


class Splice(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Where another endpoint went on with a stream that had broken.

    characters: of text that the caller had by then. manner: restart, prefill, instruction or finish.
    """

    after: str  # endpoint
    by: str  # endpoint; of a finish, the same
    manner: str
    characters: int


class Attribution(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Which app called, from its headers; each cut to a bounded length."""

    referer: str | None = None
    title: str | None = None
    categories: tuple[str, ...] = ()
    user_agent: str | None = None


class Generation(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One finished call, settled exactly once under `id`.

    cost: what the caller is charged, nanodollars. upstream_cost: what the provider says it charged us.
    price_version: the price sheet that was in force.
    workspace, user: of the key. list_cost: what this would cost at list prices, whoever pays it: with a
        credential of the caller's own (is_byok), he pays his provider, and us a fee at most.
    discount: taken off. waived: beyond what was held for the call, so the installation bears it.
    rule: who pays for a call that ended so; see core.who_pays. budgets: the periods of budgets in which it
        counts, as "key:key-...@2026-11-01"; see core.budgets. preset: the slug of the one it was asked with.
    """

    # What the database has columns for comes first; see store.records.Front.
    id: GenerationId
    account: AccountId
    key: KeyId
    created_s: float
    model: str
    endpoint: str
    provider: str
    outcome: Outcome
    usage: Usage
    cost: NanoUSD
    # The rest.
    api_type: str
    requested_model: str
    price_version: str
    cost_prompt: NanoUSD
    cost_completion: NanoUSD
    streamed: bool
    attempts: tuple[Attempt, ...]
    latency_ms: int = 0  # until the first token
    duration_ms: int = 0  # until the end
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    upstream_id: str | None = None
    upstream_cost: NanoUSD | None = None
    service_tier: str | None = None
    session_id: str | None = None
    external_user: str | None = None
    attribution: Attribution | None = None
    error_type: str | None = None
    catalog_version: str = ""
    decision: Decision | None = None
    splices: tuple[Splice, ...] = ()
    router: str | None = None  # the router model that was asked for
    workspace: WorkspaceId = WorkspaceId("")
    user: UserId | None = None
    is_byok: bool = False
    list_cost: NanoUSD = NanoUSD(0)
    discount: NanoUSD = NanoUSD(0)
    waived: NanoUSD = NanoUSD(0)
    rule: str = ""
    budgets: tuple[str, ...] = ()
    preset: str | None = None
