"""The twin's own bill: what it gave to whom, kept apart from anything that a gateway may believe."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Final

import msgspec

from fairlead.sandbox.perform import Performance

__all__ = ["CALLS_KEPT_MAX", "Bill", "BillPage", "BilledCall", "CallState", "Totals"]

CALLS_KEPT_MAX: Final = 100_000  # about 60 MB; the totals go on counting beyond it


class CallState(StrEnum):
    """How a call stands."""

    OPEN = "open"
    COMPLETED = "completed"  # the last byte of a proper answer was handed to the network
    FAILED = "failed"  # answered with an error status, as it should
    CUT = "cut"  # the twin broke off or answered nonsense, as it was told to
    CANCELLED = "cancelled"  # the caller hung up first


class BilledCall(msgspec.Struct):
    """One call. id: as in the answer. Tokens are those of the usage in the answer; cached is part of prompt,
    reasoning part of completion. chunks: written so far."""

    number: int
    dialect: str
    model: str
    streamed: bool
    status: int
    id: str | None
    tag: str | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    state: CallState = CallState.OPEN
    chunks: int = 0


class Totals(msgspec.Struct):
    """Since the last reset; tokens of completed calls only."""

    calls: int = 0
    open: int = 0
    completed: int = 0
    failed: int = 0
    cut: int = 0
    cancelled: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class BillPage(msgspec.Struct):
    """What `GET /_twin/calls` answers. dropped: calls no longer listed."""

    totals: Totals
    dropped: int
    calls: list[BilledCall]


class Bill:
    """Bounded: the oldest calls are forgotten, never the totals."""

    def __init__(self, kept_max: int = CALLS_KEPT_MAX) -> None:
        self._calls: deque[BilledCall] = deque(maxlen=kept_max)
        self._totals = Totals()

    def open(self, number: int, made: Performance) -> BilledCall:
        entry, counts = made.entry, made.entry.counts
        call = BilledCall(
            number=number,
            dialect=entry.dialect.value,
            model=entry.model,
            streamed=entry.streamed,
            status=made.status,
            id=entry.id,
            tag=entry.tag,
            prompt_tokens=counts.prompt,
            completion_tokens=counts.completion,
            cached_tokens=counts.cached,
            reasoning_tokens=counts.reasoning,
        )
        self._calls.append(call)
        self._totals.calls += 1
        self._totals.open += 1
        return call

    def close(self, call: BilledCall, state: CallState) -> None:
        """Once per call; a call opened before a reset no longer counts."""
        assert call.state is CallState.OPEN
        assert state is not CallState.OPEN
        call.state = state
        totals = self._totals
        if totals.open == 0:
            return
        totals.open -= 1
        match state:
            case CallState.COMPLETED:
                totals.completed += 1
                totals.prompt_tokens += call.prompt_tokens
                totals.completion_tokens += call.completion_tokens
            case CallState.FAILED:
                totals.failed += 1
            case CallState.CUT:
                totals.cut += 1
            case CallState.CANCELLED:
                totals.cancelled += 1

    def page(self, *, tag: str | None = None) -> BillPage:
        """All calls still known, oldest first, or those with a tag."""
        calls = [call for call in self._calls if tag is None or call.tag == tag]
        return BillPage(self._totals, self._totals.calls - len(self._calls), calls)

    def reset(self) -> None:
        self._calls.clear()
        self._totals = Totals()
