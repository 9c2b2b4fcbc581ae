"""When providers were in trouble, as their calls tell hour by hour. Pure.

An hour of a provider is bad if enough of its calls failed: of all of them together, or of one endpoint's.
Bad hours with at most one other between them are one incident. An incident goes on while its last bad hour is
the one that is now, or the one before and nothing has been heard since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from fairlead.control.usage.calendar import HOUR_MS

__all__ = ["Affected", "FailingHour", "Incident", "Severity", "incidents"]

UPTIME_MIN: Final = 0.9  # below it an hour is bad
OUTAGE_BELOW: Final = 0.5  # of an incident's calls to the affected endpoints
FAILURES_MIN: Final = 3  # one that fails once or twice is no news
QUIET_HOURS_MAX: Final = 1


class Severity(StrEnum):
    OUTAGE = "outage"  # more calls failed than not
    DEGRADED = "degraded"


class FailingHour(NamedTuple):
    """An hour in which something failed at an endpoint; or anywhere at a provider, then without the names."""

    provider: str
    start_ms: int
    successes: int
    outages: int
    endpoint: str = ""
    model: str = ""

    @property
    def is_bad(self) -> bool:
        calls = self.successes + self.outages
        return self.outages >= FAILURES_MIN and self.successes < UPTIME_MIN * calls


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


def incidents(
    starts_ms: Sequence[int],
    of_providers: Iterable[FailingHour],
    of_endpoints: Iterable[FailingHour],
    *,
    heard_now: Collection[str],
) -> tuple[Incident, ...]:
    """Those that go on first, then the latest.

    starts_ms: of all hours that are looked at, in order; the last is the one that is now. of_endpoints: the
    oldest may be missing; what is told of their hours is then missing as well. heard_now: providers of which
    something was heard in the hour that is now.
    """
    hours = {start_ms: hour for hour, start_ms in enumerate(starts_ms)}
    bad: defaultdict[str, set[int]] = defaultdict(set)
    failing: defaultdict[str, list[FailingHour]] = defaultdict(list)
    for one in of_providers:
        if one.is_bad:
            bad[one.provider].add(hours[one.start_ms])
    for one in of_endpoints:
        failing[one.provider].append(one)
        if one.is_bad:
            bad[one.provider].add(hours[one.start_ms])
    found = [
        _incident(provider, failing[provider], run, starts_ms, was_heard=provider in heard_now)
        for provider, hours_of_it in bad.items()
        for run in _runs(sorted(hours_of_it))
    ]
    told = (one for one in found if one.affected)
    return tuple(sorted(told, key=lambda one: (not one.is_ongoing, -one.start_ms, one.provider)))


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
    provider: str,
    failing: Iterable[FailingHour],
    run: range,
    starts_ms: Sequence[int],
    *,
    was_heard: bool,
) -> Incident:
    begins_ms, last_ms = starts_ms[run.start], starts_ms[run.stop - 1]
    counts: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for one in failing:
        if begins_ms <= one.start_ms <= last_ms:
            of_endpoint = counts[one.endpoint, one.model]
            of_endpoint[0] += one.successes
            of_endpoint[1] += one.outages
    affected = [Affected(*names, *counted) for names, counted in counts.items()]
    affected.sort(key=lambda one: (-one.outages, one.model, one.endpoint))
    now = len(starts_ms) - 1
    is_ongoing = run.stop > now or (run.stop == now and not was_heard)
    return Incident(
        provider,
        begins_ms,
        (starts_ms[now] if is_ongoing else last_ms) + HOUR_MS,
        is_ongoing,
        tuple(affected),
    )
