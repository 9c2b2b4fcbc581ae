"""What recent outcomes say about an endpoint. Pure: the caller says what time it is.

Today: an endpoint is failing for 30 s after an outage, or until it succeeds again. Only outages count: a
caller's bad request or a rate limit says nothing about an endpoint's health (`FAILURES`).
"""

from __future__ import annotations

from typing import Final

from fairlead.core.errors import FAILURES, UpstreamFailure
from fairlead.core.ids import EndpointId

__all__ = ["OUTAGE_MEMORY_S", "HealthAt", "RecentOutages"]

OUTAGE_MEMORY_S: Final = 30.0


class RecentOutages:
    """When each endpoint last failed. Holds at most one entry per endpoint of the catalogue."""

    __slots__ = ("_failed_at_s",)

    def __init__(self) -> None:
        self._failed_at_s: dict[EndpointId, float] = {}

    def succeeded(self, endpoint: EndpointId) -> None:
        if self._failed_at_s:
            self._failed_at_s.pop(endpoint, None)

    def failed(self, endpoint: EndpointId, failure: UpstreamFailure, *, now_s: float) -> None:
        if FAILURES[failure.kind].outage:
            self._failed_at_s[endpoint] = now_s

    def at(self, now_s: float) -> HealthAt:
        """The view for one decision."""
        return HealthAt(self._failed_at_s, now_s)


class HealthAt:
    """Health as seen at one moment; a `routing.HealthView`."""

    __slots__ = ("_failed_at_s", "_now_s")

    def __init__(self, failed_at_s: dict[EndpointId, float], now_s: float) -> None:
        self._failed_at_s = failed_at_s
        self._now_s = now_s

    def is_failing(self, endpoint: EndpointId) -> bool:
        failed_at_s = self._failed_at_s.get(endpoint)
        return failed_at_s is not None and self._now_s - failed_at_s < OUTAGE_MEMORY_S
