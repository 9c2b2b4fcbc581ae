"""Fallback as a state machine: what to try next, until when, or that it is over.

    planned ──next──> trying ──failed──> planned         (another choice may do better)
       │                │ │ └─rival──> trying both       (the first is slow to begin: a hedge)
       │                │ └───────────> over             (nothing is left, or the time is up)
       │                └─committed──> committed         (a token reached the caller: the choice is final)
       └──next──> waiting (until)                        (all asked us to wait, and it is short)

    committed ──resume──> trying                         (the stream broke, and the caller wants it continued)

A failure that is the caller's own (a bad request) strikes out the other endpoints of its model; models
further down the caller's list are still tried. The error the caller sees is the one that says most: see
`GiveUp.verdict`.

**Time.** All attempts share one deadline. Whoever has others behind him may use at most half of what is left,
so that an upstream which accepts and says nothing leaves time for the next; and a probe of an endpoint that was
down gets a short while only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from fairlead.core.errors import FAILURES, FailureKind, UpstreamFailure
from fairlead.core.ids import ModelId
from fairlead.core.routing.types import Choice

__all__ = [
    "ATTEMPTS_MAX",
    "PROBE_S",
    "RETRY_WAIT_S_MAX",
    "Attempts",
    "GiveUp",
    "Try",
    "Wait",
]

ATTEMPTS_MAX: Final = (
    64  # of one call; more than any model has endpoints, so that only time ends a search
)
PROBE_S: Final = 15.0  # for an endpoint that was down, while there are others to go on with
RETRY_WAIT_S_MAX: Final = 2.0  # a shorter wait than this is taken on, where nothing else is left


class Try(msgspec.Struct, frozen=True, gc=False):
    """Try this now. expire_at_s: when its first token must have come."""

    choice: Choice
    expire_at_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be tried before this moment; then ask again."""

    until_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nothing more to try. failures: one per attempt, in order."""

    failures: tuple[tuple[Choice, UpstreamFailure], ...]

    @property
    def verdict(self) -> UpstreamFailure | None:
        """The failure to show. None if nothing was tried.

        Of the model that was tried last: a failure that is about the request itself says most; otherwise the
        last of those that were asked at all.
        """
        if not self.failures:
            return None
        model = self.failures[-1][0].endpoint.model
        failures = [failure for choice, failure in self.failures if choice.endpoint.model == model]
        for failure in failures:
            if _is_of_the_request(failure):
                return failure
        asked = [one for one in failures if one.kind is not FailureKind.UNSUPPORTED]
        return (asked or failures)[-1]


def _is_of_the_request(failure: UpstreamFailure) -> bool:
    return not FAILURES[failure.kind].elsewhere or failure.kind in _MENDABLE


# Another endpoint may take more; still, the caller can mend it.
_MENDABLE: Final = frozenset({FailureKind.CONTEXT_LENGTH, FailureKind.TOO_LARGE})
# An endpoint that says so may be asked again after the time it names.
_WAITABLE: Final = frozenset({FailureKind.RATE_LIMIT, FailureKind.OVERLOADED})


class Attempts:
    """Drives one call through its plan. No clock of its own, no network."""

    __slots__ = (
        "_choices",
        "_deadline_s",
        "_failures",
        "_first_token_s",
        "_is_committed",
        "_last",
        "_later",
        "_struck_out",
        "_tried",
    )

    def __init__(
        self, choices: tuple[Choice, ...], *, deadline_s: float, first_token_s: float
    ) -> None:
        """deadline_s: after this moment no new attempt begins. first_token_s: of one attempt, at most."""
        self._choices = list(choices)  # not tried yet, in order
        self._deadline_s = deadline_s
        self._first_token_s = first_token_s
        self._failures: list[tuple[Choice, UpstreamFailure]] = []
        self._struck_out: set[str] = set()  # models that no endpoint can serve this request with
        self._later: list[tuple[float, Choice]] = []  # who may be asked once more, and when
        self._last: Choice | None = None
        self._tried = 0
        self._is_committed = False

    def next(self, now_s: float) -> Try | Wait | GiveUp:
        """What to do now. Raises RuntimeError after a commitment."""
        if self._is_committed:
            raise RuntimeError("an answer has begun: no other endpoint may be tried")
        if self._failures and now_s >= self._deadline_s:
            return self._over()
        choice = self._take()
        if choice is not None:
            return self._try(choice, now_s)
        if self._later and self._tried < ATTEMPTS_MAX:
            at_s, choice = min(self._later, key=_when)
            if at_s > now_s:
                return Wait(at_s)
            self._later.remove((at_s, choice))
            return self._try(choice, now_s)
        return self._over()

    @property
    def rival_choice(self) -> Choice | None:
        """Whom `rival` would start; None if no other endpoint of the model that is being tried is left."""
        last = self._last
        if last is None or self._tried >= ATTEMPTS_MAX:
            return None
        for choice in self._choices:
            if (
                choice.endpoint.model == last.endpoint.model
                and choice.endpoint.id != last.endpoint.id
            ):
                return choice  # not the same one with another key: it is as slow
        return None

    def rival(self, now_s: float) -> Try | None:
        """Someone to run beside the attempt under way; None: nobody, or no time."""
        choice = self.rival_choice
        if choice is None or now_s >= self._deadline_s:
            return None
        self._choices.remove(choice)
        return self._try(choice, now_s)

    def failed(self, choice: Choice, failure: UpstreamFailure, now_s: float) -> None:
        """The attempt failed before anything reached the caller."""
        if self._is_committed:
            raise RuntimeError("an answer has begun: its failure is final")
        self._failures.append((choice, failure))
        if not FAILURES[failure.kind].elsewhere:
            model = choice.endpoint.model
            self._struck_out.add(model)
            self._later = [one for one in self._later if one[1].endpoint.model != model]
            return
        hint_s = failure.retry_after_s
        if (
            hint_s is not None
            and failure.kind in _WAITABLE
            and hint_s <= RETRY_WAIT_S_MAX
            and now_s + hint_s < self._deadline_s
            and choice.endpoint.model not in self._struck_out
            and not any(tried is choice for tried, _ in self._failures[:-1])
        ):
            self._later.append((now_s + hint_s, choice))

    def committed(self) -> None:
        """A token is about to reach the caller."""
        self._is_committed = True

    def resume(self, choice: Choice, now_s: float) -> Try | None:
        """The stream of `choice` broke after tokens were sent; who goes on with it, of the same model only.

        The endpoint itself where no other is left: it is as likely as not that only the connection broke. None:
        nobody, or no time.
        """
        assert self._is_committed
        if now_s >= self._deadline_s or self._tried >= ATTEMPTS_MAX:
            return None
        other = self._next_of(choice.endpoint.model)
        if other is None:
            return self._try(choice, now_s)
        self._choices.remove(other)
        return self._try(other, now_s)

    def _over(self) -> GiveUp:
        return GiveUp(tuple(self._failures))

    def _next_of(self, model: ModelId) -> Choice | None:
        for choice in self._choices:
            if choice.endpoint.model == model:
                return choice
        return None

    def _take(self) -> Choice | None:
        if self._tried >= ATTEMPTS_MAX:
            return None
        while self._choices:
            choice = self._choices.pop(0)
            if choice.endpoint.model not in self._struck_out:
                return choice
        return None

    def _try(self, choice: Choice, now_s: float) -> Try:
        self._tried += 1
        self._last = choice
        left_s = self._deadline_s - now_s
        if self._choices:
            left_s /= 2
            if choice.is_probe:
                left_s = min(left_s, PROBE_S)
        return Try(choice, now_s + min(self._first_token_s, left_s))


def _when(entry: tuple[float, Choice]) -> float:
    return entry[0]
