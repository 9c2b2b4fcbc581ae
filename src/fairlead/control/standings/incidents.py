"""When providers were in trouble, as their calls tell hour by hour. Pure.

An hour of a provider is bad if enough of its calls failed: of all of them together, or of one endpoint's.
Bad hours with at most one other between them are one incident. An incident goes on while its last bad hour is
the one that is now, or the one before and nothing has been heard since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fairlead.control.standings.types import (
    EndpointUptime,
    ProviderUptime,
    ProviderUptimes,
    Uptimes,
)
from fairlead.control.usage.calendar import HOUR_MS

__all__ = ["Affected", "Incident", "Severity", "incidents"]

UPTIME_MIN: Final = 0.9  # below it an hour is bad
OUTAGE_BELOW: Final = 0.5  # of an incident's calls to the affected endpoints
FAILURES_MIN: Final = 3  # one that fails once or twice is no news
QUIET_HOURS_MAX: Final = 1


class Severity(StrEnum):
    OUTAGE = "outage"  # more calls failed than not
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True)
class Affected:
    """An endpoint with failures during an incident. successes: in the hours in which it had any."""

    endpoint: str
    model: str
    successes: int
    outages: int


@dataclass(frozen=True, slots=True)
class Incident:
    """start_ms, end_ms: of whole hours; of one that goes on, end_ms is the end of the hour that is now.

    affected: most failures first, at least one.
    """

    provider: str
    start_ms: int
    end_ms: int
    is_ongoing: bool
    affected: tuple[Affected, ...]

    @property
    def outages(self) -> int:
        return sum(one.outages for one in self.affected)

    @property
    def calls(self) -> int:
        """That told something of the affected endpoints, while they were affected."""
        return self.outages + sum(one.successes for one in self.affected)

    @property
    def uptime(self) -> float:
        """Of the affected endpoints, in [0, 1]."""
        return 1 - self.outages / self.calls

    @property
    def severity(self) -> Severity:
        return Severity.OUTAGE if self.uptime < OUTAGE_BELOW else Severity.DEGRADED


def incidents(providers: ProviderUptimes, failing: Uptimes) -> tuple[Incident, ...]:
    """Those that go on first, then the latest.

    providers: by the hour. failing: of their endpoints, in the hours in which something failed there.
    """
    assert providers.window.is_by_hour
    by_provider: defaultdict[str, list[EndpointUptime]] = defaultdict(list)
    for endpoint in failing.endpoints:
        by_provider[endpoint.provider].append(endpoint)
    found = [
        _incident(provider, by_provider[provider.provider], run, providers.starts_ms)
        for provider in providers.providers
        for run in _runs(_bad_hours(provider, by_provider[provider.provider]))
    ]
    return tuple(sorted(found, key=lambda one: (not one.is_ongoing, -one.start_ms, one.provider)))


def _bad_hours(provider: ProviderUptime, endpoints: Sequence[EndpointUptime]) -> list[int]:
    return [
        hour
        for hour, outages in enumerate(provider.outages)
        if _is_bad(provider.successes[hour], outages)
        or any(_is_bad(one.successes[hour], one.outages[hour]) for one in endpoints)
    ]


def _is_bad(successes: int, outages: int) -> bool:
    return outages >= FAILURES_MIN and successes < UPTIME_MIN * (successes + outages)


def _runs(hours: Iterable[int]) -> list[range]:
    """Bad hours that belong together."""
    runs: list[range] = []
    for hour in hours:
        if runs and hour - runs[-1].stop <= QUIET_HOURS_MAX:
            runs[-1] = range(runs[-1].start, hour + 1)
        else:
            runs.append(range(hour, hour + 1))
    return runs


def _incident(
    provider: ProviderUptime,
    endpoints: Sequence[EndpointUptime],
    run: range,
    starts_ms: Sequence[int],
) -> Incident:
    affected = [
        Affected(
            one.endpoint,
            one.model,
            sum(one.successes[run.start : run.stop]),
            sum(one.outages[run.start : run.stop]),
        )
        for one in endpoints
        if any(one.outages[run.start : run.stop])
    ]
    affected.sort(key=lambda one: (-one.outages, one.model, one.endpoint))
    now = len(starts_ms) - 1
    heard_now = bool(provider.successes[now] or provider.outages[now])
    is_ongoing = run.stop > now or (run.stop == now and not heard_now)
    last = now if is_ongoing else run.stop - 1
    return Incident(
        provider.provider,
        starts_ms[run.start],
        starts_ms[last] + HOUR_MS,
        is_ongoing,
        tuple(affected),
    )
