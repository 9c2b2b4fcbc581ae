"""What recent outcomes say about one endpoint: the part of a decision that changes from second to second.

`core/health.py` makes these from what it has seen; `plan` reads them; a stored decision keeps those that it
was made with, so that it can be made again.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Protocol

import msgspec

from fairlead.core.ids import EndpointId

__all__ = ["UNKNOWN", "Facts", "HealthView", "Percentiles", "Standing"]


class Standing(IntEnum):
    """How well an endpoint is, best first. The order is that in which endpoints are tried."""

    GOOD = 0
    DEGRADED = 1  # uptime of 80 to 95 %
    LIMITED = 2  # it asked us to wait, and that time has not passed
    UNSTABLE = 3  # a significant outage in the last 30 s
    DOWN = 4  # uptime under 80 %, or its breaker is open: only when nothing else is left


class Percentiles(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """p50, p75, p90 and p99 as the requests saw them: of a throughput, p99 is what 99 % reached or more."""

    p50: float
    p75: float
    p90: float
    p99: float


class Facts(msgspec.Struct, frozen=True, gc=False, array_like=True, omit_defaults=True):
    """One endpoint at one moment.

    is_probe: its breaker is half open: one call may try it, and decides whether it closes.
    latency_s: to the first token, of the last 5 minutes or, if nothing came then, of longer ago; None: unknown.
    throughput: output tokens per second, likewise.
    requests_30m: finished in the last 30 minutes, whatever their outcome.
    tool_requests_2h, tool_errors_2h: answers that ended in tool calls; those with a call that was not valid.
    """

    standing: Standing = Standing.GOOD
    is_probe: bool = False
    latency_s: Percentiles | None = None
    throughput: Percentiles | None = None
    requests_30m: int = 0
    tool_requests_2h: int = 0
    tool_errors_2h: int = 0


UNKNOWN: Final = Facts()


class HealthView(Protocol):
    """What is known at one moment; the same object answers for the whole of one decision."""

    def facts(self, endpoint: EndpointId) -> Facts:
        """UNKNOWN for an endpoint that nothing was heard of."""
        ...
