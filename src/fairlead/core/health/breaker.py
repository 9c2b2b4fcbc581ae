"""Whether an endpoint may be asked at all: a breaker for outages, a wait for rate limits.

    closed  --  3 outages in a row  -->  open  --  its cooldown is over  -->  half open
      ^                                   ^                                     |  |
      |                                   +----------  one outage  -------------+  |
      +--------------------------------------  one success  ----------------------+

While it is half open, one call at a time probes the endpoint: `began` claims the probe, and until that call
has ended, or `PROBE_S` have passed, the others see it open. Nothing here forbids a call: routing asks an
endpoint whose breaker is open when there is no other.

Calls that began before the breaker last opened or closed tell of the time before, and do not move it.
A deadline further off than it can be was set by a clock that has since been set back, and counts as over.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from fairlead.core.health.counts import CLOCK_SLACK_S

__all__ = [
    "COOLDOWN_FIRST_S",
    "COOLDOWN_MAX_S",
    "LIMIT_FIRST_S",
    "LIMIT_MAX_S",
    "LIMIT_TOLD_MAX_S",
    "OUTAGES_IN_A_ROW",
    "PROBE_S",
    "RELAPSE_S",
    "Breaker",
    "BreakerState",
    "RateLimit",
]

OUTAGES_IN_A_ROW: Final = 3
COOLDOWN_FIRST_S: Final = 5.0
COOLDOWN_MAX_S: Final = 30.0
PROBE_S: Final = 60.0
RELAPSE_S: Final = (
    60.0  # opening again so soon after closing goes on with the last cooldown, doubled
)
LIMIT_FIRST_S: Final = 2.0  # where the provider names no time
LIMIT_MAX_S: Final = 30.0
LIMIT_TOLD_MAX_S: Final = 60.0  # where it does
_NEVER: Final = float("-inf")


class BreakerState(IntEnum):
    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2  # a probe may be sent
    PROBING = 3  # one is under way


class Breaker:
    __slots__ = (
        "closed_at_s",
        "cooldown_s",
        "is_closed",
        "opened_at_s",
        "outages_in_a_row",
        "probing_since_s",
    )

    def __init__(self) -> None:
        self.is_closed = True
        self.outages_in_a_row = 0
        self.opened_at_s = _NEVER
        self.closed_at_s = _NEVER
        self.cooldown_s = COOLDOWN_FIRST_S
        self.probing_since_s = _NEVER

    def state(self, now_s: float) -> BreakerState:
        if self.is_closed:
            return BreakerState.CLOSED
        if -CLOCK_SLACK_S <= now_s - self.opened_at_s < self.cooldown_s:
            return BreakerState.OPEN
        if -CLOCK_SLACK_S <= now_s - self.probing_since_s < PROBE_S:
            return BreakerState.PROBING
        return BreakerState.HALF_OPEN

    @property
    def precedence(self) -> tuple[float, int, float]:
        """Of two accounts of one endpoint, that with the later move is right; the rest settles ties."""
        moved_at_s = self.closed_at_s if self.is_closed else self.opened_at_s
        return moved_at_s, self.outages_in_a_row, self.cooldown_s

    def changes_at_s(self, now_s: float) -> float:
        """When the state changes by itself; infinite if it does not."""
        match self.state(now_s):
            case BreakerState.OPEN:
                return self.opened_at_s + self.cooldown_s
            case BreakerState.PROBING:
                return self.probing_since_s + PROBE_S
            case _:
                return float("inf")

    def began(self, now_s: float) -> None:
        """A call was started; it is the probe if there is none."""
        if self.state(now_s) is BreakerState.HALF_OPEN:
            self.probing_since_s = now_s

    def is_untroubled(self, began_s: float) -> bool:
        """Whether the success of a call that began then would change nothing."""
        return self.is_closed and not self.outages_in_a_row and began_s >= self.closed_at_s

    def says_nothing(self, began_s: float) -> None:
        """A call ended that tells nothing of the endpoint; if it was the probe, the next one is."""
        if began_s >= self.probing_since_s:
            self.probing_since_s = _NEVER

    def succeeded(self, began_s: float, now_s: float) -> bool:
        """True if this closed it."""
        if self.is_of_before(began_s, now_s):
            return False
        self.outages_in_a_row = 0
        if self.is_closed:
            return False
        self.is_closed = True
        self.closed_at_s = now_s
        self.probing_since_s = _NEVER
        return True

    def failed(self, began_s: float, now_s: float, *, outages: int = 1) -> None:
        """outages: how many there were, one after the other."""
        if self.is_of_before(began_s, now_s):
            return
        if self.is_closed:
            self.outages_in_a_row += outages
            if self.outages_in_a_row >= OUTAGES_IN_A_ROW:
                is_relapse = 0 <= now_s - self.closed_at_s < RELAPSE_S
                self._open(now_s, self.cooldown_s * 2 if is_relapse else COOLDOWN_FIRST_S)
        elif self.state(now_s) >= BreakerState.HALF_OPEN:
            self._open(now_s, self.cooldown_s * 2)

    def _open(self, now_s: float, cooldown_s: float) -> None:
        self.is_closed = False
        self.outages_in_a_row = 0
        self.opened_at_s = now_s
        self.cooldown_s = min(cooldown_s, COOLDOWN_MAX_S)
        self.probing_since_s = _NEVER

    def is_of_before(self, began_s: float, now_s: float) -> bool:
        """Whether a call that began then tells only of the time before the breaker last opened or closed."""
        moved_at_s = self.closed_at_s if self.is_closed else self.opened_at_s
        return began_s < moved_at_s <= now_s + CLOCK_SLACK_S


class RateLimit:
    """How long an endpoint asked us to wait. is_repeated: it has answered nothing since it did last."""

    __slots__ = ("_wait_s", "is_repeated", "until_s")

    def __init__(self) -> None:
        self.until_s = _NEVER
        self._wait_s = LIMIT_FIRST_S
        self.is_repeated = False

    def is_on(self, now_s: float) -> bool:
        return 0 < self.until_s - now_s <= LIMIT_TOLD_MAX_S + CLOCK_SLACK_S

    def limited(self, now_s: float, retry_after_s: float | None) -> None:
        """retry_after_s: as the provider told; None: we choose, longer each time that waiting did not help."""
        if retry_after_s is not None:
            wait_s = min(max(retry_after_s, 0.0), LIMIT_TOLD_MAX_S)
        elif self.is_on(now_s):
            return  # sent before we knew
        else:
            wait_s = self._wait_s = (
                min(self._wait_s * 2, LIMIT_MAX_S) if self.is_repeated else LIMIT_FIRST_S
            )
            self.is_repeated = True
        self.limit_for(wait_s, now_s)

    def limit_for(self, wait_s: float, now_s: float) -> None:
        """Wait at least so long."""
        until_s = now_s + min(wait_s, LIMIT_TOLD_MAX_S)
        self.until_s = max(until_s, self.until_s) if self.is_on(now_s) else until_s

    def succeeded(self) -> None:
        self.is_repeated = False
