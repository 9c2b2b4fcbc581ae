"""Fallback as a state machine: which endpoint to try next, if any.

    planned ──next──> trying ──failed──> planned        (another endpoint may do better)
                        │ │    └───────> given up       (it would not help, or none is left)
                        │ └─committed──> committed      (a token reached the caller: final)

Once something has reached the caller the choice is final. A failure that is the caller's own (a bad
request) ends it at once; the error the caller sees is the one that says most (see `verdict`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.errors import FAILURES, FailureKind, UpstreamFailure

__all__ = ["ATTEMPTS_MAX", "Attempts", "GiveUp", "Try"]

ATTEMPTS_MAX: Final = 8  # a call that eight endpoints refused is not saved by a ninth


class Try(msgspec.Struct, frozen=True, gc=False):
    """Try this endpoint now."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nothing more to try. failures: one per attempt, in order."""

    failures: tuple[tuple[Endpoint, UpstreamFailure], ...]

    @property
    def verdict(self) -> UpstreamFailure | None:
        """The failure to show. None if nothing was tried.

        A failure that is about the request itself says most; otherwise the last one.
        """
        if not self.failures:
            return None
        for _, failure in self.failures:
            if not FAILURES[failure.kind].elsewhere or failure.kind in _OF_THE_REQUEST:
                return failure
        return self.failures[-1][1]


# Another endpoint may take more; still, the caller can mend it.
_OF_THE_REQUEST: Final = frozenset({FailureKind.CONTEXT_LENGTH, FailureKind.TOO_LARGE})


class Attempts:
    """Drives one call through its plan. No clock of its own, no network."""

    __slots__ = ("_deadline_s", "_endpoints", "_failures", "_is_committed", "_is_over", "_next")

    def __init__(self, endpoints: tuple[Endpoint, ...], *, deadline_s: float) -> None:
        """deadline_s: after this moment no new attempt begins."""
        self._endpoints = endpoints[:ATTEMPTS_MAX]
        self._deadline_s = deadline_s
        self._failures: list[tuple[Endpoint, UpstreamFailure]] = []
        self._next = 0
        self._is_committed = False
        self._is_over = False

    def next(self, now_s: float) -> Try | GiveUp:
        """The next endpoint, or the end. Raises RuntimeError after a commitment."""
        if self._is_committed:
            raise RuntimeError("an answer has begun: no other endpoint may be tried")
        if (
            self._is_over
            or self._next == len(self._endpoints)
            or (self._failures and now_s >= self._deadline_s)
        ):
            return GiveUp(tuple(self._failures))
        self._next += 1
        return Try(self._endpoints[self._next - 1])

    def failed(self, endpoint: Endpoint, failure: UpstreamFailure) -> None:
        """The attempt failed before anything reached the caller."""
        if self._is_committed:
            raise RuntimeError("an answer has begun: its failure is final")
        self._failures.append((endpoint, failure))
        if not FAILURES[failure.kind].elsewhere:
            self._is_over = True

    def committed(self) -> None:
        """A token is about to reach the caller."""
        self._is_committed = True

    @property
    def failures(self) -> tuple[tuple[Endpoint, UpstreamFailure], ...]:
        return tuple(self._failures)
