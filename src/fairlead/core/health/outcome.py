"""What one call to an endpoint came to, and what that says about the endpoint."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

from fairlead.core.errors import FAILURES, FailureKind
from fairlead.core.tool_calls import ToolVerdict

__all__ = ["MEANINGS", "EndpointOutcome", "Meaning"]


class EndpointOutcome(msgspec.Struct, frozen=True, gc=False):
    """One finished call to one endpoint.

    failure: what went wrong, before or after the first token; None: nothing.
    retry_after_s: the provider's hint.
    first_token_s: from the call's beginning to its first token; None: there was none.
    output_tokens: generated, as counted or estimated. duration_s: of the whole call.
    tools: of the answer's tool calls, where it had any.
    is_abandoned: the caller, or we, left before the first token. It says nothing about the endpoint, but for
        silent_s: of a streamed call, for how long nothing had come by then.
    """

    failure: FailureKind | None
    retry_after_s: float | None = None
    first_token_s: float | None = None
    output_tokens: int = 0
    duration_s: float = 0.0
    tools: ToolVerdict | None = None
    is_abandoned: bool = False
    silent_s: float | None = None


class Meaning(IntEnum):
    """What an outcome says about the endpoint; also its column in the counts."""

    SUCCESS = 0
    OUTAGE = 1
    LIMITED = 2  # it asked us to wait: neither up nor down
    CALLER = 3  # the request was at fault


def _meaning(kind: FailureKind) -> Meaning:
    if kind is FailureKind.RATE_LIMIT:
        return Meaning.LIMITED
    return Meaning.OUTAGE if FAILURES[kind].outage else Meaning.CALLER


MEANINGS: Final[dict[FailureKind | None, Meaning]] = {
    None: Meaning.SUCCESS,
    **{kind: _meaning(kind) for kind in FailureKind},
}
