"""Streamed calls under way that an endpoint has not said anything to: how one that only hangs is found out.

An endpoint that takes requests and says nothing fails no call before its time-out, which is minutes, because
some models think that long. Meanwhile it would look as well as before. So calls that wait are remembered, and
if the last few of them have all waited much longer than calls do there, that is taken for an outage.

Only streamed calls are told of here: a whole answer is silent by nature.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

__all__ = ["CALLS_IN_SILENCE", "PATIENCE_S_MIN", "PATIENCE_S_UNKNOWN", "Silences", "patience_s"]

CALLS_IN_SILENCE: Final = 3  # as many as outages in a row that open a breaker
PATIENCE_FACTOR: Final = 3.0  # times the p99 to a first token
PATIENCE_S_MIN: Final = 10.0
PATIENCE_S_UNKNOWN: Final = (
    60.0  # where no first token was seen lately; models that think take half of it
)
WAITING_MAX: Final = 64  # of one endpoint; the first few decide
_SAME_S: Final = 1e-3  # when a call began is worked out from how long it took


def patience_s(first_token_p99_s: float | None) -> float:
    """How long a call waits before its silence means something."""
    if first_token_p99_s is None:
        return PATIENCE_S_UNKNOWN
    return max(PATIENCE_S_MIN, PATIENCE_FACTOR * first_token_p99_s)


class Silences:
    """Of one endpoint.

    began_s: when those calls began that wait, and began after the last one that was answered; ascending.
    """

    __slots__ = ("began_s",)

    def __init__(self) -> None:
        self.began_s: list[float] = []

    def __len__(self) -> int:
        return len(self.began_s)

    def waits(self, now_s: float) -> None:
        """A call begins to wait."""
        began_s = self.began_s
        if began_s and began_s[-1] > now_s:  # the clock was set back
            began_s.clear()
        if len(began_s) < WAITING_MAX:
            began_s.append(now_s)

    def spoke(self, call_began_s: float) -> None:
        """A call that began then brought its first token: who waits for longer is only slow."""
        began_s = self.began_s
        del began_s[: bisect_right(began_s, call_began_s + _SAME_S)]

    def is_over(self, call_began_s: float) -> None:
        """A call that began then ended without a word. It has been told as a failure, or says nothing."""
        began_s = self.began_s
        place = bisect_left(began_s, call_began_s - _SAME_S)
        if place < len(began_s) and began_s[place] <= call_began_s + _SAME_S:
            del began_s[place]

    def too_long_at_s(self, patience_s: float) -> float:
        """When there will have been an outage, if nobody is answered until then; infinite: not yet in sight."""
        if len(self.began_s) < CALLS_IN_SILENCE:
            return float("inf")
        return self.began_s[CALLS_IN_SILENCE - 1] + patience_s

    def forget(self) -> None:
        self.began_s.clear()
